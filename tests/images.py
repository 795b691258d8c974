"""Images made for tests: small, exact, and broken on purpose."""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image


def gradient(mode: str = "RGB", size: tuple[int, int] = (64, 48)) -> Image.Image:
    """An image whose channels differ, in any mode that Pillow converts RGB to."""
    width, height = size
    image = Image.new("RGB", size)
    image.putdata(
        [
            (x * 255 // max(width - 1, 1), y * 255 // max(height - 1, 1), (x * y) % 256)
            for y in range(height)
            for x in range(width)
        ]
    )
    return image if mode == "RGB" else image.convert(mode)


def noise(size: tuple[int, int]) -> Image.Image:
    """A picture that does not compress."""
    return Image.effect_noise(size, 80).convert("RGB")


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    """The bytes of an image in a format."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def png_bomb(width: int = 13000, height: int = 13000) -> bytes:
    """A valid one-bit PNG of 169 megapixels in about 20 kB: dimensions are true, rows are all zero."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    deflate = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    data = b"".join(deflate.compress(row) for _ in range(height)) + deflate.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
