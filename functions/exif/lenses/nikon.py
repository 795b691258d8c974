"""Nikon's lenses: eight bytes that say which one (the list of lenses that R. Rottmerhusen keeps)."""

from __future__ import annotations

from functions.exif.lenses import numbers

# The rows of LensData that make up a lens's key, in its order; the lens's flags follow.
PARTS = (
    "LensIDNumber",
    "LensFStops",
    "MinFocalLength",
    "MaxFocalLength",
    "MaxApertureAtMinFocal",
    "MaxApertureAtMaxFocal",
    "MCUVersion",
)


def name(lens: str) -> str:
    """The name of a lens by its key; `Unknown (…)` for a key without a name.

    Some makers changed the number of stops of a lens and nothing else: the first of the others counts then.
    """
    known = numbers("nikon")
    names = known.get(lens)
    if names is None:
        names = next((names for other, names in known.items() if other[:2] == lens[:2] and other[4:] == lens[4:]), None)
    return " or ".join(names) if names else f"Unknown ({spaced(lens)})"


def spaced(lens: str) -> str:
    """A lens's key, a space between its bytes."""
    return bytes.fromhex(lens).hex(" ").upper()


def key(number: int) -> str:
    """A number's bytes as the digits of a key."""
    digits = f"{number:X}"
    return digits.zfill(len(digits) + len(digits) % 2)


def beginning(number: int) -> tuple[str, ...]:
    """The names of all lenses whose key begins with a number's bytes: Adobe's programs keep the first ones."""
    first = key(number)
    found = (name for lens, names in numbers("nikon").items() if lens.startswith(first) for name in names)
    return tuple(dict.fromkeys(found))
