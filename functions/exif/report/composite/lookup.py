"""The rows of a reading by name alone, for what is derived of them."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from functions.exif.blocks.values import shorten
from functions.kit.jsontypes import Json

if TYPE_CHECKING:
    from functions.exif.rows import Reading, Row

_FIRST = ("File", "PNG", "RIFF", "GIF", "Photoshop", "IFD0", "ExifIFD", "IFD1", "SubIFD")


_LAST = re.compile(r"IFD\d|SubIFD\d|MPImage|ICC|Track|Composite|JFIF|MPF")


FLOAT = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[Ee][+-]?\d+)?")


# Derived tags that yield to others of their name.
_YIELDING = frozenset(("ISO", "GPSPosition"))
Shown = tuple[Json, Json]


@lru_cache(maxsize=256)
def _rank(group: str) -> int:
    """The turn of a group, of which the first that has a tag counts."""
    if group in _FIRST:
        return _FIRST.index(group)
    return len(_FIRST) + (2 if _LAST.match(group) else 1 if group.startswith("XMP") else 0)


class Found(NamedTuple):
    """A tag's value and print."""

    value: Json
    printed: Json


class Tags:
    """The rows of a reading by name alone, the one that counts where several groups have it."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        groups = reading.groups
        # One look-up a name: each group overrides what comes after it.
        self.rows: dict[str, Row] = {}
        for group in sorted(groups, key=_rank)[::-1]:
            self.rows.update(groups[group])
        self.derived: dict[str, Found] = {}

    def find(self, name: str) -> Found | None:
        """A tag of any group, `Group:Name` for one of a group; derived ones first."""
        found = self.derived.get(name)
        if found is not None and name not in _YIELDING:
            return found
        row = self.rows.get(name)
        if row is None and ":" in name:
            group, _, local = name.partition(":")
            if group == "Composite":
                return self.derived.get(local)
            row = self.reading.groups.get(group, {}).get(local)
        return Found(row[1], row[2]) if row is not None else found

    def number(self, name: str) -> float | None:
        """A tag's value as a number; None without one."""
        found = self.find(name)
        if found is None:
            return None
        value = found[0]
        if type(value) is int or type(value) is float:
            return float(value)
        match = FLOAT.match(str(value).strip())
        return float(match[0]) if match else None

    def any(self, names: frozenset[str]) -> bool:
        """Whether one of the names is there."""
        return not names.isdisjoint(self.rows)

    def text(self, name: str) -> str:
        """A tag's value as text; empty if the tag is missing."""
        found = self.find(name)
        return "" if found is None else str(found.value)


def number(value: Json) -> Json:
    """A number as the shortest text that parses to the same value."""
    return shorten(f"{value:.15g}") if isinstance(value, float) and math.isfinite(value) else value


def plain(value: float) -> str:
    """A number as text."""
    return str(number(float(value)))


def needs(tags: Tags, *names: str) -> list[float] | None:
    """Values of tags that must all be there; those that are not numbers count as 0."""
    if any(tags.find(name) is None for name in names):
        return None
    return [tags.number(name) or 0.0 for name in names]
