"""CSV (RFC 4180) whose cells no spreadsheet evaluates as a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters of a cell that a spreadsheet may evaluate."""

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


def inert(cell: object) -> object:
    """Return the cell, with an apostrophe in front if it begins like a formula and is not a number."""
    if isinstance(cell, str) and cell.startswith(FORMULA) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def document(rows: Iterable[Iterable[object]]) -> str:
    """Return rows as CSV with inert cells."""
    out = io.StringIO()
    csv.writer(out).writerows([inert(cell) for cell in row] for row in rows)
    return out.getvalue()
