"""Printing opaque values that have a structure: comments with their code, filter patterns, lists of corrections."""

from __future__ import annotations

from struct import unpack_from

from functions.exif.blocks.entries import VALUE, Entry, Value
from functions.exif.blocks.values import Shown, binary, byte_text, fraction, plain, text_of
from functions.exif.tags import Rule, Tag

_COMPONENTS = {"0": "-", "1": "Y", "2": "Cb", "3": "Cr", "4": "R", "5": "G", "6": "B"}


def _components(entry: Entry, _tag: Tag, _order: str) -> Shown:
    return _COMMON_COMPONENTS.get(entry[VALUE]) or _component_names(byte_text(entry))


def _component_names(value: str) -> Shown:
    return value, ", ".join(_COMPONENTS.get(part, f"Err ({part})") for part in value.split())


# What nearly all cameras write: YCbCr.
_COMMON_COMPONENTS: dict[Value, Shown] = {b"\1\2\3\0": _component_names("1 2 3 0")}


def comment(data: bytes, order: str) -> str:
    """UserComment and its like: eight bytes of character code, then text (Exif 3.0, 4.6.5)."""
    if len(data) < 8:
        return text_of(data)
    code, body = data[:8], data[8:]
    if code.startswith(b"ASCII\0") or code[:1] == b"\0" or code in (b"ASCII   ", b" " * 8):
        text = text_of(body.split(b"\0", 1)[0])
    elif code in (b"UNICODE\0", b"UNICODE "):
        text = _utf16(body, order)
    elif code.startswith(b"JIS") and not code[3:].strip(b"\0 "):
        text = _jis(body)
    else:
        text = text_of(data)
    return text.rstrip(" ")


def _utf16(body: bytes, order: str) -> str:
    """UTF-16 of unknown order: a byte order mark, or the order with more characters of Latin's first page."""
    body = body[: len(body) & ~1]
    if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
        codec = "utf-16"
    else:
        high, low = body[0::2], body[1::2]
        zeros_first, zeros_second = high.count(0), low.count(0)
        if zeros_first == zeros_second:
            codec = "utf-16-le" if order == "<" else "utf-16-be"
        else:
            codec = "utf-16-be" if zeros_first > zeros_second else "utf-16-le"
    return body.decode(codec, "replace").split("\0", 1)[0]


def _jis(body: bytes) -> str:
    try:
        return body.decode("iso2022_jp").split("\0", 1)[0]
    except UnicodeDecodeError:
        return body.decode("euc_jp", "replace").split("\0", 1)[0]


def _comment(entry: Entry, _tag: Tag, order: str) -> Shown:
    raw = entry[VALUE]
    text = comment(raw, order) if isinstance(raw, bytes) else str(plain(entry))
    return text, text


def _utf16_text(entry: Entry, _tag: Tag, _order: str) -> Shown:
    raw = entry[VALUE]
    data = raw if isinstance(raw, bytes) else bytes(part & 0xFF for part in raw or () if isinstance(part, int))
    text = data[: len(data) & ~1].decode("utf-16-le", "replace").split("\0", 1)[0]
    return text, text


def _copyright(entry: Entry, _tag: Tag, _order: str) -> Shown:
    """Photographer's and editor's notices, which a zero byte parts: on two lines."""
    raw = entry[VALUE]
    if not isinstance(raw, bytes):
        return plain(entry), plain(entry)
    first, _, rest = raw.partition(b"\0")
    second = rest.split(b"\0", 1)[0].rstrip(b" ")
    text = text_of(first.rstrip(b" ") if b"\0" in raw else first)
    if second:
        text += "\n" + text_of(second)
    text = text.removesuffix("\n")
    return text, text


def _utf8(entry: Entry, _tag: Tag, _order: str) -> Shown:
    raw = entry[VALUE]
    data = raw if isinstance(raw, bytes) else bytes(part & 0xFF for part in raw or () if isinstance(part, int))
    text = text_of(data.split(b"\0", 1)[0])
    return text, text


_COLOURS = ("Red", "Green", "Blue", "Cyan", "Magenta", "Yellow", "White")


def _cfa(entry: Entry, _tag: Tag, order: str) -> Shown:
    """CFAPattern: two sizes, then a colour for each place (Exif 3.0, 4.6.6)."""
    raw = entry[VALUE]
    if not isinstance(raw, bytes):
        return plain(entry), plain(entry)
    if raw and not raw.strip(b"0123456"):
        raw = bytes(byte - 48 for byte in raw)  # written as digits by some Panasonic cameras
    if len(raw) < 4:
        return text_of(raw), "<truncated data>"
    across, down = unpack_from(order + "HH", raw)
    cells = raw[4:]
    if across * down > len(cells):
        swapped = unpack_from((">" if order == "<" else "<") + "HH", raw)
        if swapped[0] * swapped[1] <= len(cells):
            across, down = swapped
    value = " ".join(map(str, (across, down, *cells)))
    if not across or not down:
        return value, "<zero pattern size>"
    if across * down > len(cells):
        return value, "<invalid pattern size>"
    names = [_COLOURS[cell] if cell < len(_COLOURS) else "Unknown" for cell in cells[: across * down]]
    rows = [",".join(names[at : at + down]) for at in range(0, len(names), down)]
    return value, "".join(f"[{row}]" for row in rows)


def _plane_colours(entry: Entry, _tag: Tag, _order: str) -> Shown:
    value = byte_text(entry)
    numbers = [int(part) for part in value.split()]
    return value, ",".join(_COLOURS[n] if n < len(_COLOURS) else f"Unknown({n})" for n in numbers)


def _response(entry: Entry, _tag: Tag, order: str) -> Shown:
    """SpatialFrequencyResponse: columns and rows, the columns' names, then a rational for each place."""
    raw = entry[VALUE]
    if not isinstance(raw, bytes) or len(raw) <= 4:
        return plain(entry), plain(entry)
    columns, rows = unpack_from(order + "HH", raw)
    names = raw[4:].split(b"\0", columns)
    start = len(raw) - 8 * columns * rows
    if len(names) != columns + 1 or start < 4:
        return text_of(raw), text_of(raw)
    shown = []
    for column in range(columns):
        cells = [
            str(fraction(*unpack_from(order + "II", raw, start + 8 * (column + row * columns)))) for row in range(rows)
        ]
        shown.append(f"{text_of(names[column])}={','.join(cells)}")
    return text_of(raw), "; ".join(shown)


def _digest(entry: Entry, tag: Tag, _order: str) -> Shown:
    raw = entry[VALUE]
    data = raw if isinstance(raw, bytes) else bytes(part & 0xFF for part in raw or () if isinstance(part, int))
    text = data.hex().upper() if tag.show == "digest_upper" else data.hex()
    return text, text


def _opcodes(entry: Entry, tag: Tag, _order: str) -> Shown:
    """DNG's lists of corrections: their names; numbers in it are big-endian always."""
    raw = entry[VALUE]
    if not isinstance(raw, bytes):
        return plain(entry), plain(entry)
    names: list[str] = []
    if len(raw) > 4:
        (count,) = unpack_from(">I", raw)
        at = 4
        for _ in range(min(count, 1000)):
            if at + 16 > len(raw):
                names.append("<err>")
                break
            number, _, _, length = unpack_from(">IIII", raw, at)
            names.append(tag.labels.get(number, f"[opcode {number}]"))
            at += 16 + length
    return binary(len(raw)), ", ".join(names)


def _time_codes(entry: Entry, _tag: Tag, _order: str) -> Shown:
    """SMPTE time codes: eight bytes each, BCD with flags in the high bits."""
    numbers = [int(part) for part in byte_text(entry).split()]
    codes = [numbers[at : at + 8] for at in range(0, len(numbers) - 7, 8)]
    value = " ".join(".".join(f"{part:02x}" for part in code) for code in codes)
    shown = [f"{c[3] & 0x3F:02x}:{c[2] & 0x7F:02x}:{c[1] & 0x7F:02x}.{c[0] & 0x3F:02x}" for c in codes]
    return value, " ".join(shown)


def _pixel_format(entry: Entry, tag: Tag, _order: str) -> Shown:
    """JPEG XR's GUIDs differ in their last byte alone."""
    raw = entry[VALUE]
    if not isinstance(raw, bytes) or len(raw) != 16:
        return plain(entry), plain(entry)
    return raw[15], tag.labels.get(raw[15], f"Unknown (0x{raw[15]:x})")


RULES: dict[str, Rule] = {
    "components": _components,
    "comment": _comment,
    "utf16": _utf16_text,
    "utf8": _utf8,
    "copyright": _copyright,
    "cfa": _cfa,
    "plane_colours": _plane_colours,
    "response": _response,
    "digest": _digest,
    "digest_upper": _digest,
    "opcodes": _opcodes,
    "time_codes": _time_codes,
    "pixel_format": _pixel_format,
}
