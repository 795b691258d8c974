"""The parts of a file: what a container's reader yields, and the splices that its writer makes of changed parts."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain
from typing import Any, NamedTuple

from functions.kit.containers.packing import ContainerError, Packing, unpack
from functions.kit.containers.source import Mapped, Source, Span, blank, pieces

MAX_WARNINGS = 64


class Kind(StrEnum):
    """What the bytes of a part are."""

    STRUCTURE = "structure"  # what a reader needs to find or show the picture
    PIXELS = "pixels"
    EXIF = "exif"  # a TIFF structure
    XMP = "xmp"
    IPTC = "iptc"  # IIM records
    ICC = "icc"
    PHOTOSHOP = "photoshop"  # image resources
    COMMENT = "comment"
    TEXT = "text"  # a named text
    TIME = "time"
    TAG = "tag"  # an entry of a TIFF directory, or its value
    JFIF = "jfif"
    JFXX = "jfxx"
    ADOBE = "adobe"
    MPF = "mpf"  # an index of further pictures
    JUMBF = "jumbf"  # C2PA and others
    APP = "app"  # a segment, box or chunk of some maker or program
    THUMBNAIL = "thumbnail"
    PREVIEW = "preview"  # a picture of the same scene beside the main one
    PICTURE = "picture"  # a further whole file inside this one
    VIDEO = "video"
    FREE = "free"  # declared free space
    PADDING = "padding"  # zeros or fill bytes that belong to nothing
    GAP = "gap"  # other bytes that belong to nothing
    TRAILER = "trailer"  # bytes after the end of the picture
    UNKNOWN = "unknown"  # an element of the container's own that may be ignored
    ESSENTIAL = "essential"  # an unknown element that the format forbids to ignore


# The kinds that hold metadata and are handed to a reader of blocks.
METADATA = frozenset(
    (
        *(Kind.EXIF, Kind.XMP, Kind.IPTC, Kind.ICC, Kind.PHOTOSHOP, Kind.COMMENT, Kind.TEXT, Kind.JFIF, Kind.JFXX),
        *(Kind.ADOBE, Kind.MPF, Kind.JUMBF, Kind.APP),
    )
)


class Part(NamedTuple):
    """A run of bytes of a file. The parts of a document partition it.

    Args:
        kind: what the bytes are.
        start: of the part in the file.
        end: of the part in the file.
        label: its place in the container: `APP1`, `eXIf`, `item 2`.
        name: keyword, identifier, or what else the reader knows of it.
        body: where the content begins, after the container's own header; `end` if the part has no content.
        stop: where the content ends, before padding and checksums.
        packing: of the content.
        lead: start of the part whose content this one continues; -1 for a part of its own.
        key: the container's own type or number of the element.
        item: number of an item or a directory that the part belongs to; -1 for none.
    """

    kind: Kind
    start: int
    end: int
    label: str = ""
    name: str = ""
    body: int = -1
    stop: int = -1
    packing: Packing = Packing.PLAIN
    lead: int = -1
    key: Any = None
    item: int = -1


Changes = Mapping[Part, bytes | None]
"""New content by part; None drops the part. A part that continues another one goes with its lead."""


@dataclass(slots=True)
class Document:
    """One file as parts.

    Args:
        source: its bytes.
        format: `JPEG`, `PNG`, … as in `sniff.FORMATS`.
        media_type: of the file.
        parts: in the order of the file; together they are the file.
        groups: a part and those that continue it, by the start of the first, in the order of the content.
        previews: whole JPEGs inside the file that show the same picture.
        references: claims on bytes that belong to another part: an offset into the picture, two items at one place.
        width: of the first full picture in pixels, before any rotation; None where the header does not state it.
        height: as width.
        frames: pictures in the file: pages, frames of an animation, pictures of an MPO.
        details: what else the header states, by name.
        warnings: what is broken.
        broken: why the structure cannot be followed to a picture; empty where it can. Such a file is not written.
        model: what the writer of the format needs besides the parts.
        reader: the module that read it.
        lost: what could not be unpacked: why, where, and how many bytes.
    """

    source: Source
    format: str
    media_type: str
    parts: list[Part] = field(default_factory=list)
    groups: dict[int, list[Part]] = field(default_factory=dict)
    previews: list[Span] = field(default_factory=list)
    references: list[Part] = field(default_factory=list)
    width: int | None = None
    height: int | None = None
    frames: int = 1
    details: dict[str, str | int | float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    broken: str = ""
    model: Any = None
    reader: str = ""
    inflated: int = 0
    lost: list[tuple[str, str, int]] = field(default_factory=list)

    def warn(self, text: str) -> None:
        """Keep each warning once, and at most `MAX_WARNINGS` of them."""
        if len(self.warnings) < MAX_WARNINGS and text not in self.warnings:
            self.warnings.append(text)

    def lose(self, kind: str, where: str, size: int) -> None:
        """Note bytes that could not be unpacked; as many of them as of warnings."""
        if size > 0 and len(self.lost) < MAX_WARNINGS:
            self.lost.append((kind, where, size))

    def add(self, kind: Kind, start: int, end: int, label: str = "", name: str = "", **more: Any) -> Part:
        """Append a part that follows the last one."""
        part = Part(kind, start, end, label, name, **more)
        self.parts.append(part)
        return part

    def not_held(self) -> list[Part]:
        """The parts that are not all held and may be other than pixels, each cut to what is missing of it."""
        found = []
        # A JPEG may have segments between its scans, and a GIF blocks between its frames.
        followed = self.source.examined or self.reader not in ("jpeg", "gif")
        for hole in self.source.holes:
            for part in self.parts:
                low, high = max(part.start, hole.start), min(part.end, hole.end)
                if low < high and not (part.kind is Kind.PIXELS and followed):
                    found.append(part._replace(start=low, end=high, body=-1, stop=-1))
        return found

    def members(self, part: Part) -> list[Part]:
        """A part and those that continue it, in the order of their content."""
        return self.groups.get(part.start, [part])

    def raw(self, part: Part) -> bytes:
        """The stored content of one part."""
        return self.source.read(part.start if part.body < 0 else part.body, part.end if part.stop < 0 else part.stop)

    def content(self, part: Part) -> bytes | None:
        """The content of a part and of those that continue it, unpacked; None, with a warning, where it is broken."""
        group = self.groups.get(part.start)
        data = self.raw(part) if group is None else b"".join(map(self.raw, group))
        if part.packing:
            return unpack(self, part.packing, data, part.label, part.name)
        return data

    def offset(self, part: Part) -> int:
        """Offset of a part's content in the file; -1 where it is packed or in several parts."""
        return -1 if part.packing or part.start in self.groups else part.body if part.body >= 0 else part.start


class Claims:
    """A partition by offsets: the first claim owns the bytes, later ones are references, gaps are parts.

    Args:
        document: whose parts and references are filled in.
        start: of the bytes to be divided.
        end: of them.
    """

    def __init__(self, document: Document, start: int, end: int) -> None:
        self.document, self.start, self.end = document, start, end
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.parts: list[Part] = []

    def free(self, start: int, end: int) -> list[tuple[int, int]]:
        """The bytes between two positions that no claim owns."""
        start, end = max(start, self.start), min(end, self.end)
        at, found = bisect_right(self.ends, start), []
        while start < end:
            low = self.starts[at] if at < len(self.starts) else end
            if start < low:
                found.append((start, min(low, end)))
            if at == len(self.starts):
                break
            start, at = max(start, self.ends[at]), at + 1
        return found

    def claim(self, part: Part) -> bool:
        """Whether a part owns all its bytes now; else it is a reference, and its free bytes are parts of its kind."""
        start, end = part.start, part.end
        if start >= end:
            return False
        at = bisect_right(self.ends, start)
        if self.start <= start and end <= self.end and (at == len(self.starts) or end <= self.starts[at]):
            self.starts.insert(at, start)
            self.ends.insert(at, end)
            self.parts.append(part)
            return True
        self.document.references.append(part)
        for low, high in self.free(start, end):
            rest = Part(part.kind, low, high, part.label, "shared", item=part.item)
            self.claim(rest)
        return False

    def finish(self) -> list[Part]:
        """The parts in the order of the file, gaps among them."""
        source = self.document.source
        for low, high in self.free(self.start, self.end):
            self.parts.append(Part(filler(source, low, high, Kind.GAP), low, high))
        self.parts.sort(key=_start)
        return self.parts


def _start(part: Part) -> int:
    return part.start


def filler(source: Source, start: int, end: int, other: Kind) -> Kind:
    """`PADDING` where there are but zeros or fill bytes, else the other kind."""
    if source.has(start, end) and not source.read(start, min(start + 4096, end)).strip(b"\0\xff"):
        return Kind.PADDING if blank(source.data, start, end, b"\0\xff") else other
    return other


class Splices:
    """Replaced spans of a file, and the places of everything else afterwards.

    Args:
        source: the file.
        edits: new bytes by span; spans do not overlap.
    """

    def __init__(self, source: Source, edits: Mapping[tuple[int, int], bytes]) -> None:
        self.source = source
        self.edits = dict(edits)
        self._index()

    def _index(self) -> None:
        spans = sorted(self.edits)
        self._spans = spans
        self._starts = [start for start, _ in spans]
        self._ends = [end for _, end in spans]
        self._shifts = [0]
        for start, end in spans:
            self._shifts.append(self._shifts[-1] + len(self.edits[start, end]) - (end - start))

    def moved(self, position: int) -> int:
        """The position of a byte after the edits; it must not be in a replaced span but at its start."""
        at = bisect_right(self._ends, position)
        return position + self._shifts[at]

    def patch(self, start: int, data: bytes) -> None:
        """Overwrite bytes of the file, of the same length: in it or inside one replaced span of that length."""
        # Spans do not overlap: only the last that begins before it can hold it.
        at = bisect_right(self._starts, start) - 1
        if at >= 0:
            low, high = self._spans[at]
            new = self.edits[low, high]
            if start + len(data) <= high and len(new) == high - low:
                self.edits[low, high] = new[: start - low] + data + new[start - low + len(data) :]
                return
        self.edits[start, start + len(data)] = data

    def join(self, tail: bytes = b"") -> bytes:
        """The file with its edits and a tail, stored as the source is."""
        data, made = self.source.data, chain(self._pieces(), (tail,))
        return data.written(made) if isinstance(data, Mapped) else b"".join(made)

    def _pieces(self) -> Iterator[bytes]:
        data, at = self.source.data, 0
        for (start, end), new in sorted(self.edits.items()):
            if start < at:
                raise ContainerError(f"two changes overlap at byte {start:,}")
            yield from pieces(data, at, start)
            yield new
            at = end
        yield from pieces(data, at, self.source.size)
