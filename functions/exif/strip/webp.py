"""WebP: EXIF and XMP chunks go, the flags of VP8X tell the truth again (RFC 9649)."""

from __future__ import annotations

from struct import pack, unpack_from

from functions.exif.edit.decide import Edit
from functions.exif.edit.errors import Broken

PICTURE = frozenset((b"VP8 ", b"VP8L", b"ALPH", b"ANIM"))
ICC_FLAG, EXIF_FLAG, XMP_FLAG = 0x20, 0x08, 0x04
MAX_CHUNKS = 200_000

Chunk = tuple[bytes, bytes]


def chunks(data: bytes, start: int, end: int) -> tuple[list[Chunk], int]:
    """The chunks from `start`, and where the last of them ends.

    Raises:
        Broken: more chunks than any real file has.
    """
    found: list[Chunk] = []
    while start + 8 <= end:
        kind, length = unpack_from("<4sI", data, start)
        found.append((kind, data[start + 8 : min(start + 8 + length, end)]))
        if len(found) > MAX_CHUNKS:
            raise Broken(f"more than {MAX_CHUNKS:,} chunks")
        start = min(start + 8 + length + (length & 1), end)
    return found, start


def encode(kind: bytes, body: bytes) -> bytes:
    """A chunk in the file."""
    return kind + pack("<I", len(body)) + body + bytes(len(body) & 1)


def riff(parts: list[Chunk]) -> bytes:
    """A whole file of chunks."""
    body = b"".join(encode(kind, data) for kind, data in parts)
    return b"RIFF" + pack("<I", len(body) + 4) + b"WEBP" + body


def clean(data: bytes, edit: Edit) -> bytes:
    """A WebP without what `edit` removes.

    Raises:
        Broken: no picture in it, or a chunk of it that runs over the end.
    """
    (size,) = unpack_from("<I", data, 4)
    end = min(8 + size + (size & 1), len(data))
    found, stop = chunks(data, 12, end)
    if 8 + size > len(data):
        raise Broken("the file ends before its last chunk")
    kept: list[Chunk] = []
    for kind, body in found:
        result = _chunk(kind, body, edit)
        if result is not None:
            kept.append((kind, result))
    if not any(kind in (b"VP8 ", b"VP8L", b"ANMF") for kind, _ in kept):
        raise Broken("no picture in it")
    edit.trailer("after the picture", len(data) - stop, "bytes after the picture")
    have = {kind for kind, _ in kept}
    flags = {b"ICCP": ICC_FLAG, b"EXIF": EXIF_FLAG, b"XMP ": XMP_FLAG}
    absent = sum(flag for kind, flag in flags.items() if kind not in have)
    for index, (kind, body) in enumerate(kept):
        if kind == b"VP8X" and body:
            kept[index] = (kind, bytes((body[0] & ~absent,)) + body[1:])
    return riff(kept)


def _chunk(kind: bytes, body: bytes, edit: Edit) -> bytes | None:
    """What replaces a chunk's body; None where it goes."""
    where = kind.decode("latin-1").strip()
    if kind in PICTURE or kind == b"VP8X":
        return body
    if kind == b"ANMF":
        return _frame(body, edit)
    if kind == b"ICCP":
        return edit.icc(body, where)
    if kind == b"EXIF":
        skipped = 6 if body.startswith(b"Exif\0\0") else 0
        result = edit.exif(body[skipped:], where)
        return None if result is None else body[:skipped] + result
    if kind in (b"XMP ", b"XMP\0"):
        return edit.xmp(body, where)
    return body if edit.other("chunk", where, len(body), f"chunk {where!r}") else None


def _frame(body: bytes, edit: Edit) -> bytes:
    """A frame of an animation: its head and the chunks of its picture."""
    parts, _ = chunks(body, 16, len(body))
    kept = [
        (kind, data)
        for kind, data in parts
        if kind in PICTURE or edit.other("chunk", "ANMF", len(data), "unknown chunk of a frame")
    ]
    return body if kept == parts else body[:16] + b"".join(encode(kind, data) for kind, data in kept)
