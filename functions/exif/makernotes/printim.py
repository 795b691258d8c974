"""Print Image Matching: a version, and parameters without names."""

from __future__ import annotations

from functions.exif.fields import printim
from functions.exif.makernotes.walk import Place, Walk
from functions.exif.tags.tables import Table


def read_main(walk: Walk, tags: Table, place: Place) -> None:
    """The rows of a PrintIM record."""
    for row in printim.rows(place.data[place.start : place.start + place.size], place.order):
        walk.reading.add(tags.group, *row)
