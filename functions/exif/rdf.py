"""RDF/XML packets, as XMP is written: from bytes to properties, each with its usual prefix, its name and what it holds.

The parser is Python's own expat. A packet with a DOCTYPE is refused, so that there are no entities to expand; nodes and
depth are bounded; a packet that breaks off keeps what came before the break.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NoReturn
from xml.parsers import expat

MAX_PACKET = 8 * 2**20
MAX_NODES = 20_000
MAX_DEPTH = 48
# Called with usual prefix, local name, and text, list, structure or `Languages`.
Keep = Callable[[str, str, Any], None]
Warn = Callable[[str], None]
# An element: its name, attributes, children and pieces of text. Tuples, because a packet has hundreds of them.
Node = tuple[str, dict[str, str], "list[Node]", list[str]]

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
_STRUCTURAL = frozenset(("rdf", "x", "xml", "xmlns", "iX"))


class Languages(dict[str, Any]):
    """Texts by language."""


class _Refused(Exception):
    """The packet has what no packet needs: a DOCTYPE, too many nodes, too deep a nesting."""


def read(packet: bytes, keep: Keep, warn: Warn) -> None:
    """Read one packet.

    Args:
        packet: the XML, packet wrappers and padding included.
        keep: called with each property.
        warn: called with each warning.
    """
    if len(packet) > MAX_PACKET:
        warn(f"XMP of {len(packet):,} bytes; more than {MAX_PACKET:,} are not read")
        return
    document: Node = ("", {}, [], [])
    prefixes: dict[str, str] = {}
    try:
        _parse(packet.strip(b"\0 \t\r\n"), document, prefixes)
    except expat.ExpatError as error:
        # What stands behind the root element is of no matter.
        if error.code != 9:
            warn(f"XMP is broken at line {error.lineno}: {expat.ErrorString(error.code)}")
    except (_Refused, ValueError, LookupError) as error:
        warn(f"XMP is refused: {error}")
        return
    for root in document[2]:
        _Reader(prefixes, keep).element(root)


def _parse(packet: bytes, document: Node, prefixes: dict[str, str]) -> None:
    """Build the tree below a document, within bounds, and gather the prefixes that it binds."""
    path = [document]
    nodes = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal nodes
        nodes += 1 + len(attributes)
        if nodes > MAX_NODES:
            raise _Refused(f"it has more than {MAX_NODES:,} elements and attributes")
        if len(path) > MAX_DEPTH:
            raise _Refused(f"it is nested deeper than {MAX_DEPTH}")
        for key in attributes:
            if key.startswith("xmlns:"):
                prefix = key[6:]
                prefixes[prefix] = _NAMESPACES.get(attributes[key]) or _PREFIXES.get(prefix, prefix)
        node: Node = (name, attributes, [], [])
        path[-1][2].append(node)
        path.append(node)

    def end(_name: str) -> None:
        del path[-1]

    def text(data: str) -> None:
        path[-1][3].append(data)

    def doctype(*_: Any) -> NoReturn:
        raise _Refused("it has a DOCTYPE")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = doctype
    parser.Parse(packet, True)


class _Reader:
    """Reads the RDF of a tree."""

    def __init__(self, prefixes: dict[str, str], keep: Keep) -> None:
        self.prefixes = prefixes
        self.keep = keep
        self._split: dict[str, tuple[str, str]] = {}

    def split(self, name: str) -> tuple[str, str]:
        """Usual prefix and local name."""
        found = self._split.get(name)
        if found is None:
            prefix, colon, local = name.partition(":")
            found = (self.prefixes.get(prefix) or _PREFIXES.get(prefix, prefix), local) if colon else ("", prefix)
            self._split[name] = found
        return found

    def element(self, node: Node) -> None:
        """The root, or what stands around the RDF."""
        name, attributes, children, _ = node
        if self.split(name) == ("rdf", "RDF"):
            for child in children:
                self.description(child)
            return
        for key, text in attributes.items():
            if self.split(key) in (("x", "xmptk"), ("x", "xaptk")):
                self.keep("x", "xmptk", text)
        for child in children:
            self.element(child)

    def description(self, node: Node) -> None:
        """The properties of a resource."""
        _, attributes, children, _ = node
        for key, text in attributes.items():
            prefix, local = self.split(key)
            if local == "about" and prefix in ("rdf", ""):
                if text:
                    self.keep("rdf", "about", text)
            elif prefix and prefix not in _STRUCTURAL:
                self.keep(prefix, local, text)
        for child in children:
            prefix, local = self.split(child[0])
            if prefix and prefix not in _STRUCTURAL:
                self.keep(prefix, local, self.value(child))

    def value(self, node: Node) -> Any:
        """What a property holds: text, a list, languages, or a structure."""
        _, attributes, children, text = node
        if children:
            for child in children:
                prefix, local = self.split(child[0])
                if prefix != "rdf":
                    continue
                if local in ("Bag", "Seq", "Alt"):
                    return self.items(child, alternatives=local == "Alt")
                if local == "Description":
                    return self.structure(child)
                if local == "value":
                    return self.value(child)
            return self.structure(node)
        if attributes:
            fields: dict[str, str] = {}
            for key, field in attributes.items():
                prefix, local = self.split(key)
                if (prefix, local) == ("rdf", "resource"):
                    return field
                if prefix and prefix not in _STRUCTURAL:
                    fields[field_name(local)] = field
            if fields:
                return fields
        return text[0] if len(text) == 1 else "".join(text)

    def items(self, node: Node, *, alternatives: bool) -> Any:
        """A list; with languages, the texts by language."""
        items = [child for child in node[2] if self.split(child[0]) == ("rdf", "li")]
        if alternatives and items and all("xml:lang" in item[1] for item in items):
            return Languages((item[1]["xml:lang"], self.value(item)) for item in items)
        return [self.value(item) for item in items] or ""

    def structure(self, node: Node) -> dict[str, Any]:
        """The fields of a structure."""
        _, attributes, children, _ = node
        fields: dict[str, Any] = {}
        for key, text in attributes.items():
            prefix, local = self.split(key)
            if prefix and prefix not in _STRUCTURAL:
                fields[field_name(local)] = text
        for child in children:
            prefix, local = self.split(child[0])
            if prefix in _STRUCTURAL:
                continue
            value = self.value(child)
            if isinstance(value, Languages):
                for language, text in value.items():
                    fields[field_name(local) + language_suffix(language)] = text
            else:
                fields[field_name(local)] = value
        return fields


def language_suffix(language: str) -> str:
    """What stands behind the name of a text in a language: nothing for the default one."""
    return "" if language.lower() == "x-default" else f"-{language}"


@lru_cache(maxsize=2048)
def field_name(local: str) -> str:
    """A name as ExifTool shows it: a capital first, and no name in capitals alone.

    Remembered, since packets speak of the same few hundred.
    """
    local = local.replace(".", "")
    if len(local) > 1 and local.upper() == local:
        local = re.sub(r"_([a-z])", lambda match: match[1].upper(), local.lower())
    return local[:1].upper() + local[1:]
