"""What the kernel accepts as arguments and environment of a program, checked where a name can still be given."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

STRING_BYTES = 131_072  # MAX_ARG_STRLEN: one argument or NAME=value, with the null byte at its end
_POINTER_BYTES = 8
_MOST_BYTES = 6 * 1024 * 1024  # however large the stack may grow


def check_execution(argv: Sequence[str], environment: Mapping[str, str]) -> None:
    """Refuse arguments and variables with which no program can be started.

    Raises:
        ValueError: Names the argument or variable, its size and the limit.
    """
    total = 0
    for number, word in enumerate(argv):
        total += _check(f"argument {number}", "", word)
    for name, value in environment.items():
        total += _check(f"variable {name}", " with its name", f"{name}={value}")
    limit = min(max(STRING_BYTES, os.sysconf("SC_ARG_MAX")), _MOST_BYTES)
    if total > limit:
        raise ValueError(f"arguments and variables have {total:,} bytes; the limit of the kernel is {limit:,}")


def _check(what: str, named: str, text: str) -> int:
    """The bytes that a string takes up."""
    if "\0" in text:
        raise ValueError(f"{what} has a null byte")
    size = len(os.fsencode(text)) + 1
    if size > STRING_BYTES:
        raise ValueError(f"{what} has {size:,} bytes{named}; the limit of the kernel is {STRING_BYTES:,}")
    return size + _POINTER_BYTES
