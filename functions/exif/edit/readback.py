"""Read a file again after its fields were set: every old entry must be unchanged, every new one present.

The reader of `/exif` walks both files; it shares no code with the graft.
"""

from __future__ import annotations

from collections.abc import Collection
from hashlib import blake2b

from functions.exif.blocks.entries import COUNT, MAKER_NOTE, OFFSET, SIZE, TYPE, VALUE, Entry, Ifds
from functions.exif.blocks.ifd import POINTERS, walk
from functions.exif.edit.errors import Broken
from functions.exif.edit.fields import FRACTIONS_AND_OFFSETS, Fields
from functions.exif.reading import read
from functions.exif.rows import Reading
from functions.exif.scan.files import scan
from functions.exif.scan.result import Block, Scan
from functions.kit import containers
from functions.kit.containers import Document, Kind, Part
from functions.kit.containers.source import PIECE, pieces

Named = dict[tuple[str, int], Entry]
"""Entries by directory and tag."""
# Rows of a maker note that are positions in the file.
POSITIONS = ("Offset", "Start")


def confirm(
    document: Document, reading: Reading, after: bytes, addition: bytes, fields: Fields, patched: Collection[int] = ()
) -> None:
    """Compare a file whose fields were set with the file it was made from.

    Args:
        document: the file that was sent.
        reading: of that file.
        after: the file with its fields set.
        addition: a TIFF structure of the new entries alone.
        fields: what was set.
        patched: places in the Exif block where a 32-bit offset was corrected.

    Raises:
        Broken: an old entry is missing or another, a new one is missing, or another block of the file changed.
    """
    old, new = reading.scan, scan(after)
    if new is None:
        raise Broken("the result cannot be read again")
    first, result = _exif(old), _exif(new)
    if result is None:
        raise Broken("the result has no Exif that can be read")
    after_walk, wanted = walk(result.data), _entries(walk(addition))
    entries = _entries(after_walk)
    _present(entries, wanted)
    if first is not None:
        names = {*(ifd.name for ifd in walk(first.data).ifds), *(name for name, _ in wanted)}
        if any(ifd.name not in names for ifd in after_walk.ifds):
            raise Broken("an offset that led outside its Exif would lead inside")
        replaced = {*wanted, *(("ExifIFD", tag) for tag in FRACTIONS_AND_OFFSETS if fields.taken is not None)}
        _unchanged(first.data, result.data, entries, replaced, fields.position is not None, patched)
    _blocks(old, new)
    again = containers.read(after)
    if again is None or _parts(document) != _parts(again):
        raise Broken("the picture, or another part of the file, would change")
    _rows(reading, read(new))


def _exif(found: Scan) -> Block | None:
    """The block that is written: the first one outside of an image resource."""
    return next((block for block in found.blocks if block.kind == "exif" and "8BIM" not in block.where), None)


def _entries(ifds: Ifds) -> Named:
    """Entries by directory and tag, without pointers: the directories are compared themselves."""
    named: Named = {}
    for ifd in ifds.ifds:
        for tag, entry in ifd.entries.items():
            if tag not in POINTERS:
                named.setdefault((ifd.name, tag), entry)
    return named


def _present(entries: Named, wanted: Named) -> None:
    for key, entry in wanted.items():
        found = entries.get(key)
        if found is None or (found[TYPE], found[COUNT], found[VALUE]) != (entry[TYPE], entry[COUNT], entry[VALUE]):
            raise Broken(f"{key[0]} tag {key[1]:#06x} would not be readable in the result")


def _unchanged(
    before: bytes, after: bytes, entries: Named, replaced: set[tuple[str, int]], moved: bool, patched: Collection[int]
) -> None:
    for (name, tag), entry in _entries(walk(before)).items():
        if (name, tag) in replaced or (moved and name == "GPS"):
            continue
        found = entries.get((name, tag))
        if found is None or (found[TYPE], found[COUNT]) != (entry[TYPE], entry[COUNT]):
            raise Broken(f"{name} tag {tag:#06x} would be lost")
        start, size = found[OFFSET], found[SIZE]
        value = bytearray(after[start : start + size])
        for at in patched:
            if start <= at and at + 4 <= start + size:
                value[at - start : at - start + 4] = before[at : at + 4]
        if value != before[entry[OFFSET] : entry[OFFSET] + size] and not _covers(start, size, patched):
            raise Broken(f"{name} tag {tag:#06x} would change")
        # A maker note has offsets of its own, which hold only where it was.
        if tag == MAKER_NOTE and start != entry[OFFSET]:
            raise Broken("the maker note would move")


def _covers(start: int, size: int, patched: Collection[int]) -> bool:
    """Whether a value is a corrected offset itself, in a rewritten directory."""
    return size == 4 and start in patched


def _blocks(old: Scan, new: Scan) -> None:
    """Compare the blocks of other kinds; the index of a Multi-Picture file by the pictures it leads to."""
    if _others(old) != _others(new):
        raise Broken("another block of metadata would change")


def _others(found: Scan) -> list[tuple[str, str, bytes]]:
    written = _exif(found)
    return [(b.kind, b.where, bytes(b.data)) for b in found.blocks if b is not written and b.kind != "mpf"]


# Parts that a new block may move, grow or change: their meaning is compared elsewhere.
_MOVED = frozenset((Kind.STRUCTURE, Kind.EXIF, Kind.MPF, Kind.PADDING, Kind.FREE, Kind.TAG, Kind.GAP))


def _parts(document: Document) -> list[tuple[str, bytes]]:
    """Picture, trailers and blocks of other kinds, as they are in the file: kind, and content or its digest."""
    # Blocks in the directories of a TIFF are entries, which are compared one by one.
    pictures = (Kind.PIXELS, Kind.PREVIEW)
    return [
        (part.kind, _mark(document, part))
        for part in document.parts
        if (part.kind in pictures if document.reader == "tiff" else part.kind not in _MOVED and part.key != b"trak")
    ]


def _mark(document: Document, part: Part) -> bytes:
    start, end = part.start if part.body < 0 else part.body, part.end if part.stop < 0 else part.stop
    if end - start <= PIECE:
        return document.raw(part)
    digest = blake2b()
    for piece in pieces(document.source.data, start, end):
        digest.update(piece)
    return digest.digest()


def _rows(old: Reading, new: Reading) -> None:
    """Compare what is read of the maker note, whose offsets may lead behind the old block's end."""
    group = old.note.maker if old.note else ""
    after = new.groups.get(group, {})
    for name, row in old.groups.get(group, {}).items():
        if not name.endswith(POSITIONS) and (name not in after or after[name][1] != row[1]):
            raise Broken(f"{group}:{name} would change")
