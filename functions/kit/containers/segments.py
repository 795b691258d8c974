"""Segments of a JPEG rewritten (ITU-T T.81): changed, dropped or new ones, everything else unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from struct import pack

from functions.kit.containers import mpo
from functions.kit.containers.jpeg import COM, ICC_HEADER, PHOTOSHOP_HEADERS, SOI, XMP_HEADER
from functions.kit.containers.packing import ContainerError
from functions.kit.containers.parts import Changes, Document, Kind, Part, Splices
from functions.kit.containers.source import Source

MAX_BODY = 65_533


def write(document: Document, changes: Changes, added: Mapping[Kind, bytes]) -> bytes:
    """The file with new content in some parts, without others, and with blocks that it did not have.

    Raises:
        ContainerError: content longer than segments can hold, or two changes of the same bytes.
    """
    source = document.source
    edits: dict[tuple[int, int], bytes] = {}
    for part, content in changes.items():
        members = document.members(part)
        for member in members:
            edits[member.start, member.end] = b""
        if content is not None:
            first = min(members, key=lambda member: member.start)
            edits[first.start, first.end] = _encode(source, first, content)
    if added:
        place = _place(document)
        edits[place, place] = b"".join(_new(kind, content) for kind, content in added.items())
    splices = Splices(source, edits)
    mpo.repair(document, changes, splices)
    return splices.join()


def _encode(source: Source, part: Part, content: bytes) -> bytes:
    """A segment, or several of them where the block may span several."""
    if part.body < 0 or not isinstance(part.key, int):
        return content
    head = source.read(part.start + 4, part.body)
    most = MAX_BODY - len(head)
    if part.kind is Kind.ICC:
        pieces = [content[at : at + most] for at in range(0, len(content), most)]
        if len(pieces) > 255:
            raise ContainerError(f"a colour profile of {len(content):,} bytes; a JPEG holds 16,707,345")
        return b"".join(_segment(0xE2, ICC_HEADER + bytes((n, len(pieces))) + p) for n, p in enumerate(pieces, 1))
    if part.kind is Kind.PHOTOSHOP:
        return b"".join(_segment(part.key, head + content[at : at + most]) for at in range(0, len(content), most))
    if len(content) > most:
        raise ContainerError(f"{part.label}: {len(content):,} bytes; a segment holds {most:,}")
    return _segment(part.key, head + content)


def _segment(marker: int, body: bytes) -> bytes:
    return pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _place(document: Document) -> int:
    """Where a new block goes: behind SOI, JFIF and Exif."""
    at = 0
    for part in document.parts:
        if part.key == SOI or part.kind is Kind.JFIF or part.kind is Kind.EXIF:
            at = part.end
        elif part.kind is Kind.PIXELS:
            break
    return at


def _new(kind: Kind, content: bytes) -> bytes:
    heads = {
        Kind.EXIF: (0xE1, b"Exif\0\0"),
        Kind.XMP: (0xE1, XMP_HEADER),
        Kind.PHOTOSHOP: (0xED, PHOTOSHOP_HEADERS[0]),
        Kind.COMMENT: (COM, b""),
    }
    if kind not in heads:
        raise ContainerError(f"a block of kind {kind} cannot be added to a JPEG")
    marker, head = heads[kind]
    if len(head) + len(content) > MAX_BODY:
        raise ContainerError(f"a block of {len(content):,} bytes; a segment holds {MAX_BODY - len(head):,}")
    return _segment(marker, head + content)
