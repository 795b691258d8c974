"""The tiles of an HEIC whose picture is a grid: which of them can be decoded.

libheif leaves a tile that it cannot decode in one colour, and reports nothing. A tile of one colour is therefore
decoded on its own, which fails where it is broken.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from PIL import Image

    from functions.kit.containers import Document
    from functions.kit.containers.items import Items

Rectangle = tuple[int, int, int, int]
MOST_CHECKS = 512  # tiles that are decoded on their own
_WIDE = 1  # flag of a grid: its size is in 32 bits
_HIDDEN = 1  # flag of an item's entry


class _Grid(NamedTuple):
    """A grid: the size of its picture and of a tile, its columns, and the numbers of its tiles in order."""

    size: tuple[int, int]
    tile: tuple[int, int]
    columns: int
    tiles: tuple[int, ...]


def rows_of(image: Image.Image, data: bytes) -> int:
    """How many rows of a decoded picture lie in tiles that can be decoded.

    Raises:
        OSError: as `rows_held`.
    """

    def plain(box: Rectangle) -> bool:
        if image.getpixel(box[:2]) != image.getpixel((box[2] - 1, box[3] - 1)):
            return False
        pixels = image.crop(box).tobytes()
        return pixels == pixels[: len(image.getbands())] * ((box[2] - box[0]) * (box[3] - box[1]))

    return rows_held(data, image.height, plain)


def rows_held(data: bytes, height: int, plain: Callable[[Rectangle], bool]) -> int:
    """How many rows from the top lie in tiles that can be decoded.

    Args:
        data: the whole file.
        height: of the displayed picture.
        plain: whether a rectangle of the displayed picture (left, top, right, bottom) has one colour.

    Raises:
        OSError: a tile cannot be decoded, and the picture is displayed turned, or the tile is one of the first row.
    """
    from functions.kit.containers import read

    document = read(data)
    grid = _grid(document) if document is not None else None
    if document is None or grid is None:
        return height
    turns = int(document.details.get("rotation", 0)) // 90
    mirrored = "mirroring" in document.details
    checks = 0
    for index, number in enumerate(grid.tiles):
        place = _place(grid, index)
        if not mirrored and not plain(_turned(place, grid.size, turns)):
            continue
        checks += 1
        if checks > MOST_CHECKS:
            raise OSError(f"more than {MOST_CHECKS} of its {len(grid.tiles)} tiles have one colour, as broken ones do")
        if not _decodes(data, number):
            if turns or mirrored or not place[1]:
                raise OSError(f"tile {index + 1} of its {len(grid.tiles)} tiles is broken")
            return place[1]
    return height


def _grid(document: Document) -> _Grid | None:
    """The primary item where it is a grid of pictures in HEVC."""
    items: Items | None = getattr(document.model, "items", None)
    primary = items.items.get(items.primary) if items is not None else None
    if items is None or primary is None or primary.kind != b"grid" or not primary.spans:
        return None
    body = b"".join(document.source.read(span.start, span.end) for span in primary.spans)
    tiles = items.referring(b"dimg").get(primary.number, ())
    if len(body) < 8 or not tiles or any(number not in items.items for number in tiles):
        return None
    width = 4 if body[1] & _WIDE else 2
    size = (int.from_bytes(body[4 : 4 + width], "big"), int.from_bytes(body[4 + width : 4 + 2 * width], "big"))
    tile = _extent(document, items, tiles[0])
    return _Grid(size, tile, body[3] + 1, tiles) if tile is not None and items.items[tiles[0]].kind == b"hvc1" else None


def _extent(document: Document, items: Items, number: int) -> tuple[int, int] | None:
    """Width and height of an item by its properties."""
    for index, _ in items.associations.get(number, []):
        if 0 < index <= len(document.model.properties):
            box = document.model.properties[index - 1]
            if box.kind == b"ispe" and box.end - box.body >= 12:
                body = document.source.read(box.body + 4, box.body + 12)
                width, height = int.from_bytes(body[:4], "big"), int.from_bytes(body[4:], "big")
                return (width, height) if width and height else None
    return None


def _place(grid: _Grid, index: int) -> Rectangle:
    """The rectangle of a tile in the stored picture."""
    left, top = index % grid.columns * grid.tile[0], index // grid.columns * grid.tile[1]
    return left, top, min(left + grid.tile[0], grid.size[0]), min(top + grid.tile[1], grid.size[1])


def _turned(place: Rectangle, size: tuple[int, int], turns: int) -> Rectangle:
    """A rectangle of the stored picture in the displayed one, turned by quarters against the clock."""
    for _ in range(turns):
        left, top, right, bottom = place
        place = (top, size[0] - right, bottom, size[0] - left)
        size = (size[1], size[0])
    return place


def _decodes(data: bytes, number: int) -> bool:
    """Whether an item can be decoded, which is done with a copy of the file whose primary item it is."""
    import pi_heif

    stated = number.to_bytes(2, "big")
    primary = data.find(b"pitm\0\0\0\0")
    entry = data.find(b"infe\2\0\0" + bytes([_HIDDEN]) + stated)
    if primary < 0 or number > 0xFFFF:
        return True  # a form that no camera writes
    copy = bytearray(data)
    copy[primary + 8 : primary + 10] = stated
    if entry >= 0:
        copy[entry + 7] = 0
    try:
        file = pi_heif.open_heif(BytesIO(copy))
        file[file.primary_index].load()
    except (OSError, ValueError, EOFError, RuntimeError):
        return False
    return True
