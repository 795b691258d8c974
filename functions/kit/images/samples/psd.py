"""Photoshop's merged picture of 16 and 32 bits, and of the large variant (PSB), which Pillow does not read."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from functions.kit.images.samples.model import CMYK, GRAY, LAB, RGB, SampleFormatError, Samples, strip_rows

if TYPE_CHECKING:
    from functions.kit.images.samples.model import Array

_COLOURS = {1: GRAY, 3: RGB, 4: CMYK, 8: GRAY, 9: LAB}
_MODES = {GRAY: "L", RGB: "RGB", CMYK: "CMYK", LAB: "LAB"}
_NAMES = {0: "bitmap", 2: "indexed colour", 7: "multichannel"}
_TYPES = {8: "u1", 16: ">u2", 32: ">f4"}
_RAW, _PACKED = 0, 1
_MOST_CHANNELS, _MOST_SIDE = 56, 300_000


class _Planes(NamedTuple):
    """Where the planes lie: positions of all rows with one more at the end for run lengths, else the first one."""

    data: bytes
    packed: bool
    offsets: Sequence[int]
    line: int
    height: int

    def rows(self, planes: int) -> int:
        """Number of rows of the given planes in the file."""
        first = (planes - 1) * self.height
        if not self.packed:
            return max(0, min(self.height, (len(self.data) - self.offsets[0]) // self.line - first))
        ends = self.offsets[first + 1 : first + self.height + 1]
        return sum(end <= len(self.data) for end in ends)

    def strip(self, plane: int, top: int, count: int) -> bytes:
        """Rows of one plane."""
        first = plane * self.height + top
        if not self.packed:
            start = self.offsets[0] + first * self.line
            return self.data[start : start + count * self.line]
        from PIL import Image

        packed = self.data[self.offsets[first] : self.offsets[first + count]]
        return Image.frombytes("L", (self.line, count), packed, "packbits", "L").tobytes()


def find(data: bytes) -> Samples | None:
    """The merged picture; None where Pillow reads it.

    Raises:
        SampleFormatError: a colour mode or compression that is not read.
        ValueError: a broken header.
    """
    if len(data) < 30:
        return None
    version, channels, height, width, depth, mode = struct.unpack_from(">H6xHIIHH", data, 4)
    large = version == 2
    if not large and depth not in {16, 32}:
        return None
    if not (0 < channels <= _MOST_CHANNELS and 0 < width <= _MOST_SIDE and 0 < height <= _MOST_SIDE):
        raise ValueError(f"its header states {channels} channels of {width} × {height} pixels")
    names = _COLOURS.get(mode)
    if names is None or depth not in _TYPES or channels < len(names):
        kind = _NAMES.get(mode, f"mode {mode}")
        raise SampleFormatError(f"Photoshop in {kind}, {channels} channels of {depth} bits")
    found = _planes(data, large, channels, height, width * depth // 8)
    shown = (*names, "alpha") if names is RGB and channels == len(RGB) + 1 else names

    def read(rows: int) -> Iterator[Array]:
        import numpy as np

        step = strip_rows(width)
        for top in range(0, rows, step):
            count = min(step, rows - top)
            planes = [
                np.frombuffer(found.strip(plane, top, count), _TYPES[depth]).reshape(count, width)
                for plane in range(len(shown))
            ]
            values = np.stack(planes, axis=2).astype(f"={_TYPES[depth][-2:]}")
            if names is CMYK:  # ink is stored as light
                values = np.array(1 if depth == 32 else 2**depth - 1, values.dtype) - values
            yield values

    suffix = {8: "", 16: ";16", 32: ";32F"}[depth]
    name = ("I;16" if shown is GRAY and depth == 16 else _MODES[names] + ("A" if shown is not names else "")) + (
        "" if shown is GRAY and depth == 16 else suffix
    )
    kind = "float" if depth == 32 else "uint"
    return Samples("PSD", name, width, height, found.rows(len(shown)), shown, depth, kind, read)


def _planes(data: bytes, large: bool, channels: int, height: int, line: int) -> _Planes:
    """Pass over colour table, resources and layers to the merged picture."""
    at = 26
    for letter, size in (("I", 4), ("I", 4), ("Q" if large else "I", 8 if large else 4)):
        if at + size > len(data):
            raise ValueError("it ends before its merged picture")
        at += size + struct.unpack_from(f">{letter}", data, at)[0]
    if at + 2 > len(data):
        raise ValueError("it ends before its merged picture")
    compression = int.from_bytes(data[at : at + 2], "big")
    at += 2
    if compression not in {_RAW, _PACKED}:
        raise SampleFormatError(f"Photoshop with a merged picture of compression {compression}")
    if compression == _RAW:
        return _Planes(data, False, [at], line, height)
    lines, letter, size = channels * height, "I" if large else "H", 4 if large else 2
    if at + lines * size > len(data):
        raise ValueError("it ends before its merged picture")
    lengths = struct.unpack_from(f">{lines}{letter}", data, at)
    return _Planes(data, True, list(accumulate(lengths, initial=at + lines * size)), line, height)
