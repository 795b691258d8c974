"""Files with a name in an odd place, written byte by byte: a clean copy without it exists, or none does."""

from __future__ import annotations

import binascii
import struct
import zlib
from collections.abc import Callable, Iterator

from tests.functions.exif import cases
from tests.functions.exif.containers import box
from tests.functions.exif.made import chunk, segment
from tests.functions.exif.tiffs import ascii_field, directory, long, short, tiff
from tests.images import encoded, gradient

NAME = b"Erika Mustermann"
BLOCK = tiff([ascii_field(0x13B, NAME.decode())])
EXIF = b"Exif\0\0" + BLOCK
XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"
PHOTO = cases.jpeg(segment(0xE1, EXIF))
TURNED = cases.xmp("", f'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6" tiff:Artist="{NAME.decode()}"')


def jpeg(*segments: bytes, behind: bytes = b"") -> bytes:
    return cases.jpeg(*segments, behind=behind)


def _in_scan(inner: bytes) -> bytes:
    """A progressive JPEG with segments before its last scan."""
    plain = encoded(gradient(), "JPEG", progressive=True)
    at = plain.rindex(b"\xff\xda")
    return plain[:at] + inner + plain[at:]


def _before_huffman(inner: bytes) -> bytes:
    plain = encoded(gradient(), "JPEG")
    at = plain.index(b"\xff\xc4")
    return plain[:at] + inner + plain[at:]


def mpo(*pictures: bytes, kind: int = 0x020002) -> bytes:
    """A JPEG with an index of the pictures behind it."""
    first = cases.picture()

    def index(offsets: list[int]) -> bytes:
        sizes = [len(first) + 4 + 8 + 2 + 3 * 12 + 4 + 16 * (len(pictures) + 1) + 2, *map(len, pictures)]
        entries = b"".join(
            struct.pack("<IIIHH", 0x030000 if at == 0 else kind, size, at, 0, 0)
            for at, size in zip([0, *offsets], sizes, strict=True)
        )
        fields = [(0xB000, 7, 4, b"0100"), long(0xB001, len(pictures) + 1), (0xB002, 7, len(entries), entries)]
        return segment(0xE2, b"MPF\0" + b"II*\0\x08\0\0\0" + directory(fields, 8))

    length = len(index([0] * len(pictures)))
    at, offsets = len(first) + length - 10, []
    for picture in pictures:
        offsets.append(at)
        at += len(picture)
    return first[:2] + index(offsets) + first[2:] + b"".join(pictures)


def png(before: bytes = b"", after: bytes = b"", behind: bytes = b"", end: bytes = b"") -> bytes:
    plain = encoded(gradient(), "PNG")
    last = len(plain) - 12
    return plain[:33] + before + plain[33:last] + after + chunk(b"IEND", end) + behind


def hexadecimal(name: bytes, content: bytes) -> bytes:
    return b"\n%s\n%8d\n%s\n" % (name, len(content), binascii.hexlify(content))


def itxt(keyword: bytes, text: bytes, language: bytes = b"", translated: bytes = b"") -> bytes:
    return chunk(b"iTXt", keyword + b"\0\0\0" + language + b"\0" + translated + b"\0" + text)


def webp_chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) & 1)


def webp(before: bytes = b"", after: bytes = b"", behind: bytes = b"", *, extended: bool = True) -> bytes:
    plain = encoded(gradient(), "WEBP", lossless=True)[12:]
    head = webp_chunk(b"VP8X", bytes((0x0C, 0, 0, 0, 63, 0, 0, 47, 0, 0))) if extended else b""
    body = b"WEBP" + head + before + plain + after
    return b"RIFF" + struct.pack("<I", len(body)) + body + behind


def animated_webp(inner: bytes) -> bytes:
    plain = encoded(gradient(), "WEBP", lossless=True)[12:]
    frame = bytes(6) + b"\x3f\0\0\x2f\0\0\x28\0\0\0" + plain + inner
    head = webp_chunk(b"VP8X", bytes((2, 0, 0, 0, 63, 0, 0, 47, 0, 0))) + webp_chunk(b"ANIM", bytes(6))
    body = b"WEBP" + head + webp_chunk(b"ANMF", frame)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def gif(extension: bytes = b"", behind: bytes = b"", before_end: bytes = b"") -> bytes:
    plain = encoded(gradient("P"), "GIF")
    at = 13 + (3 << ((plain[10] & 7) + 1))
    return plain[:at] + extension + plain[at:-1] + before_end + b";" + behind


def blocks(data: bytes) -> bytes:
    return bytes((len(data),)) + data


def item_file(*items: tuple[int, bytes, bytes], brand: bytes = b"mif1", more: bytes = b"", name: bytes = b"") -> bytes:
    """A HEIF of items, the first the primary picture, the others describing it.

    Args:
        items: number, what `infe` states behind the number, and content.
        brand: of the file.
        more: boxes of properties of the first item.
        name: of the first item.
    """
    infe = b""
    for index, (number, kind, _) in enumerate(items):
        stated = kind[:4] + name * (not index) + kind[4:]
        infe += box(b"infe", b"\2\0\0\0" + struct.pack(">HH", number, 0) + stated)
    references = b"".join(
        box(b"cdsc", struct.pack(">HHH", number, 1, items[0][0])) for number, kind, _ in items[1:] if kind[:1] != b"j"
    )
    sizes = box(b"ispe", bytes(4) + struct.pack(">II", 64, 48)) + more
    count = 1 + (len(more) > 0)
    ipma = box(b"ipma", bytes(4) + struct.pack(">IHB", 1, items[0][0], count) + bytes(range(1, count + 1)))
    head = box(b"ftyp", brand + bytes(4) + b"mif1" + brand)

    def meta(start: int) -> bytes:
        places = b"\x44\0" + struct.pack(">H", len(items))
        for number, _, body in items:
            places += struct.pack(">HHHII", number, 0, 1, start, len(body))
            start += len(body)
        parts = box(b"hdlr", bytes(8) + b"pict" + bytes(13)) + box(b"pitm", bytes(4) + struct.pack(">H", items[0][0]))
        parts += box(b"iinf", bytes(4) + struct.pack(">H", len(items)) + infe)
        if references:
            parts += box(b"iref", bytes(4) + references)
        parts += box(b"iprp", box(b"ipco", sizes) + ipma) + box(b"iloc", bytes(4) + places)
        return box(b"meta", bytes(4) + parts)

    return head + meta(len(head) + len(meta(0)) + 8) + box(b"mdat", b"".join(body for _, _, body in items))


def _property(more: bytes) -> bytes:
    return item_file((1, b"jpeg\0", cases.picture()), more=more)


def sequence(handler: bytes, sample: bytes, *, unplaced: bytes = b"") -> bytes:
    """An AVIF sequence with a second track of some kind."""

    def track(number: int, kind: bytes, entry: bytes, place: int, size: int) -> bytes:
        table = box(b"stsd", bytes(4) + struct.pack(">I", 1) + entry)
        table += box(b"stts", struct.pack(">IIII", 0, 1, 1, 1)) + box(b"stsc", struct.pack(">IIIII", 0, 1, 1, 1, 1))
        table += box(b"stsz", struct.pack(">IIII", 0, 0, 1, size)) + box(b"stco", struct.pack(">III", 0, 1, place))
        header = box(
            b"tkhd", bytes(12) + struct.pack(">I", number) + bytes(60) + struct.pack(">II", 64 << 16, 48 << 16)
        )
        minf = box(b"minf", box(b"nmhd", bytes(4)) + box(b"stbl", table))
        media = box(b"mdhd", bytes(24)) + box(b"hdlr", bytes(8) + kind + bytes(13)) + minf
        return box(b"trak", header + box(b"mdia", media))

    picture = b"\x12\0" + bytes(30)
    head = box(b"ftyp", b"avis" + bytes(4) + b"avismif1")

    def moov(start: int) -> bytes:
        first = track(1, b"pict", box(b"av01", bytes(78)), start, len(picture))
        second = track(2, handler, box(b"mett", bytes(8) + b"\0text/plain\0"), start + len(picture), len(sample))
        return box(b"moov", box(b"mvhd", bytes(100)) + first + second)

    body = picture + sample + unplaced
    return head + moov(len(head) + len(moov(0)) + 8) + box(b"mdat", body)


def jxl(*boxes: bytes) -> bytes:
    return cases.jxl(*boxes)


def jp2(*boxes: bytes, header: bytes = b"", codestream: bytes | None = None, first: bytes = b"") -> bytes:
    plain = encoded(gradient(), "JPEG2000")
    at = plain.index(b"jp2c") + 4
    stream = plain[at:] if codestream is None else codestream
    jp2h = plain.index(b"jp2h") - 4
    (size,) = struct.unpack_from(">I", plain, jp2h)
    inside = plain[jp2h + 8 : jp2h + size] + header
    return plain[:jp2h] + first + box(b"jp2h", inside) + box(b"jp2c", stream) + b"".join(boxes)


def tile_comment() -> bytes:
    """A codestream with a comment in the header of its first tile-part."""
    stream = encoded(gradient(), "JPEG2000", no_jp2=True)
    at = stream.index(b"\xff\x90")
    comment = b"\xff\x64" + struct.pack(">HH", len(NAME) + 4, 1) + NAME
    (length,) = struct.unpack_from(">I", stream, at + 6)
    head = stream[at : at + 6] + struct.pack(">I", length + len(comment) if length else 0) + stream[at + 10 : at + 12]
    return stream[:at] + head + comment + stream[at + 12 :]


def page(*extra: tuple[int, int, int, bytes], strip: bytes = bytes(12), compression: int = 1, big: bool = False,
         behind: bytes = b"", order: str = "<") -> bytes:  # fmt: skip
    """A TIFF of one strip, 2 × 2 pixels of three samples, and more entries."""
    fields = [short(0x100, 2, order=order), short(0x101, 2, order=order), short(0x102, 8, 8, 8, order=order)]
    fields += [short(0x103, compression, order=order), short(0x106, 2, order=order), short(0x115, 3, order=order)]
    fields += [long(0x117, len(strip), order=order), *extra]

    def built(place: int) -> bytes:
        return tiff(sorted([*fields, long(0x111, place, order=order)]), order, big)

    return built(len(built(0))) + strip + behind


def chained() -> bytes:
    """A second directory with a picture of its own and a name."""
    first = page(ascii_field(0x13B, NAME.decode()))
    count = struct.unpack_from("<H", first, 8)[0]
    link = 10 + 12 * count
    second = directory(
        sorted([short(0x100, 1), short(0x101, 1), short(0x103, 1), long(0x111, 8), long(0x117, 1),
                ascii_field(0x13B, NAME.decode())]), len(first))  # fmt: skip
    return first[:link] + struct.pack("<I", len(first)) + first[link + 4 :] + second


def pointing(tag: int, kind: int = 4) -> bytes:
    """An entry that leads to a directory with a name."""
    extra = (tag, kind, 1, struct.pack("<I", 0))
    first = page(extra)
    at = first.index(struct.pack("<HHI", tag, kind, 1)) + 8
    inner = directory([ascii_field(0x13B, NAME.decode())], len(first))
    return first[:at] + struct.pack("<I", len(first)) + first[at + 4 :] + inner


def psd(resources: bytes = b"", layers: bytes = b"", behind: bytes = b"") -> bytes:
    pixels = b"\0\0" + bytes(12)
    head = struct.pack(">4sH6xHIIHHI", b"8BPS", 1, 3, 2, 2, 8, 3, 0)
    return (
        head + struct.pack(">I", len(resources)) + resources + struct.pack(">I", len(layers)) + layers + pixels + behind
    )


def _marker(name: bytes, *, tile: bool = False) -> bytes:
    """A codestream with a segment of no known marker in its main header, or in that of its first tile-part."""
    stream = encoded(gradient(), "JPEG2000", no_jp2=True)
    segment_ = b"\xff\x6d" + struct.pack(">H", len(name) + 2) + name
    at = stream.index(b"\xff\x90")
    if not tile:
        return stream[:at] + segment_ + stream[at:]
    head = stream[at : at + 6] + bytes(4) + stream[at + 10 : at + 12]
    return stream[:at] + head + segment_ + stream[at + 12 :]


def _tables(table: bytes, marker: int) -> bytes:
    """A JPEG with a table that no scan uses, before its first table."""
    plain = cases.picture()
    at = plain.index(b"\xff\xdb")
    return plain[:at] + segment(marker, table) + plain[at:]


QUANTISATION = b"\3" + NAME * 4
CODES = b"\x13" + bytes((0, 2, 3, 2, *bytes(12))) + b"Erika M"


def _idat(change: Callable[[bytes], bytes]) -> bytes:
    """A PNG with its rows compressed anew, in two chunks."""
    plain = encoded(gradient(), "PNG")
    at = plain.index(b"IDAT") - 4
    (size,) = struct.unpack_from(">I", plain, at)
    stream = change(zlib.decompress(plain[at + 8 : at + 8 + size]))
    half = len(stream) - 9
    return plain[:at] + chunk(b"IDAT", stream[:half]) + chunk(b"IDAT", stream[half:]) + plain[at + 12 + size :]


def _codes(behind: bytes) -> bytes:
    """A GIF with bytes in a block behind the code that ends its picture."""
    plain = encoded(gradient("P"), "GIF")
    return plain[:-2] + blocks(behind) + plain[-2:]


def _typed(plain: bytes, more: bytes) -> bytes:
    """A file of boxes with further bytes in its `ftyp`."""
    at = plain.index(b"ftyp") - 4
    (size,) = struct.unpack_from(">I", plain, at)
    return plain[:at] + struct.pack(">I", size + len(more)) + plain[at + 4 : at + size] + more + plain[at + size :]


def resource(number: int, body: bytes, name: bytes = b"") -> bytes:
    label = blocks(name)
    label += bytes(len(label) & 1)
    return b"8BIM" + struct.pack(">H", number) + label + struct.pack(">I", len(body)) + body + bytes(len(body) & 1)


def layered(extra: bytes, behind: bytes = b"", name: bytes = b"Layer") -> bytes:
    """A PSD of one layer of one pixel, with additional information of the layer, and of the file."""
    label = blocks(name)
    label += bytes(-len(label) % 4)
    more = struct.pack(">II", 0, 0) + label + extra
    record = struct.pack(">IIIIH", 0, 0, 1, 1, 3) + b"".join(struct.pack(">hI", n, 3) for n in range(3))
    record += b"8BIMnorm" + bytes((255, 0, 0, 0)) + struct.pack(">I", len(more)) + more
    info = struct.pack(">h", 1) + record + b"\0\0\0" * 3
    info += bytes(len(info) & 1)
    return psd(layers=struct.pack(">I", len(info)) + info + struct.pack(">I", 0) + behind)


def information(key: bytes, body: bytes) -> bytes:
    return b"8BIM" + key + struct.pack(">I", len(body)) + body + bytes(len(body) & 1)


ICC_TEXT = b"text" + bytes(4) + NAME + b"\0"
VIDEO = cases.video(cases.location_box(NAME))
OBU = b"\x12\0" + bytes(30)
HIDDEN: dict[str, Callable[[], bytes]] = {
    # JPEG
    "jpeg: Exif twice": lambda: jpeg(segment(0xE1, EXIF), segment(0xE1, EXIF)),
    "jpeg: Exif before its last scan": lambda: _in_scan(segment(0xE1, EXIF)),
    "jpeg: XMP between tables": lambda: _before_huffman(segment(0xE1, XMP_HEADER + TURNED)),
    "jpeg: comment before its last scan": lambda: _in_scan(segment(0xFE, NAME)),
    "jpeg: junk between segments": lambda: _before_huffman(NAME),
    "jpeg: Exif without its header": lambda: jpeg(segment(0xE1, BLOCK)),
    "jpeg: XMP behind other bytes": lambda: jpeg(segment(0xE1, XMP_HEADER + NAME + TURNED)),
    "jpeg: XMP in a segment of another program": lambda: jpeg(segment(0xE5, XMP_HEADER + TURNED)),
    "jpeg: reserved markers": lambda: jpeg(segment(0xF3, NAME), segment(0xC8, NAME)),
    "jpeg: thumbnail of JFIF": lambda: jpeg(segment(0xE0, b"JFIF\0\1\2\0\0\1\0\1\1\1" + NAME)),
    "jpeg: bytes behind Adobe's transform": lambda: jpeg(segment(0xEE, b"Adobe\0\x64\0\0\0\0\0" + NAME)),
    "jpeg: profile in pieces that do not add up": lambda: jpeg(segment(0xE2, b"ICC_PROFILE\0\1\3" + NAME)),
    "jpeg: Photoshop resource of no number": lambda: jpeg(segment(0xED, b"Photoshop 3.0\0" + resource(0x7777, NAME))),
    "jpeg: name of a Photoshop resource": lambda: jpeg(
        segment(0xED, b"Photoshop 3.0\0" + resource(0x3ED, bytes(16), NAME))
    ),
    "jpeg: junk behind Photoshop resources": lambda: jpeg(
        segment(0xED, b"Photoshop 3.0\0" + resource(0x3ED, bytes(16)) + NAME)
    ),
    "jpeg: a table of quantisation that no scan uses": lambda: _tables(QUANTISATION, 0xDB),
    "jpeg: a table of codes that no scan uses": lambda: _tables(CODES.replace(b"Erika M", NAME[:7]), 0xC4),
    "jpeg: a JPEG behind it": lambda: jpeg(behind=PHOTO),
    "jpeg: a video behind it": lambda: jpeg(behind=VIDEO),
    "jpeg: Samsung's records behind it": lambda: jpeg(behind=cases.samsung((0x0A01, b"Image_UTC_Data", NAME))),
    "jpeg: a PNG behind it": lambda: jpeg(behind=png(chunk(b"tEXt", b"Author\0" + NAME))),
    "jpeg: a ZIP archive behind it": lambda: jpeg(behind=b"PK\3\4" + NAME),
    "jpeg: second picture of an index": lambda: mpo(PHOTO),
    "jpeg: third picture of an index": lambda: mpo(cases.picture(), PHOTO),
    "jpeg: preview of an index": lambda: mpo(PHOTO, kind=0x010001),
    "jpeg: gain map with Exif": lambda: mpo(
        cases.jpeg(segment(0xE1, EXIF), segment(0xE1, XMP_HEADER + b'<x hdrgm:Version="1.0"/>')), kind=0
    ),
    "jpeg: picture of an index behind a gap": lambda: mpo(cases.picture() + NAME, PHOTO),
    # PNG
    "jpeg: an MPF segment without a valid index": lambda: jpeg(segment(0xE2, b"MPF\0" + NAME)),
    "png: Exif behind the picture": lambda: png(after=chunk(b"eXIf", BLOCK)),
    "png: Exif before and behind the picture": lambda: png(chunk(b"eXIf", BLOCK), chunk(b"eXIf", BLOCK)),
    "png: raw profile of Exif": lambda: png(
        chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(hexadecimal(b"exif", EXIF)))
    ),
    "png: raw profile of APP1 with XMP": lambda: png(
        chunk(b"tEXt", b"Raw profile type APP1\0" + hexadecimal(b"generic", XMP_HEADER + TURNED))
    ),
    "png: name inside a raw profile": lambda: png(
        chunk(b"tEXt", b"Raw profile type exif\0" + hexadecimal(NAME, b"Exif\0\0" + tiff([short(0x112, 6)])))
    ),
    "png: digits behind a raw profile": lambda: png(
        chunk(
            b"tEXt",
            b"Raw profile type exif\0" + hexadecimal(b"exif", tiff([short(0x112, 6)])) + binascii.hexlify(NAME),
        )
    ),
    "png: bytes behind the compressed profile": lambda: png(
        chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(cases.profile()) + NAME)
    ),
    "png: name of a profile": lambda: png(chunk(b"iCCP", NAME + b"\0\0" + zlib.compress(cases.profile()))),
    "png: translated keyword of XMP": lambda: png(itxt(b"XML:com.adobe.xmp", TURNED, translated=NAME)),
    "png: language of XMP": lambda: png(itxt(b"XML:com.adobe.xmp", TURNED, language=NAME * 2)),
    "png: text behind the picture": lambda: png(after=chunk(b"tEXt", b"Comment\0" + NAME)),
    "png: keyword of a text": lambda: png(chunk(b"tEXt", NAME + b"\0x")),
    "png: text without a keyword": lambda: png(chunk(b"tEXt", NAME)),
    "png: unknown chunk": lambda: png(chunk(b"naMe", NAME)),
    "png: content of the last chunk": lambda: png(end=NAME),
    "png: behind the end": lambda: png(behind=NAME),
    "png: a chunk of resolution with more": lambda: png(chunk(b"pHYs", struct.pack(">IIB", 9, 9, 1) + NAME)),
    "png: a transparent colour with more": lambda: png(chunk(b"tRNS", bytes(6) + NAME)),
    "png: a chunk of gamma with more": lambda: png(chunk(b"gAMA", struct.pack(">I", 45455) + NAME)),
    "png: name of a palette": lambda: png(chunk(b"sPLT", NAME + b"\0\x08" + bytes(6))),
    "png: behind the end of the zlib stream": lambda: _idat(lambda rows: zlib.compress(rows) + NAME),
    "png: rows beyond the picture": lambda: _idat(lambda rows: zlib.compress(rows + NAME, 0)),
    "png: a histogram": lambda: png(chunk(b"hIST", NAME)),
    "png: a suggested palette of true colour": lambda: png(chunk(b"PLTE", NAME + b"  ")),
    # WebP
    "webp: Exif before the picture": lambda: webp(webp_chunk(b"EXIF", BLOCK)),
    "webp: Exif and XMP twice": lambda: webp(
        webp_chunk(b"EXIF", BLOCK) + webp_chunk(b"XMP ", TURNED),
        webp_chunk(b"XMP ", TURNED) + webp_chunk(b"EXIF", EXIF),
    ),
    "webp: Exif without flags": lambda: webp(after=webp_chunk(b"EXIF", BLOCK), extended=False),
    "webp: unknown chunk": lambda: webp(after=webp_chunk(b"NAME", NAME)),
    "webp: a RIFF list": lambda: webp(after=webp_chunk(b"LIST", b"INFO" + webp_chunk(b"IART", NAME))),
    "webp: a second picture": lambda: webp(after=webp_chunk(b"VP8L", NAME)),
    "webp: a header with more": lambda: webp(webp_chunk(b"VP8X", bytes(10) + NAME), extended=False),
    "webp: behind the end": lambda: webp(behind=NAME),
    "webp: Exif behind the end": lambda: webp(behind=webp_chunk(b"EXIF", BLOCK)),
    "webp: unknown chunk in a frame": lambda: animated_webp(webp_chunk(b"EXIF", BLOCK)),
    "webp: bytes behind the chunks of a frame": lambda: animated_webp(NAME[:5]) + webp_chunk(b"NAME", NAME),
    # GIF
    "gif: comment": lambda: gif(b"!\xfe" + blocks(NAME) + b"\0"),
    "gif: XMP": lambda: gif(b"!\xff\x0bXMP DataXMP" + TURNED + b"\1" + bytes(range(255, -1, -1)) + b"\0"),
    "gif: unknown application": lambda: gif(b"!\xff\x0bErikaMuster" + blocks(NAME) + b"\0"),
    "gif: unknown extension": lambda: gif(b"!\x77" + blocks(NAME) + b"\0"),
    "gif: plain text": lambda: gif(b"!\1\x0c" + bytes(12) + blocks(NAME) + b"\0"),
    "gif: blocks behind a graphic control": lambda: gif(b"!\xf9\4\0\5\0\0" + blocks(NAME) + b"\0"),
    "gif: blocks behind the number of loops": lambda: gif(b"!\xff\x0bNETSCAPE2.0\3\1\0\0" + blocks(NAME) + b"\0"),
    "gif: comment behind the picture": lambda: gif(before_end=b"!\xfe" + blocks(NAME) + b"\0"),
    "gif: behind the end": lambda: gif(behind=NAME),
    "gif: behind the code that ends the picture": lambda: _codes(NAME),
    # HEIF
    "heif: type of a segment": lambda: item_file((1, b"jpeg\0", cases.picture())) + box(b"styp", NAME),
    "heif: index of segments": lambda: item_file((1, b"jpeg\0", cases.picture())) + box(b"sidx", NAME),
    "heif: a group with more": lambda: (
        item_file((1, b"jpeg\0", cases.picture()))
        + box(b"moov", box(b"grpl", box(b"altr", struct.pack(">IIII", 0, 1, 1, 1) + NAME)))
    ),
    "heif: a group of no known kind": lambda: (
        item_file((1, b"jpeg\0", cases.picture())) + box(b"moov", box(b"grpl", box(b"name", NAME)))
    ),
    "heif: sub-samples with more": lambda: _property(box(b"subs", bytes(8) + NAME)),
    "heif: a type with more": lambda: _typed(item_file((1, b"jpeg\0", cases.picture())), NAME),
    "heif: Exif of a JPEG item": lambda: item_file((1, b"jpeg\0", PHOTO)),
    "heif: Exif of a second JPEG item": lambda: item_file((1, b"jpeg\0", cases.picture()), (2, b"jpeg\0", PHOTO)),
    "heif: two Exif items": lambda: item_file(
        (1, b"jpeg\0", cases.picture()), (2, b"Exif\0", bytes(4) + BLOCK), (3, b"Exif\0", bytes(4) + BLOCK)
    ),
    "heif: XMP item": lambda: item_file((1, b"jpeg\0", cases.picture()), (2, b"mime\0application/rdf+xml\0", TURNED)),
    "heif: text item": lambda: item_file((1, b"jpeg\0", cases.picture()), (2, b"mime\0text/plain\0", NAME)),
    "heif: item of a URI": lambda: item_file((1, b"jpeg\0", cases.picture()), (2, b"uri \0urn:x\0", NAME)),
    "heif: name of an item": lambda: item_file((1, b"jpeg\0", cases.picture()), name=NAME),
    "heif: description of an item": lambda: item_file(
        (1, b"jpeg\0", cases.picture()), more=box(b"udes", bytes(4) + b"en\0" + NAME + b"\0\0\0")
    ),
    "heif: alternate text of an item": lambda: _property(box(b"altt", bytes(4) + NAME + b"\0en\0")),
    "heif: a size with more": lambda: _property(box(b"ispe", bytes(4) + struct.pack(">II", 64, 48) + NAME)),
    "heif: depths with more": lambda: _property(box(b"pixi", b"\0\0\0\0\3\x08\x08\x08" + NAME)),
    "heif: colours of no known kind": lambda: _property(box(b"colr", b"name" + NAME)),
    "heif: kind of an auxiliary picture": lambda: _property(box(b"auxC", bytes(4) + NAME + b"\0")),
    "heif: a reference to another file": lambda: (
        item_file((1, b"jpeg\0", cases.picture()))
        + box(b"dinf", box(b"dref", struct.pack(">II", 0, 1) + box(b"url ", bytes(4) + NAME)))
    ),
    "heif: a second type": lambda: item_file((1, b"jpeg\0", cases.picture())) + box(b"ftyp", NAME),
    "heif: bytes that no item has": lambda: item_file((1, b"jpeg\0", cases.picture())) + box(b"mdat", NAME),
    "heif: a user's box": lambda: item_file((1, b"jpeg\0", cases.picture())) + box(b"uuid", bytes(16) + NAME),
    "heif: free space": lambda: item_file((1, b"jpeg\0", cases.picture())) + box(b"free", NAME),
    "heif: behind the last box": lambda: item_file((1, b"jpeg\0", cases.picture())) + NAME,
    "heif: a track of metadata": lambda: sequence(b"meta", NAME),
    "heif: a track of sound": lambda: sequence(b"soun", NAME),
    "heif: bytes beside the samples": lambda: sequence(b"auxv", OBU, unplaced=NAME),
    "heif: minimized": lambda: cases.mini_avif(NAME.decode()),
    # JPEG XL
    "jxl: Exif": lambda: jxl(box(b"Exif", bytes(4) + BLOCK)),
    "jxl: compressed XMP": lambda: jxl(box(b"brob", b"xml " + cases.stored_brotli(TURNED))),
    "jxl: unknown box": lambda: jxl(box(b"name", NAME)),
    "jxl: a user's box": lambda: jxl(box(b"uuid", bytes(16) + NAME)),
    "jxl: a second codestream": lambda: jxl(box(b"jxlc", NAME)),
    "jxl: index of frames": lambda: jxl(box(b"jxli", NAME)),
    "jxl: a type with more": lambda: _typed(jxl(), NAME),
    "jxl: behind the last box": lambda: jxl() + NAME,
    # JPEG 2000
    "jp2: Exif": lambda: jp2(box(b"uuid", b"JpgTiffExif->JP2" + BLOCK)),
    "jp2: XML before the picture": lambda: jp2(first=box(b"xml ", b"<a>" + NAME + b"</a>")),
    "jp2: unknown user's box": lambda: jp2(box(b"uuid", bytes(16) + NAME)),
    "jp2: list of addresses": lambda: jp2(box(b"uinf", box(b"ulst", b"\0\0") + box(b"url ", bytes(4) + NAME))),
    "jp2: label in an association": lambda: jp2(box(b"asoc", box(b"lbl ", NAME))),
    "jp2: rights": lambda: jp2(box(b"jp2i", NAME)),
    "jp2: unknown box in the header": lambda: jp2(header=box(b"name", NAME)),
    "jp2: XML in the header": lambda: jp2(header=box(b"xml ", NAME)),
    "jp2: colours of a vendor": lambda: jp2(header=box(b"colr", b"\4\0\0" + NAME)),
    "jp2: colours with more": lambda: jp2(header=box(b"colr", b"\1\0\0" + struct.pack(">I", 16) + NAME)),
    "jp2: a resolution with more": lambda: jp2(header=box(b"res ", box(b"resc", bytes(10) + NAME))),
    "jp2: comment of a tile": lambda: jp2(codestream=tile_comment()),
    "j2c: comment of a tile": tile_comment,
    "jp2: requirements with more": lambda: jp2(first=box(b"rreq", b"\1\x80\x80" + bytes(4) + NAME)),
    "jp2: features of vendors": lambda: jp2(first=box(b"rreq", b"\1\x80\x80\0\0\0\1" + NAME + b"\x80")),
    "jp2: a palette outside the header": lambda: jp2(box(b"pclr", NAME)),
    "jp2: a resolution outside the header": lambda: jp2(box(b"res ", NAME)),
    "jp2: a second type": lambda: jp2(box(b"ftyp", NAME)),
    "j2c: marker of no known kind": lambda: _marker(NAME),
    "j2c: marker of no known kind in a tile": lambda: _marker(NAME, tile=True),
    "j2c: behind the end of a tile without a length": lambda: _marker(b"", tile=True) + NAME,
    "j2c: behind the end": lambda: encoded(gradient(), "JPEG2000", no_jp2=True) + NAME,
    # TIFF
    "tiff: a second page": chained,
    "tiff: a private directory": lambda: pointing(0xC4A5),
    "tiff: a pointer of type 13": lambda: pointing(0x8769, 13),
    "tiff: SubIFD without a picture": lambda: pointing(0x14A),
    "tiff: text in a tag of the picture": lambda: page(ascii_field(0x129, NAME.decode())),
    "tiff: bytes in a tag of the picture": lambda: page((0x10A, 1, len(NAME), NAME)),
    "tiff: a gap": lambda: page(behind=NAME),
    "tiff: big, with a private tag": lambda: page(ascii_field(0xC000, NAME.decode()), big=True),
    "tiff: big-endian, with a copyright": lambda: page((0x8298, 2, len(NAME), NAME), order=">"),
    "tiff: a WebP with Exif in a strip": lambda: page(strip=webp(webp_chunk(b"EXIF", BLOCK)), compression=50001),
    "tiff: a JP2 in a strip": lambda: page(strip=jp2(box(b"xml ", NAME)), compression=34712),
    "tiff: a codestream with a comment in a strip": lambda: page(strip=tile_comment(), compression=34712),
    "tiff: a JPEG XL in a strip": lambda: page(strip=jxl(box(b"xml ", NAME)), compression=50002),
    "tiff: a JPEG with Exif in a strip": lambda: page(strip=PHOTO, compression=7),
    "tiff: a JPEG behind a JPEG in a strip": lambda: page(strip=cases.picture() + PHOTO, compression=7),
    "tiff: a PNG in a strip": lambda: page(strip=png(chunk(b"tEXt", b"Author\0" + NAME)), compression=34933),
    "tiff: tables with a comment": lambda: page(
        (0x15B, 7, len(NAME) + 8, b"\xff\xd8" + segment(0xFE, NAME) + b"\xff\xd9"), strip=cases.picture(), compression=7
    ),
    # PSD
    "psd: unknown resource": lambda: psd(resource(0x7777, NAME)),
    "psd: name of a resource": lambda: psd(resource(0x3ED, bytes(16), NAME)),
    "psd: thumbnail": lambda: psd(resource(0x40C, bytes(28) + PHOTO)),
    "psd: behind the picture": lambda: psd(behind=NAME),
    "psd: name of a layer": lambda: layered(b"", name=NAME),
    "psd: Unicode name of a layer": lambda: layered(
        information(b"luni", struct.pack(">I", len(NAME)) + NAME.decode().encode("utf-16-be"))
    ),
    "psd: a file that a layer links": lambda: layered(b"", information(b"lnk2", PHOTO)),
    "psd: a layer's private information": lambda: layered(information(b"zzzz", NAME)),
}


def traces() -> Iterator[bytes]:
    """The name in the forms that a file may have it in."""
    yield NAME
    yield NAME.decode().encode("utf-16-be")
    yield binascii.hexlify(NAME)
    yield zlib.compress(hexadecimal(b"exif", EXIF))[:40]
