"""`pixelamp`: the subcommands, one module each."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module, metadata
from itertools import pairwise
from typing import NoReturn

from functions.client import output
from functions.client.responses import EXIT_OUTPUT, RequestFailedError

MODULES = ("histogram", "exif", "stress", "send", "events", "page")
SUBCOMMANDS = ("histogram", "exif", "stress", "send", "events", "open", "completion")
# Upgraded Octo Lamp's client has no subcommand, only these flags.
_OCTO_LAMP = ("--image", "--url", "--histogram")
_BEFORE = (*_OCTO_LAMP, "--token", "--timeout", "--retries", "--jobs")


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are not preceded by the list of all options."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\nOptions: {self.prog} --help\n")


def parser() -> argparse.ArgumentParser:
    """Return the command line; each subcommand's module adds its part and sets `run`."""
    command = _Parser(
        prog="pixelamp",
        description="Histograms, metadata and CPU load from Pixelamp's functions, wherever they run.",
        epilog="Exit codes: 0 done, 1 a file or request was refused, 2 wrong usage, 3 the service cannot be reached, "
        "4 the output cannot be written.",
    )
    command.add_argument("--version", action="version", version=f"pixelamp {metadata.version('pixelamp')}")
    subcommands = command.add_subparsers(title="subcommands", required=True, metavar="COMMAND")
    for name in MODULES:
        import_module(f"functions.client.{name}").add_parser(subcommands)
    return command


def _led_by_a_subcommand(arguments: list[str]) -> list[str]:
    """Return the arguments with the subcommand first, as in `pixelamp --url … exif photo.jpg`."""
    if not arguments or arguments[0].partition("=")[0] not in _BEFORE:
        return arguments
    for at, (before, word) in enumerate(pairwise(arguments), 1):
        if word in SUBCOMMANDS and before not in _BEFORE:
            return [word, *arguments[:at], *arguments[at + 1 :]]
    return ["histogram", *arguments]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = parser()
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete

        argcomplete.autocomplete(command)
    chosen = command.parse_args(_led_by_a_subcommand(arguments))
    if sys.stdout is None:  # a closed descriptor
        return _report("standard output is closed", EXIT_OUTPUT)
    output.make_lenient(sys.stdout)
    try:
        code = int(chosen.run(chosen))
        sys.stdout.flush()
    except RequestFailedError as error:
        return _report(str(error), error.code)
    except KeyboardInterrupt:  # so that a loop of the shell ends too
        _end_by(signal.SIGINT)
    except BrokenPipeError:  # `pixelamp … | head`
        _end_by(signal.SIGPIPE)
    except OSError as error:
        _end(_report(f"{error.filename or 'standard output'}: {error.strerror or error}", EXIT_OUTPUT))
    return code


def _end_by(number: signal.Signals) -> NoReturn:
    """End as the signal's default action does."""
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
    _end(128 + number)  # it is blocked


def _end(code: int) -> NoReturn:
    """Exit at once: an orderly exit would wait for threads that wait for responses."""
    sys.stderr.flush()
    os._exit(code)


def _report(message: str, code: int) -> int:
    print(f"pixelamp: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
