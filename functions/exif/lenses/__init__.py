"""Names of lenses by their numbers in maker notes.

The makers publish no lists; these are facts that photographers gathered with their cameras over twenty years, as the
documentation of ExifTool keeps them (exiftool.org/TagNames: Canon, Minolta, Sony, Olympus, Pentax and Nikon lenses,
version 13.58). Each `.txt` is such a list: a number and a name on each line, a further line where several lenses have
one number. A number that is not listed stays a number.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def numbers(maker: str) -> dict[str, tuple[str, ...]]:
    """The names of each lens number of a mount: `canon`, `canon_rf`, `nikon`, `sony_e`, … as the lists are named.

    Read when the first picture with such a number comes.
    """
    found: dict[str, tuple[str, ...]] = {}
    for line in Path(__file__).with_name(f"{maker}.txt").read_text(encoding="utf-8").splitlines():
        number, _, name = line.partition(" ")
        found[number] = (*found.get(number, ()), name)
    return found
