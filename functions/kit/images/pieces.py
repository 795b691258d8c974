"""The strips and tiles of a TIFF: which of them are whole in the file, before a decoder gets them.

libtiff and Pillow leave the rows of a piece that is missing, or shorter than it has to be, as they were, or fill them
with what lies behind it in the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from functions.kit.images import jpeg, tiff
from functions.kit.images.tiff import Directory

_NONE, _JPEG = 1, 7  # compressions
_YCBCR = 6
_COLOURS = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3, 8: 3}  # samples of a colour by photometric interpretation
_FIRST = 8  # position before which no piece can lie
_PADDING = 64  # zeros that may follow the end marker of a JPEG


class _Grid(NamedTuple):
    """How the pieces of a plane lie: rows and columns of one, how many side by side, how many below one another."""

    rows: int
    columns: int
    across: int
    down: int


def _grid(found: Directory) -> _Grid:
    height, width = found.value(tiff.HEIGHT, 0), found.value(tiff.WIDTH, 1)
    if tiff.TILE_OFFSETS in found.entries:
        rows, columns = found.value(tiff.TILE_HEIGHT, height) or 1, found.value(tiff.TILE_WIDTH, width) or 1
    else:
        rows, columns = min(found.value(tiff.ROWS_PER_STRIP, height), height) or 1, width
    return _Grid(rows, columns, -(-width // columns), -(-height // rows))


def rows_present(found: Directory) -> int:
    """How many rows from the top lie in strips or tiles that are whole in the file."""
    height, grid = found.value(tiff.HEIGHT, 0), _grid(found)
    present = height
    for index, rows in enumerate(_rows_of_pieces(found, grid)):
        row = index // grid.across % grid.down
        if rows < min(grid.rows, height - row * grid.rows):
            present = min(present, row * grid.rows + rows)
    return max(0, present)


def sensor_is_cut(data: bytes) -> bool:
    """Whether a picture of a sensor has strips or tiles beyond the end of the file."""
    pictures = (each for each in tiff.sensor_pictures(data) if each.value(tiff.PHOTOMETRIC, 0) in tiff.SENSOR)
    return any(
        offset + size > len(data)
        for each in pictures
        for offsets, sizes in ((tiff.STRIP_OFFSETS, tiff.STRIP_BYTES), (tiff.TILE_OFFSETS, tiff.TILE_BYTES))
        for offset, size in zip(each.values(offsets), each.values(sizes), strict=False)
        if size
    )


def whole_rows(found: Directory) -> int:
    """The rows of `rows_present` without those of a strip that is cut."""
    present = rows_present(found)
    return present if present >= found.value(tiff.HEIGHT, 0) else present - present % _grid(found).rows


def rows_counted(found: Directory) -> int:
    """The rows of whole strips and tiles, or the rows of the first one if it is cut: the same for every decoder."""
    return whole_rows(found) or rows_present(found)


def sizes_missing(found: Directory) -> bool:
    """Whether pieces without compression have no byte counts: their sizes are those of their pixels."""
    if found.value(tiff.COMPRESSION, _NONE) != _NONE:
        return False
    return not any(found.values(tiff.TILE_BYTES if tiff.TILE_OFFSETS in found.entries else tiff.STRIP_BYTES))


def listed(found: Directory) -> bool:
    """Whether each piece has a position and a byte count; libvips reads no row of a file that lacks some."""
    grid, tiled = _grid(found), tiff.TILE_OFFSETS in found.entries
    planes = _planes(found)
    tags = (tiff.TILE_OFFSETS, tiff.TILE_BYTES) if tiled else (tiff.STRIP_OFFSETS, tiff.STRIP_BYTES)
    needed = grid.across * grid.down * planes
    return not sizes_missing(found) and all(len(found.values(tag)) >= needed for tag in tags)


def _rows_of_pieces(found: Directory, grid: _Grid) -> Iterator[int]:
    """How many rows of each piece are in the file, plane by plane."""
    tiled = tiff.TILE_OFFSETS in found.entries
    offsets = found.values(tiff.TILE_OFFSETS if tiled else tiff.STRIP_OFFSETS)
    sizes = found.values(tiff.TILE_BYTES if tiled else tiff.STRIP_BYTES)
    planes = _planes(found)
    if not offsets:
        return  # the decoder's to refuse
    line = _line(found, grid)
    if sizes_missing(found):
        sizes = (grid.rows * line,) * len(offsets)
    height, stated = found.value(tiff.HEIGHT, 0), bool(sizes)
    for index in range(grid.across * grid.down * planes):
        wanted = min(grid.rows, height - index // grid.across % grid.down * grid.rows)
        offset = offsets[index] if index < len(offsets) else 0
        size = sizes[index] if index < len(sizes) else 0 if stated else 1
        size = min(size, len(found.data) - offset) if line else size
        if offset < _FIRST or size <= 0 or offset + size > len(found.data):
            yield 0
        elif line:
            rows = size // line
            yield rows if not tiled or rows >= grid.rows else 0
        else:
            yield _rows_of_jpeg(found, offset, size, grid, wanted) if _is_jpeg(found) else wanted


def _planes(found: Directory) -> int:
    """Planes that are counted: those of the colour, and of an alpha channel behind them."""
    if found.value(tiff.PLANAR, 1) != 2:
        return 1
    colours = _COLOURS.get(found.value(tiff.PHOTOMETRIC, 1), found.samples)
    extra = found.values(tiff.EXTRA)
    return min(found.samples, colours + (extra[:1] in {(1,), (2,)}))


def _line(found: Directory, grid: _Grid) -> int:
    """Bytes of a row of a piece without compression; 0 for others, and where chroma has less resolution."""
    if found.value(tiff.COMPRESSION, _NONE) != _NONE or found.value(tiff.PHOTOMETRIC, 1) == _YCBCR:
        return 0
    return (grid.columns * (found.bits[0] if found.value(tiff.PLANAR, 1) == 2 else sum(found.bits)) + 7) // 8


def _is_jpeg(found: Directory) -> bool:
    return found.value(tiff.COMPRESSION, _NONE) == _JPEG


def _rows_of_jpeg(found: Directory, offset: int, size: int, grid: _Grid, wanted: int) -> int:
    """Rows of a piece that is a JPEG: none where it is narrower than its place, or has no end marker."""
    piece = found.data[offset : offset + size]
    if not piece[-_PADDING:].rstrip(b"\0").endswith(jpeg.END):
        return 0
    width, height = jpeg.size(piece)
    tiled = tiff.TILE_OFFSETS in found.entries
    if width < grid.columns or (tiled and height < grid.rows):
        return 0
    return min(height, wanted)


def rows_of_one(found: Directory) -> int:
    """Rows of a strip or tile."""
    return _grid(found).rows


def pieces(found: Directory, rows: int) -> int:
    """Number of strips or tiles of one plane that hold the first `rows` rows."""
    grid = _grid(found)
    return grid.across * -(-rows // grid.rows)


def share(found: Directory, tag: int, plane: int, planes: int, count: int) -> tuple[int, int, int]:
    """The entry of a tag of strips or tiles, reduced to the first ones of one plane."""
    kind, total, at = found.entries.get(tag, (4, 0, 0))
    return kind, min(count, total // planes), at + plane * (total // planes) * tiff.SIZES.get(kind, 4)
