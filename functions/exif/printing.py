"""From a raw value to what people read: ExifTool's rules, spelt as ExifTool spells them.

Each entry has two readable forms: its value (what `exiftool -n` shows: numbers, resolved as far as arithmetic goes)
and its print (what `exiftool` shows: labels, units, fractions). Both are text or plain numbers. Nothing here raises: a
value that a rule does not fit is shown as it stands.
"""

from __future__ import annotations

import math
import re
import struct
from bisect import bisect_left
from collections.abc import Callable
from struct import unpack_from
from typing import Any

from functions.exif.ifd import ASCII, BYTE, DOUBLE, FLOAT, RATIONAL, SRATIONAL, UNDEFINED, Entry
from functions.exif.tags import Tag

Scalar = int | float | str
_WHOLE = frozenset((1, 3, 4, 6, 8, 9, 16, 17))
_UNSIGNED = frozenset((1, 3, 4, 13, 16, 18))
Shown = tuple[Scalar, Scalar]
Rule = Callable[[Entry, Tag, str], Shown]

FORMAT_NAMES = {
    1: "int8u",
    3: "int16u",
    4: "int32u",
    5: "rational64u",
    6: "int8s",
    8: "int16s",
    9: "int32s",
    10: "rational64s",
    11: "float",
    12: "double",
    13: "ifd",
    16: "int64u",
    17: "int64s",
    18: "ifd64",
}
_BYTES = tuple(map(str, range(256)))
# Tables with more numbers than this are counted, not listed.
LONG_ARRAY = 500
# Bytes beyond which a text that is none is mended without care.
LONG_TEXT = 4096
_FLOAT = re.compile(r"[+-]?(?=\d|\.\d)\d*(?:\.\d*)?(?:[Ee][+-]?\d+)?")
_DIGITS = "-0123456789"
_NUMBER = re.compile(r"-?(?:\d|[1-9]\d{1,14})(?:\.\d{1,16})?(?:[eE][-+]?\d{1,3})?")


def show(entry: Entry, tag: Tag, order: str) -> Shown:
    """An entry's value and its print.

    Args:
        entry: as the walk found it.
        tag: what the number means in its directory.
        order: `<` or `>`, for numbers inside opaque values.
    """
    _, _, _, rule, labels, _ = tag
    if rule:
        try:
            return RULES[rule](entry, tag, order)
        except (ValueError, IndexError, OverflowError, ZeroDivisionError, struct.error, TypeError, KeyError):
            return (plain(entry),) * 2
    _, kind, _, raw, _, _ = entry
    # The common case first: one whole number.
    value: Scalar = raw[0] if kind in _WHOLE and raw is not None and len(raw) == 1 else plain(entry)  # type: ignore[assignment]
    if not labels:
        return value, value
    label = labels.get(value)
    return value, _label(value, labels) if label is None else label


def _label(value: Scalar, labels: dict[Any, str]) -> str:
    text = labels.get(value)
    if text is None and isinstance(value, str) and value.isdigit():
        text = labels.get(int(value))
    if text is None:
        return f"Unknown ({value})"
    return text


def plain(entry: Entry) -> Scalar:
    """A value without any rule: one number as it is, several as text with spaces, text up to its first zero."""
    _, kind, _, raw, _, _ = entry
    if raw is None:
        if kind in (ASCII, UNDEFINED):
            return binary(entry.size)
        return f"(large array of {entry.number} {FORMAT_NAMES.get(kind, 'byte')} values)"
    if isinstance(raw, bytes):
        if kind == UNDEFINED:
            return raw[0] if entry.number == 1 and raw else text_of(raw)
        return text_of(raw.split(b"\0", 1)[0])
    if kind in (RATIONAL, SRATIONAL):
        if len(raw) == 1:
            return fraction(*raw[0])  # type: ignore[misc]
        return " ".join([str(fraction(*pair)) for pair in raw])  # type: ignore[misc]
    if kind in (FLOAT, DOUBLE):
        return real(raw[0]) if len(raw) == 1 else " ".join([str(real(value)) for value in raw])  # type: ignore[arg-type]
    if len(raw) == 1:
        return raw[0]  # type: ignore[return-value]
    if kind == BYTE:  # but 256 forms, and long tables of them
        return " ".join([_BYTES[number] for number in raw])  # type: ignore[index]
    return " ".join(map(str, raw))


def text_of(data: bytes) -> str:
    """Bytes as text: UTF-8, each byte that is none a question mark."""
    if data.isascii():
        return data.decode("ascii")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return _mend(data)


def _mend(data: bytes) -> str:
    if len(data) > LONG_TEXT:
        # So long a value is no text at all: one question mark for a run, in one pass.
        return data.decode("utf-8", "replace").replace("\ufffd", "?")
    parts = []
    while data:
        try:
            parts.append(data.decode("utf-8"))
            break
        except UnicodeDecodeError as error:
            parts.append(data[: error.start].decode("utf-8"))
            parts.append("?" * (error.end - error.start))
            data = data[error.end :]
    return "".join(parts)


def fraction(numerator: int, denominator: int) -> Scalar:
    """A rational to ten significant digits; `inf` and `undef` where it has no value."""
    if not denominator:
        return "inf" if numerator else "undef"
    if not numerator % denominator:
        return numerator // denominator
    return _shorten(f"{numerator / denominator:.10g}")


def real(value: float) -> Scalar:
    """A floating-point number to fifteen significant digits."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Inf" if value > 0 else "-Inf"
    return _shorten(f"{value:.15g}")


def _shorten(text: str) -> Scalar:
    """Text of a number as a number that prints the same; text where Python would print it otherwise."""
    # Of at most fifteen digits and without an exponent, a decimal prints as it was written.
    if "." in text and "e" not in text:
        return float(text)
    number: int | float = float(text) if "e" in text else int(text)
    return number if str(number) == text else text


def number_or_text(value: Scalar) -> Scalar:
    """What `exiftool -j` writes without quotes as a number, all else as text without zeros."""
    if isinstance(value, str):
        if value[:1] in _DIGITS and value and _NUMBER.fullmatch(value):
            return int(value) if value.removeprefix("-").isdigit() else float(value)
        return value.replace("\0", "") if "\0" in value else value
    if isinstance(value, int) and abs(value) >= 10**15:
        return str(value)
    return value


def is_number(value: Scalar) -> bool:
    """Whether a shown value is a finite number."""
    return not isinstance(value, str) or bool(_FLOAT.fullmatch(value))


def binary(size: int) -> str:
    """What stands for bytes that are no text."""
    return f"(Binary data {size} bytes, use -b option to extract)"


# -- rules ---------------------------------------------------------------------------------------------------------


def _number(entry: Entry) -> float | None:
    value = plain(entry)
    return float(value) if is_number(value) else None


def _version(entry: Entry, _tag: Tag, _order: str) -> Shown:
    value = entry.value
    text = text_of(value.rstrip(b"\0")) if isinstance(value, bytes) else plain(entry)
    return text, text


def _trimmed(entry: Entry, _tag: Tag, _order: str) -> Shown:
    value = plain(entry)
    if isinstance(value, str):
        value = value.rstrip(" \t\n\r\f")
    return value, value


def _blanks(entry: Entry, _tag: Tag, _order: str) -> Shown:
    value = plain(entry)
    if isinstance(value, str):
        value = value.rstrip(" ")
    return value, value


def _sized(entry: Entry, longest: int) -> Shown:
    raw = entry.value
    if entry.type in _UNSIGNED and isinstance(raw, tuple) and len(raw) > longest:
        value: Scalar = binary(_written(raw))  # type: ignore[arg-type]
        return value, value
    value = plain(entry)
    if len(str(value)) > longest:
        value = binary(len(str(value)))
    return value, value


def _written(numbers: tuple[int, ...]) -> int:
    """The length of whole numbers written with spaces between, without writing them: a TIFF has 10,000s of strips.

    Offsets stand in order, which makes the sort one pass.
    """
    ordered = sorted(numbers)
    length, power = 2 * len(ordered) - 1, 10
    while power <= ordered[-1]:
        length += len(ordered) - bisect_left(ordered, power)
        power *= 10
    return length


def _offsets(entry: Entry, _tag: Tag, _order: str) -> Shown:
    return _sized(entry, 32)


def _long(entry: Entry, _tag: Tag, _order: str) -> Shown:
    if entry.number > LONG_ARRAY and not isinstance(entry.value, bytes):
        value = f"(large array of {entry.number} {FORMAT_NAMES.get(entry.type, 'byte')} values)"
        return value, value
    return _sized(entry, 64)


def _long_printed(entry: Entry, _tag: Tag, _order: str) -> Shown:
    return plain(entry), _sized(entry, 64)[1]


def _binary(entry: Entry, _tag: Tag, _order: str) -> Shown:
    raw = entry.value
    if isinstance(raw, bytes):
        size = len(raw) if entry.type == UNDEFINED else len(raw.split(b"\0", 1)[0])
    elif raw is None:
        size = entry.size
    elif raw and entry.type in _UNSIGNED:
        size = _written(raw)  # type: ignore[arg-type]
    else:
        size = len(str(plain(entry)))
    return binary(size), binary(size)


def _opaque(entry: Entry, _tag: Tag, _order: str) -> Shown:
    return binary(entry.size), binary(entry.size)


def _tagged(entry: Entry, _tag: Tag, _order: str) -> Shown:
    # GeoTIFF's arrays go with the byte order that they are written in: two more bytes.
    return binary(entry.size + 2), binary(entry.size + 2)


def _bits(entry: Entry, tag: Tag, _order: str) -> Shown:
    value = plain(entry)
    names: list[str] = []
    for index, number in enumerate(str(value).split()):
        names += [
            tag.labels.get(bit + 32 * index, f"[{bit + 32 * index}]") for bit in range(32) if int(number) >> bit & 1
        ]
    return value, ", ".join(names) or "(none)"


def exposure_time(value: Scalar) -> Scalar:
    """Seconds: `1/200`, `0.5`, `30`."""
    if not is_number(value):
        return value
    seconds = float(value)
    if 0 < seconds < 0.25001:
        return f"1/{int(0.5 + 1 / seconds)}"
    return f"{seconds:.1f}".removesuffix(".0")


def _exposure(entry: Entry, _tag: Tag, _order: str) -> Shown:
    value = plain(entry)
    return value, exposure_time(value)


def f_number(value: Scalar) -> Scalar:
    """An f-number to one place, below 1 to two."""
    if not is_number(value) or float(value) <= 0:
        return value
    return f"{float(value):.2f}" if float(value) < 1 else f"{float(value):.1f}"


def _f_number(entry: Entry, _tag: Tag, _order: str) -> Shown:
    value = plain(entry)
    return value, f_number(value)


def _sensitivities(entry: Entry, _tag: Tag, _order: str) -> Shown:
    value = plain(entry)
    return value, ", ".join(str(value).split()) if isinstance(value, str) else value


def _signed(entry: Entry) -> Scalar:
    """A rational that some cameras write as unsigned: read as signed."""
    raw = entry.value
    if entry.type == RATIONAL and isinstance(raw, tuple) and len(raw) == 1:
        top, bottom = raw[0]  # type: ignore[misc]
        return fraction(top - 2**32 if top >= 2**31 else top, bottom - 2**32 if bottom >= 2**31 else bottom)
    return plain(entry)


def _shutter(entry: Entry, _tag: Tag, _order: str) -> Shown:
    """APEX time value: 2⁻ˣ seconds (Exif 3.0, annex C)."""
    value = _signed(entry)
    seconds = 2.0 ** -float(value) if is_number(value) and abs(float(value)) < 100 else 0.0
    shown = _shorten(f"{seconds:.15g}")
    return shown, exposure_time(shown)


def _aperture(entry: Entry, _tag: Tag, _order: str) -> Shown:
    """APEX aperture value: f-number 2^(x/2)."""
    value = plain(entry)
    if not is_number(value):
        value = math.inf if value == "inf" else 0
    stop = 2.0 ** (float(value) / 2) if float(value) < 2000 else math.inf
    if math.isinf(stop):
        return "Inf", "Inf"
    return _shorten(f"{stop:.15g}"), f"{stop:.1f}"


def compensation(value: Scalar) -> Scalar:
    """Exposure compensation in steps: `0`, `+1`, `-1/3`, `+0.7`."""
    if not is_number(value):
        return value if value in ("inf", "undef") else str(value)
    steps = float(value) * 1.00001  # so that 0.33333 is a third
    if not steps:
        return "0"
    for parts in (1, 2, 3):
        whole = int(steps * parts)
        if whole / (steps * parts) > 0.999:
            return f"{whole:+d}" if parts == 1 else f"{whole:+d}/{parts}"
    return f"{steps:+.3g}"


def _bias(entry: Entry, _tag: Tag, _order: str) -> Shown:
    value = _signed(entry)
    if value in ("inf", "undef"):
        return value, "+Inf" if value == "inf" else "0"
    return value, compensation(value)


def _unit(unit: str) -> Rule:
    def rule(entry: Entry, _tag: Tag, _order: str) -> Shown:
        value = plain(entry)
        return value, value if value in ("inf", "undef") else f"{value}{unit}"

    return rule


def _always_unit(unit: str) -> Rule:
    def rule(entry: Entry, _tag: Tag, _order: str) -> Shown:
        value = plain(entry)
        return value, f"{value}{unit}"

    return rule


def _millimetres(entry: Entry, _tag: Tag, _order: str) -> Shown:
    value = plain(entry)
    if value == "inf":
        return value, "Inf mm"
    return value, f"{float(value) if is_number(value) else 0.0:.1f} mm"


def lens_range(value: Scalar) -> Scalar:
    """A LensSpecification: `24-105mm f/4`, `50mm f/1.4`; a question mark for what is not known."""
    parts = str(value).split(" ")
    if len(parts) != 4 or not all(is_number(part) or part in ("inf", "undef") for part in parts):
        return value
    short, long, wide, tele = ("?" if part in ("inf", "undef") else part for part in parts)
    focal = f"{short}-{long}" if long not in ("0", short) else short
    aperture = f"{wide}-{tele}" if tele not in ("0", wide) else wide
    return f"{focal}mm f/{aperture}"


def _lens(entry: Entry, _tag: Tag, _order: str) -> Shown:
    value = plain(entry)
    return value, lens_range(value)


_COMPONENTS = {"0": "-", "1": "Y", "2": "Cb", "3": "Cr", "4": "R", "5": "G", "6": "B"}


def _as_bytes(entry: Entry) -> str:
    raw = entry.value
    return " ".join(map(str, raw)) if isinstance(raw, bytes) else str(plain(entry))


def _components(entry: Entry, _tag: Tag, _order: str) -> Shown:
    value = _as_bytes(entry)
    return value, ", ".join(_COMPONENTS.get(part, f"Err ({part})") for part in value.split())


def _bytes(entry: Entry, _tag: Tag, _order: str) -> Shown:
    value = _as_bytes(entry)
    return value, value


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
    raw = entry.value
    text = comment(raw, order) if isinstance(raw, bytes) else str(plain(entry))
    return text, text


def _utf16_text(entry: Entry, _tag: Tag, _order: str) -> Shown:
    raw = entry.value
    data = raw if isinstance(raw, bytes) else bytes(part & 0xFF for part in raw or () if isinstance(part, int))
    text = data[: len(data) & ~1].decode("utf-16-le", "replace").split("\0", 1)[0]
    return text, text


def _copyright(entry: Entry, _tag: Tag, _order: str) -> Shown:
    """Photographer's and editor's notices, which a zero byte parts: on two lines."""
    raw = entry.value
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
    raw = entry.value
    data = raw if isinstance(raw, bytes) else bytes(part & 0xFF for part in raw or () if isinstance(part, int))
    text = text_of(data.split(b"\0", 1)[0])
    return text, text


_COLOURS = ("Red", "Green", "Blue", "Cyan", "Magenta", "Yellow", "White")


def _cfa(entry: Entry, _tag: Tag, order: str) -> Shown:
    """CFAPattern: two sizes, then a colour for each place (Exif 3.0, 4.6.6)."""
    raw = entry.value
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
    value = _as_bytes(entry)
    numbers = [int(part) for part in value.split()]
    return value, ",".join(_COLOURS[n] if n < len(_COLOURS) else f"Unknown({n})" for n in numbers)


def _response(entry: Entry, _tag: Tag, order: str) -> Shown:
    """SpatialFrequencyResponse: columns and rows, the columns' names, then a rational for each place."""
    raw = entry.value
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


def _exposures(entry: Entry, _tag: Tag, order: str) -> Shown:
    """CompositeImageExposureTimes: rationals, but for two counts at the eighth and ninth place."""
    raw = entry.value
    if not isinstance(raw, bytes):
        return plain(entry), plain(entry)
    values: list[Scalar] = []
    at = 0
    while True:
        size = 2 if at in (56, 58) else 8
        if at + size > len(raw):
            break
        values.append(
            unpack_from(order + "H", raw, at)[0] if size == 2 else fraction(*unpack_from(order + "II", raw, at))
        )
        at += size
    printed = [value if index in (7, 8) else exposure_time(value) for index, value in enumerate(values)]
    return " ".join(map(str, values)), " ".join(map(str, printed))


def _dotted(entry: Entry, _tag: Tag, _order: str) -> Shown:
    value = plain(entry)
    return value, str(value).replace(" ", ".")


def _dotted_bytes(entry: Entry, _tag: Tag, _order: str) -> Shown:
    value = _as_bytes(entry)
    return value, value.replace(" ", ".")


def _digest(entry: Entry, tag: Tag, _order: str) -> Shown:
    raw = entry.value
    data = raw if isinstance(raw, bytes) else bytes(part & 0xFF for part in raw or () if isinstance(part, int))
    text = data.hex().upper() if tag.show == "digest_upper" else data.hex()
    return text, text


def _opcodes(entry: Entry, tag: Tag, _order: str) -> Shown:
    """DNG's lists of corrections: their names; numbers in it are big-endian always."""
    raw = entry.value
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
    numbers = [int(part) for part in _as_bytes(entry).split()]
    codes = [numbers[at : at + 8] for at in range(0, len(numbers) - 7, 8)]
    value = " ".join(".".join(f"{part:02x}" for part in code) for code in codes)
    shown = [f"{c[3] & 0x3F:02x}:{c[2] & 0x7F:02x}:{c[1] & 0x7F:02x}.{c[0] & 0x3F:02x}" for c in codes]
    return value, " ".join(shown)


def _frame_rate(entry: Entry, _tag: Tag, _order: str) -> Shown:
    value = plain(entry)
    return value, _shorten(f"{int(float(value) * 1000 + 0.5) / 1000:.15g}") if is_number(value) else value


def _t_stop(entry: Entry, _tag: Tag, _order: str) -> Shown:
    value = plain(entry)
    return value, "-".join(f"{float(part):.2f}" for part in str(value).split())


def _iso_date(entry: Entry, _tag: Tag, _order: str) -> Shown:
    value = re.sub(r"^(\d{4})-(\d\d)-(\d\d)T?", r"\1:\2:\3 ", str(plain(entry)))
    return value, value


def _kinds(entry: Entry, tag: Tag, order: str) -> Shown:
    """NewSubfileType: a label for the usual values, for others one for each of their bits."""
    value = plain(entry)
    if value in tag.labels:
        return value, tag.labels[value]
    return _bits(entry, tag._replace(labels=_SUBFILE_BITS), order)


_SUBFILE_BITS = {
    0: "Reduced resolution",
    1: "Single page",
    2: "Transparency mask",
    3: "TIFF/IT final page",
    4: "TIFF-FX mixed raster content",
}


def _cr2_pattern(entry: Entry, _tag: Tag, _order: str) -> Shown:
    """Canon's number of a colour filter's pattern."""
    value = plain(entry)
    return _CR2_PATTERNS.get(value, (value, f"Unknown ({value})"))


_CR2_PATTERNS: dict[Scalar, Shown] = {
    1: ("0 1 1 2", "[Red,Green][Green,Blue]"),
    2: ("2 1 1 0", "[Blue,Green][Green,Red]"),
    3: ("1 2 0 1", "[Green,Blue][Red,Green]"),
    4: ("1 0 2 1", "[Green,Red][Blue,Green]"),
}


def _each(entry: Entry, tag: Tag, _order: str) -> Shown:
    """A label for each of the first four values."""
    value = plain(entry)
    parts = str(value).split()
    shown = [_label(int(part), tag.labels) if index < 4 else part for index, part in enumerate(parts)]
    return value, "; ".join(shown)


def _pixel_format(entry: Entry, tag: Tag, _order: str) -> Shown:
    """JPEG XR's GUIDs differ in their last byte alone."""
    raw = entry.value
    if not isinstance(raw, bytes) or len(raw) != 16:
        return plain(entry), plain(entry)
    return raw[15], tag.labels.get(raw[15], f"Unknown (0x{raw[15]:x})")


def _degrees(entry: Entry, _tag: Tag, _order: str) -> Shown:
    """GPS coordinates: degrees, minutes and seconds as a decimal number and as `47 deg 22' 3.18"`."""
    value = degrees(str(plain(entry)))
    if value is None:
        return "", ""
    return _shorten(f"{value:.15g}"), sexagesimal(value)


def degrees(text: str) -> float | None:
    """Degrees of `47 22 3.18`; None where a part has no value."""
    if "inf" in text or "undef" in text:
        return None
    parts = [float(part) for part in text.split()[:3]]
    if not parts:
        return None
    whole, minutes, seconds = (*parts, 0.0, 0.0)[:3]
    return whole + (minutes + seconds / 60) / 60


def sexagesimal(value: float) -> str:
    """Degrees as `47 deg 22' 3.18"`, without sign."""
    value = abs(value)
    whole = int(value)
    minutes = int((value - whole) * 60)
    seconds = float(f"{(value - whole - minutes / 60) * 3600:.2f}")
    if seconds >= 60:
        seconds -= 60
        minutes += 1
        if minutes >= 60:
            minutes, whole = minutes - 60, whole + 1
    return f"{whole} deg {minutes}' {seconds:.2f}\""


def _gps_time(entry: Entry, _tag: Tag, _order: str) -> Shown:
    """Hours, minutes and seconds, the seconds with their fraction."""
    parts = [float(part) if is_number(part) else 0.0 for part in str(plain(entry)).split()[:3]]
    hours, minutes, seconds = (*parts, 0.0, 0.0, 0.0)[:3]
    total = (hours * 60 + minutes) * 60 + seconds
    whole_hours = int(total / 3600)
    total -= whole_hours * 3600
    whole_minutes = int(total / 60)
    total -= whole_minutes * 60
    text = f"{total:012.9f}"
    if float(text) >= 60:
        text = "00"
        whole_minutes += 1
        if whole_minutes >= 60:
            whole_minutes, whole_hours = whole_minutes - 60, whole_hours + 1
    else:
        text = text.rstrip("0").rstrip(".") if "." in text else text
    value = f"{whole_hours:02d}:{whole_minutes:02d}:{text}"
    if "." in text:
        short = _shorten(f"{int(float(text) * 1000000 + 0.5) / 1000000:.15g}")
        text = f"0{short}" if float(short) < 10 else str(short)
    return value, f"{whole_hours:02d}:{whole_minutes:02d}:{text}"


def _gps_date(entry: Entry, _tag: Tag, _order: str) -> Shown:
    raw = entry.value
    text = text_of(raw.rstrip(b"\0")) if isinstance(raw, bytes) else str(plain(entry))
    match = re.fullmatch(r"(\d{4})[^\d]?(\d{2})[^\d]?(\d{2})", text)
    if match:
        text = ":".join(match.groups())
    return text, text


def _per_256(entry: Entry, _tag: Tag, _order: str) -> Shown:
    value = float(plain(entry)) / 256
    shown = _shorten(f"{value:.15g}")
    return shown, shown


def _panasonic_gamma(entry: Entry, _tag: Tag, _order: str) -> Shown:
    value = float(plain(entry))
    shown = _shorten(f"{value / (1024 if value >= 1024 else 256 if value >= 256 else 100):.15g}")
    return shown, shown


def _unknown(entry: Entry, _tag: Tag, _order: str) -> Shown:
    """A tag that nobody named: its print is cut, for it may be anything."""
    value = plain(entry)
    if isinstance(value, str) and len(value) > 60:
        return value, f"{value[:55]}[...]"
    return value, value


def _hexadecimal_label(entry: Entry, tag: Tag, _order: str) -> Shown:
    value = plain(entry)
    if value in tag.labels or not isinstance(value, int) or not value:
        return value, _label(value, tag.labels)
    return value, f"Unknown (0x{value:x})"


RULES: dict[str, Rule] = {
    "version": _version,
    "trimmed": _trimmed,
    "blanks": _blanks,
    "offsets": _offsets,
    "long": _long,
    "long_printed": _long_printed,
    "kinds": _kinds,
    "cr2_pattern": _cr2_pattern,
    "binary": _binary,
    "opaque": _opaque,
    "tagged": _tagged,
    "bits": _bits,
    "exposure": _exposure,
    "f_number": _f_number,
    "sensitivities": _sensitivities,
    "shutter": _shutter,
    "aperture": _aperture,
    "bias": _bias,
    "distance": _unit(" m"),
    "metres": _unit(" m"),
    "error_metres": _always_unit(" m"),
    "celsius": _always_unit(" C"),
    "film_millimetres": _always_unit(" mm"),
    "millimetres": _millimetres,
    "lens": _lens,
    "components": _components,
    "bytes": _bytes,
    "comment": _comment,
    "utf16": _utf16_text,
    "utf8": _utf8,
    "copyright": _copyright,
    "cfa": _cfa,
    "plane_colours": _plane_colours,
    "response": _response,
    "exposures": _exposures,
    "dotted": _dotted,
    "dotted_bytes": _dotted_bytes,
    "digest": _digest,
    "digest_upper": _digest,
    "opcodes": _opcodes,
    "time_codes": _time_codes,
    "frame_rate": _frame_rate,
    "t_stop": _t_stop,
    "iso_date": _iso_date,
    "each": _each,
    "pixel_format": _pixel_format,
    "degrees": _degrees,
    "gps_time": _gps_time,
    "gps_date": _gps_date,
    "per_256": _per_256,
    "panasonic_gamma": _panasonic_gamma,
    "unknown": _unknown,
    "hexadecimal": _hexadecimal_label,
}
