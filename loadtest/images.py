"""Pictures to upload: made once, the same in every run, with the detail of a photograph and the data of a camera."""

from __future__ import annotations

import functools
import io
import random

SIDE = 512
_SEED = 512
_OCTAVES = (4, 8, 16, 32, 64, 128, 256)


@functools.cache
def png() -> bytes:
    """A PNG of 512 × 512 pixels in true colour."""
    buffer = io.BytesIO()
    _landscape().save(buffer, "PNG")
    return buffer.getvalue()


@functools.cache
def jpeg() -> bytes:
    """A JPEG of the same picture that carries Exif: camera, time, exposure and place."""
    from PIL import Image

    data = Image.Exif()
    data[0x010F], data[0x0110] = "Pixelamp", "Load test"
    data[0x0132] = "2026:11:22 12:00:00"
    data.get_ifd(0x8769).update({0x829A: 0.008, 0x829D: 2.8, 0x8827: 100, 0x9003: "2026:11:22 12:00:00"})
    data.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)})
    buffer = io.BytesIO()
    _landscape().save(buffer, "JPEG", quality=90, exif=data)
    return buffer.getvalue()


@functools.cache
def _landscape() -> Image:  # type: ignore[name-defined]  # noqa: F821 - Pillow is imported where it is used
    """Noise of seven octaves, each half as strong: as compressible as a photograph."""
    from PIL import Image, ImageChops

    noise = random.Random(_SEED)
    bands = []
    for _ in range(3):
        band = Image.new("L", (SIDE, SIDE), 0)
        for octave, cells in enumerate(_OCTAVES):
            share = 0.5 ** (octave + 1)
            cell = Image.frombytes("L", (cells, cells), noise.randbytes(cells * cells))
            wave = cell.resize((SIDE, SIDE), Image.Resampling.BICUBIC).point(lambda value, share=share: value * share)
            band = ImageChops.add(band, wave)
        bands.append(band)
    return Image.merge("RGB", bands)
