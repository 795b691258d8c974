"""A clean copy of a file that is read as parts: the policy decides about each, the container writes them."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import ClassVar

from functions.exif.edit.blocks import icc, makers, mpf, video
from functions.exif.edit.blocks.exif import head_of
from functions.exif.edit.decide import GAIN_MAP, LOST_PROFILE, Edit
from functions.exif.edit.errors import Broken
from functions.exif.edit.location import MARKS, TIFF_HEADER, Content, Located
from functions.exif.edit.policy import RULES, TYPES, Action
from functions.exif.scan import remains
from functions.kit.containers import ContainerError, Document, Kind, Part, read, streams, write
from functions.kit.containers import jpeg as jpegs
from functions.kit.containers.packing import Packing, pack
from functions.kit.containers.parts import MAX_WARNINGS

HANDLER = 24  # bytes before a handler's name
PROFILES = (Packing.HEX, Packing.ZLIB_HEX)
MAX_LANGUAGE = 16  # bytes of a language tag
_CUT, _ZEROED = frozenset(("webp", "png", "jxl")), frozenset(("isobmff", "jp2"))
# Boxes of JPEG 2000 that state places in the file.
OFFSETS = frozenset((b"ftbl", b"flst", b"cref"))


def clean(document: Document, edit: Edit) -> bytes:
    """The file without what `edit` removes.

    Raises:
        Broken: its structure cannot be followed to a picture, or holds an essential part of unknown meaning.
    """
    problem = document.broken or (document.model.problem if document.reader == "psd" and document.model else "")
    if problem:
        raise Broken(problem)
    try:
        return _Cleaner(document, edit).run()
    except ContainerError as error:
        raise Broken(str(error)) from None


class _Cleaner(Located):
    def __init__(self, document: Document, edit: Edit) -> None:
        super().__init__(document, edit)
        self.spans = makers.samsung(document.source.data) if edit.location_only else None
        edit.has_exif = False

    def run(self) -> bytes:
        """Decide about all parts, the pictures and videos before the XMP that lists them, and write the rest."""
        order = sorted(self.document.parts, key=lambda part: part.kind is Kind.XMP)
        if self.edit.location_only:
            self.whole_file()
        for part in order:
            if part.lead < 0 and part.start not in self.done:
                self._decide(part)
        if any(part.name == "linked file" and part in self.changes for part in order):
            self.edit.warn("files that layers link are not in the copy: their pixels are")
        self._beside()
        if self.document.reader == "gif":
            self._end()
        result = write(self.document, self.changes)
        indexed = any(part.kind is Kind.MPF for part in self.document.parts) and not self.edit.location_only
        return mpf.reduced(_read(result), self.edit) if indexed else result

    def _beside(self) -> None:
        """What the data of the picture hold besides it."""
        for found in streams.excess(self.document):
            if found.changes:
                self.changes.update(found.changes)
                self.edit.gone("junk", found.place, found.size, found.detail)
            else:
                self.edit.warn(f"{found.size:,} bytes of {found.place} are in the copy: {found.detail}")

    def _end(self) -> None:
        """End a GIF whose last frame was followed by no block: what followed it goes."""
        for part in self.document.parts[-1:]:
            if part.kind is not Kind.TRAILER or self.changes.get(part, b"") is not None:
                continue
            if self.document.source.read(part.start - 1, part.start) != b";":
                self.changes[part] = b";"

    def _decide(self, part: Part) -> None:
        if part.key == b"IEND" and part.body < part.stop and not self.edit.location_only:
            self.edit.gone("chunk", part.label, part.stop - part.body, "content of the last chunk")
            self.changes[part] = b""
            return
        rule = TYPES.get(part.key, RULES[part.kind])
        action = rule.located if self.edit.location_only else rule.strip
        if action is Action.KEEP and part.key != b"hdlr" and part.key not in OFFSETS:
            self._beyond(part)
            return
        if part.kind is Kind.APP and part.name.startswith(GAIN_MAP) and "gainmap" in self.edit.keep:
            return
        if action is Action.REFUSE or (part.kind is Kind.UNKNOWN and self._essential(part)):
            raise Broken(f"{part.label} is an element of unknown meaning that no reader may ignore")
        if part.key in OFFSETS:
            raise Broken(f"{part.label} refers to places in the file, which would not hold for the copy")
        if part.key == b"hdlr" and not self.edit.location_only:
            self._handler(part)
        elif action is Action.DROP:
            self._remove(part, rule.reported)
        elif action is Action.SEARCH:
            self.search(part)
        elif action is Action.EDIT:
            self._edit(part, rule.reported)

    def _beyond(self, part: Part) -> None:
        """Bytes of an element that its fields do not account for; decoders pass over them."""
        slack = 0 if self.edit.location_only else remains.unused(self.document, part)
        if slack and self.document.reader not in _CUT | _ZEROED:
            self.edit.warn(f"{slack:,} bytes of {part.label or 'tables'} that no decoder uses are in the copy")
        elif slack:
            self.edit.gone("junk", part.label, slack, "bytes that no field accounts for")
            body = self.document.source.read(part.body, part.stop - slack)
            # Boxes keep their lengths, as places in the file depend on them.
            self.changes[part] = body if self.document.reader in _CUT else body + bytes(slack)

    def _remove(self, part: Part, reported: str) -> None:
        """A part that goes; one of zeros already is removed without a record."""
        blank = part.kind in (Kind.FREE, Kind.TIME, Kind.PADDING) and not self.document.raw(part).strip(b"\0\xff")
        if part.kind is Kind.TIME and (blank or "date" in self.edit.keep):
            return
        if blank:
            self.changes[part] = None
        else:
            self.drop(part, reported)

    def _handler(self, part: Part) -> None:
        """A handler's name is that of a program or a maker, and no reader needs it (ISO 14496-12, 8.4.3)."""
        body = self.document.raw(part)
        if body[HANDLER:].strip(b"\0"):
            self.edit.gone("app", part.label, len(body) - HANDLER, "name of a handler")
            self.changes[part] = body[:HANDLER] + bytes(len(body) - HANDLER)

    def _essential(self, part: Part) -> bool:
        """Whether a property of a HEIC or AVIF is one that readers must understand (ISO 23008-12, 9.3)."""
        model = self.document.model
        if self.document.reader != "isobmff":
            return False
        places = [index for index, box in enumerate(model.properties, 1) if box.start == part.start]
        found = model.items.associations.values() if model.items is not None else ()
        return any(index in places and essential for values in found for index, essential in values)

    def _where(self, part: Part) -> str:
        profile = part.packing in PROFILES
        return f"{part.label} {part.name.rpartition(' ')[2].lower()}" if profile else part.label

    def _edit(self, part: Part, reported: str) -> None:
        lost = len(self.document.lost)
        content = self.document.content(part)
        if content is None:
            self.drop(part, reported, f"{reported} that cannot be read")
            if part.kind is Kind.ICC and "icc" in self.edit.keep:
                self.edit.warn(LOST_PROFILE)
            return
        new = self._edits[part.kind](self, part, content)
        named = part.key == b"iCCP" and not self.edit.location_only and not icc.is_common_name(part.name)
        if new is not None and named:
            self.edit.gone("icc", part.label, len(part.name), "name of the colour profile")
            # Written with its header, in which the name stands.
            part = part._replace(body=part.start + 8, packing=Packing.PLAIN)
            new = icc.NEUTRAL_NAME + b"\0\0" + zlib.compress(new, 9)
        elif new is not None and part.key == b"iTXt" and not self.edit.location_only:
            part, new = self._untranslated(part, new)
        # Packed content is packed again where bytes beside it were not read, or a raw profile states a name of its own.
        beside = len(self.document.lost) > lost or lost == MAX_WARNINGS or part.packing in PROFILES
        if new is None or new != content or (beside and not self.edit.location_only):
            self.changes[part] = new

    def _untranslated(self, part: Part, content: bytes) -> tuple[Part, bytes]:
        """An international text of a PNG without its keyword in another language, which may be any text."""
        head = self.document.source.read(part.start + 8, part.body)
        keyword, _, rest = head.partition(b"\0")
        language, translated, _ = rest[2:].split(b"\0", 2)
        if not translated and len(language) <= MAX_LANGUAGE:
            return part, content
        self.edit.gone("text", part.label, len(language + translated), "translated keyword")
        language = language if len(language) <= MAX_LANGUAGE else b""
        stored = pack(part.packing, content, part.name)
        # Written with its header, in which the keyword stands.
        whole = part._replace(body=part.start + 8, packing=Packing.PLAIN)
        return whole, b"\0".join((keyword, rest[:2] + language, b"", stored))

    def _exif(self, part: Part, data: bytes) -> Content:
        """Exif, in a raw profile of a PNG with JPEG's header before it; there, such a profile may also hold XMP."""
        head = head_of(data)
        if part.packing and not head and b"<" in data[:256] and not TIFF_HEADER.match(data):
            return self._xmp(part, data)
        result = self.edit.exif(data[len(head) :], self._where(part))
        return None if result is None else head + result

    def _xmp(self, part: Part, packet: bytes) -> Content:
        start = max(packet.find(b"<"), 0)
        result = self.edit.xmp(packet[start:], self._where(part), extended=part.name == "extended")
        if result is None:
            return None
        # A raw profile may have JPEG's identifier before its packet.
        if self.edit.location_only or (part.packing and packet.startswith(jpegs.XMP_HEADER)):
            result = packet[:start] + result
        for old, new in self.renamed.items():
            result = result.replace(old, new)
        return result

    def _text(self, part: Part, text: bytes) -> Content:
        if self.edit.location_only and MARKS.search(text):
            self.edit.gone("gps", part.label, len(text), f"text {part.name[:40]!r}, which may state a location")
            return None
        return text if self.edit.text(part.name, text, part.label) else None

    def _iptc(self, part: Part, data: bytes) -> Content:
        decide = self.edit.resources if data.startswith(b"8BIM") else self.edit.iptc
        return decide(data, self._where(part))

    def _photoshop(self, part: Part, data: bytes) -> Content:
        return self.edit.resources(data, part.label, whole=self.document.reader == "psd")

    def _icc(self, part: Part, profile: bytes) -> Content:
        return self.edit.icc(profile, self._where(part))

    def _jfif(self, part: Part, body: bytes) -> Content:
        """Version, unit and density stay; the thumbnail goes."""
        if len(body) > 9 or body[7:9] != b"\0\0"[: len(body[7:9])]:
            self.edit.gone("thumbnail", part.label, len(body) - 9, "thumbnail of JFIF")
            return body[:7] + b"\0\0"
        return body

    def _adobe(self, part: Part, body: bytes) -> Content:
        """The colour transform is stated in seven bytes; more would be a hiding place."""
        if len(body) > 7:
            self.edit.gone("app", part.label, len(body) - 7, "bytes after the colour transform")
        return body[:7]

    # Further pictures, videos, trailers.

    def _picture(self, part: Part, data: bytes) -> Content:
        edit = self.edit
        stays = part.name in edit.keep if part.name else self._listed(part)
        if not edit.location_only and not stays:
            edit.gone("trailer", part.label, len(data), "further picture (preview, gain map or depth)")
            edit.warn("further pictures (previews, gain or depth maps) are not in the copy")
            return None
        seen, edit.has_exif, edit.gainmap = edit.has_exif, False, 0
        try:
            result = clean(_read(data), edit)
        except Broken:
            edit.gone("trailer", part.label, len(data), "further picture that cannot be followed")
            edit.warn("a further picture that cannot be followed is not in the copy")
            return None
        edit.has_exif, edit.further = seen, True
        edit.gainmap = len(result) if part.name == "gainmap" else 0
        # XMP states its length as well.
        return result.ljust(len(data), b"\0") if edit.location_only else result

    def _listed(self, part: Part) -> bool:
        """Whether the index of pictures lists a picture: other data after the image are not frames of it."""
        model = self.document.model
        base = model.mpf.body if model.mpf is not None else 0
        return any(entry.offset and base + entry.offset == part.start for entry in model.entries)

    def _video(self, part: Part, data: bytes) -> Content:
        data = self._blanked(part, data)
        found = video.without_location(data)
        rest = data[found.end :]
        if found.data is None:
            self.edit.gone("trailer", part.label, len(data), "video that cannot be searched for a location")
            self.edit.warn("a video that cannot be searched for a location is not in the copy")
            self.edit.dropped_video = True
            return self._rest(part, rest) if self.spans is not None else None
        result = found.data[: found.end]
        if result != data[: found.end]:
            self.edit.gone("gps", part.label, found.end, "location of the video")
        return result + self._rest(part, rest)

    def _trailer(self, part: Part, data: bytes) -> Content:
        return self._rest(part, self._blanked(part, data)) or None

    def _rest(self, part: Part, data: bytes) -> bytes:
        """Bytes of no known kind: those of a Samsung trailer stay, others go."""
        if self.spans is not None or not data.strip(b"\0\xff"):
            return data
        self.edit.gone("trailer", part.label, len(data), "bytes of unknown meaning after the picture")
        self.edit.warn("bytes of unknown meaning after the picture are not in the copy")
        return b""

    def _blanked(self, part: Part, data: bytes) -> bytes:
        """A part with the location records of a Samsung trailer overwritten by zeros."""
        out = bytearray(data)
        for start, end in self.spans or ():
            low, high = max(start, part.start), min(end, part.end)
            if low < high and data[low - part.start : high - part.start].strip(b"\0"):
                out[low - part.start : high - part.start] = bytes(high - low)
                self.edit.gone("gps", part.label, high - low, "location record of a Samsung trailer")
        return bytes(out)

    # Of the class: methods of the instance in it would be a cycle, which holds the file until a collection.
    _edits: ClassVar[dict[Kind, Callable[[_Cleaner, Part, bytes], Content]]] = {
        Kind.EXIF: _exif,
        Kind.XMP: _xmp,
        Kind.IPTC: _iptc,
        Kind.ICC: _icc,
        Kind.PHOTOSHOP: _photoshop,
        Kind.TEXT: _text,
        Kind.JFIF: _jfif,
        Kind.ADOBE: _adobe,
        Kind.MPF: lambda _, __, data: data,
        Kind.PICTURE: _picture,
        Kind.VIDEO: _video,
        Kind.TRAILER: _trailer,
    }


def _read(data: bytes) -> Document:
    document = read(data)
    if document is None or document.reader != "jpeg":
        raise Broken("no JPEG where one should be")
    return document
