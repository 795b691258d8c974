"""`pixelamp exif`: what pictures say about themselves, and copies that do not."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from functions.client import output, photos, transport
from functions.client.photos import Outcome
from functions.client.transport import Service

# Raw files of more makers than it names are TIFF inside, and read as such.
SUFFIXES = photos.COMMON | {
    ".exv", ".jpm", ".jxl", ".btf", ".jxr", ".wdp", ".hdp", ".psd", ".psb", ".cr2", ".cr3", ".nef", ".nrw", ".dng",
    ".arw", ".sr2", ".srf", ".srw", ".rw2", ".rwl", ".orf", ".pef", ".raf", ".mrw", ".3fr", ".fff", ".iiq", ".erf",
    ".kdc", ".dcr", ".mef", ".mos", ".crw", ".x3f",
}  # fmt: skip
# Files that are larger are sent in ranges: the first one, then those that the answer asks for.
LARGE, FIRST = 32 * 2**20, 480 * 2**10
_BOUNDARY = "pixelamp-ranges"
_SHAPE = {"groups": dict, "summary": str, "privacy": dict}
FIELDS = ("artist", "copyright", "description", "date", "orientation", "gps")


def add_parser(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = subcommands.add_parser("exif", help="metadata, and clean copies without it", description=__doc__)
    photos.add_arguments(parser)
    output.add_arguments(parser)
    parser.add_argument("--tags", metavar="NAMES", help="only these, by comma: Make,Model")
    parser.add_argument("--groups", metavar="NAMES", help="only these, by comma: IFD0,GPS")
    parser.add_argument("--raw", action="store_true", help="long raw values, counts and offsets too")
    parser.add_argument("--flat", action="store_true", help="one flat table, as ExifTool prints it; CSV: a row a photo")
    parser.add_argument("--csv", dest="output", action="store_const", const="csv", help="the same as --output csv")
    copies = parser.add_argument_group("copies")
    which = copies.add_mutually_exclusive_group()
    which.add_argument("--strip", action="store_true", help="write copies without metadata too, to --out")
    which.add_argument(
        "--set", action="append", type=_field, metavar="FIELD=VALUE", help=f"write copies with {', '.join(FIELDS)} set"
    )
    which.add_argument("--thumbnail", action="store_true", help="write the embedded thumbnails to --out")
    copies.add_argument("--keep", metavar="NAMES", help="of --strip: what stays, by comma: icc,copyright,artist")
    copies.add_argument("--remove", choices=("gps",), help="of --strip: only this goes, all else stays")
    copies.add_argument("--out", type=Path, metavar="DIR", help="folder of the copies, made if it does not exist")
    transport.add_arguments(parser)
    parser.set_defaults(run=lambda chosen: run(chosen, parser))


def run(chosen: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Run the subcommand and return its exit code."""
    skipped: Counter[str] = Counter()
    try:
        paths = photos.expand(chosen.paths, SUFFIXES, skipped)
    except photos.NoFilesError as error:
        parser.error(str(error))
    copy = _copy(chosen, parser)
    copies = photos.Copies(chosen.out, paths) if copy else None
    params = {"tags": chosen.tags, "groups": chosen.groups, "raw": chosen.raw, "flat": chosen.flat}

    def work(service: Service, path: Path) -> Mapping[str, Any]:
        result = read(service, path, params)
        if copy and copies:
            name, ending, make = copy
            target = copies.place(path, ending)
            copies.write(target, make(service, photos.contents(path)))
            result[name] = str(target)
        return result

    show, rows = (_flat_text, _flat_rows) if chosen.flat else (_text, _rows)
    with Service.of(chosen, "exif") as service:
        outcomes = photos.each(paths, partial(work, service), chosen.jobs, photos.terminal(paths))
        code = output.write(outcomes, output.form(chosen), show, rows, len(paths) > 1, sys.stdout)
    photos.report_skipped(skipped, "exif")
    return code


def _field(text: str) -> tuple[str, str]:
    """Return name and value of a field to set."""
    name, equals, value = text.partition("=")
    if not equals or name not in FIELDS:
        raise argparse.ArgumentTypeError(f"expected FIELD=VALUE with a field of {', '.join(FIELDS)}, got {text!r}")
    return name, value


_Copy = tuple[str, str, Callable[[Service, bytes], bytes]]


def _copy(chosen: argparse.Namespace, parser: argparse.ArgumentParser) -> _Copy | None:
    """Return the member that names the copy, what is added to the file's name, and what makes it; None for no copy."""
    asked = chosen.strip or bool(chosen.set) or chosen.thumbnail
    if asked != (chosen.out is not None):
        parser.error("--strip, --set and --thumbnail need --out DIR")
    if (chosen.keep or chosen.remove) and not chosen.strip:
        parser.error("--keep and --remove need --strip")
    if chosen.strip:
        params = {"keep": chosen.keep, "remove": chosen.remove}
        return "clean_copy", "", lambda service, data: service.picture("POST", "/strip", data=data, params=params)
    if chosen.set:
        fields = dict(chosen.set)
        return "copy", "", lambda service, data: service.picture("POST", "/set", data=data, params=fields)
    if chosen.thumbnail:
        one = {"thumbnail": 1}
        return "thumbnail", ".jpg", lambda service, data: service.picture("POST", data=data, params=one)
    return None


def read(service: Service, path: Path, params: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata of a file, of which only the ranges that hold them are sent if it is large.

    Args:
        service: that reads it.
        path: of the file.
        params: of the request.
    """
    shape = {} if params.get("flat") else _SHAPE
    size = 0 if path == photos.STDIN else path.stat().st_size
    if size <= LARGE:
        return service.result("POST", data=photos.contents(path), params=params, shape=shape)
    with path.open("rb") as file:
        ranges = [(0, file.read(FIRST))]
        header = {"Content-Range": _content_range(*ranges[0], size)}
        whole = {**params, "flat": False}
        result = service.result("POST", data=ranges[0][1], params=whole, headers=header, shape=_SHAPE)
        for need in result["ranges"]["needs"]:
            file.seek(need["offset"])
            ranges.append((need["offset"], file.read(need["bytes"])))
    if len(ranges) == 1 and not params.get("flat"):
        return result
    parts = [
        f"\r\n--{_BOUNDARY}\r\nContent-Range: {_content_range(start, data, size)}\r\n\r\n".encode() + data
        for start, data in ranges
    ]
    body = b"".join(parts)[2:] + f"\r\n--{_BOUNDARY}--\r\n".encode()
    header = {"Content-Type": f"multipart/byteranges; boundary={_BOUNDARY}"}
    return service.result("POST", data=body, params=params, headers=header, shape=shape)


def _content_range(start: int, data: bytes, size: int) -> str:
    return f"bytes {start}-{start + len(data) - 1}/{size}"


def _text(outcome: Outcome) -> str:
    result = outcome.result
    lines = [f"{outcome.path}: {result.get('summary') or 'no metadata'}"]
    privacy = result.get("privacy") or {}
    if sentence := privacy.get("sentence"):
        lines.append(f"  {sentence}")
    lines += [
        f"  not read: {part['kind']} ({part['place']}), {part['bytes']:,} bytes"
        for part in privacy.get("not_read") or ()
    ]
    lines += [f"  {row['group'] + ':' + row['tag']:<38} {row['value']}" for row in _rows(result)]
    return "\n".join([*lines, *_made(result), "", ""])


def _made(result: Mapping[str, Any]) -> list[str]:
    return [
        f"  {name.replace('_', ' ')}: {result[name]}" for name in ("clean_copy", "copy", "thumbnail") if name in result
    ]


def _flat_text(outcome: Outcome) -> str:
    lines = [f"  {name:<38} {value}" for name, value in outcome.result.items() if ":" in name]
    return "\n".join([f"{outcome.path}:", *lines, *_made(outcome.result), "", ""])


def _flat_rows(result: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield {name: value if isinstance(value, str | int | float) else str(value) for name, value in result.items()}


def _rows(result: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for group, tags in result["groups"].items():
        for tag, entry in tags.items():
            yield {"group": group, "tag": tag, "value": entry["value"] if isinstance(entry, Mapping) else entry}
