"""The server of the API: TLS on a port of its own, a token, dispatch to the verbs, and `Status` for every error."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import orjson
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from knative.local.api import kinds
from knative.local.api.http import discovery, openapi, watching
from knative.local.api.http.access import Access
from knative.local.api.http.reads import Page, Reads
from knative.local.api.http.request import (
    JSON,
    MOST_BYTES,
    Form,
    Options,
    Target,
    form,
    target,
)
from knative.local.api.http.status import (
    StatusError,
    method_not_allowed,
    no_such_path,
    not_acceptable,
    too_large,
    unauthorized,
)
from knative.local.api.http.writes import Done, Sent, Writes
from knative.local.api.store import Store
from knative.local.api.tables import partial, table
from knative.local.jsontypes import Json, JsonMapping, JsonObject

Object = JsonObject
Log = Callable[[web.Request, Target, Options], Awaitable[web.StreamResponse]]

_HEADERS = {"Cache-Control": "no-cache, private", "X-Content-Type-Options": "nosniff"}
_OPEN = frozenset({"/healthz", "/livez", "/readyz"})
"""Paths that are answered without a token, as on a cluster."""
_DISCOVERY_FORMS = ("v2", "v2beta1")
_SHUTDOWN_SECONDS = 1.0
_LOGGER = logging.getLogger("knative.local.api")
# What a client sends that is no HTTP is answered, and is no fault of this program.
_LOGGER.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError)))


_CONNECTION: JsonMapping = {
    "access_log": None,
    "logger": _LOGGER,
    "auto_decompress": False,
    "keepalive_timeout": 90,
}


class _Connection(web.RequestHandler):
    """A client's connection: what is no HTTP is answered with a `Status` too."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer an error outside the handler, and close the connection."""
        super().handle_error(request, status, exc, message)  # logs it
        text = (message or "").strip().splitlines()
        reason = "BadRequest" if status < 500 else "InternalError"
        what = f"the request cannot be read: {text[0]}" if text and status < 500 else "Internal error occurred"
        response = _json(StatusError(status, reason, what).status(), status)
        response.force_close()
        return response


@dataclass(frozen=True)
class Parts:
    """What the server answers from.

    Attributes:
        store: the objects.
        writes: the verbs that change them.
        access: token and certificate.
        allowed: the hosts that a request may name, in lower case as bytes.
        log: answers the log of a pod.
    """

    store: Store
    writes: Writes
    access: Access
    allowed: Callable[[bytes], bool]
    log: Log


class Server:
    """The API on a socket.

    Args:
        parts: what it answers from.

    Attributes:
        url: of the API, once started.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._reads = Reads(parts.store)
        self.url = ""
        app = web.Application(client_max_size=MOST_BYTES)
        app.router.add_route("*", "/{path:.*}", self._answer)
        app.on_response_prepare.append(_name_no_software)
        # A client that goes away ends its watch.
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=_SHUTDOWN_SECONDS)
        self._server: asyncio.Server | None = None

    async def start(self, sock: socket.socket) -> None:
        """Serve on a bound socket."""
        await self._runner.setup()
        manager = self._runner.server
        assert manager is not None
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(manager, loop=loop, **_CONNECTION), sock=sock, ssl=self._parts.access.context
        )
        host, port = sock.getsockname()[:2]
        self.url = f"https://{f'[{host}]' if ':' in host else host}:{port}"

    async def stop(self) -> None:
        """End all watches and stop serving."""
        if self._server is not None:
            self._server.close()
        server = self._runner.server
        open_ = [one.transport for one in server.connections if one.transport is not None] if server is not None else []
        await self._runner.cleanup()
        for transport in open_:
            transport.abort()  # without waiting for the client's part of closing TLS
        await asyncio.sleep(0)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._dispatch(request)
        except StatusError as error:
            return _json(error.status(), error.code, error.headers)
        except web.HTTPRequestEntityTooLarge:
            return _json(too_large(MOST_BYTES, request.content_length).status(), 413)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:  # noqa: BLE001 - a fault of this program is answered in the API's own form
            message = f"Internal error occurred: {type(error).__name__}: {error}"
            return _json(StatusError(500, "InternalError", message).status(), 500)

    async def _dispatch(self, request: web.Request) -> web.StreamResponse:
        if not self._parts.allowed(request.headers.get("Host", "").lower().encode("latin-1", "replace")):
            message = "the Host header names another server; use the server of the kubeconfig"
            raise StatusError(421, "MisdirectedRequest", message)
        if request.path in _OPEN:
            return web.Response(text="ok", headers=_HEADERS)
        if not self._parts.access.allows(request.headers):
            raise unauthorized()
        coding = request.headers.get("Content-Encoding", "identity")
        if coding.strip().lower() != "identity":
            raise StatusError(
                415, "UnsupportedMediaType", f"content coding {coding[:100]!r}: send the body without one"
            )
        at = target(request.path)
        if at is None:
            return self._document(request)
        options = Options({name: request.query[name] for name in request.query})
        return await self._resource(request, at, options)

    # Documents

    def _document(self, request: web.Request) -> web.Response:
        if request.method not in ("GET", "HEAD"):
            raise method_not_allowed(None, request.method) if _is_document(request.path) else no_such_path()
        path = "/" + "/".join(part for part in request.path.split("/") if part)
        if path.startswith("/openapi"):
            return self._openapi(request, path)
        parts = path.split("/")[1:]
        found: Object | None = None
        if path in ("/api", "/apis"):
            return self._groups(request, core=path == "/api")
        if path == "/version":
            found = discovery.version()
        elif path == "/":
            found = {"paths": ["/api", "/api/v1", "/apis", *openapi.paths(), "/healthz", "/openapi/v2", "/version"]}
        elif parts[0] == "api" and len(parts) == 2:
            found = discovery.resources("", parts[1])
        elif parts[0] == "apis" and len(parts) == 2 and parts[1] in kinds.groups():
            found = {"kind": "APIGroup", "apiVersion": "v1", **discovery.group(parts[1])}
        elif parts[0] == "apis" and len(parts) == 3:
            found = discovery.resources(parts[1], parts[2])
        if found is None:
            raise no_such_path()
        return _json(found)

    def _groups(self, request: web.Request, *, core: bool) -> web.Response:
        accept = request.headers.get("Accept", "")
        for media in accept.split(","):
            given = dict(item.strip().split("=", 1) for item in media.split(";")[1:] if "=" in item)
            if given.get("as") == "APIGroupDiscoveryList" and given.get("v") in _DISCOVERY_FORMS:
                document = discovery.aggregated(core)
                document["apiVersion"] = f"apidiscovery.k8s.io/{given['v']}"
                kind = discovery.AGGREGATED.replace("v=v2", f"v={given['v']}")
                return _tagged(request, orjson.dumps(document), kind)
        form(accept)  # refuses a client that takes no JSON
        address = self.url.removeprefix("https://")
        return _json(discovery.api_versions(address) if core else discovery.group_list())

    def _openapi(self, request: web.Request, path: str) -> web.Response:
        if path == "/openapi/v2":
            accept = request.headers.get("Accept", "")
            if JSON in accept or "*/*" in accept or not accept:
                return _tagged(request, openapi.v2_json(), JSON)
            if openapi.PROTOBUF_NAME in accept:
                return _tagged(request, openapi.v2_protobuf(), openapi.PROTOBUF)
            raise not_acceptable(f"{JSON}, {openapi.PROTOBUF}")
        if path == "/openapi/v3":
            return _tagged(request, orjson.dumps(openapi.index()), JSON)
        body = openapi.v3_json(path.removeprefix("/openapi/v3/"))
        if body is None:
            raise no_such_path()
        return _tagged(request, body, JSON)

    # Objects

    async def _resource(self, request: web.Request, at: Target, options: Options) -> web.StreamResponse:
        verb = _verb(request.method, at, options)
        allowed = at.kind.subresources[at.subresource] if at.subresource else at.kind.verbs
        if verb not in allowed:
            raise method_not_allowed(at.kind, verb)
        if at.kind.namespaced and not at.namespace and verb in ("create", "deletecollection"):
            raise method_not_allowed(at.kind, verb)
        if at.subresource == "log":
            return await self._parts.log(request, at, options)
        shape = form(request.headers.get("Accept", ""))
        if verb == "watch":
            return await self._watch(request, at, options, shape)
        include = options.query.get("includeObject", "") or "Metadata"
        writes = self._parts.writes
        if verb == "get":
            return _object(Done(self._reads.get(at)), at, shape, include)
        if verb == "list":
            return _list(self._reads.select(at, options), at, shape, include)
        body = await request.read()
        sent = Sent(body, request.headers.get("Content-Type", ""), request.headers.get("User-Agent", ""))
        if verb == "deletecollection":
            return _list(writes.delete_collection(at, options, sent), at, shape, include)
        if verb == "delete":
            found = writes.delete(at, options, sent)
            return _json(found) if found.get("kind") == "Status" else _object(Done(found), at, shape, include)
        change = {"create": writes.create, "update": writes.update, "patch": writes.patch}[verb]
        return _object(change(at, options, sent), at, shape, include)

    async def _watch(self, request: web.Request, at: Target, options: Options, shape: Form) -> web.StreamResponse:
        store = self._parts.store
        start = watching.plan(options, store.version)
        dress = watching.shaped(at, shape, options.query.get("includeObject", "") or "Metadata")
        stream = watching.events(store, at, options, start)
        response = web.StreamResponse(headers={**_HEADERS, "Content-Type": JSON})
        response.enable_chunked_encoding()
        try:
            await response.prepare(request)
            async for event in stream:
                await response.write(orjson.dumps(dress(event), option=orjson.OPT_APPEND_NEWLINE))
            await response.write_eof()
        except ConnectionError:
            pass
        finally:
            await stream.aclose()  # type: ignore[attr-defined]
        return response


def _verb(method: str, at: Target, options: Options) -> str:
    if method in ("GET", "HEAD"):
        if options.flag("watch") and not at.subresource:
            return "watch"
        return "get" if at.name else "list"
    names = {"PUT": "update", "PATCH": "patch", "DELETE": "delete"} if at.name else {"POST": "create"}
    if not at.name:
        names["DELETE"] = "deletecollection"
    return names.get(method, method.lower())


def _is_document(path: str) -> bool:
    first, *rest = [part for part in path.split("/") if part] or [""]
    longest = {"api": 1, "apis": 2, "version": 0, "openapi": 4}  # what is longer names a resource
    return first in longest and len(rest) <= longest[first]


def _object(done: Done, at: Target, shape: Form, include: str) -> web.Response:
    obj = done.object
    if shape is Form.TABLE:
        metadata = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        obj = table(at.kind, [obj], metadata, include=include)
    elif shape is Form.METADATA:
        obj = partial(obj)
    return _json(obj, done.code, warnings=done.warnings)


def _list(page: Page, at: Target, shape: Form, include: str) -> web.Response:
    if shape is Form.TABLE:
        return _json(table(at.kind, page.items, page.metadata, include=include))
    items = page.items
    if shape is Form.METADATA:
        found = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1"}
        return _json({**found, "metadata": page.metadata, "items": [partial(one) for one in items]})
    if not at.kind.custom:  # a list of the core's kinds states the kind once
        items = [{key: value for key, value in one.items() if key not in ("kind", "apiVersion")} for one in items]
    metadata = {"continue": "", **page.metadata} if at.kind.custom else page.metadata
    found = {"apiVersion": at.kind.api_version(at.version), "kind": f"{at.kind.name}List"}
    return _json({**found, "metadata": metadata, "items": items})


def _json(
    value: JsonMapping, code: int = 200, headers: Mapping[str, str] | None = None, warnings: Json = ()
) -> web.Response:
    response = web.Response(
        body=orjson.dumps(value), status=code, content_type=JSON, headers={**_HEADERS, **(headers or {})}
    )
    for warning in warnings:
        text = warning.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
        response.headers.add("Warning", f'299 - "{text}"')
    return response


def _tagged(request: web.Request, body: bytes, kind: str) -> web.Response:
    """Return a document with its entity tag, or 304 where the client has it."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:32].upper()}"'
    headers = {**_HEADERS, "ETag": tag, "Vary": "Accept"}
    if tag in request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, headers={**headers, "Content-Type": kind})


async def _name_no_software(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.popall("Server", None)
