"""XMP: a packet of RDF/XML to a flat table of properties, named and printed as ExifTool does.

The parser is Python's own expat. A packet with a DOCTYPE is refused, so that there are no entities to expand; nodes and
depth are bounded; a packet that breaks off keeps what came before the break.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any
from xml.parsers import expat

from functions.exif.ifd import ASCII, Entry
from functions.exif.printing import binary, is_number, sexagesimal, show
from functions.exif.tags import Tag, all_tags

MAX_PACKET = 8 * 2**20
MAX_NODES = 20_000
MAX_DEPTH = 48
Put = Callable[[str, str, Any, Any], None]
Warn = Callable[[str], None]

# Namespaces that writers bind to prefixes of their own, by their usual prefix.
_NAMESPACES = {
    "http://ns.adobe.com/exif/1.0/aux/": "aux",
    "http://ns.adobe.com/camera-raw-settings/1.0/": "crs",
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://ns.adobe.com/exif/1.0/": "exif",
    "http://cipa.jp/exif/1.0/": "exifEX",
    "http://ns.adobe.com/pdf/1.3/": "pdf",
    "http://ns.adobe.com/photoshop/1.0/": "photoshop",
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#": "rdf",
    "http://ns.adobe.com/tiff/1.0/": "tiff",
    "adobe:ns:meta/": "x",
    "http://ns.adobe.com/xap/1.0/": "xmp",
    "http://ns.adobe.com/xap/1.0/bj/": "xmpBJ",
    "http://ns.adobe.com/xmp/1.0/DynamicMedia/": "xmpDM",
    "http://ns.adobe.com/xap/1.0/mm/": "xmpMM",
    "http://ns.adobe.com/xap/1.0/rights/": "xmpRights",
    "http://ns.adobe.com/xmp/note/": "xmpNote",
    "http://ns.adobe.com/xap/1.0/t/pg/": "xmpTPg",
    "http://ns.adobe.com/xap/1.0/g/": "xmpG",
    "http://ns.adobe.com/xap/1.0/sType/ResourceRef#": "stRef",
    "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#": "stEvt",
    "http://ns.adobe.com/lightroom/1.0/": "lr",
    "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/": "iptcCore",
    "http://iptc.org/std/Iptc4xmpExt/2008-02-29/": "iptcExt",
    "http://ns.microsoft.com/photo/1.0": "microsoft",
    "http://ns.microsoft.com/photo/1.0/": "microsoft",
    "http://ns.microsoft.com/photo/1.1": "MP1",
    "http://ns.microsoft.com/photo/1.2/": "MP",
    "http://ns.useplus.org/ldf/xmp/1.0/": "plus",
    "http://www.metadataworkinggroup.com/schemas/regions/": "mwg-rs",
    "http://www.metadataworkinggroup.com/schemas/keywords/": "mwg-kw",
    "http://ns.google.com/photos/1.0/panorama/": "GPano",
    "http://ns.google.com/photos/1.0/image/": "GImage",
    "http://ns.google.com/photos/1.0/depthmap/": "GDepth",
    "http://ns.google.com/photos/1.0/camera/": "GCamera",
    "http://www.dji.com/drone-dji/1.0/": "drone-dji",
    "http://rs.tdwg.org/dwc/index.htm": "dwc",
}
_PREFIXES = {
    "Iptc4xmpCore": "iptcCore",
    "Iptc4xmpExt": "iptcExt",
    "photomechanic": "photomech",
    "MicrosoftPhoto": "microsoft",
    "prismusagerights": "pur",
    "GettyImagesGIFT": "getty",
    "hdr_metadata": "hdr",
}
# Properties that ExifTool names otherwise than by their capital first letter.
_NAMES = {
    "exif:ExposureBiasValue": "ExposureCompensation",
    "exif:FocalLengthIn35mmFilm": "FocalLengthIn35mmFormat",
    "exif:GPSTimeStamp": "GPSDateTime",
    "exif:ISOSpeedRatings": "ISO",
    "exif:OECF": "Opto-ElectricConvFactor",
    "exif:PixelXDimension": "ExifImageWidth",
    "exif:PixelYDimension": "ExifImageHeight",
    "exifEX:BodySerialNumber": "SerialNumber",
    "exifEX:CameraOwnerName": "OwnerName",
    "exifEX:LensSpecification": "LensInfo",
    "exifEX:InteroperabilityIndex": "InteropIndex",
    "tiff:ImageLength": "ImageHeight",
    "photoshop:ICCProfile": "ICCProfileName",
    "microsoft:CreatorAppId": "CreatorAppID",
    "microsoft:Rating": "RatingPercent",
    "MP:RegionInfo": "RegionInfoMP",
    "mwg-rs:Regions": "RegionInfo",
    "mwg-kw:Keywords": "KeywordInfo",
    "dwc:Event": "DCEvent",
    "dwc:dctermsLocation": "DCTermsLocation",
    "iptcExt:AddlModelInfo": "AdditionalModelInformation",
    "iptcExt:DigImageGUID": "DigitalImageGUID",
    "iptcExt:RegistryId": "RegistryID",
    "iptcExt:CVterm": "ControlledVocabularyTerm",
    "GImage:Data": "ImageData",
    "GImage:Mime": "ImageMimeType",
    "GDepth:Data": "DepthImage",
    "GAudio:Data": "AudioData",
    "GAudio:Mime": "AudioMimeType",
    "GCamera:hdrp_makernote": "HDRPMakerNote",
    "GCamera:shot_log_data": "ShotLogData",
    "drone-dji:GpsLatitude": "GPSLatitude",
    "drone-dji:GpsLongitude": "GPSLongitude",
    "drone-dji:GpsLongtitude": "GPSLongtitude",
    "cell:cellid": "CellTowerID",
    "cell:cgi": "CellGlobalID",
    "cell:lac": "LocationAreaCode",
    "cell:mcc": "MobileCountryCode",
    "cell:mnc": "MobileNetworkCode",
    "cell:r": "CellR",
    "crs:Temperature": "ColorTemperature",
    "getty:OriginalFilename": "OriginalFileName",
    "xmpDM:comment": "DMComment",
    "prism:doi": "DOI",
    "prism:isbn": "ISBN",
    "prism:issn": "ISSN",
    "prism:url": "URL",
    "x:xmptk": "XMPToolkit",
}
_ENCODED = frozenset(("GImage:Data", "GDepth:Data", "GAudio:Data"))
_STRUCTURAL = frozenset(("rdf", "x", "xml", "xmlns", "iX"))
_TEXT_ONLY = frozenset(("dc", "photoshop", "iptcCore", "iptcExt", "xmpRights", "pdf", "lr"))
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})[T ](\d{2}:\d{2})(:\d{2})?\s*(\S*)")
_DATE_NAMES = re.compile(r"Date|When|Time$|Timestamp")
_FRACTION = re.compile(r"(-?\d+)/(-?\d+)")
_COORDINATE = re.compile(r"([+-]?\d+(?:\.\d*)?)(?:[,\s]+(\d+(?:\.\d*)?))?(?:[,\s]+(\d+(?:\.\d*)?))?\s*([NSEW])?")
# Rules of the Exif tags that fit the text of a property.
_RULES = {
    "",
    "exposure",
    "f_number",
    "shutter",
    "aperture",
    "bias",
    "distance",
    "millimetres",
    "film_millimetres",
    "lens",
}
_RULES |= {"metres", "error_metres", "celsius", "hexadecimal"}
_LIKE_EXIF = frozenset(("exif", "tiff", "exifEX", "aux", "drone-dji"))
_COORDINATES = frozenset(("GPSLatitude", "GPSLongitude", "GPSLongtitude", "GPSDestLatitude", "GPSDestLongitude"))
_FLASH = {
    "Return": {"0": "No return detection", "2": "Return not detected", "3": "Return detected"},
    "Mode": {"0": "Unknown", "1": "On", "2": "Off", "3": "Auto"},
}
_COLOUR_MODES = ("Bitmap", "Grayscale", "Indexed", "RGB", "CMYK", "", "", "Multichannel", "Duotone", "Lab")
URGENCY = {"0": "0 (reserved)", "1": "1 (most urgent)", "5": "5 (normal urgency)", "8": "8 (least urgent)"}


class _Refused(Exception):
    """The packet has what no packet needs: a DOCTYPE, too many nodes, too deep a nesting."""


class _Node:
    __slots__ = ("attributes", "children", "name", "text")

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name = name
        self.attributes = attributes
        self.children: list[_Node] = []
        self.text: list[str] = []


def read(packet: bytes, put: Put, warn: Warn) -> None:
    """Read one packet.

    Args:
        packet: the XML, packet wrappers and padding included.
        put: called with group, name, value and print of each property.
        warn: called with each warning.
    """
    if len(packet) > MAX_PACKET:
        warn(f"XMP of {len(packet):,} bytes; more than {MAX_PACKET:,} are not read")
        return
    builder = _Builder()
    try:
        builder.parse(packet.strip(b"\0 \t\r\n"))
    except expat.ExpatError as error:
        # What stands behind the root element is of no matter.
        if error.code != 9:
            warn(f"XMP is broken at line {error.lineno}: {expat.ErrorString(error.code)}")
    except (_Refused, ValueError, LookupError) as error:
        warn(f"XMP is refused: {error}")
        return
    if builder.root is not None:
        _Reader(builder.prefixes, put).element(builder.root)


class _Builder:
    """Builds the tree, within bounds."""

    def __init__(self) -> None:
        self.root: _Node | None = None
        self.prefixes: dict[str, str] = {}
        self._open: list[_Node] = []
        self._nodes = 0

    def parse(self, packet: bytes) -> None:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._doctype
        parser.Parse(packet, True)

    def _doctype(self, *_: Any) -> None:
        raise _Refused("it has a DOCTYPE")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._nodes += 1 + len(attributes)
        if self._nodes > MAX_NODES:
            raise _Refused(f"it has more than {MAX_NODES:,} elements and attributes")
        if len(self._open) >= MAX_DEPTH:
            raise _Refused(f"it is nested deeper than {MAX_DEPTH}")
        for key, uri in attributes.items():
            if key.startswith("xmlns:"):
                prefix = key[6:]
                self.prefixes[prefix] = _NAMESPACES.get(uri) or _PREFIXES.get(prefix, prefix)
        node = _Node(name, attributes)
        if self._open:
            self._open[-1].children.append(node)
        else:
            self.root = node
        self._open.append(node)

    def _end(self, _name: str) -> None:
        self._open.pop()

    def _text(self, text: str) -> None:
        if self._open:
            self._open[-1].text.append(text)


class _Reader:
    """Reads the RDF of a tree."""

    def __init__(self, prefixes: dict[str, str], put: Put) -> None:
        self.prefixes = prefixes
        self.put = put

    def split(self, name: str) -> tuple[str, str]:
        """Usual prefix and local name."""
        prefix, colon, local = name.partition(":")
        if not colon:
            return "", prefix
        return self.prefixes.get(prefix) or _PREFIXES.get(prefix, prefix), local

    def element(self, node: _Node) -> None:
        """The root, or what stands around the RDF."""
        prefix, local = self.split(node.name)
        if (prefix, local) == ("rdf", "RDF"):
            for child in node.children:
                self.description(child)
            return
        for key, text in node.attributes.items():
            if self.split(key) in (("x", "xmptk"), ("x", "xaptk")):
                self.put("XMP-x", "XMPToolkit", text, text)
        for child in node.children:
            self.element(child)

    def description(self, node: _Node) -> None:
        """The properties of a resource."""
        for key, text in node.attributes.items():
            prefix, local = self.split(key)
            if local == "about" and prefix in ("rdf", ""):
                if text:
                    self.put("XMP-rdf", "About", text, text)
            elif prefix and prefix not in _STRUCTURAL:
                self.property(prefix, local, text)
        for child in node.children:
            prefix, local = self.split(child.name)
            if prefix and prefix not in _STRUCTURAL:
                self.property(prefix, local, self.value(child))

    def property(self, prefix: str, local: str, raw: Any) -> None:
        """One property: converted, printed and kept."""
        group = f"XMP-{prefix}"
        name = property_name(prefix, local)
        if isinstance(raw, _Languages):
            for language, text in raw.items():
                suffix = "" if language.lower() == "x-default" else f"-{language}"
                value = _converted(prefix, name, text)
                self.put(group, name + suffix, value, _printed(prefix, name, value))
            return
        if f"{prefix}:{local}" in _ENCODED and isinstance(raw, str):
            text = binary(len(raw.rstrip("=")) * 3 // 4)
            self.put(group, name, text, text)
            return
        value = _converted(prefix, name, raw)
        if prefix in _LIKE_EXIF:
            self.put(group, name, *_shown(name, value))
        else:
            self.put(group, name, value, _printed(prefix, name, value))

    def value(self, node: _Node) -> Any:
        """What a property holds: text, a list, languages, or a structure."""
        for child in node.children:
            prefix, local = self.split(child.name)
            if prefix != "rdf":
                continue
            if local in ("Bag", "Seq", "Alt"):
                return self.items(child, alternatives=local == "Alt")
            if local == "Description":
                return self.structure(child)
            if local == "value":
                return self.value(child)
        if node.children:
            return self.structure(node)
        fields: dict[str, str] = {}
        for key, text in node.attributes.items():
            prefix, local = self.split(key)
            if (prefix, local) == ("rdf", "resource"):
                return text
            if prefix and prefix not in _STRUCTURAL:
                fields[field_name(local)] = text
        if fields:
            return fields
        return "".join(node.text)

    def items(self, node: _Node, *, alternatives: bool) -> Any:
        """A list; with languages, the texts by language."""
        items = [child for child in node.children if self.split(child.name) == ("rdf", "li")]
        if alternatives and items and all("xml:lang" in item.attributes for item in items):
            return _Languages((item.attributes["xml:lang"], self.value(item)) for item in items)
        return [self.value(item) for item in items] or ""

    def structure(self, node: _Node) -> dict[str, Any]:
        """The fields of a structure."""
        fields: dict[str, Any] = {}
        for key, text in node.attributes.items():
            prefix, local = self.split(key)
            if prefix and prefix not in _STRUCTURAL:
                fields[field_name(local)] = text
        for child in node.children:
            prefix, local = self.split(child.name)
            if prefix in _STRUCTURAL:
                continue
            value = self.value(child)
            if isinstance(value, _Languages):
                for language, text in value.items():
                    suffix = "" if language.lower() == "x-default" else f"-{language}"
                    fields[field_name(local) + suffix] = text
            else:
                fields[field_name(local)] = value
        return fields


class _Languages(dict[str, Any]):
    """Texts by language."""


def field_name(local: str) -> str:
    """A name as ExifTool shows it: a capital first, and no name in capitals alone."""
    local = local.replace(".", "")
    if len(local) > 1 and local.upper() == local:
        local = re.sub(r"_([a-z])", lambda match: match[1].upper(), local.lower())
    return local[:1].upper() + local[1:]


@lru_cache(maxsize=2048)
def property_name(prefix: str, local: str) -> str:
    """ExifTool's name of a property; remembered, since packets speak of the same few hundred."""
    return _NAMES.get(f"{prefix}:{local}") or field_name(local)


def _converted(prefix: str, name: str, raw: Any) -> Any:
    """Fractions as numbers, dates with colons, down to the fields of structures."""
    if isinstance(raw, dict):
        return {key: _converted("", key, item) for key, item in raw.items()}
    if isinstance(raw, list):
        return [_converted(prefix, name, item) for item in raw]
    text = str(raw)
    first = text[:1]
    if not first.isdecimal() and first != "-" and name != "LensInfo":
        return text
    match = _DATE.fullmatch(text)
    if match:
        year, month, day, time, seconds, rest = match.groups()
        return f"{year}:{month}:{day} {time}{seconds or ''}{rest}"
    if _DATE_NAMES.search(name) and re.match(r"\d{4}(-\d{2}){0,2}", text):
        return text.replace("-", ":")
    if prefix not in _TEXT_ONLY:
        if name in ("LensInfo", "GPSVersionID") and " " in text:
            return " ".join(_quotient(part) for part in text.split())
        return _quotient(text)
    return text


def _quotient(text: str) -> str:
    match = _FRACTION.fullmatch(text)
    if not match:
        return text
    top, bottom = int(match[1]), int(match[2])
    if not bottom:
        return "inf" if top else "undef"
    return f"{top / bottom:.15g}"


@cache
def _known() -> dict[str, Tag]:
    """The Exif tags whose labels or rules fit a property, by name."""
    known = {}
    for tags in all_tags().values():
        for number, tag in tags.items():
            if (tag.labels or tag.show) and tag.show in _RULES:
                known[tag.name] = tag._replace(number=number)
    return known


def _printed(prefix: str, name: str, value: Any) -> Any:
    if prefix == "photoshop" and isinstance(value, str):
        if name == "ColorMode" and value.isdigit() and int(value) < len(_COLOUR_MODES):
            return _COLOUR_MODES[int(value)]
        if name == "Urgency":
            return URGENCY.get(value, value)
    return value


def _shown(name: str, value: Any) -> tuple[Any, Any]:
    """Value and print of a property that is an Exif tag in all but its form."""
    if name in _COORDINATES:
        degrees = decimal(value)
        if degrees is None:
            return value, value
        side = ("S" if degrees < 0 else "N") if "Lat" in name else ("W" if degrees < 0 else "E")
        return f"{degrees:.15g}", f"{sexagesimal(degrees)} {side}"
    if name == "Flash" and isinstance(value, dict):
        return value, {key: _FLASH.get(key, {}).get(item, item) for key, item in value.items()}
    if name == "ColorSpace" and value == "4294967295":
        value = "65535"
    elif name in ("YCbCrSubSampling", "LensInfo") and isinstance(value, list):
        value = " ".join(value)
    elif name == "ComponentsConfiguration" and isinstance(value, list):
        parts = {"0": "-", "1": "Y", "2": "Cb", "3": "Cr", "4": "R", "5": "G", "6": "B"}
        return value, [parts.get(item, f"Unknown ({item})") for item in value]
    tag = _known().get(name)
    if tag is None or not isinstance(value, str):
        return value, value
    if not is_number(value) and value not in ("inf", "undef") and tag.show not in ("", "lens"):
        return value, value
    data = value.encode()
    return show(Entry(0, ASCII, len(data), data, 0, len(data)), tag, "<")


def decimal(value: Any) -> float | None:
    """Degrees of `54,59.38N`, `54.9897` and their like, south and west negative; None for anything else."""
    match = _COORDINATE.fullmatch(str(value).strip())
    if not match:
        return None
    whole, minutes, seconds, side = match.groups()
    degrees = abs(float(whole)) + (float(minutes or 0) + float(seconds or 0) / 60) / 60
    return -degrees if side in ("S", "W") or whole.startswith("-") else degrees
