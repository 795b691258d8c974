"""Mutations of known inputs, without coverage: the short form that runs with the tests."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Sequence

EDGES = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]

# Texts that readers may take for numbers, dates and coordinates: digits that `int` refuses, too many of them,
# no number, no quotient, no end.
TOKENS = tuple(
    text.encode()
    for text in (
        *("²", "٣", "½", "-", "+", ".", "1e999", "-1e999", "inf", "nan", "undef", "0/0", "1/0", "-0", "0x", "1_0"),
        *("9" * 20, "9" * 60, "1" * 5000, "1" * 400 + "/3", "0000:00:00 00:00:00", "9999-99-99T99:99:99Z"),
        *("\0", "\ufffe", "&#0;", "&amp;", "<!DOCTYPE", "true", "null", "{", "[", "%00", "..", ",", ";"),
    )
)


def mutants(seeds: Sequence[bytes], number: int, longest: int, chance: random.Random) -> Iterator[bytes]:
    """Inputs that are each some mutations away from a seed.

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
    match chance.randrange(9):
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
        case 6:
            data[place:place] = chance.choice(TOKENS)
        case 7:
            token = chance.choice(TOKENS)
            data[place : place + len(token)] = token
        case _:
            del data[place:]
