"""Pictures whose data end early: which rows were decoded.

Pillow leaves the rows that it did not decode as they were. A second decode over another background tells them: rows
that are equal in both were written by the decoder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from functions.kit.containers import read
from functions.kit.images import jpeg, pieces, png, tiff
from functions.kit.images.metering import HeaderLimitError

if TYPE_CHECKING:
    from PIL import Image, ImageFile

# Their decoders write whole rows into the image. Those of WebP, AVIF, HEIC, JPEG 2000 and JPEG XL do not.
FORMATS = {"PNG", "BMP", "TIFF", "PPM", "GIF", "TGA", "PCX", "DDS", "FITS", "QOI", "PSD"}
_EARLY = ("truncated", "not enough image data", "buffer is not large enough")
_STRIP = 2**20
MOST_BOXES = 1024  # of an HEIC or AVIF, at its top


class Extent(NamedTuple):
    """The rows that were decoded, from `top` up to `bottom`; `known` is False where all were, in unknown detail."""

    top: int
    bottom: int
    known: bool = True


def load(image: ImageFile.ImageFile, again: Callable[[], ImageFile.ImageFile], data: bytes, key: str) -> Extent | None:
    """Decode an image. Where its data end early, its `info` gets the extent under `key`, which is returned too.

    Args:
        image: the image, its header read.
        again: makes the same image anew.
        data: the file.
        key: name in `info`.

    Raises:
        OSError: the image is broken, or ends before any row that is known is whole.
    """
    try:
        image.load()
    except (OSError, ValueError) as error:
        if image.format != "TIFF" and not any(text in str(error) for text in _EARLY):
            raise
        extent = _extent(image, again, error)
        if image.format == "TIFF":
            extent = Extent(0, min(extent.bottom, _rows_present(image, data)))
        image.info[key] = extent
        return extent
    if image.format == "TIFF" and (rows := _rows_present(image, data)) < image.height:
        extent = image.info[key] = Extent(0, rows)
        return extent
    if image.format != "PNG" or image.tell() or not _blank_end(image):
        return None
    rows = png.rows_held(data)
    if rows >= image.height:
        return None
    if not rows:
        raise OSError("its data end before the first row")
    extent = image.info[key] = Extent(0, rows)
    return extent


def _blank_end(image: ImageFile.ImageFile) -> bool:
    """Whether the last row has nothing but zeros, as rows have that no decoder wrote."""
    return not any(image.crop((0, image.height - 1, *image.size)).tobytes())


def _rows_present(image: ImageFile.ImageFile, data: bytes) -> int:
    """How many rows of a TIFF lie in whole strips or tiles.

    Raises:
        OSError: not even the first.
    """
    found = tiff.page(data, image.tell())
    rows = pieces.rows_counted(found) if found is not None else image.height
    if not rows:
        raise OSError("its first strip or tile is missing, cut or too small")
    return rows


def _extent(image: ImageFile.ImageFile, again: Callable[[], ImageFile.ImageFile], error: Exception) -> Extent:
    if image._im is None:  # noqa: SLF001 - `im` would raise
        raise error
    second = again()
    from PIL import Image

    white = Image.new(second.mode, second.size, _white(second))
    second.im = white.im
    if image.format == "GIF":
        second._frame_transparency = None  # type: ignore[attr-defined]  # noqa: SLF001 - it would fill both images
    try:
        second.load()
    except (OSError, ValueError):
        pass
    if second.size != image.size or second.mode != image.mode:
        raise error
    image.tile = second.tile = []
    equal = _equal_rows(image, second)
    height = image.height
    count = (*equal, False).index(False) if image.format == "TIFF" else sum(equal)  # strips may lie in any order
    top = 0 if equal[0] else height - count
    if not count or not all(equal[top : top + count]):
        raise error
    return Extent(top, top + count)


def _white(image: Image.Image) -> float | tuple[int, ...]:
    if image.mode.startswith("I;16"):
        return 65535
    bands = len(image.getbands())
    return 255 if bands == 1 else (255,) * bands


def _equal_rows(first: Image.Image, second: Image.Image) -> list[bool]:
    rows = max(1, _STRIP // first.width)
    equal: list[bool] = []
    for top in range(0, first.height, rows):
        box = (0, top, first.width, min(top + rows, first.height))
        one, other = first.crop(box).tobytes(), second.crop(box).tobytes()
        size = len(one) // (box[3] - top)
        equal += [one[at : at + size] == other[at : at + size] for at in range(0, len(one), size)]
    return equal


def ended(data: bytes, name: str) -> bool:
    """Whether a JPEG, PNG or GIF has its end marker; other formats have none."""
    if name == "JPEG":
        return jpeg.ended(data)
    if name == "PNG":
        return png.whole(data)
    if name == "GIF":
        document = read(data)
        return document is None or "the file ends early" not in document.warnings
    return True


def missing_bytes(data: bytes) -> int:
    """How many bytes of the picture data of an HEIC, AVIF or WebP lie beyond the end of the file.

    Decoders fill the tiles of a cut HEIC or AVIF with black, and give no reason for a cut WebP.

    Raises:
        HeaderLimitError: too many boxes.
        OSError: items of the picture lie beyond the end of the file, whatever its boxes state.
    """
    if data[:4] == b"RIFF":
        return max(0, int.from_bytes(data[4:8], "little") + 8 - len(data))
    at = 0
    for _ in range(MOST_BOXES):
        if at + 8 > len(data):
            _check_items(data)
            return 0
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size == 0:  # to the end of the file
            _check_items(data)
            return 0
        if size < 8:
            return 0  # broken: the decoder's to refuse
        if at + size > len(data):
            return at + size - len(data) if kind in {b"mdat", b"meta", b"idat"} else 0
        at += size
    raise HeaderLimitError(f"it has more than {MOST_BOXES:,} boxes")


def _check_items(data: bytes) -> None:
    document = read(data)
    missing = [text for text in (document.warnings if document else ()) if "items of the picture" in text]
    if missing:
        raise OSError(missing[0])
