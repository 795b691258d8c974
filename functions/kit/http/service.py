"""A function as HTTP: one dispatch behind the functions framework, the same for all functions.

`dispatch` answers one request of a `Function`: page or JSON, work, CloudEvents, health, metrics and openapi.json, with
the headers, problems and log line of the contract. The framework's `create_app` calls it with signature `http`, so that
the framework's CLI serves the same function.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from flask import Response

from functions.kit.cloudevents import replies
from functions.kit.http import jsontext, preconditions, problems
from functions.kit.http.body import Body
from functions.kit.http.builtin import Builtin, page_response
from functions.kit.http.function import JSON, AnyCall, AnyFunction, AnyRoute, Call, Reply, wants_page
from functions.kit.http.problems import Problem
from functions.kit.http.settings import Settings, SettingsError, load
from functions.kit.telemetry.reporting import Identity, Log, Metrics, Timing, request_id, trace_id

if TYPE_CHECKING:
    from flask import Request

    from functions.kit.telemetry.tracing import Tracing

# Responses other than pages load nothing in a browser.
NO_CONTENT_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
# CORS: the request headers that a page of another origin may send, and the response headers that it may read.
CORS_REQUEST_HEADERS = "Authorization, Content-Type, If-None-Match, X-Request-ID"
CORS_RESPONSE_HEADERS = (
    "Content-Disposition, ETag, Retry-After, Server-Timing, X-Cold-Start, X-Pod-Name, X-Removed, X-Request-ID, "
    "X-Revision, X-Warning"
)


class Service:
    """A function with its settings, identity and metrics, for the life of the process."""

    def __init__(self, function: AnyFunction, settings: Settings) -> None:
        self.function = function
        self.settings = settings
        self.identity = Identity.of(function.name)
        self.log = Log(self.identity, settings.log_format)
        self.metrics = Metrics(self.identity)
        self.draining = False
        self._tracing: Tracing | None = None
        if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
            try:
                from functions.kit.telemetry.tracing import Tracing

                self._tracing = Tracing(self.identity, os.environ)
            except ModuleNotFoundError as error:
                self.log.write("warning", "no spans are sent: the extra otel is not installed", missing=error.name)
        if function.prepare is not None:
            function.prepare(settings)
        self._cold = True
        self._routes: dict[str, dict[str, AnyRoute]] = {}
        for route in function.routes:
            for path in (route.path, *route.aliases):
                self._routes.setdefault(path, {})[route.method] = route
        self._builtin = Builtin(self)

    def answer(self, request: Request) -> Response:
        """Answer one request; a failure becomes a problem response, not an exception."""
        path = self._below(request.path)
        method = "GET" if request.method == "HEAD" else request.method
        identifier = request_id(request.headers.get("X-Request-ID"))
        timing = Timing()
        body = _body(request, self.settings)
        builtin = self._builtin.find(path)
        if builtin is not None and method == "GET":
            _discard(request, body)
            return self._finish(request, builtin(request), identifier, timing)
        span = self._tracing.begin(request) if self._tracing and builtin is None else None
        self.metrics.started()
        cold, self._cold = self._cold, False
        routes = self._routes.get(path, {})
        route = routes.get(method)
        if path == "/" and method == "GET" and route is not None and not request.args:
            route = None  # without a query it is the page, or the description
        operation = route.operation if route else "page" if path == "/" and method == "GET" else "other"
        outcome = "ok"
        try:
            preconditions.check_framing(request)
            if path == "/" and method == "GET" and route is None:
                response = self._builtin.front(request)
            elif method == "OPTIONS":
                # `OPTIONS *` is about the whole server (RFC 9110, 9.3.7).
                response = self._options(request, self._allowed("/" if path == "/*" else path))
            elif route is None:
                raise problems.method_not_allowed(method[:32], self._allowed(path))
            else:
                if method == "POST":
                    preconditions.check_token(request, self.settings.token)
                    preconditions.check_coding(request)
                response = self._work(Call(request, route, body, self.settings, identifier, timing))
        except Problem as problem:
            outcome = problem.slug
            response = self._problem(request, problem, identifier)
        except ImportError as error:
            outcome = "missing-package"
            response = self._problem(request, self._missing(error, identifier), identifier)
        except Exception as error:  # noqa: BLE001 - logged with its stack; the client gets a 500 problem
            outcome = "internal-error"
            response = self._crash(request, error, identifier)
        _hide(request)
        self._finish(request, response, identifier, timing)
        if cold:
            response.headers["X-Cold-Start"] = "1"
        self._account(request, response, operation, outcome, identifier, timing, body)
        if span is not None and self._tracing is not None:
            response.call_on_close(
                partial(self._tracing.end, span, request, operation, response.status_code, outcome, timing)
            )
        response.call_on_close(body.drain)  # after the response is sent: it must not wait for an unwanted body
        return response

    def _below(self, path: str) -> str:
        """The path below the function: its name in front is optional, and repeated slashes count as one."""
        while "//" in path:
            path = path.replace("//", "/")
        prefix = f"/{self.function.name}"
        if path == prefix:
            return "/"
        if path.startswith(prefix + "/"):
            path = path[len(prefix) :]
        return path if path == "/" else path.rstrip("/") or "/"

    def _work(self, call: AnyCall) -> Response:
        headers = call.request.headers
        if self.function.events and call.request.method == "POST" and replies.is_event(headers):
            return replies.answer(self.function, self.settings, call)
        # Checked before the work, so that a misspelt option is refused even if the handler reads no options.
        _ = call.options
        answer = call.route.handler(call)
        reply = answer if isinstance(answer, Reply) else Reply(answer)
        if isinstance(reply.body, Mapping | list):
            if reply.content_type == JSON and wants_page(call.request):
                from functions.kit.page import render

                return page_response(
                    render.result(self.function.name, self.function.summary, reply.body, self.function.siblings),
                    reply.status,
                )
            reply.body = jsontext.encode(reply.body)
        response = Response(reply.body, reply.status, content_type=reply.content_type)
        response.headers.update(reply.headers)
        return response

    def _allowed(self, path: str) -> list[str]:
        """The methods of a path.

        Raises:
            Problem: 404 for an unknown path.
        """
        methods = {*self._routes.get(path, {})}
        if path == "/" or self._builtin.find(path):
            methods.add("GET")
        if not methods:
            raise problems.not_found(path[:200])
        if "GET" in methods:
            methods.add("HEAD")
        return [*sorted(methods), "OPTIONS"]

    def _options(self, request: Request, allowed: list[str]) -> Response:
        response = Response(status=204, headers={"Allow": ", ".join(allowed)})
        response.headers.update(replies.handshake(request.headers))
        if request.headers.get("Origin") in self.settings.cors_origins:
            response.headers["Access-Control-Allow-Methods"] = ", ".join(allowed)
            response.headers["Access-Control-Allow-Headers"] = CORS_REQUEST_HEADERS
            response.headers["Access-Control-Max-Age"] = "600"
        return response

    def _problem(self, request: Request, problem: Problem, identifier: str) -> Response:
        if wants_page(request):
            from functions.kit.page import render

            title = f"{problem.status} {problem.title}"
            response = page_response(
                render.result(self.function.name, title, problem.document(identifier), self.function.siblings),
                problem.status,
            )
        else:
            response = Response(problem.encode(identifier), problem.status, content_type=problems.MEDIA_TYPE)
        response.headers.update(problem.headers)
        return response

    def _crash(self, request: Request, error: Exception, identifier: str) -> Response:
        """Log an internal error with its stack, and answer 500 with the request id."""
        import traceback

        self.log.write(
            "error",
            "internal-error",
            request_id=identifier,
            error=type(error).__name__,
            stack=traceback.format_exc(limit=-8),
        )
        problem = Problem(500, "defect", "Internal error", f"please report it with the request id {identifier}")
        return self._problem(request, problem, identifier)

    def _missing(self, error: ImportError, identifier: str) -> Problem:
        """Log the package that a request needs and that is not installed."""
        self.log.write("error", "missing-package", request_id=identifier, package=error.name, error=str(error))
        return problems.missing_package(error)

    def _finish(self, request: Request, response: Response, identifier: str, timing: Timing) -> Response:
        headers = response.headers
        headers.setdefault("Content-Security-Policy", NO_CONTENT_POLICY)
        headers.setdefault("Cache-Control", "no-store")
        # Extended at once: setting each would search all headers, and nothing else sets these.
        headers.extend(
            (
                ("X-Request-ID", identifier),
                ("X-Pod-Name", self.identity.pod),
                ("X-Revision", self.identity.revision),
                ("Server-Timing", timing.header()),
                ("X-Content-Type-Options", "nosniff"),
                ("Referrer-Policy", "no-referrer"),
            )
        )
        self._share(request, response)
        return response

    def _share(self, request: Request, response: Response) -> None:
        """Add CORS headers, if the settings list origins."""
        if not self.settings.cors_origins:
            return
        response.headers.add("Vary", "Origin")
        origin = request.headers.get("Origin")
        if origin in self.settings.cors_origins:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = CORS_RESPONSE_HEADERS

    def _account(
        self,
        request: Request,
        response: Response,
        operation: str,
        outcome: str,
        identifier: str,
        timing: Timing,
        body: Body,
    ) -> None:
        """Count and log the request after the last byte of its response."""
        method, trace = request.method, trace_id(request.headers.get("traceparent"))

        def done() -> None:
            seconds = timing.elapsed()
            self.metrics.finished(operation, response.status_code, seconds, body.bytes_read)
            self.log.write(
                "info" if response.status_code < 500 else "warning",
                "request",
                request_id=identifier,
                trace_id=trace,
                method=method,
                operation=operation,
                status=response.status_code,
                milliseconds=round(seconds * 1000, 2),
                bytes_in=body.bytes_read,
                outcome=outcome,
            )

        response.call_on_close(done)


class _Empty:
    """A body that has been read."""

    def read(self, _size: int = -1) -> bytes:
        return b""


_EMPTY = _Empty()
_services: dict[str, Service] = {}


def start(function: AnyFunction, environ: Mapping[str, str]) -> Service:
    """Return the service of a function, created at first use and kept for the process.

    Raises:
        SettingsError: the environment holds values that are not allowed.
    """
    service = _services.get(function.name)
    if service is None or service.function is not function:
        service = _services[function.name] = Service(function, load(function.settings, function.name, environ))
    return service


def dispatch(function: AnyFunction, request: Request) -> Response:
    """Answer one request of a function, for the framework's target."""
    try:
        service = start(function, os.environ)
    except SettingsError as error:
        # `functions.kit.server` exits with these at start; the framework's CLI loads a function at its first call.
        problem = Problem(503, "misconfigured", "Misconfigured", "; ".join(error.mistakes))
        return Response(problem.encode(), problem.status, content_type=problems.MEDIA_TYPE)
    return service.answer(request)


def _body(request: Request, settings: Settings) -> Body:
    return Body(
        request.stream,
        request.content_length,
        settings,
        request.environ.get("gunicorn.socket"),
    )


def _discard(request: Request, body: Body) -> None:
    """Drain the body, and hide it from the framework."""
    body.drain()
    _hide(request)


def _hide(request: Request) -> None:
    """Hide the stream from the framework, which reads it without a limit."""
    request.__dict__["stream"] = _EMPTY
