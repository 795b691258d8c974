"""TIFF and BigTIFF files: directories compacted where they stand, pictures never moved.

Everything that no kept directory, value, strip or tile covers becomes zero, so nothing can survive in a gap. Where
the file does not state the size of its strips, only the dropped values become zero, and the answer says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from functions.exif.edit import embedded
from functions.exif.edit.blocks.exif import GEO_TAGS, wanted, without_location
from functions.exif.edit.blocks.icc import is_whole
from functions.exif.edit.blocks.layout import (
    EXIF,
    GLOBAL,
    GPS,
    INTEROP,
    SUB_IFDS,
    Directory,
    Entry,
    Layout,
    Span,
    compact,
    merged,
    outside,
    wipe,
)
from functions.exif.edit.decide import Edit
from functions.exif.edit.errors import Broken, Unsupported

# What a reader needs for the pixels and their colours (TIFF 6.0, its technical notes, and libtiff's own tags).
PICTURE = frozenset(
    (
        *range(0x00FE, 0x010B),  # NewSubfileType … FillOrder
        *(0x0111, 0x0115, 0x0116, 0x0117, 0x0118, 0x0119, 0x011A, 0x011B, 0x011C, 0x011E, 0x011F),
        *(0x0122, 0x0123, 0x0124, 0x0125, 0x0128, 0x0129, 0x012D, 0x013D, 0x013E, 0x013F),
        *range(0x0140, 0x0149),  # ColorMap … CleanFaxData
        *(0x014C, 0x014E, 0x0150, 0x0152, 0x0153, 0x0154, 0x0155, 0x0156, 0x015A, 0x015B),
        *(SUB_IFDS, GLOBAL, 0x0191, 0x0193, 0x01B1, 0x01B2, 0x01B3),
        *range(0x0200, 0x020A),  # old-style JPEG
        *(0x0211, 0x0212, 0x0213, 0x0214, 0x022F, 0x80E3, 0x80E4, 0x80E5, 0x80E6, 0x923F, 0xC5F2, 0xC5F3),
    )
)
ORIENTATION, PROFILE, XMP, IPTC, RESOURCES = 0x0112, 0x8773, 0x02BC, 0x83BB, 0x8649
NAMES = {XMP: "xmp", IPTC: "iptc", RESOURCES: "photoshop", EXIF: "exif", GPS: "gps", 0x935C: "photoshop"}
# Cameras' own compressions and the photometric interpretations of sensor data.
RAW_COMPRESSIONS = frozenset((32767, 34713, 34892, 65000, 65535, 262, 52546))
RAW_PHOTOMETRIC = frozenset((32803, 34892))
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, SAMPLES, ROWS, PLANAR = (
    0x100,
    0x101,
    0x102,
    0x103,
    0x106,
    0x115,
    0x116,
    0x11C,
)
# Compressions whose strips are files or streams with metadata of their own: JPEG, JPEG 2000, WebP, JPEG XL.
STREAMS = frozenset((6, 7, 33003, 33004, 33005, 34712, 34892, 34925, 50001, 50002, 52546))
JPEG_TABLES = 0x015B
# Tags of raw files: Kodak, TIFF/EP, Leaf, Sony, Samsung, Hasselblad, DNG's versions, Canon's slices.
RAW_TAGS = (0x8290, 0xFE00, 0x9216, 0x8606, 0x7200, 0xA010, 0xC612, 0xC613, 0xC634, 0xC640, 0x828D, 0x828E, 0xC51B)
# What follows the header of Canon's and Phase One's.
RAW_HEADERS = (b"CR", b"IIII", b"MMMM")
OLD_TABLES = (0x0207, 0x0208, 0x0209)


def clean(data: bytes, edit: Edit) -> bytes:  # noqa: C901 - one branch for each kind of field
    """A TIFF without what `edit` removes.

    Raises:
        Broken: no directory, or structures that overlap the picture.
        Unsupported: a camera's raw file, which cannot be developed without its maker notes.
    """
    layout = Layout(data)
    if not layout.images:
        raise Broken("no directory in it")
    refuse_raw(layout)
    if edit.location_only:
        return _without_location(data, edit)
    plan = {id(directory): _kept(layout, directory, edit) for directory in layout.walk()}
    out = bytearray(data)
    kept: list[Span] = [(0, layout.header)]
    gone: list[Span] = []
    sized = True
    for directory in layout.walk():
        keep = plan[id(directory)]
        if not keep and directory in layout.images:
            raise Broken("a directory without a picture")
        if not keep:
            gone += [(directory.position, directory.end), *_values(directory.entries)]
            continue
        covered = [(directory.position, directory.end), *_values(keep)]
        gone += _values([entry for entry in directory.entries if entry not in keep])
        if directory.kind == "image":
            spans, known = pixels(layout, directory)
            sized = sized and known
            covered += spans
            if _overlap(spans, (directory.position, directory.end)):
                raise Broken("a directory stands inside the picture's data")
        kept += covered
        for entry in directory.entries:
            if entry not in keep:
                edit.gone(NAMES.get(entry.tag, "tag"), f"{directory.kind} {entry.tag:#06x}", entry.size, _said(entry))
    if _clash(layout, plan):
        raise Broken("structures overlap")
    for directory in layout.walk():
        keep = plan[id(directory)]
        if keep:
            covered_span = compact(layout, out, directory, keep)
            kept.remove((directory.position, directory.end))
            kept.append(covered_span)
    for entry in (entry for directory in layout.walk() for entry in plan[id(directory)] if entry.tag == PROFILE):
        profile = edit.icc(layout.raw(entry), "ICC profile")
        if profile is not None and entry.start >= 0:
            out[entry.start : entry.start + entry.size] = profile
    _compressed(layout, out, [directory for directory in layout.walk() if plan[id(directory)]], edit)
    return _finish(out, kept, gone, sized, edit)


def _compressed(layout: Layout, out: bytearray, directories: Iterable[Directory], edit: Edit) -> None:
    """Overwrite the metadata inside compressed strips, tiles, thumbnails and tables."""
    seen: set[Span] = set()
    for directory in directories:
        if directory.kind != "image":
            continue
        compression = (layout.integers(directory.find(COMPRESSION)) or [1])[0]
        spans = pixels(layout, directory)[0] if compression in STREAMS or directory.find(0x0201) else []
        tables = directory.find(JPEG_TABLES)
        for span in [*spans, *([tables.span] if tables is not None else [])]:
            if span not in seen:
                seen.add(span)
                embedded.clear(out, span, edit)


def _finish(out: bytearray, kept: list[Span], gone: list[Span], sized: bool, edit: Edit) -> bytes:
    if not sized:
        edit.warn("the file does not state the size of its picture's data: bytes between its parts stay")
        wipe(out, gone, kept)
        return bytes(out)
    size = len(out)
    stray = [(start, end) for start, end in outside([*kept, *gone], size) if out[start:end].strip(b"\0")]
    if stray:
        total = sum(end - start for start, end in stray)
        edit.gone("junk", "between the parts", total, "bytes that belong to nothing")
    wipe(out, [(0, size)], kept)
    return bytes(out[: min(merged(kept)[-1][1], size)])


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


def _without_location(data: bytes, edit: Edit) -> bytes:
    result, fields = without_location(data)
    if fields:
        edit.gone("gps", "TIFF", fields, f"{fields} fields of the location")
    out = bytearray(result)
    layout = Layout(result)
    _compressed(layout, out, layout.walk(), edit)
    for directory in layout.walk():
        for entry in directory.entries:
            if entry.start < 0 or entry.tag not in (XMP, IPTC, RESOURCES):
                continue
            raw, where = result[entry.start : entry.start + entry.size], f"tag {entry.tag:#06x}"
            if entry.tag == XMP:
                edited = edit.xmp(raw, where)
            else:
                edited = (edit.iptc if entry.tag == IPTC else edit.resources)(raw, where)
            # Shorter is padded: a space ends no packet, a zero ends records and resources.
            out[entry.start : entry.start + entry.size] = (edited or b"").ljust(
                entry.size, b" " if entry.tag == XMP else b"\0"
            )
    return bytes(out)


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
        elif entry.start < 0 or entry.tag not in tags or entry.tag in GEO_TAGS:
            continue
        elif entry.tag != PROFILE or is_whole(layout.raw(entry)):
            keep.append(entry)
    return keep


def _values(entries: list[Entry]) -> list[Span]:
    return [entry.span for entry in entries if entry.start >= 0 and not entry.inline]


def _said(entry: Entry) -> str:
    return f"{NAMES.get(entry.tag, 'tag')} {entry.tag:#06x}"


def _overlap(spans: list[Span], one: Span) -> bool:
    return any(start < one[1] and one[0] < end for start, end in spans)


def _clash(layout: Layout, plan: dict[int, list[Entry]]) -> bool:
    """Whether a directory to be written again overlaps another, or a value that stays."""
    spans = sorted((d.position, d.end) for d in layout.walk())
    if any(first[1] > second[0] for first, second in pairwise(spans)):
        return True
    values = merged(span for d in layout.walk() for span in _values(plan[id(d)]))
    at = 0
    for start, end in spans:
        while at < len(values) and values[at][1] <= start:
            at += 1
        if at < len(values) and values[at][0] < end:
            return True
    return False


def pixels(layout: Layout, directory: Directory) -> tuple[list[Span], bool]:
    """What the picture's data cover, and whether the file states it well enough to trust."""
    end = len(layout.data)
    spans: list[Span] = []
    known = True
    compression = (layout.integers(directory.find(COMPRESSION)) or [1])[0]
    for tag, sizes in ((0x0111, 0x0117), (0x0144, 0x0145)):
        places, lengths = layout.integers(directory.find(tag)), layout.integers(directory.find(sizes))
        if not places:
            continue
        expected = _uncompressed(layout, directory) if tag == 0x0111 and compression == 1 else []
        if len(lengths) != len(places):
            known = known and bool(expected)
            lengths = [0] * len(places)
        for index, (place, length) in enumerate(zip(places, lengths, strict=True)):
            size = max(length, expected[index % len(expected)] if expected else 0)
            known = known and place < end and bool(size or not place)
            spans.append((place, min(place + size, end)))
    starts, lengths = layout.integers(directory.find(0x0201)), layout.integers(directory.find(0x0202))
    if starts:
        # Old-style JPEG: where its length is missing, it runs to a place that only its markers tell.
        known = known and bool(lengths)
        spans.append((starts[0], min(starts[0] + (lengths or [0])[0], end)))
    if any(directory.find(tag) for tag in OLD_TABLES):
        known = False
        for tag in OLD_TABLES:
            spans += [(at, min(at + 280, end)) for at in layout.integers(directory.find(tag))[:16]]
    return [span for span in spans if span[0] < span[1]], known


def _uncompressed(layout: Layout, directory: Directory) -> list[int]:
    """Bytes of each strip of a plane without compression: what readers take, whatever the file states."""

    def one(tag: int, default: int) -> int:
        return (layout.integers(directory.find(tag)) or [default])[0]

    width, height, samples = one(WIDTH, 0), one(HEIGHT, 0), one(SAMPLES, 1)
    rows = min(one(ROWS, height) or height, height)
    if one(PLANAR, 1) == 2:
        samples = 1
    row = (width * samples * one(BITS, 1) + 7) // 8
    # A strip has a byte at least: more rows than that are no picture's.
    if not row or not rows or row * height > len(layout.data) * 8 or height // rows > len(layout.data):
        return []
    return [row * min(rows, height - first) for first in range(0, height, rows)]
