"""Many files: paths, folders and globs expanded, parallel uploads, progress, results in order."""

from __future__ import annotations

import argparse
import glob
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

from functions.client import arguments
from functions.client.responses import RequestFailedError

# Endings of formats that both functions read; each adds its own.
COMMON = frozenset((
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".heic", ".heif", ".hif", ".avif", ".gif",
    ".tif", ".tiff", ".bmp", ".dib", ".jp2", ".j2k", ".j2c", ".jpc", ".jpx", ".jpf",
))  # fmt: skip
_BAR = 30  # characters
STDIN = Path("-")


class NoFilesError(Exception):
    """The arguments name no file."""


@dataclass(frozen=True)
class Outcome:
    """The result of one file, or its error."""

    path: Path
    result: Any = None
    error: Exception | None = None


def add_arguments(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Add the options of subcommands that take images."""
    parser.add_argument(
        "paths", nargs="+" if required else "*", metavar="PATH", help="image, folder or glob; - for standard input"
    )
    parser.add_argument("--jobs", type=arguments.positive, default=4, metavar="N", help="uploads at the same time")


@cache
def _standard_input() -> bytes:
    return sys.stdin.buffer.read()


def contents(path: Path) -> bytes:
    """Return the bytes of a file, or of standard input for `-`."""
    return _standard_input() if path == STDIN else path.read_bytes()


def report_skipped(skipped: Counter[str], function: str) -> None:
    """Write to standard error how many files of folders were left out, by their endings."""
    if skipped:
        kinds = ", ".join(f"{count} {ending or 'without an ending'}" for ending, count in skipped.most_common(8))
        more = ", …" if len(skipped) > 8 else ""
        print(
            f"pixelamp: {skipped.total()} files skipped: {kinds}{more} (not formats that {function} reads; "
            "a file that is named itself is sent)",
            file=sys.stderr,
        )


def expand(named: Sequence[str], suffixes: Set[str], skipped: Counter[str] | None = None) -> list[Path]:
    """Return the files that the arguments name: files, images of folders, matches of globs; each once, in order.

    A file with several names, by links, is listed under the first.

    Args:
        named: the arguments.
        suffixes: endings of a folder's images, in lower case.
        skipped: counts the endings of a folder's other files.

    Raises:
        NoFilesError: an argument names nothing, or cannot be read.
    """
    found: dict[str, Path] = {}
    for argument in named:
        if argument == str(STDIN):
            found.setdefault(argument, STDIN)
            continue
        try:
            matches = _matches(argument, suffixes, Counter() if skipped is None else skipped)
        except OSError as error:
            raise NoFilesError(f"{argument}: {error.strerror}") from error
        if not matches:
            raise NoFilesError(f"{argument}: no such file, folder with images, or match")
        for path in matches:
            found.setdefault(os.path.realpath(path), path)
    return list(found.values())


def _matches(argument: str, suffixes: Set[str], skipped: Counter[str]) -> list[Path]:
    path = Path(argument)
    if path.is_dir():
        files = sorted(each for each in path.rglob("*") if each.is_file())
        skipped.update(each.suffix.lower() for each in files if each.suffix.lower() not in suffixes)
        return [each for each in files if each.suffix.lower() in suffixes]
    if path.exists():
        return [path]
    return sorted(Path(name) for name in _glob(argument) if Path(name).is_file())


def _glob(pattern: str) -> Iterator[str]:
    """What `glob.glob` matches, but through no folder twice: it follows a link to a folder above 40 levels deep."""
    parts = pattern.split("/")
    if "**" not in parts:
        yield from glob.glob(pattern)  # noqa: PTH207 - Path.glob takes no absolute pattern
        return
    at = parts.index("**")
    above, below = "".join(f"{part}/" for part in parts[:at]), "/".join(parts[at + 1 :]) or "*"
    for top in glob.glob(above) if above else ["."]:  # noqa: PTH207
        for folder in _folders(top):
            yield from _glob(f"{glob.escape(folder)}/{below}")


def _folders(top: str) -> Iterator[str]:
    """A folder and all below it but the hidden, each once: by its own name, or else by that of a link to it."""
    seen: set[str] = set()
    waiting = [top]
    while waiting:
        links = []
        for start in waiting:
            for folder, names, _ in os.walk(start):
                names[:] = sorted(name for name in names if not name.startswith("."))
                if (real := os.path.realpath(folder)) in seen:
                    names.clear()
                    continue
                seen.add(real)
                yield folder
                links += [path for name in names if os.path.islink(path := os.path.join(folder, name))]  # noqa: PTH114, PTH118
        waiting = links


class Copies:
    """A folder of copies, where each has the place of its picture: equal names in two folders stay apart.

    Args:
        folder: the target, made if it does not exist.
        paths: all the pictures.
    """

    def __init__(self, folder: Path, paths: Sequence[Path]) -> None:
        self._folder = folder
        self._originals = {os.path.realpath(path) for path in paths}
        # Without `..`, which would lead out of the folder.
        self._places = {path: os.path.abspath(path) for path in paths}  # noqa: PTH100 - Path.absolute keeps `..`
        self._common = os.path.commonpath([os.path.dirname(place) for place in self._places.values()])  # noqa: PTH120

    def place(self, path: Path, ending: str = "") -> Path:
        """Return where the copy of a picture goes; the ending is added to the whole name."""
        return self._folder / (os.path.relpath(self._places[path], self._common) + ending)

    def write(self, target: Path, data: bytes) -> None:
        """Write the copy of one picture.

        Raises:
            OSError: it cannot be written, or would take the place of a picture.
        """
        if os.path.realpath(target) in self._originals:
            raise OSError(f"{target} is one of the pictures themselves; name another place")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def each(
    paths: Sequence[Path], work: Callable[[Path], Any], jobs: int, progress: IO[str] | None = None
) -> Iterator[Outcome]:
    """Yield the outcome of each file in order, as soon as it is known; `jobs` files are processed at a time.

    Args:
        paths: the files.
        work: called with a path, from several threads.
        jobs: threads.
        progress: a terminal to draw a bar on; None draws none.
    """

    def attempt(path: Path) -> Outcome:
        try:
            return Outcome(path, work(path))
        except (RequestFailedError, OSError) as error:
            return Outcome(path, error=error)

    pool = ThreadPoolExecutor(max_workers=jobs)
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
        # Do not wait for uploads that are under way: a response may take minutes.
        pool.shutdown(wait=False, cancel_futures=True)


def terminal(paths: Sequence[Path]) -> IO[str] | None:
    """Where to draw progress: standard error, if it is a terminal and there is more than one file."""
    return sys.stderr if sys.stderr.isatty() and len(paths) > 1 else None
