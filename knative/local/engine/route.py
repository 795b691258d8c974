"""The engine's one port: each request goes to the Service that its host or path names, the rest to the engine's pages.

A segment of the path that names a Service stays in the path. Calls from inside the engine reach the same Services.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from functools import lru_cache
from typing import Literal, TypeAlias

from aiohttp import web

from knative.local.engine.hosts import AllowedHosts, absolute, bare, by_host, by_own_path, by_path, names_a_service
from knative.local.mesh.addresses import LOCAL_DOMAIN, Addresses
from knative.local.pods.runtimes.sockets import addresses
from knative.local.pods.service import Service
from knative.local.proxy.call import Call, Response
from knative.local.proxy.dispatching import Connection
from knative.local.proxy.exchange import Exchange, Request
from knative.local.proxy.headers import AUTHORITY
from knative.local.proxy.http1.upstream import UpstreamConnection
from knative.local.proxy.opening import OpeningConnection
from knative.local.proxy.pool import Pool

_BACKLOG = 4096
_SWEEP_SECONDS = 2.0
_TOKEN = re.compile(rb"[a-z0-9!#$%&'*+.^_`|~-]+")
_BREAKS = re.compile(rb"[\r\n\0]")
_HOSTS = 10_000  # whose way is remembered
_HOST_BYTES = 260
_SEGMENT_BYTES = 64
_FORWARDING = frozenset({b"x-forwarded-for", b"x-forwarded-proto", b"forwarded"})


class _Foreign(Enum):
    FOREIGN = "not a host of this engine"


FOREIGN = _Foreign.FOREIGN
_Found: TypeAlias = tuple[Service, str | None] | Literal[_Foreign.FOREIGN] | None


class Route:
    """The data path's entry.

    Args:
        app: Answers what is for no Service: the console, the status, the broker's ingress.

    Attributes:
        services: By namespace and name.
        connections: Open connections of clients.
        allowed: Hosts that a request may name.
        mappings: Namespace and name of the Service of each mapped host.
        domains: Those below which Services have hosts.
        addresses: How these hosts are made.
    """

    def __init__(self, app: web.Application) -> None:
        self.services: dict[tuple[str, str], Service] = {}
        self.connections: set[Connection] = set()
        self.allowed = AllowedHosts("127.0.0.1")
        self.mappings: Mapping[str, tuple[str, str]] = {}
        self.domains: tuple[str, ...] = (LOCAL_DOMAIN,)
        self.addresses = Addresses()
        self._hosts: dict[bytes, _Found] = {}
        self._segments: dict[bytes, Service] = {}
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        self._own = Pool(self._connect_own, self._own_refused, "the engine", lambda _line: None)
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None

    # Listening

    async def start(self, sock: socket.socket) -> None:
        """Listen on a bound socket."""
        loop = asyncio.get_running_loop()
        await self._runner.setup()
        self._server = await loop.create_server(lambda: OpeningConnection(self), sock=sock, backlog=_BACKLOG)
        self._sweeper = loop.call_later(_SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in [connection for connection in self.connections if connection.deadline < now]:
            connection.expire()
        self._sweeper = loop.call_later(_SWEEP_SECONDS, self._sweep)

    async def close(self, within: float) -> None:
        """Take no more connections, and let what is under way end within so many seconds."""
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.close_when_idle()
        deadline = asyncio.get_running_loop().time() + within
        while self.connections and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """Break off what is left."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in list(self.connections):
            connection.abort_now()
        self._own.abort()
        await self._runner.cleanup()

    # The engine's own pages, served by aiohttp over a pair of sockets inside this process

    async def _connect_own(self, pool: Pool) -> UpstreamConnection:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        server = self._runner.server
        assert server is not None
        await loop.connect_accepted_socket(server, theirs)
        _, outbound = await loop.create_connection(lambda: UpstreamConnection(pool, ours), sock=ours)
        return outbound

    def _own_refused(self, exchange: Exchange) -> None:
        exchange.answer(503, "the engine is stopping")

    # Resolving

    def changed(self) -> None:
        """Services, traffic or tags have changed: forget where hosts led."""
        self._hosts.clear()
        self._segments.clear()

    def dispatch(self, exchange: Exchange) -> None:
        """Answer a request from outside: hand it to its Service, or to the engine's own pages."""
        host = exchange.request.host
        target = exchange.request.target
        if not target.startswith(b"/"):
            host, target = absolute(host, target)
            if not AUTHORITY.fullmatch(host):
                exchange.answer(400, "the request target is not a URL")
                return
            if target != b"*":
                exchange.request = exchange.request._replace(host=host, target=target)
        try:
            found = self._hosts[host]
        except KeyError:
            found = self._resolve(host)
            if len(self._hosts) < _HOSTS and len(host) <= _HOST_BYTES:
                self._hosts[host] = found
        if found is FOREIGN:
            exchange.answer(421, "this host is not served here: use localhost or 127.0.0.1, or start with --allow-host")
            return
        if found is not None:
            self._forward(exchange, *found)
            return
        segment = target[1 : _SEGMENT_BYTES + 1].partition(b"/")[0].partition(b"?")[0]
        service = self._segments.get(segment) or self._by_path(segment, target)
        if service is not None:
            self._forward(exchange, service, None)
        elif (sink := by_own_path(self.services, target)) is not None:
            exchange.request = exchange.request._replace(target=sink[2])
            self._forward(exchange, *sink[:2])
        elif names_a_service(host):
            exchange.answer(404, "no such service")
        elif exchange.request.upgrade is not None or exchange.request.method == b"TRACE":
            exchange.answer(405, "method not allowed")
        else:
            self.own(exchange)

    def _by_path(self, segment: bytes, target: bytes) -> Service | None:
        """The Service that a path names, remembered by its first segment where that is short."""
        service = by_path(self.services, target)
        if service is not None and len(segment) < _SEGMENT_BYTES:  # as many as there are Services, at most twice
            self._segments[segment] = service
        return service

    def _resolve(self, host: bytes) -> _Found:
        if host not in self.allowed:
            return FOREIGN
        mapped = self.services.get(self.mappings.get(bare(host).decode("latin-1"), ("", "")))
        if mapped is not None:
            return mapped, None
        name = bare(host).decode("latin-1")
        return self._by_template(name) or by_host(self.services, name, outside=True)

    def _by_template(self, name: str) -> tuple[Service, str | None] | None:
        """The Service, and the tag, whose host by the templates of config-network is this one."""
        if self.addresses.standard:
            return None
        for service in self.services.values():
            for tag in (None, *service.tags) if service.public else ():
                hosts = (self.addresses.host(service.manifest["metadata"], domain, tag) for domain in self.domains)
                if name in hosts:
                    return service, tag
        return None

    # Calls of pods

    def exists(self, name: str) -> bool:
        """Whether there is a Service, or a tag of one, of a name and namespace with a dot between them."""
        return by_host(self.services, name, outside=False) is not None

    def names(self) -> Iterator[tuple[str, str]]:
        """Name and namespace of each Service, and of each tag of its traffic."""
        for service in self.services.values():
            yield service.name, service.namespace
            yield from ((f"{tag}-{service.name}", service.namespace) for tag in service.tags)

    def public(self, name: str) -> bool:
        """Whether a name is that of a Service, or of a tag of one, that the route answers for too."""
        return by_host(self.services, name, outside=True) is not None

    def namespace_at(self, address: str) -> str | None:
        """The namespace of the container that has an address of its own, or None."""
        for service in self.services.values():
            for revision in service.revisions:
                if any(pod.main_pid and address in addresses(pod.main_pid) for pod in revision.pods):
                    return service.namespace
        return None

    def from_pod(self, exchange: Exchange, name: str) -> None:
        """Answer a request of a pod, cluster-local Services included."""
        found = by_host(self.services, name, outside=False)
        if found is None:
            exchange.answer(404, "no such service")
        else:
            self._forward(exchange, *found)

    def own(self, exchange: Exchange) -> None:
        """Answer a request for the engine's own pages."""
        self._own.send(exchange)

    def _forward(self, exchange: Exchange, service: Service, tag: str | None) -> None:
        headers = exchange.headers
        kept = [header for header in headers if header[0] not in _FORWARDING]
        request = exchange.request
        make = _remembered if len(request.host) <= _HOST_BYTES else _forwarding
        added = make(request.peer, request.host)
        if len(kept) < len(headers):
            via = b"".join(value + b", " for name, value in headers if name == b"x-forwarded-for")
            added = ((b"x-forwarded-for", via + added[0][1]), *added[1:])
        kept += added
        exchange.headers = kept
        service.take(exchange, tag)

    # Calls from inside

    async def call(
        self,
        host: str,
        method: str,
        path: str,
        headers: Mapping[str, str] | Iterable[tuple[str, str]],
        body: bytes,
        *,
        limit: int = 64 * 2**20,
    ) -> Response:
        """Send a request to a Service as if through its cluster-local address, waking it if it is at zero.

        Args:
            host: `<name>.<namespace>` with or without a domain; cluster-local Services are reached too.
            method: Of the request.
            path: Path and query.
            headers: Of the request; framing is added.
            body: The whole body.
            limit: Bytes of an answer that are taken.

        Raises:
            LookupError: No Service of this engine has that host.
            ValueError: A line break in the path or a header.
            CallError: The answer broke off, or was larger than `limit`.
        """
        found = by_host(self.services, bare(host.lower().encode("latin-1")).decode("latin-1"), outside=False)
        if found is None:
            raise LookupError(f"no Service at {host}")
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
        if any(_BREAKS.search(part) for pair in ((method.encode(), path.encode()), *encoded) for part in pair):
            raise ValueError("a line break in a request")
        call = Call(limit)
        request = Request(
            method=method.encode(),
            target=path.encode("ascii"),
            headers=tuple(encoded),
            host=host.encode("latin-1"),
            length=len(body),
        )
        exchange = Exchange(call, request)
        if body:
            exchange.feed(body)
        exchange.feed_end()
        service, tag = found
        service.take(exchange, tag)
        try:
            return await call.done
        except asyncio.CancelledError:
            exchange.client_gone()
            raise


def _forwarding(peer: str, host: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """The headers that say where a request comes from, the address first."""
    address = peer.encode()
    node = b'"[%s]"' % address if b":" in address else address
    return (
        (b"x-forwarded-for", address),
        (b"x-forwarded-proto", b"http"),
        (b"forwarded", b"for=%s;host=%s;proto=http" % (node, _quoted(host))),
    )


_remembered = lru_cache(1024)(_forwarding)


def _quoted(host: bytes) -> bytes:
    """A host as a value of `Forwarded` (RFC 7239, 4): quoted where a client could make more than one value of it."""
    return host if _TOKEN.fullmatch(host) else b'"%s"' % host
