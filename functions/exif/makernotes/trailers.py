"""Records behind a picture, by their tables: Photo Mechanic's datasets and the recipes of Canon's software."""

from __future__ import annotations

from struct import unpack_from

from functions.exif.makernotes.reader import read as read_table
from functions.exif.makernotes.walk import Place, Walk, item
from functions.exif.tags.tables import Table

MAX_DATASETS = 1024
SOFT_EDIT = 2
# Bytes of the first version of a recipe.
FIRST_VERSION = 0x272
OPTIONAL = b"IHL Created Optional Item Data\0\0"


def read_datasets(walk: Walk, tags: Table, place: Place) -> None:
    """Photo Mechanic's numbers in datasets as of IPTC."""
    data, at, end = place.data, place.start, place.start + place.size
    for _ in range(MAX_DATASETS):
        if at + 5 > end or data[at] != 0x1C:
            return
        record, number = data[at + 1], data[at + 2]
        (size,) = unpack_from(">H", data, at + 3)
        at += 5
        if at + size > end:
            return
        if record == SOFT_EDIT and size == 4:
            item(walk, tags, number, unpack_from(">i", data, at)[0])
        at += size


def read_edits(walk: Walk, _tags: Table, place: Place) -> None:
    """The edits of a recipe: the first version's, the stamps', then those of the second version and later."""
    data, end = place.data, place.start + place.size
    if place.size < 4:
        return
    (length,) = unpack_from(">I", data, place.start)
    at = place.start + 4
    end = min(at + length, end)
    size = min(FIRST_VERSION, end - at)
    read_table(walk, "Canonvrd.Ver1", place._replace(start=at, size=size))
    at += size
    if at + 4 > end:
        return
    size = min(unpack_from(">I", data, at)[0], end - at - 4)
    at += 4
    if size:
        read_table(walk, "Canonvrd.StampTool", place._replace(start=at, size=size))
    at += size
    if at < end:
        read_table(walk, "Canonvrd.Ver2", place._replace(start=at, size=end - at))


def read_optional(walk: Walk, tags: Table, place: Place) -> None:
    """Canon's optional items: pictures, and the version of what read the raw."""
    data, at, end = place.data, place.start, place.start + place.size
    for _ in range(MAX_DATASETS):
        if at + 48 > end or not data.startswith(OPTIONAL, at):
            return
        number, size, following = unpack_from("<III", data, at + 36)
        at += 48
        if size > following or at + following > end:
            return
        body = data[at : at + size]
        item(walk, tags, number, body.decode("latin-1"), size)
        if body.startswith(b"\xff\xd8\xff"):
            walk.reading.scan.hold("picture", "CanonVRD", place.origin + at, body)
        at += following
