"""Where a note's directory begins, and how far its offsets are off in files that a program has rearranged."""

from __future__ import annotations

import re
from struct import iter_unpack, unpack_from

from functions.exif.blocks.entries import SIZES
from functions.exif.makernotes.walk import Place

# The directory begins in the first bytes of a note.
FARTHEST = 32
MOST_ENTRIES = 255
# A shift that is smaller may be a camera's own.
USUAL_SHIFT = 16


def found(place: Place) -> Place:
    """The first place that looks like a directory, with its byte order; as given where none does."""
    data, order = place.data, place.order
    for at in range(place.start, min(place.start + FARTHEST, len(data) - 14) + 1, 2):
        head = data[at : at + 4]
        if head in (b"II*\0", b"MM\0*"):
            own = "<" if head[:2] == b"II" else ">"
            (offset,) = unpack_from(own + "I", data, at + 4)
            if 8 <= offset <= place.size:
                start = at + offset
                return place._replace(start=start, order=own, base=at, size=place.size - (start - place.start))
        for own in (order, ">" if order == "<" else "<"):
            if _plausible(data, at, own):
                return place._replace(start=at, order=own, size=place.size - (at - place.start))
    return place


def _plausible(data: bytes, at: int, order: str) -> bool:
    """Whether a directory may begin here: by the count of its entries, their types and counts."""
    (count,) = unpack_from(order + "H", data, at)
    end = at + 2 + 12 * count
    if not 0 < count <= MOST_ENTRIES or end > len(data):
        return False
    for index, (kind, number) in enumerate(iter_unpack(order + "2xHI4x", data[at + 2 : end])):
        if not kind and index and not number:
            continue
        if not 1 <= kind <= 13 or number >= 1 << 24:
            return False
    return True


def patched(place: Place) -> Place:
    """A directory whose count of entries has four bytes, as one of two."""
    data, at = place.data, place.start
    count = next((data[at + index : at + index + 2] for index in (0, 2) if any(data[at + index : at + index + 2])), b"")
    if len(count) < 2:
        return place
    return place._replace(data=data[: at + 2] + count + data[at + 4 :], start=at + 2)


def fixed(place: Place, make: str, model: str, *, loose: bool) -> Place:
    """A place whose offsets count from where the note was written: its first value directly follows its directory.

    Args:
        place: of the directory.
        make: of the camera.
        model: of the camera.
        loose: move it only if it is off by more than cameras themselves differ.
    """
    data, start, order = place.data, place.start, place.order
    if start + 2 > len(data):
        return place
    (count,) = unpack_from(order + "H", data, start)
    end = start + 2 + 12 * count
    if not 0 < count <= MOST_ENTRIES or end + 4 > len(data):
        return place
    entries = iter_unpack(order + "2xHII", data[start + 2 : end])
    values = [value for kind, number, value in entries if SIZES.get(kind, 1) * number > 4]
    if not values:
        return place
    usual = _usual(make, model)
    gap = place.base + min(values) - end
    shift = usual[0] - gap
    if gap in usual or (loose and abs(shift) <= USUAL_SHIFT):
        return place
    return place._replace(base=place.base + shift)


def _usual(make: str, model: str) -> tuple[int, ...]:
    """Bytes between a directory and its first value, as cameras write them."""
    if make.startswith("Canon"):
        return (6,) if re.search(r"\b(20D|350D|REBEL XT|Kiss Digital N)\b", model) else (4, 16, 28)
    if make.startswith("CASIO"):
        return (4, 16, 2)
    if make.startswith(("General Imaging Co.", "GEDSC")):
        return (0,)
    return (4,)
