"""`pixelamp exif`: what pictures say about themselves, and copies that do not."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
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


def add_parser(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = subcommands.add_parser("exif", help="metadata, and clean copies without it", description=__doc__)
    photos.add_arguments(parser)
    output.add_arguments(parser)
    parser.add_argument("--tags", metavar="NAMES", help="only these, by comma: Make,Model")
    parser.add_argument("--groups", metavar="NAMES", help="only these, by comma: IFD0,GPS")
    parser.add_argument("--raw", action="store_true", help="long raw values, counts and offsets too")
    parser.add_argument("--strip", action="store_true", help="write copies without metadata too, to --out")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the copies, made if there is none")
    transport.add_arguments(parser)
    parser.set_defaults(run=lambda chosen: run(chosen, parser))


def run(chosen: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Run the subcommand and return its exit code."""
    try:
        paths = photos.expand(chosen.paths, SUFFIXES)
    except photos.NoFilesError as error:
        parser.error(str(error))
    if chosen.strip != (chosen.out is not None):
        parser.error("--strip and --out go together: --strip --out DIR")
    copies = photos.Copies(chosen.out, paths) if chosen.strip else None
    params = {"tags": chosen.tags, "groups": chosen.groups, "raw": chosen.raw}

    def work(service: Service, path: Path) -> Mapping[str, Any]:
        result = read(service, path, params)
        if copies:
            target = copies.place(path)
            copies.write(target, service.picture("POST", "/strip", data=path.read_bytes()))
            result["clean_copy"] = str(target)
        return result

    with Service.of(chosen, "exif") as service:
        outcomes = photos.each(paths, partial(work, service), chosen.jobs, photos.terminal(paths))
        return output.write(outcomes, output.form(chosen), _text, _rows, len(paths) > 1, sys.stdout)


def read(service: Service, path: Path, params: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata of a file, of which only the ranges that hold them are sent if it is large.

    Args:
        service: that reads it.
        path: of the file.
        params: of the request.
    """
    size = path.stat().st_size
    if size <= LARGE:
        return service.result("POST", data=path.read_bytes(), params=params, shape=_SHAPE)
    with path.open("rb") as file:
        ranges = [(0, file.read(FIRST))]
        header = {"Content-Range": _content_range(*ranges[0], size)}
        result = service.result("POST", data=ranges[0][1], params=params, headers=header, shape=_SHAPE)
        for need in result["ranges"]["needs"]:
            file.seek(need["offset"])
            ranges.append((need["offset"], file.read(need["bytes"])))
    if len(ranges) == 1:
        return result
    parts = [
        f"\r\n--{_BOUNDARY}\r\nContent-Range: {_content_range(start, data, size)}\r\n\r\n".encode() + data
        for start, data in ranges
    ]
    body = b"".join(parts)[2:] + f"\r\n--{_BOUNDARY}--\r\n".encode()
    header = {"Content-Type": f"multipart/byteranges; boundary={_BOUNDARY}"}
    return service.result("POST", data=body, params=params, headers=header, shape=_SHAPE)


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
    if "clean_copy" in result:
        lines.append(f"  clean copy: {result['clean_copy']}")
    return "\n".join([*lines, "", ""])


def _rows(result: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for group, tags in result["groups"].items():
        for tag, entry in tags.items():
            yield {"group": group, "tag": tag, "value": entry["value"] if isinstance(entry, Mapping) else entry}
