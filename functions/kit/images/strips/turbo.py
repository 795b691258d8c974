"""JPEG through the interface of libjpeg-turbo, which reports data that end early or are damaged.

Pillow's decoder fills in what is missing and reports nothing. Pillow decodes what this interface does not take.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from functions.kit.images import jpeg, slots
from functions.kit.images.samples.model import strip_rows
from functions.kit.images.strips import vips
from functions.kit.images.strips.model import Strips, image_of

if TYPE_CHECKING:
    from PIL import Image

    from functions.kit.jsontypes import JsonObject

# By components: the colours of the decoder, Pillow's mode, and its bytes a pixel.
_COLOURS = {1: ("GRAY", "L", 1), 3: ("RGBX", "RGB", 4), 4: ("CMYK", "CMYK", 4)}
_EXCESS = "before marker 0xd9"  # of the warning of more data than the pixels take
_FILL = b"\0\xff"  # bytes before an end marker that hold no data


class Decoded(NamedTuple):
    """A decoded JPEG: its pixels, and the number of undamaged rows; None if any row may be damaged."""

    image: Image.Image
    rows: int | None


def decode(data: bytes, width: int, height: int) -> Decoded | None:
    """Decode a JPEG of one, three or four components; None where this interface does not take it.

    Args:
        data: the file, from the start of the picture on.
        width: in pixels, by its frame header.
        height: in pixels.

    Raises:
        HeaderLimitError: as `jpeg.segments`.
        OSError: as `_sound`.
    """
    colours = _COLOURS.get(jpeg.components(data))
    if colours is None or not width or not height:
        return None
    source = _ended(data)
    _check_scans(source)
    size = width * height * colours[2]
    buffer = slots.BUFFERS.take(size)
    pixels = memoryview(buffer)[:size]
    how: JsonObject = {"colorspace": colours[0], "buffer": pixels}
    message = _warning(source, how)
    if message:
        source = jpeg.plain(source)  # without the segments that a decoder may warn of but does not need
        message = _warning(source, how)
    if message is None:
        return None
    image = _image(colours[1], (width, height), pixels)
    weakref.finalize(image, slots.BUFFERS.give, buffer)
    return Decoded(image, _sound(source, message, height) if message else height)


def _check_scans(source: bytes) -> None:
    """Refuse a progressive JPEG that lacks scans, which no decoder reports."""
    if jpeg.buffered(source) and not jpeg.scans_complete(source):
        raise OSError("its data end before the last of its scans")


def _image(mode: str, size: tuple[int, int], pixels: memoryview[int]) -> Image.Image:
    """An image over a buffer, which is not copied: CMYK is, inverted as in the files that Adobe's programs write."""
    from PIL import Image

    if mode == "CMYK":
        return Image.frombytes(mode, size, pixels, "raw", "CMYK;I", 0, 1)
    # `frombuffer` would copy RGB, which Pillow has in four bytes as well.
    core = Image.core.map_buffer(pixels, size, "raw", 0, (mode, 0, 1))  # type: ignore[attr-defined]
    return Image.Image()._new(core)  # noqa: SLF001


def _ended(data: bytes) -> bytes:
    return data if jpeg.ended(data) else b"".join((data, jpeg.END))


def checked(data: bytes, height: int) -> int | None:
    """The number of undamaged rows of a JPEG that another decoder decodes; None if any row may be damaged.

    Raises:
        OSError: as `_sound`.
    """
    source = jpeg.plain(data)
    _check_scans(source)
    message = _warning(source, {"colorspace": "GRAY", "min_factor": 8, "min_height": 1, "min_width": 1})
    if message is None:  # of a form that is not taken
        rows = _before_warning(source)
        return height if rows is None else rows
    return _sound(source, message, height) if message else height


def _warning(source: bytes, how: JsonObject) -> str | None:
    """The decoder's warning, empty without one; None if it cannot decode the data."""
    import simplejpeg

    try:
        simplejpeg.decode_jpeg(source, **how)
    except ValueError as error:
        message = str(error)
    else:
        return ""
    with suppress(ValueError):
        simplejpeg.decode_jpeg(source, strict=False, **how)
        return message
    return None


def _sound(source: bytes, message: str, height: int) -> int | None:
    """The number of rows before a decoder's warning; None if any row may be damaged.

    Raises:
        OSError: none, or more scans than the last one of a progressive JPEG are damaged.
    """
    if _EXCESS in message:
        count = int(message.partition(" extraneous")[0].rpartition(" ")[2])
        at = source.rfind(jpeg.END)
        return None if source[max(0, at - count) : at].strip(_FILL) else height
    if jpeg.buffered(source):
        if _warning(jpeg.without_last_scan(source), {"colorspace": "RGB"}):
            raise OSError("a scan before its last one is damaged")
        return None
    rows = _before_warning(source)
    rows = vips.whole_strips(height) if rows is None else rows
    if not rows:
        raise OSError("its data end before the first row")
    return rows


def _before_warning(source: bytes) -> int | None:
    return vips.rows_before_warning(
        lambda: vips.Source([(source, 0, len(source))]).image("jpegload", fail_on="warning")
    )


def strips(data: bytes, width: int, height: int) -> Strips:
    """A baseline JPEG of one or three components in strips."""
    mode, damaged = ("L" if jpeg.components(data) == 1 else "RGB"), list[str]()

    def read() -> Iterator[Image.Image]:
        strip = None
        for count, pixels in _sound_strips(data, height, damaged):
            strip = image_of(strip, mode, (width, count), pixels, mode, 0, 1)
            yield strip

    return Strips("JPEG", mode, width, height, read, damaged=damaged)


def _sound_strips(data: bytes, height: int, damaged: list[str]) -> Iterator[tuple[int, bytes]]:
    """Strips of the rows before the first warning: how many, and their bytes. One is held back until the next is sound.

    Raises:
        OSError: not even the first rows are sound.
    """
    source = vips.Source(jpeg.ranges(data), data.rfind(jpeg.END))
    image, before = source.image("jpegload", fail_on="warning"), vips.warned
    step, line, done, held = strip_rows(image.width), image.width * image.bands, 0, b""
    try:
        for pixels in vips.strips(image, step):
            if held:
                yield len(held) // line, held
                done += len(held) // line
            held = pixels
    except vips.library().Error:
        yield from _rest(data, height, done, step)
        return
    del image  # libvips reports its last warnings then
    sound = height if vips.warned == before else vips.whole_strips(height)
    if sound > done:
        yield sound - done, held[: (sound - done) * line]
    elif not sound:
        raise OSError("its data end before the first row")
    at = source.left[0][1] if source.left else len(data)
    if sound == height and data[at : jpeg.end_of_scan(data, at)].strip(_FILL):
        damaged.append("more data than pixels")


def _rest(data: bytes, height: int, done: int, step: int) -> Iterator[tuple[int, bytes]]:
    """The sound rows from `done` on."""

    def load() -> Any:
        return vips.Source(jpeg.ranges(data)).image("jpegload", fail_on="warning")

    found = vips.rows_before_warning(load)
    sound = vips.whole_strips(height) if found is None else found
    if not sound:
        raise OSError("its data end before the first row")
    fetch = vips.fetcher(load())
    for top in range(0, sound, step):
        count = min(step, sound - top)
        pixels = fetch(top, count)
        if top >= done:
            yield count, pixels
