"""TIFF of any sample format: rows are read as bytes by Pillow's libtiff, and become numbers here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from functions.kit.images import pieces, tiff
from functions.kit.images.metering import MeteredFile
from functions.kit.images.samples.model import (
    FLOAT,
    FORMAT_NAMES,
    GRAY,
    MODES,
    NAMES,
    SIGNED,
    UNSIGNED,
    EarlyEndError,
    SampleFormatError,
    Samples,
    strip_rows,
)

if TYPE_CHECKING:
    from functions.kit.images.samples.model import Array

# What libtiff undoes independently of the samples; the others are codecs of pixels and know their own depth.
_BYTE_COMPRESSIONS = {1, 5, 8, 32773, 32946, 34925, 50000}
_PREDICTED = {5, 8, 32946, 34925, 50000}
# What Pillow's libtiff decodes; its wheels have no WebP, LERC, JPEG 2000 or JPEG XL.
_COMPRESSIONS = _BYTE_COMPRESSIONS | {2, 3, 4, 6, 7, 32771, 32809, 34676, 34677}


def find(found: tiff.Directory) -> Samples | None:
    """The picture of a page; None where Pillow reads it.

    Raises:
        SampleFormatError: samples in a form that is not read.
    """
    bits, formats = found.bits, found.formats
    if _ambiguous(found) or found.value(tiff.COMPRESSION, 1) not in _COMPRESSIONS:
        raise SampleFormatError(_described(found))
    whole = max(bits) == min(bits) == 8 or (found.samples == 1 and bits[0] in {1, 2, 4})
    if whole and set(formats) <= {UNSIGNED, 4} and not _misread(found):
        return None  # Pillow's, palettes and bilevel among them
    width, height = found.value(tiff.WIDTH, 0), found.value(tiff.HEIGHT, 0)
    if not width or not height:
        return None
    names = NAMES.get(found.value(tiff.PHOTOMETRIC, 1) or 1)
    kind = {UNSIGNED: "uint", 4: "uint", SIGNED: "int", FLOAT: "float"}.get(formats[0])
    if names is None or kind is None or not _readable(found, kind) or found.samples < len(names):
        raise SampleFormatError(_described(found))
    extra = found.values(tiff.EXTRA)
    alpha = bool(extra) and extra[0] in {1, 2} and found.samples > len(names)
    channels = (*names, "alpha") if alpha else names
    present = pieces.rows_counted(found)

    def read(rows: int) -> Iterator[Array]:
        for strip in _tiff_strips(found, kind, len(channels), rows):
            yield _widened(_meaning(strip, found, kind, alpha and extra[0] == 1), bits[0])

    depth = max(bits[0], 8)
    return Samples("TIFF", _mode(channels, depth, kind), width, height, present, channels, depth, kind, read)


def _readable(found: tiff.Directory, kind: str) -> bool:
    """Whether samples of this form are read."""
    bits = found.bits[0]
    if len(set(found.bits)) > 1 or len(set(found.formats)) > 1:
        return False
    if found.value(tiff.COMPRESSION, 1) not in _BYTE_COMPRESSIONS:
        return False
    predictor = _predictor(found)
    whole = {"uint": bits <= 32 or bits == 64, "int": bits in {8, 16, 32, 64}, "float": bits in {16, 24, 32, 64}}[kind]
    if predictor not in {1, 2, 3} or (predictor == 2 and bits not in {8, 16, 32, 64}):
        return False
    if predictor == 3 and kind != "float":
        return False
    across = found.value(tiff.TILE_WIDTH, 0) * (1 if _planes(found) > 1 else found.samples)
    return whole and (tiff.TILE_OFFSETS not in found.entries or across * bits % 8 == 0)


def _misread(found: tiff.Directory) -> bool:
    """Whether Pillow does not read 8-bit samples of this form: reversed bits, planes of CIELAB, more samples."""
    if set(found.bits) != {8}:
        return False
    compression = found.value(tiff.COMPRESSION, 1)
    if found.value(tiff.PHOTOMETRIC, 1) == 8 and _planes(found) > 1:
        return True
    if compression in _BYTE_COMPRESSIONS and _more_misread(found):
        return True
    return found.value(tiff.FILL_ORDER, 1) == 2 and compression == 1


def _more_misread(found: tiff.Directory) -> bool:
    """Whether there are samples beyond those of the colour that Pillow does not read, or takes for others."""
    photometric, planar = found.value(tiff.PHOTOMETRIC, 1), _planes(found) > 1
    names = {0: GRAY, **NAMES}.get(photometric, ())
    if not names or photometric == 8 or found.samples <= len(names):
        return False
    if found.samples > len(names) + 1 or photometric not in {1, 2}:
        return True
    return planar and (photometric == 1 or found.values(tiff.EXTRA)[:1] not in {(1,), (2,)})


def _ambiguous(found: tiff.Directory) -> bool:
    """Whether programs disagree: libtiff ignores a predictor with PackBits, others apply it."""
    return found.value(tiff.COMPRESSION, 1) == 32773 and found.value(tiff.PREDICTOR, 1) != 1


def _predictor(found: tiff.Directory) -> int:
    return found.value(tiff.PREDICTOR, 1) if found.value(tiff.COMPRESSION, 1) in _PREDICTED else 1


def _planes(found: tiff.Directory) -> int:
    return found.samples if found.value(tiff.PLANAR, 1) == 2 else 1


def _mode(channels: tuple[str, ...], bits: int, kind: str) -> str:
    """A name in Pillow's manner: I;16, I, F and their like with channels."""
    base = channels[:-1] if channels[-1] == "alpha" else channels
    suffix = f"{bits}" + {"float": "F", "int": "S"}.get(kind, "")
    if kind == "uint" and bits == 8:
        return (MODES[base] if base != GRAY else "L") + ("A" if base != channels else "")
    if channels == GRAY:
        return {"uint16": "I;16", "uint32": "I", "int32": "I", "float32": "F"}.get(f"{kind}{bits}", f"I;{suffix}")
    return f"{MODES[base] if base != GRAY else 'L'}{'A' if base != channels else ''};{suffix}"


def _described(found: tiff.Directory) -> str:
    bits = "+".join(map(str, sorted(set(found.bits))))
    kinds = "+".join(FORMAT_NAMES.get(each, f"format {each}") for each in sorted(set(found.formats)))
    return (
        f"TIFF with samples of the format {kinds}, {bits} bits (samples a pixel {found.samples}, photometric "
        f"interpretation {found.value(tiff.PHOTOMETRIC, 1)}, compression {found.value(tiff.COMPRESSION, 1)}, "
        f"predictor {found.value(tiff.PREDICTOR, 1)})"
    )


def _meaning(strip: Array, found: tiff.Directory, kind: str, premultiplied: bool) -> Array:
    """Values as they are meant: white is high, a and b of CIELAB have their zero in the middle, alpha is straight."""
    import numpy as np

    photometric = found.value(tiff.PHOTOMETRIC, 1)
    if kind == "uint" and photometric == 0:
        strip = strip.dtype.type(2 ** found.bits[0] - 1) - strip
    elif kind == "uint" and photometric == 8:
        strip = strip.copy()
        strip[..., 1:3] ^= strip.dtype.type(2 ** (found.bits[0] - 1))  # they are signed
    if premultiplied:
        top = 1.0 if kind == "float" else float(2 ** found.bits[0] - 1)
        alpha = strip[..., -1:].astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            colour = np.where(alpha > 0, strip[..., :-1] * (top / alpha), 0)
        if kind != "float":
            colour = np.clip(np.rint(colour), 0, top)
        strip = np.concatenate([colour.astype(strip.dtype), strip[..., -1:]], axis=2)
    return strip


def _widened(strip: Array, bits: int) -> Array:
    """Samples of less than 8 bits as 8 bits, white at 255."""
    if bits >= 8:
        return strip
    top = 2**bits - 1
    widened: Array = ((strip.astype("u2") * 510 + top) // (2 * top)).astype("u1")
    return widened


def _tiff_strips(found: tiff.Directory, kind: str, bands: int, present: int) -> Iterator[Array]:
    """The rows as numbers. Pillow's libtiff reads them as bytes, a picture in gray for each plane."""
    import numpy as np

    planes, width = _planes(found), found.value(tiff.WIDTH, 0)
    each = 1 if planes > 1 else found.samples
    images = _planes_of(found, min(planes, bands), each, present)
    rows = strip_rows(width * each)
    for top in range(0, present, rows):
        bottom = min(top + rows, present)
        strips = [
            _numbers(np.asarray(image.crop((0, top, image.width, bottom))), found, kind, width, each)
            for image in images
        ]
        yield strips[0][..., :bands] if planes == 1 else np.concatenate(strips, axis=2)


def _planes_of(found: tiff.Directory, planes: int, each: int, present: int) -> list[Any]:
    """The rows of each plane as gray images.

    Raises:
        EarlyEndError: a strip or tile is broken.
        OSError: one of the first row is.
    """
    try:
        return [_bytes_of(found, plane, each, present) for plane in range(planes)]
    except OSError:
        rows = pieces.rows_of_one(found)
        sound, broken = 0, -(-present // rows)
        while broken - sound > 1:
            middle = (sound + broken) // 2
            try:
                for plane in range(planes):
                    _bytes_of(found, plane, each, middle * rows)
            except OSError:
                broken = middle
            else:
                sound = middle
        if not sound:
            raise
    raise EarlyEndError(sound * rows)


def _bytes_of(found: tiff.Directory, plane: int, each: int, present: int) -> Any:
    """The rows of one plane as a gray image whose width is their bytes."""
    from PIL import TiffImagePlugin

    bits, tiled = found.bits[0], tiff.TILE_OFFSETS in found.entries
    changes: dict[int, int | tuple[int, int, int] | None] = {
        tiff.WIDTH: (found.value(tiff.WIDTH, 0) * each * bits + 7) // 8,
        tiff.HEIGHT: present,
        tiff.BITS: 8,
        tiff.FORMAT: 1,
        tiff.PHOTOMETRIC: 1,
        tiff.EXTRA: None,
        tiff.SAMPLES: 1,
        tiff.PREDICTOR: None,
        tiff.PLANAR: None,
        tiff.SUB_DIRECTORIES: None,
        tiff.ORIENTATION: None,  # Pillow would turn the rows of bytes
        tiff.XMP: None,
    }
    if tiled:
        tile = found.value(tiff.TILE_WIDTH, 0) * each * bits // 8
        changes[tiff.TILE_WIDTH] = tile
        # Whole tiles: the bytes beyond the picture take part in the floating point predictor.
        changes[tiff.WIDTH] = -(-found.value(tiff.WIDTH, 0) // found.value(tiff.TILE_WIDTH, 1)) * tile
    planes = _planes(found)
    for tag in (tiff.TILE_OFFSETS, tiff.TILE_BYTES) if tiled else (tiff.STRIP_OFFSETS, tiff.STRIP_BYTES):
        changes[tag] = pieces.share(found, tag, plane, planes, pieces.pieces(found, present))
    image = TiffImagePlugin.TiffImageFile(MeteredFile(tiff.rewritten(found, changes)), "")
    image.load()
    return image


def _numbers(rows: Array, found: tiff.Directory, kind: str, width: int, each: int) -> Array:
    """Samples (rows, width, samples) from rows of bytes."""
    bits, predictor = found.bits[0], _predictor(found)
    tile = found.value(tiff.TILE_WIDTH, 0) if tiff.TILE_OFFSETS in found.entries else width
    if predictor == 3:
        return _undo_floating(rows, bits, tile, each)[:, :width]
    values = _from_bytes(rows, found.order, bits, kind)[:, : width * each].reshape(rows.shape[0], width, each)
    if predictor == 2:
        values = values.copy()
        for left in range(0, width, max(1, tile)):
            part = values[:, left : left + tile]
            part[...] = part.cumsum(axis=1, dtype=values.dtype)
    return values


def _undo_floating(rows: Array, bits: int, tile: int, each: int) -> Array:
    """The floating point predictor: differences of bytes, the most significant bytes of a row first."""
    import numpy as np

    size, count = bits // 8, rows.shape[0]
    parts = []
    for left in range(0, rows.shape[1], tile * each * size):
        wide = tile * each * size
        part = rows[:, left : left + wide]
        summed = part.reshape(count, -1, each).cumsum(axis=1, dtype=np.uint8).reshape(count, size, tile * each)
        parts.append(_from_bytes(summed.transpose(0, 2, 1).reshape(count, wide), ">", bits, "float"))
    return np.concatenate(parts, axis=1).reshape(count, -1, each)


def _from_bytes(rows: Array, order: str, bits: int, kind: str) -> Array:
    """Samples of any width from the bytes of rows, along the last axis."""
    import numpy as np

    letter = {"uint": "u", "int": "i", "float": "f"}[kind]
    if bits in {8, 16, 32, 64}:
        size = bits // 8
        whole = np.ascontiguousarray(rows[:, : rows.shape[1] // size * size])
        return whole.view(f"{order}{letter}{size}").astype(f"={letter}{size}")
    if bits == 24:
        parts = rows[:, : rows.shape[1] // 3 * 3].reshape(rows.shape[0], -1, 3).astype(np.uint32)
        low, high = (0, 2) if order == "<" else (2, 0)
        value = parts[..., low] | parts[..., 1] << np.uint32(8) | parts[..., high] << np.uint32(16)
        return _float24(value) if kind == "float" else value
    # Packed without gaps, the most significant bit first, in either byte order.
    stream = np.unpackbits(rows, axis=1)
    count = stream.shape[1] // bits
    stream = stream[:, : count * bits].reshape(rows.shape[0], count, bits)
    result = np.zeros(stream.shape[:2], np.uint16 if bits <= 16 else np.uint32)
    for index in range(bits):
        result = (result << result.dtype.type(1)) | stream[..., index]
    return result


def _float24(value: Array) -> Array:
    """24-bit floating point: a sign, 7 bits of exponent with a bias of 63, 16 of mantissa."""
    import numpy as np

    exponent = (value >> np.uint32(16) & np.uint32(0x7F)).astype(np.int32)
    mantissa = (value & np.uint32(0xFFFF)).astype(np.float64) / 65536
    finite = np.where(exponent == 0, np.ldexp(mantissa, -62), np.ldexp(1 + mantissa, exponent - 63))
    special = np.where(mantissa == 0, np.inf, np.nan)
    return np.where(value >> np.uint32(23) == 1, -1.0, 1.0) * np.where(exponent == 0x7F, special, finite)
