"""Maker notes: their maker, by first bytes, make and model, and their tags, by that maker's tables.

`read` is for `functions.exif.reading`; a maker's own module holds what a table cannot say, such as a cipher.
"""

from __future__ import annotations

from base64 import b64decode

from functions.exif.fields.file import ORDERS
from functions.exif.lenses import mounts
from functions.exif.makernotes import locating
from functions.exif.makernotes.reader import byte_order
from functions.exif.makernotes.reader import read as read_table
from functions.exif.makernotes.walk import Place, Walk
from functions.exif.rows import MakerNote, NoteSummary, Reading
from functions.exif.scan.result import Block
from functions.exif.tags.formulas import Members
from functions.exif.tags.tables import Field, table

# Properties of XMP that hold a note, and the table of each.
PACKETS = (
    ("XMP-GCamera", "HdrPlusMakernote", "Google.HDRPlusMakerNote"),
    ("XMP-GCamera", "HDRPMakerNote", "Google.HDRPMakerNote"),
    ("XMP-GCamera", "HDRPlusMakerNote", "Google.HDRPlusMakerNote"),
    ("XMP-GCamera", "ShotLogData", "Google.ShotLogData"),
)
MAX_TEXT = 2**21
# The track of a CR3 that holds Canon's timed metadata.
TIMED = "Track4"
# First bytes of a note that its row may look at.
HEAD = 1024


def read(reading: Reading) -> None:
    """Read the note of a reading: its maker, size, and rows."""
    note = reading.maker
    if note is None:
        return
    m = members(reading)
    m["data"], m["count"] = note.block[note.offset : note.offset + min(note.size, HEAD)], note.size
    row = table("MakerNotes.Main").find(0x927C, m)
    if row is not None and row.name == "MakerNoteUnknownText":
        _text(reading, note)
        return
    if row is None or not row.sub:
        reading.note = NoteSummary("", note.size, 0)
        return
    walk = Walk(reading, m)
    name, place = _place(note, row, m)
    read_table(walk, name, place)
    tags = table(name)
    group = tags.group
    if tags.kind == "ifd" and reading.order and place.order != reading.order:
        reading.add("File", "MakerNoteByteOrder", *ORDERS[place.order])
    reading.note = NoteSummary(group, note.size, walk.finish())
    mounts.identify(reading, group, m)


def read_packet(reading: Reading) -> None:
    """Read the notes that an XMP packet holds as Base64 text."""
    for group, name, tags in PACKETS:
        text = reading.encoded.get((group, name)) or reading.value(group, name)
        if not isinstance(text, str) or len(text) > MAX_TEXT:
            continue
        try:
            data = b64decode(text)
        except ValueError:
            continue
        walk = Walk(reading, members(reading))
        read_table(walk, tags, Place(data, 0, len(data), "<"))
        walk.finish()


def read_timed(reading: Reading, block: Block) -> None:
    """Read the timed metadata of a CR3, whose rows are of the group of their track."""
    apart = Reading(reading.scan)
    walk = Walk(apart, members(reading))
    read_table(walk, "Canon.CTMD", Place(block.data, 0, len(block.data), "<", 0, max(block.offset, 0)))
    walk.finish()
    reading.warnings += apart.warnings
    for group, rows in apart.groups.items():
        for name, row in rows.items():
            reading.add(TIMED, name, row[1], row[2])
            if (group, name) in apart.grades:
                reading.grades[TIMED, name] = apart.grades[group, name]


def members(reading: Reading) -> Members:
    """What conditions may ask of a file."""
    kind = reading.scan.format
    return Members(
        {
            "Make": reading.text("IFD0", "Make").strip(),
            "Model": reading.text("IFD0", "Model").strip(),
            "FILE_TYPE": "JPEG" if kind in ("JPEG", "MPO") else "TIFF",
            "TIFF_TYPE": kind,
        }
    )


def _place(note: MakerNote, row: Field, m: Members) -> tuple[str, Place]:
    """Where the directory of a note begins, in which order its bytes are, and what its offsets count from."""
    name, keys = row.leads
    start = note.offset + int(keys.get("start", 0))
    base = note.base
    where = keys.get("base", "")
    if where == "file":
        base = -note.origin
    elif where.startswith("block"):
        base += int(where[5:])
    elif where:
        base = start + int(where)
    order = keys.get("order", note.order)
    if "pointer" in keys:
        order = "<"
        start = note.offset + int.from_bytes(note.block[note.offset + 8 : note.offset + 12], "little")
        base = note.offset
    size = max(note.size - (start - note.offset), 0)
    place = Place(note.block, start, size, note.order if order == "?" else order, base, note.origin)
    if "locate" in keys:
        place = locating.found(place)
    elif order == "?":
        place = place._replace(order=byte_order(note.block, start, note.order))
    make, model = str(m["Make"]), str(m["Model"])
    if "patch" in keys:
        place = locating.patched(place)
    if "fix" in keys or make.startswith("Canon"):
        place = locating.fixed(place, make, model, loose=keys.get("fix") != "")
    return name, place


def _text(reading: Reading, note: MakerNote) -> None:
    """A note that is plain text."""
    text = note.block[note.offset : note.offset + note.size].decode("ascii").rstrip("\0")
    value = text if len(text) <= 64 else f"(Binary data {len(text)} bytes, use -b option to extract)"
    reading.add("ExifIFD", "MakerNoteUnknownText", value, value)
    reading.note = NoteSummary("", note.size, 0)
