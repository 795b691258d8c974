"""Makers' notes: whose they are, how large, and of the common makers who made the picture: lens, serial numbers, owner.

A note is a directory of the maker's own numbers behind a header of its own.
"""

from __future__ import annotations

from struct import iter_unpack, unpack_from
from typing import NamedTuple

from functions.exif.entries import OFFSET, SIZES, VALUE, Entry, Ifds
from functions.exif.ifd import walk, walk_directory
from functions.exif.lenses import mounts
from functions.exif.makers import PADDED, shown
from functions.exif.rows import MakerNote, NoteSummary, Reading


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


# The tags whose values are looked at: a note has tables of thousands of numbers beside them.
_WANTED = {
    maker: frozenset((*TAGS.get(maker, ()), *mounts.TAGS.get(maker, ()), EQUIPMENT))
    for maker in {layout.maker for layout in LAYOUTS} | set(BARE.values())
}
# By how their headers begin.
_BY_START: dict[bytes, list[Layout]] = {}
for _layout in LAYOUTS:
    _BY_START.setdefault(_layout.header[:3], []).append(_layout)
_LONGEST_HEAD = 20


def read(reading: Reading) -> None:
    """Read the note of a reading: its maker and size, and the rows that are in plain sight."""
    note = reading.maker
    if note is None:
        return
    # Notes are long, with pictures in them: what is not looked at is not copied.
    head = note.block[note.offset : note.offset + min(note.size, _LONGEST_HEAD)]
    for layout in _BY_START.get(head[:3], ()):
        if head.startswith(layout.header):
            break
    else:
        make = reading.text("IFD0", "Make")
        maker = next((group for name, group in BARE.items() if make.startswith(name)), "")
        if not maker:
            if note.is_text():
                _text(reading, note)
            reading.note = NoteSummary("", note.size, 0)
            return
        layout = Layout(maker, b"", 0)
    ifds = _walk(note, head, layout)
    entries = ifds.ifds[0].entries if ifds.ifds else {}
    reading.note = NoteSummary(layout.maker, note.size, len(entries))
    model = reading.text("IFD0", "Model")
    for number, (name, rule) in TAGS.get(layout.maker, {}).items():
        entry = entries.get(number)
        if entry is not None:
            _keep(reading, layout.maker, name, rule, entry, model)
    if layout.maker == "Olympus":
        if EQUIPMENT in entries:
            _equipment(reading, note, layout, ifds.order, entries[EQUIPMENT])
    else:
        mounts.identify(reading, layout.maker, entries)


def _walk(note: MakerNote, head: bytes, layout: Layout) -> Ifds:
    order, start, wanted = layout.order or note.order, note.offset, _WANTED[layout.maker]
    if order == "tiff":
        return walk(note.block[start + layout.directory : start + note.size], "MakerNotes", wanted)
    if order == "@":
        order = "<" if b"II" in head[layout.directory - 4 : layout.directory] else ">"
    directory, base = start + layout.directory, note.base
    if layout.own:
        # Values may stand behind the note's own end, but not behind the block's.
        base = start
        if layout.maker == "FujiFilm":
            directory = start + int.from_bytes(head[8:12], "little")
    order = _order(note.block, directory, order)
    if layout.maker == "Canon" and not base:
        base = _moved(note.block, directory, order)
    return walk_directory(note.block, directory, order, "MakerNotes", base, wanted)


def _order(block: bytes, at: int, order: str) -> str:
    """A directory's byte order: some have one of their own, but no count of entries has the larger byte high."""
    count = block[at : at + 2]
    if len(count) == 2 and (count[1] if order == "<" else count[0]) > (count[0] if order == "<" else count[1]):
        return ">" if order == "<" else "<"
    return order


def _moved(block: bytes, start: int, order: str) -> int:
    """How far an editor moved a note without its offsets: Canon's first value stands right behind its directory."""
    if start + 2 > len(block):
        return 0
    (count,) = unpack_from(order + "H", block, start)
    end = start + 2 + 12 * count
    if not 0 < count <= 200 or end + 4 > len(block):
        return 0
    entries = iter_unpack(order + "2xHII", block[start + 2 : end])
    values = [value for kind, number, value in entries if SIZES.get(kind, 1) * number > 4]
    shift = end + 4 - min(values, default=end + 4)
    return shift if abs(shift) > 16 else 0


def _equipment(reading: Reading, note: MakerNote, layout: Layout, order: str, entry: Entry) -> None:
    """Olympus' inner directory: an offset in new notes, the directory itself in old ones."""
    if isinstance(entry[VALUE], tuple) and len(entry[VALUE]) == 1:
        offset = entry[VALUE][0]
    else:
        offset = entry[OFFSET] - (note.offset if layout.own else 0)
    if not isinstance(offset, int):
        return
    block = note.block[note.offset : note.offset + note.size] if layout.own else note.block
    inner = walk_directory(block, offset, order, "Equipment")
    entries = inner.ifds[0].entries if inner.ifds else {}
    for number, (name, rule) in EQUIPMENT_TAGS.items():
        found = entries.get(number)
        if found is not None:
            _keep(reading, "Olympus", name, rule, found, "")
    mounts.identify(reading, "Olympus", entries)


def _text(reading: Reading, note: MakerNote) -> None:
    """A note that is plain text."""
    text = note.block[note.offset : note.offset + note.size].decode("ascii").rstrip("\0")
    value = text if len(text) <= 64 else f"(Binary data {len(text)} bytes, use -b option to extract)"
    reading.add("ExifIFD", "MakerNoteUnknownText", value, value)


def _keep(reading: Reading, maker: str, name: str, rule: str, entry: Entry, model: str) -> None:
    value, printed = shown(rule, entry, model)
    if value != "" or rule not in PADDED:
        reading.add(maker, name, value, printed)
