"""Calls from pods to Services by name.

A process gets an HTTP proxy by its environment, on the loopback address and with a credential of the pod. `NO_PROXY`
cannot say "all but these names", so the proxy sees requests for other names too: it passes them on to their own
address, unchanged, as the program would have done itself; https goes past it, since only http is given a proxy. A
container with a network of its own gets host entries that lead to the engine's address in that network, on port 80
where the engine may listen there, and else the proxy at that address.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol
from urllib.parse import urlsplit

from knative.local.manifests.grammar import CLUSTER_SUFFIXES
from knative.local.mesh.callers import Caller, Callers
from knative.local.mesh.connection import ProxyConnection
from knative.local.mesh.names import inside, own_path, service_path, spellings, spelt_own
from knative.local.proxy.dispatching import Connection
from knative.local.proxy.exchange import Exchange
from knative.local.proxy.http1.upstream import UpstreamConnection
from knative.local.proxy.opening import OpeningConnection
from knative.local.proxy.pool import Pool
from knative.local.tasks import TaskSet

_PORT = 80
_CHALLENGE = (b"proxy-authenticate", b'Basic realm="pods"')
_FREEBIND = 15  # IP_FREEBIND: the bridge of containers is made with the first of them
_BACKLOG = 512
_CONNECT_SECONDS = 10.0
_NOT_PROXIED = "localhost,.localhost,127.0.0.1,::1"


class Services(Protocol):
    """The Services that pods call, and the engine's own pages."""

    connections: set[Connection]

    def exists(self, name: str) -> bool:
        """Whether there is a Service of a name and namespace, with a dot between them."""

    def names(self) -> Iterable[tuple[str, str]]:
        """Name and namespace of each Service, and of each tag of its traffic."""

    def public(self, name: str) -> bool:
        """Whether there is such a Service, or tag of one, that is not cluster-local."""

    def namespace_at(self, address: str) -> str | None:
        """The namespace of the pod that has an address of its own, or None."""

    def from_pod(self, exchange: Exchange, name: str) -> None:
        """Answer a request of a pod, cluster-local Services included."""

    def own(self, exchange: Exchange) -> None:
        """Answer a request for the engine's own pages."""


@dataclass(frozen=True)
class Gateway:
    """What listens at the engine's address in a network of containers.

    Attributes:
        port: Takes requests of the containers of that network: 80, or another where 80 is not permitted or taken.
        proxy: Port of the proxy by which Services are called where `port` is not 80; else 0.
    """

    port: int
    proxy: int


class Dispatcher:
    """Answers what comes on the connections of pods.

    Args:
        mesh: Its owner.
        caller: The pod; None where each request proves which one by its credential.
    """

    def __init__(self, mesh: Mesh, caller: Caller | None) -> None:
        self._mesh = mesh
        self._caller = caller
        self.connections = mesh.connections

    def dispatch(self, exchange: Exchange) -> None:
        """Answer a request."""
        request = exchange.request
        caller = self._caller or self._mesh.callers.of(request.credentials)
        scheme, absolute, rest = request.target.partition(b"://")
        if caller is None:
            exchange.answer(407, "this proxy is for pods of the engine", [_CHALLENGE])
            return
        if absolute and scheme.lower() == b"http":
            authority, slash, path = rest.partition(b"/")
            host = authority.rsplit(b"@", 1)[-1].lower()
            exchange.request = request = request._replace(host=host, target=slash + path or b"/")
        elif self._caller is None or not request.target.startswith(b"/"):
            exchange.answer(400, "a proxy needs a target of the form http://host/path")
            return
        self._mesh.answer(exchange, caller, proxied=self._caller is None)


class Mesh:
    """The calls of all pods of an engine.

    Args:
        services: What they call.

    Attributes:
        callers: The pods that may call.
        origin: Scheme, host and port under which this machine reaches the engine.
        channels: Name and namespace of each channel that receives events.
        tasks: Tunnels that are being opened.
    """

    def __init__(self, services: Services) -> None:
        self.callers = Callers()
        self.origin = ""
        self.channels: tuple[tuple[str, str], ...] = ()
        self.connections = services.connections
        self.tasks = TaskSet()
        self.services = services
        self._servers: list[asyncio.Server] = []
        self._sock: socket.socket | None = None
        self._gateways: dict[str, Gateway] = {}  # by address

    def dispatcher(self, caller: Caller | None) -> Dispatcher:
        """Return what answers the requests of a pod; without one, each request is attributed by its credential."""
        return Dispatcher(self, caller)

    # Listening

    def bind(self) -> None:
        """Take a port of the loopback address, before pods are given it."""
        if self._sock is None:
            self._sock = _bound("127.0.0.1", 0)

    async def start(self) -> None:
        """Listen on the loopback address."""
        if self._sock is not None:
            await self._listen(self._sock, lambda: ProxyConnection(self))

    async def _listen(self, sock: socket.socket, protocol: Callable[[], asyncio.Protocol]) -> None:
        server = await asyncio.get_running_loop().create_server(protocol, sock=sock, backlog=_BACKLOG)
        self._servers.append(server)

    async def open_gateway(self, address: str, subnet: str) -> None:
        """Listen where containers of a network reach this machine; calls once for an address do it."""
        if address in self._gateways:
            return
        proxy: socket.socket | None = None
        try:
            sock = _bound(address, _PORT)
        except OSError:  # not permitted, or taken
            sock, proxy = _bound(address, 0), _bound(address, 0)
        ports = [one.getsockname()[1] if one is not None else 0 for one in (sock, proxy)]
        self._gateways[address] = Gateway(*ports)
        if proxy is not None:
            await self._listen(proxy, lambda: ProxyConnection(self))
        await self._listen(sock, partial(_FromSubnet, self, ipaddress.ip_network(subnet), address))

    async def close(self) -> None:
        """Take no more calls."""
        for server in self._servers:
            server.close()
        if self._sock is not None:
            self._sock.close()
        self.tasks.cancel()

    # What pods get

    def variables(self, pod: str, namespace: str, gateway: str | None = None) -> dict[str, str]:
        """The environment by which a pod calls Services; `gateway` is the engine's address in its own network."""
        if gateway is None:
            address = self._sock.getsockname() if self._sock is not None else None
        else:
            proxy = self._gateways[gateway].proxy
            address = (gateway, proxy) if proxy else None
        if address is None:
            return {}
        credential = self.callers.admit(pod, Caller(namespace, confined=gateway is not None))
        url = f"http://{credential}@{address[0]}:{address[1]}"
        return {"http_proxy": url, "HTTP_PROXY": url, "no_proxy": _NOT_PROXIED, "NO_PROXY": _NOT_PROXIED}

    def host_entries(self, namespace: str, gateway: str) -> Mapping[str, str]:
        """Addresses by name for the containers of a namespace."""
        if self._gateways[gateway].proxy:
            return {}
        pairs = self.services.names()
        found = {spelt: gateway for name, place in pairs for spelt in spellings(name, place, namespace)}
        return found | dict.fromkeys(spelt_own(self.channels, namespace), gateway)

    def address(self, url: str, gateway: str | None = None) -> str:
        """The address by which a pod reaches a URL of the cluster without a proxy.

        Args:
            url: Where a pod of a cluster would send a request; one outside the cluster is returned as it is.
            gateway: The engine's address in the pod's own network; None for a pod in this machine's.
        """
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme != "http" or parts.port not in (None, _PORT) or not host.endswith(CLUSTER_SUFFIXES):
            return url
        if gateway is not None:
            port = self._gateways[gateway].port
            return url if port == _PORT else parts._replace(netloc=f"{host}:{port}").geturl()
        name = self.inside(host, Caller("")) or ""
        rest = parts._replace(scheme="", netloc="").geturl()
        if (own := own_path(name, rest.encode())) is not None:
            return self.origin + own.decode()
        return self.origin + service_path(name) + rest if self.services.public(name) else url

    def dismiss(self, pod: str) -> None:
        """Forget a pod that has ended."""
        self.callers.dismiss(pod)

    # Answering

    def inside(self, host: str, caller: Caller) -> str | None:
        """The Service that a host means to a pod, as name and namespace; None for a name outside the cluster."""
        return inside(host, caller.namespace, self.services.exists)

    def answer(self, exchange: Exchange, caller: Caller, *, proxied: bool) -> None:
        """Answer a request for the host that it names."""
        host, port = _split(exchange.request.host)
        name = self.inside(host, caller)
        if name is None and not proxied:
            exchange.answer(404, "no such service")
        elif name is None:
            self._onward(exchange, host, port, caller)
        elif port != _PORT and all(port != one.port for one in self._gateways.values()):
            exchange.answer(404, f"{host} is served on port {_PORT}, not on {port}")
        elif (path := own_path(name, exchange.request.target)) is not None:
            exchange.request = exchange.request._replace(target=path)
            self.services.own(exchange)
        else:
            self.services.from_pod(exchange, name)

    def _onward(self, exchange: Exchange, host: str, port: int, caller: Caller) -> None:
        """Pass a request on to a name outside the cluster."""

        async def connect(pool: Pool) -> UpstreamConnection:
            sock = await self.reach(host, port, caller)
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: UpstreamConnection(pool, sock), sock=sock
            )
            return connection

        pool = Pool(connect, lambda one: one.answer(502, f"{host} cannot be reached"), host, lambda _line: None)

        def close(_exchange: Exchange) -> None:
            asyncio.get_running_loop().call_soon(pool.close)

        exchange.at_end = close
        pool.send(exchange)

    async def reach(self, host: str, port: int, caller: Caller) -> socket.socket:
        """A connection to a name outside the cluster.

        Raises:
            OSError: It cannot be reached, or a container asks for this machine's loopback address.
        """
        loop = asyncio.get_running_loop()
        error = OSError(f"no address for {host}")
        for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            if caller.confined and ipaddress.ip_address(address[0]).is_loopback:
                error = PermissionError(f"{host} is this machine's own")
                continue
            sock = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    await loop.sock_connect(sock, address)
            except OSError as failed:  # TimeoutError is one
                sock.close()
                error = failed
            else:
                return sock
        raise error


def _bound(address: str, port: int) -> socket.socket:
    """A socket that listens on an address, which need not be there yet.

    Raises:
        OSError: The port is taken, or not permitted.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_IP, _FREEBIND, 1)
        sock.bind((address, port))
        sock.listen(_BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


class _FromSubnet(OpeningConnection):
    """A connection that host entries led here; only containers of the network may make it."""

    def __init__(self, mesh: Mesh, network: ipaddress.IPv4Network | ipaddress.IPv6Network, gateway: str) -> None:
        super().__init__(mesh.dispatcher(Caller("default", confined=True)))
        self._mesh = mesh
        self._network = network
        self._gateway = ipaddress.ip_address(gateway)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Refuse clients outside the network: this machine's own programs come from its gateway."""
        peer = ipaddress.ip_address(transport.get_extra_info("peername")[0])
        namespace = self._mesh.services.namespace_at(str(peer))
        if namespace is not None:
            self._dispatcher = self._mesh.dispatcher(Caller(namespace, confined=True))
        super().connection_made(transport)
        if peer not in self._network or peer == self._gateway:
            self.abort_now()


def _split(authority: bytes) -> tuple[str, int]:
    """Host and port of an authority."""
    host, colon, port = authority.decode("latin-1").rpartition(":")
    if colon and port.isdigit() and not port.startswith("]"):
        return host.strip("[]"), int(port)
    return authority.decode("latin-1").strip("[]"), _PORT
