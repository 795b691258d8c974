"""HEIC of 10 and 12 bits, decoded by libheif at its depth; pictures of 8 bits are Pillow's."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING

from functions.kit.images import partial
from functions.kit.images.samples.model import GRAY, RGB, Samples, strip_rows

if TYPE_CHECKING:
    from functions.kit.images.samples.model import Array

_NAMES = {"I": GRAY, "RGB": RGB, "RGBA": (*RGB, "alpha")}


def find(data: bytes) -> Samples | None:
    """The primary picture where it has more than 8 bits; None for others, and for a file that ends early."""
    if partial.missing_bytes(data):
        return None  # refused with the number of bytes
    import pi_heif

    file = pi_heif.open_heif(BytesIO(data), convert_hdr_to_8bit=False, hdr_to_16bit=False)
    image = file[file.primary_index]
    bits = int(image.info.get("bit_depth", 8))
    colours = image.mode.partition(";")[0]
    if bits <= 8 or colours not in _NAMES:
        return None
    width, height = image.size

    def read(rows: int) -> Iterator[Array]:
        import numpy as np

        values = np.asarray(image).reshape(height, width, len(names))
        step = strip_rows(width)
        for top in range(0, rows, step):
            yield values[top : min(top + step, rows)]

    names = _NAMES[colours]
    mode = f"{colours};{bits}"
    return Samples("HEIF", mode, width, height, height, names, bits, "uint", read)
