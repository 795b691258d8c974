"""A bound on what parsing a header may cost.

Pillow parses headers in Python, item by item: 30 MB of fill bytes, empty segments or tiny chunks keep it busy for ten
seconds before it finds that there is no picture. A metered file counts the reads and the bytes that it hands out and
ends the parsing at a limit.
"""

from __future__ import annotations

import io

READS = 16_384  # of a header: the largest of real files need a few hundred
READS_PER_FRAME = 64  # more for each frame or page that is passed on the way to a later one
BYTES_BESIDE_FILE = 2**20  # a header may be read once in full, and this much of it again
BYTES_PER_READ = 256  # pixel data in smaller pieces than this on average are refused


class HeaderLimitError(Exception):
    """Parsing a header exceeds a limit; the text names it."""

    part = "header"


class PixelLimitError(HeaderLimitError):
    """Reading the pixels exceeds a limit."""

    part = "pixel data"


class MeteredFile(io.BytesIO):
    """A file in memory that raises `HeaderLimitError` once it was read too often.

    Args:
        data: the whole file.
        frame: index of the frame that is wanted.
    """

    def __init__(self, data: bytes, frame: int = 0) -> None:
        super().__init__(data)
        self.size = len(data)
        self.reads = 0
        self.bytes = 0
        self.most_reads = READS + READS_PER_FRAME * frame
        self.most_bytes = self.size + BYTES_BESIDE_FILE
        self.error = HeaderLimitError

    def decode(self, bytewise: bool = False) -> None:
        """Allow what decoding needs: the pixels once more, in pieces of a reasonable size.

        Args:
            bytewise: the decoder reads byte by byte.
        """
        self.error = PixelLimitError
        self.most_reads = self.reads + READS + self.size // (1 if bytewise else BYTES_PER_READ)
        self.most_bytes = self.bytes + 2 * self.size + BYTES_BESIDE_FILE

    def read(self, size: int | None = -1, /) -> bytes:
        """The next bytes.

        Raises:
            HeaderLimitError: too many reads or bytes.
        """
        data = super().read(size)
        self.reads += 1
        self.bytes += len(data)
        if self.reads > self.most_reads:
            raise self.error(f"it is in more than {self.most_reads:,} pieces")
        if self.bytes > self.most_bytes:
            raise self.error(f"its parts overlap: more than {self.most_bytes:,} bytes are read")
        return data
