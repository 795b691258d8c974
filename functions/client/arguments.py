"""Types of command-line values for argparse, with their error messages."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError

from functions.client import address

# In seconds: sockets and sleeps accept no more than some hundred years.
LONGEST = 1e6


def url(text: str) -> str:
    """Return the address of a service, with its scheme."""
    try:
        return address.checked(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


def number(text: str) -> float:
    """Return a finite number."""
    try:
        value = float(text) + 0.0 if text.isascii() and "_" not in text else math.nan  # + 0.0: no -0.0
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ArgumentTypeError(f"expected a number, got {text!r}")
    return value


def seconds(text: str) -> float:
    """Return a duration above 0 in seconds."""
    value = number(text)
    if not 0 < value <= LONGEST:
        raise ArgumentTypeError(f"expected seconds above 0, at most {LONGEST:,.0f}, got {text!r}")
    return value


def count(text: str) -> int:
    """Return a whole number, 0 or more."""
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise ArgumentTypeError(f"expected a whole number, got {text!r}")
    return int(text)


def positive(text: str) -> int:
    """Return a whole number above 0."""
    if not (value := count(text)):
        raise ArgumentTypeError(f"expected a whole number above 0, got {text!r}")
    return value


def token(text: str) -> str:
    """Return a token that a header can carry."""
    if not (text.isascii() and text.isprintable()):
        raise ArgumentTypeError("expected a token of printable ASCII")
    return text
