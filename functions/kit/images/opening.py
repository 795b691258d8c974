"""The one safe way to open an image: format, byte, pixel and frame limits before anything is decoded.

The bytes decide the format, never a name or a Content-Type. Only the decoder of that one format is imported and
tried, so that a crafted file cannot pick its own parser. Pillow is imported with the first image, not with the
module: a cold start pays for what it uses.
"""

from __future__ import annotations

import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple

from functions.kit.http import problems
from functions.kit.http.problems import Problem
from functions.kit.http.settings import Settings
from functions.kit.images import jpeg_scans
from functions.kit.telemetry.usage import Container

if TYPE_CHECKING:
    from PIL import Image

FULL_SIZE = "full_size"  # key of `info`: (width, height) of an image that was decoded at a fraction of it
ARENA_BLOCK = 16 * 2**20  # bytes; Pillow's own block size
ARENA_BLOCKS_PER_DECODE = 8  # a 24 megapixel RGB image (six blocks) and its luminance (two)


class Format(NamedTuple):
    """An accepted format: Pillow's name, the module that registers its decoder, and its usual name."""

    name: str
    module: str
    label: str


ACCEPTED = {
    entry.name: entry
    for entry in (
        Format("JPEG", "PIL.JpegImagePlugin", "JPEG"),
        Format("PNG", "PIL.PngImagePlugin", "PNG"),
        Format("WEBP", "PIL.WebPImagePlugin", "WebP"),
        Format("HEIF", "pi_heif", "HEIC"),
        Format("AVIF", "PIL.AvifImagePlugin", "AVIF"),
        Format("GIF", "PIL.GifImagePlugin", "GIF"),
        Format("TIFF", "PIL.TiffImagePlugin", "TIFF"),
        Format("BMP", "PIL.BmpImagePlugin", "BMP"),
        Format("JPEG2000", "PIL.Jpeg2KImagePlugin", "JPEG 2000"),
        Format("PPM", "PIL.PpmImagePlugin", "PNM"),
        Format("ICO", "PIL.IcoImagePlugin", "ICO"),
    )
}

_PREFIXES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
    (b"\0\0\x01\0", "ICO"),
)
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}

# Formats somebody may well send and that have a name to be refused by.
_REFUSED = (
    (b"%PDF-", "PDF"),
    (b"8BPS", "Photoshop"),
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "EPS"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"FUJIFILMCCD-RAW", "Fujifilm raw"),
    (b"IIU\0", "Panasonic raw"),
    (b"IIRO", "Olympus raw"),
    (b"IIRS", "Olympus raw"),
    (b"MMOR", "Olympus raw"),
    (b"\0MRM", "Minolta raw"),
    (b"FOVb", "Sigma raw"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"qoif", "QOI"),
    (b"DDS ", "DDS"),
    (b"icns", "ICNS"),
    (b"AT&TFORM", "DjVu"),
    (b"SIMPLE  =", "FITS"),
    (b"BPG\xfb", "BPG"),
    (b"FLIF", "FLIF"),
    (b"\xd7\xcd\xc6\x9a", "WMF"),
    (b"gimp xcf", "GIMP"),
    (b"II\xbc\x01", "JPEG XR"),
)


def sniff(data: bytes) -> str | None:
    """Pillow's name of the accepted format that the bytes begin like, or None."""
    for prefix, name in _PREFIXES:
        if data.startswith(prefix):
            return None if name == "TIFF" and data[8:10] == b"CR" else name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    brands = _brands(data)
    if brands & _AVIF_BRANDS:
        return "AVIF"
    if brands & _HEIF_BRANDS:
        return "HEIF"
    # Two and three letters are thin evidence, so the field behind them has to make sense as well.
    if data[:2] == b"BM" and data[14:18] in {struct.pack("<I", size) for size in (12, 16, 40, 52, 56, 64, 108, 124)}:
        return "BMP"
    if data[:1] == b"P" and data[1:2] in {b"1", b"2", b"3", b"4", b"5", b"6", b"f"} and data[2:3].isspace():
        return "PPM"
    return None


def _brands(data: bytes) -> set[bytes]:
    """Major and compatible brands of an ISO base media file."""
    if data[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(data[:4], "big"), 256)
    return {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}


def refusal(data: bytes, accepted: list[str]) -> Problem:
    """The problem of bytes that are none of the accepted formats: 415 if they have a name, else 422."""
    name = next((label for prefix, label in _REFUSED if data.startswith(prefix)), None)
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")
    if name is None and data[8:10] == b"CR" and data[:4] in {b"II*\0", b"MM\0*"}:
        name = "Canon raw"
    elif name is None and data[:4] == b"\0\0\x02\0" and any(data[4:6]):
        # A cursor holds at least one; with none this is how a Targa begins, whose only mark stands at its end.
        name = "Windows cursor"
    elif name is None and data.endswith(b"TRUEVISION-XFILE.\0"):
        name = "Targa"
    elif name is None and data[4:8] == b"ftyp":
        name = "Canon raw" if data[8:11] == b"crx" else f"ISO media of brand {data[8:12].decode('ascii', 'replace')!r}"
    elif name is None and (head.startswith(b"<svg") or (head.startswith(b"<?xml") and b"<svg" in head)):
        name = "SVG"
    if name is not None:
        return problems.unsupported_format(name, accepted)
    if not data:
        return problems.unreadable_image("the file is empty")
    return problems.unreadable_image("the bytes begin like no image format")


@lru_cache(maxsize=64)
def _gate(places: int) -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(places)


@lru_cache(maxsize=64)
def _keep_arena(decodes: int) -> None:
    """Tells Pillow, once, to keep its memory.

    It gives each 16 MiB block of an image back to the system and faults it in again for the next: keeping them
    saves a third of the time of a 24 megapixel image.
    """
    from PIL import Image

    Image.core.set_blocks_max(arena_blocks(decodes, Container().memory_limit()))  # type: ignore[attr-defined]


def arena_blocks(decodes: int, memory_limit: int | None) -> int:
    """Blocks of the arena to keep: enough for every concurrent decode, in a quarter of the memory limit (bytes)."""
    blocks = ARENA_BLOCKS_PER_DECODE * decodes
    return blocks if memory_limit is None else min(blocks, memory_limit // 4 // ARENA_BLOCK)


@contextmanager
def open_image(data: bytes, settings: Settings, frame: int = 0, draft: int | None = None) -> Iterator[Image.Image]:
    """An image, decoded; it and its place among the concurrent decodes are given back at the end of the block.

    Args:
        data: the whole file.
        settings: `max_bytes`, `max_pixels`, `decodes`, `timeout_seconds`.
        frame: index of the frame or page. The frames that have to be decoded on the way count as pixels.
        draft: 2, 4 or 8 to decode a JPEG at that fraction of its size (DCT scaling); other formats ignore it.

    Yields:
        The image in its own mode, not turned by its orientation. `format` is Pillow's name of the format;
        with a draft, `info[FULL_SIZE]` is the size before it.

    Raises:
        Problem: 413 too many bytes or pixels, 415 a known format that is not accepted, 422 no image, no such
            frame, truncated or corrupt, 503 no place became free in time.
    """
    if len(data) > settings.max_bytes:
        raise problems.too_many_bytes(settings.max_bytes, len(data), settings.variable("max_bytes"))
    name = sniff(data)
    if name is None:
        raise refusal(data, [entry.label for entry in ACCEPTED.values()])
    _keep_arena(settings.decodes)
    gate = _gate(settings.decodes)
    if not gate.acquire(timeout=settings.timeout_seconds):
        raise problems.busy(f"all {settings.decodes} places for decoding stayed taken", retry_after=1)
    try:
        with _decode(data, ACCEPTED[name], settings, frame, draft) as image:
            yield image
    finally:
        gate.release()


def _decode(data: bytes, entry: Format, settings: Settings, frame: int, draft: int | None) -> Image.Image:
    from PIL import Image

    if settings.max_pixels != Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = settings.max_pixels
    if entry.name == "JPEG" and jpeg_scans.too_many(data):
        raise problems.unreadable_image(f"this JPEG has more than {jpeg_scans.MOST} scans, each to be decoded in full")
    # Between one and two times the guard's limit Pillow only warns; here the limit is the limit. What it thinks of
    # metadata is not asked, and would stand in the log as lines that are no JSON.
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
    try:
        image = _parse(data, entry)
        _check_pixels(image, settings)
        if frame:
            _seek(image, data, entry, settings, frame)
        if draft is not None:
            width, height = image.info[FULL_SIZE] = image.size
            image.draft(None, (max(1, width // draft), max(1, height // draft)))
        image.load()
        _check_pixels(image, settings)  # an icon's directory and the image inside it may differ
    except Problem:
        raise
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
        said = str(error) or type(error).__name__
        raise problems.unreadable_image(f"the {entry.label} image cannot be decoded: {said}") from error
    return image


def _parse(data: bytes, entry: Format) -> Image.Image:
    """Reads the header; nothing is decoded."""
    from PIL import Image

    if entry.name not in Image.OPEN:
        module = import_module(entry.module)
        if entry.name == "HEIF":
            module.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
    # Image.open() would stop at the pixel guard without saying the dimensions, and would import six decoders.
    factory, _ = Image.OPEN[entry.name]
    return factory(BytesIO(data), "")


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
        # Opened anew: Pillow miscounts the pages of a TIFF after it was asked for one that is not there.
        frames = getattr(_parse(data, entry), "n_frames", 1)
        raise problems.unreadable_image(f"there is no frame {frame}: this image has {frames}, counted from 0") from None
    _check_pixels(image, settings)
