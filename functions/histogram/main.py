"""The histogram function: HTTP and events around `functions.histogram.analysis`.

The analysis is imported with the first image: a pod is ready before it has to know how to count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from functions.histogram import answers
from functions.histogram.answers import MEDIA_TYPES, MIXED, Result
from functions.histogram.counting.model import CHANNELS, LEVELS, LUMINANCES, MOST_LEVELS, SPACES, Region, Share
from functions.histogram.plots import SCOPES
from functions.kit.http import jsontext, problems
from functions.kit.http.function import HTML, Call, EventRoute, Function, Reply, Route, wants_page
from functions.kit.http.options import Option, choice, decimal, flag, integer, names, numbers, parsed, text
from functions.kit.http.problems import Problem
from functions.kit.http.service import dispatch
from functions.kit.http.settings import MEBI, Settings, setting
from functions.kit.http.uploads import Upload, the_image
from functions.kit.jsontypes import JsonMapping
from functions.kit.telemetry.reporting import project_version

if TYPE_CHECKING:
    from flask import Request, Response

    from functions.histogram.result import Analysis

_PERCENT = re.compile(r"\d{1,3}(\.\d{1,6})?%", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,15})?(e[+-]?\d{1,2})?", re.ASCII)
# The plot's fills are blended by a style; a file opened from the function's own address has to be allowed that.
_SVG_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"


@dataclass(frozen=True, kw_only=True)
class HistogramSettings(Settings):
    """Settings of the histogram function."""

    max_bytes: int = setting(512 * MEBI, minimum=1, maximum=2**31, unit="bytes", help="largest request body")
    max_pixels: int = setting(
        1_000_000_000,
        minimum=1,
        maximum=2**31,
        unit="pixels",
        help="largest image, frame by frame, before it is decoded",
    )
    spool_bytes: int = setting(
        1024 * MEBI, minimum=0, maximum=2**40, unit="bytes", help="budget on disk for bodies above 32 MiB; 0: in memory"
    )
    decode_bytes: int = setting(
        1024 * MEBI,
        minimum=1,
        maximum=2**40,
        unit="bytes",
        help="estimated memory of a decode that is not done in strips",
    )
    decode_seconds: int = setting(
        50,
        minimum=1,
        maximum=600,
        unit="s",
        help="time for an image of more than 50 megapixels, in a process of its own",
    )


def _region(value: str) -> Region | Share:
    parts = value.split(",")
    if len(parts) == 4 and all(part.isascii() and part.isdigit() and len(part) <= 9 for part in parts):
        return Region(*map(int, parts))
    if len(parts) == 4 and all(_PERCENT.fullmatch(part) for part in parts):
        share = Share(*(float(part[:-1]) for part in parts))
        if share.width > 0 and share.height > 0 and share.x + share.width <= 100 and share.y + share.height <= 100:
            return share
    raise ValueError("expected x,y,width,height in whole pixels, or in percent (10%,10%,50%,50%) inside the image")


def _range(value: str) -> tuple[float, float]:
    parts = value.split(",")
    if len(parts) != 2 or not all(_NUMBER.fullmatch(part) for part in parts):
        raise ValueError("expected the lowest and the highest value, such as 0,4095")
    low, high = map(decimal, parts)
    if not low < high:
        raise ValueError("expected a range whose first value is the lower one")
    return low, high


def _percentages(value: str) -> tuple[float, ...]:
    parts = [part.strip() for part in value.split(",") if part.strip()]
    if len(parts) > 32 or not all(_NUMBER.fullmatch(part) and 0 <= float(part) <= 100 for part in parts):
        raise ValueError("expected at most 32 numbers from 0 to 100, by comma")
    return tuple(map(decimal, parts))


CHOICES = (
    Option(
        "channels",
        names("luminance", *CHANNELS),
        (),
        "which channels, by comma, all that are present if not given; numbers have the luminance always",
    ),
    Option(
        "bins",
        numbers(*(2**power for power in range(1, MOST_LEVELS.bit_length()))),
        LEVELS,
        "more than 256 for images of more than 8 bits a sample",
    ),
    Option(
        "region",
        parsed(_region, r"^\d+,\d+,\d+,\d+$|^[\d.]+%,[\d.]+%,[\d.]+%,[\d.]+%$"),
        None,
        "x,y,width,height in pixels, or each in percent",
    ),
    Option("orientation", choice("stored", "displayed"), "stored", "of the image that the region is of"),
    Option("range", parsed(_range, r"^-?[\d.e+-]+,-?[\d.e+-]+$"), None, "lowest and highest value that the bins cover"),
    Option("percentiles", parsed(_percentages, r"^[\d.,]*$"), (), "levels at these percentages of the pixels"),
    Option("ignore_transparent", flag(), False, "leave out pixels that are fully transparent"),
    Option("approximate", numbers(2, 4, 8), None, "decode a JPEG at this fraction of its size; exact if not given"),
    Option("frame", integer(0, 100_000), 0, "frame or page, counted from 0"),
    Option("cumulative", flag(), False, "running totals instead of counts"),
    Option("normalize", flag(), False, "shares of the pixels instead of counts"),
    Option(
        "space",
        choice(*SPACES),
        "encoded",
        "that is counted: values as they are, light (the curve of the profile or of sRGB undone), or sRGB of a display",
    ),
    Option("luminance", choice(*LUMINANCES), "601", "of red, green and blue: luma by Rec. 601 or 709, or Y of CIE"),
    Option("raw", flag(), False, "count the sensor's values of a camera raw, not its preview (extra histogram-raw)"),
    Option("colours", integer(0, 16), 6, "dominant colours at most; 0 for none"),
)
COMPARE = Option("compare", flag(), False, "with several files and JSON: compare each with the first one")
LOOKS = (
    COMPARE,
    Option("format", choice(*MEDIA_TYPES), None, "answer as this, whatever the Accept header says"),
    Option("table", choice("counts", "figures"), "counts", "of CSV: a line a bin, or a line a file with its figures"),
    Option("width", integer(32, 4096), 640, "of the plot, pixels"),
    Option("height", integer(32, 4096), 400, "of the plot, pixels"),
    Option(
        "kind",
        choice("overlay", "parade", *SCOPES),
        "overlay",
        "of plot: all channels in one, one beside the other, levels by column, colours by hue and saturation",
    ),
    Option("scale", choice("linear", "sqrt", "log"), "linear", "of the plot's vertical axis"),
    Option("theme", choice("light", "dark"), "light", "of the plot"),
    Option("title", text(200), "", "above the plot"),
    Option("marks", flag(), True, "mark clipped shadows and highlights in the plot"),
    Option("engine", choice("fast", "matplotlib"), None, "who draws the plot; PDF is always matplotlib's"),
)


def histogram(request: Request) -> Response:
    """The functions framework's target."""
    return dispatch(FUNCTION, request)


def count(call: Call) -> Reply:
    """Histograms of the images of a request."""
    options = call.options
    kind, mixed = _kind(call)
    if kind == "pdf" and options["engine"] == "fast":
        raise problems.bad_option("engine", "PDF is drawn by matplotlib alone")
    uploads = call.uploads()
    several = len(uploads) > 1
    if not several:
        uploads = [the_image(uploads)]
    one_body = kind in {"json", "ndjson"} or (kind == "csv" and options["table"] == "figures")
    mixed = mixed or (several and not one_body)
    shape = MIXED if mixed else HTML if kind == "json" and wants_page(call.request) else MEDIA_TYPES[kind]
    tag = _tag(uploads, kind, shape, options)
    headers = {"ETag": f'"{tag}"', "Vary": "Accept"}
    known = call.request.if_none_match
    # `*` is any answer: whether these bytes have one at all is known when they have been counted.
    if not known.star_tag and known.contains_weak(tag):
        return Reply(b"", MEDIA_TYPES[kind], 304, headers)
    if kind == "ndjson":
        return Reply(_lines(call, uploads), MEDIA_TYPES[kind], headers=headers)
    if kind == "csv" and options["table"] == "figures":
        return Reply(
            answers.figures(uploads, [_attempt(call, "json", upload) for upload in uploads]),
            answers.content_type(kind),
            headers=headers,
        )
    if several:
        results = [_attempt(call, kind, upload) for upload in uploads]
        if mixed:
            return answers.parts(kind, uploads, results, headers)
        members = [{"name": upload.name, **answers.member(one)} for upload, one in zip(uploads, results, strict=True)]
        if options["compare"]:
            answers.compare(members, options)
        return Reply({"results": members}, headers=headers)
    result = _result(call, kind, uploads[0])
    if mixed:
        return answers.parts(kind, uploads, [result], headers)
    if kind == "svg":
        headers["Content-Security-Policy"] = _SVG_POLICY
    return Reply(result, answers.content_type(kind), headers=headers)


def _lines(call: Call, uploads: list[Upload]) -> Iterator[bytes]:
    """A line of JSON for each file as soon as it is counted; a failure is a line with its problem."""
    for upload in uploads:
        yield jsontext.encode({"name": upload.name, **answers.member(_attempt(call, "json", upload))}) + b"\n"


def _kind(call: Call) -> tuple[str, bool]:
    """Key of `MEDIA_TYPES`, and whether as parts, one for each file: the option `format`, or what is accepted best."""
    if call.options["format"]:
        return str(call.options["format"]), False
    # A browser's own navigation names image types too, but wants a page: the service makes it from the JSON.
    if wants_page(call.request):
        return "json", False
    accepted = call.accepts(*MEDIA_TYPES.values(), MIXED)
    return next((kind for kind, media_type in MEDIA_TYPES.items() if media_type == accepted), "json"), accepted == MIXED


def _tag(uploads: list[Upload], kind: str, shape: str, options: JsonMapping) -> str:
    """Entity tag over bytes, options and the answer's media type: the same tag is the same answer.

    128 bits that no accident makes equal. Who makes them equal on purpose deceives only his own next request, since no
    cache keeps an answer; a cryptographic digest would cost a tenth of counting.
    """
    from xxhash import xxh3_128

    digest = xxh3_128(repr((project_version(), kind, shape, sorted(options.items()))).encode())
    for upload in uploads:
        digest.update(f"{len(upload.data)},{upload.name if len(uploads) > 1 else ''};".encode())
        digest.update(upload.data)
    return digest.hexdigest()


def _result(call: Call, kind: str, upload: Upload) -> Result:
    """One image's answer of that kind."""
    from functions.histogram.analysis import analyse
    from functions.histogram.result import Choices

    chosen = {option.name: call.options[option.name] for option in CHOICES}
    chosen["value_range"] = chosen.pop("range")
    if kind in {"png", "svg", "pdf", "csv"}:
        chosen["colours"] = 0  # nothing there shows them
    chosen["scope"] = kind in {"png", "svg", "pdf"} and call.options["kind"] in SCOPES
    before = call.timing.elapsed()
    analysis = analyse(upload.data, call.settings, Choices(**chosen))
    call.timing.add("count", call.timing.elapsed() - before)
    if kind == "json":
        return analysis.document()
    if kind == "csv":
        return analysis.table()
    before = call.timing.elapsed()
    picture = _draw(analysis, kind, call.options)
    call.timing.add("plot", call.timing.elapsed() - before)
    return picture


def _draw(analysis: Analysis, kind: str, options: JsonMapping) -> bytes | str:
    if options["kind"] in SCOPES:
        return _scope(analysis, kind, options)
    chart = analysis.chart(
        width=options["width"],
        height=options["height"],
        scale=options["scale"],
        dark=options["theme"] == "dark",
        title=options["title"],
        marks=options["marks"],
    )
    if options["kind"] == "parade":
        from functions.histogram.plots import panels

        return panels.render(chart, kind)
    if kind == "pdf" or options["engine"] == "matplotlib":
        from functions.histogram.plots import publication

        return publication.render(chart, kind)
    if kind == "svg":
        from functions.histogram.plots import svg

        return svg.render(chart)
    from functions.histogram.plots import raster

    return raster.render(chart)


def _scope(analysis: Analysis, kind: str, options: JsonMapping) -> bytes:
    if analysis.sample is None:
        raise problems.bad_option(
            "kind", f"kind={options['kind']} needs colours or 8 bits, and at most 50 megapixels; this image has not"
        )
    dark, size = options["theme"] == "dark", (options["width"], options["height"])
    from functions.histogram.plots.scopes import Scope, render

    return render(Scope(analysis.sample, options["kind"], *size, dark, options["title"]), kind)


def _attempt(call: Call, kind: str, upload: Upload) -> Result | Problem:
    try:
        return _result(call, kind, the_image([upload]))
    except Problem as problem:
        return problem


def _of_event(data: bytes, settings: Settings) -> JsonMapping:
    """An event's image to the result that its reply holds."""
    from functions.histogram.analysis import analyse

    return analyse(data, settings).document()


FUNCTION = Function(
    name="histogram",
    summary="Exact histograms of luminance and of every channel, with figures and plots.",
    settings=HistogramSettings,
    routes=(
        Route(
            "POST",
            "/",
            count,
            "Count the pixels of an image, or of each of several: JSON, PNG, SVG, PDF or CSV.",
            options=CHOICES + LOOKS,
            takes="images",
            produces=(*MEDIA_TYPES.values(), MIXED),
            aliases=("/process-image",),
        ),
    ),
    page=Path(__file__).with_name("page.html"),
    decodes=True,
    events=(
        EventRoute(
            type="dev.pixelamp.image.uploaded",
            reply="dev.pixelamp.histogram.computed",
            takes="image",
            handler=_of_event,
            result="histogram",
        ),
    ),
)
