"""The index of pictures of a JPEG (CIPA DC-007) with version, number and entries alone."""

from __future__ import annotations

from struct import pack

from functions.exif.edit.decide import Edit
from functions.kit.containers import Document, Kind, write


def reduced(document: Document, edit: Edit) -> bytes:
    """The file with an index of its pictures that has nothing else, or without one where it has one picture."""
    model = document.model
    indexes = [part for part in document.parts if part.kind is Kind.MPF]
    if model.mpf is None:
        for part in indexes:
            edit.gone("mpf", part.label, part.end - part.start, "index of further pictures that cannot be read")
        return write(document, dict.fromkeys(indexes)) if indexes else bytes(document.source.data)
    old = document.raw(model.mpf)
    further = [part for part in document.parts if part.kind is Kind.PICTURE]
    if not further or not model.entries:
        edit.gone("mpf", model.mpf.label, len(old), "index of further pictures")
        return write(document, dict.fromkeys(indexes))
    entries = [(entry.attribute, entry.size, entry.offset) for entry in model.entries if entry.size]
    shrunk = len(old) - len(_index(entries, 0))
    if shrunk > 0:
        edit.gone("mpf", model.mpf.label, shrunk, "further fields of the index of pictures")
    return write(document, {**dict.fromkeys(indexes), model.mpf: _index(entries, shrunk)})


def _index(entries: list[tuple[int, int, int]], shrunk: int) -> bytes:
    """An index: attribute, size and offset of each picture; offsets count from its own header.

    Args:
        entries: of the pictures, the first with an offset of zero.
        shrunk: bytes by which the first picture becomes shorter with this index.
    """
    raw = b"".join(
        pack("<IIIHH", attribute, size - (0 if offset else shrunk), offset - shrunk if offset else 0, 0, 0)
        for attribute, size, offset in entries
    )
    return (
        b"II*\0\x08\0\0\0"
        + pack("<H", 3)
        + pack("<HHI4s", 0xB000, 7, 4, b"0100")
        + pack("<HHII", 0xB001, 4, 1, len(entries))
        + pack("<HHII", 0xB002, 7, len(raw), 8 + 2 + 3 * 12 + 4)
        + bytes(4)
        + raw
    )
