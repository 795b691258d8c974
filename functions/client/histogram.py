"""`pixelamp histogram`: counts, figures and plots of images."""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from functions.client import output, photos, terminal, transport
from functions.client.photos import Outcome
from functions.client.responses import JsonMapping, RefusedError
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
_COUNTING = (
    "channels", "bins", "region", "orientation", "range", "percentiles", "ignore_transparent", "approximate", "frame",
    "cumulative", "normalize", "space", "luminance", "raw", "colours",
)  # fmt: skip
_DRAWING = ("width", "height", "kind", "scale", "theme", "title", "engine")


def add_parser(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = subcommands.add_parser("histogram", help="exact histograms, drawn here or as files", description=__doc__)
    photos.add_arguments(parser, required=False)
    parser.add_argument("--image", action="append", default=[], metavar="PATH", help="the same as PATH")
    parser.add_argument(
        "--plot",
        "--histogram",
        metavar="OUT",
        help="write the plot: .png, .svg or .pdf; a folder for several, or with / at its end",
    )
    output.add_arguments(parser)
    parser.add_argument("--csv", dest="output", action="store_const", const="csv", help="the same as --output csv")
    parser.add_argument("--figures", action="store_true", help="of CSV: a row a photo with its figures, not its counts")
    parser.add_argument("--compare", action="store_true", help="send all together, and compare each with the first one")
    counting = parser.add_argument_group("counting")
    counting.add_argument("--channels", metavar="NAMES", help="by comma, such as red,luminance")
    counting.add_argument("--bins", type=int, help="2 to 256, a power of two; 65536 for 16-bit gray")
    counting.add_argument("--region", metavar="X,Y,W,H", help="count inside this rectangle, in pixels")
    counting.add_argument("--orientation", choices=("stored", "displayed"), help="of the image that the region is of")
    counting.add_argument("--range", metavar="LOW,HIGH", help="lowest and highest value that the bins cover")
    counting.add_argument(
        "--percentiles", metavar="NUMBERS", help="levels at these percentages of the pixels, by comma"
    )
    counting.add_argument("--space", choices=("encoded", "linear", "display"), help="of the values that are counted")
    counting.add_argument("--luminance", choices=("601", "709", "y"), help="of red, green and blue")
    counting.add_argument("--raw", action="store_true", help="the sensor's values of a camera raw, not its preview")
    counting.add_argument("--colours", type=int, metavar="N", help="dominant colours at most; 0 for none")
    counting.add_argument("--ignore-transparent", action="store_true", help="leave out fully transparent pixels")
    counting.add_argument("--approximate", type=int, choices=(2, 4, 8), help="decode JPEG at this fraction of its size")
    counting.add_argument("--frame", type=int, help="frame or page, from 0")
    counting.add_argument("--cumulative", action="store_true", help="running totals")
    counting.add_argument("--normalize", action="store_true", help="shares of the pixels")
    drawing = parser.add_argument_group("plot")
    drawing.add_argument("--width", type=int, help="pixels")
    drawing.add_argument("--height", type=int, help="pixels")
    drawing.add_argument("--scale", choices=("linear", "sqrt", "log"))
    drawing.add_argument("--kind", choices=("overlay", "parade", "waveform", "vectorscope"))
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
    skipped: Counter[str] = Counter()
    try:
        paths = photos.expand(arguments, SUFFIXES, skipped)
    except photos.NoFilesError as error:
        parser.error(str(error))
    several = len(paths) > 1
    if chosen.compare and (chosen.plot or not several):
        parser.error("--compare takes several images, and no --plot")
    out = Path(chosen.plot) if chosen.plot else Path()
    into_folder = several or out.is_dir() or str(chosen.plot).endswith("/")
    if chosen.plot and not into_folder and out.suffix.lower() not in PLOTS:
        parser.error(f"--plot {out}: expected the ending {', '.join(PLOTS)}, or / for a folder")
    plots = photos.Copies(out, paths) if chosen.plot else None
    counting = {name: getattr(chosen, name) for name in _COUNTING}
    drawing = {name: getattr(chosen, name) for name in _DRAWING}

    def work(service: Service, path: Path) -> JsonMapping:
        data = photos.contents(path)
        result = service.result("POST", data=data, params=counting, shape=_SHAPE)
        if plots:
            target = plots.place(path, ".png") if into_folder else out
            form, media = PLOTS[target.suffix.lower()]
            params = {**counting, **drawing, "format": form}
            plots.write(target, service.picture("POST", data=data, params=params, media=media))
        return result

    with Service.of(chosen, "histogram") as service:
        if chosen.compare:
            outcomes = _compared(service, paths, counting)
        else:
            outcomes = photos.each(paths, partial(work, service), chosen.jobs, photos.terminal(paths))
        rows = _figures if chosen.figures else _rows
        code = output.write(outcomes, output.form(chosen), _text, rows, several, sys.stdout)
    photos.report_skipped(skipped, "histogram")
    return code


def _compared(service: Service, paths: Sequence[Path], counting: JsonMapping) -> Iterator[Outcome]:
    """The results of one request with all files, each but the first with its distances from the first."""
    from urllib3.filepost import encode_multipart_formdata

    body, kind = encode_multipart_formdata([("file", (path.name, photos.contents(path))) for path in paths])
    params, headers = {**counting, "compare": True}, {"Content-Type": kind}
    answer = service.result("POST", data=body, params=params, headers=headers, shape={"results": list})
    for path, result in zip(paths, answer["results"], strict=True):
        if "histogram" in result:
            yield Outcome(path, result)
        else:
            yield Outcome(path, error=RefusedError(result.get("status", 0), result.get("problem", result)))


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
    if compared := result.get("compare"):
        lines.append("  " + ", ".join(f"{name} {value}" for name, value in compared.items()))
    return "\n".join([*lines, "", ""])


def _figures(result: JsonMapping) -> Iterator[JsonMapping]:
    """One row of a photo: its size, verdict, and the figures of each channel."""
    row = {"width": result["size"][0], "height": result["size"][1], "verdict": result["verdict"]}
    for channel, figures in result["figures"].items():
        row |= {f"{channel}_{name}": value for name, value in (figures or {}).items()}
    for channel, levels in (result.get("percentiles") or {}).items():
        row |= {f"{channel}_{name}%": level for name, level in levels.items()}
    yield row | {f"compare_{name}": value for name, value in (result.get("compare") or {}).items()}


def _rows(result: JsonMapping) -> Iterator[JsonMapping]:
    names = ["luminance", *result["channels"]]
    series = [result["histogram"], *result["channels"].values()]
    width = max(1, 256 // result["bins"])
    for index, counts in enumerate(zip(*series, strict=True)):
        yield {"level": index * width, **dict(zip(names, counts, strict=True))}
