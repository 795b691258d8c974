"""WebP: the chunks of a RIFF container (RFC 9649)."""

from __future__ import annotations

from collections.abc import Mapping
from struct import pack, unpack_from

from functions.kit.containers.packing import ContainerError, Packing
from functions.kit.containers.parts import Changes, Document, Kind, Part, Splices, filler
from functions.kit.containers.source import Source

MAX_CHUNKS = 200_000
ICC_FLAG, ALPHA_FLAG, EXIF_FLAG, XMP_FLAG = 0x20, 0x10, 0x08, 0x04
FLAGS = {Kind.ICC: ICC_FLAG, Kind.EXIF: EXIF_FLAG, Kind.XMP: XMP_FLAG}
CHUNKS = {Kind.ICC: b"ICCP", Kind.EXIF: b"EXIF", Kind.XMP: b"XMP "}
PIXELS = frozenset((b"VP8 ", b"VP8L", b"ALPH"))
KINDS = {b"ICCP": Kind.ICC, b"EXIF": Kind.EXIF, b"XMP ": Kind.XMP, b"XMP\0": Kind.XMP, b"C2PA": Kind.JUMBF}
_KNOWN = PIXELS | KINDS.keys() | {b"VP8X", b"ANIM", b"ANMF"}
FRAME_HEAD = 16


def read(source: Source) -> Document:
    """Read a WebP's chunks."""
    document = Document(source, "WebP", "image/webp")
    end = source.size
    document.add(Kind.STRUCTURE, 0, min(12, end), key=b"RIFF")
    (size,) = unpack_from("<I", source.data, 4) if end >= 8 else (0,)
    if 8 + size > end:
        document.broken = "the file ends before its last chunk"
    frames, pictures, left = 0, 0, MAX_CHUNKS
    at = 12
    while at + 8 <= end and left and (not source.holes or source.held(at, at + 8)):
        left -= 1
        kind, length = unpack_from("<4sI", source.data, at)
        if at >= 8 + size and kind not in _KNOWN:
            break  # behind the end that the header states
        start = at + 8
        stop = start + length
        if stop > end:
            document.warn(f"the file ends inside chunk {kind.decode('latin-1')!r}")
            stop = end
        following = min(stop + (length & 1), end)
        if kind not in _KNOWN:
            label = kind.decode("latin-1").rstrip(" \0")
            document.parts.append(Part(Kind.UNKNOWN, at, following, label, "", start, stop, Packing.PLAIN, -1, kind))
        elif kind == b"ANMF":
            frames += 1
            shown = int.from_bytes(source.data[start + 12 : min(start + 15, stop)], "little")
            document.details["duration"] = int(document.details.get("duration", 0)) + shown
            left = _frame(document, at, start, stop, following, left)
        else:
            _chunk(document, kind, at, start, stop, following, further=pictures > 0)
        pictures += kind in (b"VP8 ", b"VP8L")
        at = following
    if at < end:
        document.add(filler(source, at, end, Kind.TRAILER), at, end, "after the picture")
    document.frames = max(frames, 1)
    if not pictures and not frames:
        document.broken = "no picture in it"
    if not left:
        document.broken = f"more than {MAX_CHUNKS:,} chunks"
    return document


def _chunk(document: Document, kind: bytes, at: int, start: int, stop: int, end: int, *, further: bool) -> None:
    """One chunk as a part; further picture chunks after the first do not belong to the picture (RFC 9649, 2.7)."""
    data = document.source.data
    if kind == b"VP8X" and stop - start >= 10:
        canvas = data[start + 4 : start + 10]
        document.width = int.from_bytes(canvas[:3], "little") + 1
        document.height = int.from_bytes(canvas[3:], "little") + 1
        document.details["flags"] = data[start]
    elif kind in (b"VP8 ", b"VP8L") and document.width is None:
        _bitstream(document, kind, data[start : min(start + 10, stop)])
    known = (
        Kind.PIXELS
        if kind in PIXELS and not further
        else Kind.STRUCTURE
        if kind in (b"VP8X", b"ANIM")
        else Kind.UNKNOWN
    )
    found = KINDS.get(kind, known)
    skipped = 6 if found is Kind.EXIF and document.source.startswith(b"Exif\0\0", start) and stop - start >= 6 else 0
    label = kind.decode("latin-1").rstrip(" \0")
    document.add(found, at, end, label, body=start + skipped, stop=stop, key=kind)


def _frame(document: Document, at: int, start: int, stop: int, end: int, left: int) -> int:
    """A frame of an animation: its head, and the chunks of its picture; the number of chunks that may still come."""
    inner = min(start + FRAME_HEAD, stop)
    document.add(Kind.STRUCTURE, at, inner, "ANMF", body=start, stop=inner, key=b"ANMF")
    while inner < stop and left:
        left -= 1
        if inner + 8 > stop:
            document.add(Kind.UNKNOWN, inner, stop, "ANMF", "rest of a frame", item=at)
            inner = stop
            break
        kind, length = unpack_from("<4sI", document.source.data, inner)
        last = min(inner + 8 + length, stop)
        following = min(last + (length & 1), stop)
        found = Kind.PIXELS if kind in PIXELS else Kind.UNKNOWN
        name = kind.decode("latin-1").rstrip(" \0")
        document.add(found, inner, following, "ANMF", name, body=inner + 8, stop=last, key=kind, item=at)
        inner = following
    if inner < end and document.parts[-1].kind is Kind.UNKNOWN:
        document.parts[-1] = document.parts[-1]._replace(end=end)
    elif inner < end:
        document.add(Kind.STRUCTURE if end - inner == 1 else Kind.UNKNOWN, inner, end, "ANMF", item=at)
    return left


def _bitstream(document: Document, kind: bytes, head: bytes) -> None:
    """Width and height out of a VP8 key frame's header (RFC 6386, 9.1) or a lossless one's (14 bits each)."""
    if kind == b"VP8 " and len(head) == 10 and head[3:6] == b"\x9d\x01\x2a":
        width, height = unpack_from("<HH", head, 6)
        document.width, document.height = width & 0x3FFF, height & 0x3FFF
    elif kind == b"VP8L" and len(head) >= 5 and head[0] == 0x2F:
        (bits,) = unpack_from("<I", head, 1)
        document.width, document.height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        document.details["alpha"] = bits >> 28 & 1


def write(document: Document, changes: Changes, added: Mapping[Kind, bytes]) -> bytes:
    """The file with new content in some chunks, without others, and with new ones; sizes and flags follow.

    Raises:
        ContainerError: a kind of block that a WebP has no chunk for.
    """
    edits: dict[tuple[int, int], bytes] = {}
    for part, content in changes.items():
        if content is not None and isinstance(part.key, bytes):
            head = document.source.read(part.start + 8, part.body)
            edits[part.start, part.end] = _encode(part.key, head + content)
        else:
            edits[part.start, part.end] = content or b""
    _add(document, edits, added)
    splices = Splices(document.source, edits)
    _flags(document, changes, added, splices)
    grown: dict[int, int] = {}
    for part in changes:
        if part.item >= 0:  # of a frame
            change = len(edits[part.start, part.end]) - (part.end - part.start)
            grown[part.item] = grown.get(part.item, 0) + change
    for frame, change in grown.items():
        (size,) = unpack_from("<I", document.source.data, frame + 4)
        splices.patch(frame + 4, pack("<I", max(size + change, 0)))
    behind = 0
    for part in reversed(document.parts):
        if part.kind not in (Kind.TRAILER, Kind.PADDING):
            break
        behind += len(changes.get(part, b"") or b"") if part in changes else part.end - part.start
    splices.patch(4, pack("<I", splices.moved(document.source.size) - behind - 8))
    return splices.join()


def _encode(kind: bytes, body: bytes) -> bytes:
    return kind + pack("<I", len(body)) + body + bytes(len(body) & 1)


def _add(document: Document, edits: dict[tuple[int, int], bytes], added: Mapping[Kind, bytes]) -> None:
    """New chunks: a profile before the picture, the others behind it; and the header that announces them."""
    if not added:
        return
    if any(kind not in CHUNKS for kind in added):
        raise ContainerError(f"blocks of kind {', '.join(added)} cannot be added to a WebP")
    first = next((part for part in document.parts[1:] if part.key != b"VP8X"), document.parts[-1])
    head = b""
    if not any(part.key == b"VP8X" for part in document.parts):
        width, height = (document.width or 1) - 1, (document.height or 1) - 1
        flags = ALPHA_FLAG if document.details.get("alpha") else 0
        canvas = width.to_bytes(3, "little") + height.to_bytes(3, "little")
        head = _encode(b"VP8X", bytes((flags | _bits(added), 0, 0, 0)) + canvas)
    if Kind.ICC in added:
        head += _encode(b"ICCP", added[Kind.ICC])
    edits[first.start, first.start] = head
    last = max(part.end for part in document.parts if part.kind not in (Kind.TRAILER, Kind.PADDING))
    edits[last, last] = b"".join(_encode(CHUNKS[kind], body) for kind, body in added.items() if kind is not Kind.ICC)


def _bits(kinds: Mapping[Kind, bytes]) -> int:
    return sum(FLAGS[kind] for kind in kinds)


def _flags(document: Document, changes: Changes, added: Mapping[Kind, bytes], splices: Splices) -> None:
    """Clear the flags of what is dropped, and set those of what is added."""
    part = next((part for part in document.parts if part.key == b"VP8X"), None)
    if part is None or part.body >= part.stop or not (changes or added):
        return
    there = {other.kind for other in document.parts if other not in changes or changes[other] is not None}
    absent = sum(flag for kind, flag in FLAGS.items() if kind not in there)
    flags = document.source.data[part.body] & ~absent | _bits(added)
    splices.patch(part.body, bytes((flags,)))
