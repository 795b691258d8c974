"""PSD and PSB: a header, image resources, layers, and the merged picture (Adobe Photoshop File Formats)."""

from __future__ import annotations

from collections.abc import Mapping
from struct import pack, unpack_from

from functions.kit.containers import layers
from functions.kit.containers.chunks import splice
from functions.kit.containers.parts import Changes, Document, Kind, Part, Splices, filler
from functions.kit.containers.source import Source


def read(source: Source) -> Document:
    """Read the sections: the image resources are one block of metadata."""
    document, end = Document(source, "PSD", "image/vnd.adobe.photoshop"), source.size
    if end < 30:
        document.warn("the file ends inside its header")
        document.broken = "it ends before its picture"
        document.add(Kind.STRUCTURE, 0, end)
        return document
    _, version, channels, height, width, bits, mode = unpack_from(">4sH6xHIIHH", source.data)
    document.format = "PSB" if version == 2 else "PSD"
    document.width, document.height = width, height
    document.details.update(channels=channels, bits_per_sample=bits, color_mode=mode)
    document.add(Kind.STRUCTURE, 0, 26, "header")
    at = 26
    for label, kind, width in (
        ("colours", Kind.STRUCTURE, 4),
        ("PSD", Kind.PHOTOSHOP, 4),
        ("layers", Kind.PIXELS, 8 if version == 2 else 4),
    ):
        part = _section(document, at, label, kind, width)
        if part is None:
            return document
        at = part.end
        if part.kind is Kind.PIXELS:
            document.parts[-1] = Part(Kind.STRUCTURE, part.start, part.body, "layers", key=width)
            layers.Reader(document, wide=version == 2).run(part.body, at)
    stop = _merged(source, at, version, channels, height, document.width * bits)
    if at < stop:
        document.add(Kind.PIXELS, at, stop, "merged picture")
    if stop < end:
        document.add(filler(source, stop, end, Kind.TRAILER), stop, end, "after the picture")
    return document


def _merged(source: Source, at: int, version: int, channels: int, height: int, bits: int) -> int:
    """The end of the merged picture, by its rows or their table of sizes; that of the file for other compressions."""
    (method,) = unpack_from(">H", source.read(at, at + 2).ljust(2, b"\xff"))
    if method == 0:
        return min(at + 2 + channels * height * ((bits + 7) // 8), source.size)
    wide = 4 if version == 2 else 2
    rows = channels * height
    table = source.read(at + 2, at + 2 + rows * wide)
    if method != 1 or len(table) < rows * wide:
        return source.size
    packed: int = sum(unpack_from(f">{rows}{'I' if wide == 4 else 'H'}", table))
    return min(at + 2 + len(table) + packed, source.size)


def _section(document: Document, at: int, label: str, kind: Kind, width: int) -> Part | None:
    """A section behind its length; None, and the rest of the file, where it is not whole."""
    source, end = document.source, document.source.size
    size = int.from_bytes(source.read(at, at + width), "big")
    stop = at + width + size
    if at + width > end or (stop > end and kind is not Kind.PHOTOSHOP):
        if kind is not Kind.PIXELS:
            document.warn("the file ends before its image resources")
        document.broken = f"it ends before the end of its {label}"
        if at < end:
            document.add(Kind.GAP, at, end, label)
        return None
    if stop > end:
        document.broken, stop = "it ends inside its image resources", end
    # An empty section is its length alone.
    kind = kind if size else Kind.STRUCTURE
    return document.add(kind, at, stop, label, body=at + width, stop=stop, key=width)


def write(document: Document, changes: Changes, added: Mapping[Kind, bytes]) -> bytes:
    """The file with other image resources; without them their section is empty."""
    sized = {
        part: b"" if content is None and part.kind is Kind.PHOTOSHOP else content for part, content in changes.items()
    }
    splices = splice(document, sized, added)
    for part, content in sized.items():
        if part.key == "name":
            splices.edits[part.start, part.end] = (content or b"").ljust(part.end - part.start)
        if part.kind is Kind.PHOTOSHOP and content is not None:
            splices.edits[part.start, part.end] = pack(">I", len(content)) + content
    moved = Splices(document.source, splices.edits)
    if document.model is not None:
        layers.correct(moved, document.model.lengths)
    return moved.join()
