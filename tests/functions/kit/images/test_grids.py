"""HEICs whose picture is a grid: rows of tiles that cannot be decoded are not counted. The tiles are x265's."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from functions.kit.http.problems import Problem
from functions.kit.http.settings import Settings
from functions.kit.images.opening import EXTENT, open_image

SETTINGS = Settings()
SIDE = 64
CONFIGURATION = bytes.fromhex(
    "00000075687663430103700000000000000000001ef000fcfdf8f800000f03200001001840010c01ffff037000000300900000030000030"
    "01eba0240210001002842010103700000030090000003000003001ea020810596ea4929ae6c08000003000800000300084022000100074401"
    "c172b02240"
)
SHADES = bytes.fromhex("000000182801af0b60fa5972a5a83a41944cc8c323d32ac128378ac0")
PLAIN = bytes.fromhex("0000000e2801af0b60fab28537e3c87c18c0")
BROKEN = SHADES[:4] + b"\xff" * (len(SHADES) - 4)


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def full(kind: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def entry(number: int, kind: bytes, hidden: bool) -> bytes:
    return full(b"infe", struct.pack(">HH4sB", number, 0, kind, 0), version=2, flags=int(hidden))


def heic(tiles: list[bytes], columns: int = 2, turned: bytes = b"") -> bytes:
    """A grid of tiles, shown through a property that turns it."""
    rows, count = len(tiles) // columns, len(tiles)
    grid = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, columns * SIDE, rows * SIDE)
    number = count + 1
    contents = [*tiles, grid]
    properties = [full(b"ispe", struct.pack(">II", SIDE, SIDE)), CONFIGURATION]
    properties += [full(b"ispe", struct.pack(">II", columns * SIDE, rows * SIDE)), *([turned] if turned else [])]
    owned = [(each, (1, 0x82)) for each in range(1, number)] + [(number, (3, *([0x84] if turned else [])))]
    association = b"".join(struct.pack(f">HB{len(to)}B", each, len(to), *to) for each, to in owned)
    head = box(b"ftyp", b"heic" + bytes(4) + b"mif1heic")
    start = 0
    for _ in range(2):  # the first pass measures the boxes
        places = [start + sum(map(len, contents[:index])) for index in range(number)]
        rows_of = [
            struct.pack(">HHHII", index + 1, 0, 1, places[index], len(contents[index])) for index in range(number)
        ]
        meta = full(
            b"meta",
            full(b"hdlr", bytes(4) + b"pict" + bytes(13)),
            full(b"pitm", struct.pack(">H", number)),
            full(b"iloc", struct.pack(">BBH", 0x44, 0, number), *rows_of),
            full(
                b"iinf",
                struct.pack(">H", number),
                *(entry(each, b"hvc1", hidden=True) for each in range(1, number)),
                entry(number, b"grid", hidden=False),
            ),
            full(b"iref", box(b"dimg", struct.pack(f">HH{count}H", number, count, *range(1, number)))),
            box(b"iprp", box(b"ipco", *properties), full(b"ipma", struct.pack(">I", number), association)),
        )
        start = len(head) + len(meta) + 8
    return head + meta + box(b"mdat", *contents)


def test_rows_above_a_broken_tile() -> None:
    with open_image(heic([SHADES] * 6), SETTINGS) as image:
        whole = np.asarray(image)
        assert EXTENT not in image.info
    assert np.unique(whole).size > SIDE / 2
    for index in range(2, 6):
        tiles = [SHADES] * 6
        tiles[index] = BROKEN
        with open_image(heic(tiles), SETTINGS) as image:
            rows = index // 2 * SIDE
            assert image.info[EXTENT] == (0, rows, True)
            assert np.array_equal(np.asarray(image)[:rows], whole[:rows])


def test_a_tile_of_one_colour_is_not_a_broken_one() -> None:
    with open_image(heic([SHADES, PLAIN] * 3), SETTINGS) as image:
        assert EXTENT not in image.info


@pytest.mark.parametrize("turned", [b"", box(b"irot", b"\1"), box(b"irot", b"\2"), box(b"imir", b"\0")])
def test_a_broken_tile_without_known_rows_is_refused(turned: bytes) -> None:
    for index in (0, 5) if turned else (0, 1):
        tiles = [SHADES] * 6
        tiles[index] = BROKEN
        data = heic(tiles, turned=turned)
        with pytest.raises(Problem, match=f"tile {index + 1} of its 6 tiles is broken"), open_image(data, SETTINGS):
            pass
    with open_image(heic([SHADES] * 6, turned=turned), SETTINGS) as image:
        assert EXTENT not in image.info
