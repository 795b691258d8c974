"""EPS, PostScript, PDF, SVG and sidecars of XMP: their XMP packets (XMP part 3, 2.1).

A packet is found by its first and last characters wherever it stands; all else is one part of unknown content between
two packets. Packets inside compressed streams are not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from functions.kit.containers.parts import Document, Kind
from functions.kit.containers.sniff import sniff
from functions.kit.containers.source import Source, Span

MAX_PACKETS = 256
MAX_DECLARATION = 512
_DECLARATION = re.compile(rb"(?:\xef\xbb\xbf)?+\s*+(?:<\?xml[^>]*+>)?+\s*+")
MEDIA_TYPES = {
    "EPS": "application/postscript",
    "PostScript": "application/postscript",
    "PDF": "application/pdf",
    "SVG": "image/svg+xml",
    "XMP": "application/rdf+xml",
}
_BEGIN = re.compile(rb"<(?:\?xpacket begin=|x:x[am]pmeta|rdf:RDF)")
_ENDS = {
    b"<?xpacket begin=": re.compile(rb"<\?xpacket end=[^>]{0,40}>"),
    b"<x:xapmeta": re.compile(rb"</x:xapmeta\s{0,40}>"),
    b"<x:xmpmeta": re.compile(rb"</x:xmpmeta\s{0,40}>"),
    b"<rdf:RDF": re.compile(rb"</rdf:RDF\s{0,40}>"),
}


def read(source: Source) -> Document | None:
    """Read the packets of a document; None where it has none: nothing else of it is read."""
    found = sniff(source.data)
    name = found.name if found is not None else "PDF"
    if name == "PostScript" and b"EPSF" in source.read(0, min(64, source.size)):
        name = "EPS"
    document, at, end = Document(source, name, MEDIA_TYPES.get(name, "application/pdf")), 0, source.size
    document.broken = "a document and no picture"
    for packet in find(source, 0, end):
        if packet.start > at:
            document.add(_between(source, at, packet.start), at, packet.start, "document")
        document.add(Kind.XMP, *packet, "packet", body=packet.start, stop=packet.end)
        at = packet.end
    if at < end:
        document.add(_between(source, at, end), at, end, "document")
    return document if at else None


def _between(source: Source, start: int, end: int) -> Kind:
    """The bytes around a packet; an XML declaration and blanks carry no metadata."""
    bare = end - start < MAX_DECLARATION and _DECLARATION.fullmatch(source.read(start, end))
    return Kind.STRUCTURE if bare else Kind.UNKNOWN


def find(source: Source, start: int, end: int) -> Iterator[Span]:
    """The packets between two positions."""
    for _ in range(MAX_PACKETS):
        begin = source.search(_BEGIN, start, end)
        stop = source.search(_ENDS[begin[0]], begin.end(), end) if begin is not None else None
        if begin is None or stop is None:
            return
        yield Span(begin.start(), stop.end())
        start = stop.end()
