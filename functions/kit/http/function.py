"""A function as a table of routes and events over pure logic, and a call to one of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeAlias

from functions.kit.http import problems
from functions.kit.http.body import Body, Limit, Reading
from functions.kit.http.options import Option, parse_options
from functions.kit.http.settings import Settings
from functions.kit.http.uploads import Upload, boundary_of, read_uploads, the_image
from functions.kit.jsontypes import JsonObject
from functions.kit.telemetry.reporting import Timing

if TYPE_CHECKING:
    from flask import Request
    from typing_extensions import TypeVar
    from werkzeug.datastructures import MIMEAccept

    S = TypeVar("S", bound=Settings, default=Settings)
else:
    from typing import TypeVar

    S = TypeVar("S")

AnyFunction: TypeAlias = "Function[Any]"
AnyRoute: TypeAlias = "Route[Any]"
AnyCall: TypeAlias = "Call[Any]"
AnyEventRoute: TypeAlias = "EventRoute[Any]"
JSON = "application/json"
HTML = "text/html"


@dataclass
class Reply:
    """The response of a handler.

    Attributes:
        body: bytes or text as they are, a mapping or list as JSON, or an iterable of bytes to stream.
        content_type: media type of the body.
        status: HTTP status.
        headers: further headers.
    """

    body: bytes | str | Mapping[str, object] | list[object] | Iterable[bytes]
    content_type: str = JSON
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Route(Generic[S]):
    """One operation of a function.

    Attributes:
        method: HTTP method.
        path: below the function: `/` or `/strip`; it is served with and without the function's name in front.
        handler: from a call to its response; a mapping becomes JSON.
        summary: one line for openapi.json and the page.
        options: its query parameters; any other is refused.
        takes: kind of its body: `image`, `images`, `json` or `nothing`.
        produces: the media types of its responses, the default first.
        aliases: further paths, for clients of other projects.
        answers: name of the schema of its JSON responses, one of the function's; empty without one.
        example: query parameters of a cheap request without a body, for a route that takes no image.
    """

    method: str
    path: str
    handler: Callable[[Call[S]], Reply | Mapping[str, object]]
    summary: str
    options: tuple[Option, ...] = ()
    takes: str = "nothing"
    produces: tuple[str, ...] = (JSON,)
    aliases: tuple[str, ...] = ()
    answers: str = ""
    example: Mapping[str, str] = field(default_factory=dict)

    @property
    def takes_images(self) -> bool:
        """Whether the body is one image or several."""
        return self.takes in {"image", "images"}

    @property
    def operation(self) -> str:
        """A short name for metrics and logs, such as `strip`."""
        return self.path.strip("/").replace("/", "_") or "root"


@dataclass(frozen=True)
class EventRoute(Generic[S]):
    """One type of CloudEvent that a function handles.

    Attributes:
        type: type of the event.
        reply: type of the reply.
        takes: `image` (handler gets the bytes) or `json` (handler gets the parsed data).
        handler: from the data and the settings to the reply's data: a mapping, or bytes with their media type.
        fetch: reads the image of a dataref by ranges, from its URL and the settings; None reads all of it.
        result: key of the mapping in the reply's `results`; None if the reply is the result.
        example: data of a cheap event, for a route that takes JSON.
    """

    type: str
    reply: str
    takes: str
    handler: Callable[[Any, S], Mapping[str, object] | tuple[bytes, str]]
    result: str | None = None
    example: Mapping[str, object] = field(default_factory=dict)
    fetch: Callable[[str, S], Any] | None = None


@dataclass(frozen=True)
class Function(Generic[S]):
    """One function.

    Attributes:
        name: of its directory, extra, Service and image, and in capitals the prefix of its variables.
        summary: one sentence for its page, its description and openapi.json.
        settings: the class of its settings.
        routes: its operations; the first is `POST /`, which does the work.
        page: the fragment of its page.
        events: the CloudEvents that it handles.
        schemas: a file of JSON schemas by name, each a component of openapi.json; read on demand.
        decodes: whether it decodes pixels, and so refuses a truncated image and one with too many pixels.
        prepare: called once with the settings, before the server forks its workers.
        not_ready: from the settings to the reason why readiness is false; empty where it is true.
        exit_code: from the settings to the code that the server must exit with when a worker has ended; None where
            another worker takes its place.
    """

    name: str
    summary: str
    settings: type[S]
    routes: tuple[Route[S], ...]
    page: Path
    events: tuple[EventRoute[S], ...] = ()
    schemas: Path | None = None
    decodes: bool = False
    prepare: Callable[[Any], None] | None = None
    not_ready: Callable[[Any], str] | None = None
    exit_code: Callable[[Any], int | None] | None = None

    @property
    def work(self) -> Route[S]:
        """The route `POST /`."""
        return next(route for route in self.routes if (route.method, route.path) == ("POST", "/"))

    @cached_property
    def siblings(self) -> tuple[str, ...]:
        """The names of the functions in the same folder, its own included."""
        return names_in(self.page.parents[1])


def names_in(folder: Path) -> tuple[str, ...]:
    """The functions of a folder by name: its sub-folders that hold a `main.py`.

    An image holds one function, and the names of all in the file `names`: the Dockerfile writes it.
    """
    listed = folder / "names"
    if listed.is_file():
        return tuple(listed.read_text(encoding="utf-8").split())
    return tuple(sorted(path.parent.name for path in folder.glob("*/main.py")))


class Call(Generic[S]):
    """One request to one route; its options and its body are read on demand."""

    def __init__(
        self, request: Request, route: Route[S], body: Body, settings: S, identifier: str, timing: Timing
    ) -> None:
        self.request = request
        self.route = route
        self.settings = settings
        self.id = identifier
        self.timing = timing
        self.body = body

    @cached_property
    def options(self) -> JsonObject:
        """The route's options, checked, defaults included.

        Raises:
            Problem: 400 for an unknown option or a value that is not allowed.
        """
        return parse_options(self.route.options, self.request.args.items(multi=True))

    def uploads(self, limit: Limit | None = None) -> list[Upload]:
        """All files of the request, in order.

        Args:
            limit: of the body, where it is not that of every body.

        Raises:
            Problem: 400, 408 or 413, see `functions.kit.http.uploads`.
        """
        if limit is not None:
            self.body.limit = limit
        before = self.timing.elapsed()
        options = {option.name for option in self.route.options}
        content_type = self.request.headers.get("Content-Type", "")
        uploads = read_uploads(self.body, content_type, self.settings.max_files, options)
        self.timing.add("read", self.timing.elapsed() - before)
        return uploads

    def files(self, windows: Reading) -> list[Upload]:
        """All files of the request, large ones held in windows.

        Args:
            windows: what is held of a file, and how large the body may be.

        Raises:
            Problem: as `uploads`.
        """
        self.body.windows = windows
        return self.uploads()

    def upload(self, limit: Limit | None = None) -> Upload:
        """The one image of the request.

        Args:
            limit: of the body, where it is not that of every body.

        Raises:
            Problem: as `uploads`, and 400 if several files have no distinguishing name.
        """
        return the_image(self.uploads(limit))

    def json(self) -> JsonObject:
        """The body as a JSON object; an empty body or a form's is an empty object.

        Raises:
            Problem: 400 for anything else.
        """
        if boundary_of(self.request.headers.get("Content-Type", "")) is not None:
            raise problems.malformed("parameters are accepted in the query or as a JSON object, not as a form")
        data = self.body.read()
        if not data.strip():
            return {}
        try:
            value = json.loads(data, object_pairs_hook=_members)
        except (ValueError, RecursionError) as error:
            raise problems.malformed(f"the body is not JSON: {str(error)[:200]}") from None
        if not isinstance(value, dict):
            raise problems.malformed(f"the body must be a JSON object, not {type(value).__name__}")
        return value

    def accepts(self, *media_types: str) -> str:
        """The media type that the client prefers; the first of equals, and without an Accept header.

        Raises:
            Problem: 406 if it accepts none of them.
        """
        if _accepts_anything(self.request):
            return media_types[0]
        accepted = accepts(self.request)
        best = max(media_types, key=lambda media_type: _preference(accepted, media_type))
        if not accepted.quality(best):
            raise problems.not_acceptable(list(media_types))
        return best


def _members(pairs: list[tuple[str, Any]]) -> JsonObject:
    """Return a JSON object; refuse a member that occurs twice, since RFC 8259 leaves open which one counts."""
    members: JsonObject = {}
    for name, value in pairs:
        if name in members:
            raise problems.malformed(f"the JSON object has the member {name[:100]!r} twice")
        members[name] = value
    return members


def _accepts_anything(request: Request) -> bool:
    """Whether the Accept header is absent or `*/*`, as from curl and most libraries: nothing to parse."""
    return request.headers.get("Accept") in {None, "", "*/*"}


def accepts(request: Request) -> MIMEAccept:
    """The media ranges of a request and their quality, without further parameters.

    `application/json; charset=utf-8` is JSON: no response exists in variants that differ by a parameter.
    """
    from werkzeug.datastructures import MIMEAccept

    return MIMEAccept(
        [(value.partition(";")[0].strip().lower(), quality) for value, quality in request.accept_mimetypes]
    )


def _preference(accepted: MIMEAccept, media_type: str) -> tuple[float, int]:
    """Quality of a media type, then the specificity of the range that matches it (RFC 9110, 12.5.1)."""
    ranges = set(accepted.values())
    specificity = 2 if media_type in ranges else 1 if f"{media_type.partition('/')[0]}/*" in ranges else 0
    return accepted.quality(media_type), specificity


def wants_page(request: Request) -> bool:
    """Whether the client prefers HTML, as the navigation of a browser does; fetch, curl and libraries do not."""
    if _accepts_anything(request):
        return False
    accepted = accepts(request)
    return HTML in accepted.values() and 0 < accepted.quality(HTML) >= accepted.quality(JSON)
