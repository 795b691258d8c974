"""JPEG XL: boxes, or a bare codestream (ISO/IEC 18181-1 and -2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from functions.kit.containers.boxes import Boxes, encode
from functions.kit.containers.packing import ContainerError, Packing, pack
from functions.kit.containers.parts import Changes, Document, Kind, Part, Splices
from functions.kit.containers.source import Source

KINDS = {b"Exif": Kind.EXIF, b"xml ": Kind.XMP, b"jumb": Kind.JUMBF}
STRUCTURES = frozenset((b"JXL ", b"ftyp", b"jxll", b"jbrd"))
PIXELS = frozenset((b"jxlc", b"jxlp"))
# Width over height, by the three-bit ratio (18181-1, SizeHeader); 0 means that a width follows.
RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}


def read(source: Source) -> Document:
    """Read the boxes; a bare codestream has no room for metadata."""
    document = Document(source, "JXL", "image/jxl")
    if source.startswith(b"\xff\x0a", 0):
        document.add(Kind.PIXELS, 0, source.size, "codestream")
        _size(document, source.read(0, 64))
        return document
    boxes, at, shown = Boxes(document), 0, False
    for box in boxes.within(0, source.size):
        kind = KINDS.get(box.kind, Kind.UNKNOWN)
        body, packing, key = box.body, Packing.PLAIN, box.kind
        if box.kind in PIXELS and (box.kind == b"jxlp" or not shown):  # there is one whole codestream
            kind, shown = Kind.PIXELS, True
            _size(document, source.read(body + 4 * (box.kind == b"jxlp"), body + 64))
        elif box.kind in STRUCTURES:
            kind = Kind.STRUCTURE
            if box.kind == b"ftyp":
                document.details["brand"] = source.read(body, body + 4).decode("latin-1").strip()
        elif box.kind == b"brob":
            kind = KINDS.get(source.read(body, body + 4), Kind.UNKNOWN)
            body, packing = min(body + 4, box.end), Packing.BROTLI
        elif box.kind in (b"free", b"skip"):
            kind = Kind.FREE
        if kind is Kind.EXIF and packing is Packing.PLAIN:
            body = _tiff(source, body, box.end)
        # Readers of compressed Exif skip the four bytes of the distance themselves.
        document.add(kind, box.start, box.end, box.name, "", body=body, stop=box.end, packing=packing, key=key)
        at = box.end
    boxes.finish(at)
    return document


def _tiff(source: Source, body: int, end: int) -> int:
    """Where the TIFF structure of an Exif box begins: after the distance that its first four bytes state."""
    head = source.read(body, min(end, body + 65536))
    start = tiff_start(head)
    return min(body + max(start, 0), end)


def tiff_start(head: bytes) -> int:
    """Where the TIFF structure begins in the content of an Exif box or item; -1 for nowhere."""
    start = 4 + int.from_bytes(head[:4], "big")
    if head[start : start + 2] in (b"II", b"MM"):
        return start
    # Writers get the distance wrong: look where the header usually stands.
    return next((at for at in (4, 10, 0, 6) if head[at : at + 2] in (b"II", b"MM")), -1)


def _size(document: Document, head: bytes) -> None:
    """FF 0A, then SizeHeader, least significant bit first."""
    if head[:2] != b"\xff\x0a" or len(head) < 12 or document.width is not None:
        return
    bits = int.from_bytes(head[2:32], "little")

    def take(count: int) -> int:
        nonlocal bits
        value = bits & ((1 << count) - 1)
        bits >>= count
        return value

    def size(small: int) -> int:
        return (take(5) + 1) * 8 if small else take((9, 13, 18, 30)[take(2)]) + 1

    small = take(1)
    height = size(small)
    ratio = take(3)
    if ratio:
        top, bottom = RATIOS[ratio]
        width = height * top // bottom
    else:
        width = size(small)
    document.width, document.height = width, height
    document.details["sample_bits"] = _sample_bits(take, size)


def _sample_bits(take: Callable[[int], int], size: Callable[[int], int]) -> int:
    """Bits of a sample, from ImageMetadata; 8 where it states a preview or an animation first, which are not read."""
    if take(1):  # all of it is the default
        return 8
    if take(1):
        take(3)  # orientation
        if take(1):
            small = take(1)
            size(small)
            if not take(3):
                size(small)
        if take(2):
            return 8
    floating, choice = take(1), take(2)
    return ((8, 10, 12), (32, 16, 24))[floating][choice] if choice < 3 else 1 + take(6)


def write(document: Document, changes: Changes, added: Mapping[Kind, bytes]) -> bytes:
    """The file with new content in some boxes, without others, and with new ones behind the picture.

    A bare codestream that gets a block becomes the one box of a container.

    Raises:
        ContainerError: a kind of block that a JPEG XL has no box for.
    """
    source, edits = document.source, dict[tuple[int, int], bytes]()
    for part, content in changes.items():
        edits[part.start, part.end] = _encode(source, part, content)
    if any(kind not in (Kind.EXIF, Kind.XMP) for kind in added):
        raise ContainerError(f"blocks of kind {', '.join(added)} cannot be added to a JPEG XL")
    new = b"".join(
        encode(b"Exif", bytes(4) + body) if kind is Kind.EXIF else encode(b"xml ", body) for kind, body in added.items()
    )
    if new and source.startswith(b"\xff\x0a", 0):
        head = encode(b"JXL ", b"\r\n\x87\n") + encode(b"ftyp", b"jxl " + bytes(4) + b"jxl ")
        edits[0, 0] = head + new + (source.size + 8).to_bytes(4, "big") + b"jxlc"
        return Splices(source, edits).join()
    if new:
        first = next(part for part in document.parts if part.kind is Kind.PIXELS)
        edits[first.start, first.start] = new
    return Splices(source, edits).join()


def _encode(source: Source, part: Part, content: bytes | None) -> bytes:
    if content is None or part.body < 0:
        return content or b""
    if part.packing is Packing.BROTLI:
        head = source.read(part.body - 4, part.body)
        return encode(b"brob", head + pack(part.packing, content))
    return encode(part.key, (bytes(4) if part.kind is Kind.EXIF else b"") + content)
