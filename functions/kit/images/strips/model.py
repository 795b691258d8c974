"""What a picture of at most 8 bits a sample is in strips."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

_AS_IT_IS = {"L", "RGBA", "CMYK"}  # modes whose pixels Pillow has in memory as libvips


@dataclass(frozen=True)
class Strips:
    """A picture of 8 bits a sample in strips.

    Args:
        format: Pillow's name of the format.
        mode: Pillow's mode of the strips.
        width: in pixels.
        height: in pixels.
        read: the strips in order, from the top, each valid until the next; they end early where the data of the
            picture do.
        top: rows that are missing before the first strip.
        damaged: after reading, why any of the rows may be damaged; empty otherwise.
    """

    format: str
    mode: str
    width: int
    height: int
    read: Callable[[], Iterator[Image.Image]]
    top: int = 0
    damaged: Sequence[str] = ()


def image_of(held: Image.Image | None, mode: str, size: tuple[int, int], pixels: bytes, *raw: str | int) -> Image.Image:
    """An image of a strip. Where its pixels are copied, into the one before: a new one would be filled first."""
    from PIL import Image

    if mode in _AS_IT_IS and raw == (mode, 0, 1):
        return Image.frombuffer(mode, size, pixels, "raw", *raw)
    if held is None or held.size != size:
        held = Image.new(mode, size)
    held.frombytes(pixels, "raw", *raw)
    return held
