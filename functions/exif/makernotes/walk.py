"""What readers of a maker's note share: where a record stands, what is known so far, and what is left to read."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from functions.exif.blocks.entries import MAKER_NOTE, Entry
from functions.exif.blocks.values import binary
from functions.exif.rows import Reading, Row
from functions.exif.tags.formulas import UNFIT, Members, expression
from functions.exif.tags.tables import Field, Table, table

MAX_DIRECTORIES = 400
MAX_ROWS = 20_000
# Bytes that binary records may span in all: they overlap only in broken files.
MAX_SPAN = 16 * 2**20
# Characters of a name that no table has, up to which it is remembered.
MAX_REMEMBERED = 64


class Place(NamedTuple):
    """Where a directory or a record stands.

    Args:
        data: that holds it.
        start: of its first byte.
        size: in bytes.
        order: `<` or `>`.
        base: where offsets count from, as a place in `data`.
        origin: offset of `data` in the file.
    """

    data: bytes
    start: int
    size: int
    order: str
    base: int = 0
    origin: int = 0


@dataclass(slots=True)
class Walk:
    """What is known and left while one note is read.

    Args:
        reading: that rows are added to.
        members: facts of the file, for conditions.
        directories: left to read.
        rows: left to examine.
        span: bytes left that records may cover.
        depth: of directories, now.
        waiting: values to be shown when all has been read.
        keys: of the row that led to the directory being read.
        limits: where the parts of an enciphered record end.
    """

    reading: Reading
    members: Members
    directories: int = MAX_DIRECTORIES
    rows: int = MAX_ROWS
    span: int = MAX_SPAN
    depth: int = 0
    waiting: list[tuple[Field, Any, Entry | None, int]] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)
    limits: tuple[int, ...] = ()

    def warn(self, text: str) -> None:
        """Keep a warning once."""
        if text not in self.reading.warnings and len(self.reading.warnings) < 64:
            self.reading.warnings.append(text)

    def miss(self, name: str, place: Place, text: str) -> None:
        """Keep a warning, and a record as a part of the file that was not read."""
        self.warn(text)
        self.reading.miss("maker note", name, place.start + place.origin, place.size)

    def put(self, row: Field, v: Any, entry: Entry | None = None, number: int = -1) -> None:
        """Keep a value to be shown by its row when all has been read: what follows may say in which unit it is."""
        self.rows -= 1
        if not row.ready:
            row.prepare()
        if row.raw is not None:
            v = row.take(v, self.members)
        if v is not None and not row.hidden:
            self.waiting.append((row, v, entry, number))

    def finish(self) -> int:
        """Show what was kept and return how many it is.

        Of several tags of one name in a group the last counts, unless its row or table is of low priority, or the
        directory behind the note has the name as well: then the first. ExifTool shows the same one.
        """
        groups, shown = self.reading.groups, 0
        exif = groups.get("ExifIFD", {})
        for row, v, entry, number in self.waiting:
            rows = groups.get(row.group)
            if rows is None:
                rows = groups[row.group] = {}
            if row.name in rows and (row.low or (row.name in exif and exif[row.name][3] > MAKER_NOTE)):
                continue
            found = row.show(v, self.members)
            if found is not None:
                shown += 1
                rows[row.name] = (row.name, found[0], found[1], number, entry)
                if row.grade:
                    self.reading.grades[row.group, row.name] = row.grade
        for group in {row.group for row, *_ in self.waiting}:
            self._preview(groups.get(group, {}))
        self.waiting.clear()
        return shown

    def _preview(self, rows: dict[str, Row]) -> None:
        """A row for the picture that two others point to."""
        start, size = rows.get("PreviewImageStart"), rows.get("PreviewImageLength")
        valid = rows.get("PreviewImageValid")
        if start and size and start[1] and isinstance(size[1], int) and size[1] > 0 and (not valid or valid[1]):
            text = binary(size[1])
            rows.setdefault("PreviewImage", ("PreviewImage", text, text, -1, None))


def item(walk: Walk, tags: Table, number: int | str, v: Any, count: int = 1, *, unnamed: bool = False) -> None:
    """A value that a maker's own form has numbered or named; without a row only if `unnamed`."""
    m = walk.members
    m["count"] = count
    row = tags.find(number, m)
    if row is not None:
        walk.put(row, v, None, number if type(number) is int else -1)
    elif unnamed and type(number) is int:
        named(walk, tags, f"{tags.attributes.get('prefix', tags.group)}_0x{number:04x}", v)


def named(walk: Walk, tags: Table, name: str, v: Any, *, whole: bool = False) -> None:
    """A value that no row describes."""
    if v is not None:
        make = _unnamed if len(name) <= MAX_REMEMBERED else _unnamed.__wrapped__
        walk.put(make(tags.name, name, whole), v)


@lru_cache(maxsize=4096)
def _unnamed(table_name: str, name: str, whole: bool) -> Field:
    tags = table(table_name)
    printed = "" if whole else "shortened(v)"
    return Field(tags, ["", name, "", "", "", tags.attributes.get("print") or printed])


def absolute(v: Any, place: Place, row: Field, m: Members) -> Any:
    """An offset, or several, as places in the file; `offset=` of a row may name a condition."""
    rule = row.flags["offset"]
    if rule and not expression(rule)(v, m):
        return v
    moved = place.base + place.origin
    if type(v) is int:
        return v + moved
    parts = str(v).split()
    return " ".join(str(int(part) + moved) for part in parts) if all(part.isdigit() for part in parts) else v


def counted(text: str, m: Members) -> int | None:
    """A count: digits, or a formula."""
    if text.isdigit():
        return int(text)
    try:
        return int(expression(text)(None, m))
    except UNFIT:
        return None
