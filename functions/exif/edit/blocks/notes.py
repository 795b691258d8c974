"""Place names in maker notes, overwritten where they stand: a note's offsets hold only where it is.

Numbers of tags from ExifTool 13.58 (Panasonic: Location, Country, State, City, Landmark, City2; Nikon: LocationInfo).
"""

from __future__ import annotations

from functions.exif.blocks.entries import OFFSET, SIZE
from functions.exif.blocks.ifd import walk_directory
from functions.exif.edit.blocks.layout import Span
from functions.kit.containers.source import Buffer

PANASONIC = frozenset((0x67, 0x69, 0x6B, 0x6D, 0x6F, 0x80))
NIKON = frozenset((0x39,))
# What a note begins with, where its directory is, and whether offsets count from the TIFF header inside it.
NOTES = (
    (b"Panasonic\0\0\0", 12, False, PANASONIC),
    (b"LEICA\0\0\0", 8, False, PANASONIC),
    (b"Nikon\0\2", 10, True, NIKON),
)


def places(block: Buffer, start: int, end: int, order: str) -> list[Span]:
    """Values of a maker note that name a place.

    Args:
        block: the Exif block.
        start: of the note in it.
        end: of the note.
        order: of the block, `<` or `>`.
    """
    for head, skipped, own, tags in NOTES:
        if not block.startswith(head, start, end):
            continue
        at, base = start + skipped, 0
        if own:
            base, order = at, "<" if block[at : at + 2] == b"II" else ">"
            at += int.from_bytes(block[at + 4 : at + 8], "little" if order == "<" else "big")
        ifds = walk_directory(block, at, order, "MakerNotes", base, ()).ifds
        entries = [entry for ifd in ifds for tag, entry in ifd.entries.items() if tag in tags]
        spans = [(entry[OFFSET], entry[OFFSET] + entry[SIZE]) for entry in entries]
        return [(low, high) for low, high in spans if start <= low and block[low:high].strip(b"\0 ")]
    return []
