"""ICC profiles: the header's fields and the tags that people read, named and printed as ExifTool does."""

from __future__ import annotations

from codecs import utf_16_be_decode
from collections.abc import Callable, Iterable
from functools import cache, lru_cache, partial
from struct import Struct, unpack_from

from functions.exif.blocks.gaps import gaps
from functions.exif.blocks.values import binary, shorten
from functions.exif.tags.labels import label_set
from functions.exif.tags.tables import table

Put = Callable[[str, str, object, object], None]
# Group, name, value and print.
Field = tuple[str, str, object, object]
Keep = Callable[[str, object, object], None]
Warn = Callable[[str], None]
# Called with what was not read, where it starts in the profile, and its size.
Miss = Callable[[str, int, int], None]
MAX_TAGS = 200

_INTENTS = ("Perceptual", "Media-Relative Colorimetric", "Saturation", "ICC-Absolute Colorimetric")


@cache
def _names() -> dict[bytes, str]:
    """The name of each tag by its signature."""
    return {str(row.number).encode("latin-1"): row.name for row in table("Icc.Main")}


@cache
def _labels(name: str) -> dict[str, str]:
    """Labels of signatures: `makers`, `classes`, `platforms`, `technologies`."""
    return label_set("icc", name).exact


# Version, date, flags, attributes, intent and illuminant of the header (ICC.1:2022, 7.2).
_HEADER = Struct(">8xBB14x6H8xI8xQI3i")
_ENTRY, _THREE = Struct(">4sII"), Struct(">3i")
_ATTRIBUTES = tuple(
    ", ".join(
        words[bits >> bit & 1]
        for bit, words in enumerate(
            (("Reflective", "Transparency"), ("Glossy", "Matte"), ("Positive", "Negative"), ("Color", "B&W"))
        )
    )
    for bits in range(16)
)
_NO_IDENTIFIER = "0" * 32


# Types of tags that hold numbers alone.
_NUMERIC = frozenset(
    (
        *(b"curv", b"para", b"mft1", b"mft2", b"mAB ", b"mBA ", b"XYZ ", b"sf32", b"uf32", b"ui08", b"ui16", b"ui32"),
        *(b"sig ", b"chrm", b"meas", b"view", b"dtim", b"cicp", b"clrt", b"crdi", b"bfd ", b"vcgt", b"ndin", b"mmod"),
    )
)


# Most pictures have one of a few profiles: those read last are kept, up to so many bytes each.
MAX_KEPT, MAX_KEPT_BYTES = 32, 16384


def read(data: bytes, turn: str, put: Put, warn: Warn, miss: Miss) -> None:
    """Read a profile; the arguments are those of `_read`."""
    if len(data) > MAX_KEPT_BYTES:
        _read(data, turn, put, warn, miss)
        return
    fields, warnings, missed = _kept(data, turn)
    for field in fields:
        put(*field)
    for text in warnings:
        warn(text)
    for part in missed:
        miss(*part)


@lru_cache(maxsize=MAX_KEPT)
def _kept(data: bytes, turn: str) -> tuple[list[Field], list[str], list[tuple[str, int, int]]]:
    """All that reading a profile calls its receivers with."""
    fields: list[Field] = []
    warnings: list[str] = []
    missed: list[tuple[str, int, int]] = []
    _read(data, turn, lambda *field: fields.append(field), warnings.append, lambda *part: missed.append(part))
    return fields, warnings, missed


def _read(data: bytes, turn: str, put: Put, warn: Warn, miss: Miss) -> None:
    """Read a profile.

    Args:
        data: the whole profile (ICC.1:2022).
        turn: what is put behind its groups: nothing for a file's first profile.
        put: called with group, name, value and print of each field.
        warn: called with each warning.
        miss: called with what was not read.
    """
    if len(data) < 132 or data[36:40] != b"acsp":
        warn("ICC profile: its header is broken")
        miss("profile", 0, len(data))
        return
    _header(data, partial(put, f"ICC-header{turn}"))
    keep = partial(put, f"ICC_Profile{turn}")
    (count,) = unpack_from(">I", data, 128)
    end = min(132 + 12 * min(count, MAX_TAGS), 132 + (len(data) - 132) // 12 * 12)
    claims = [(0, end)]
    for signature, offset, size in _ENTRY.iter_unpack(data[132:end]):
        if offset + size > len(data) or size < 8:
            warn(f"ICC profile: tag {signature.decode('latin-1')!r} lies outside it")
            continue
        claims.append((offset, offset + size))
        kind = data[offset : offset + 4]
        name = _names().get(signature)
        if name is None or (kind not in _READERS and kind not in _NUMERIC):
            miss(f"tag {signature.decode('latin-1').strip()}", offset, size if kind not in _NUMERIC else 0)
        fields = _STRUCTURES.get(kind)
        if fields is not None and name is None:
            group, read = fields
            for label, value, printed in read(data[offset : offset + size]):
                put(f"{group}{turn}", label, value, printed)
        if name is None:
            continue
        # Large tables are only counted: no need to copy them.
        reader = _READERS.get(kind)
        if reader is None:
            _counted(name, size, keep)
        else:
            reader(name, data[offset : offset + size], keep)
    for first, last in gaps(claims, 100, len(data)):
        if data[first:last].strip(b"\0"):
            miss("bytes between its tags", first, last - first)


_ILLUMINANTS = {1: "D50", 2: "D65", 3: "D93", 4: "F2", 5: "D55", 6: "A", 7: "Equi-Power (E)", 8: "F8"}
_OBSERVERS = {1: "CIE 1931", 2: "CIE 1964"}
_GEOMETRIES = {0: "Unknown", 1: "0/45 or 45/0", 2: "0/d or d/0"}
_COLORANTS = {0: "Unknown", 1: "ITU-R BT.709", 2: "SMPTE RP145-1994", 3: "EBU Tech.3213-E", 4: "P22"}


def _labelled(name: str, value: int, labels: dict[int, str]) -> tuple[str, object, object]:
    return name, value, labels.get(value, f"Unknown ({value})")


def _measurement(body: bytes) -> Iterable[tuple[str, object, object]]:
    """How the measurements of a profile were taken (ICC.1:2022, 10.14)."""
    if len(body) < 36:
        return
    observer, *backing, geometry, flare, illuminant = unpack_from(">I3iIII", body, 8)
    yield _labelled("MeasurementObserver", observer, _OBSERVERS)
    yield "MeasurementBacking", _fixed(backing), _fixed(backing)
    yield _labelled("MeasurementGeometry", geometry, _GEOMETRIES)
    percent = f"{float(_shortest(flare)) * 100:.15g}%"
    yield "MeasurementFlare", shorten(_shortest(flare)), percent
    yield _labelled("MeasurementIlluminant", illuminant, _ILLUMINANTS)


def _viewing(body: bytes) -> Iterable[tuple[str, object, object]]:
    """The conditions of viewing (ICC.1:2022, 10.30)."""
    if len(body) < 36:
        return
    numbers = unpack_from(">6iI", body, 8)
    yield "ViewingCondIlluminant", _fixed(numbers[:3]), _fixed(numbers[:3])
    yield "ViewingCondSurround", _fixed(numbers[3:6]), _fixed(numbers[3:6])
    yield _labelled("ViewingCondIlluminantType", numbers[6], _ILLUMINANTS)


def _chromaticity(body: bytes) -> Iterable[tuple[str, object, object]]:
    """The chromaticities of the colorants (ICC.1:2022, 10.2)."""
    if len(body) < 12:
        return
    channels, colorant = unpack_from(">HH", body, 8)
    yield "ChromaticityChannels", channels, channels
    yield _labelled("ChromaticityColorant", colorant, _COLORANTS)
    for index, at in enumerate(range(12, min(len(body) - 7, 44), 8), 1):
        text = _fixed(unpack_from(">II", body, at))
        yield f"ChromaticityChannel{index}", text, text


_STRUCTURES = {
    b"meas": ("ICC-meas", _measurement),
    b"view": ("ICC-view", _viewing),
    b"chrm": ("ICC-chrm", _chromaticity),
}


def _fixed(numbers: Iterable[int]) -> str:
    """Numbers of 16 bits before and 16 after the point, to five places."""
    return " ".join([_shortest(number) for number in numbers])


def _shortest(number: int) -> str:
    if not number & 0xFFFF:
        return str(number >> 16)
    if -7 < number < 7:  # below 0.0001, which is written with an exponent
        return f"{round(number / 65536, 5):.15g}"
    return f"{number / 65536:.5f}".rstrip("0").rstrip(".")


def _header(data: bytes, field: Keep) -> None:
    text = data[:84].decode("latin-1")

    def maker(signature: str) -> str:
        known = _labels("makers").get(signature)
        if known is None:
            return f"Unknown ({signature})" if signature.strip("\0") else ""
        return known

    major, minor, year, month, day, hour, minute, second, flags, attributes, intent, *illuminant = _HEADER.unpack_from(
        data
    )
    date = f"{year:04d}:{month:02d}:{day:02d} {hour:02d}:{minute:02d}:{second:02d}"
    engine, kind, space, connection = text[4:8], text[12:16], text[16:20], text[20:24]
    field("ProfileCMMType", engine, maker(engine))
    field("ProfileVersion", major << 8 | minor, f"{major}.{minor >> 4}.{minor & 15}")
    field("ProfileClass", kind, _labels("classes").get(kind) or f"Unknown ({kind})")
    field("ColorSpaceData", space, space)
    field("ProfileConnectionSpace", connection, connection)
    field("ProfileDateTime", date, date)
    field("ProfileFileSignature", "acsp", "acsp")
    platform = text[40:44]
    shown = _labels("platforms").get(platform) or f"Unknown ({platform.strip(chr(0))})"
    field("PrimaryPlatform", platform, shown)
    embedded = "Embedded" if flags & 1 else "Not Embedded"
    field("CMMFlags", flags, f"{embedded}, {'Not Independent' if flags & 2 else 'Independent'}")
    manufacturer, model, creator = text[48:52], text[52:56], text[80:84]
    field("DeviceManufacturer", manufacturer, maker(manufacturer))
    field("DeviceModel", model, model.strip("\0"))
    field("DeviceAttributes", f"{attributes >> 32} {attributes & 0xFFFFFFFF}", _ATTRIBUTES[attributes & 15])
    field("RenderingIntent", intent, _INTENTS[intent] if intent < 4 else f"Unknown ({intent})")
    light = _fixed(illuminant)
    field("ConnectionSpaceIlluminant", light, light)
    field("ProfileCreator", creator, maker(creator))
    identifier = data[84:100]
    shown_identifier = identifier.hex()
    field("ProfileID", " ".join(map(str, identifier)), 0 if shown_identifier == _NO_IDENTIFIER else shown_identifier)


def _counted(name: str, size: int, keep: Keep) -> None:
    text = binary(size)
    keep(name, text, text)


def _string(name: str, text: bytes, keep: Keep) -> None:
    value = text.split(b"\0", 1)[0].decode("latin-1")
    keep(name, value, value)


def _text(name: str, body: bytes, keep: Keep) -> None:
    if len(body) < 65536:
        _string(name, body[8:], keep)
    else:
        _counted(name, len(body) - 9, keep)  # without its type and the zero at its end


def _description(name: str, body: bytes, keep: Keep) -> None:
    """A text in ASCII, then the same in Unicode and for old Macintoshes; where those differ, they are rows too."""
    if len(body) < 12:
        _counted(name, len(body), keep)
        return
    end = 12 + int.from_bytes(body[8:12], "big")
    _string(name, body[12:end], keep)
    wide = body[end + 8 : end + 8 + 2 * int.from_bytes(body[end + 4 : end + 8], "big")]
    macintosh = body[end + 8 + len(wide) :][3 : 3 + 67]
    for text in (wide.decode("utf-16-be", "replace"), macintosh.decode("latin-1")):
        shown = text.partition("\0")[0]
        if shown:
            keep(name, shown, shown)


def _model(_name: str, body: bytes, keep: Keep) -> None:
    """Apple's make and model of a display: its maker, model, serial number and date of manufacture as in its EDID."""
    text = binary(len(body))
    keep("MakeAndModel", text, text)
    if len(body) >= 24:
        maker, model, serial, made = unpack_from(">4I", body, 8)
        letters = "".join(chr(64 + (maker >> shift & 31)) for shift in (10, 5, 0))
        shown = f"maker {letters}, model {model:#06x}, serial number {serial:#010x}"
        keep("MakeAndModel", f"{maker} {model} {serial} {made}", shown)


def _colour(name: str, body: bytes, keep: Keep) -> None:
    if len(body) >= 20:
        value = _fixed(_THREE.unpack_from(body, 8))
        keep(name, value, value)
    else:
        _counted(name, len(body), keep)


def _numbers(name: str, body: bytes, keep: Keep) -> None:
    if len(body) >= 12:
        value = _fixed(unpack_from(f">{min((len(body) - 8) // 4, 64)}i", body, 8))
        keep(name, value, value)
    else:
        _counted(name, len(body), keep)


def _signature(name: str, body: bytes, keep: Keep) -> None:
    if len(body) >= 12:
        value = body[8:12].decode("latin-1")
        keep(name, value, _labels("technologies").get(value) or f"Unknown ({value})")
    else:
        _counted(name, len(body), keep)


def _languages(name: str, body: bytes, keep: Keep) -> None:
    """Texts in UTF-16, each with its language and country; the English one without a suffix."""
    if len(body) < 16:
        return
    count, size = unpack_from(">II", body, 8)
    if size < 12:
        _counted(name, len(body), keep)
        return
    for at in range(16, min(16 + size * min(count, 100), len(body) - 11), size):
        code, length, offset = _ENTRY.unpack_from(body, at)
        # As `decode` does, but for its way through a table of encodings.
        text = utf_16_be_decode(body[offset : offset + length], "replace", True)[0].partition("\0")[0]
        if code != b"enUS" and count != 1:
            language = code.decode("latin-1")
            keep(f"{name}-{language[:2]}-{language[2:]}", text, text)
        else:
            keep(name, text, text)


# The types of tags that say something to people. The shortest tag has eight bytes.
_READERS: dict[bytes, Callable[[str, bytes, Keep], None]] = {
    b"text": _text,
    b"desc": _description,
    b"mluc": _languages,
    b"XYZ ": _colour,
    b"sf32": _numbers,
    b"sig ": _signature,
    b"mmod": _model,
}
