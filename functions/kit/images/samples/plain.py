"""Pictures whose samples are in the file as they are: binary PNM of more than 8 bits, PFM, FITS."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from functions.kit.images.samples.model import GRAY, RGB, Samples, strip_rows

if TYPE_CHECKING:
    from functions.kit.images.samples.model import Array

PNM = re.compile(rb"P([56])" + rb"(?:\s|#[^\r\n]*[\r\n])+(\d{1,10})" * 3 + rb"\s")
_PFM = re.compile(rb"P([fF])\s+(\d{1,10})\s+(\d{1,10})\s+([-+.eE\d]{1,40})\s")
_HEAD = 4096


def pnm(data: bytes) -> Samples | None:
    """Binary gray and colour of more than 8 bits, and floating point."""
    match = _PFM.match(data[:_HEAD])
    if match:
        return _pfm(data, match)
    match = PNM.match(data[:_HEAD])
    if match is None or int(match[4]) < 256:
        return None
    width, height, top = int(match[2]), int(match[3]), int(match[4])
    names = GRAY if match[1] == b"5" else RGB
    if top > 65535 or not width or not height:
        return None
    line = 2 * len(names) * width
    present = min(height, (len(data) - match.end()) // line)

    def read(present: int) -> Iterator[Array]:
        import numpy as np

        rows = strip_rows(width)
        for first in range(0, present, rows):
            count = min(rows, present - first)
            values = np.frombuffer(data, ">u2", count * line // 2, match.end() + first * line)
            yield values.astype("=u2").reshape(count, width, len(names))

    mode = "I;16" if names is GRAY else "RGB;16"
    return Samples("PPM", mode, width, height, present, names, top.bit_length(), "uint", read, level=top)


def _pfm(data: bytes, match: re.Match[bytes]) -> Samples | None:
    """Portable float map: rows from the bottom up, the scale's sign tells the byte order."""
    try:
        scale = float(match[4])
    except ValueError:
        return None
    width, height = int(match[2]), int(match[3])
    if not width or not height or not scale:
        return None
    names = GRAY if match[1] == b"f" else RGB
    line = 4 * len(names) * width
    stored = min(height, (len(data) - match.end()) // line)

    def read(present: int) -> Iterator[Array]:
        import numpy as np

        # From the bottom up: the first rows of the file are the last of the picture.
        rows = strip_rows(width)
        for top in range(0, present, rows):
            count = min(rows, present - top)
            first = match.end() + (present - top - count) * line
            values = np.frombuffer(data, "<f4" if scale < 0 else ">f4", count * line // 4, first)
            yield values.astype("=f4").reshape(count, width, len(names))[::-1]

    mode = "F" if names is GRAY else "RGB;32F"
    return Samples("PPM", mode, width, height, stored, names, 32, "float", read, bottom_up=True)


# --- FITS

_CARD, _BLOCK, _MOST_CARDS = 80, 2880, 36 * 200
_TYPES = {8: ("uint", "u1"), 16: ("int", "i2"), 32: ("int", "i4"), -32: ("float", "f4"), -64: ("float", "f8")}


def fits(data: bytes) -> Samples | None:
    """The image of a FITS file's first unit, in two dimensions or of three planes; None where it has none."""
    cards, offset = _cards(data)
    form, axes = _TYPES.get(int(cards.get("BITPIX", 0))), int(cards.get("NAXIS", 0))
    sizes = [int(cards.get(f"NAXIS{index + 1}", 0)) for index in range(min(axes, 4))]
    while len(sizes) > 2 and sizes[-1] == 1:
        sizes.pop()
    if form is None or len(sizes) not in {2, 3} or min(sizes) < 1 or sizes[2:] not in ([], [3]):
        return None
    width, height, planes = sizes[0], sizes[1], len(sizes) == 3
    scale, zero = cards.get("BSCALE", 1.0), cards.get("BZERO", 0.0)
    kind, bits = form[0], 8 * int(form[1][1])
    unsigned = kind == "int" and scale == 1 and zero == 2 ** (bits - 1)
    scaled = not unsigned and (scale, zero) != (1, 0)
    line, names = width * int(form[1][1]), RGB if planes else GRAY
    present = min(height, max(0, len(data) - offset - (2 * height * line if planes else 0)) // line)

    def read(rows: int) -> Iterator[Array]:
        import numpy as np

        step = strip_rows(width)
        for top in range(0, rows, step):
            count = min(step, rows - top)
            bands = []
            for plane in range(len(names)):
                at = offset + (plane * height + top) * line
                bands.append(np.frombuffer(data, f">{form[1]}", count * width, at).reshape(count, width))
            values = np.stack(bands, axis=2).astype(f"={form[1]}")
            if unsigned:
                values = (values.astype(f"=u{bits // 8}")) ^ np.array(2 ** (bits - 1), f"=u{bits // 8}")
            elif scaled:
                values = values.astype(np.float64) * scale + zero
            yield values

    if unsigned:
        kind = "uint"
    elif scaled:
        kind = "float"
    mode = {"uint8": "L", "uint16": "I;16", "float32": "F"}.get(f"{kind}{bits}", f"I;{bits}") if not planes else "RGB"
    return Samples("FITS", mode, width, height, present, names, bits, kind, read)


def _cards(data: bytes) -> tuple[dict[str, float], int]:
    """The numbers of a header by keyword, and the offset of the data; no offset if the header has no end."""
    cards: dict[str, float] = {}
    for index in range(_MOST_CARDS):
        card = data[index * _CARD : (index + 1) * _CARD]
        if card[:8].rstrip() == b"END":
            return cards, -(-(index + 1) * _CARD // _BLOCK) * _BLOCK
        if len(card) < _CARD:
            break
        if card[8:10] == b"= ":
            try:
                value = float(card[10:30].split(b"/")[0].replace(b"D", b"E"))
            except ValueError:
                continue
            if abs(value) < 2**63:
                cards[card[:8].decode("ascii", "replace").strip()] = value
    return {}, len(data)
