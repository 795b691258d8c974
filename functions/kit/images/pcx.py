"""PCX in the forms that Pillow lacks: 2 and 4 bits in one plane, and two colours other than black and white."""

from __future__ import annotations

from functools import lru_cache
from typing import IO, TYPE_CHECKING, cast

from functions.kit.images.samples.model import SampleFormatError

if TYPE_CHECKING:
    from PIL import PcxImagePlugin

_HEADER = 128
_WITH_PALETTE = {2, 5}  # versions
_BLACK_WHITE = b"\0\0\0\xff\xff\xff"


def packed_bits(header: bytes) -> int:
    """Bits of an index where pixels are packed indices of the header's palette; 0 where Pillow reads the file.

    Raises:
        SampleFormatError: a number of bits and planes that is not read.
        ValueError: the header is cut.
    """
    if len(header) < _HEADER:
        raise ValueError("its header is not whole")
    version, bits, planes = header[1], header[3], header[65]
    if (planes, bits) in {(1, 2), (1, 4)}:
        return bits
    if (planes, bits) == (1, 1):
        colours = header[16:22]
        return int(version in _WITH_PALETTE and colours[:3] != colours[3:] and colours != _BLACK_WHITE)
    if (bits == 1 and planes in {2, 4}) or (version == 5 and bits == 8 and planes in {1, 3}):
        return 0
    raise SampleFormatError(f"PCX with {bits}-bit samples in {planes} planes (version {version})")


@lru_cache(maxsize=1)
def reader() -> type[PcxImagePlugin.PcxImageFile]:
    """The image class of PCX, as Pillow's own."""
    from PIL import ImageFile, ImagePalette, PcxImagePlugin

    class PaintbrushFile(PcxImagePlugin.PcxImageFile):
        def _open(self) -> None:
            file = cast(IO[bytes], self.fp)
            header = file.read(_HEADER)
            bits = packed_bits(header)
            if not bits:
                file.seek(0)
                super()._open()
                return
            left, top, right, bottom = (int.from_bytes(header[at : at + 2], "little") for at in (4, 6, 8, 10))
            self._size = right - left + 1, bottom - top + 1
            if right < left or bottom < top:
                raise ValueError(f"its header states {self._size[0]} × {self._size[1]} pixels")
            self._mode = "P"
            self.palette = ImagePalette.raw("RGB", header[16 : 16 + 3 * 2**bits])
            line = (self._size[0] * bits + 7) // 8
            if int.from_bytes(header[66:68], "little") != line:
                line += line % 2
            tile = ImageFile._Tile("pcx", (0, 0, *self._size), _HEADER, (f"P;{bits}", line))  # noqa: SLF001
            self.tile = [tile]

    return PaintbrushFile
