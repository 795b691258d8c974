"""Results on standard output as text, JSON, NDJSON or CSV, and the exit code that follows from them."""

from __future__ import annotations

import argparse
import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TextIO, TypeVar

from functions.client.photos import Outcome
from functions.client.responses import EXIT_REFUSED, EXIT_UNREACHABLE, Json, JsonMapping, JsonObject, UnreachableError

Shown = TypeVar("Shown")
FORMS = ("text", "json", "ndjson", "csv")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
Rows = Callable[[JsonMapping], Iterable[JsonMapping]]


def add_arguments(parser: argparse.ArgumentParser, forms: Iterable[str] = FORMS) -> None:
    """Add the option `--output`."""
    parser.add_argument(
        "--output", "-o", choices=tuple(forms), help="default: text on a terminal, else json (several files: an array)"
    )


def form(chosen: argparse.Namespace) -> str:
    """Return the chosen form, or the default for where the output goes."""
    return chosen.output or ("text" if sys.stdout.isatty() else "json")


def as_json(value: Json, out: TextIO, indent: int | None = None) -> str:
    """Return JSON, with letters outside ASCII unescaped if the output is UTF-8.

    JSON between programs is UTF-8 (RFC 8259, 8.1), which cannot hold a file name that is not Unicode.
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    try:
        as_is = text.encode(out.encoding or "utf-8") == text.encode()
    except UnicodeEncodeError:
        as_is = False
    return text if as_is else json.dumps(value, indent=indent)


def make_lenient(out: TextIO) -> None:
    """Make a stream write `?` for characters that its encoding lacks, and for names that are not Unicode."""
    if isinstance(out, io.TextIOWrapper) and out.errors in ("strict", "surrogateescape"):
        out.reconfigure(errors="replace")


def write(
    outcomes: Iterable[Outcome], kind: str, text: Callable[[Outcome], str], rows: Rows, several: bool, out: TextIO
) -> int:
    """Write outcomes as they arrive; errors go to standard error too.

    Args:
        outcomes: result or error of each file.
        kind: one of `FORMS`.
        text: one result as text.
        rows: one result as rows of a table.
        several: whether there was more than one file: JSON is then an array.
        out: the stream.

    Returns:
        0; 1 where a file was refused or could not be read; 3 if the service never responded.
    """
    seen = _Seen()
    if kind == "csv":

        def lines(outcome: Outcome) -> list[JsonObject]:
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
    """A counter of failures in a stream of outcomes."""

    def __init__(self) -> None:
        self.total = self.failed = self.unreachable = 0

    def all(self, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        for outcome in outcomes:
            self.total += 1
            if outcome.error is not None:
                self.failed += 1
                self.unreachable += isinstance(outcome.error, UnreachableError)
                print(f"pixelamp: {outcome.path}: {outcome.error}", file=sys.stderr)
            yield outcome

    def shown(self, outcomes: Iterable[Outcome], show: Callable[[Outcome], Shown]) -> Iterator[Shown]:
        """Yield what `show` returns for each result; a result of an unexpected form counts as a failure."""
        for outcome in self.all(outcomes):
            if outcome.error is not None:
                continue
            try:
                made = show(outcome)
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
                self.failed += 1
                print(f"pixelamp: {outcome.path}: unexpected form of the response: {error!r}", file=sys.stderr)
                continue
            yield made

    @property
    def code(self) -> int:
        if self.total and self.unreachable == self.total:
            return EXIT_UNREACHABLE
        return EXIT_REFUSED if self.failed else 0


def _named(outcome: Outcome) -> JsonObject:
    if outcome.error is not None:
        return {"file": str(outcome.path), "error": str(outcome.error)}
    return {"file": str(outcome.path), **outcome.result}


def _write_csv(files: Iterable[list[JsonObject]], out: TextIO) -> None:
    """Write one table with the columns of all files."""
    table = [row for rows in files for row in rows]
    columns = list(dict.fromkeys(name for row in table for name in row))
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([inert(name) for name in columns])
    writer.writerows([inert(row.get(name, "")) for name in columns] for row in table)


def inert(cell: Json) -> Json:
    """Return the cell, with a leading apostrophe if it begins like a formula and is not a number.

    The functions do the same in their own CSV; the client does not import them.
    """
    if isinstance(cell, str) and cell.startswith(FORMULA) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell
