"""The MinimizedImageBox of small AVIF and HEIF files: a picture and its metadata without items (ISO/IEC 23008-12)."""

from __future__ import annotations

from functions.exif.blocks import Scan
from functions.exif.items import exif_item

# Bits of the properties of high dynamic range.
# Bits for the places of the colour samples, by subsampling.
_CENTRES = (0, 2, 1, 0)
_CLLI, _MDCV, _AMVE, _REVE, _NDWT = 32, 192, 64, 128, 32


class _Bits:
    def __init__(self, data: bytes, start: int, end: int) -> None:
        self.value = int.from_bytes(data[start : min(end, start + 160)], "big")
        self.size = 8 * min(end - start, 160)
        self.used = 0

    def take(self, count: int) -> int:
        self.used += count
        if self.used > self.size:
            raise ValueError("the box ends inside its fields")
        return self.value >> (self.size - self.used) & ((1 << count) - 1)


def read(result: Scan, data: bytes, start: int, end: int) -> None:
    """Read the box: size, orientation, ICC profile, Exif and XMP."""
    try:
        _read(result, data, start, end, _Bits(data, start, end))
    except ValueError as error:
        result.warn(f"box 'mini': {error}")
        result.miss("box", "mini", start, end - start)


def _read(result: Scan, data: bytes, start: int, end: int, bits: _Bits) -> None:
    if bits.take(2):
        raise ValueError("unknown version")
    explicit, is_float, _range, alpha, cicp, hdr, icc, exif, xmp = (bits.take(1) for _ in range(9))
    chroma, orientation = bits.take(2), bits.take(3) + 1
    wide = 15 if bits.take(1) else 7
    result.width, result.height = bits.take(wide) + 1, bits.take(wide) + 1
    result.details["orientation"] = orientation
    bits.take(_CENTRES[chroma])
    result.details["bits_per_sample"] = _depth(bits, is_float)
    bits.take(alpha)
    bits.take((16 if chroma == 0 else 24) if cicp else 0)
    bits.take(64 if explicit else 0)
    gain, gain_icc = _hdr(bits, wide) if hdr else (0, 0)
    meta = 20 if (icc or exif or xmp or gain) and bits.take(1) else 10
    config, item = (12 if bits.take(1) else 3), (28 if bits.take(1) else 15)
    icc_size = bits.take(meta) + 1 if icc else 0
    if gain_icc:
        bits.take(meta)
    gain_config = 0
    if gain:
        bits.take(meta)
        gain_config = bits.take(config) if bits.take(item) else 0
    main_config = bits.take(config)
    bits.take(item)
    alpha_config = bits.take(config) if alpha and bits.take(item) else 0
    packed = bits.take(1) if exif or xmp else 0
    exif_size = bits.take(meta) + 1 if exif else 0
    xmp_size = bits.take(meta) + 1 if xmp else 0
    at = start + (bits.used + 7) // 8 + main_config + alpha_config + gain_config
    last = end - xmp_size
    if at + icc_size > last - exif_size:
        raise ValueError("its parts do not fit into it")
    if icc:
        result.add("icc", at, data[at : at + icc_size], "mini")
    if packed:
        result.miss("box", "mini (compressed metadata)", last - exif_size, exif_size + xmp_size)
        return
    if exif_size > 4:
        # Without the distance to the TIFF header, which an item has.
        body = data[last - exif_size : last]
        exif_item(result, bytes(4) + body, last - exif_size - 4, "mini")
    if xmp:
        result.add("xmp", last, data[last:end], "mini")


def _depth(bits: _Bits, is_float: int) -> int:
    """Bits of a sample."""
    if is_float:
        return int(1 << bits.take(2) + 4)
    return bits.take(3) + 9 if bits.take(1) else 8


def _hdr(bits: _Bits, wide: int) -> tuple[int, int]:
    """Pass over the properties of high dynamic range: whether there is a gain map, and whether it has a profile."""
    gain, gain_icc = bits.take(1), 0
    if gain:
        bits.take(2 * wide + 8 + 1)
        bits.take(_CENTRES[bits.take(2)])
        _depth(bits, bits.take(1))
        gain_icc = bits.take(1)
        bits.take(25 if bits.take(1) else 0)
    for _ in range(1 + gain):
        clli, mdcv, cclv, amve, reve, ndwt = (bits.take(1) for _ in range(6))
        if cclv:
            raise ValueError("its colour volume is not read")
        bits.take(clli * _CLLI + mdcv * _MDCV + amve * _AMVE + reve * _REVE + ndwt * _NDWT)
    return gain, gain_icc
