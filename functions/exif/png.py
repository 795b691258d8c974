"""PNG and APNG: chunks, their text, and the raw profiles that ImageMagick and others put into text."""

from __future__ import annotations

import binascii
from struct import unpack_from

from functions.exif import jpeg, photoshop, trailer
from functions.exif.blocks import Scan

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_CHUNKS = 100_000
XMP_KEYWORD = "XML:com.adobe.xmp"
RAW_PROFILE = "Raw profile type "
# Chunks of a fixed form, with the most bytes that each may have; those of the picture itself may have any number.
PIXELS = 2**31
STRUCTURE = {
    b"IDAT": PIXELS,
    b"fdAT": PIXELS,
    b"IEND": 0,
    b"IHDR": 13,
    b"PLTE": 768,
    b"tRNS": 256,
    b"hIST": 512,
    b"acTL": 8,
    b"fcTL": 26,
    b"bKGD": 6,
    b"cHRM": 32,
    b"cICP": 4,
    b"cLLI": 8,
    b"mDCV": 24,
    b"gAMA": 4,
    b"sBIT": 4,
    b"sRGB": 1,
    b"sTER": 1,
    b"oFFs": 9,
    b"pHYs": 9,
    b"tIME": 7,
    b"gIFg": 4,
    b"vpAg": 9,
    b"iDOT": 28,
    b"orNT": 1,
}


def scan(data: bytes) -> Scan:
    """Read a PNG's chunks: those after the picture too, where editors append theirs."""
    result = Scan("PNG", "image/png")
    position, end, last = 8, len(data), 0
    for _ in range(MAX_CHUNKS):
        if position + 12 > end:
            if position < end:
                result.warn("the file ends inside a chunk")
            # Without an end, the last chunk may be anything.
            result.miss("picture", "a picture without IEND", last, end - last)
            return result
        last = position
        length, kind = unpack_from(">I4s", data, position)
        start = position + 8
        if start + length > end:
            result.warn(f"the file ends inside chunk {_printable(kind)}")
            length = end - start
            result.miss("chunk", _printable(kind), start, length)
        _chunk(result, kind, data, start, length)
        position = min(start + length + 4, end)
        if kind == b"IEND":
            trailer.after(result, data, position, jpeg.picture_end)
            return result
    result.warn(f"more than {MAX_CHUNKS:,} chunks; the rest is ignored")
    result.miss("limit", "chunks", position, end - position)
    return result


def _chunk(result: Scan, kind: bytes, data: bytes, start: int, length: int) -> None:
    """Read one chunk; what its format does not account for is recorded as not read."""
    reader = _READERS.get(kind)
    if reader is not None:
        reader(result, data[start : start + length], start)
    expected = STRUCTURE.get(kind, 0 if reader is None else length)
    if length > expected:
        result.miss("chunk", _printable(kind), start + expected, length - expected)


def _printable(kind: bytes) -> str:
    return kind.decode("latin-1") if kind.isalpha() else kind.hex()


def _header(result: Scan, body: bytes, _start: int) -> None:
    if len(body) >= 13 and result.width is None:
        width, height, bits, colour, compression, filtering, interlace = unpack_from(">IIBBBBB", body)
        result.width, result.height = width, height
        result.details.update(
            bits_per_sample=bits,
            color_type=colour,
            compression=compression,
            filter=filtering,
            interlace=interlace,
        )


def _animation(result: Scan, body: bytes, _start: int) -> None:
    if len(body) >= 8:
        result.frames = unpack_from(">I", body)[0] or 1
        result.format, result.media_type = "APNG", "image/apng"


def _jumbf(result: Scan, body: bytes, start: int) -> None:
    result.add("jumbf", start, body, "caBX")


def _exif(result: Scan, body: bytes, start: int) -> None:
    skipped = 6 if body.startswith(b"Exif\0\0") else 0  # some writers keep JPEG's header
    result.add("exif", start + skipped, body[skipped:], "eXIf")


def _compressed_exif(result: Scan, body: bytes, _start: int) -> None:
    inflated = result.inflate(body[5:], "zxIf") if len(body) > 5 and not body[0] else None
    if inflated is None:
        result.miss("chunk", "zxIf", -1, len(body))
    if inflated:
        result.add("exif", -1, inflated, "zxIf")


def _profile(result: Scan, body: bytes, _start: int) -> None:
    name, separator, rest = body.partition(b"\0")
    if separator:
        inflated = result.inflate(rest[1:], "iCCP")
        if inflated:
            result.add("icc", -1, inflated, "iCCP", name.decode("latin-1"))
    else:
        result.miss("chunk", "iCCP", -1, len(body))


def _resolution(result: Scan, body: bytes, _start: int) -> None:
    if len(body) >= 9:
        x, y, unit = unpack_from(">IIB", body)
        result.details.update(pixels_per_unit_x=x, pixels_per_unit_y=y, pixel_units=unit)


def _time(result: Scan, body: bytes, _start: int) -> None:
    if len(body) >= 7:
        year, *rest = unpack_from(">HBBBBB", body)
        result.details["modified"] = "{:04d}:{:02d}:{:02d} {:02d}:{:02d}:{:02d}".format(year, *rest)


def _text(result: Scan, body: bytes, start: int) -> None:
    keyword, separator, rest = body.partition(b"\0")
    if separator:
        _keep(result, keyword.decode("latin-1"), rest, start + len(keyword) + 1, "tEXt")
    else:
        result.miss("chunk", "tEXt", start, len(body))


def _compressed_text(result: Scan, body: bytes, _start: int) -> None:
    keyword, separator, rest = body.partition(b"\0")
    if separator:
        inflated = result.inflate(rest[1:], "zTXt")
        if inflated is not None:
            _keep(result, keyword.decode("latin-1"), inflated, -1, "zTXt")
    else:
        result.miss("chunk", "zTXt", -1, len(body))


def _international_text(result: Scan, body: bytes, start: int) -> None:
    keyword, separator, rest = body.partition(b"\0")
    compressed = rest[:1] == b"\1"
    parts = rest[2:].split(b"\0", 2)
    if not separator or len(parts) < 3 or rest[0] > 1:
        result.miss("chunk", "iTXt", start, len(body))
        return
    if parts[1]:
        result.add("text", -1, parts[1], "iTXt", f"{keyword.decode('latin-1')} (translated keyword)")
    text: bytes | None = parts[2]
    offset = start + len(body) - len(parts[2])
    if compressed:
        text, offset = result.inflate(parts[2], "iTXt"), -1
    if text is not None:
        _keep(result, keyword.decode("latin-1"), text, offset, "iTXt")


def _keep(result: Scan, keyword: str, text: bytes, offset: int, where: str) -> None:
    """One text chunk: a packet, a raw profile in hexadecimal, or just text."""
    if keyword == XMP_KEYWORD:
        result.add("xmp", offset, text, where)
        return
    if keyword.startswith(RAW_PROFILE):
        profile = _raw_profile(text)
        if profile is None:
            result.warn(f"{where}: broken {keyword!r}")
            result.miss("raw profile", where, offset, len(text))
            return
        _keep_profile(result, keyword[len(RAW_PROFILE) :].lower(), profile, where)
        return
    result.add("text", offset, text, where, keyword)


def _raw_profile(text: bytes) -> bytes | None:
    r"""The bytes of a raw profile: `\nname\n   length\nhexadecimal, in lines`."""
    parts = text.strip(b"\n").split(b"\n", 2)
    if len(parts) < 3 or not parts[1].strip().isdigit():
        return None
    try:
        return binascii.unhexlify(parts[2].translate(None, b" \r\n\t"))
    except binascii.Error:
        return None


def _keep_profile(result: Scan, name: str, profile: bytes, where: str) -> None:
    if name in ("exif", "app1"):
        if profile.startswith(b"Exif\0\0"):
            result.add("exif", -1, profile[6:], where, name)
        elif profile[:2] in (b"II", b"MM"):
            result.add("exif", -1, profile, where, name)
        elif b"<" in profile[:256]:
            packet = profile.partition(b"\0")[2] if profile.startswith(b"http://") else profile
            result.add("xmp", -1, packet, where, name)
        else:
            result.miss("raw profile", where, -1, len(profile))
    elif name == "xmp":
        result.add("xmp", -1, profile, where, name)
    elif name in ("icc", "icm"):
        result.add("icc", -1, profile, where, name)
    elif name in ("iptc", "8bim"):
        if profile.startswith(b"8BIM"):
            photoshop.resources(result, profile, -1, where)
        else:
            result.add("iptc", -1, profile, where, name)
    else:
        result.add("text", -1, profile, where, RAW_PROFILE + name)
        result.miss("raw profile", f"{where} {name}", -1, len(profile))


_READERS = {
    b"IHDR": _header,
    b"acTL": _animation,
    b"eXIf": _exif,
    b"exIf": _exif,
    b"zxIf": _compressed_exif,
    b"caBX": _jumbf,
    b"iCCP": _profile,
    b"pHYs": _resolution,
    b"tIME": _time,
    b"tEXt": _text,
    b"zTXt": _compressed_text,
    b"iTXt": _international_text,
}
