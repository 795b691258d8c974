"""Files whose metadata stand where readers seldom look, or are damaged, each written byte by byte."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator

from tests.functions.exif.containers import box, chunk, heic, png
from tests.functions.exif.made import segment
from tests.functions.exif.tiffs import Field, ascii_field, directory, rational, short, tiff
from tests.images import encoded, gradient

MUNICH = ((48, 1), (8, 1), (13, 1)), ((11, 1), (34, 1), (30, 1))
XMP_HEAD = b"http://ns.adobe.com/xap/1.0/\0"


def gps(*fields: Field, sides: bool = True, position: tuple = MUNICH, first: tuple[Field, ...] = ()) -> bytes:
    """A TIFF structure with a GPS directory behind its first one."""
    latitude, longitude = position
    inner = [rational(2, *latitude), rational(4, *longitude), *fields]
    if sides:
        inner += [ascii_field(1, "N"), ascii_field(3, "E")]
    inner.sort()
    outer = [*first, (0x8825, 4, 1, struct.pack("<I", 0))]
    at = 8 + len(directory(outer, 8))
    outer[-1] = (0x8825, 4, 1, struct.pack("<I", at))
    return b"II*\0\x08\0\0\0" + directory(outer, 8) + directory(inner, at)


def exif_segment(block: bytes, header: bytes = b"Exif\0\0") -> bytes:
    return segment(0xE1, header + block)


def picture() -> bytes:
    """A JPEG of pixels and JFIF alone."""
    return encoded(gradient(size=(16, 16)), "JPEG")


def jpeg(*segments: bytes, behind: bytes = b"") -> bytes:
    """A picture with segments behind its first marker, and bytes behind its end."""
    plain = picture()
    return plain[:2] + b"".join(segments) + plain[2:] + behind


def xmp(inner: str, attributes: str = "") -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/" '
        'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
        'xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/" '
        f'xmlns:apple-fi="http://ns.apple.com/faceinfo/1.0/" xmlns:own="http://example.org/own/"{attributes}>'
        f"{inner}</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


def xmp_segment(packet: bytes) -> bytes:
    return segment(0xE1, XMP_HEAD + packet)


CREATOR = "<dc:creator><rdf:Seq><rdf:li>Ada Byron</rdf:li></rdf:Seq></dc:creator>"


def video(user_data: bytes) -> bytes:
    """A video of a header and user data."""
    return box(b"ftyp", b"mp42\0\0\0\0isom") + box(b"moov", box(b"udta", user_data)) + box(b"mdat", bytes(64))


def location_box(text: bytes = b"+48.1370+011.5750+520.0/") -> bytes:
    return box(b"\xa9xyz", struct.pack(">HH", len(text), 0) + text)


def apple_location() -> bytes:
    """What iPhones write: names in `keys`, values in `ilst`."""
    key, text = b"com.apple.quicktime.location.ISO6709", b"+48.1370+011.5750+520.0/"
    keys = box(b"keys", struct.pack(">II", 0, 1) + box(b"mdta", key))
    data = box(b"data", struct.pack(">II", 1, 0) + text)
    meta = box(b"meta", box(b"hdlr", bytes(8) + b"mdta" + bytes(13)) + keys + box(b"ilst", box(b"\0\0\0\1", data)))
    return box(b"ftyp", b"qt  \0\0\0\0qt  ") + box(b"moov", meta)


def samsung(*records: tuple[int, bytes, bytes]) -> bytes:
    """Samsung's records behind a picture: kind, name, content."""
    bodies = [struct.pack("<2xHI", kind, len(name)) + name + content for kind, name, content in records]
    total = sum(map(len, bodies))
    entries, back = b"", total
    for (kind, _, _), body in zip(records, bodies, strict=True):
        entries += struct.pack("<2xHII", kind, back, len(body))
        back -= len(body)
    head = b"SEFH" + struct.pack("<II", 106, len(records)) + entries
    return b"".join(bodies) + head + struct.pack("<I", len(head)) + b"SEFT"


def profile(*tags: tuple[bytes, bytes], kind: bytes = b"mntr") -> bytes:
    """A colour profile of a header and some tags."""
    table, bodies, at = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, body in tags:
        table += struct.pack(">4sII", name, at + len(bodies), len(body))
        bodies += body
    head = struct.pack(">I4sI4s4s4s", at + len(bodies), b"lcms", 0x04400000, kind, b"RGB ", b"XYZ ")
    head = head.ljust(36, b"\0") + b"acsp"
    return head.ljust(128, b"\0") + table + bodies


def described(text: str) -> bytes:
    body = text.encode() + b"\0"
    return b"desc" + bytes(4) + struct.pack(">I", len(body)) + body + bytes(78)


def profiled(*tags: tuple[bytes, bytes]) -> bytes:
    return png(chunk(b"iCCP", b"Display\0\0" + zlib.compress(profile(*tags))))


def text_chunk(name: str, text: str) -> bytes:
    return chunk(b"tEXt", name.encode() + b"\0" + text.encode())


def jxl(*boxes: bytes) -> bytes:
    codestream = box(b"jxlc", b"\xff\x0a" + struct.pack("<Q", 0b00100_000_00011_1) + bytes(8))
    return box(b"JXL ", b"\r\n\x87\n") + box(b"ftyp", b"jxl \0\0\0\0jxl ") + codestream + b"".join(boxes)


def stored_brotli(body: bytes) -> bytes:
    """A Brotli stream of one uncompressed meta-block (RFC 7932, 9.2)."""
    # WBITS 16 in one bit; then ISLAST 0, MNIBBLES 0 (four nibbles), MLEN - 1, ISUNCOMPRESSED 1.
    bits = 0 | 0 << 1 | 0 << 2 | (len(body) - 1) << 4 | 1 << 20
    return bits.to_bytes(3, "little") + body + b"\x03"


def crw() -> bytes:
    """Canon's CIFF: a header, then a JPEG among other things."""
    return b"II\x1a\0\0\0HEAPCCDR\2\0\1\0" + bytes(200) + picture() + b"\xaa" * 400


def eps() -> bytes:
    return b"\xc5\xd0\xd3\xc6" + struct.pack("<7I", 32, 600, 0, 0, 0, 0, 0xFFFF) + b"%!PS-Adobe-3.0 EPSF" + picture()


def x3f() -> bytes:
    return b"FOVb\2\0\3\0" + b"\x91" * 200 + picture()


def two_exif_heic() -> bytes:
    """A HEIC whose second picture is the primary one, each with an Exif item of its own."""
    blocks = {3: tiff([ascii_field(0x10F, "Left camera")]), 4: tiff([ascii_field(0x10F, "Right camera")])}
    bodies = {item: struct.pack(">I", 0) + block for item, block in blocks.items()}
    names = [(1, b"hvc1\0"), (2, b"hvc1\0"), (4, b"Exif\0"), (3, b"Exif\0")]
    infe = b"".join(box(b"infe", b"\2\0\0\0" + struct.pack(">HH", item, 0) + kind) for item, kind in names)
    references = b"".join(box(b"cdsc", struct.pack(">HHH", item, 1, to)) for item, to in ((4, 1), (3, 2)))
    sizes = box(b"ispe", bytes(4) + struct.pack(">II", 64, 48)) + box(b"irot", b"\1") + box(b"imir", b"\1")
    ipma = box(b"ipma", bytes(4) + struct.pack(">IHBBBB", 1, 2, 3, 1, 2, 3))
    head = box(b"ftyp", b"heic" + bytes(4) + b"mif1heic")

    def meta(start: int) -> bytes:
        places = b"\x44\0" + struct.pack(">H", len(bodies))
        for item, body in bodies.items():
            places += struct.pack(">HHHII", item, 0, 1, start, len(body))
            start += len(body)
        parts = box(b"pitm", bytes(4) + struct.pack(">H", 2)) + box(b"iinf", bytes(4) + struct.pack(">H", 4) + infe)
        parts += box(b"iref", bytes(4) + references) + box(b"iprp", box(b"ipco", sizes) + ipma)
        return box(b"meta", bytes(4) + parts + box(b"iloc", bytes(4) + places))

    return head + meta(len(head) + len(meta(0)) + 8) + box(b"mdat", b"".join(bodies.values()))


def mini_avif(artist: str = "Ada Byron") -> bytes:
    """An AVIF of one MinimizedImageBox: 9 × 5 pixels, Exif and XMP."""
    block, packet = tiff([ascii_field(0x13B, artist)]), xmp("<photoshop:City>Munich</photoshop:City>")
    fields = [(2, 0), (1, 0), (1, 0), (1, 1), (1, 0), (1, 0), (1, 0), (1, 0), (1, 1), (1, 1)]
    fields += [(2, 1), (3, 5), (1, 0), (7, 8), (7, 4), (2, 0), (1, 0)]
    fields += [(1, 1), (1, 0), (1, 0), (3, 4), (15, 15), (1, 0), (20, len(block) - 1), (20, len(packet) - 1)]
    bits = "".join(f"{value:0{width}b}" for width, value in fields)
    head = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    body = head + b"\x81\0\x0c\0" + bytes(16) + block + packet
    return box(b"ftyp", b"mif3avif") + box(b"mini", body)


def strip_with_exif() -> bytes:
    """A TIFF of two strips, each a JPEG; the second has Exif and a comment of its own."""
    strips = [picture(), jpeg(exif_segment(gps()), segment(0xFE, b"taken by Ada Byron"))]
    fields = [short(0x100, 16), short(0x101, 32), short(0x103, 7), short(0x115, 3)]
    where, sizes = [0, 0], [len(part) for part in strips]

    def built() -> bytes:
        places = [(0x111, 4, 2, struct.pack("<2I", *where)), (0x117, 4, 2, struct.pack("<2I", *sizes))]
        return tiff(sorted([*fields, *places]))

    head = len(built())
    where[:] = [head, head + sizes[0]]
    return built() + b"".join(strips)


def rw2() -> bytes:
    """Panasonic's raw: its JPEG has the Exif with the serial number."""
    exif = directory([ascii_field(0xA431, "SN-0815-4711")], 26)
    inner = b"II*\0\x08\0\0\0" + directory([(0x8769, 4, 1, struct.pack("<I", 26))], 8) + exif
    preview = jpeg(exif_segment(inner))
    return b"IIU\0" + tiff([ascii_field(0x10F, "Panasonic"), (0x2E, 7, len(preview), preview)])[4:]


PROMPT = "a harbour at dusk\nNegative prompt: people\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1"
MODEL = b"mmod" + bytes(4) + struct.pack(">4I", 0x610, 0xA03C, 0x12345678, 0) + bytes(16)
FACE = (
    '<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:RegionList><rdf:Bag><rdf:li rdf:parseType="Resource">'
    "<mwg-rs:Type>Face</mwg-rs:Type></rdf:li></rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions>"
)
ALGORITHM = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
DEEP_USER_COMMENT = (0x9286, 7, 8 + len(PROMPT), b"ASCII\0\0\0" + PROMPT.encode())


def commented() -> bytes:
    exif = directory([DEEP_USER_COMMENT], 26)
    return jpeg(exif_segment(b"II*\0\x08\0\0\0" + directory([(0x8769, 4, 1, struct.pack("<I", 26))], 8) + exif))


# Grade, subject of the worst finding (empty for none), and the file.
GRADED: dict[str, tuple[str, str, Callable[[], bytes]]] = {
    "a second JPEG behind the end": ("identifies", "place", lambda: jpeg(behind=jpeg(exif_segment(gps())))),
    "a third JPEG behind a second": ("identifies", "place", lambda: jpeg(behind=picture() + jpeg(exif_segment(gps())))),
    "a JPEG behind a PNG": ("identifies", "place", lambda: png() + jpeg(exif_segment(gps()))),
    "a JPEG behind a GIF": (
        "identifies",
        "place",
        lambda: encoded(gradient("P"), "GIF") + jpeg(exif_segment(gps())),
    ),
    "a motion photo": ("identifies", "place", lambda: jpeg(behind=video(location_box()))),
    "a video as iPhones write it": ("identifies", "place", lambda: jpeg(behind=apple_location())),
    "a motion photo in HEIC": ("identifies", "place", lambda: heic(b"") + box(b"mpvd", video(location_box()))),
    "a video without a place": ("narrows", "content", lambda: jpeg(behind=video(b""))),
    "sound behind a picture": (
        "narrows",
        "content",
        lambda: jpeg(behind=b"RIFF" + struct.pack("<I", 36) + b"WAVEfmt " + bytes(28)),
    ),
    "Samsung's motion photo": (
        "identifies",
        "place",
        lambda: jpeg(behind=samsung((0xA30, b"MotionPhoto_Data", video(location_box())))),
    ),
    "Samsung's time": ("narrows", "time", lambda: jpeg(behind=samsung((0xA01, b"Image_UTC_Data", b"1714738351000")))),
    "a thumbnail with a place": (
        "identifies",
        "place",
        lambda: jpeg(segment(0xE0, b"JFXX\0\x10" + jpeg(exif_segment(gps())))),
    ),
    "a strip of a TIFF with a place": ("identifies", "place", strip_with_exif),
    "Exif in capitals": ("identifies", "place", lambda: jpeg(exif_segment(gps(), b"EXIF\0\0"))),
    "Exif behind the first scan": (
        "identifies",
        "place",
        lambda: picture()[:-2] + exif_segment(gps()) + b"\xff\xd9",
    ),
    "Exif compressed with Brotli": (
        "identifies",
        "place",
        lambda: jxl(box(b"brob", b"Exif" + stored_brotli(bytes(4) + gps()))),
    ),
    "XMP compressed with Brotli": (
        "identifies",
        "person",
        lambda: jxl(box(b"brob", b"xml " + stored_brotli(xmp(CREATOR)))),
    ),
    "broken Brotli": ("unknown", "", lambda: jxl(box(b"brob", b"Exif\xff\xff\xff\xff"))),
    "a bare ampersand": (
        "identifies",
        "person",
        lambda: jpeg(xmp_segment(xmp("<dc:creator>Ada & Byron</dc:creator>"))),
    ),
    "an unknown entity": (
        "identifies",
        "person",
        lambda: jpeg(xmp_segment(xmp("<dc:creator>Ada &nbsp; Byron</dc:creator>"))),
    ),
    "a control character": (
        "identifies",
        "person",
        lambda: jpeg(xmp_segment(xmp("<dc:creator>Ada\x01 Byron</dc:creator>"))),
    ),
    "a DOCTYPE": (
        "identifies",
        "person",
        lambda: jpeg(xmp_segment(b'<!DOCTYPE x SYSTEM "x.dtd">' + xmp(CREATOR))),
    ),
    "XMP in UTF-32": (
        "identifies",
        "person",
        lambda: jpeg(xmp_segment(xmp(CREATOR).decode().encode("utf-32"))),
    ),
    "XMP in UTF-16 without a mark": (
        "identifies",
        "person",
        lambda: jpeg(xmp_segment(xmp(CREATOR).decode().encode("utf-16-be"))),
    ),
    "XMP that is none": ("unknown", "", lambda: jpeg(xmp_segment(b"Ada Byron took this"))),
    "a comment in XMP": ("unknown", "", lambda: jpeg(xmp_segment(xmp("<!-- by Ada Byron -->")))),
    "text between XMP's elements": ("unknown", "", lambda: jpeg(xmp_segment(xmp("Ada Byron")))),
    "XMP beyond its limit": (
        "unknown",
        "",
        lambda: png(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(" " * (8 * 2**20)))),
    ),
    "a damaged raw profile": ("unknown", "", lambda: png(chunk(b"zTXt", b"Raw profile type exif\0\0" + b"damaged"))),
    "a raw profile of an odd length": (
        "unknown",
        "",
        lambda: png(chunk(b"tEXt", b"Raw profile type exif\0\nexif\n 4\n414")),
    ),
    "bytes behind the end of a JPEG": ("unknown", "", lambda: jpeg(behind=b"Ada Byron")),
    "bytes behind the end of a PNG": ("unknown", "", lambda: png() + b"Ada Byron"),
    "bytes behind the end of a WebP": ("unknown", "", lambda: encoded(gradient(), "WEBP") + b"Ada Byron"),
    "bytes behind the end of a GIF": ("unknown", "", lambda: encoded(gradient("P"), "GIF") + b"Ada Byron"),
    "bytes before a JPEG": ("unknown", "", lambda: b"\x80Ada Byron\0\0" + picture()),
    "a segment of a maker": ("unknown", "", lambda: jpeg(segment(0xE4, b"MAKER\0Ada Byron"))),
    "a private chunk": ("unknown", "", lambda: png(chunk(b"adAb", b"Ada Byron"))),
    "an unknown box": ("unknown", "", lambda: jxl(box(b"abcd", b"Ada Byron"))),
    "a free box that is not free": ("unknown", "", lambda: jxl(box(b"free", b"Ada Byron"))),
    "a chunk that is too long": ("unknown", "", lambda: png(chunk(b"gAMA", b"\0\0\1\1Ada Byron"))),
    "a table that is too long": ("unknown", "", lambda: jpeg(segment(0xDD, b"\0\0Ada Byron"))),
    "a gap in Exif": ("unknown", "", lambda: jpeg(exif_segment(tiff([short(0x112, 1)]) + b"Ada Byron"))),
    "a value with an unknown type": (
        "unknown",
        "",
        lambda: jpeg(exif_segment(b"II*\0\x08\0\0\0\1\0\x3b\1\x63\0\x0a\0\0\0\x1a\0\0\0\0\0\0\0Ada Byron\0")),
    ),
    "an unreadable maker note": (
        "narrows",
        "device",
        lambda: jpeg(
            exif_segment(
                b"II*\0\x08\0\0\0"
                + directory([(0x8769, 4, 1, struct.pack("<I", 26))], 8)
                + directory([(0x927C, 7, 40, b"?" * 40)], 26)
            )
        ),
    ),
    "text of an unknown tag": (
        "hints",
        "content",
        lambda: jpeg(exif_segment(tiff([ascii_field(0xBEEF, "Ada Byron")]))),
    ),
    "text of an unknown property": ("hints", "content", lambda: jpeg(xmp_segment(xmp("", ' own:thing="Ada Byron"')))),
    "text of an unknown name": ("hints", "content", lambda: png(text_chunk("Thing", "Ada Byron"))),
    "generation parameters": ("narrows", "content", lambda: png(text_chunk("parameters", PROMPT))),
    "a prompt": ("narrows", "content", lambda: png(text_chunk("prompt", '{"6": {"class_type": "KSampler"}}'))),
    "a workflow": ("narrows", "content", lambda: png(text_chunk("workflow", '{"nodes": []}'))),
    "Dream": ("narrows", "content", lambda: png(text_chunk("Dream", "a harbour -s50 -W512"))),
    "sd-metadata": ("narrows", "content", lambda: png(text_chunk("sd-metadata", '{"model": "x"}'))),
    "InvokeAI's metadata": ("narrows", "content", lambda: png(text_chunk("invokeai_metadata", '{"app": 3}'))),
    "parameters in a comment": ("narrows", "content", commented),
    "AIPromptInformation": (
        "narrows",
        "content",
        lambda: jpeg(xmp_segment(xmp("<Iptc4xmpExt:AIPromptInformation>a harbour</Iptc4xmpExt:AIPromptInformation>"))),
    ),
    "DigitalSourceType": (
        "hints",
        "content",
        lambda: jpeg(xmp_segment(xmp("", f' Iptc4xmpExt:DigitalSourceType="{ALGORITHM}"'))),
    ),
    "a display's serial number": ("identifies", "device", lambda: profiled((b"mmod", MODEL))),
    "a display's name": ("narrows", "device", lambda: profiled((b"desc", described("Adas U2720Q 2024-05-03")))),
    "a display's maker": ("narrows", "device", lambda: profiled((b"dmnd", described("Dell Inc. U2720Q")))),
    "a standard profile": (
        "nothing",
        "",
        lambda: profiled((b"desc", described("sRGB IEC61966-2.1")), (b"dmdd", described("Display P3"))),
    ),
    "faces without names": ("narrows", "person", lambda: jpeg(xmp_segment(xmp(FACE)))),
    "a unique id": (
        "narrows",
        "content",
        lambda: jpeg(xmp_segment(xmp("", ' own:ContentIdentifier="0B2A-47"'))),
    ),
    "the GUID of a picture": (
        "narrows",
        "content",
        lambda: jpeg(xmp_segment(xmp("", ' Iptc4xmpExt:DigitalImageGUID="0B2A-47"'))),
    ),
    "no position": ("nothing", "", lambda: jpeg(exif_segment(gps(position=(((0, 1),) * 3, ((0, 1),) * 3))))),
    "a receiver without a fix": ("nothing", "", lambda: jpeg(exif_segment(status_only()))),
    "a void position": ("narrows", "place", lambda: jpeg(exif_segment(gps(ascii_field(9, "V"))))),
    "a position without sides": ("identifies", "place", lambda: jpeg(exif_segment(gps(sides=False)))),
    "a serial number of one letter": ("nothing", "", lambda: jpeg(exif_segment(tiff([ascii_field(0xC62F, "0")])))),
    "a camera's default text": (
        "nothing",
        "",
        lambda: jpeg(exif_segment(tiff([ascii_field(0x10E, "OLYMPUS DIGITAL CAMERA         ")]))),
    ),
    "a raw's JPEG": ("identifies", "device", rw2),
    "a small AVIF": ("identifies", "person", mini_avif),
    "nothing but pixels": ("nothing", "", picture),
}


def status_only() -> bytes:
    """A GPS directory as cameras write it that have no position."""
    inner = directory([(0, 1, 4, b"\2\3\0\0"), ascii_field(9, "V"), ascii_field(18, "WGS-84")], 26)
    return b"II*\0\x08\0\0\0" + directory([(0x8825, 4, 1, struct.pack("<I", 26))], 8) + inner


def named(name: bytes) -> Iterator[bytes]:
    """Small files that hold a name in one place each, in the clear.

    Args:
        name: what they hold.
    """
    text = name.decode()
    block = tiff([ascii_field(0x13B, text), short(0x112, 1)])
    packet = xmp(f"<dc:creator><rdf:Seq><rdf:li>{text}</rdf:li></rdf:Seq></dc:creator>")
    records = struct.pack(">BBBH", 0x1C, 2, 80, len(name)) + name
    resources = b"8BIM\4\4\0\0" + struct.pack(">I", len(records)) + records + bytes(len(records) & 1)
    mark = struct.pack(">I", len(name)) + name
    yield jpeg(exif_segment(block))
    yield jpeg(xmp_segment(packet))
    yield jpeg(segment(0xED, b"Photoshop 3.0\0" + resources))
    yield jpeg(segment(0xFE, name))
    yield jpeg(segment(0xE4, b"MAKER\0" + name))
    yield jpeg(behind=name)
    yield jpeg(behind=jpeg(exif_segment(block)))
    yield jpeg(behind=video(box(b"\xa9nam", struct.pack(">HH", len(name), 0) + name)))
    yield jpeg(behind=samsung((0xA01, b"Name_Data", name)))
    yield png(chunk(b"eXIf", block))
    yield png(chunk(b"tEXt", b"Author\0" + name), chunk(b"tEXt", name + b"\0x"))
    yield png(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet))
    yield png(chunk(b"prVt", name)) + name
    for form in ("WEBP", "GIF", "PNG"):
        yield encoded(gradient("P" if form == "GIF" else "RGB", size=(8, 8)), form) + name
    webp = encoded(gradient(size=(8, 8)), "WEBP", exif=b"Exif\0\0" + block, xmp=packet)
    yield webp
    yield heic(b"", exif=block)
    yield jxl(box(b"Exif", bytes(4) + block), box(b"xml ", packet), box(b"abcd", mark))
    yield tiff([ascii_field(0x13B, text), short(0x100, 8), short(0x101, 8)])
    yield tiff([ascii_field(0x13B, text)], big=True)
    yield tiff([short(0x100, 8), (0x111, 4, 1, bytes(4)), ascii_field(0xBEEF, text)], ">") + name
