"""Pictures of more pixels than fit beside other requests: in strips through libvips, or whole within a limit of memory.

Used in a process that decodes one picture and ends.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from functions.kit.http import problems
from functions.kit.http.problems import Problem
from functions.kit.http.settings import Settings
from functions.kit.images import jpeg, png, tiff
from functions.kit.images.formats import Format
from functions.kit.images.samples.model import Samples, strip_rows
from functions.kit.images.samples.plain import PNM
from functions.kit.images.vips import DTYPES, DTYPES_SIZE

if TYPE_CHECKING:
    from PIL import Image

    from functions.kit.images.samples.model import Array

STRIP_BYTES = 32 * 2**20  # of a strip or tile of a TIFF, which libtiff holds decoded
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_AS_IT_IS = {"L", "RGBA", "CMYK"}  # modes whose pixels Pillow has in memory as libvips
_COMPRESSIONS = {1, 5, 8, 32773, 32946}  # that the libtiff of the libvips wheel has
# Estimated bytes a pixel of a whole decode: the image, what the decoder holds beside it, and its luminance.
_WHOLE = {"JPEG": 9, "PNG": 9, "WEBP": 13, "HEIF": 15, "AVIF": 15, "GIF": 6, "TIFF": 9, "JPEG2000": 21, "JXL": 25}
_WHOLE_OTHER = 9
_EVERY = 2**31
_EARLY = ("premature end", "read error", "truncated", "unexpected end")  # what libvips says of data that end


@dataclass(frozen=True)
class Strips:
    """A picture of 8 bits a sample in strips.

    Args:
        format: Pillow's name of the format.
        mode: Pillow's mode of the strips.
        width: in pixels.
        height: in pixels.
        read: the strips in order, from the top, each valid until the next; they end early where the data of the
            picture do.
        top: rows that are missing before the first strip.
    """

    format: str
    mode: str
    width: int
    height: int
    read: Callable[[], Iterator[Image.Image]]
    top: int = 0


@dataclass(frozen=True)
class Large:
    """What a process that decodes one picture of any size may use.

    Args:
        path: of the file.
        decode_bytes: estimated memory of a decode that is not done in strips.
        variable: name of that limit.
    """

    path: str
    decode_bytes: int
    variable: str

    def strips(self, data: bytes, name: str, settings: Settings, frame: int) -> Strips | None:
        """The picture in strips; None where its format or form has to be decoded whole.

        Raises:
            Problem: 413 too many pixels.
        """
        if name in {"BMP", "PPM"}:
            return _raw(data, _bmp(data) if name == "BMP" else _pnm(data), name, settings)
        found = _in_strips(data, name, frame)
        if found is None:
            return None
        options, rows = found
        if not rows:
            raise OSError("its data end before the first row")

        def load() -> Any:
            from functions.kit.images.vips import joined_png

            cut = name == "PNG" and not png.whole(data)
            return joined_png(png.mended(data)) if cut else self._open(name, **options)

        image = load()
        if image.width * image.height > settings.max_pixels:
            raise problems.too_many_pixels(
                settings.max_pixels, image.width, image.height, settings.variable("max_pixels")
            )
        if image.format != "uchar" or image.bands not in _MODES:
            return None
        mode = "CMYK" if image.interpretation == "cmyk" else _MODES[image.bands]

        def read() -> Iterator[Image.Image]:
            strip = None
            for count, pixels in _fetched(load, rows):
                strip = _strip(strip, mode, (image.width, count), pixels, mode, 0, 1)
                yield strip

        return Strips(name, mode, image.width, image.height, read)

    def samples(self, data: bytes, found: Samples, frame: int) -> Samples:
        """Samples that are read in strips, or whole within the limit.

        Raises:
            Problem: 413 where a whole decode takes too much memory.
        """
        if found.format in {"PNG", "PPM", "EXR", "PSD", "BMP", "FITS"}:
            return found
        directory = tiff.page(data, frame)
        if directory is not None and found.bits in {16, 32} and found.names[-1] != "alpha" and _tiff_strips(directory):

            def read(rows: int) -> Iterator[Array]:
                import numpy as np

                image = self._open("TIFF", page=frame)
                for count, pixels in _fetched(lambda: self._open("TIFF", page=frame), rows):
                    values = np.frombuffer(pixels, DTYPES[image.format])
                    yield values.reshape(count, image.width, image.bands)[..., : len(found.names)]

            if directory.value(tiff.PHOTOMETRIC, 1) in {1, 2, 5}:
                return replace(found, read=read)
        size = found.width * found.height * (found.bits + 7) // 8 * len(found.names)
        kind = "HEIC" if found.format == "HEIF" else found.format
        self._refuse(found.width, found.height, 2 * size + len(data), f"{kind}, decoded whole")
        return found

    def check(self, data: bytes, entry: Format, shape: tuple[int, int]) -> None:
        """Refuse a decode of the whole picture that takes too much memory.

        Raises:
            Problem: 413 with the estimate and the limit.
        """
        size = shape[0] * shape[1] * _WHOLE.get(entry.name, _WHOLE_OTHER)
        kind = entry.label
        if entry.name == "JPEG" and jpeg.buffered(data):
            kind = "progressive JPEG"
        elif entry.name == "PNG":
            kind = "interlaced or cut PNG"
        self._refuse(*shape, size, f"{kind}, decoded whole")

    def _refuse(self, width: int, height: int, size: int, kind: str) -> None:
        if size > self.decode_bytes:
            raise Problem(
                413,
                "decode-too-large",
                "Decode too large",
                f"decoding {width} × {height} pixels ({kind}) takes an estimated "
                f"{problems.quantity(size, 'bytes')}; the limit is {problems.quantity(self.decode_bytes, 'bytes')} "
                f"({self.variable})",
                limit=self.decode_bytes,
                actual=size,
            )

    def _open(self, name: str, **options: Any) -> Any:
        from functions.kit.images.vips import library

        loader = {"JPEG": "jpegload", "PNG": "pngload", "TIFF": "tiffload"}[name]
        options = {"access": "sequential", "fail_on": "truncated", **options}
        return getattr(library().Image, loader)(self.path, **options)


def _fetched(load: Callable[[], Any], rows: int) -> Iterator[tuple[int, bytes]]:
    """Strips of rows: how many, and their bytes. Where the data end early, so do the strips, after the last whole row.

    Raises:
        Exception: of libvips, where not even one row is decoded.
    """
    from functions.kit.images.vips import library, strips

    image = load()
    height, step = min(image.height, rows), strip_rows(image.width)
    line = image.width * image.bands * DTYPES_SIZE[image.format]
    top = 0
    try:
        for pixels in strips(image if height == image.height else image.crop(0, 0, image.width, height), step):
            count = len(pixels) // line
            top += count
            yield count, pixels
    except library().Error as error:
        if not any(text in str(error).lower() for text in _EARLY):
            raise
        found = top
        for count, pixels in _before_the_end(load, top, height):
            found += count
            yield count, pixels
        if not found:
            raise


def _before_the_end(load: Callable[[], Any], top: int, height: int) -> Iterator[tuple[int, bytes]]:
    """The rows from `top` that a second decode yields one by one before the data end, in strips.

    libvips discards the rows that it decoded but had not written yet, which may be more than a strip of a wide picture.
    """
    from functions.kit.images.vips import fetcher, library

    image = load()
    step, fetch = strip_rows(image.width), fetcher(image)
    known: list[bytes] = []
    try:
        for first in range(0, top, step):
            fetch(first, min(step, top - first))
        for row in range(top, height):
            if len(known) == step:
                yield step, b"".join(known)
                known = []
            known.append(fetch(row, 1))
    except library().Error:
        pass
    if known:
        yield len(known), b"".join(known)


def _strip(held: Image.Image | None, mode: str, size: tuple[int, int], pixels: bytes, *raw: str | int) -> Image.Image:
    """An image of a strip. Where its pixels are copied, into the one before: a new one would be filled first."""
    from PIL import Image

    if mode in _AS_IT_IS and raw == (mode, 0, 1):
        return Image.frombuffer(mode, size, pixels, "raw", *raw)
    if held is None or held.size != size:
        held = Image.new(mode, size)
    held.frombytes(pixels, "raw", *raw)
    return held


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


def _raw(data: bytes, layout: _Layout | None, name: str, settings: Settings) -> Strips | None:
    """Strips of rows as they are in the file; None where none is."""
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
            strip = _strip(strip, layout.mode, (width, count), cast(bytes, part), layout.raw, layout.stride, direction)
            yield strip

    return Strips(name, layout.mode, width, height, read, height - rows if layout.bottom_up else 0)


def _in_strips(data: bytes, name: str, frame: int) -> tuple[dict[str, int | str], int] | None:
    """Options of libvips' loader and how many rows may be there, where a picture is read in strips; else None."""
    if name == "TIFF":
        directory = tiff.page(data, frame)
        if directory is None or set(directory.bits) != {8} or directory.value(tiff.PHOTOMETRIC, 1) not in {0, 1, 2, 5}:
            return None
        present = tiff.rows_present(directory)
        return ({"page": frame}, present) if present and _tiff_strips(directory) else None
    if frame:
        return None
    if name == "JPEG":
        return ({}, _EVERY) if not jpeg.buffered(data) and jpeg.components(data) in {1, 3} else None
    if name == "PNG":
        head = png.header(data)
        if head is None or head.interlaced:
            return None
        return {"fail_on": "none"}, png.rows_held(data)  # libvips would stop some rows before the data end
    return None


def _tiff_strips(directory: tiff.Directory) -> bool:
    """Whether strips or tiles are small, and in a form that libvips reads."""
    if directory.value(tiff.COMPRESSION, 1) not in _COMPRESSIONS or directory.value(tiff.FILL_ORDER, 1) != 1:
        return False
    if directory.value(tiff.PLANAR, 1) != 1 and directory.samples > 1:
        return False
    if tiff.TILE_OFFSETS in directory.entries:
        pixels = directory.value(tiff.TILE_WIDTH, 0) * directory.value(tiff.TILE_HEIGHT, 0)
    else:
        pixels = directory.value(tiff.WIDTH, 0) * directory.value(tiff.ROWS_PER_STRIP, 2**32 - 1)
    return pixels * sum(directory.bits) // 8 <= STRIP_BYTES
