"""Tables of tags: one `.tsv` a maker or block, a section a table, a row a tag. docs/tag-tables.md describes the form.

A file is read when the first of its tables is asked for, a section is parsed when it is, and a row's formulas are
compiled when its tag is first seen: a plain JPEG pays for none of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from functions.exif.blocks.values import Value, binary, is_number, number_of, settled, text_of
from functions.exif.tags.files import texts
from functions.exif.tags.formulas import UNFIT, Formula, Members, Steps, expression, run, single, steps
from functions.exif.tags.labels import Labels, labels_of

COLUMNS = ("id", "name", "format", "when", "value", "print", "labels", "sub", "flags", "grade")
# Between the parts of a cell, each for one of a tag's several values.
PARTS = " ;; "
# After the steps of a value that run when it is read; the others run when all has been read.
READ = " => "
_HEXADECIMAL = re.compile(r"0x[0-9a-f]+")
_FORMAT = re.compile(r"(\w*)(?:\[(.*)\])?(?:&(0x[0-9a-f]+))?")


class Field:
    """One row of a table: what a tag is named, when it is meant, how its value is read and shown.

    Args:
        table: that the row belongs to.
        cells: of the row, by `COLUMNS`; empty ones at its end may be missing.
    """

    __slots__ = (
        "_bare",
        "_printed",
        "_simple",
        "_value",
        "_values",
        "conditional",
        "count",
        "flags",
        "format",
        "grade",
        "group",
        "hidden",
        "labels",
        "leads",
        "low",
        "mask",
        "name",
        "number",
        "plain",
        "prints",
        "raw",
        "ready",
        "shift",
        "sub",
        "table",
        "test",
        "text",
    )

    def __init__(self, table: Table, cells: list[str]) -> None:
        cells += [""] * (len(COLUMNS) - len(cells))
        number, self.name, shape, when, value, printed, labels, self.sub, flags, self.grade = cells
        self.table = table
        self.number = number
        # Formulas stay text until they are needed.
        self.text = (when, value, printed, labels, shape)
        self.conditional = bool(when)
        self.flags = _pairs(flags)
        self.group = self.flags.get("group", table.group)
        self.low = "low" in self.flags or "low" in table.attributes
        self.hidden = "hidden" in self.flags
        self.ready = False

    def prepare(self) -> None:
        """Compile the row's cells."""
        when, value, printed, labels, shape = self.text
        match = _FORMAT.fullmatch(shape)
        if match is None:
            raise ValueError(f"{self.table.name}: {self.name} has the unknown format {shape!r}")
        self.format, self.count = match[1], match[2]
        self.mask = int(match[3], 16) if match[3] else 0
        self.shift = (self.mask & -self.mask).bit_length() - 1 if self.mask else 0
        self.test = single(steps(when)) if when else None
        parts = max(printed.count(PARTS), labels.count(PARTS)) + 1
        raw, _, rest = value.partition(READ) if READ in value else ("", "", value)
        self.raw = steps(raw) if raw else None
        value = rest
        self._value = None
        self._values = [steps(cell) if cell else None for cell in value.split(PARTS)] if PARTS in value else None
        if value and self._values is None:
            self._value = steps(value)
        self._printed: list[tuple[Labels | None, Formula | None]] | None = None
        self.labels = self.prints = None
        if parts > 1:
            self._printed = [
                (self.table.labels(name) if name else None, expression(cell) if cell else None)
                for name, cell in zip(_parts(labels, parts), _parts(printed, parts), strict=True)
            ]
        else:
            printed = printed or self.table.attributes.get("print", "") * (not labels)
            self.labels = self.table.labels(labels) if labels else None
            self.prints = expression(printed) if printed else None
        name, _, rest = self.sub.partition(" ")
        # The table of what the row leads to, and how it is read.
        self.leads = name, _pairs(rest)
        self.plain = not self.sub and self.count is None and self.flags.keys().isdisjoint(("move", "offset"))
        self._simple = self._printed is None and self._values is None and "binary" not in self.flags
        self._bare = self._simple and self.labels is None and self.prints is None
        self.ready = True

    def applies(self, m: Members) -> bool:
        """Whether the row is meant, of those with its number."""
        if not self.ready:
            self.prepare()
        if self.test is None:
            return True
        try:
            return bool(self.test(None, m))
        except UNFIT:
            return False

    def take(self, v: Value, m: Members) -> Value:
        """A raw value after the steps that run when it is read; None where the tag says nothing."""
        return v if self.raw is None else _attempt(self.raw, v, m)

    def show(self, v: Value, m: Members) -> tuple[Value, Value] | None:
        """A value's two forms, without labels and units and as printed; None where the tag says nothing.

        Args:
            v: that `take` gave: a number, or text: of several numbers with spaces between, of bytes as Latin-1.
            m: of the file, which rows may also add to.
        """
        if not self.ready:
            self.prepare()
        if self._value is not None:
            v = _attempt(self._value, v, m)
            if v is None:
                return None
        # Most values are a whole number or text that is printed unchanged, or a number with a label.
        if self._bare and (type(v) is int or type(v) is str):
            shown: Value = v if type(v) is int else readable(v)
            return shown, shown
        if type(v) is int and self._simple:
            found = self.labels.exact.get(v) if self.labels is not None else None
            return v, self._one(v, self.labels, self.prints, m) if found is None else found
        parts: list[Value] | None = None
        if self._printed is not None or self._values is not None:
            parts = self._parts(v, m)
            v = " ".join(map(str, parts))
        elif type(v) is not int:
            v = settled(v)
        if "binary" in self.flags:
            shown = v if type(v) is str and v.startswith("(Binary data") else binary(len(str(v)))
            return shown, shown
        if self._printed is not None and parts is not None:
            printed: Value = self._listed(parts, m)
        else:
            printed = self._one(v, self.labels, self.prints, m)
        return readable(v), printed

    def _one(self, v: Value, labels: Labels | None, prints: Formula | None, m: Members) -> Value:
        if labels is not None:
            found = labels.get(v)
            if found is not None:
                return found
        if prints is not None:
            try:
                shown = prints(v, m)
            except UNFIT:
                try:
                    shown = prints(number_of(v), m)
                except UNFIT:
                    shown = None if labels else v
            if shown is not None:
                return shown if type(shown) is int else readable(settled(shown))
        if labels is not None:
            return readable(self.unknown(v))
        return v if type(v) is int else readable(v)

    def unknown(self, v: Value) -> str:
        """The print of a value without a label."""
        return f"Unknown (0x{v:x})" if "hex" in self.flags and type(v) is int and v > 0 else f"Unknown ({settled(v)})"

    def _parts(self, v: Value, m: Members) -> list[Value]:
        """Each of several values by its own formula."""
        found: list[Value] = []
        own = self._values or ()
        for index, word in enumerate(str(settled(v)).split(" ")):
            item: Value = number_of(word) if is_number(word) else word
            part = own[index] if index < len(own) else None
            if part is not None:
                item = _attempt(part, item, m)
            found.append("" if item is None else settled(item))
        return found

    def _listed(self, values: list[Value], m: Members) -> str:
        """The prints of several values, each by its own part of the cells."""
        if "relist" in self.flags:
            values = _regrouped(values, self.flags["relist"])
        printed, own = [], self._printed or []
        for index, item in enumerate(values):
            labels, formula = own[index] if index < len(own) else (None, None)
            printed.append(str(self._one(item, labels, formula, m)))
        return "; ".join(printed)


def _regrouped(values: list[Value], rule: str) -> list[Value]:
    """Values by their places as `0,1+2,3`: joined where a plus is between them."""
    found: list[Value] = []
    for places in rule.split(","):
        chosen = [values[int(place)] for place in places.split("+") if int(place) < len(values)]
        if chosen:
            found.append(chosen[0] if len(chosen) == 1 else " ".join(map(str, chosen)))
    return found


def _attempt(parts: Steps, v: Value, m: Members) -> Value:
    """The steps' value; None where one does not fit it."""
    try:
        found: Value = run(parts, v, m)
    except UNFIT:
        return None
    return found


def _parts(cell: str, count: int) -> list[str]:
    found = cell.split(PARTS) if cell else []
    return [part.strip() for part in found] + [""] * (count - len(found))


def readable(v: Value) -> Value:
    """Bytes as Latin-1 text as the UTF-8 text that they are."""
    if type(v) is str and not v.isascii():
        try:
            return text_of(v.encode("latin-1"))
        except UnicodeEncodeError:
            return v
    return v


def _pairs(cell: str) -> dict[str, str]:
    """`word key=value …` as a mapping."""
    if not cell:
        return {}
    return {word.partition("=")[0]: word.partition("=")[2] for word in cell.split(" ") if word}


@dataclass(slots=True)
class Table:
    """The tags of one directory or binary record.

    Args:
        name: `Canon.CameraSettings`: the file, then the section.
        attributes: of the section: `kind`, `group`, `format`, `prefix`, `order`, `cipher`.
        rows: by id, in the order of the file; of several with one id the first that applies counts.
    """

    name: str
    attributes: dict[str, str]
    rows: dict[int | float | str, tuple[Field, ...]] = field(default_factory=dict)
    kind: str = ""
    group: str = ""

    def find(self, number: int | float | str, m: Members) -> Field | None:
        """The row of an id that applies."""
        for row in self.rows.get(number, ()):
            if not row.ready:
                row.prepare()
            if row.test is None:
                return row
            try:
                if row.test(None, m):
                    return row
            except UNFIT:
                continue
        return None

    def labels(self, cell: str) -> Labels:
        """The labels that a cell lists or names."""
        return labels_of(self.name.partition(".")[0], cell)

    def __iter__(self) -> Iterator[Field]:
        for rows in self.rows.values():
            yield from rows


@lru_cache(maxsize=1024)
def table(name: str) -> Table:
    """A table by the name of its file and its section, `Canon.CameraSettings`.

    Raises:
        KeyError: the section does not exist.
        FileNotFoundError: the file does not exist.
    """
    file, _, section = name.partition(".")
    attributes, body = texts(file)[section]
    pairs = _pairs(attributes)
    found = Table(name, pairs, kind=pairs.get("kind", "ifd"), group=pairs.get("group", file))
    rows: dict[int | float | str, list[Field]] = {}
    for line in body.splitlines():
        if line and line[0] != "#":
            cells = line.split("\t")
            rows.setdefault(_id(cells[0]), []).append(Field(found, cells))
    found.rows = {number: tuple(alternatives) for number, alternatives in rows.items()}
    return found


def _id(text: str) -> int | float | str:
    if _HEXADECIMAL.fullmatch(text):
        return int(text, 16)
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return text
