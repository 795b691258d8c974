"""PNG and APNG: chunks (PNG 3, 5), their text, and the raw profiles that ImageMagick and others put into text."""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from struct import pack, unpack_from

from functions.kit.containers import packing
from functions.kit.containers.packing import ContainerError, Packing
from functions.kit.containers.parts import Changes, Document, Kind, Part, Splices, filler
from functions.kit.containers.source import Source

MAX_CHUNKS = 100_000
XMP_KEYWORD = b"XML:com.adobe.xmp"
RAW_PROFILE = b"Raw profile type "
# Ancillary chunks that decide how the picture looks or moves, and the longest content of each: decoders pass over a
# longer one, which may hold anything.
LONGEST = {b"tRNS": 256, b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"sBIT": 4, b"bKGD": 6, b"pHYs": 9}
LONGEST |= {b"acTL": 8, b"fcTL": 26, b"cICP": 4, b"mDCV": 24, b"mDCv": 24, b"cLLI": 8, b"cLLi": 8}
PALETTE = 3
TRANSPARENT = {0: 2, 2: 6}  # bytes of the transparent colour, by colour type; of palettes a byte an entry
CRITICAL = frozenset((b"IHDR", b"PLTE", b"IEND"))
# What the raw profiles hold, by their names.
PROFILES = {
    b"xmp": Kind.XMP,
    b"icc": Kind.ICC,
    b"icm": Kind.ICC,
    b"iptc": Kind.IPTC,
    b"8bim": Kind.IPTC,
    b"exif": Kind.EXIF,
    b"app1": Kind.EXIF,
}


def read(source: Source) -> Document:
    """Read a PNG's chunks: those after the picture too, where editors append theirs."""
    document = Document(source, "PNG", "image/png")
    data, at, end = source.data, 8, source.size
    document.add(Kind.STRUCTURE, 0, min(8, end))
    pictures = 0
    for _ in range(MAX_CHUNKS):
        if at + 12 > end or (source.holes and not source.held(at, at + 8)):
            if at < end:
                document.warn("the file ends inside a chunk")
            break
        length, kind = unpack_from(">I4s", data, at)
        start, stop = at + 8, at + 8 + length
        if stop > end:
            document.warn(f"the file ends inside chunk {_printable(kind)}")
            if kind not in _HEADERS and kind not in _CONTENTS and kind not in (b"IDAT", b"fdAT"):
                break
            stop = end
        following = min(stop + 4, end)
        pictures += kind == b"IDAT"
        document.parts.append(_chunk(document, kind, at, start, stop, following))
        at = following
        if kind == b"IEND":
            break
    else:
        document.broken = f"more than {MAX_CHUNKS:,} chunks"
    if at < end:
        document.add(filler(source, at, end, Kind.TRAILER), at, end, "after IEND")
    if not pictures:
        document.broken = document.broken or "it ends before its picture"
    return document


def longest(document: Document, kind: bytes) -> int:
    """Bytes of the longest content of a chunk that decides how the picture looks; -1 of any other."""
    most = LONGEST.get(kind, -1)
    if kind == b"PLTE" and "color_type" in document.details:
        # A palette is suggested, and not used, where pixels have colours of their own.
        return 3 << min(int(document.details["bits_per_sample"]), 8) if document.details["color_type"] == PALETTE else 0
    return TRANSPARENT.get(int(document.details.get("color_type", -1)), most) if kind == b"tRNS" else most


def _printable(kind: bytes) -> str:
    return kind.decode("latin-1") if kind.isalpha() else kind.hex()


def _chunk(document: Document, kind: bytes, at: int, start: int, stop: int, end: int) -> Part:
    """One chunk as a part."""
    label = _printable(kind)
    if kind in (b"IDAT", b"fdAT"):
        return Part(Kind.PIXELS, at, end, label, "", start, stop, key=kind)
    if kind in _HEADERS:
        _HEADERS[kind](document, document.source.read(start, stop))
    most = longest(document, kind)
    if (kind in CRITICAL and most) or stop - start <= most:
        return Part(Kind.STRUCTURE, at, end, label, "", start, stop, key=kind)
    if kind in _CONTENTS:
        found, skipped, packed, name = _CONTENTS[kind](document.source.read(start, stop))
        return Part(found, at, end, label, name, start + skipped, stop, packed, key=kind)
    unknown = Kind.ESSENTIAL if kind[:1].isupper() and kind not in CRITICAL else Kind.UNKNOWN
    return Part(unknown, at, end, label, "", start, stop, key=kind)


def _header(document: Document, body: bytes) -> None:
    if len(body) >= 13 and document.width is None:
        width, height, bits, colour, compression, filtering, interlace = unpack_from(">IIBBBBB", body)
        document.width, document.height = width, height
        document.details.update(
            bits_per_sample=bits,
            color_type=colour,
            compression=compression,
            filter=filtering,
            interlace=interlace,
        )


def _animation(document: Document, body: bytes) -> None:
    if len(body) >= 8:
        document.frames = unpack_from(">I", body)[0] or 1
        document.format, document.media_type = "APNG", "image/apng"


def _resolution(document: Document, body: bytes) -> None:
    if len(body) >= 9:
        x, y, unit = unpack_from(">IIB", body)
        document.details.update(pixels_per_unit_x=x, pixels_per_unit_y=y, pixel_units=unit)


def _time(document: Document, body: bytes) -> None:
    if len(body) >= 7:
        year, *rest = unpack_from(">HBBBBB", body)
        document.details["modified"] = "{:04d}:{:02d}:{:02d} {:02d}:{:02d}:{:02d}".format(year, *rest)


_HEADERS = {b"IHDR": _header, b"acTL": _animation, b"pHYs": _resolution, b"tIME": _time}

# Kind, length of what precedes the content, packing, name.
Found = tuple[Kind, int, Packing, str]


def _exif(body: bytes) -> Found:
    return Kind.EXIF, 6 if body.startswith(b"Exif\0\0") else 0, Packing.PLAIN, ""  # some writers keep JPEG's header


def _compressed_exif(body: bytes) -> Found:
    return Kind.EXIF, 5, Packing.UNKNOWN if len(body) < 6 or body[0] else Packing.ZLIB, "compressed"


def _profile(body: bytes) -> Found:
    name, separator, rest = body.partition(b"\0")
    if not separator or not rest:
        return Kind.UNKNOWN, 0, Packing.PLAIN, "broken"
    return Kind.ICC, len(name) + 2, Packing.ZLIB, name.decode("latin-1")


def _text(body: bytes) -> Found:
    keyword, separator, _ = body.partition(b"\0")
    if not separator:
        return Kind.UNKNOWN, 0, Packing.PLAIN, "broken"
    return _named(keyword, len(keyword) + 1, packed=False)


def _compressed_text(body: bytes) -> Found:
    keyword, separator, rest = body.partition(b"\0")
    if not separator or not rest:
        return Kind.UNKNOWN, 0, Packing.PLAIN, "broken"
    return _named(keyword, len(keyword) + 2, packed=True)


def _international_text(body: bytes) -> Found:
    keyword, _, rest = body.partition(b"\0")
    fields = rest[2:].split(b"\0", 2)
    if len(fields) < 3 or rest[0] > 1:
        return Kind.UNKNOWN, 0, Packing.PLAIN, "broken"
    return _named(keyword, len(body) - len(fields[2]), packed=rest[0] == 1)


def _named(keyword: bytes, skipped: int, *, packed: bool) -> Found:
    """One text chunk: a packet, a raw profile in hexadecimal, or just text."""
    packing_ = Packing.ZLIB if packed else Packing.PLAIN
    name = keyword.decode("latin-1")
    if keyword == XMP_KEYWORD:
        return Kind.XMP, skipped, packing_, ""
    if not keyword.lower().startswith(RAW_PROFILE.lower()):
        return Kind.TEXT, skipped, packing_, name
    kind = PROFILES.get(keyword[len(RAW_PROFILE) :].lower(), Kind.TEXT)
    return kind, skipped, Packing.ZLIB_HEX if packed else Packing.HEX, name


def _container(_body: bytes) -> Found:
    return Kind.JUMBF, 0, Packing.PLAIN, ""


def _modified(_body: bytes) -> Found:
    return Kind.TIME, 0, Packing.PLAIN, ""


_CONTENTS = {
    b"eXIf": _exif,
    b"exIf": _exif,
    b"zxIf": _compressed_exif,
    b"iCCP": _profile,
    b"tEXt": _text,
    b"zTXt": _compressed_text,
    b"iTXt": _international_text,
    b"caBX": _container,
    b"tIME": _modified,
}


def write(document: Document, changes: Changes, added: Mapping[Kind, bytes]) -> bytes:
    """The file with new content in some chunks, without others, and with new ones before the picture.

    Raises:
        ContainerError: a kind of block that a PNG has no chunk for.
    """
    edits: dict[tuple[int, int], bytes] = {}
    for part, content in changes.items():
        new = b""
        if content is not None and part.key is None:
            new = content
        elif content is not None:
            head = document.source.read(part.start + 8, part.body)
            new = _encode(part.key, head + packing.pack(part.packing, content, part.name))
        edits[part.start, part.end] = new
    if added:
        first = next((part for part in document.parts if part.kind is Kind.PIXELS), document.parts[-1])
        edits[first.start, first.start] = b"".join(_new(kind, content) for kind, content in added.items())
    return Splices(document.source, edits).join()


def _encode(kind: bytes, body: bytes) -> bytes:
    return pack(">I", len(body)) + kind + body + pack(">I", binascii.crc32(kind + body))


def _new(kind: Kind, content: bytes) -> bytes:
    heads: dict[Kind, tuple[bytes, bytes]] = {
        Kind.EXIF: (b"eXIf", b""),
        Kind.XMP: (b"iTXt", XMP_KEYWORD + bytes(5)),
    }
    if kind not in heads:
        raise ContainerError(f"a block of kind {kind} cannot be added to a PNG")
    chunk, head = heads[kind]
    return _encode(chunk, head + content)
