"""The exif function: HTTP and events around `functions.exif.answer`.

The readers and tables are imported with the first picture: a cold start has to be ready before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from functions.exif import copies
from functions.kit.http import problems
from functions.kit.http.body import Limit
from functions.kit.http.body import Reading as Windows
from functions.kit.http.byteranges import is_ranged, joined, pieces
from functions.kit.http.function import JSON, Call, EventRoute, Function, Reply, Route, wants_page
from functions.kit.http.options import Option, choice, flag, names, text
from functions.kit.http.problems import Problem
from functions.kit.http.service import dispatch
from functions.kit.http.settings import MEBI, Settings, setting
from functions.kit.http.uploads import Upload, first_bytes, the_image
from functions.kit.jsontypes import JsonMapping

if TYPE_CHECKING:
    from flask import Request, Response

    from functions.exif.rows import Reading
    from functions.kit.cloudevents.ranged import Fetched
    from functions.kit.containers import Source

CSV = "text/csv; charset=utf-8"


@dataclass(frozen=True, kw_only=True)
class ExifSettings(Settings):
    """Settings of the exif function."""

    timeout_seconds: int = setting(
        600,
        minimum=1,
        maximum=600,
        unit="s",
        help="timeoutSeconds of the Service; a drain ends ten seconds earlier",
    )
    read_bytes: int = setting(
        2**31, minimum=1, maximum=2**40, unit="bytes", help="largest body whose metadata are read"
    )
    head_bytes: int = setting(
        16 * MEBI, minimum=4096, maximum=2**30, unit="bytes", help="held at the beginning of a larger file"
    )
    tail_bytes: int = setting(4 * MEBI, minimum=4096, maximum=2**30, unit="bytes", help="held at its end")

    edit_bytes: int = setting(
        256 * MEBI, minimum=1, maximum=2**31, unit="bytes", help="largest body that is cleaned or has fields set"
    )
    spool_bytes: int = setting(
        1024 * MEBI, minimum=0, maximum=2**40, unit="bytes", help="budget on disk for such bodies and their copies"
    )

    @property
    def edits(self) -> Limit:
        """The largest body of which a copy is made."""
        return Limit(self.edit_bytes, self.variable("edit_bytes"))

    @property
    def reads(self) -> Limit:
        """The largest file whose metadata are read."""
        return Limit(self.read_bytes, self.variable("read_bytes"))

    @property
    def windows(self) -> Windows:
        """What is held of a file whose metadata are read."""
        return Windows(*self.reads, self.head_bytes, self.tail_bytes)


def _examined(data: bytes | Source, *, exif_only: bool = False, rows_only: bool = False) -> Reading:
    """The reading of a file, or of its Exif alone.

    Raises:
        Problem: 415 for bytes of a known format that is no image of ours, 422 for no image at all.
    """
    from functions.exif.answer import examine

    reading = examine(data, exif_only=exif_only, rows_only=rows_only)
    if reading is not None:
        return reading
    from functions.exif.scan.files import FORMATS
    from functions.kit.images import formats

    first = first_bytes(data)
    name = formats.sniff(first)
    if name is not None:
        raise problems.unsupported_format(formats.ACCEPTED[name].label, list(FORMATS))
    raise formats.refusal(first, list(FORMATS))


def show(call: Call[ExifSettings]) -> Reply | JsonMapping:
    """`POST /`: the metadata of a file, or of each of several files."""
    kind = _kind(call)
    headers = call.request.headers
    content_range, content_type = headers.get("Content-Range"), headers.get("Content-Type", "")
    if call.options["url"] is not None:
        return _remote(call, kind)
    if is_ranged(content_range, content_type):
        return _ranged(call, kind, content_range, content_type)
    uploads = call.files(call.settings.windows)
    if len(uploads) == 1:
        return _shown(call, kind, the_image(uploads))
    if kind == "thumbnail":
        raise problems.bad_option("thumbnail", f"it answers one thumbnail, and these are {len(uploads)} files")
    if kind == "csv":
        return _listed(call, uploads)
    return {"results": [_attempt(call, upload) for upload in uploads]}


def _ranged(call: Call[ExifSettings], kind: str, content_range: str | None, content_type: str) -> JsonMapping:
    """What some ranges of a file hold, and the ranges that would complete that."""
    from functions.exif import ranges

    if kind != "json" or call.options["flat"]:
        raise ranges.unsupported("a table" if kind != "thumbnail" else "a thumbnail")
    source = joined(pieces(call.body.read(), content_range, content_type), *call.settings.reads)
    answer = _table(call.options, _examined(source), Upload(b""))
    return {**answer, "ranges": ranges.report(source)}


def _remote(call: Call[ExifSettings], kind: str) -> Reply | JsonMapping:
    """The metadata of a file behind a URL, of which only the ranges that hold them are read."""
    url = call.options["url"]
    if call.body.read():
        raise problems.bad_option("url", "a request with url has no body")
    before = call.timing.elapsed()
    found = _fetched(url, call.settings)
    call.timing.add("fetch", call.timing.elapsed() - before)
    name = url.partition("?")[0].rpartition("/")[2]
    answer = _shown(call, kind, Upload(cast(bytes, found.source), name or None))
    if isinstance(answer, Reply) or call.options["flat"]:
        return answer
    return {**answer, "fetched": found.document()}


def _fetched(url: str, settings: ExifSettings) -> Fetched:
    """The ranges of a file that hold its metadata.

    Raises:
        Problem: 422 for a URL that is not allowed or a permanent error, 413 above a limit, 503 for another error.
    """
    from functions.exif.ranges import FIRST, needed
    from functions.kit.cloudevents import dataref, ranged

    allowed, variable = dataref.Allowed.parse(settings.dataref_hosts), settings.variable("dataref_hosts")
    target = dataref.pin(url, allowed, seconds=settings.body_seconds, variable=variable)
    return ranged.fetch(target, FIRST, needed, settings.reads, settings.max_bytes)


def _kind(call: Call[ExifSettings]) -> str:
    """`thumbnail`, `csv` or `json`: what the options name, else what the client accepts best.

    Raises:
        Problem: 400 for options that exclude each other, 406 where the client accepts neither CSV nor JSON.
    """
    options = call.options
    thumbnail, table = options["thumbnail"], "flat" if options["flat"] else "csv" if options["format"] == "csv" else ""
    if thumbnail != "0" and table:
        raise problems.bad_option(
            "thumbnail", f"thumbnail={thumbnail} does not go with {table}: a table has no place for a picture"
        )
    if thumbnail == "1":
        return "thumbnail"
    if options["format"]:
        return str(options["format"])
    # A browser's own navigation wants a page: the service makes it from the JSON.
    if wants_page(call.request):
        return "json"
    return "json" if call.accepts(*((JSON,) if thumbnail == "inline" else (JSON, "text/csv"))) == JSON else "csv"


def _shown(call: Call[ExifSettings], kind: str, upload: Upload) -> Reply | JsonMapping:
    from functions.exif.answer import is_exif, table

    options = call.options
    # A table needs its rows alone, of Exif groups no other block; the whole answer has a report of everything.
    tabular = bool(options["flat"]) or kind == "csv"
    only = is_exif(options["groups"]) and tabular
    reading = _examined(upload.data, exif_only=only, rows_only=tabular)
    if kind == "thumbnail":
        if not reading.previews:
            raise Problem(422, "no-thumbnail", "No thumbnail", "the metadata of this file hold no thumbnail")
        return Reply(reading.previews[0].data, "image/jpeg")
    if kind == "csv":
        return Reply(table(reading, options["tags"], options["groups"], raw=options["raw"]), CSV)
    return _table(options, reading, upload)


def _table(options: JsonMapping, reading: Reading, upload: Upload) -> JsonMapping:
    from functions.exif.answer import document, flat

    if options["flat"]:
        return flat(reading, options["tags"], options["groups"], raw=options["raw"], name=upload.name)
    inline = options["thumbnail"] == "inline"
    answer = document(reading, options["tags"], options["groups"], raw=options["raw"], thumbnail=inline)
    return {"name": upload.name, **answer} if upload.name else answer


def _listed(call: Call[ExifSettings], uploads: list[Upload]) -> Reply:
    """Several files in one CSV; of a file that cannot be read, what is wrong with it."""
    from functions.exif.answer import is_exif, tables

    options = call.options

    def read(upload: Upload) -> Reading | str:
        try:
            only = is_exif(options["groups"])
            return _examined(the_image([upload]).data, exif_only=only, rows_only=True)
        except Problem as problem:
            return problem.detail

    files = ((upload.name, read(upload)) for upload in uploads)
    return Reply(tables(files, options["tags"], options["groups"], raw=options["raw"]), CSV)


def _attempt(call: Call[ExifSettings], upload: Upload) -> JsonMapping:
    """One of several files: its answer, or its problem in the answer's place."""
    try:
        return _table(call.options, _examined(the_image([upload]).data, rows_only=bool(call.options["flat"])), upload)
    except Problem as problem:
        return {"name": upload.name, "problem": problem.document()}


def _of_event(data: bytes | Fetched, _settings: Settings) -> JsonMapping:
    """An event's image, or what was read of its dataref, to the result that its reply holds."""
    from functions.exif.answer import document

    if isinstance(data, bytes):
        return document(_examined(data))
    return {**document(_examined(data.source)), "fetched": data.document()}


FUNCTION = Function(
    name="exif",
    summary="All metadata of a picture, with names, raw and printed values, from every container.",
    settings=ExifSettings,
    routes=(
        Route(
            "POST",
            "/",
            show,
            "Read the metadata of a picture, or of each of several: JSON, one flat table, CSV, or the thumbnail.",
            options=(
                Option("tags", names(), (), "only these tags, by comma: `Make,*Serial*,MakerNotes:*`"),
                Option("groups", names(), (), "only these groups, by comma: `IFD0,GPS,XMP`"),
                Option("raw", flag(), False, "long raw values, counts and offsets too; flat and CSV as `exiftool -n`"),
                Option("flat", flag(), False, "one object, `Group:Tag` to its value, as `exiftool -G1 -j -struct`"),
                Option("format", choice("json", "csv"), None, "answer as this, whatever the Accept header says"),
                Option(
                    "url", text(2000), None, "read the file there, by ranges, in place of a body; hosts must be allowed"
                ),
                Option("thumbnail", choice("0", "1", "inline"), "0", "1: the thumbnail itself; inline: as a data URI"),
            ),
            takes="images",
            produces=(JSON, "text/csv", "image/jpeg"),
            answers="Answer",
        ),
        *copies.ROUTES,
    ),
    page=Path(__file__).with_name("page.html"),
    schemas=Path(__file__).with_name("schemas.json"),
    events=(
        EventRoute(
            type="dev.pixelamp.image.uploaded",
            reply="dev.pixelamp.exif.extracted",
            takes="image",
            handler=_of_event,
            result="exif",
            fetch=_fetched,
        ),
        *copies.EVENTS,
    ),
)


def exif(request: Request) -> Response:
    """The framework's target."""
    return dispatch(FUNCTION, request)
