"""What counting yields: counts by channel, and the part of a picture that they are of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

LEVELS = 256
SAMPLE = 32  # rows and columns of the pixels that dominant colours are taken from
MOST_LEVELS = 65536
SPACES = ("encoded", "linear", "display")
LUMINANCES = ("601", "709", "y")

NAMES = {
    "1": ("gray",),
    "L": ("gray",),
    "LA": ("gray", "alpha"),
    "RGB": ("red", "green", "blue"),
    "RGBX": ("red", "green", "blue"),
    "RGBA": ("red", "green", "blue", "alpha"),
    "CMYK": ("cyan", "magenta", "yellow", "black"),
    "YCbCr": ("y", "cb", "cr"),
    "LAB": ("lightness", "a", "b"),
    "HSV": ("hue", "saturation", "value"),
}
CHANNELS = (*dict.fromkeys(name for names in NAMES.values() for name in names), "green1", "green2")


class Region(NamedTuple):
    """A rectangle in pixels of the stored image, its origin at the top left."""

    x: int
    y: int
    width: int
    height: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom edge, as Pillow's crop takes them."""
        return self.x, self.y, self.x + self.width, self.y + self.height

    def stored(self, size: tuple[int, int], orientation: int) -> Region:
        """The rectangle of the stored image that is this one of the displayed image.

        Args:
            size: of the stored image.
            orientation: as Exif counts.
        """
        x, y, width, height = self
        if orientation >= 5:
            x, y, width, height = y, x, height, width
        if orientation in {2, 3, 7, 8}:
            x = size[0] - x - width
        if orientation in {3, 4, 6, 7}:
            y = size[1] - y - height
        return Region(x, y, width, height)


@dataclass(frozen=True)
class Counts:
    """Counts by level of the luminance and of each channel."""

    luminance: list[int]
    channels: dict[str, list[int]]


@dataclass(frozen=True)
class Histogram:
    """Counts of one image.

    Args:
        mode: Pillow's mode of the image as decoded, or a name in its manner for more bits.
        width: pixels counted across.
        height: pixels counted down.
        luminance: counts by level: 256, or as many as were asked for of a picture of more than 8 bits.
        channels: counts for each channel present, by name.
        ignored: pixels not counted: fully transparent ones where asked for, and NaN. The sum of every list of counts
            plus this and `outside` is width × height.
        value_range: values that the first and the last level stand for; None where a level is a value of 8 bits.
        bits: of a sample.
        effective_bits: bits that the values use: of 12-bit data in 16 bits, 12. None for floating point.
        floating: the values are floating point numbers.
        visible: counts of the pixels that are not fully transparent; None where those are all that were counted.
        outside: pixels below and above the range that was asked for, by channel; empty where none was.
    """

    mode: str
    width: int
    height: int
    luminance: list[int]
    channels: dict[str, list[int]]
    ignored: int = 0
    value_range: tuple[float, float] | None = None
    bits: int = 8
    effective_bits: int | None = 8
    floating: bool = False
    visible: Counts | None = None
    outside: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def pixels(self) -> int:
        """Pixels counted."""
        return self.width * self.height - self.ignored

    @property
    def seen(self) -> Counts:
        """Counts of the visible pixels, by which exposure and clipping are judged."""
        return self.visible or Counts(self.luminance, self.channels)


class Share(NamedTuple):
    """A rectangle in percent of the stored image."""

    x: float
    y: float
    width: float
    height: float

    def of(self, size: tuple[int, int]) -> Region:
        """In pixels of an image: every pixel that it touches."""
        left, top = int(self.x * size[0] / 100), int(self.y * size[1] / 100)
        right = -int(-(self.x + self.width) * size[0] // 100)
        bottom = -int(-(self.y + self.height) * size[1] // 100)
        return Region(left, top, max(1, right - left), max(1, bottom - top))


class NotCountable(ValueError):
    """An option does not fit this image, or (option None) its mode cannot be counted; the message says why."""

    def __init__(self, option: str | None, message: str) -> None:
        super().__init__(message)
        self.option = option


def check_region(region: Region, size: tuple[int, int]) -> None:
    """Refuses a region that is not inside an image of that width and height.

    Raises:
        NotCountable: it is not.
    """
    x, y, width, height = region
    if width < 1 or height < 1 or x < 0 or y < 0 or x + width > size[0] or y + height > size[1]:
        raise NotCountable(
            "region", f"the region {x},{y},{width},{height} is not inside the image of {size[0]} × {size[1]} pixels"
        )
