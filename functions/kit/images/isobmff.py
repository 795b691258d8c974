"""HEIC and AVIF before they are decoded: whether their picture data are whole.

Decoders fill the tiles of a cut file with black, without a word.
"""

from __future__ import annotations

from functions.kit.images.metering import HeaderLimitError

MOST_BOXES = 1024


def missing_bytes(data: bytes) -> int:
    """How many bytes of a `mdat` or `meta` box lie beyond the end of the file.

    Raises:
        HeaderLimitError: too many boxes.
    """
    at = 0
    for _ in range(MOST_BOXES):
        if at + 8 > len(data):
            return 0
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size == 0:
            return 0  # to the end of the file
        if size < 8:
            return 0  # broken: the decoder's to refuse
        if at + size > len(data):
            return at + size - len(data) if kind in {b"mdat", b"meta", b"idat"} else 0
        at += size
    raise HeaderLimitError(f"it has more than {MOST_BOXES:,} boxes")
