"""JPEG XL by its header: its plugin decodes when it opens, and to 8 bits."""

from __future__ import annotations

from functions.kit.containers import read
from functions.kit.http import problems
from functions.kit.http.settings import Settings


def deep(data: bytes) -> bool:
    """Whether the picture has more than 8 bits a sample."""
    document = read(data)
    return document is not None and int(document.details.get("sample_bits", 8)) > 8


def size(data: bytes, settings: Settings) -> tuple[int, int]:
    """Width and height.

    Raises:
        Problem: 413 too many pixels, 422 no size.
    """
    document = read(data)
    width, height = (document.width, document.height) if document is not None else (None, None)
    if not width or not height:
        raise problems.unreadable_image("the JPEG XL image states no size")
    if width * height > settings.max_pixels:
        raise problems.too_many_pixels(settings.max_pixels, width, height, settings.variable("max_pixels"))
    return width, height
