"""XMP packets: a new one of the kept properties, or the same one with its location blanked in place.

No tree is built: expat tells where elements begin and end, so that memory and time stay linear. A packet with a
DOCTYPE is not read at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import cache

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
TIFF = "http://ns.adobe.com/tiff/1.0/"
DC = "http://purl.org/dc/elements/1.1/"
XMP = "http://ns.adobe.com/xap/1.0/"
RIGHTS = "http://ns.adobe.com/xap/1.0/rights/"
PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"
IPTC_CORE = "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/"
IPTC_EXT = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
# Gain maps (Adobe, Google, Apple) and panoramas (Google).
GAIN_MAP = "http://ns.adobe.com/hdr-gain-map/1.0/"
APPLE_GAIN_MAP = "http://ns.apple.com/HDRGainMap/1.0/"
APPLE_PIXELS = "http://ns.apple.com/pixeldatainfo/1.0/"
CONTAINER = "http://ns.google.com/photos/1.0/container/"
ITEM = "http://ns.google.com/photos/1.0/container/item/"
PANORAMA = "http://ns.google.com/photos/1.0/panorama/"
# Not the heading, which is a direction, the times, and the programs.
PANORAMA_NAME = re.compile(
    r"ProjectionType|UsePanoramaViewer|ExposureLockUsed|Pose(Pitch|Roll)Degrees|Initial\w+|Cropped\w+|FullPano\w+|Largest\w+"
)
PREFIXES = {
    TIFF: "tiff",
    DC: "dc",
    XMP: "xmp",
    RIGHTS: "xmpRights",
    PHOTOSHOP: "photoshop",
    GAIN_MAP: "hdrgm",
    APPLE_GAIN_MAP: "HDRGainMap",
    APPLE_PIXELS: "apdi",
    CONTAINER: "Container",
    ITEM: "Item",
    PANORAMA: "GPano",
}
Key = tuple[str, str]
"""Namespace and name of a property."""
# (namespace, name): what keeps it, and the form it is written in (ISO 16684-1).
KEPT = {
    (TIFF, "Orientation"): ("orientation", "text"),
    (DC, "rights"): ("copyright", "Alt"),
    (RIGHTS, "Marked"): ("copyright", "text"),
    (RIGHTS, "WebStatement"): ("copyright", "text"),
    (RIGHTS, "UsageTerms"): ("copyright", "Alt"),
    (DC, "creator"): ("artist", "Seq"),
    (DC, "title"): ("description", "Alt"),
    (DC, "description"): ("description", "Alt"),
    (XMP, "CreateDate"): ("date", "text"),
    (PHOTOSHOP, "DateCreated"): ("date", "text"),
}
PLACES = {
    (PHOTOSHOP, "City"),
    (PHOTOSHOP, "State"),
    (PHOTOSHOP, "Country"),
    (IPTC_CORE, "Location"),
    (IPTC_CORE, "CountryCode"),
    (IPTC_EXT, "LocationShown"),
    (IPTC_EXT, "LocationCreated"),
}
# Cell towers (Sony Ericsson), Darwin Core's places, and the World Wide Web Consortium's positions.
PLACE_NAMESPACES = ("http://developer.sonyericsson.com/cell/1.0/", "http://www.w3.org/2003/01/geo/wgs84_pos#")
# Drones, phones and photo managers have names of their own for the same.
PLACE_NAME = re.compile(
    r".*(gps|latitude|longt?itude|absolutealtitude|relativealtitude|geotag|geolocation).*|"
    r"(sub)?-?location(name|id|created|shown)?|city|country(code|name)?|provincestate|province|worldregion|locality|"
    r"placename|shotlocation|coverage|(pose)?heading(degrees)?|county|municipality|islandgroup|verbatimlocality|"
    r"cell(id|tower|towerid|r)|lac|mcc|mnc|mobile(country|network)code|locationareacode",
    re.IGNORECASE,
)
# A motion photo: Google's and Xiaomi's properties, and the list of what follows the picture.
VIDEO_NAMESPACES = (
    "http://ns.google.com/photos/1.0/camera/",
    "http://ns.google.com/photos/1.0/container/",
    "http://ns.xiaomi.com/photos/1.0/camera/",
)
VIDEO_NAMES = ("MotionPhoto", "MicroVideo", "Directory")
ATTRIBUTE = re.compile(rb"""\s([^\s=<>"']+)\s*=\s*("[^"]*"|'[^']*')""")
MAX_PACKET = 8 * 2**20
MAX_DEPTH = 64


class _Unreadable(ValueError):
    """Not XML, not in UTF-8, or with a DOCTYPE."""


def is_place(namespace: str, name: str) -> bool:
    """Whether a property states a location."""
    return namespace in PLACE_NAMESPACES or (namespace, name) in PLACES or bool(PLACE_NAME.fullmatch(name))


def _is_place_or_video(namespace: str, name: str) -> bool:
    return is_place(namespace, name) or (namespace in VIDEO_NAMESPACES and name.startswith(VIDEO_NAMES))


def minimal(packet: bytes, keep: Collection[str], gainmap: int = 0) -> bytes | None:
    """Make a new packet of the properties that `keep` names.

    Args:
        packet: the old one.
        keep: names of kept properties.
        gainmap: bytes of a gain map that follows the picture and that the packet has to announce; 0 for none.

    Returns:
        None where there are no such properties, or the old packet cannot be read.
    """
    if not _marks(frozenset(keep)).search(packet):
        return None
    values: dict[Key, list[str]] = {}
    reader = _Reader(packet, values)
    try:
        reader.read()
    except _Unreadable:
        return None
    found: list[tuple[str, str]] = []
    plain = ""  # simple values are attributes: as elements they would be longer than in most packets
    for key, raw in values.items():
        name, form = _kept_by(key)
        texts = [text.strip() for text in raw if text.strip()]
        if name not in keep or not texts or (name == "orientation" and texts[0] not in "2345678"):
            continue
        tag = f"{PREFIXES[key[0]]}:{key[1]}"
        if form == "text" or (form == "any" and len(texts) == 1):
            plain += f' {tag}="{_escape(texts[0])}"'
            found.append((key[0], ""))
        else:
            found.append((key[0], _array(tag, "Seq" if form == "any" else form, texts)))
    if gainmap and any(space == GAIN_MAP for space, _ in found):
        found += [(CONTAINER, _directory(gainmap)), (ITEM, "")]
    if not found:
        return None
    spaces = "".join(f' xmlns:{PREFIXES[space]}="{space}"' for space in sorted({space for space, _ in found}))
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}"><rdf:Description rdf:about=""{spaces}{plain}>'
        f"{''.join(body for _, body in found)}</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


@cache
def _marks(keep: frozenset[str]) -> re.Pattern[bytes]:
    """What a packet with a property to keep has somewhere: most need not be parsed."""
    spaces = {"gainmap": (GAIN_MAP, APPLE_GAIN_MAP, APPLE_PIXELS), "panorama": (PANORAMA,)}
    names = [name for (_, name), (keeper, _) in KEPT.items() if keeper in keep]
    texts = [*names, *(space for name in keep for space in spaces.get(name, ()))]
    # Or one whose value is not plain; the usual closing tag does not count as a second value.
    turned = b"(?<!</tiff:)Orientation(?:[^0-9]{0,200}[2-8&!]|[^0-9]{201})"
    return re.compile(
        b"|".join(turned if text == "Orientation" else re.escape(text.encode()) for text in texts) or b"$^"
    )


def _kept_by(key: Key) -> tuple[str, str]:
    """The name of `keep` by which a property stays, and the form it is written in; empty for none."""
    if key[0] in (GAIN_MAP, APPLE_GAIN_MAP, APPLE_PIXELS):
        return "gainmap", "any"
    if key[0] == PANORAMA and PANORAMA_NAME.fullmatch(key[1]):
        return "panorama", "text"
    return KEPT.get(key, ("", ""))


def _directory(length: int) -> str:
    """The list of the pictures in a file: the primary one, and its gain map of the given bytes."""

    def item(semantic: str, more: str = "") -> str:
        inner = f'<Container:Item Item:Semantic="{semantic}" Item:Mime="image/jpeg"{more}/>'
        return f'<rdf:li rdf:parseType="Resource">{inner}</rdf:li>'

    listed = item("Primary") + item("GainMap", f' Item:Length="{length}"')
    return f"<Container:Directory><rdf:Seq>{listed}</rdf:Seq></Container:Directory>"


_ENTITIES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\n": "&#10;", "\t": "&#9;", "\r": "&#13;"}
)


def _escape(text: str) -> str:
    return text.translate(_ENTITIES)


def _array(tag: str, form: str, texts: list[str]) -> str:
    language = ' xml:lang="x-default"' if form == "Alt" else ""
    items = "".join(f"<rdf:li{language}>{_escape(text)}</rdf:li>" for text in texts[: 1 if form == "Alt" else 64])
    return f"<{tag}><rdf:{form}>{items}</rdf:{form}></{tag}>"


def without_location(packet: bytes, *, video: bool = False) -> tuple[bytes | None, list[str]]:
    """Overwrite each property that states a location by spaces; the packet keeps its length.

    Args:
        packet: of XMP.
        video: also the properties that announce a video beside the picture.

    Returns:
        The packet and the names of what is gone; None for the packet where it cannot be read and so not be trusted.
    """
    is_gone = _is_place_or_video if video else is_place
    reader = _Reader(packet, None, is_gone)
    try:
        reader.read()
    except _Unreadable:
        return None, []
    if not reader.spans:
        return packet, []
    out = bytearray(packet)
    for start, end in reader.spans:
        out[start:end] = b" " * (end - start)
    again = _Reader(bytes(out), None, is_gone)
    try:
        again.read()
    except _Unreadable:
        return None, []
    return (None if again.spans else bytes(out)), reader.names


class _Reader:
    """One pass over a packet: kept values when asked for them, spans of the location otherwise."""

    def __init__(
        self,
        packet: bytes,
        values: dict[tuple[str, str], list[str]] | None,
        is_gone: Callable[[str, str], bool] = is_place,
    ) -> None:
        self.is_gone = is_gone
        self.packet = packet
        self.values = values
        self.spans: list[tuple[int, int]] = []
        self.names: list[str] = []
        self._base = 0
        self._stack: list[tuple[str, str]] = []
        self._place: tuple[int, int] | None = None  # depth and start of the element that goes
        self._text: list[str] | None = None

    def read(self) -> None:
        """Parse.

        Raises:
            _Unreadable: nothing that can be trusted.
        """
        from xml.parsers import expat

        start = self.packet.find(b"<")
        end = self.packet.rfind(b">") + 1
        text = self.packet[start:end]
        if start < 0 or not text or len(text) > MAX_PACKET or b"<!DOCTYPE" in text or b"\0" in text:
            raise _Unreadable
        self._base = start
        parser = expat.ParserCreate(encoding="UTF-8", namespace_separator=" ")
        parser.ordered_attributes = True
        parser.buffer_text = False
        parser.StartElementHandler = lambda name, attributes: self._begin(parser.CurrentByteIndex, name, attributes)
        parser.EndElementHandler = lambda name: self._finish(parser.CurrentByteIndex, name)
        parser.CharacterDataHandler = self._characters
        try:
            parser.Parse(text, True)
        except expat.ExpatError:
            raise _Unreadable from None

    def _begin(self, index: int, name: str, attributes: list[str]) -> None:
        key = _split(name)
        self._stack.append(key)
        if len(self._stack) > MAX_DEPTH:
            raise _Unreadable
        if self.values is None:
            if self._place is None and self.is_gone(*key):
                self._place = (len(self._stack), index)
                self.names.append(key[1])
            elif self._place is None:
                self._attributes(index, attributes)
            return
        for attribute, value in zip(attributes[::2], attributes[1::2], strict=True):
            found = _split(attribute)
            if _kept_by(found)[0]:
                self.values.setdefault(found, []).append(value)
        if _kept_by(key)[0] and self._text is None:
            self._text = self.values.setdefault(key, [])
            self._text.append("")
        elif key == (RDF, "li") and self._text is not None:
            self._text.append("")

    def _attributes(self, index: int, attributes: list[str]) -> None:
        names = [_split(name) for name in attributes[::2]]
        if not any(self.is_gone(*name) for name in names):
            return
        begin = self._base + index
        raw = self.packet[begin : _end_of_tag(self.packet, begin)]
        # Expat does not report declarations of namespaces; the other attributes come in the same order.
        found = [match for match in ATTRIBUTE.finditer(raw) if not match[1].startswith(b"xmlns")]
        if len(found) != len(names):
            raise _Unreadable
        for match, name in zip(found, names, strict=True):
            if self.is_gone(*name):
                self.spans.append((begin + match.start(), begin + match.end()))
                self.names.append(name[1])

    def _finish(self, index: int, name: str) -> None:
        key = _split(name)
        if self._place is not None and self._place[0] == len(self._stack):
            start = self._base + self._place[1]
            end = _end_of_tag(self.packet, self._base + index)
            self.spans.append((start, end))
            self._place = None
        if self._text is not None and _kept_by(key)[0]:
            self._text = None
        self._stack.pop()

    def _characters(self, text: str) -> None:
        if self._text:
            self._text[-1] += text


def _split(name: str) -> tuple[str, str]:
    namespace, _, local = name.rpartition(" ")
    return namespace, local


def _end_of_tag(data: bytes, start: int) -> int:
    """Return the position after the `>` of the tag at `start`, outside of quotes."""
    quote = 0
    for at in range(start, len(data)):
        byte = data[at]
        if quote:
            if byte == quote:
                quote = 0
        elif byte in (0x22, 0x27):
            quote = byte
        elif byte == 0x3E:
            return at + 1
    raise _Unreadable
