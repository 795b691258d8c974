"""Values of the commands' options: durations and counts."""

from __future__ import annotations

import argparse
import math

from knative.local.manifests import grammar

EXIT_MISTAKE = 2
"""The exit status after a mistake in the arguments or the manifests."""


def seconds(text: str) -> float:
    """A duration in seconds: `60`, `0.5`, or with units as Go writes it, `1m30s`.

    Raises:
        argparse.ArgumentTypeError: not a duration, or negative.
    """
    try:
        value = float(text) if text.replace(".", "", 1).isdigit() else grammar.parse_duration(text) / grammar.SECOND
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text}: a duration cannot be negative")
    return value


def above_zero(text: str) -> float:
    """A finite number above 0.

    Raises:
        argparse.ArgumentTypeError: another value.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text}: expected a number above 0")
    return value


def count(text: str) -> int:
    """A whole number from 0.

    Raises:
        argparse.ArgumentTypeError: another value.
    """
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text}: expected a whole number from 0")
    return int(text)


def positive(text: str) -> int:
    """A whole number from 1.

    Raises:
        argparse.ArgumentTypeError: another value.
    """
    if count(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected at least 1")
    return int(text)
