"""Print Image Matching: a version and numbered parameters in ExifTool's PrintIM group."""

from __future__ import annotations

from collections.abc import Iterable
from struct import unpack_from

NUMBER = 0xC4A5
MAX_ENTRIES = 256


def rows(data: bytes, order: str) -> Iterable[tuple[str, object, object]]:
    """Name, value and print of each entry.

    Args:
        data: from `PrintIM` on.
        order: `<` or `>`, the directory's; the record may have the other.
    """
    if data[:7] != b"PrintIM" or len(data) < 16:
        return
    version = data[8:12].decode("latin-1")
    yield "PrintIMVersion", version, version
    (count,) = unpack_from(order + "H", data, 14)
    if 16 + 6 * count > len(data):
        order = ">" if order == "<" else "<"
        (count,) = unpack_from(order + "H", data, 14)
    for at in range(16, min(16 + 6 * min(count, MAX_ENTRIES), len(data) - 5), 6):
        number, value = unpack_from(order + "HI", data, at)
        yield f"PrintIM_0x{number:04x}", value, f"0x{value:08x}"
