"""OpenEXR: floating point light, read by scan lines through the library of its own project."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING, Any

from functions.kit.images.samples.model import GRAY, RGB, SampleFormatError, Samples, strip_rows
from functions.kit.jsontypes import JsonObject

if TYPE_CHECKING:
    from functions.kit.images.samples.model import Array

_LARGEST = 2**31  # of a width or height


def find(data: bytes) -> Samples:
    """The picture of the first part: R, G, B or Y or the only channel, and A; other channels are left out.

    Raises:
        SampleFormatError: other channels, or some at less than every pixel.
        ValueError: a broken header.
    """
    file = _opened(data)
    header = file.header()
    box, channels = header["dataWindow"], header["channels"]
    width, height = box.max.x - box.min.x + 1, box.max.y - box.min.y + 1
    if not (0 < width < _LARGEST and 0 < height < _LARGEST):
        raise ValueError(f"its data window has {width} × {height} pixels")
    names = _names(channels)
    kinds = {str(channels[name].type) for name in names}
    if any((channels[name].xSampling, channels[name].ySampling) != (1, 1) for name in names):
        raise SampleFormatError("OpenEXR whose colours are not at every pixel")
    kind = kinds.pop() if len(kinds) == 1 else "FLOAT"
    top = box.min.y

    def read(rows: int) -> Iterator[Array]:
        import numpy as np

        source, step = _opened(data), strip_rows(width)
        for first in range(0, rows, step):
            count = min(step, rows - first)
            lines = _lines(source, names, kind, top + first, count)
            bands = [np.frombuffer(line, _DTYPES[kind]).reshape(count, width) for line in lines]
            values = np.stack(bands, axis=2)
            yield values.astype(np.float32) if kind == "HALF" else values

    colours = RGB if len(names) >= 3 else GRAY
    shown = (*colours, "alpha") if names[-1] == "A" else colours
    bits = 16 if kind == "HALF" else 32
    mode = f"{'RGB' if colours is RGB else 'L'}{'A' if len(shown) > len(colours) else ''};{bits}F"
    present = _rows(file, names, kind, top, height)
    others = ", ".join(name for name in list(channels)[:16] if name not in names)
    notes = (f"channels of this OpenEXR that are not counted: {others}",) if others else ()
    number = "uint" if kind == "UINT" else "float"
    return Samples("EXR", mode, width, height, present, shown, bits, number, read, notes=notes)


_DTYPES = {"HALF": "=f2", "FLOAT": "=f4", "UINT": "=u4"}


def _opened(data: bytes) -> Any:
    import OpenEXR

    OpenEXR.set_global_thread_count(0)  # a decode slot is one thread
    return OpenEXR.InputFile(BytesIO(data))


def _names(channels: JsonObject) -> list[str]:
    """Names of the channels that are counted, alpha last."""
    colours = next((each for each in (["R", "G", "B"], ["Y"]) if channels.keys() >= set(each)), None)
    if colours is None:
        colours = [name for name in channels if name != "A"]
        if len(colours) != 1:
            listed = ", ".join(list(channels)[:8]) or "none"
            raise SampleFormatError(f"OpenEXR with the channels {listed} (neither R, G, B nor Y nor one alone)")
    return [*colours, "A"] if "A" in channels else colours


def _lines(source: Any, names: list[str], kind: str, first: int, count: int) -> list[bytes]:
    import Imath

    wanted = Imath.PixelType(getattr(Imath.PixelType, kind))
    lines: list[bytes] = source.channels(names, wanted, first, first + count - 1)
    return lines


def _rows(source: Any, names: list[str], kind: str, top: int, height: int) -> int:
    """Rows from the top that are in the file: all of them if the last one is, else up to the first that is not."""

    def there(row: int) -> bool:
        try:
            _lines(source, names, kind, top + row, 1)
        except (OSError, RuntimeError, ValueError):
            return False
        return True

    if there(height - 1):
        return height
    low, high = 0, height - 1  # the rows before the first are there, that of the last is not
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if there(middle) else (low, middle)
    return low
