"""PNG and APNG: chunks, their text, and the raw profiles that ImageMagick and others put into text."""

from __future__ import annotations

import binascii
from struct import unpack_from

from functions.exif import photoshop
from functions.exif.blocks import Scan

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_CHUNKS = 100_000
XMP_KEYWORD = "XML:com.adobe.xmp"
RAW_PROFILE = "Raw profile type "


def scan(data: bytes) -> Scan:
    """Read a PNG's chunks: those after the picture too, where editors append theirs."""
    result = Scan("PNG", "image/png")
    position, end = 8, len(data)
    for _ in range(MAX_CHUNKS):
        if position + 12 > end:
            if position + 8 <= end or position < end:
                result.warn("the file ends inside a chunk")
            break
        length, kind = unpack_from(">I4s", data, position)
        start = position + 8
        if start + length > end:
            result.warn(f"the file ends inside chunk {_printable(kind)}")
            if kind not in _READERS:
                break
            length = end - start
        reader = _READERS.get(kind)
        if reader is not None:
            reader(result, data[start : start + length], start)
        elif kind == b"IEND":
            break
        position = start + length + 4
    return result


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


def _exif(result: Scan, body: bytes, start: int) -> None:
    skipped = 6 if body.startswith(b"Exif\0\0") else 0  # some writers keep JPEG's header
    result.add("exif", start + skipped, body[skipped:], "eXIf")


def _compressed_exif(result: Scan, body: bytes, _start: int) -> None:
    inflated = result.inflate(body[5:], "zxIf") if len(body) > 5 and not body[0] else None
    if inflated:
        result.add("exif", -1, inflated, "zxIf")


def _profile(result: Scan, body: bytes, _start: int) -> None:
    name, separator, rest = body.partition(b"\0")
    if separator:
        inflated = result.inflate(rest[1:], "iCCP")
        if inflated:
            result.add("icc", -1, inflated, "iCCP", name.decode("latin-1"))


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


def _compressed_text(result: Scan, body: bytes, _start: int) -> None:
    keyword, separator, rest = body.partition(b"\0")
    if separator:
        inflated = result.inflate(rest[1:], "zTXt")
        if inflated is not None:
            _keep(result, keyword.decode("latin-1"), inflated, -1, "zTXt")


def _international_text(result: Scan, body: bytes, start: int) -> None:
    keyword, separator, rest = body.partition(b"\0")
    if not separator or len(rest) < 2:
        return
    compressed = rest[0] == 1
    parts = rest[2:].split(b"\0", 2)
    if len(parts) < 3:
        return
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


_READERS = {
    b"IHDR": _header,
    b"acTL": _animation,
    b"eXIf": _exif,
    b"exIf": _exif,
    b"zxIf": _compressed_exif,
    b"iCCP": _profile,
    b"pHYs": _resolution,
    b"tIME": _time,
    b"tEXt": _text,
    b"zTXt": _compressed_text,
    b"iTXt": _international_text,
}
