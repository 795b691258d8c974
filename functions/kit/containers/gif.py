"""GIF: blocks and their runs of sub-blocks (GIF89a)."""

from __future__ import annotations

from collections.abc import Mapping
from struct import unpack_from

from functions.kit.containers.chunks import splice
from functions.kit.containers.packing import Packing
from functions.kit.containers.parts import Changes, Document, Kind, Part, filler
from functions.kit.containers.source import Source

MAX_BLOCKS = 20_000
# A picture's sub-blocks are 255 bytes each but for its last: 32 MiB of them are half of this.
MAX_SUB_BLOCKS = 300_000
MAX_CONTROL = 8  # bytes of a block that controls the next frame, or the number of loops
XMP_APPLICATION = b"XMP DataXMP"
ICC_APPLICATION = b"ICCRGBG1012"
ANIMATION = frozenset((b"NETSCAPE2.0", b"ANIMEXTS1.0"))
# XMP in GIF ends with 1 and a ramp of 256 bytes, that lets readers of sub-blocks run out, and the end of the blocks
# (XMP part 3, 1.1.2).
TRAILER = b"\1" + bytes(range(255, -1, -1)) + b"\0"


def read(source: Source) -> Document:
    """Read a GIF's blocks: frames, comments, XMP and ICC application extensions."""
    document = Document(source, "GIF", "image/gif")
    _Reader(document).run()
    return document


class _Reader:
    """Runs of sub-blocks are counted over the file, so that no run of tiny ones takes long."""

    def __init__(self, document: Document) -> None:
        self.document, self.source, self.data = document, document.source, document.source.data
        self.end = self.source.size
        self.left = MAX_SUB_BLOCKS

    def run(self) -> None:
        """All parts."""
        document, data, end = self.document, self.data, self.end
        if end < 13:
            document.warn("the file ends inside its header")
            document.broken = "it ends before its picture"
            document.add(Kind.STRUCTURE, 0, end)
            return
        document.width, document.height, flags = unpack_from("<HHB", data, 6)
        document.details["bits_per_sample"] = (flags & 7) + 1
        at = min(13 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0), end)
        document.add(Kind.STRUCTURE, 0, at)
        frames = 0
        for _ in range(MAX_BLOCKS):
            kind = self.source.read(at, at + 1)
            if kind == b";":
                document.add(Kind.STRUCTURE, at, at + 1)
                at += 1
                break
            if kind not in (b",", b"!") or self.left <= 0:
                document.warn("the file ends early" if not kind else f"unknown block at byte {at}")
                break
            if kind == b",":
                frames += 1
                local = data[at + 9] if at + 9 < end else 0
                start = min(at + 11 + (3 << ((local & 7) + 1) if local & 0x80 else 0), end)
                stop = self._past(start)
                document.add(Kind.PIXELS, at, stop, "image", body=start, stop=stop)
            else:
                stop = self._extension(at)
            at = stop
        else:
            document.broken = f"more than {MAX_BLOCKS:,} blocks"
        if at < end:
            document.add(filler(self.source, at, end, Kind.TRAILER), at, end, "after the picture")
        document.frames = max(frames, 1)
        if not frames or self.left <= 0:
            document.broken = document.broken or "it ends before its picture"

    def _past(self, at: int) -> int:
        """The position after a run; the end of the file where it is broken or there are too many."""
        if at in self.source.ends:
            return self.source.ends[at]
        data, end, left = self.data, self.end, self.left
        while at < end and data[at] and left > 0:
            at += data[at] + 1
            left -= 1
        self.left = left
        return min(at + 1, end) if left > 0 else end

    def _extension(self, at: int) -> int:
        document, data = self.document, self.data
        start = min(at + 2, self.end)
        stop = self._past(start)
        label = data[at + 1 : start]
        application = data[start + 1 : start + 12] if data[start : start + 1] == b"\x0b" else b""
        kind, name, body, last, packing = Kind.UNKNOWN, "", start, stop, Packing.PLAIN
        if label == b"\xfe":
            kind, packing = Kind.COMMENT, Packing.BLOCKS
        elif label == b"\xf9" or (label == b"\xff" and application in ANIMATION):
            kind = Kind.STRUCTURE
            if label == b"\xf9" and data[start : start + 1] == b"\4" and start + 5 <= self.end:
                self._control(data[start + 1 : start + 5])
            if application == b"NETSCAPE2.0" and data[start + 12 : start + 14] == b"\3\1" and start + 16 <= self.end:
                document.details["loops"] = unpack_from("<H", data, start + 14)[0]
        elif label == b"\xff" and application == XMP_APPLICATION:
            # The packet is stored as it is, not in sub-blocks: readers take its bytes for lengths.
            kind, body = Kind.XMP, start + 12
            last = max(stop - len(TRAILER), body) if stop - body >= len(TRAILER) else body
        elif label == b"\xff" and application == ICC_APPLICATION:
            kind, body, packing = Kind.ICC, min(start + 12, stop), Packing.BLOCKS
        elif label == b"\xff":
            kind, name = Kind.APP, application.decode("latin-1")
        elif label == b"\x01":
            kind = Kind.TEXT
        where = {b"\xfe": "comment extension", b"\xff": "application extension"}.get(label, "extension")
        size = data[start + 12 * (label == b"\xff")] if kind is Kind.STRUCTURE and start + 12 < stop else 0
        first = start + 12 * (label == b"\xff") + 1 + size
        if size > MAX_CONTROL:
            kind = Kind.UNKNOWN
        elif size and first < stop - 1:
            # Readers look at the first block of these: what follows may be anything.
            document.add(kind, at, first, where)
            document.add(Kind.UNKNOWN, first, stop - 1, where, "further blocks")
            document.add(kind, stop - 1, stop, where)
            return stop
        document.parts.append(Part(kind, at, stop, where, name, min(body, stop), min(last, stop), packing))
        return stop

    def _control(self, body: bytes) -> None:
        """How long a frame is shown, in hundredths of a second, and its transparent colour."""
        details = self.document.details
        details["duration"] = int(details.get("duration", 0)) + int.from_bytes(body[1:3], "little")
        if body[0] & 1:
            details["transparent"] = body[3]


def write(document: Document, changes: Changes, added: Mapping[Kind, bytes]) -> bytes:
    """The file with new content in some extensions, and without others."""
    splices = splice(document, changes, added)
    for part, content in changes.items():
        if part.kind is Kind.XMP and content is not None:
            # Read as lengths, no byte of the packet may end the run: the trailer does, wherever one leads into it.
            head = document.source.read(part.start, part.body)
            splices.edits[part.start, part.end] = head + content.replace(b"\0", b" ") + TRAILER
    return splices.join()
