"""GIF: comments, plain text and application data go; frames, their timing and the count of loops stay (GIF89a)."""

from __future__ import annotations

from functions.exif.edit.decide import Edit
from functions.exif.edit.errors import Broken

EXTENSION, IMAGE, TRAILER = 0x21, 0x2C, 0x3B
PLAIN_TEXT, COMMENT, APPLICATION = 0x01, 0xFE, 0xFF
LOOPS = frozenset((b"NETSCAPE2.0", b"ANIMEXTS1.0"))
XMP_IDENTIFIER, ICC_IDENTIFIER = b"XMP DataXMP", b"ICCRGBG1012"
# After the packet: bytes that let a reader of sub-blocks find the end from anywhere (XMP, part 3, 1.1.2).
XMP_TRAILER = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
MAX_BLOCKS = 100_000


def clean(data: bytes, edit: Edit) -> bytes:
    """A GIF without what `edit` removes.

    Raises:
        Broken: it ends before its first picture.
    """
    if len(data) < 13:
        raise Broken("it ends inside its header")
    start = 13 + _table(data[10])
    parts, position, end, pictures = [data[:start]], start, len(data), 0
    for _ in range(MAX_BLOCKS):
        if position >= end:
            break
        kind = data[position]
        if kind == TRAILER:
            parts.append(data[position : position + 1])
            position += 1
            break
        if kind == IMAGE and position + 10 <= end:
            stop = _sub_blocks(data, position + 11 + _table(data[position + 9]))
            parts.append(data[position:stop])
            pictures += 1
        elif kind == EXTENSION and position + 2 < end:
            stop = _sub_blocks(data, position + 2)
            block = _extension(data[position:stop], edit)
            if block is not None:
                parts.append(block)
        else:
            # Readers stop or search on here; what follows cannot be told apart.
            stop = position + 1
            if kind:
                parts.append(bytes((TRAILER,)))
                break
        position = stop
    else:
        raise Broken(f"more than {MAX_BLOCKS:,} blocks")
    if not pictures:
        raise Broken("it ends before its picture")
    edit.trailer("after the picture", max(end - position, 0), "bytes after the picture")
    return b"".join(parts)


def _table(flags: int) -> int:
    """Bytes of a colour table."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _sub_blocks(data: bytes, position: int) -> int:
    """Past the chain of sub-blocks at `position`, or the end of the data."""
    end = len(data)
    while position < end and data[position]:
        position += 1 + data[position]
    return min(position + 1, end)


def _extension(block: bytes, edit: Edit) -> bytes | None:
    """What replaces an extension; None where it goes."""
    label, identifier = block[1], block[3:14]
    if label == COMMENT:
        return block if edit.other("comment", "comment", len(block), "comment") else None
    if label == PLAIN_TEXT:
        return block if edit.other("text", "plain text", len(block), "plain text, which no reader shows") else None
    if label != APPLICATION:
        return block
    if identifier in LOOPS:
        return block
    if identifier == XMP_IDENTIFIER:
        packet = block[14 : -len(XMP_TRAILER)] if block.endswith(XMP_TRAILER) else block[14:]
        result = edit.xmp(packet, "XMP")
        if result is None or result == packet:
            return None if result is None else block
        return block[:14] + result + XMP_TRAILER
    if identifier == ICC_IDENTIFIER:
        return _profile(block, edit)
    name = identifier.decode("latin-1").strip("\0 ")
    return block if edit.other("app", "application", len(block), f"data of {name!r}") else None


def _profile(block: bytes, edit: Edit) -> bytes | None:
    pieces, position = [], 14
    while position < len(block) and block[position]:
        pieces.append(block[position + 1 : position + 1 + block[position]])
        position += 1 + block[position]
    profile = b"".join(pieces)
    result = edit.icc(profile, "ICC profile")
    if result is None or result == profile:
        return None if result is None else block
    out, at = block[:14], 0
    for piece in pieces:
        out += bytes((len(piece),)) + result[at : at + len(piece)]
        at += len(piece)
    return out + b"\0"
