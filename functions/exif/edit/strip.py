"""The one way to a clean copy: find the container, edit it, and read the result again before it is believed."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass

from functions.exif.edit import parts
from functions.exif.edit.decide import Edit, Removed
from functions.exif.edit.errors import Broken, Unsupported
from functions.exif.edit.names import DEFAULT_KEEP
from functions.exif.edit.verify import check, secrets
from functions.exif.strip import gif, isobmff, items, tiff
from functions.kit import containers

FORMATS = ("JPEG", "MPO", "PNG", "WebP", "TIFF", "BigTIFF", "HEIC", "AVIF", "GIF")
"""What can be cleaned."""


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
    """The same picture without its metadata; pixels are bit for bit the same, nothing is encoded again.

    Args:
        data: the file; its bytes decide the format.
        keep: names of `KEEP` that stay.
        remove: names of `REMOVE`: only these go, and `keep` does not count.

    Raises:
        Broken: the file's structure cannot be followed to a picture.
        Unsupported: no format that can be cleaned.
        NotClean: the result still holds something that was to go.
    """
    cleaner, media_type = container(data)
    looked_for = secrets(data, keep, bool(remove))
    edit = Edit(frozenset(keep), bool(remove), looked_for)
    try:
        result = cleaner(data, edit)
    except (struct.error, IndexError) as error:
        raise Broken(f"a structure of it ends early: {error}") from None
    check(result, edit, looked_for)
    return Stripped(result, tuple(edit.removed), tuple(edit.warnings), media_type)


MEDIA_TYPES = {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp"}
Cleaner = Callable[[bytes, Edit], bytes]


def container(data: bytes) -> tuple[Cleaner, str]:
    """The module's function that cleans these bytes, and their media type.

    Raises:
        Unsupported: none does.
    """
    head = data[:16]
    found = containers.sniff(data)
    document = containers.read(data) if found is not None and found.reader in MEDIA_TYPES else None
    if document is not None and document.format != "EXV":
        return lambda _, edit: parts.clean(document, edit), MEDIA_TYPES[document.reader]
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return gif.clean, "image/gif"
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return tiff.clean, "image/tiff"
    if items.is_image(data):
        return isobmff.clean, items.media_type(data)
    raise Unsupported("no format that can be cleaned")
