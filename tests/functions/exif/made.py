"""Images of every container, full of metadata that say who, where and with what."""

from __future__ import annotations

import binascii
import io
import struct
import zlib
from functools import cache

from PIL import ImageCms, PngImagePlugin

from tests.images import encoded, gradient

SECRETS = (
    *(b"Erika Mustermann", b"SN-0815-4711", b"Lamp Camera X", b"2024:05:03 14:12:31", b"Hauptstrasse 1, Musterstadt"),
)
XMP = (
    b"<?xpacket begin='\xef\xbb\xbf' id='W5M0MpCehiHzreSzNTczkc9d'?>"
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"'
    b' xmlns:p="http://ns.adobe.com/photoshop/1.0/" exif:GPSLatitude="48,8.22N" p:City="Hauptstrasse 1, Musterstadt">'
    b"<exif:GPSLongitude>11,34.5E</exif:GPSLongitude>"
    b"<dc:creator><rdf:Seq><rdf:li>Erika Mustermann</rdf:li></rdf:Seq></dc:creator>"
    b'<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">All rights &amp; all</rdf:li></rdf:Alt></dc:rights>'
    b"</rdf:Description></rdf:RDF></x:xmpmeta>" + b" " * 200 + b"<?xpacket end='w'?>"
)


def iim(*records: tuple[int, bytes]) -> bytes:
    """IPTC records of record 2."""
    return b"".join(struct.pack(">BBBH", 0x1C, 2, number, len(data)) + data for number, data in records)


IPTC = iim((0, b"\0\4"), (80, b"Erika Mustermann"), (90, b"Hauptstrasse 1, Musterstadt"), (116, b"All rights"))
RESOURCES = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(IPTC)) + IPTC + bytes(len(IPTC) & 1)


@cache
def profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@cache
def exif(orientation: int = 6, thumbnail: bool = True) -> bytes:
    """An Exif block with a header: camera, serial number, artist, date, position, thumbnail."""
    import piexif

    dump = {
        "0th": {
            0x010F: b"Lamp Camera X",
            0x0110: b"Lamp Camera X",
            0x0112: orientation,
            0x013B: b"Erika Mustermann",
            0x8298: b"All rights",
        },
        "Exif": {
            0x9003: b"2024:05:03 14:12:31",
            0xA431: b"SN-0815-4711",
            0x829A: (1, 200),
            0x927C: b"SN-0815-4711 again",
        },
        "GPS": {1: b"N", 2: ((48, 1), (8, 1), (137154, 9973)), 3: b"E", 4: ((11, 1), (34, 1), (34046, 997))},
    }
    if thumbnail:
        dump |= {"1st": {}, "thumbnail": encoded(gradient(size=(16, 12)), "JPEG")}
    return piexif.dump(dump)


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def jpeg(progressive: bool = False) -> bytes:
    plain = encoded(gradient(), "JPEG", exif=exif(), icc_profile=profile(), progressive=progressive)
    extra = (
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP)
        + segment(0xED, b"Photoshop 3.0\0" + RESOURCES)
        + segment(0xFE, b"Erika Mustermann was here")
        + segment(0xE0, b"JFXX\0\x10" + encoded(gradient(size=(8, 6)), "JPEG"))
        + segment(0xE5, b"Lamp\0SN-0815-4711")
        + segment(0xEB, b"JP\0\1\0\0\0\1jumbfErika Mustermann")
    )
    at = 2 + 2 + struct.unpack_from(">H", plain, 4)[0]
    return plain[:at] + extra + plain[at:] + b"\0\0\0\x18ftypmp42 SN-0815-4711"


def mpo() -> bytes:
    buffer = io.BytesIO()
    second = gradient(size=(32, 24))
    gradient().save(buffer, "MPO", save_all=True, append_images=[second], exif=exif())
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", binascii.crc32(kind + body))


def png() -> bytes:
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", "Erika Mustermann")
    text.add_text("Comment", "SN-0815-4711", zip=True)
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    text.add_itxt("Copyright", "All rights", zip=True)
    plain = encoded(gradient("RGBA"), "PNG", exif=exif(), icc_profile=profile(), pnginfo=text)
    raw = binascii.hexlify(exif())
    extra = chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n%8d\n%s\n" % (len(exif()), raw)))
    extra += chunk(b"tIME", bytes((7, 232, 5, 3, 14, 12, 31))) + chunk(b"prVt", b"SN-0815-4711")
    return plain[:33] + extra + plain[33:] + b"Erika Mustermann"


def apng() -> bytes:
    frames = [gradient(), gradient().rotate(90), gradient().rotate(180)]
    return encoded(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=40, exif=exif())


def webp(animated: bool = False) -> bytes:
    more = {"save_all": True, "append_images": [gradient().rotate(90)], "duration": 40} if animated else {}
    made = encoded(gradient(), "WEBP", lossless=True, exif=exif(), xmp=XMP, icc_profile=profile(), **more)
    body = made[8:] + b"PRVT" + struct.pack("<I", 12) + b"SN-0815-4711"
    return b"RIFF" + struct.pack("<I", len(body)) + body


def gif() -> bytes:
    frames = [gradient("P"), gradient("P").rotate(90)]
    plain = encoded(
        frames[0], "GIF", save_all=True, append_images=frames[1:], loop=3, duration=50, comment=b"Erika Mustermann"
    )
    at = 13 + (3 << ((plain[10] & 7) + 1))
    packet = b"\x21\xff\x0bXMP DataXMP" + XMP + b"\x01" + bytes(range(255, -1, -1)) + b"\0"
    return plain[:at] + packet + plain[at:] + b"SN-0815-4711"


def tiff(big: bool = False, pages: int = 2, **options: object) -> bytes:
    from PIL import TiffImagePlugin

    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[271], tags[272], tags[315], tags[700], tags[33723] = (
        "Lamp Camera X",
        "Lamp Camera X",
        "Erika Mustermann",
        XMP,
        IPTC,
    )
    tags.tagtype[700] = tags.tagtype[33723] = 1
    tags[42033], tags[33432], tags[34377] = "SN-0815-4711", "All rights", RESOURCES
    tags.tagtype[34377] = 1
    tags[33922], tags.tagtype[33922] = (0.0, 0.0, 0.0, 11.57, 48.13, 0.0), 12
    frames = [gradient(size=(32, 24 + n)) for n in range(1, pages)]
    return encoded(
        gradient(),
        "TIFF",
        save_all=True,
        append_images=frames,
        tiffinfo=tags,
        icc_profile=profile(),
        big_tiff=big,
        **options,
    )


def avif() -> bytes:
    return encoded(gradient(), "AVIF", exif=exif(), xmp=XMP, icc_profile=profile())


@cache
def all_of_them() -> dict[str, bytes]:
    """One file of each kind, by a name that tells it."""
    return {
        "jpeg": jpeg(),
        "progressive": jpeg(progressive=True),
        "mpo": mpo(),
        "png": png(),
        "apng": apng(),
        "webp": webp(),
        "animated webp": webp(animated=True),
        "gif": gif(),
        "tiff": tiff(),
        "lzw tiff": tiff(compression="tiff_lzw"),
        "bigtiff": tiff(big=True),
        "avif": avif(),
    }
