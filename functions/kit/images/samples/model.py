"""What a picture of more than 8 bits a sample is: its own values in strips, as numpy arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

STRIP_PIXELS = 2**20
GRAY, RGB, CMYK, LAB = (
    ("gray",),
    ("red", "green", "blue"),
    ("cyan", "magenta", "yellow", "black"),
    (*("lightness", "a", "b"),),
)
NAMES = {1: GRAY, 2: RGB, 5: CMYK, 8: LAB}
MODES = {GRAY: "I", RGB: "RGB", CMYK: "CMYK", LAB: "LAB"}
UNSIGNED, SIGNED, FLOAT = 1, 2, 3
FORMAT_NAMES = {1: "unsigned", 2: "signed", 3: "floating point", 4: "undefined", 5: "complex", 6: "complex"}


class SampleFormatError(Exception):
    """A sample format that is not read; the text names it."""


class EarlyEndError(Exception):
    """The data end early, or are broken, which is known only after the rows before that were read.

    Args:
        rows: how many there are from the top.
    """

    def __init__(self, rows: int) -> None:
        super().__init__(rows)
        self.rows = rows


@dataclass(frozen=True)
class Samples:
    """A picture as arrays of its own values.

    Args:
        format: Pillow's name of the format.
        mode: a name of the mode in Pillow's manner, such as `RGB;16`.
        width: in pixels.
        height: in pixels.
        rows: rows from the top that are in the file; less than `height` where it ends early.
        names: the colour channels, and `alpha` last where there is one.
        bits: of a sample.
        kind: `uint`, `int` or `float`.
        masked: the arrays have one more band, an alpha channel that the file does not list as one.
        read: gives so many rows from the top, in arrays of shape (rows, width, bands); each call starts anew.
        key: the one value of a gray picture that is transparent.
        info: what Pillow read beside the pixels.
        bottom_up: the rows that are in the file are the last ones.
        notes: what of the picture is not among the channels.
        level: highest value of an unsigned sample, where the file states another than 2^bits - 1.
    """

    format: str
    mode: str
    width: int
    height: int
    rows: int
    names: tuple[str, ...]
    bits: int
    kind: str
    read: Callable[[int], Iterator[Array]]
    masked: bool = False
    notes: tuple[str, ...] = ()
    level: int | None = None
    bottom_up: bool = False
    key: int | None = None
    info: Mapping[str | tuple[int, int], Any] = field(default_factory=dict)

    def strips(self) -> Iterator[Array]:
        """The rows that are in the file."""
        return self.read(self.rows)


def strip_rows(width: int) -> int:
    """Rows of a strip."""
    return max(1, STRIP_PIXELS // max(1, width))
