"""Clean copies: the container is found and edited, and the result is read again before it is returned."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass

from functions.exif.edit import parts, tiff
from functions.exif.edit.blocks.exif import head_of
from functions.exif.edit.decide import Edit, Removed
from functions.exif.edit.errors import Broken, Unsupported
from functions.exif.edit.names import DEFAULT_KEEP, MEDIA_TYPES
from functions.exif.edit.verify import check, secrets
from functions.kit import containers
from functions.kit.containers import Kind


@dataclass(frozen=True, slots=True)
class Stripped:
    """A clean copy.

    Args:
        data: the file.
        removed: what went, in the order it stood.
        warnings: what the receiver should know.
        media_type: of the file.
    """

    data: bytes
    removed: tuple[Removed, ...]
    warnings: tuple[str, ...]
    media_type: str


def strip(data: bytes, keep: Collection[str] = DEFAULT_KEEP, remove: Collection[str] = ()) -> Stripped:
    """Return the picture without its metadata; pixels are bit for bit the same, nothing is encoded again.

    Args:
        data: the file; its bytes decide the format.
        keep: names of `KEEP` that stay.
        remove: names of `REMOVE`: only these go, and `keep` does not count.

    Raises:
        Broken: the file's structure cannot be followed to a picture.
        Unsupported: no format that can be cleaned.
        NotClean: the result still holds something that was to go.
    """
    cleaner, media_type, blocks = container(data)
    looked_for = secrets(blocks, keep, bool(remove))
    edit = Edit(frozenset(keep), bool(remove), looked_for)
    try:
        result = cleaner(data, edit)
    except (struct.error, IndexError) as error:
        raise Broken(f"a structure of it ends early: {error}") from None
    check(result, edit, looked_for)
    return Stripped(result, tuple(edit.removed), tuple(edit.warnings), media_type)


FORMATS = tuple(name for name in MEDIA_TYPES if name != "DNG")
"""Formats that can be cleaned."""
Cleaner = Callable[[bytes, Edit], bytes]


def container(data: bytes) -> tuple[Cleaner, str, list[bytes]]:
    """Return the function that cleans these bytes, their media type, and their Exif blocks.

    Raises:
        Unsupported: no format that can be cleaned.
    """
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return tiff.clean, "image/tiff", [data]
    document = containers.read(data)
    # A TIFF by its directories but not by its header is a raw, or JPEG XR.
    if document is None or document.format not in FORMATS or document.reader == "tiff":
        raise Unsupported("no format that can be cleaned")
    blocks = [document.content(part) or b"" for part in document.parts if part.kind is Kind.EXIF and part.lead < 0]
    exif = [block[len(head_of(block)) :] for block in blocks]
    return lambda _, edit: parts.clean(document, edit), MEDIA_TYPES[document.format], exif
