"""Content credentials in a file of their own (.c2pa): JUMBF boxes and nothing else (ISO 19566-5)."""

from __future__ import annotations

from functions.kit.containers.parts import Document, Kind
from functions.kit.containers.source import Source


def read(source: Source) -> Document:
    """Read the boxes as one block."""
    document = Document(source, "C2PA", "application/c2pa")
    document.broken = "content credentials and no picture"
    document.add(Kind.JUMBF, 0, source.size, "jumb", body=0, stop=source.size)
    return document
