"""What reading a file gives: rows by group, previews, the maker's note, warnings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from functions.exif.blocks.entries import Entry
from functions.exif.scan.result import Inner, Scan
from functions.kit.containers.source import held

if TYPE_CHECKING:
    from functions.exif.blocks.jumbf import Box

# Printed values may be lists and structures in XMP and IPTC.
Printed = Any
MAX_REPEATED = 512
TEXT_BYTES = bytes((9, 10, 13, *range(32, 127)))


# One tag of a file. A plain tuple, because a file has hundreds of them:
#   name: ExifTool's.
#   value: without labels and units, as `exiftool -n` gives it.
#   printed: as `exiftool` prints it.
#   number: of the tag; -1 where its format does not number them.
#   entry: the directory's entry, with the raw value; None outside Exif.
Row = tuple[str, Printed, Printed, int, Entry | None]


@dataclass(slots=True)
class Reading:
    """All that was read of a file.

    Args:
        scan: of its container.
        groups: rows by name, by group.
        warnings: of the scan, the walks and the readers of other blocks.
        previews: pictures inside the metadata.
        order: byte order of the first Exif block, `<` or `>`; empty without one.
        maker: where the maker note stands.
        note: whose it is, how large, and of how many tags.
        counts: blocks read so far, by kind.
        grades: privacy grades of rows by the tables, by group and name: `identifies:device`.
        exif_only: whether the blocks of other kinds were left out.
        rows_only: whether files inside the file and unread bytes of Exif were left out.
        encoded: Base64 of XMP's properties that hold bytes, by group and name.
        unsided: group and name of XMP's coordinates that state no hemisphere.
        repeated: values of tags that have a row already, which shows another value.
        embedded: the files inside the file, with what was read of each.
        credentials: superboxes of JUMBF, with what content credentials state.
    """

    scan: Scan
    groups: dict[str, dict[str, Row]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    previews: list[Preview] = field(default_factory=list)
    order: str = ""
    maker: MakerNote | None = None
    note: NoteSummary | None = None
    counts: dict[str, int] = field(default_factory=dict)
    exif_only: bool = False
    rows_only: bool = False
    grades: dict[tuple[str, str], str] = field(default_factory=dict)
    unsided: set[tuple[str, str]] = field(default_factory=set)
    encoded: dict[tuple[str, str], str] = field(default_factory=dict)
    repeated: list[tuple[str, Row]] = field(default_factory=list)
    embedded: list[Embedded] = field(default_factory=list)
    credentials: list[Box] = field(default_factory=list)

    def text(self, group: str, name: str) -> str:
        """A row's print as text; empty without a row."""
        row = self.groups.get(group, {}).get(name)
        return "" if row is None else str(row[2])

    def value(self, group: str, name: str) -> Printed | None:
        """A row's value; None without a row."""
        row = self.groups.get(group, {}).get(name)
        return None if row is None else row[1]

    def add(self, group: str, name: str, value: Printed, printed: Printed) -> None:
        """Keep a row unless its group has one of that name: the first counts."""
        rows = self.groups.get(group)
        if rows is None:
            rows = self.groups[group] = {}
        if name not in rows:
            rows[name] = (name, value, printed, -1, None)
        elif rows[name][1] != value:
            self.repeat(group, (name, value, printed, -1, None))

    def repeat(self, group: str, row: Row) -> None:
        """Keep a value of a tag that has a row already."""
        if len(self.repeated) < MAX_REPEATED:
            self.repeated.append((group, row))
        elif len(self.repeated) == MAX_REPEATED:
            self.scan.miss("limit", f"{group}:{row[0]} and other repeated tags", -1, len(str(row[1])))

    def miss(self, kind: str, place: str, offset: int, size: int) -> None:
        """Record a part of the file that was not read."""
        self.scan.miss(kind, place, offset, size)

    def turn(self, kind: str) -> str:
        """What is put behind the group of the next block of a kind: nothing, then `2`, `3` and so on."""
        self.counts[kind] = turn = self.counts.get(kind, 0) + 1
        return str(turn) if turn > 1 else ""


class Embedded(NamedTuple):
    """A file inside the file, and what was read of it; None where it could not be read."""

    inner: Inner
    reading: Reading | None


class Preview(NamedTuple):
    """A picture inside the metadata, such as IFD1's thumbnail: the row's group and name, and where it stands."""

    group: str
    name: str
    block: bytes
    start: int
    size: int

    @property
    def data(self) -> bytes:
        """The picture's own bytes, copied on access."""
        whole = held(self.block, self.start, min(self.start + self.size, len(self.block)))
        return self.block[self.start : self.start + self.size] if whole else b""


class NoteSummary(NamedTuple):
    """A maker note: its maker (empty if unknown), its size in bytes, its number of tags."""

    maker: str
    size: int
    tags: int


class MakerNote(NamedTuple):
    """Where a maker note stands, in what, how far its offsets are to be moved, and where its block is in the file."""

    block: bytes
    offset: int
    size: int
    order: str
    base: int
    origin: int = 0

    def is_text(self) -> bool:
        """Whether the note is only text, which is a tag of its own."""
        # Most notes betray themselves at their beginning.
        for size in (min(self.size, 16), self.size):
            data = self.block[self.offset : self.offset + size].rstrip(b"\0")
            if not data or data.translate(None, TEXT_BYTES):
                return False
        return True
