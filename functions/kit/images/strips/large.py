"""Pictures of more pixels than fit beside other requests: in strips through libvips, or whole within a limit of memory.

Used in a process that decodes one picture and ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from functions.kit.http import problems
from functions.kit.http.problems import Problem
from functions.kit.http.settings import Settings
from functions.kit.images import jpeg, pieces, png, tiff
from functions.kit.images.formats import Format
from functions.kit.images.samples.model import EarlyEndError, Samples
from functions.kit.images.strips import raw, turbo
from functions.kit.images.strips.model import Strips, image_of
from functions.kit.images.strips.vips import DTYPES, EARLY, Source, fetched

if TYPE_CHECKING:
    from PIL import Image

    from functions.kit.images.samples.model import Array

STRIP_BYTES = 32 * 2**20  # of a strip or tile of a TIFF, which libtiff holds decoded
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_COMPRESSIONS = {1, 5, 8, 32773, 32946}  # that the libtiff of the libvips wheel has
# Estimated bytes a pixel of a whole decode: the image, what the decoder holds beside it, and its luminance.
_WHOLE = {"JPEG": 9, "PNG": 9, "WEBP": 13, "HEIF": 15, "AVIF": 15, "GIF": 6, "TIFF": 9, "JPEG2000": 21, "JXL": 25}
_WHOLE_OTHER = 9
_ANY = ("",)  # libtiff reports a broken strip as it does one that is cut, at times without a text


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
            return raw.strips(data, name, settings)
        if name == "JPEG":
            return self._jpeg(data, settings, frame)
        found = _in_strips(data, name, frame)
        if found is None:
            return None
        options, rows = found
        if not rows:
            raise OSError("its data end before the first row")

        def load() -> Any:
            cut = name == "PNG" and not png.whole(data)
            return Source(list(png.mended(data))).image("pngload") if cut else self._open(name, **options)

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
            for count, pixels in fetched(load, rows, _ANY if name == "TIFF" else EARLY):
                strip = image_of(strip, mode, (image.width, count), pixels, mode, 0, 1)
                yield strip

        return Strips(name, mode, image.width, image.height, read)

    def _jpeg(self, data: bytes, settings: Settings, frame: int) -> Strips | None:
        """A baseline JPEG in strips; None for others."""
        width, height = jpeg.size(data)
        if width * height > settings.max_pixels:
            raise problems.too_many_pixels(settings.max_pixels, width, height, settings.variable("max_pixels"))
        if frame or not width or not height or jpeg.components(data) not in {1, 3} or jpeg.buffered(data):
            return None
        return turbo.strips(data, width, height)

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

                image, done = self._open("TIFF", **_tiff_options(frame)), 0
                for count, pixels in fetched(lambda: self._open("TIFF", **_tiff_options(frame)), rows, _ANY):
                    values = np.frombuffer(pixels, DTYPES[image.format])
                    yield values.reshape(count, image.width, image.bands)[..., : len(found.names)]
                    done += count
                if done < rows:
                    raise EarlyEndError(done)

            rows = pieces.whole_rows(directory)
            if rows and directory.value(tiff.PHOTOMETRIC, 1) in {1, 2, 5}:
                return replace(found, read=read, rows=rows)
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
        from functions.kit.images.strips.vips import library

        loader = {"PNG": "pngload", "TIFF": "tiffload"}[name]
        options = {"access": "sequential", "fail_on": "truncated", **options}
        return getattr(library().Image, loader)(self.path, **options)


def _in_strips(data: bytes, name: str, frame: int) -> tuple[dict[str, int | str], int] | None:
    """Options of libvips' loader and how many rows may be there, where a picture is read in strips; else None."""
    if name == "TIFF":
        directory = tiff.page(data, frame)
        if directory is None or set(directory.bits) != {8} or directory.value(tiff.PHOTOMETRIC, 1) not in {0, 1, 2, 5}:
            return None
        present = pieces.whole_rows(directory)
        return (_tiff_options(frame), present) if present and _tiff_strips(directory) else None
    if frame:
        return None
    if name == "PNG":
        head = png.header(data)
        if head is None or head.interlaced:
            return None
        return {"fail_on": "none"}, png.rows_held(data)  # libvips would stop some rows before the data end
    return None


def _tiff_options(frame: int) -> dict[str, int | str]:
    return {"page": frame, "fail_on": "warning"}  # it calls a strip that is broken or too short a warning


def _tiff_strips(directory: tiff.Directory) -> bool:
    """Whether strips or tiles are small, and in a form that libvips reads."""
    if (
        not pieces.listed(directory)
        or directory.value(tiff.COMPRESSION, 1) not in _COMPRESSIONS
        or directory.value(tiff.FILL_ORDER, 1) != 1
    ):
        return False
    if directory.value(tiff.COMPRESSION, 1) != 1 and pieces.rows_of_one(directory) >= directory.value(tiff.HEIGHT, 0):
        return False  # of a single piece that is broken, libvips gives no row, and Pillow those before the fault
    if directory.value(tiff.PLANAR, 1) != 1 and directory.samples > 1:
        return False
    if tiff.TILE_OFFSETS in directory.entries:
        pixels = directory.value(tiff.TILE_WIDTH, 0) * directory.value(tiff.TILE_HEIGHT, 0)
    else:
        pixels = directory.value(tiff.WIDTH, 0) * directory.value(tiff.ROWS_PER_STRIP, 2**32 - 1)
    return pixels * sum(directory.bits) // 8 <= STRIP_BYTES
