"""A record whose values stand at fixed places, some after others of variable length, read by a table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from functions.exif.makernotes.reader import follow
from functions.exif.makernotes.records import FORMATS, SINGLE, value
from functions.exif.makernotes.walk import Place, Walk, absolute, counted
from functions.exif.tags.formulas import UNFIT, expression
from functions.exif.tags.tables import Field, Table, table

# First bytes of a value that conditions may look at.
HEAD = 128


@dataclass(slots=True)
class _Record:
    """A record while it is read.

    Args:
        walk: of the note.
        tags: the record's table.
        place: where it stands.
        size: in bytes, as far as there are any.
        usual: format of values without one of their own.
        moved: bytes by which values of variable length have moved the rest.
    """

    walk: Walk
    tags: Table
    place: Place
    size: int
    usual: str
    moved: int = 0

    def choose(self, index: Any, alternatives: tuple[Field, ...], at: int) -> Field | None:
        """The row of a place that applies."""
        if len(alternatives) == 1 and not alternatives[0].conditional:
            row = alternatives[0]
            if not row.ready:
                row.prepare()
            return row
        if at < self.size:
            start = self.place.start + at
            self.walk.members["data"] = self.place.data[start : start + min(self.size - at, HEAD)]
        return self.tags.find(index, self.walk.members)

    def read(self, index: Any, row: Field, at: int) -> None:
        """Read one value, or the record that it leads to."""
        found = self.shape(row, at)
        if found is None:
            return
        shape, count, at = found
        if "move" in row.flags:
            try:
                self.moved += int(expression(row.flags["move"])(self.moved, self.walk.members))
            except UNFIT:
                return
        place, room = self.place, self.size - at
        if row.sub:
            length = count * FORMATS[shape][0] if row.format else room
            follow(self.walk, row, place, place.start + at, min(length, room), shape, count)
            return
        v = value(place.data, place.start + at, shape, count, place.order, room)
        if v is None:
            return
        if row.mask and type(v) is int:
            v = (v & row.mask) >> row.shift
        if "offset" in row.flags:
            v = absolute(v, place, row, self.walk.members)
        self.walk.members.seen[index] = v
        self.walk.put(row, v)

    def shape(self, row: Field, at: int) -> tuple[str, int, int] | None:
        """Format, count and place of a value; None where its count has no sense."""
        shape = row.format or self.usual
        if row.count is not None:
            count = counted(row.count, self.walk.members)
            if count is None or count < 0:
                return None
            if shape.startswith("var_"):
                shape = shape[4:]
                self.moved += count * FORMATS[shape][0] - FORMATS[self.usual][0]
            return shape, count, at
        if shape == "string":
            return shape, self.size - at, at
        if shape == "pstring":
            return "string", self.place.data[self.place.start + at], at + 1
        if shape == "var_int16u":
            # Bytes, behind their number.
            found = value(self.place.data, self.place.start + at, "int16u", 1, self.place.order, self.size - at)
            if found is None:
                return None
            self.moved += found
            return "undef", found + 2, at
        if shape == "var_string":
            start = self.place.start
            end = self.place.data.find(b"\0", start + at, start + self.size)
            count = (end + 1 if end >= 0 else start + self.size) - start - at
            self.moved += count - 1
            return "string", count, at
        return shape, 1, at


def read_records(walk: Walk, tags: Table, place: Place) -> None:
    """Read the values of a record in the order of their places."""
    size = min(place.size, len(place.data) - place.start)
    walk.span -= size
    if size <= 0 or place.start < 0 or walk.span < 0:
        return
    m = walk.members
    outer, m.seen = m.seen, {}
    m["size"] = size
    record = _Record(walk, tags, place, size, tags.attributes.get("format", "int8u"))
    data, start, seen, put = place.data, place.start, m.seen, walk.put
    singles = SINGLE[place.order]
    for index, first, alternatives, only in _plan(tags, FORMATS[record.usual][0]):
        at = first + record.moved
        if at < 0:
            at += size
        if at < 0:
            continue
        row = only or record.choose(index, alternatives, at)
        if row is None:
            continue
        if at >= size:
            break
        if walk.rows <= 0:
            walk.warn("the maker note has more tags than are read")
            break
        single = singles.get(row.format or record.usual) if row.plain else None
        if single is None or single[0] > size - at or not single[2]:
            record.read(index, row, at)
            continue
        # The common case: one whole number.
        (v,) = single[1](data, start + at)
        if row.mask:
            v = (v & row.mask) >> row.shift
        seen[index] = v
        put(row, v)
    m.seen = outer


# The rows of a table: id, place before anything moves it, alternatives, and the row itself where there is but one.
Plan = list[tuple[Any, int, tuple[Field, ...], Field | None]]


@lru_cache(maxsize=1024)
def _planned(name: str, step: int) -> Plan:
    found: Plan = []
    for index, alternatives in table(name).rows.items():
        only = alternatives[0] if len(alternatives) == 1 and not alternatives[0].conditional else None
        if only is not None and not only.ready:
            only.prepare()
        found.append((index, int(index) * step, alternatives, only))
    return found


def _plan(tags: Table, step: int) -> Plan:
    return _planned(tags.name, step)
