"""HEIC and AVIF of 10 and 12 bits, decoded by libheif at their depth; pictures of 8 bits are Pillow's.

The libheif of `pi_heif` decodes HEIC alone, that of libvips AVIF alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING

from functions.kit.images import grids, partial
from functions.kit.images.colour import orientation
from functions.kit.images.samples.model import GRAY, RGB, EarlyEndError, Samples, strip_rows

if TYPE_CHECKING:
    from functions.kit.images.samples.model import Array

_HEADER = 2**20  # bytes of an AVIF in which its boxes are searched for a depth
_DEEP = 0x40  # of the third byte of av1C: high_bitdepth
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

        def plain(box: tuple[int, int, int, int]) -> bool:
            part = values[box[1] : box[3], box[0] : box[2]]
            return bool((part == part[:1, :1]).all())

        held = grids.rows_held(data, height, plain)
        if held < rows:
            raise EarlyEndError(held)
        step = strip_rows(width)
        for top in range(0, rows, step):
            yield values[top : min(top + step, rows)]

    names = _NAMES[colours]
    mode = f"{colours};{bits}"
    return Samples("HEIF", mode, width, height, height, names, bits, "uint", read)


def avif(data: bytes) -> Samples | None:
    """The first picture of an AVIF where it has more than 8 bits; None for others, and for a form that is not read.

    Raises:
        Exception: of Pillow, where the header is broken.
    """
    if not deep(data) or partial.missing_bytes(data):
        return None
    from PIL import AvifImagePlugin

    from functions.kit.images.strips.vips import library

    with AvifImagePlugin.AvifImageFile(BytesIO(data)) as header:
        width, height, gray = *header.size, header.mode == "L"
    turned = orientation(data, "AVIF")
    try:
        image = library().Image.heifload_buffer(data)
    except library().Error:
        return None  # an animation
    shown = (height, width) if turned >= 5 else (width, height)
    if image.format != "ushort" or image.bands not in {3, 4} or (image.width, image.height) != shown:
        return None  # one with a clean aperture, which Pillow ignores
    bits = int(image.get("bits-per-sample"))
    names = GRAY if gray and image.bands == len(RGB) else (*RGB, "alpha")[: image.bands]

    def read(rows: int) -> Iterator[Array]:
        import numpy as np

        values = np.frombuffer(image.write_to_memory(), np.uint16).reshape(image.height, image.width, image.bands)
        stored = _stored(values, turned)[..., : len(names)]
        step = strip_rows(width)
        for top in range(0, rows, step):
            yield stored[top : min(top + step, rows)] >> np.uint16(16 - bits)  # libvips scales to 16 bits

    mode = f"{'I' if names == GRAY else 'RGBA'[: image.bands]};{bits}"
    return Samples("AVIF", mode, width, height, height, names, bits, "uint", read)


def deep(data: bytes) -> bool:
    """Whether a picture of an AVIF has 10 or 12 bits, by its codec configurations (av1C)."""
    at = -1
    while (at := data.find(b"av1C", at + 1, _HEADER)) >= 0:
        if len(data) > at + 6 and data[at + 6] & _DEEP:
            return True
    return False


def _stored(shown: Array, turned: int) -> Array:
    """The rows of a picture as stored, from those of the displayed one."""
    import numpy as np

    flat = np.swapaxes(shown, 0, 1)
    turns = {2: shown[:, ::-1], 3: shown[::-1, ::-1], 4: shown[::-1], 5: flat, 6: flat[::-1]}
    return {1: shown, **turns, 7: flat[::-1, ::-1], 8: flat[:, ::-1]}[turned]
