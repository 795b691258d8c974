"""JPEG 2000 of other depths than 8 bits: Pillow shifts samples to 8 bits, and does not stop at 255 when it rounds."""

from __future__ import annotations

from struct import unpack_from
from typing import TYPE_CHECKING

from functions.kit.images.samples.model import SampleFormatError

if TYPE_CHECKING:
    from PIL import Image

CODESTREAM = b"\xff\x4f\xff\x51"
_SYCC = b"\1\0\0\0\x12"  # method and number of a colr box
NOTE = "this JPEG 2000 has more than 8 bits a sample; it is counted at 8"


def levelled(image: Image.Image, data: bytes, key: str) -> Image.Image:
    """The image with white at 255, at any depth of its samples.

    Args:
        image: decoded.
        data: the whole file.
        key: of `info`, for a note that it was decoded with fewer bits than it has.

    Raises:
        SampleFormatError: samples of more bits, of which the lightest may have become 0.
    """
    bits, mixed = _header(data)
    if not bits or set(bits) == {8}:
        return image
    most, gray = max(bits), image.mode == "I;16"
    if gray and most <= 16:
        return image
    if most > 8 or mixed:
        extrema = image.getextrema()
        darkest = extrema[0] if isinstance(extrema[0], int | float) else min(band[0] for band in extrema)
        if mixed or image.mode in ("P", "PA") or not darkest:
            raise SampleFormatError(
                f"JPEG 2000 with {most} bits a sample, whose lightest values its decoder turns into 0 "
                "(a TIFF or PNG of 16 bits has them all)"
            )
        image.info[key] = NOTE
        return image
    tables: list[int] = []
    for band, depth in zip(image.getbands(), bits, strict=False):
        stored, top = [value >> 8 - depth for value in range(256)], (1 << depth) - 1
        tables += stored if band == "P" else [(value * 510 + top) // (2 * top) for value in stored]
    if len(tables) != 256 * len(image.getbands()):
        return image
    result = image.point(tables)
    result.format = image.format
    return result


def _header(data: bytes) -> tuple[tuple[int, ...], bool]:
    """The depth of each component, and whether they are luminance and chroma in other than 8 bits."""
    from functions.kit.containers import read

    document = read(data)
    parts = document.parts if document is not None else []
    at = next((part.start for part in parts if part.label == "codestream"), -1)
    if at < 0 or len(data) < at + 42 or data[at : at + 4] != CODESTREAM:
        return (), False
    (count,) = unpack_from(">H", data, at + 40)
    bits = tuple((depth & 0x7F) + 1 for depth in data[at + 42 : at + 42 + 3 * min(count, 16) : 3])
    colours = (data[part.body : part.body + 7] for part in parts if part.key == b"colr")
    return bits, set(bits) != {8} and any(each[:1] + each[3:] == _SYCC for each in colours)
