"""Values of the command line, as types of argparse: what cannot be meant is wrong usage, told in a sentence."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError

from functions.client import address

# Sockets and sleeps take no more than some hundred years; nobody means more than some days.
LONGEST = 1e6


def url(text: str) -> str:
    """The address of a service, with its scheme."""
    try:
        return address.checked(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


def number(text: str) -> float:
    """Any number but an infinite one or none."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ArgumentTypeError(f"expected a number, not {text!r}")
    return value


def seconds(text: str) -> float:
    """A time to wait, above 0."""
    value = number(text)
    if not 0 < value <= LONGEST:
        raise ArgumentTypeError(f"expected seconds above 0, at most {LONGEST:,.0f}, not {text!r}")
    return value


def count(text: str) -> int:
    """A whole number, 0 or more."""
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise ArgumentTypeError(f"expected a whole number, not {text!r}")
    return int(text)


def positive(text: str) -> int:
    """A whole number above 0."""
    if not (value := count(text)):
        raise ArgumentTypeError(f"expected a whole number above 0, not {text!r}")
    return value


def token(text: str) -> str:
    """What a header can carry."""
    if not (text.isascii() and text.isprintable()):
        raise ArgumentTypeError("a token is printable ASCII")
    return text
