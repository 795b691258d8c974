"""What becomes of the parts of a file where only the location goes, and content that is searched for one."""

from __future__ import annotations

import hashlib
import re

from functions.exif.edit.blocks import makers, video
from functions.exif.edit.blocks.exif import without_location
from functions.exif.edit.decide import Edit
from functions.exif.edit.errors import Broken
from functions.kit.containers import Document, Kind, Part
from functions.kit.containers import jpeg as jpegs

Content = bytes | None
MARKS = re.compile(rb"GPS|latitude|longitude|geo:|\blocation\b|\xa9xyz|\bloci|MCC_Data", re.IGNORECASE)
TIFF_HEADER = re.compile(rb"II\*\0|MM\0\*")
# The XMP extension's header: identifier, digest of the packet, its length, place of this piece.
GUID = slice(len(jpegs.XMP_EXTENSION), len(jpegs.XMP_EXTENSION) + 32)
FLIR = "FLIR"


class Located:
    """The changes of a file.

    Args:
        document: the file.
        edit: what is to go.
    """

    def __init__(self, document: Document, edit: Edit) -> None:
        self.document, self.edit = document, edit
        self.changes: dict[Part, Content] = {}
        self.done: set[int] = set()  # starts of parts that are decided about
        self.renamed: dict[bytes, bytes] = {}  # digests of extended XMP

    def whole_file(self) -> None:
        """Decide about what spans several parts."""
        self._extended()
        self._flir()

    def drop(self, part: Part, reported: str, detail: str = "") -> None:
        """Drop a part, with a record where it has a name for one."""
        if reported:
            label = part.label or "between the parts"
            self.edit.gone(reported, label, part.end - part.start, detail or _detail(part, reported))
        self.changes[part] = None

    def search(self, part: Part) -> None:
        """A part whose content is not read: it goes where it may state a location."""
        body = self.document.raw(part)
        if part.key == b"mpvd":
            self._motion(part, body)
            return
        header = TIFF_HEADER.search(body[:64])
        if header is not None:
            try:
                block, fields = without_location(body[header.start() :])
            except Broken:
                fields = 0
            if fields and not MARKS.search(block):
                self.edit.gone("gps", part.label, fields, f"{fields} fields of the location in data of a maker")
                self.changes[part] = body[: header.start()] + block
                return
        if MARKS.search(body):
            detail = f"{_detail(part, 'app')}, which may state a location"
            self.drop(part, "gps", detail)
            if part.kind is Kind.JUMBF:
                self.edit.warn("content credentials (C2PA) that may state a location are not in the copy")

    def _motion(self, part: Part, body: bytes) -> None:
        """The box of a motion photo's video (Samsung)."""
        found = video.without_location(body)
        if found.data is None:
            self.drop(part, "trailer", "video that cannot be searched for a location")
            self.edit.warn("a video that cannot be searched for a location is not in the copy")
        elif found.data != body:
            self.edit.gone("gps", part.label, len(body), "location of the video")
            self.changes[part] = found.data

    def _extended(self) -> None:
        """Extended XMP keeps its length; the main packet names it by a digest, which changes with it."""
        for part in self.document.parts:
            if part.name == "extended" and part.kind is Kind.XMP and part.lead < 0:
                self._extension(self.document.members(part), part.start)

    def _extension(self, members: list[Part], lead: int) -> None:
        document, edit = self.document, self.edit
        packet = b"".join(map(document.raw, members))
        result = edit.xmp(packet, members[0].label)
        if result == packet:
            return
        document.groups.pop(lead, None)
        if result is None:
            self.changes.update(dict.fromkeys(members))
            self.done.update(part.start for part in members)
            return
        at = 0
        digest = hashlib.md5(result, usedforsecurity=False).hexdigest().upper().encode()
        for part in members:
            size = part.stop - part.body
            head = bytearray(document.source.read(part.start + 4, part.body))
            self.renamed[bytes(head[GUID])] = digest
            head[GUID] = digest
            # Written with its header, in which the digest stands.
            self.changes[part._replace(body=part.start + 4)] = bytes(head) + result[at : at + size]
            self.done.add(part.start)
            at += size

    def _flir(self) -> None:
        """FLIR's record of the position, in a structure that may span several segments."""
        parts = [part for part in self.document.parts if part.kind is Kind.APP and part.name == FLIR]
        if not parts:
            return
        self.done.update(part.start for part in parts)
        found = makers.flir_segments([self.document.raw(part) for part in parts])
        if found is None:
            self.edit.warn("FLIR data that cannot be searched for a location are not in the copy")
            for part in parts:
                self.drop(part, "gps", "FLIR data that cannot be searched for a location")
            return
        segments, cleared = found
        if cleared:
            self.edit.gone("gps", "APP1", cleared, "position in data of FLIR")
            self.changes.update(zip(parts, segments, strict=True))


def _detail(part: Part, reported: str) -> str:
    names = {
        Kind.COMMENT: "comment",
        Kind.TIME: "time of the last change",
        Kind.JUMBF: "content credentials (C2PA)",
        Kind.JFXX: "JFIF extension, a thumbnail",
        Kind.VIDEO: "a video after the picture",
        Kind.TRAILER: "bytes after the picture",
        Kind.GAP: "bytes that belong to nothing",
    }
    named = f"{reported} {part.name!r}" if part.name else f"{reported} {part.label!r}"
    return names.get(part.kind, named)
