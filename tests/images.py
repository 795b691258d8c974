"""Images made for tests: small, exact, and broken on purpose."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image


def gradient(mode: str = "RGB", size: tuple[int, int] = (64, 48)) -> Image.Image:
    """An image whose channels differ, in any mode that Pillow converts RGB to."""
    width, height = size
    y, x = np.mgrid[:height, :width]
    channels = (x * 255 // max(width - 1, 1), y * 255 // max(height - 1, 1), x * y % 256)
    image = Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8))
    return image if mode == "RGB" else image.convert(mode)


def noise(size: tuple[int, int]) -> Image.Image:
    """A picture that does not compress, the same in each run."""
    levels = np.random.default_rng(1).normal(128, 80, (size[1], size[0]))
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8)).convert("RGB")


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    """The bytes of an image in a format."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def png_bomb(width: int = 13000, height: int = 13000) -> bytes:
    """A valid one-bit PNG of 169 megapixels in about 20 kB: dimensions are true, rows are all zero."""
    deflate = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    data = b"".join(deflate.compress(row) for _ in range(height)) + deflate.flush()
    return _png(struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0), data)


def png_of(width: int, height: int, depth: int, kind: int, lines: bytes, transparent: bytes) -> bytes:
    """A PNG of a bit depth, a colour type and a transparent value or colour (tRNS), from lines with their filters."""
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return _png(header, zlib.compress(lines), (b"tRNS", transparent))


def _png(header: bytes, data: bytes, *before: tuple[bytes, bytes]) -> bytes:
    chunks = ((b"IHDR", header), *before, (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
