"""Many files at once: paths, folders and globs to files, uploads in parallel, progress, results in order."""

from __future__ import annotations

import argparse
import glob
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from functions.client.transport import Refused, Unreachable

SUFFIXES = {
    ".jpg", ".jpeg", ".jpe", ".mpo", ".png", ".apng", ".webp", ".heic", ".heif", ".hif", ".avif", ".gif", ".tif",
    ".tiff", ".bmp", ".jp2", ".j2k", ".pgm", ".ppm", ".pbm", ".pnm", ".pfm", ".ico",
}  # fmt: skip
_BAR = 30  # characters


class NoFiles(Exception):
    """The arguments name no file."""


@dataclass(frozen=True)
class Outcome:
    """What became of one file: its result, or the error it met."""

    path: Path
    result: Any = None
    error: Exception | None = None


def add_arguments(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """The options of subcommands that take images."""
    parser.add_argument("paths", nargs="+" if required else "*", metavar="PATH", help="image, folder or glob")
    parser.add_argument("--jobs", type=_positive, default=4, metavar="N", help="uploads at the same time")


def _positive(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, not {text!r}")
    return int(text)


def expand(arguments: Sequence[str]) -> list[Path]:
    """Files that the arguments name: themselves, the images of folders, what globs match; each once, in order.

    Raises:
        NoFiles: one of them names nothing.
    """
    found: dict[Path, None] = {}
    for argument in arguments:
        path = Path(argument)
        if path.is_dir():
            matches = sorted(each for each in path.rglob("*") if each.suffix.lower() in SUFFIXES and each.is_file())
        elif path.exists():
            matches = [path]
        else:
            names = glob.glob(argument, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
            matches = sorted(Path(name) for name in names if Path(name).is_file())
        if not matches:
            raise NoFiles(f"{argument}: no such file, folder with images, or match")
        found.update(dict.fromkeys(matches))
    return list(found)


def each(
    paths: Sequence[Path], work: Callable[[Path], Any], jobs: int, progress: IO[str] | None = None
) -> Iterator[Outcome]:
    """Does the work for each file, `jobs` at a time; outcomes in the order of the files, as soon as they are there.

    Args:
        paths: the files.
        work: called with a path, from several threads.
        jobs: threads.
        progress: a terminal to draw a bar on; None draws none.
    """

    def attempt(path: Path) -> Outcome:
        try:
            return Outcome(path, work(path))
        except (Refused, Unreachable, OSError) as error:
            return Outcome(path, error=error)

    with ThreadPoolExecutor(max_workers=jobs) as pool:
        try:
            for done, outcome in enumerate(pool.map(attempt, paths), 1):
                if progress is not None:
                    filled = _BAR * done // len(paths)
                    progress.write(f"\r{'█' * filled}{'░' * (_BAR - filled)} {done}/{len(paths)} ")
                    if done == len(paths):
                        progress.write(f"\r{' ' * (_BAR + 24)}\r")
                    progress.flush()
                yield outcome
        finally:
            pool.shutdown(cancel_futures=True)


def terminal(paths: Sequence[Path]) -> IO[str] | None:
    """Where to draw progress: standard error, if it is a terminal and there is more than one file."""
    return sys.stderr if sys.stderr.isatty() and len(paths) > 1 else None
