"""`pixelamp histogram`: counts, figures and plots of images."""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from functions.client import output, photos, terminal, transport
from functions.client.photos import Outcome
from functions.client.transport import Service

SUFFIXES = photos.COMMON | {".pgm", ".ppm", ".pbm", ".pnm", ".pfm", ".ico"}
# The option `format` and the media type, by the end of a file's name.
PLOTS = {
    ".png": ("png", "image/png"),
    ".svg": ("svg", "image/svg+xml"),
    ".pdf": ("pdf", "application/pdf"),
}
_SHAPE = {
    "histogram": list, "channels": dict, "size": list, "format": str, "mode": str, "bins": int, "verdict": str,
    "figures": dict, "colours": list,
}  # fmt: skip
_COUNTING = ("channels", "bins", "region", "ignore_transparent", "approximate", "frame", "cumulative", "normalize")
_DRAWING = ("width", "height", "scale", "theme", "title", "engine")


def add_parser(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = subcommands.add_parser("histogram", help="exact histograms, drawn here or as files", description=__doc__)
    photos.add_arguments(parser, required=False)
    parser.add_argument("--image", action="append", default=[], metavar="PATH", help="the same as PATH")
    parser.add_argument(
        "--plot",
        "--histogram",
        type=Path,
        metavar="OUT",
        help="write the plot: .png, .svg or .pdf; a folder for several",
    )
    output.add_arguments(parser)
    counting = parser.add_argument_group("counting")
    counting.add_argument("--channels", metavar="NAMES", help="by comma, such as red,luminance")
    counting.add_argument("--bins", type=int, help="2 to 256, a power of two; 65536 for 16-bit gray")
    counting.add_argument("--region", metavar="X,Y,W,H", help="count inside this rectangle, in pixels")
    counting.add_argument("--ignore-transparent", action="store_true", help="leave out fully transparent pixels")
    counting.add_argument("--approximate", type=int, choices=(2, 4, 8), help="decode JPEG at this fraction of its size")
    counting.add_argument("--frame", type=int, help="frame or page, from 0")
    counting.add_argument("--cumulative", action="store_true", help="running totals")
    counting.add_argument("--normalize", action="store_true", help="shares of the pixels")
    drawing = parser.add_argument_group("plot")
    drawing.add_argument("--width", type=int, help="pixels")
    drawing.add_argument("--height", type=int, help="pixels")
    drawing.add_argument("--scale", choices=("linear", "log"))
    drawing.add_argument("--theme", choices=("light", "dark"))
    drawing.add_argument("--title")
    drawing.add_argument("--engine", choices=("fast", "matplotlib"))
    transport.add_arguments(parser)
    parser.set_defaults(run=lambda chosen: run(chosen, parser))


def run(chosen: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Run the subcommand and return its exit code."""
    arguments = [*chosen.paths, *chosen.image]
    if not arguments:
        parser.error("name at least one image, folder or glob")
    try:
        paths = photos.expand(arguments, SUFFIXES)
    except photos.NoFilesError as error:
        parser.error(str(error))
    several = len(paths) > 1
    if chosen.plot and not several and not chosen.plot.is_dir() and chosen.plot.suffix.lower() not in PLOTS:
        parser.error(f"--plot {chosen.plot}: expected the ending {', '.join(PLOTS)}")
    plots = photos.Copies(chosen.plot, paths) if chosen.plot else None
    into_folder = several or (plots is not None and chosen.plot.is_dir())
    counting = {name: getattr(chosen, name) for name in _COUNTING}
    drawing = {name: getattr(chosen, name) for name in _DRAWING}

    def work(service: Service, path: Path) -> Mapping[str, Any]:
        data = path.read_bytes()
        result = service.result("POST", data=data, params=counting, shape=_SHAPE)
        if plots:
            target = plots.place(path, ".png") if into_folder else chosen.plot
            form, media = PLOTS[target.suffix.lower()]
            params = {**counting, **drawing, "format": form}
            plots.write(target, service.picture("POST", data=data, params=params, media=media))
        return result

    with Service.of(chosen, "histogram") as service:
        outcomes = photos.each(paths, partial(work, service), chosen.jobs, photos.terminal(paths))
        return output.write(outcomes, output.form(chosen), _text, _rows, several, sys.stdout)


def _text(outcome: Outcome) -> str:
    result = outcome.result
    width, height = result["size"]
    columns = min(128, shutil.get_terminal_size().columns - 2)
    lines = [f"{outcome.path}: {width} × {height}, {result['format']}, {result['mode']}", f"  {result['verdict']}"]
    lines += [f"  {line}".rstrip() for line in terminal.draw(result["histogram"], columns)]
    lines.append("  channel        min    max     mean  median  stddev  shadows  highlights")
    for name, figure in result["figures"].items():
        if figure is not None:
            lines.append(
                f"  {name:<12}{figure['min']:>6}{figure['max']:>7}{figure['mean']:>9.1f}{figure['median']:>8}"
                f"{figure['stddev']:>8.1f}{figure['clipped_shadows']:>7.1f} %{figure['clipped_highlights']:>9.1f} %"
            )
    colours = "  ".join(f"{colour['hex']} {colour['percent']:g}%" for colour in result["colours"])
    lines += textwrap.wrap(colours, columns, initial_indent="  ", subsequent_indent="  ")
    return "\n".join([*lines, "", ""])


def _rows(result: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    names = ["luminance", *result["channels"]]
    series = [result["histogram"], *result["channels"].values()]
    width = max(1, 256 // result["bins"])
    for index, counts in enumerate(zip(*series, strict=True)):
        yield {"level": index * width, **dict(zip(names, counts, strict=True))}
