"""Mutations of known inputs, without coverage: the short form that runs with the tests."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Sequence

EDGES = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]


def mutants(seeds: Sequence[bytes], number: int, longest: int, chance: random.Random) -> Iterator[bytes]:
    """So many inputs, each some steps away from a seed.

    Args:
        seeds: where they begin.
        number: how many.
        longest: bytes of the largest.
        chance: decides; the same seed gives the same inputs.
    """
    for _ in range(number):
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.choice((1, 1, 2, 4, 8, 32))):
            _mutate(data, seeds, chance)
        yield bytes(data[:longest])


def _mutate(data: bytearray, seeds: Sequence[bytes], chance: random.Random) -> None:
    place = chance.randrange(len(data) + 1)
    match chance.randrange(7):
        case 0 if data:
            data[place % len(data)] ^= 1 << chance.randrange(8)
        case 1:
            form = chance.choice(("<B", "<H", ">H", "<I", ">I"))
            value = chance.choice(EDGES) & (256 ** struct.calcsize(form) - 1)
            data[place : place + struct.calcsize(form)] = struct.pack(form, value)
        case 2:
            del data[place : place + chance.choice((1, 2, 4, 16, 256))]
        case 3:
            data[place:place] = data[place : place + chance.choice((1, 4, 64))]
        case 4:
            other = chance.choice(seeds)
            begin = chance.randrange(len(other) + 1)
            data[place:] = other[begin:]
        case 5:
            data[place:place] = chance.randbytes(chance.choice((1, 2, 8)))
        case _:
            del data[place:]
