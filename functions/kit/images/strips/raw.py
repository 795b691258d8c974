"""BMP and PNM whose rows are in the file without compression."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, cast

from functions.kit.http import problems
from functions.kit.http.settings import Settings
from functions.kit.images.samples.model import strip_rows
from functions.kit.images.samples.plain import PNM
from functions.kit.images.strips.model import Strips, image_of

if TYPE_CHECKING:
    from PIL import Image


class _Layout(NamedTuple):
    """Rows of bytes without compression: where they begin, how long one is, and how Pillow reads them."""

    width: int
    height: int
    offset: int
    stride: int
    mode: str
    raw: str
    bottom_up: bool


def _bmp(data: bytes) -> _Layout | None:
    """The rows of a BMP of 24 bits without compression; None for others."""
    if len(data) < 54:
        return None
    offset, _, width, height, _, depth, compression = struct.unpack_from("<IIiiHHI", data, 10)
    if depth != 24 or compression or width < 1 or not height:
        return None
    return _Layout(width, abs(height), offset, (3 * width + 3) // 4 * 4, "RGB", "BGR", height > 0)


def _pnm(data: bytes) -> _Layout | None:
    """The rows of a binary PNM of 8 bits; None for others."""
    match = PNM.match(data[:4096])
    if match is None or int(match[4]) != 255:
        return None
    width, height, mode = int(match[2]), int(match[3]), "L" if match[1] == b"5" else "RGB"
    return _Layout(width, height, match.end(), width * len(mode), mode, mode, False) if width and height else None


def strips(data: bytes, name: str, settings: Settings) -> Strips | None:
    """Strips of rows as they are in the file; None where none is."""
    layout = _bmp(data) if name == "BMP" else _pnm(data)
    if layout is None:
        return None
    width, height = layout.width, layout.height
    rows = min(height, (len(data) - layout.offset) // layout.stride)
    if rows < 1:
        return None
    if width * height > settings.max_pixels:
        raise problems.too_many_pixels(settings.max_pixels, width, height, settings.variable("max_pixels"))

    def read() -> Iterator[Image.Image]:
        step, strip = strip_rows(width), None
        for top in range(0, rows, step):
            count = min(step, rows - top)
            first = rows - top - count if layout.bottom_up else top
            part = memoryview(data)[layout.offset + first * layout.stride :][: count * layout.stride]
            direction = -1 if layout.bottom_up else 1
            strip = image_of(
                strip, layout.mode, (width, count), cast(bytes, part), layout.raw, layout.stride, direction
            )
            yield strip

    return Strips(name, layout.mode, width, height, read, height - rows if layout.bottom_up else 0)
