"""TIFF and BigTIFF files: directories compacted where they stand, pictures never moved.

Everything that no kept directory, value, strip or tile covers becomes zero, so nothing can survive in a gap. Where
the file does not state the size of its strips, only the dropped values become zero, and the answer says so.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from itertools import pairwise

from functions.exif.edit import embedded
from functions.exif.edit.blocks.exif import GEO_TAGS, wanted, without_location
from functions.exif.edit.blocks.icc import is_whole
from functions.exif.edit.blocks.layout import (
    EXIF,
    GPS,
    INTEROP,
    Directory,
    Entry,
    Layout,
    Span,
    common,
    compact,
    merged,
    outside,
    wipe,
)
from functions.exif.edit.decide import LOST_PROFILE, Edit
from functions.exif.edit.errors import Broken, Unsupported
from functions.kit.containers.source import Buffer, Mapped, again, blank, editable, finished, zero
from functions.kit.containers.tiff import PICTURE, pixels

PROFILE, XMP, IPTC, RESOURCES = 0x8773, 0x02BC, 0x83BB, 0x8649
NAMES = {XMP: "xmp", IPTC: "iptc", RESOURCES: "photoshop", EXIF: "exif", GPS: "gps", 0x935C: "photoshop"}
# Tags of the picture that are tables, lists of places, or one number for each sample; others are a few numbers.
MANY = frozenset(
    (0x0102, 0x0111, 0x0117, 0x0118, 0x0119, 0x0123, 0x012D, *range(0x013F, 0x0142), *range(0x0144, 0x0146))
)
MANY |= {0x014A, 0x0150, *range(0x0152, 0x0157), 0x015B, 0x0190, 0x0193, *range(0x01B1, 0x01B4), *range(0x0201, 0x020A)}
MANY |= {0x0214, 0x022F, 0x80E4, 0xC5F2, 0xC5F3}
TEXTS, MAX_NUMBERS = (2, 7, 129), 8
# Cameras' own compressions and the photometric interpretations of sensor data.
RAW_COMPRESSIONS = frozenset((32767, 34713, 34892, 65000, 65535, 262, 52546))
RAW_PHOTOMETRIC = frozenset((32803, 34892))
COMPRESSION, PHOTOMETRIC = 0x0103, 0x0106
# Compressions whose strips are files or streams with metadata of their own: JPEG, JPEG 2000, WebP, JPEG XL.
STREAMS = frozenset((6, 7, 33003, 33004, 33005, 34712, 34892, 34925, 34933, 50001, 50002, 52546))
JPEG_TABLES = 0x015B
# Tags of raw files: Kodak, TIFF/EP, Leaf, Sony, Samsung, Hasselblad, DNG's versions, Canon's slices.
RAW_TAGS = (0x8290, 0xFE00, 0x9216, 0x8606, 0x7200, 0xA010, 0xC612, 0xC613, 0xC634, 0xC640, 0x828D, 0x828E, 0xC51B)
# What follows the header of Canon's and Phase One's.
RAW_HEADERS = (b"CR", b"IIII", b"MMMM")


def clean(data: bytes, edit: Edit) -> bytes:
    """Return a TIFF without what `edit` removes.

    Raises:
        Broken: no directory, or structures that overlap the picture.
        Unsupported: a camera's raw file, which cannot be developed without its maker notes.
    """
    layout = Layout(data)
    if not layout.images:
        raise Broken("no directory in it")
    refuse_raw(layout)
    return _without_location(data, edit) if edit.location_only else _Cleaner(layout, edit).run()


class _Cleaner:
    """One pass over the directories: what stays of each, and which bytes that covers."""

    def __init__(self, layout: Layout, edit: Edit) -> None:
        self.layout, self.edit = layout, edit
        self.directories = list(layout.walk())
        self.plan = {id(directory): _kept(layout, directory, edit) for directory in self.directories}
        self.out = editable(layout.data)
        self.kept: list[Span] = [(0, layout.header)]
        self.gone: list[Span] = []
        self.pictures: list[Span] = []
        self.sized = True

    def run(self) -> bytes:
        """The copy."""
        for directory in self.directories:
            self._decide(directory, self.plan[id(directory)])
        if _clash(self.layout, self.plan):
            raise Broken("structures overlap")
        stays = [directory for directory in self.directories if self.plan[id(directory)]]
        for directory in stays:
            self.kept.append(compact(self.layout, self.out, directory, self.plan[id(directory)]))
            for entry in self.plan[id(directory)]:
                if entry.tag == PROFILE:
                    profile = self.edit.icc(self.layout.raw(entry), "ICC profile")
                    self.out[entry.start : entry.start + entry.size] = profile or bytes(entry.size)
        places = merged((directory.position, directory.end) for directory in self.directories)
        for start, end in common(places, merged(self.pictures)):
            if self.out[start:end] != self.layout.data[start:end]:
                raise Broken("a directory overlaps the picture's data")
        _compressed(self.layout, self.out, stays, self.edit)
        return _finish(self.out, self.kept, self.gone, self.sized, self.edit)

    def _decide(self, directory: Directory, keep: list[Entry]) -> None:
        edit, place = self.edit, (directory.position, directory.end)
        if not keep:
            if directory in self.layout.images:
                raise Broken("a directory without a picture")
            self.gone += [place, *_values(directory.entries)]
            return
        dropped = [entry for entry in directory.entries if entry not in keep]
        self.kept += _values(keep)
        self.gone += [place, *_values(dropped)]
        if directory.kind == "image":
            spans, known = pixels(self.layout, directory)
            self.sized = self.sized and known
            self.kept += spans
            self.pictures += spans
        for entry in dropped:
            edit.gone(NAMES.get(entry.tag, "tag"), f"{directory.kind} {entry.tag:#06x}", entry.size, _label(entry))
            if entry.tag == PROFILE and "icc" in edit.keep:
                edit.warn(LOST_PROFILE)


def _compressed(layout: Layout, out: bytearray | Mapped, directories: Iterable[Directory], edit: Edit) -> None:
    """Overwrite the metadata inside compressed strips, tiles, thumbnails and tables."""
    seen: set[tuple[int, int]] = set()
    images = [directory for directory in directories if directory.kind == "image"]
    # A stated size may be wrong: a stream ends where the next one, or a directory, begins.
    starts = {directory.position for directory in images}
    starts.update(start for directory in images for start, _ in pixels(layout, directory)[0])
    ordered = sorted(starts)
    for directory in images:
        compression = (layout.integers(directory.find(COMPRESSION)) or [1])[0]
        spans = pixels(layout, directory)[0] if compression in STREAMS or directory.find(0x0201) else []
        tables = directory.find(JPEG_TABLES)
        for start, stop in [*spans, *([tables.span] if tables is not None else [])]:
            following = bisect_right(ordered, start)
            end = min([stop, *ordered[following : following + 1]])
            if (start, end) not in seen:
                seen.add((start, end))
                embedded.clear(out, (start, end), edit)


def _finish(out: bytearray | Mapped, kept: list[Span], gone: list[Span], sized: bool, edit: Edit) -> bytes:
    if not sized:
        edit.warn("the file does not state the size of its picture's data: bytes between its parts stay")
        wipe(out, gone, kept)
        return finished(out)
    size = len(out)
    stray = [span for span in outside([*kept, *gone], size) if not blank(out, *span)]
    if stray:
        total = sum(end - start for start, end in stray)
        edit.gone("junk", "between the parts", total, "bytes that belong to nothing")
    wipe(out, [(0, size)], kept)
    return finished(out, min(merged(kept)[-1][1], size))


def refuse_raw(layout: Layout) -> None:
    """Refuse a camera's raw file.

    Raises:
        Unsupported: it is one.
    """
    if not layout.images:
        return
    first = layout.images[0]
    if bytes(layout.data[8:12]).startswith(RAW_HEADERS) or any(first.find(tag) for tag in RAW_TAGS):
        raise Unsupported("a camera's raw file cannot be developed without its maker notes")
    for directory in layout.walk():
        if directory.kind == "image":
            compression = layout.integers(directory.find(COMPRESSION))[:1]
            photometric = layout.integers(directory.find(PHOTOMETRIC))[:1]
            if RAW_COMPRESSIONS.intersection(compression) or RAW_PHOTOMETRIC.intersection(photometric):
                raise Unsupported("a camera's raw file cannot be developed without its maker notes")


def _without_location(data: Buffer, edit: Edit) -> bytes:
    result, fields = without_location(data)
    if fields:
        edit.gone("gps", "TIFF", fields, f"{fields} fields of the location")
    out = again(result)
    layout = Layout(result)
    _compressed(layout, out, layout.walk(), edit)
    edits: dict[int, Callable[[bytes, str], bytes | None]] = {XMP: edit.xmp, IPTC: edit.iptc, RESOURCES: edit.resources}
    entries = [entry for directory in layout.walk() for entry in directory.entries]
    blocks = {entry.span: entry for entry in entries if entry.start >= 0 and entry.tag in edits}
    if any(first[1] > second[0] for first, second in pairwise(sorted(blocks))):
        raise Broken("structures overlap")
    for (start, end), entry in blocks.items():
        raw = result[start:end]
        if raw.strip(b" \0"):
            edited = edits[entry.tag](raw, f"tag {entry.tag:#06x}") or b""
            # Shorter values are padded: XMP by spaces, records and resources by zeros, which end them.
            out[start:end] = edited.ljust(end - start, b" " if entry.tag == XMP else b"\0")
    _forgotten(layout, out, edit)
    return finished(out)


def _forgotten(layout: Layout, out: bytearray | Mapped, edit: Edit) -> None:
    """Overwrite copies of the position in bytes that belong to nothing, where programs leave old directories."""
    kept: list[Span] = [(0, layout.header)]
    for directory in layout.walk():
        kept += [(directory.position, directory.end), *_values(directory.entries)]
        if directory.kind == "image":
            kept += pixels(layout, directory)[0]
    for start, end in outside(kept, len(out)):
        for secret in edit.secrets:
            at = out.find(secret, start, end)
            while at >= 0:
                zero(out, at, at + len(secret))
                edit.gone("gps", "between the parts", len(secret), "a copy of the position")
                at = out.find(secret, at, end)


def _kept(layout: Layout, directory: Directory, edit: Edit) -> list[Entry]:
    tags = wanted(edit.keep)[directory.kind]
    if directory.kind == "image":
        tags = tags | PICTURE
        if "icc" in edit.keep:
            tags = tags | {PROFILE}
    keep = []
    for entry in directory.entries:
        if entry.tag in (EXIF, GPS, INTEROP):
            children = directory.children.get(entry.tag, [])
            if any(_kept(layout, child, edit) for child in children):
                keep.append(entry)
        elif entry.start < 0 or entry.tag not in tags or entry.tag in GEO_TAGS or _is_text(entry):
            continue
        elif entry.tag != PROFILE or is_whole(layout.raw(entry)):
            keep.append(entry)
    return keep


def _is_text(entry: Entry) -> bool:
    """Whether an entry of the picture's own has the form of a text, or is longer than the numbers that it should be."""
    if entry.tag in MANY or entry.tag not in PICTURE:
        return entry.tag in MANY and entry.type == TEXTS[0]
    return entry.type in TEXTS or entry.count > MAX_NUMBERS


def _values(entries: list[Entry]) -> list[Span]:
    return [entry.span for entry in entries if entry.start >= 0 and not entry.inline]


def _label(entry: Entry) -> str:
    return f"{NAMES.get(entry.tag, 'tag')} {entry.tag:#06x}"


def _clash(layout: Layout, plan: dict[int, list[Entry]]) -> bool:
    """Whether a directory to be written again overlaps another of them, or a value that stays."""
    spans = sorted((d.position, d.end) for d in layout.walk() if plan[id(d)])
    if any(first[1] > second[0] for first, second in pairwise(spans)):
        return True
    values = merged(span for d in layout.walk() for span in _values(plan[id(d)]))
    return any(common(spans, values))
