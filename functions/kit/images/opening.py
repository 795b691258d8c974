"""The one safe way to open an image: format, byte, pixel and frame limits before anything is decoded.

The bytes decide the format, never a name or a Content-Type. Only the decoder of that one format is imported and
tried, so that a crafted file cannot pick its own parser, and what it may read of the header is bounded. Pillow is
imported with the first image, not with the module: a cold start pays for what it uses.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from functions.kit.http import problems
from functions.kit.http.problems import Problem
from functions.kit.http.settings import Settings
from functions.kit.images import jpeg, partial, png, tiff
from functions.kit.images.formats import ACCEPTED, Format, labels, refusal, sniff
from functions.kit.images.metering import HeaderLimitError, MeteredFile
from functions.kit.images.samples import finding
from functions.kit.images.samples.model import EarlyEndError, SampleFormatError, Samples
from functions.kit.images.slots import slot
from functions.kit.images.strips.model import Strips

if TYPE_CHECKING:
    from PIL import Image, ImageFile

    from functions.kit.images.strips.large import Large

_Read = TypeVar("_Read", Samples, Strips)

FULL_SIZE = "full_size"  # key of `info`: (width, height) of an image that was decoded at a fraction of it
REDUCED = "reduced"  # key of `info`: of an image that was decoded with fewer bits a sample than it has, a note
EXTENT = "extent"  # key of `info`: the `partial.Extent` of an image whose data end early
# Above, a decode runs in a process of its own, in strips where the format allows: here it would take 256 MB.
LARGE_PIXELS = 50_000_000
# The same for decoders in Python, of a microsecond or two a pixel: BMP with run lengths, QOI, DDS without compression.
SLOW_PIXELS = 2**20
# Formats whose decoder prints to standard error, and is not to take a pod with it where it crashes.
_APART = {"EXR"}


@contextmanager
def open_image(data: bytes, settings: Settings, frame: int = 0, draft: int | None = None) -> Iterator[Image.Image]:
    """Open an image through Pillow, decoded; the image and its decode slot are released at the end of the block.

    Args:
        data: the whole file.
        settings: `max_bytes`, `max_pixels`, `decodes`, `timeout_seconds`.
        frame: index of the frame or page. The frames that have to be decoded before it count as pixels.
        draft: 2, 4 or 8 to decode a JPEG at that fraction of its size (DCT scaling); other formats ignore it.

    Yields:
        The image in its own mode, not turned by its orientation. `format` is Pillow's name of the format; with a
        draft, `info[FULL_SIZE]` is the size before it; where the data end early, `info[EXTENT]` tells the rows.

    Raises:
        Problem: 413 too many bytes or pixels, 415 a known format that is not accepted, 422 no image, no such
            frame, too large a header, truncated without known rows or corrupt, 503 no slot became free in time.
    """
    with _slot(data, settings) as entry:
        if entry.name in _APART:
            raise problems.unsupported_format(f"{entry.label} at 8 bits", labels())
        with _problems(entry, settings):
            image = _decode(data, entry, settings, frame, draft)
        with image:
            yield image


class LargeImageError(Exception):
    """The image has more pixels than are decoded beside other requests."""


@contextmanager
def open_pixels(
    data: bytes, settings: Settings, frame: int = 0, draft: int | None = None, large: Large | None = None
) -> Iterator[Image.Image | Samples | Strips]:
    """Open an image as `open_image` does, or as `Samples` where it has more than 8 bits a sample.

    Args:
        data: the whole file.
        settings: as for `open_image`.
        frame: as for `open_image`.
        draft: as for `open_image`.
        large: what a process may use that decodes this one image of any size, in strips where the format allows;
            None refuses more than `LARGE_PIXELS`.

    Raises:
        LargeImageError: the image is too large for this process.
        Problem: as `open_image`; 413 for a decode of too much memory, 415 for a sample format that is not read.
    """
    with _slot(data, settings) as entry:
        with _problems(entry, settings):
            pixels = _pixels(data, entry, settings, frame, draft, large)
        if isinstance(pixels, Samples | Strips):
            yield pixels
        else:
            with pixels:
                yield pixels


def _pixels(
    data: bytes, entry: Format, settings: Settings, frame: int, draft: int | None, large: Large | None
) -> Image.Image | Samples | Strips:
    if entry.name == "TIFF":
        _refuse_raw(data)
    if entry.name in _APART and large is None:
        raise LargeImageError
    found = finding.find(data, entry.name, frame)
    if found is not None:
        if found.width * found.height > settings.max_pixels:
            size = (found.width, found.height)
            raise problems.too_many_pixels(settings.max_pixels, *size, settings.variable("max_pixels"))
        if found.width * found.height <= LARGE_PIXELS:
            return _checked(data, found, entry, settings)
        if large is None:
            raise LargeImageError
        return _guarded(large.samples(data, _checked(data, found, entry, settings), frame), entry, settings)
    if entry.name == "JXL":
        from functions.kit.images.samples import jxl

        size = jxl.size(data, settings)
        if large is not None:
            large.check(data, entry, size)
        elif size[0] * size[1] > LARGE_PIXELS:
            raise LargeImageError
    if large is None:
        image = _decode(data, entry, settings, frame, draft, LARGE_PIXELS)
    else:
        strips = large.strips(data, entry.name, settings, frame) if draft is None else None
        if strips is not None:
            return _guarded(strips, entry, settings)
        large.check(data, entry, _opened(data, entry, settings, frame, draft).size)
        image = _decode(data, entry, settings, frame, draft)
    return finding.of_image(image) or image


def _guarded(pixels: _Read, entry: Format, settings: Settings) -> _Read:
    """The same strips, whose reading raises problems alone."""
    inner: Callable[..., Iterator[Any]] = pixels.read

    def read(*rows: int) -> Iterator[Any]:
        with _problems(entry, settings):
            yield from inner(*rows)

    return replace(pixels, read=read)


@contextmanager
def _slot(data: bytes, settings: Settings) -> Iterator[Format]:
    """Check the size and the format of a file, and hold a decode slot."""
    if len(data) > settings.max_bytes:
        raise problems.too_many_bytes(settings.max_bytes, len(data), settings.variable("max_bytes"))
    name = sniff(data)
    if name is None:
        raise refusal(data, labels())
    with slot(settings):
        yield ACCEPTED[name]


@contextmanager
def _problems(entry: Format, settings: Settings) -> Iterator[None]:
    """Turn what decoders raise into problems."""
    from PIL import Image

    if settings.max_pixels != Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = settings.max_pixels
    # Between one and two times its limit Pillow only warns; here the limit is exact. Its warnings about metadata would
    # be lines of the log that are not JSON.
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
    try:
        yield
    except (Problem, LargeImageError, EarlyEndError, ImportError):
        raise
    except HeaderLimitError as error:
        raise problems.unreadable_image(
            f"the {error.part} of this {entry.label} image is too large: {error}"
        ) from error
    except SampleFormatError as error:
        raise problems.unsupported_format(str(error), labels()) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Problem(
            413,
            "too-many-pixels",
            "Image too large",
            f"the limit is {problems.quantity(settings.max_pixels, 'pixels')} ({settings.variable('max_pixels')}); "
            "an image inside this file has more",
            limit=settings.max_pixels,
        ) from error
    # Decoders raise nearly everything on crafted input: OSError, SyntaxError, struct.error, KeyError, EOFError …
    except Exception as error:
        raise problems.unreadable_image(f"the {entry.label} image cannot be decoded: {_cause(error, entry)}") from error


def _cause(error: Exception, entry: Format) -> str:
    """What a decoder says of a picture; its text is Python's own where it met a value that it does not expect."""
    if entry.name == "JXL":
        return "its codestream is broken or ends early"  # the plugin ends its errors with advice on how to build it
    broken = any(text in str(error) for text in ("decoder error", "tiff2vips", "rawsave"))
    if entry.name == "TIFF" and broken and "field" not in str(error):
        return "its first strip or tile is broken or ends early, so that no row is known to be whole"
    origin = error.__cause__ or error  # Pillow wraps what its parsers of headers raise
    if isinstance(origin, LookupError | TypeError | AttributeError | ArithmeticError | AssertionError | struct.error):
        return "its structure is broken"
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else "its data are broken"


def _decode(
    data: bytes, entry: Format, settings: Settings, frame: int, draft: int | None, most: int | None = None
) -> Image.Image:
    if entry.name == "JPEG" and jpeg.too_many_scans(data):
        raise problems.unreadable_image(
            f"this JPEG has more than {jpeg.MOST_SCANS} scans, each of which is decoded in full"
        )
    source, frame = _source(data, entry, settings, frame)
    image = _opened(source, entry, settings, frame, draft) if frame or entry.name != "JPEG" or draft else None
    start = getattr(image, "offset", 0)  # of a frame in a file of several JPEG
    if entry.name == "JPEG" and draft is None and (found := _turbo(data, start, settings, most)) is not None:
        return found
    image = image or _opened(source, entry, settings, frame, draft)
    if most is not None:
        slow = _bytewise(image) and max(image.width * image.height, len(data)) > SLOW_PIXELS
        if slow or image.width * image.height > most:
            raise LargeImageError
    if entry.name == "JPEG":
        _load_jpeg(image, data[start:] if start else data)
    elif entry.name in partial.FORMATS:
        partial.load(image, lambda: _opened(source, entry, settings, frame, draft), source, EXTENT)
    else:
        image.load()
        if entry.name == "HEIF" and not frame:
            from functions.kit.images import grids

            rows = grids.rows_of(image, data)
            if rows < image.height:
                image.info[EXTENT] = partial.Extent(0, rows)
    if entry.name in {"AVIF", "JXL"}:
        _check_depth(image, data, entry)
    _check_pixels(image, settings)  # an icon's directory and the image inside it may differ
    if entry.name == "JPEG2000":
        from functions.kit.images import jpeg2000

        return jpeg2000.levelled(image, data, REDUCED)
    return image


def _check_depth(image: ImageFile.ImageFile, data: bytes, entry: Format) -> None:
    """Note a depth that the decoder reduced to 8 bits.

    Raises:
        SampleFormatError: a form that its decoder misreads.
    """
    from functions.kit.images.samples import heif, jxl

    deep = heif.deep if entry.name == "AVIF" else jxl.deep
    if image.mode[0] not in "IF" and deep(data):
        image.info[REDUCED] = f"this {entry.label} has more than 8 bits a sample; it is counted at 8"
    if entry.name == "JXL" and image.mode == "LA" and len(image._data) > 2 * image.width * image.height:  # type: ignore[attr-defined]  # noqa: SLF001
        # The plugin takes half of the bytes for the whole picture.
        raise SampleFormatError("JPEG XL in gray with alpha of more than 8 bits a sample (without alpha it is read)")


def _turbo(data: bytes, start: int, settings: Settings, most: int | None) -> Image.Image | None:
    """The JPEG at a position of a file, decoded with what its decoder reports; None where it is Pillow's to decode."""
    from functions.kit.images.strips import turbo

    source = data[start:] if start else data
    width, height = jpeg.size(source)
    if width * height > settings.max_pixels:
        raise problems.too_many_pixels(settings.max_pixels, width, height, settings.variable("max_pixels"))
    if most is not None and width * height > most:
        raise LargeImageError
    found = turbo.decode(source, width, height)
    if found is None:
        return None
    found.image.format = "JPEG"
    if found.rows != height or not jpeg.ended(source):
        found.image.info[EXTENT] = partial.Extent(0, found.rows or height, known=found.rows is not None)
    return found.image


def _load_jpeg(image: ImageFile.ImageFile, data: bytes) -> None:
    """Decode a JPEG by Pillow, at a fraction of its size or in a rare form, and find the rows that are sound."""
    from functions.kit.images.strips import turbo

    image.load()
    image.format = "JPEG"
    height = image.info.get(FULL_SIZE, image.size)[1]
    rows = turbo.checked(data, height)
    if rows != height or not jpeg.ended(data):
        known = rows if rows is None else rows * image.height // height
        image.info[EXTENT] = partial.Extent(0, known or image.height, known=rows is not None)


def _source(data: bytes, entry: Format, settings: Settings, frame: int) -> tuple[bytes, int]:
    """What the decoder gets of a file, and the index of the frame in that.

    Raises:
        Problem: a camera raw, or a file that ends early in a format without known rows.
        OSError: a part that the pixels depend on is missing.
    """
    if entry.name == "TIFF":
        _refuse_raw(data)
        found = tiff.page(data, frame)
        if found is not None and found.big and found.order == ">":
            return tiff.rewritten(found, {}), 0  # Pillow takes it for a classic TIFF
    elif entry.name == "PNG":
        if png.palette_missing(data):
            raise OSError("its palette is missing")
        return png.inflated(png.lean(data), settings.max_pixels), frame
    elif entry.name == "JPEG" and not frame:
        lean = jpeg.lean(data)
        return lean if jpeg.ended(lean) else b"".join((lean, jpeg.END)), frame
    elif entry.name in {"HEIF", "AVIF", "WEBP"} and (missing := partial.missing_bytes(data)):
        raise problems.unreadable_image(
            f"the {entry.label} file ends {problems.quantity(missing, 'bytes')} before the end of its picture data"
        )
    return data, frame


def _opened(source: bytes, entry: Format, settings: Settings, frame: int, draft: int | None) -> ImageFile.ImageFile:
    """An image whose header is read and that is about to be decoded."""
    if entry.name == "JXL":
        from functions.kit.images.samples import jxl

        jxl.size(source, settings)
    image, file = _parse(source, entry, frame)
    _check_pixels(image, settings)
    if frame:
        _seek(image, source, entry, settings, frame)
    if entry.name == "TIFF":
        # Pillow would turn it while it decodes; all other formats and decoders leave that to the reader.
        image.getexif()[tiff.ORIENTATION] = 1
        image._size = getattr(image, "_tile_size", image.size)  # noqa: SLF001 - it has no other switch
    if draft is not None:
        width, height = image.info[FULL_SIZE] = image.size
        image.draft(None, (max(1, width // draft), max(1, height // draft)))
    file.decode(_bytewise(image))
    return image


def _bytewise(image: ImageFile.ImageFile) -> bool:
    """Whether the decoder is one in Python, which reads byte by byte."""
    from PIL import Image

    return any(tile[0] in Image.DECODERS for tile in image.tile)


def _parse(data: bytes, entry: Format, frame: int) -> tuple[ImageFile.ImageFile, MeteredFile]:
    """Read the header; nothing is decoded."""
    from PIL import Image

    if entry.name not in Image.OPEN:
        module = import_module(entry.module)
        if entry.name == "HEIF":
            module.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
    # Image.open() would stop at the pixel guard without the dimensions, and would import six decoders.
    factory: Any = Image.OPEN[entry.name][0]
    if entry.name == "PCX":
        from functions.kit.images.pcx import reader

        factory = reader()
    file = MeteredFile(data, frame)
    return factory(file, ""), file


def _refuse_raw(data: bytes) -> None:
    """Refuse a camera raw that is a TIFF: its first page is a thumbnail."""
    name = tiff.raw_name(data)
    if name is not None:
        raise problems.unsupported_format(name, labels())


def _checked(data: bytes, found: Samples, entry: Format, settings: Settings) -> Samples:
    """Samples of the rows that are there, which raise problems alone."""
    if entry.name == "PNG":
        found = replace(found, rows=png.rows_held(data))
    if not found.rows:
        raise problems.unreadable_image(f"the {entry.label} image ends before its first row is whole")
    return _guarded(found, entry, settings)


def _check_pixels(image: Image.Image, settings: Settings) -> None:
    width, height = image.size
    if width * height > settings.max_pixels:
        raise problems.too_many_pixels(settings.max_pixels, width, height, settings.variable("max_pixels"))


def _seek(image: Image.Image, data: bytes, entry: Format, settings: Settings, frame: int) -> None:
    width, height = image.size
    # These formats store differences: frame n is reached by decoding the n before it.
    if entry.name in {"GIF", "PNG", "WEBP", "AVIF"} and (frame + 1) * width * height > settings.max_pixels:
        raise problems.too_many_pixels(
            settings.max_pixels, width, height * (frame + 1), settings.variable("max_pixels")
        )
    try:
        image.seek(frame)
    except EOFError:
        # Opened again: Pillow miscounts the pages of a TIFF after a request for a missing one.
        frames = getattr(_parse(data, entry, frame)[0], "n_frames", 1)
        raise problems.unreadable_image(f"there is no frame {frame}: this image has {frames}, counted from 0") from None
    _check_pixels(image, settings)
