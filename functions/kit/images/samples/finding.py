"""Pictures of more than 8 bits a sample: their own values in strips, as numpy arrays.

Pillow reduces most of them to 8 bits, or misreads them. libvips decodes PNG. numpy, pyvips and
the reader of a format are imported only where such a picture is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from functions.kit.images import png, tiff
from functions.kit.images.samples.model import GRAY, RGB, Samples, strip_rows

if TYPE_CHECKING:
    from PIL import Image

    from functions.kit.images.samples.model import Array

# Modules that read a format whole, and their functions.
_READERS = {
    "FITS": ("plain", "fits"),
    "PPM": ("plain", "pnm"),
    "PSD": ("psd", "find"),
    "BMP": ("bmp", "find"),
    "HEIF": ("heif", "find"),
    "AVIF": ("heif", "avif"),
    "EXR": ("exr", "find"),
}


def find(data: bytes, name: str, frame: int) -> Samples | None:
    """The picture where its samples have more than 8 bits; None where Pillow reads it.

    Raises:
        SampleFormatError: samples in a form that is not read.
        HeaderLimitError: the header exceeds a limit.
        ValueError: a broken header.
    """
    if name == "TIFF":
        found = tiff.page(data, frame)
        return _reader("tiff_rows").find(found) if found is not None else None
    if frame and name in {"PNG", "BMP", "HEIF", "AVIF"}:
        return None
    if name == "PNG":
        return _png(data)
    if name in _READERS:
        module, function = _READERS[name]
        reader: Callable[[bytes], Samples | None] = getattr(_reader(module), function)
        return reader(data)
    return None


def _reader(module: str) -> ModuleType:
    return import_module(f"functions.kit.images.samples.{module}")


def of_image(image: Image.Image) -> Samples | None:
    """A decoded image of Pillow whose mode has more than 8 bits a sample; None for others."""
    if image.mode not in {"I", "F"} and not image.mode.startswith("I;16"):
        return None
    wide = "I" if image.mode == "I" and image.format != "PPM" else "H"  # plain PNM is scaled to 16 bits
    kind, bits = ("float", 32) if image.mode == "F" else ("int", 32) if wide == "I" else ("uint", 16)

    def read(rows: int) -> Iterator[Array]:
        import numpy as np

        step = strip_rows(image.width)
        for top in range(0, rows, step):
            strip = image.crop((0, top, image.width, min(top + step, rows)))
            values = np.asarray(strip if image.mode == "F" else strip.convert("I"))
            yield values.astype({"float": "f4", "int": "i4", "uint": "u2"}[kind])[..., None]

    key = image.info.get("transparency")
    return Samples(
        image.format or "",
        image.mode,
        image.width,
        image.height,
        image.height,
        GRAY,
        bits,
        kind,
        read,
        key=key if isinstance(key, int) else None,
        info=image.info,
    )


# --- PNG


def _png(data: bytes) -> Samples | None:
    head = png.header(data)
    names = {0: GRAY, 2: RGB, 4: (*GRAY, "alpha"), 6: (*RGB, "alpha")}
    if head is None or head.depth != 16 or head.colour_type not in names or not head.width or not head.height:
        return None
    lean = png.lean(data)
    mode = {0: "I;16", 2: "RGB;16", 4: "LA;16", 6: "RGBA;16"}[head.colour_type]
    masked = head.colour_type in {0, 2} and b"tRNS" in lean[: max(lean.find(b"IDAT"), 0)]

    def read(rows: int) -> Iterator[Array]:
        from functions.kit.images.strips.vips import Source

        image = _vips("pngload_buffer", lean) if png.whole(lean) else Source(list(png.mended(lean))).image("pngload")
        return _vips_strips(image, rows)

    channels = names[head.colour_type]
    return Samples("PNG", mode, head.width, head.height, head.height, channels, 16, "uint", read, masked)


# --- libvips


def _vips(loader: str, data: bytes, **options: Any) -> Any:
    """An image of libvips that is read from top to bottom."""
    from functions.kit.images.strips.vips import library

    return getattr(library().Image, loader)(data, access="sequential", **options)


def _vips_strips(image: Any, height: int) -> Iterator[Array]:
    import numpy as np

    from functions.kit.images.strips.vips import DTYPES, strips

    shown = image if height == image.height else image.crop(0, 0, image.width, height)
    for pixels in strips(shown, strip_rows(image.width)):
        yield np.frombuffer(pixels, DTYPES[image.format]).reshape(-1, image.width, image.bands)
