"""Print Image Matching: a version, and parameters that nobody names."""

from __future__ import annotations

from functions.exif.makernotes.walk import Place, Walk, item
from functions.exif.tags.tables import Table


def read_main(walk: Walk, tags: Table, place: Place) -> None:
    """The version of a PrintIM record."""
    data = place.data[place.start : place.start + place.size]
    if data[:7] == b"PrintIM" and len(data) > 15:
        item(walk, tags, "PrintIMVersion", data[8:12].decode("latin-1"))
