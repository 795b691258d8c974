"""Names in RDF: the usual prefix of a namespace, and the names of packets, taken apart once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

# Names that are remembered from packet to packet: tables, for those that bind other prefixes than usual; names in each;
# characters of the longest.
MAX_TABLES, MAX_NAMES, MAX_REMEMBERED = 16, 1024, 80

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
_FRAME = frozenset(("rdf", "x", "xml", "xmlns", "iX"))


@dataclass(slots=True)
class Name:
    """The name of an element or attribute.

    Args:
        prefix: the usual one of its namespace.
        local: the name after the prefix.
        own: whether it is a property's or field's, not one of the frame's.
        role: in the frame: the local name of what is RDF's own, such as `li`; else empty.
        field: as a structure's field is shown.
        about: what the reader of properties wants to remember with it.
    """

    prefix: str
    local: str
    own: bool = False
    role: str = ""
    field: str = ""
    about: Any = None


def usual(prefix: str, namespace: str = "") -> str:
    """The usual prefix of a namespace or, if the table above does not have it, for the prefix that it is bound to."""
    return _NAMESPACES.get(namespace) or _PREFIXES.get(prefix, prefix)


class Names(dict[str, Name]):
    """Names by how packets write them, taken apart when they are first asked for.

    Only so many, and none that is too long, are remembered: a packet of made-up names must not fill memory.
    """

    def __init__(self, prefixes: dict[str, str]) -> None:
        super().__init__()
        self.prefixes = prefixes

    def __missing__(self, written: str) -> Name:
        prefix, colon, local = written.partition(":")
        if colon:
            prefix = self.prefixes.get(prefix) or _PREFIXES.get(prefix, prefix)
        else:
            prefix, local = "", prefix
        own = bool(prefix) and prefix not in _FRAME
        name = Name(prefix, local, own, local if prefix == "rdf" else "", field_name(local))
        if len(self) < MAX_NAMES and len(written) <= MAX_REMEMBERED:
            self[written] = name
        return name


def table(bound: dict[str, str]) -> Names:
    """The names of packets that bind prefixes as this one does: its prefixes, with the usual ones for them.

    Packets speak of the same few hundred, so that most are known from those before.
    """
    return _table(frozenset(item for item in bound.items() if item[1] != _PREFIXES.get(item[0], item[0])))


@lru_cache(maxsize=MAX_TABLES)
def _table(unusual: frozenset[tuple[str, str]]) -> Names:
    return Names(dict(unusual))


def field_name(local: str) -> str:
    """A name as ExifTool shows it: a capital first, and no name in capitals alone."""
    local = local.replace(".", "")
    if len(local) > 1 and local.upper() == local:
        local = re.sub(r"_([a-z])", lambda match: match[1].upper(), local.lower())
    return local[:1].upper() + local[1:]
