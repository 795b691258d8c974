"""Makers' notes: whose they are, how large, and of the common makers who made the picture: lens, serial numbers, owner.

A note is a directory of the maker's own numbers behind a header of its own. Only what the makers' own layouts keep in
plain sight is read: names from lens numbers need tables that go stale with every new lens.
"""

from __future__ import annotations

import re
from struct import unpack_from
from typing import NamedTuple

from functions.exif.ifd import SIZES, Entry, Ifds, walk, walk_directory
from functions.exif.photography import lens_range
from functions.exif.reading import MakerNote, NoteSummary, Reading
from functions.exif.values import Scalar, plain

Shown = tuple[Scalar, Scalar]


class Layout(NamedTuple):
    """How a maker's note begins.

    Args:
        maker: the group of its rows, as ExifTool names it.
        header: what the note begins with.
        directory: offset of the directory in the note.
        own: whether offsets count from the note's start; else from the block's.
        order: byte order of the directory; empty for that of the block, `@` for the mark before the directory.
    """

    maker: str
    header: bytes
    directory: int
    own: bool = False
    order: str = ""


LAYOUTS = (
    Layout("Apple", b"Apple iOS\0", 14, own=True, order=">"),
    Layout("Nikon", b"Nikon\0\2", 10, own=True, order="tiff"),
    Layout("Nikon", b"Nikon\0\1", 8),
    Layout("FujiFilm", b"FUJIFILM", 12, own=True, order="<"),
    Layout("FujiFilm", b"GENERALE", 12, own=True, order="<"),
    Layout("Panasonic", b"Panasonic\0", 12),
    Layout("Panasonic", b"LEICA\0\0\0", 8),
    Layout("Sony", b"SONY DSC ", 12),
    Layout("Sony", b"SONY CAM ", 12),
    Layout("Olympus", b"OLYMPUS\0", 12, own=True, order="@"),
    Layout("Olympus", b"OM SYSTEM\0\0\0", 16, own=True, order="@"),
    Layout("Olympus", b"OLYMP\0", 8),
    Layout("Pentax", b"AOC\0", 6),
    Layout("Pentax", b"PENTAX \0", 10, own=True, order="@"),
    Layout("Casio", b"QVC\0\0\0", 6),
    Layout("Sigma", b"SIGMA\0\0\0", 10),
    Layout("Sigma", b"FOVEON\0\0", 10),
    Layout("Sanyo", b"SANYO\0", 8),
    Layout("Kodak", b"KDK", 8),
    Layout("Ricoh", b"Ricoh\0", 8),
)
# Makers whose notes begin with the directory at once, by how their name in Make begins.
BARE = {
    "Canon": "Canon",
    "NIKON": "Nikon",
    "CASIO": "Casio",
    "Minolta": "Minolta",
    "KONICA": "Minolta",
    "SONY": "Sony",
    "PENTAX": "Pentax",
    "Asahi": "Pentax",
    "SAMSUNG": "Samsung",
    "HUAWEI": "HUAWEI",
    "Hasselblad": "Hasselblad",
    "JVC": "JVC",
    "RICOH": "Ricoh",
}
# Tag to name and rule, by maker.
TAGS: dict[str, dict[int, tuple[str, str]]] = {
    "Canon": {
        0x06: ("CanonImageType", ""),
        0x07: ("CanonFirmwareVersion", ""),
        0x09: ("OwnerName", ""),
        0x0C: ("SerialNumber", "canon_serial"),
        0x95: ("LensModel", ""),
        0x96: ("InternalSerialNumber", "until_ff"),
        0x4019: ("LensSerialNumber", "lens_hexadecimal"),
    },
    "Nikon": {
        0x1D: ("SerialNumber", "nikon_serial"),
        0x83: ("LensType", "nikon_lens_type"),
        0x84: ("Lens", "lens"),
        0xA0: ("SerialNumber", "nikon_serial"),
        0xA7: ("ShutterCount", ""),
    },
    "Sony": {0xB02A: ("LensSpec", "sony_lens")},
    "FujiFilm": {0x10: ("InternalSerialNumber", "fuji_serial")},
    "Panasonic": {
        0x25: ("InternalSerialNumber", "panasonic_serial"),
        0x51: ("LensType", "blanks"),
        0x52: ("LensSerialNumber", "blanks"),
    },
    "Olympus": {0x404: ("SerialNumber", ""), 0x101A: ("SerialNumber", "")},
    "Apple": {0x11: ("ContentIdentifier", ""), 0x15: ("ImageUniqueID", ""), 0x2B: ("PhotoIdentifier", "")},
    "Pentax": {0x229: ("SerialNumber", "")},
    "Sigma": {0x02: ("SerialNumber", "")},
}
# Olympus' directory of the camera and lens, inside the note.
EQUIPMENT = 0x2010
EQUIPMENT_TAGS = {
    0x101: ("SerialNumber", "blanks"),
    0x102: ("InternalSerialNumber", ""),
    0x202: ("LensSerialNumber", "blanks"),
    0x203: ("LensModel", "blanks"),
}
# What cameras write as padding where they have nothing to say.
PADDED = frozenset(("until_ff", "lens_hexadecimal"))


def read(reading: Reading) -> None:
    """Read the note of a reading: its maker and size, and the rows that are in plain sight."""
    note = reading.maker
    if note is None:
        return
    data = note.block[note.offset : note.offset + note.size]
    layout = next((layout for layout in LAYOUTS if data.startswith(layout.header)), None)
    make = reading.text("IFD0", "Make")
    if layout is None:
        maker = next((group for name, group in BARE.items() if make.startswith(name)), "")
        if not maker:
            if note.is_text():
                _text(reading, data)
            reading.note = NoteSummary("", note.size, 0)
            return
        layout = Layout(maker, b"", 0)
    ifds = _walk(note, data, layout)
    entries = ifds.ifds[0].entries if ifds.ifds else {}
    reading.note = NoteSummary(layout.maker, note.size, len(entries))
    model = reading.text("IFD0", "Model")
    for number, (name, rule) in TAGS.get(layout.maker, {}).items():
        entry = entries.get(number)
        if entry is not None:
            _keep(reading, layout.maker, name, rule, entry, model)
    if layout.maker == "Olympus" and EQUIPMENT in entries:
        _equipment(reading, note, data, layout, ifds.order, entries[EQUIPMENT])


def _walk(note: MakerNote, data: bytes, layout: Layout) -> Ifds:
    order = layout.order or note.order
    if order == "tiff":
        return walk(data[layout.directory :], "MakerNotes")
    if order == "@":
        order = "<" if b"II" in data[layout.directory - 4 : layout.directory] else ">"
    if not layout.own:
        start = note.offset + layout.directory
        base = note.base
        # Some cameras keep the note in an order of its own: a count of entries has no larger high byte.
        count = note.block[start : start + 2]
        if len(count) == 2 and (count[1] if order == "<" else count[0]) > (count[0] if order == "<" else count[1]):
            order = ">" if order == "<" else "<"
        if layout.maker == "Canon" and not base:
            base = _moved(note.block, start, order)
        return walk_directory(note.block, start, order, "MakerNotes", base)
    directory = layout.directory
    if layout.maker == "FujiFilm":
        directory = int.from_bytes(data[8:12], "little")
    # Values may stand behind the note's own end, but not behind the block's.
    return walk_directory(note.block[note.offset :], directory, order, "MakerNotes")


def _moved(block: bytes, start: int, order: str) -> int:
    """How far an editor moved a note without its offsets: Canon's first value stands right behind its directory."""
    if start + 2 > len(block):
        return 0
    (count,) = unpack_from(order + "H", block, start)
    end = start + 2 + 12 * count
    if not 0 < count <= 200 or end + 4 > len(block):
        return 0
    values = []
    for at in range(start + 2, end, 12):
        _, kind, number, value = unpack_from(order + "HHII", block, at)
        if SIZES.get(kind, 1) * number > 4:
            values.append(value)
    shift = end + 4 - min(values, default=end + 4)
    return shift if abs(shift) > 16 else 0


def _equipment(reading: Reading, note: MakerNote, data: bytes, layout: Layout, order: str, entry: Entry) -> None:
    """Olympus' inner directory: an offset in new notes, the directory itself in old ones."""
    block = data if layout.own else note.block
    offset = entry.value[0] if isinstance(entry.value, tuple) and len(entry.value) == 1 else entry.offset
    if not isinstance(offset, int):
        return
    inner = walk_directory(block, offset, order, "Equipment")
    for number, (name, rule) in EQUIPMENT_TAGS.items():
        found = inner.ifds[0].entries.get(number) if inner.ifds else None
        if found is not None:
            _keep(reading, "Olympus", name, rule, found, "")


def _text(reading: Reading, data: bytes) -> None:
    """A note that is plain text."""
    text = data.decode("ascii").rstrip("\0")
    value = text if len(text) <= 64 else f"(Binary data {len(text)} bytes, use -b option to extract)"
    reading.add("ExifIFD", "MakerNoteUnknownText", value, value)


def _keep(reading: Reading, maker: str, name: str, rule: str, entry: Entry, model: str) -> None:
    value, printed = _shown(rule, entry, model)
    if value != "" or rule not in PADDED:
        reading.add(maker, name, value, printed)


def _shown(rule: str, entry: Entry, model: str) -> Shown:
    value = plain(entry)
    if rule == "canon_serial" and isinstance(value, int):
        if model.endswith("EOS D30"):
            return value, f"{value >> 16:04x}{value & 0xFFFF:05d}"
        return value, f"{value:06d}" if "EOS-1D" in model else f"{value:010d}"
    if rule == "lens":
        return value, lens_range(value)
    if rule == "nikon_lens_type":
        bits = entry.value[0] if isinstance(entry.value, bytes | tuple) and entry.value else 0
        return value, nikon_lens_type(bits if isinstance(bits, int) else 0)
    text = str(value)
    if rule == "nikon_serial":
        return value, text.rstrip(" ").replace("NO=", "No=")
    if rule == "blanks":
        text = text.rstrip(" \0")
        return text, text
    if rule == "until_ff":
        # Canon pads some with FF; those say nothing.
        raw = entry.value if isinstance(entry.value, bytes) else b""
        text = raw.split(b"\xff")[0].split(b"\0")[0].decode("latin-1")
        return text, text
    if rule == "lens_hexadecimal":
        raw = entry.value if isinstance(entry.value, bytes) else b""
        text = raw[:5].hex() if raw[:4].strip(b"\0") else ""
        return text, text
    if rule == "sony_lens" and isinstance(entry.value, tuple | bytes):
        return sony_lens(bytes(part & 0xFF for part in entry.value if isinstance(part, int)))
    if rule == "fuji_serial":
        return text, fuji_serial(text)
    if rule == "panasonic_serial":
        match = re.match(r"([A-Z][0-9A-Z]{2})(\d\d)(\d\d)(\d\d)(\d{4})", text)
        if match:
            model_code, year, month, day, number = match.groups()
            return text, f"({model_code}) {_century(year)}:{month}:{day} no. {number}"
    return value, value


def _century(year: str) -> int:
    return int(year) + (2000 if int(year) < 70 else 1900)


def nikon_lens_type(bits: int) -> str:
    """Nikon's lens flags as ExifTool words them: `D`, `G VR`, `1`, `AF`."""
    names = ("MF", "D", "G", "VR", "1", "FT-1", "E", "AF-P")
    found = [name for bit, name in enumerate(names) if bits >> bit & 1] or ["AF"]
    if "D" in found and "G" in found:
        found.remove("D")
    if "E" in found:
        found = ["E", *(name for name in found if name not in ("E", "G"))]
    if "1" in found:
        found = ["1", *(name for name in found if name != "1")]
    if "FT-1" in found:
        found = [*(name for name in found if name != "FT-1"), "FT-1"]
    return " ".join(found)


def fuji_serial(text: str) -> str:
    """Fujifilm's body number: a part of it is the serial number in hexadecimal, a part the day it was made."""
    match = re.match(r"(?s)(.*?\s*)([0-9a-fA-F]*)(\d{2})(\d{2})(\d{2})(.{12})\s*\0*$", text)
    if not match:
        return text
    head, number, year, month, day, tail = match.groups()
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return re.sub(r"\b(592D(?:3[0-9])+)", lambda m: bytes.fromhex(m[1]).decode("latin-1") + " ", text, count=1)
    serial = bytes.fromhex(number + "0" * (len(number) % 2)).decode("latin-1")
    return f"{head}{serial} {_century(year)}:{month}:{day} {tail}"


# Sony's lens flags, in the order of their names: mask, names by value, whether before the range.
_SONY_FEATURES: tuple[tuple[int, dict[int, str], bool], ...] = (
    (0x4000, {0x4000: "PZ"}, True),
    (0x0300, {0x0100: "DT", 0x0200: "FE", 0x0300: "E"}, True),
    (0x00E0, {0x0020: "STF", 0x0040: "Reflex", 0x0060: "Macro", 0x0080: "Fisheye"}, False),
    (0x000C, {0x0004: "ZA", 0x0008: "G"}, False),
    (0x0003, {0x0001: "SSM", 0x0002: "SAM"}, False),
    (0x8000, {0x8000: "OSS"}, False),
    (0x2000, {0x2000: "LE"}, False),
    (0x0800, {0x0800: "II"}, False),
)


def sony_lens(data: bytes) -> Shown:
    """Sony's lens: flags around focal lengths and apertures in binary-coded decimal."""
    if len(data) != 8:
        return data.hex(), data.hex()
    digits = data.hex()
    first, last = digits[:2], digits[14:]
    short, long = digits[2:6].lstrip("0") or "0", digits[6:10].lstrip("0") or "0"
    wide, tele = (_aperture(digits[at : at + 2]) for at in (10, 12))
    value = f"{first} {short} {long} {wide} {tele} {last}"
    numbers = [float(part) if part.replace(".", "").isdigit() else -1.0 for part in (short, long, wide, tele)]
    if (
        min(numbers) < 0
        or not numbers[0]
        or not numbers[2]
        or 0 < numbers[1] < numbers[0]
        or 0 < numbers[3] < numbers[2]
    ):
        return value, f"Unknown ({value})"
    text = short if long in ("0", short) else f"{short}-{long}"
    text += f"mm F{wide}" if tele in ("0", wide) else f"mm F{wide}-{tele}"
    flags = int(first + last, 16)
    for mask, names, before in _SONY_FEATURES:
        bits = flags & mask
        if bits:
            name = names.get(bits, f"Unknown({bits:04x})")
            text = f"{name} {text}" if before else f"{text} {name}"
    return value, text


def _aperture(digits: str) -> str:
    """An f-number in tenths; a first digit of a to f stands for ten to fifteen."""
    tens = str(int(digits[0], 16)) + digits[1]
    return f"{int(tens) / 10:g}" if tens.isdigit() else digits
