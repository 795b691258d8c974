"""The paths that every function has beside its own routes: health, metrics, descriptions and their pages."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from flask import Response

from functions.kit.http import jsontext, problems
from functions.kit.http.function import HTML, JSON, wants_page
from functions.kit.jsontypes import JsonMapping
from functions.kit.telemetry.reporting import project_version

if TYPE_CHECKING:
    from flask import Request

    from functions.kit.http.service import Service

_DOCS = "/docs/"


def page_response(document: tuple[bytes, str], status: int = 200) -> Response:
    """A page with the policy of what it may load."""
    body, policy = document
    headers = {"Content-Security-Policy": policy, "Cache-Control": "no-cache", "Vary": "Accept"}
    return Response(body, status, content_type=f"{HTML}; charset=utf-8", headers=headers)


def json_response(value: object, status: int = 200) -> Response:
    """A value as JSON."""
    return Response(jsontext.encode(value), status, content_type=JSON)


class Builtin:
    """The paths of every function that are not its own.

    Args:
        service: the function that answers.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._function = service.function
        self._answers: dict[str, Callable[[Request], Response]] = {
            "/healthz": self._alive,
            "/health/liveness": self._alive,
            "/readyz": self._ready,
            "/health/readiness": self._ready,
            "/metrics": self._metrics,
            "/openapi.json": self._openapi,
            "/docs": self._docs,
            "/problems": self._problem_types,
            "/home": self._home,
            "/sample.jpg": self._sample,
        }

    def find(self, path: str) -> Callable[[Request], Response] | None:
        """The handler of a GET of a path below the function; None for any other path."""
        if (found := self._answers.get(path)) is not None:
            return found
        if path.startswith(problems.TYPE_BASE):
            kind = problems.problem_types().get(path.removeprefix(problems.TYPE_BASE))
            return partial(self._problem_type, kind) if kind else None
        if path.startswith(_DOCS):
            from functions.kit.page import render

            file = render.VIEWER.get(path.removeprefix(_DOCS))
            return partial(self._viewer, *file) if file else None
        return None

    def front(self, request: Request) -> Response:
        """`GET /`: the page for a browser, a description for anything else."""
        function, identity, settings = self._function, self._service.identity, self._service.settings
        if wants_page(request):
            from functions.kit.page import render

            takes = next((one.takes for one in function.routes if (one.method, one.path) == ("POST", "/")), "nothing")
            return page_response(render.page(function.name, function.summary, function.page, function.siblings, takes))
        description = {
            "function": function.name,
            "summary": function.summary,
            "version": project_version(),
            "pod": identity.pod,
            "revision": identity.revision,
            "operations": [
                {
                    "method": route.method,
                    "path": route.path,
                    "summary": route.summary,
                    "takes": route.takes,
                    "produces": list(route.produces),
                    "options": {option.name: option.help for option in route.options},
                    **({"example": dict(route.example)} if route.example else {}),
                }
                for route in function.routes
            ],
            "events": {event.type: event.reply for event in function.events},
            "limits": {"max_bytes": settings.max_bytes, "max_files": settings.max_files},
            "openapi": f"/{function.name}/openapi.json",
        }
        return _negotiated(description)

    def _alive(self, _request: Request) -> Response:
        return json_response({"status": "alive"})

    def _ready(self, _request: Request) -> Response:
        if self._service.draining:
            return json_response({"status": "draining"}, 503)
        reason = self._function.not_ready(self._service.settings) if self._function.not_ready else ""
        if reason:
            return json_response({"status": "unready", "reason": reason}, 503)
        return json_response({"status": "ready"})

    def _metrics(self, _request: Request) -> Response:
        body, content_type = self._service.metrics.exposition()
        return Response(body, content_type=content_type)

    def _openapi(self, _request: Request) -> Response:
        from functions.kit.http.openapi import document

        return json_response(document(self._function, self._service.settings, project_version()))

    def _docs(self, _request: Request) -> Response:
        """The viewer of openapi.json."""
        from functions.kit.page import render

        return page_response(render.docs(self._function.name, self._function.siblings))

    def _viewer(self, name: str, media_type: str, request: Request) -> Response:
        """A file of the viewer, compressed where the client takes it."""
        from functions.kit.page import render

        data = render.viewer_file(name)
        headers = {"Vary": "Accept-Encoding", "Cache-Control": "max-age=86400"}
        if request.accept_encodings["gzip"]:
            headers["Content-Encoding"] = "gzip"
        else:
            import gzip

            data = gzip.decompress(data)
        return Response(data, content_type=media_type, headers=headers)

    def _home(self, _request: Request) -> Response:
        """The landing page, which a route by path puts in front of all functions."""
        from functions.kit.page import render

        return page_response(render.landing(self._function.siblings))

    def _sample(self, _request: Request) -> Response:
        """The picture that the landing page offers."""
        from functions.kit.page import render

        return Response(render.SAMPLE.read_bytes(), mimetype="image/jpeg")

    def _problem_type(self, kind: problems.ProblemType, request: Request) -> Response:
        """`GET /problems/<name>`: what the type means, its limits here, and the way out."""
        settings = self._service.settings
        limits = {
            settings.variable(name): getattr(settings, name) for name in kind.limits.split() if hasattr(settings, name)
        }
        return self._shown(request, kind.title, kind.document(limits))

    def _problem_types(self, request: Request) -> Response:
        """`GET /problems`: the titles of all types by their addresses."""
        titles = {problems.TYPE_BASE + name: kind.title for name, kind in problems.problem_types().items()}
        return self._shown(request, "Problems", titles)

    def _shown(self, request: Request, title: str, document: JsonMapping) -> Response:
        if wants_page(request):
            from functions.kit.page import render

            return page_response(render.result(self._function.name, title, document, self._function.siblings))
        return _negotiated(document)


def _negotiated(document: JsonMapping) -> Response:
    """JSON of an address that answers a browser with a page."""
    response = json_response(document)
    response.headers["Vary"] = "Accept"
    return response
