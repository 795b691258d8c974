"""BMP whose colours are bit fields in an order or of a width that Pillow does not read."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

from functions.kit.images.samples.model import RGB, Samples, strip_rows

if TYPE_CHECKING:
    from functions.kit.images.samples.model import Array

# Masks of red, green, blue and alpha that Pillow knows, by depth.
_KNOWN = {
    32: {
        *((0xFF0000, 0xFF00, 0xFF, 0x0), (0xFF000000, 0xFF0000, 0xFF00, 0x0), (0xFF000000, 0xFF00, 0xFF, 0x0)),
        *((0xFF000000, 0xFF0000, 0xFF00, 0xFF), (0xFF, 0xFF00, 0xFF0000, 0xFF000000)),
        *((0xFF0000, 0xFF00, 0xFF, 0xFF000000), (0xFF000000, 0xFF00, 0xFF, 0xFF0000), (0x0, 0x0, 0x0, 0x0)),
    },
    16: {(0xF800, 0x7E0, 0x1F, 0x0), (0x7C00, 0x3E0, 0x1F, 0x0)},
}
_FIELDS, _FIELDS_WITH_ALPHA = 3, 6


def find(data: bytes) -> Samples | None:
    """The picture, its fields at 8 bits; None for a BMP that Pillow reads."""
    if len(data) < 70:
        return None
    offset, size, width, height, _, depth, compression = struct.unpack_from("<IIiiHHI", data, 10)
    if size < 40 or compression not in {_FIELDS, _FIELDS_WITH_ALPHA} or depth not in _KNOWN or width < 1 or not height:
        return None
    # In a longer header and behind a short one they stand at the same place.
    masks = struct.unpack_from("<4I", data, 54)
    if size < 56 and compression == _FIELDS:
        masks = (*masks[:3], 0)
    if (masks in _KNOWN[depth] and compression == _FIELDS) or not all(map(_contiguous, masks)):
        return None
    if any(mask >> depth for mask in masks) or not any(masks[:3]):
        return None
    stride, tall = (width * depth // 8 + 3) // 4 * 4, abs(height)
    present = max(0, min(tall, (len(data) - offset) // stride))

    def read(rows: int) -> Iterator[Array]:
        import numpy as np

        step = strip_rows(width)
        for top in range(0, rows, step):
            count = min(step, rows - top)
            # Of rows stored from the bottom up, the last one in the file is the first of the picture.
            first = present - top - count if height > 0 else top
            lines = np.frombuffer(data, np.uint8, count * stride, offset + first * stride).reshape(count, stride)
            values = lines[:, : width * depth // 8].copy().view(f"<u{depth // 8}")
            bands = [_field(values, mask) for mask in (masks if masks[3] else masks[:3])]
            yield np.stack(bands, axis=2)[:: -1 if height > 0 else 1]

    names = (*RGB, "alpha") if masks[3] else RGB
    mode = "RGBA" if masks[3] else "RGB"
    return Samples("BMP", mode, width, tall, present, names, 8, "uint", read, bottom_up=height > 0)


def _contiguous(mask: int) -> bool:
    """Whether a mask is one run of bits, or none."""
    return mask == 0 or (mask // (mask & -mask) + 1).bit_count() == 1


def _field(values: Array, mask: int) -> Array:
    """The bits of a mask, scaled to 0 to 255."""
    import numpy as np

    if not mask:
        return np.zeros(values.shape, np.uint8)
    lowest = mask & -mask
    top = mask // lowest
    bits = (values & values.dtype.type(mask)) // values.dtype.type(lowest)
    scaled: Array = (bits.astype(np.uint64) * 255 + top // 2) // top
    return scaled.astype(np.uint8)
