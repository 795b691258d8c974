"""Reasons why no file is returned."""

from __future__ import annotations


class Broken(ValueError):
    """A structure that cannot be edited without guessing."""


class Unsupported(ValueError):
    """A format that cannot be edited without harm; the message gives the reason."""


class NotClean(ValueError):
    """A result that still holds something that was to be removed."""
