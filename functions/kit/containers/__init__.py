"""Containers of pictures as parts: one reader and one writer for each format.

A reader divides a file into parts that, joined, are the file; a writer makes a file of changed parts. Any package of
the functions may import this one; it imports nothing of the project but its own modules.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import ModuleType

from functions.kit.containers.packing import ContainerError, Packing
from functions.kit.containers.parts import METADATA, Changes, Document, Kind, Part
from functions.kit.containers.sniff import Format, sniff
from functions.kit.containers.source import Buffer, Source, Span, finished, sparse

__all__ = [
    "METADATA",
    "READERS",
    "WRITERS",
    "Buffer",
    "Changes",
    "ContainerError",
    "Document",
    "Format",
    "Kind",
    "Packing",
    "Part",
    "Source",
    "Span",
    "read",
    "sniff",
    "sparse",
    "write",
]


READERS = frozenset(
    (
        *("bmp", "crw", "gif", "isobmff", "jp2", "jpeg", "jumbf", "jxl", "mrw", "packets", "png", "psd", "raf"),
        *("tiff", "webp", "x3f"),
    )
)
"""The modules that read a format, by their names."""
_PARTIAL = frozenset(("jpeg", "tiff"))
WRITERS = READERS - {"bmp", "crw", "jumbf", "mrw", "packets", "raf", "tiff", "x3f"}
"""Those that write one; TIFFs are edited in place by their directories."""
_SEPARATE = {"jpeg": "segments"}  # writers in a module of their own


def read(source: Source | Buffer, *, whole: bool = True, found: Format | None = None) -> Document | None:
    """Divide a file into parts; None for a file whose format has no reader.

    Args:
        source: the file; its bytes decide the format.
        whole: divide all of it; else what follows the header may be one part, and the parts of a TIFF may be left out.
        found: its format, where it is known already.
    """
    if not isinstance(source, Source):
        source = Source(source)
    found = found or sniff(source.data)
    if found is None or found.reader not in READERS:
        return None
    module = _module(found.reader)
    document: Document | None = module.read(source, whole=whole) if found.reader in _PARTIAL else module.read(source)
    if document is not None:
        document.reader = found.reader
    return document


def write(document: Document, changes: Changes, added: Mapping[Kind, bytes] | None = None) -> bytes:
    """The file with some parts changed; sizes, offsets and checksums follow. Without changes it is the file itself.

    Args:
        document: as `read` returned it.
        changes: new content of parts; None drops a part.
        added: content of blocks that the file does not have, by kind.

    Raises:
        ContainerError: the file is broken, or its format cannot hold the changes.
    """
    if document.broken:
        raise ContainerError(document.broken)
    if document.reader not in WRITERS:
        raise ContainerError(f"{document.format} is not written")
    if not changes and not added:
        return finished(document.source.data)
    result: bytes = _module(_SEPARATE.get(document.reader, document.reader)).write(document, changes, added or {})
    return result


@cache
def _module(reader: str) -> ModuleType:
    return import_module(f"functions.kit.containers.{reader}")
