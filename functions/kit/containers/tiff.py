"""TIFF, BigTIFF and the raw files made like them: CR2, NEF, DNG, ARW, RW2, ORF, PEF and others."""

from __future__ import annotations

from functions.kit.containers.directories import GLOBAL, POINTERS, SUB_IFDS, Directories, Directory, Entry
from functions.kit.containers.parts import Claims, Document, Kind, Part
from functions.kit.containers.source import Source, Span

# The two bytes after the byte order: 42, BigTIFF's 43, and makers' own.
MAGICS = {42: "TIFF", 43: "BigTIFF", 0x55: "RW2", 0x4F52: "ORF", 0x5352: "ORF", 0xBC: "JXR"}
MEDIA_TYPES = {
    "CR2": "image/x-canon-cr2",
    "RW2": "image/x-panasonic-rw2",
    "ORF": "image/x-olympus-orf",
    "DNG": "image/x-adobe-dng",
    "NEF": "image/x-nikon-nef",
    "ARW": "image/x-sony-arw",
    "PEF": "image/x-pentax-pef",
    "IIQ": "image/x-raw",
    "JXR": "image/jxr",
}
SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, MAKE = 0xFE, 0x100, 0x101, 0x102, 0x103, 0x106, 0x10F
STRIPS, SAMPLES, ROWS, STRIP_SIZES, PLANAR, DNG_VERSION = 0x111, 0x115, 0x116, 0x117, 0x11C, 0xC612
TILES, TILE_SIZES, JPEG, JPEG_SIZE, OLD_TABLES = 0x144, 0x145, 0x201, 0x202, (0x207, 0x208, 0x209)
XMP, IPTC, RESOURCES, PROFILE, JPG_FROM_RAW = 0x2BC, 0x83BB, 0x8649, 0x8773, 0x2E
RAWS = {34713: "NEF", 32767: "ARW", 65535: "PEF"}
# What a reader needs for the pixels and their colours (TIFF 6.0, its technical notes, and libtiff's own tags).
PICTURE = frozenset(
    (
        *range(0x00FE, 0x010B),  # NewSubfileType … FillOrder
        *(0x0111, 0x0112, 0x0115, 0x0116, 0x0117, 0x0118, 0x0119, 0x011A, 0x011B, 0x011C, 0x011E, 0x011F),
        *(0x0122, 0x0123, 0x0124, 0x0125, 0x0128, 0x0129, 0x012D, 0x013D, 0x013E, 0x013F),
        *range(0x0140, 0x0149),  # ColorMap … CleanFaxData
        *(0x014C, 0x014E, 0x0150, 0x0152, 0x0153, 0x0154, 0x0155, 0x0156, 0x015A, 0x015B),
        *(SUB_IFDS, GLOBAL, 0x0191, 0x0193, 0x01B1, 0x01B2, 0x01B3),
        *range(0x0200, 0x020A),  # old-style JPEG
        *(0x0211, 0x0212, 0x0213, 0x0214, 0x022F, 0x80E3, 0x80E4, 0x80E5, 0x80E6, 0x923F, 0xC5F2, 0xC5F3),
    )
)
KINDS = {XMP: Kind.XMP, IPTC: Kind.IPTC, RESOURCES: Kind.PHOTOSHOP, PROFILE: Kind.ICC}
MAX_STRIPS = 65_536
MAX_PAGES = 1024


def read(source: Source, *, whole: bool = True) -> Document:
    """Read the directories of a TIFF: its kind, size and pages, and a part for every entry, value, strip and tile.

    Args:
        source: the file.
        whole: divide it into parts; else it is one.
    """
    document = Document(source, "TIFF", "image/tiff")
    layout = Directories(source)
    head = source.read(0, 10)
    magic = int.from_bytes(head[2:4], "big" if layout.order == ">" else "little")
    document.format, document.model = MAGICS.get(magic, "TIFF"), layout
    if head[8:10] == b"CR":
        document.format = "CR2"
    elif source.read(8, 16) in (b"IIIITwaR", b"MMMMRawT"):
        document.format = "IIQ"
    _describe(document, layout)
    document.media_type = MEDIA_TYPES.get(document.format, "image/tiff")
    if not whole:
        document.add(Kind.STRUCTURE, 0, source.size)
        return document
    claims = Claims(document, 0, source.size)
    claims.claim(Part(Kind.STRUCTURE, 0, min(layout.header, source.size), "header"))
    walked = list(layout.walk())
    for index, directory in enumerate(walked):
        _claim(document, claims, layout, directory, index)
    for index, directory in enumerate(walked):
        if directory.kind == "image":
            _pixels(document, claims, layout, directory, index)
    document.parts = claims.finish()
    if layout.problem:
        document.warn(layout.problem)
    document.broken = layout.problem or ("" if layout.images else "no directory in it")
    return document


def _describe(document: Document, layout: Directories) -> None:
    """Format, number of pages, and the size of the largest full picture."""
    seen, pages, best = 0, 0, -1
    waiting = layout.images[:1]
    following = layout.images[1:]
    while waiting and seen < MAX_PAGES:
        directory = waiting.pop(0)
        seen += 1
        width, height = layout.one(directory, WIDTH), layout.one(directory, HEIGHT)
        main = not layout.one(directory, SUBFILE) & 1
        pages += main and width > 0
        area = width * height if main else 0
        if width and area > best and (document.width is None or (document.format != "TIFF" and main)):
            document.width, document.height, best = width, height, area
        _kind(document, layout, directory, first=seen == 1)
        if following and directory in layout.images:
            waiting.append(following.pop(0))
        waiting.extend(directory.children.get(SUB_IFDS, [])[:10])
    if document.format in ("TIFF", "BigTIFF"):
        document.frames = max(pages, 1)


def _kind(document: Document, layout: Directories, directory: Directory, *, first: bool) -> None:
    """Which raw file a TIFF is: by DNG's own tag, or by the maker and compression of a directory."""
    if document.format != "TIFF":
        return
    if first and directory.find(DNG_VERSION):
        document.format = "DNG"
    elif raw := RAWS.get(layout.one(directory, COMPRESSION)):
        document.format = raw
    elif first and (make := directory.find(MAKE)) and directory.find(SUB_IFDS):
        name = layout.raw(make)[:5]
        document.format = "NEF" if name == b"NIKON" else "ARW" if name[:4] == b"SONY" else "TIFF"


def _claim(document: Document, claims: Claims, layout: Directories, directory: Directory, index: int) -> None:
    """A directory's count, entries and link, and its values."""
    name, at = directory.name, directory.position
    if not claims.claim(Part(Kind.STRUCTURE, at, at + layout.count_size, name, key="directory", item=index)):
        document.warn(f"{name} shares its bytes with another part")
    for entry in directory.entries:
        kind = _entry_kind(document, directory, entry)
        label, end = f"{name} {entry.tag:#06x}", entry.position + layout.entry_size
        body, stop = entry.span if entry.inline and entry.start >= 0 else (end, end)
        part = Part(kind, entry.position, end, label, directory.kind, body, stop, key=entry.tag, item=index)
        claims.claim(part)
        if not entry.inline and entry.start >= 0 and entry.size:
            low, high = entry.span
            value = Part(kind, low, high, label, directory.kind, low, high, lead=part.start, key="value", item=index)
            claims.claim(value)
            if kind is Kind.PREVIEW:
                document.previews.append(Span(low, high))
            document.groups[part.start] = [value]
    link = directory.end - (layout.offset_size if directory.end > at + layout.count_size else 0)
    links = Part(Kind.STRUCTURE, max(link, at + layout.count_size), directory.end, name, key="link", item=index)
    last = directory.entries[-1].position + layout.entry_size if directory.entries else at + layout.count_size
    if links.start >= last:
        claims.claim(links)


def _entry_kind(document: Document, directory: Directory, entry: Entry) -> Kind:
    if entry.tag in POINTERS or (directory.kind == "image" and entry.tag in PICTURE):
        return Kind.STRUCTURE
    if document.format == "RW2" and entry.tag == JPG_FROM_RAW:
        return Kind.PREVIEW
    return KINDS.get(entry.tag, Kind.TAG) if directory.kind == "image" else Kind.TAG


def _pixels(document: Document, claims: Claims, layout: Directories, directory: Directory, index: int) -> None:
    """Strips, tiles and the JPEG that a directory points to."""
    spans, known = pixels(layout, directory)
    if not known:
        document.details["unsized"] = 1
    reduced = layout.one(directory, SUBFILE) & 1 or directory.name == "IFD1" or layout.one(directory, JPEG)
    for low, high in spans[:MAX_STRIPS]:
        jpeg = document.source.startswith(b"\xff\xd8\xff", low) and len(spans) == 1
        preview = jpeg and (reduced or document.format in ("CR2", "NEF", "ARW", "DNG", "PEF", "ORF"))
        if preview and layout.one(directory, COMPRESSION) == 7 and not reduced:
            preview = False  # a lossless JPEG of the sensor's data
        kind = Kind.PREVIEW if preview else Kind.PIXELS
        if preview:
            document.previews.append(Span(low, high))
        claims.claim(Part(kind, low, high, directory.name, "image", low, high, key="pixels", item=index))
    if len(spans) > MAX_STRIPS:
        rest = spans[MAX_STRIPS:]
        claims.claim(Part(Kind.PIXELS, min(rest)[0], max(span.end for span in rest), directory.name, key="pixels"))


def pixels(layout: Directories, directory: Directory) -> tuple[list[Span], bool]:
    """What the picture's data cover, and whether the file states it well enough to trust."""
    end = layout.source.size
    spans: list[Span] = []
    known = True
    compression = layout.one(directory, COMPRESSION, 1)
    for tag, sizes in ((STRIPS, STRIP_SIZES), (TILES, TILE_SIZES)):
        places, lengths = layout.integers(directory.find(tag)), layout.integers(directory.find(sizes))
        if not places:
            known = known and directory.find(tag) is None
            continue
        expected = _uncompressed(layout, directory) if tag == STRIPS and compression == 1 else []
        if len(lengths) != len(places):
            known = known and bool(expected)
            lengths = [0] * len(places)
        for index, (place, length) in enumerate(zip(places, lengths, strict=True)):
            size = max(length, expected[index % len(expected)] if expected else 0)
            known = known and place < end and bool(size or not place)
            spans.append(Span(place, min(place + size, end)))
    starts, lengths = layout.integers(directory.find(JPEG)), layout.integers(directory.find(JPEG_SIZE))
    if starts:
        # Old-style JPEG: where its length is missing, it runs to a place that only its markers tell.
        known = known and bool(lengths)
        spans.append(Span(starts[0], min(starts[0] + (lengths or [0])[0], end)))
    if any(directory.find(tag) for tag in OLD_TABLES):
        known = False
        for tag in OLD_TABLES:
            spans += [Span(at, min(at + 280, end)) for at in layout.integers(directory.find(tag))[:16]]
    return [span for span in spans if span[0] < span[1]], known


def _uncompressed(layout: Directories, directory: Directory) -> list[int]:
    """Bytes of each strip of a plane without compression: as readers use them, not as the file states."""
    width, height, samples = (layout.one(directory, tag) for tag in (WIDTH, HEIGHT, SAMPLES))
    rows = min(layout.one(directory, ROWS, height) or height, height)
    samples = 1 if layout.one(directory, PLANAR, 1) == 2 else samples or 1
    row = (width * samples * layout.one(directory, BITS, 1) + 7) // 8
    # A strip has at least one byte: a picture cannot have more rows than that.
    if not row or not rows or row * height > layout.source.size * 8 or height // rows > min(layout.source.size, 2**20):
        return []
    return [row * min(rows, height - first) for first in range(0, height, rows)]
