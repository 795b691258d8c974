"""Readers of a maker's note by its tables: directories and binary records, and what leads from one to another.

All that is examined is bounded: rows, directories, depth and bytes. A directory that points to itself, a count of 2³²
or a wrong cipher costs a warning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, NamedTuple

from functions.exif.entries import COUNT, MAKER_NOTE, OFFSET, SIZE, TAG, TYPE, Entry
from functions.exif.ifd import walk_directory
from functions.exif.makernotes.records import FORMATS, NAMES, value
from functions.exif.rows import Reading
from functions.exif.tags.formulas import UNFIT, Members, expression
from functions.exif.tags.tables import Field, Table, table

MAX_DIRECTORIES = 400
MAX_DEPTH = 8
MAX_ROWS = 20_000
# Bytes that binary records may span in all: they overlap only in broken files.
MAX_SPAN = 16 * 2**20
HEAD = 128
# Numbers of an entry beyond which it is counted, unless its row reads it.
LONG = 500


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

    def put(self, row: Field, v: Any, entry: Entry | None = None, number: int = -1) -> None:
        """Keep a value to be shown by its row when all has been read: what follows may say in which unit it is."""
        self.rows -= 1
        if not row.ready:
            row.prepare()
        v = row.take(v, self.members)
        if v is not None and "hidden" not in row.flags:
            self.waiting.append((row, v, entry, number))

    def finish(self) -> int:
        """Show what was kept and return how many it is.

        Of several tags of one name in a group the last counts, unless its row or table is of low priority, or the
        directory behind the note has the name as well: then the first. ExifTool shows the same one.
        """
        groups, shown = self.reading.groups, 0
        behind = {name for name, row in groups.get("ExifIFD", {}).items() if row[3] > MAKER_NOTE}
        for row, v, entry, number in self.waiting:
            rows = groups.get(row.group)
            if rows is None:
                rows = groups[row.group] = {}
            if row.name in rows and (row.low or row.name in behind):
                continue
            found = row.show(v, self.members)
            if found is not None:
                shown += 1
                rows[row.name] = (row.name, found[0], found[1], number, entry)
        self.waiting.clear()
        return shown


def read(walk: Walk, name: str, place: Place, keys: dict[str, str] | None = None) -> None:
    """Read a directory or record by a table."""
    if walk.directories <= 0 or walk.depth >= MAX_DEPTH or walk.rows <= 0:
        walk.warn("the maker note has more directories than are read")
        return
    found = table(name)
    walk.members["order"] = "II" if place.order == "<" else "MM"
    walk.directories -= 1
    walk.depth += 1
    walk.keys = keys or {}
    try:
        _reader(walk.keys.get("kind") or found.kind)(walk, found, place)
    finally:
        walk.depth -= 1


def _reader(kind: str) -> Callable[[Walk, Table, Place], None]:
    """`ifd`, `binary`, or a maker's own as `canon.serial`: a function of that maker's module."""
    if kind == "binary":
        return records
    if kind == "ifd":
        return directory
    module, _, name = kind.partition(".")
    found: Callable[[Walk, Table, Place], None] = getattr(
        import_module(f"functions.exif.makernotes.{module}"), f"read_{name}"
    )
    return found


def directory(walk: Walk, tags: Table, place: Place) -> None:
    """A TIFF directory of a maker's numbers."""
    found = walk_directory(place.data, place.start, place.order, tags.name, place.base, ())
    for warning in found.warnings:
        walk.warn(warning)
    if not found.ifds:
        return
    for pair in tags.attributes.get("keep", "").split(","):
        number, _, name = pair.partition(":")
        entry = found.ifds[0].entries.get(int(number or "-1", 0))
        if entry is not None:
            shape = NAMES[entry[TYPE]]
            walk.members[name] = value(place.data, entry[OFFSET], shape, entry[COUNT], place.order, entry[SIZE])
    for entry in found.ifds[0].entries.values():
        if walk.rows <= 0:
            walk.warn("the maker note has more tags than are read")
            return
        one(walk, tags, place, entry)


def one(walk: Walk, tags: Table, place: Place, entry: Entry) -> None:
    """One entry of a directory."""
    number, shape, count = entry[TAG], NAMES[entry[TYPE]], entry[COUNT]
    m = walk.members
    alternatives = tags.rows.get(number)
    row = None
    if shape == "undef" and count == 1:
        shape = "int8u"
    if alternatives is not None:
        if len(alternatives) > 1 or alternatives[0].text[0]:
            m["count"], m["format"] = count, shape
            m["data"] = place.data[entry[OFFSET] : entry[OFFSET] + min(entry[SIZE], HEAD)]
        row = tags.find(number, m)
    if row is None:
        if alternatives is None or "unknown" not in alternatives[-1].flags:
            _unnamed(walk, tags, place, entry, shape)
        return
    if not row.ready:
        row.prepare()
    size = entry[SIZE]
    if row.format and row.format != shape and row.format in FORMATS:
        shape = row.format
        count = size // FORMATS[shape][0]
        if row.count:
            count = min(count, int(row.count)) if row.count.isdigit() else count
    if row.sub:
        follow(walk, row, place, entry[OFFSET], size, shape, count)
        return
    if count > LONG and FORMATS[shape][1] and "binary" not in row.flags:
        v: Any = f"(large array of {count} {shape} values)" if count > 20_000 else None
    else:
        v = None
    if v is None:
        v = value(place.data, entry[OFFSET], shape, count, place.order, size)
    if v is None:
        v = ""
    if row.mask and type(v) is int:
        v = (v & row.mask) >> row.shift
    if "offset" in row.flags:
        v = _absolute(v, place, row, m)
    walk.put(row, v, entry, number)


def item(walk: Walk, tags: Table, number: int | str, v: Any, count: int = 1, *, unnamed: bool = False) -> None:
    """A value that a maker's own form has numbered or named; without a row only if `unnamed`."""
    m = walk.members
    m["count"] = count
    row = tags.find(number, m)
    if row is not None:
        walk.put(row, v, None, number if type(number) is int else -1)
    elif unnamed and number not in tags.rows and type(number) is int:
        named(walk, tags, f"{tags.attributes.get('prefix', tags.name.replace('.', '_'))}_0x{number:04x}", v)


def named(walk: Walk, tags: Table, name: str, v: Any) -> None:
    """A value that no row describes."""
    if v is not None:
        walk.put(Field(tags, ["", name, "", "", "", "shortened(v)"]), v)


def _absolute(v: Any, place: Place, row: Field, m: Members) -> Any:
    """An offset, or several, as places in the file; `offset=` of a row may name a condition."""
    rule = row.flags["offset"]
    if rule and not expression(rule)(v, m):
        return v
    moved = place.base + place.origin
    if type(v) is int:
        return v + moved
    parts = str(v).split()
    return " ".join(str(int(part) + moved) for part in parts) if all(part.isdigit() for part in parts) else v


def _unnamed(walk: Walk, tags: Table, place: Place, entry: Entry, shape: str) -> None:
    """An entry that no row describes: named by its number."""
    count = entry[COUNT]
    if count > LONG and FORMATS[shape][1]:
        v: Any = f"(large array of {count} {shape} values)"
    else:
        v = value(place.data, entry[OFFSET], shape, count, place.order, entry[SIZE])
    if v is None:
        return
    named(walk, tags, f"{tags.attributes.get('prefix', tags.group)}_0x{entry[TAG]:04x}", v)


def records(walk: Walk, tags: Table, place: Place) -> None:
    """A record whose values stand at fixed places, some after others of variable length."""
    data, start, size, order = place.data, place.start, place.size, place.order
    size = min(size, len(data) - start)
    walk.span -= size
    if size <= 0 or start < 0 or walk.span < 0:
        return
    m = walk.members
    outer, m.seen = m.seen, {}
    usual = tags.attributes.get("format", "int8u")
    step = FORMATS[usual][0]
    moved = 0
    m["size"] = size
    for index, alternatives in tags.rows.items():
        at = int(index) * step + moved
        if at < 0:
            at += size
            if at < 0:
                continue
        if len(alternatives) > 1 or alternatives[0].text[0]:
            if at < size:
                m["data"] = data[start + at : start + at + min(size - at, HEAD)]
            row = tags.find(index, m)
            if row is None:
                continue
        else:
            row = alternatives[0]
            if not row.ready:
                row.prepare()
        room = size - at
        if room <= 0:
            break
        if walk.rows <= 0:
            walk.warn("the maker note has more tags than are read")
            break
        shape, count = row.format or usual, 1
        if row.count is not None:
            number = counted(row.count, m)
            if number is None or number < 0:
                continue
            count = number
            if shape.startswith("var_"):
                shape = shape[4:]
                moved += count * FORMATS[shape][0] - step
        elif shape in ("string", "undef") and row.format:
            count = room if shape == "string" else 1
        elif shape == "pstring":
            shape, count = "string", data[start + at]
            at, room = at + 1, room - 1
        elif shape == "var_string":
            shape = "string"
            end = data.find(b"\0", start + at, start + size)
            count = (end + 1 if end >= 0 else start + size) - start - at
            moved += count - 1
        hook = row.flags.get("move")
        if hook is not None:
            moved = _moved(hook, moved, m)
        if row.sub:
            length = count * FORMATS[shape][0] if row.format else room
            m["at"] = at
            follow(walk, row, place, start + at, min(length, room), shape, count)
            continue
        v = value(data, start + at, shape, count, order, room)
        if v is None:
            continue
        if row.mask and type(v) is int:
            v = (v & row.mask) >> row.shift
        if "offset" in row.flags:
            v = _absolute(v, place, row, m)
        m.seen[index] = v
        walk.put(row, v)
    m.seen = outer


def counted(text: str, m: Members) -> int | None:
    """A count: digits, or a formula."""
    if text.isdigit():
        return int(text)
    try:
        return int(expression(text)(None, m))
    except UNFIT:
        return None


def _moved(hook: str, moved: int, m: Members) -> int:
    """How far what follows is moved: `move=` of a row names one, by a formula without blanks."""
    try:
        return moved + int(expression(hook)(moved, m))
    except UNFIT:
        return moved


def follow(walk: Walk, row: Field, place: Place, at: int, size: int, shape: str, count: int) -> None:
    """Read the directory that a row leads to.

    Its cell `sub` names the table, then: `start=` (a place in the value; `val` for an offset in it), `base=` (`start`
    for the directory's own start, or bytes from it), `order=` (`<`, `>`, or `?` for what its count shows), `kind=`,
    `when=` (first bytes that it must have, hexadecimal), `move=` (bytes that a cipher leaves plain).
    """
    name, _, rest = row.sub.partition(" ")
    keys = dict(word.partition("=")[::2] for word in rest.split(" ") if word)
    order = keys.get("order", place.order)
    starts = [at]
    where = keys.get("start", "")
    if where.startswith("val"):
        offsets = str(value(place.data, at, shape, count, place.order, size)).split()
        extra = int(where[3:] or 0)
        offsets = [text for text in offsets[: int(keys.get("most", 10))] if text.isdigit() and text != "0"]
        starts = [int(text) + place.base + extra for text in offsets]
        size = 0
    elif where.startswith("table"):
        found = value(place.data, at, shape, count, place.order, size)
        starts = [place.start + int(found)] if type(found) is int and found else []
        size = 0
    elif where:
        starts = [at + int(where)]
        size -= int(where)
    for start in starts:
        if not 0 <= start < len(place.data):
            walk.warn(f"{row.name} lies outside the block")
            continue
        end = next((limit for limit in walk.limits if limit > start), len(place.data))
        length = size if size > 0 else int(keys.get("size", 0)) or end - start
        base = place.base
        if "base" in keys:
            base = start + int(keys["base"].removeprefix("start") or 0)
        found_order = byte_order(place.data, start, place.order) if order == "?" else order
        inner = Place(place.data, start, min(length, len(place.data) - start), found_order, base, place.origin)
        if "check" in keys and not _checked(keys["check"], inner):
            walk.warn(f"{row.name} is not what its tag says")
            continue
        read(walk, name, inner, keys)


def _checked(rule: str, place: Place) -> bool:
    """Whether a record begins as it must: with its size in bytes, or with given bytes."""
    if rule.startswith("canon."):
        from functions.exif.makernotes import canon

        return canon.valid_focus(place)
    if rule.startswith("size"):
        skipped = int(rule[4:] or 0)
        found = value(place.data, place.start + skipped, "int16u", 1, place.order, 2)
        return found in (place.size, place.size - skipped, place.size // 2, place.size // 2 - 1)
    return place.data[place.start : place.start + len(rule) // 2].hex() == rule


def byte_order(data: bytes, at: int, order: str) -> str:
    """A directory's byte order: no count of entries has its larger byte high."""
    count = data[at : at + 2]
    if len(count) == 2 and (count[1] if order == "<" else count[0]) > (count[0] if order == "<" else count[1]):
        return ">" if order == "<" else "<"
    return order
