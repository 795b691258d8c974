"""The one way to a clean copy: find the container, edit it, and read the result again before it is believed."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass

from functions.exif.keeping import DEFAULT_KEEP
from functions.exif.strip import gif, isobmff, items, jpeg, png, tiff, webp
from functions.exif.strip.edit import Edit, Removed, Unsupported
from functions.exif.strip.layout import Broken
from functions.exif.strip.verify import check, secrets

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


Cleaner = Callable[[bytes, Edit], bytes]


def container(data: bytes) -> tuple[Cleaner, str]:
    """The module's function that cleans these bytes, and their media type.

    Raises:
        Unsupported: none does.
    """
    head = data[:16]
    if head.startswith(b"\xff\xd8\xff"):
        return jpeg.clean, "image/jpeg"
    if head.startswith(png.SIGNATURE):
        return png.clean, "image/png"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return webp.clean, "image/webp"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return gif.clean, "image/gif"
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return tiff.clean, "image/tiff"
    if items.is_image(data):
        return isobmff.clean, items.media_type(data)
    raise Unsupported("no format that can be cleaned")
