"""The decision about each block of metadata, independent of the container that holds it.

Either everything is removed but what `keep` names (a kept statement stays in its kind of block), or only what `remove`
names is removed and everything else stays unchanged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from functions.exif.edit.blocks import icc, iim, xmp
from functions.exif.edit.blocks.exif import minimal, without_location
from functions.exif.edit.errors import Broken
from functions.exif.edit.names import DEFAULT_KEEP
from functions.kit.jsontypes import JsonObject

# Text of a PNG that states what a name of `keep` asks for (PNG 3, 11.3.3.2, and what ImageMagick writes).
TEXT_KEYWORDS = {
    "copyright": "copyright",
    "author": "artist",
    "title": "description",
    "description": "description",
    "creation time": "date",
}
# Keywords under which ImageMagick copies Exif into text.
LOCATION_KEYWORD = re.compile(
    r".*(gps|latitude|longitude|geolocation|geotag).*|(sub)?location|city|country", re.IGNORECASE
)
GAIN_MAP = "urn:iso:std:iso:ts:21496"  # segments with the parameters of a gain map (ISO 21496-1)
LOST_PROFILE = "a colour profile that cannot be read is not in the copy: colours may change"


@dataclass(frozen=True, slots=True)
class Removed:
    """One thing that was removed.

    Args:
        kind: `exif`, `gps`, `xmp`, `iptc`, `icc`, `comment`, `text`, `thumbnail`, `maker`, `trailer`, …
        where: the part of the container it stood in.
        bytes: its size there.
        detail: what it was, in words.
    """

    kind: str
    where: str
    bytes: int
    detail: str

    def document(self) -> JsonObject:
        """As JSON."""
        return {"kind": self.kind, "where": self.where, "bytes": self.bytes, "detail": self.detail}


@dataclass(slots=True)
class Edit:
    """Decides about blocks, and records what was removed.

    Args:
        keep: names of `KEEP` that stay when everything else goes.
        location_only: only the location goes.
        secrets: texts that identify somebody; they are blanked in a kept colour profile.
    """

    keep: frozenset[str] = DEFAULT_KEEP
    location_only: bool = False
    secrets: tuple[bytes, ...] = ()
    removed: list[Removed] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    has_exif: bool = False
    dropped_video: bool = False
    further: bool = False  # whether further pictures stay
    gainmap: int = 0  # bytes of the gain map that stays

    def gone(self, kind: str, where: str, size: int, detail: str) -> None:
        """Record something that is removed."""
        self.removed.append(Removed(kind, where, size, detail))

    def warn(self, text: str) -> None:
        """Record a warning for the receiver, once."""
        if text not in self.warnings:
            self.warnings.append(text)

    def exif(self, block: bytes, where: str) -> bytes | None:
        """Return what replaces an Exif block (a TIFF structure), never longer; None to drop it."""
        if self.location_only:
            try:
                result, fields = without_location(block)
            except Broken as error:
                self.gone("exif", where, len(block), f"Exif that cannot be read ({error}), so all of it")
                return None
            if fields:
                self.gone("gps", where, fields, f"{fields} fields of the location")
            return result
        # A second block is a left-over of some editor: readers use the first.
        kept = None if self.has_exif else minimal(block, self.keep)
        self.has_exif = self.has_exif or kept is not None
        # Where nothing can move, a kept block is padded by zeros: an earlier edit, and nothing to remove.
        if kept is None or block[: len(kept)] != kept or block[len(kept) :].strip(b"\0"):
            self.gone("exif", where, len(block), f"Exif, {len(kept)} bytes of it kept" if kept else "Exif")
        return kept

    def xmp(self, packet: bytes, where: str, extended: bool = False) -> bytes | None:
        """Return what replaces an XMP packet; None to drop it."""
        if not packet.strip(b" \0\t\r\n") and self.location_only:
            return packet  # blanked before, where nothing can move
        if self.location_only:
            result, names = xmp.without_location(packet, video=self.dropped_video)
            if result is None:
                self.gone("xmp", where, len(packet), "XMP that cannot be searched for a location, so all of it")
                self.warn("XMP that cannot be searched for a location is not in the copy")
            elif names:
                self.gone("gps", where, len(names), "XMP " + ", ".join(sorted(set(names))[:8]))
            return result
        kept = None if extended else xmp.minimal(packet, self.keep, self.gainmap)
        if kept != packet:
            self.gone("xmp", where, len(packet), "extended XMP" if extended else "XMP")
        return kept

    def iptc(self, records: bytes, where: str) -> bytes | None:
        """Return what replaces IPTC-IIM records, never longer; None to drop them."""
        result, dropped = iim.filtered(records, self.keep, self.location_only)
        if dropped:
            kind = "gps" if self.location_only else "iptc"
            self.gone(kind, where, len(records), f"IPTC, {dropped} records")
        return result or None

    def resources(self, data: bytes, where: str, *, whole: bool = False) -> bytes | None:
        """Return what replaces Photoshop's image resources, never longer; None to drop them.

        Args:
            data: the resources.
            where: they stand.
            whole: they are those of a whole Photoshop file, whose picture needs some of them.
        """

        def decide(number: int, body: bytes) -> bytes | None:
            if whole and number in iim.STRUCTURE:
                return body
            return self._resource(number, body, f"{where} 8BIM {number:04X}")

        rest, broken, names = iim.image_resources(data, decide, named=self.location_only)
        if names:
            self.gone("photoshop", where, names, "names of image resources")
        if broken:
            self.gone("photoshop", where, broken, "broken image resources")
        return rest or None

    def _resource(self, number: int, body: bytes, where: str) -> bytes | None:
        """Return what replaces one image resource, by its kind."""
        if number == iim.IPTC:
            return self.iptc(body, where)
        if number in (iim.EXIF, iim.EXIF_3):
            return self.exif(body, where)
        if number == iim.XMP:
            return self.xmp(body, where)
        if number == iim.PROFILE:
            return self.icc(body, where)
        if number == iim.RESOLUTION and "resolution" in self.keep:
            return body
        if number in iim.THUMBNAILS:
            return body if self.other("thumbnail", where, len(body), "thumbnail") else None
        return body if self.other("photoshop", where, len(body), "image resource") else None

    def icc(self, data: bytes, where: str) -> bytes | None:
        """Return what replaces a colour profile, of the same length; None to drop it."""
        if self.location_only:
            return data
        result = icc.anonymous(data, self.secrets) if "icc" in self.keep and icc.is_whole(data) else None
        if result is None:
            self.gone("icc", where, len(data), "colour profile" if "icc" not in self.keep else "broken colour profile")
            if "icc" in self.keep:
                self.warn(LOST_PROFILE)
            return None
        if result != data:
            self.gone("icc", where, 0, "what identifies a display or a person in the colour profile")
        return result

    def text(self, keyword: str, text: bytes, where: str) -> bool:
        """Whether a named text stays."""
        name = keyword.strip().lower()
        if self.location_only:
            if LOCATION_KEYWORD.fullmatch(name):
                self.gone("gps", where, len(text), f"text {keyword[:40]!r}")
                return False
            return True
        if TEXT_KEYWORDS.get(name) in self.keep:
            return True
        self.gone("text", where, len(text), f"text {keyword[:40]!r}")
        return False

    def other(self, kind: str, where: str, size: int, detail: str) -> bool:
        """Whether a block without content to keep stays: only when the location alone is removed."""
        if self.location_only:
            return True
        self.gone(kind, where, size, detail)
        return False
