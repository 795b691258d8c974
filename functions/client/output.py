"""Results on standard output: text for people, JSON, NDJSON or CSV for programs; and the exit code they end in."""

from __future__ import annotations

import argparse
import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TextIO, TypeVar

from functions.client.answers import EXIT_REFUSED, EXIT_UNREACHABLE, Unreachable
from functions.client.photos import Outcome

Shown = TypeVar("Shown")
FORMS = ("text", "json", "ndjson", "csv")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
Rows = Callable[[Mapping[str, Any]], Iterable[Mapping[str, Any]]]


def add_arguments(parser: argparse.ArgumentParser, forms: Iterable[str] = FORMS) -> None:
    """The option `--output`."""
    parser.add_argument(
        "--output", "-o", choices=tuple(forms), help="default: text on a terminal, else json (several files: an array)"
    )


def form(chosen: argparse.Namespace) -> str:
    """The form that was chosen, or the one that fits where the output goes."""
    return chosen.output or ("text" if sys.stdout.isatty() else "json")


def as_json(value: Any, out: TextIO, indent: int | None = None) -> str:
    """JSON with the letters as they are, where the output writes them in UTF-8, and else escaped, which is the same.

    JSON between programs is UTF-8 (RFC 8259, 8.1), in which a file's name that is no Unicode cannot be written either.
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    try:
        as_is = text.encode(out.encoding or "utf-8") == text.encode()
    except UnicodeEncodeError:
        as_is = False
    return text if as_is else json.dumps(value, indent=indent)


def make_lenient(out: TextIO) -> None:
    """Puts `?` for what the output's encoding does not have, or what no encoding has: names that are no Unicode."""
    if isinstance(out, io.TextIOWrapper) and out.errors in ("strict", "surrogateescape"):
        out.reconfigure(errors="replace")


def write(
    outcomes: Iterable[Outcome], kind: str, text: Callable[[Outcome], str], rows: Rows, several: bool, out: TextIO
) -> int:
    """Writes outcomes as they come; errors go to standard error too.

    Args:
        outcomes: what became of each file.
        kind: one of `FORMS`.
        text: one result as text.
        rows: one result as rows of a table.
        several: whether there was more than one file: JSON is then an array.
        out: where to.

    Returns:
        0; 1 where a file was refused or could not be read; 3 where the service answered nothing at all.
    """
    seen = _Seen()
    if kind == "csv":

        def lines(outcome: Outcome) -> list[dict[str, Any]]:
            return [{"file": str(outcome.path), **row} for row in rows(outcome.result)]

        _write_csv(seen.shown(outcomes, lines), out)
    elif kind == "ndjson":
        for outcome in seen.all(outcomes):
            out.write(as_json(_named(outcome), out) + "\n")
            out.flush()
    elif kind == "json":
        named = [_named(outcome) for outcome in seen.all(outcomes)]
        out.write(as_json(named if several else named[0], out) + "\n")
    else:
        out.writelines(seen.shown(outcomes, text))
    return seen.code


class _Seen:
    """Counts failures while outcomes pass through."""

    def __init__(self) -> None:
        self.total = self.failed = self.unreachable = 0

    def all(self, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        for outcome in outcomes:
            self.total += 1
            if outcome.error is not None:
                self.failed += 1
                self.unreachable += isinstance(outcome.error, Unreachable)
                print(f"pixelamp: {outcome.path}: {outcome.error}", file=sys.stderr)
            yield outcome

    def shown(self, outcomes: Iterable[Outcome], show: Callable[[Outcome], Shown]) -> Iterator[Shown]:
        """What `show` makes of each result; one of a form that no function gives is a failure like any other."""
        for outcome in self.all(outcomes):
            if outcome.error is not None:
                continue
            try:
                made = show(outcome)
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
                self.failed += 1
                print(
                    f"pixelamp: {outcome.path}: the answer has another form than expected: {error!r}", file=sys.stderr
                )
                continue
            yield made

    @property
    def code(self) -> int:
        if self.total and self.unreachable == self.total:
            return EXIT_UNREACHABLE
        return EXIT_REFUSED if self.failed else 0


def _named(outcome: Outcome) -> dict[str, Any]:
    if outcome.error is not None:
        return {"file": str(outcome.path), "error": str(outcome.error)}
    return {"file": str(outcome.path), **outcome.result}


def _write_csv(files: Iterable[list[dict[str, Any]]], out: TextIO) -> None:
    """One table of all files: its columns are those of any of them."""
    table = [row for rows in files for row in rows]
    columns = list(dict.fromkeys(name for row in table for name in row))
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([inert(name) for name in columns])
    writer.writerows([inert(row.get(name, "")) for name in columns] for row in table)


def inert(cell: Any) -> Any:
    """The cell with an apostrophe in front, where it begins like a formula and is not a number.

    The functions do the same to their own CSV; the client imports nothing of them.
    """
    if isinstance(cell, str) and cell.startswith(FORMULA) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell
