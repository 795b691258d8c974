"""Where a pod sends what is meant for a URL of the cluster: by this machine's address, or its own network's."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import pytest

from knative.local.mesh.mesh import Gateway, Mesh
from knative.local.proxy.dispatching import Connection
from knative.local.proxy.exchange import Exchange
from tests.engines import run_async

BROKER = "http://broker-ingress.knative-eventing.svc.cluster.local/default/b"
CHANNEL = "http://c-kn-channel.team.svc.cluster.local"
GATEWAY, NETWORK, CONTAINER = "127.0.0.2", "127.0.0.0/8", "127.0.0.3"


class Services:
    """Two Services, one of them cluster-local; requests for the engine's own pages are accepted."""

    def __init__(self) -> None:
        self.connections: set[Connection] = set()
        self.targets: list[bytes] = []

    def exists(self, name: str) -> bool:
        return name in ("shop.default", "hidden.default")

    def names(self) -> Iterator[tuple[str, str]]:
        yield "shop", "default"

    def public(self, name: str) -> bool:
        return name == "shop.default"

    def namespace_at(self, address: str) -> str | None:
        return None

    def from_pod(self, exchange: Exchange, name: str) -> None:
        exchange.answer(200, name)

    def own(self, exchange: Exchange) -> None:
        self.targets.append(exchange.request.target)
        exchange.answer(202, "")


@pytest.mark.parametrize(
    ("url", "address"),
    [
        (BROKER, "http://127.0.0.1:8080/_knative/broker/default/b"),
        (CHANNEL, "http://127.0.0.1:8080/_knative/channel/team/c"),
        (
            "http://shop.default.svc.cluster.local/strip?a=1",
            "http://127.0.0.1:8080/_knative/service/default/shop/strip?a=1",
        ),
        ("http://hidden.default.svc.cluster.local/", "http://hidden.default.svc.cluster.local/"),
        (
            "https://broker-ingress.knative-eventing.svc/default/b",
            "https://broker-ingress.knative-eventing.svc/default/b",
        ),
        ("http://sink.example/x", "http://sink.example/x"),
    ],
)
def test_a_process_reaches_the_cluster_at_the_engine_s_own_address(url: str, address: str) -> None:
    mesh = Mesh(Services())
    mesh.origin = "http://127.0.0.1:8080"
    assert mesh.address(url) == address


def test_a_container_reaches_a_sink_where_port_80_is_taken() -> None:
    async def scenario() -> tuple[bytes, list[bytes]]:
        services = Services()
        mesh = Mesh(services)
        with contextlib.suppress(OSError), socket.create_server((GATEWAY, 80)):
            await mesh.open_gateway(GATEWAY, NETWORK)
        if not mesh._gateways:  # this user may not take port 80 at all
            await mesh.open_gateway(GATEWAY, NETWORK)
        host, _, path = mesh.address(BROKER, GATEWAY).removeprefix("http://").partition("/")
        name, _, port = host.partition(":")
        assert (name, port != "80") == ("broker-ingress.knative-eventing.svc.cluster.local", True)
        assert mesh.host_entries("default", GATEWAY) == {}, "what has port 80 is not sent the calls of containers"
        reader, writer = await asyncio.open_connection(GATEWAY, int(port), local_addr=(CONTAINER, 0))
        writer.write(f"POST /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n".encode())
        status = await reader.readline()
        writer.close()
        await mesh.close()
        return status, services.targets

    status, targets = run_async(scenario())
    assert status.split()[1] == b"202"
    assert targets == [b"/_knative/broker/default/b"]


def test_a_container_has_host_entries_for_brokers_and_channels() -> None:
    mesh = Mesh(Services())
    mesh.channels = (("c", "team"),)
    mesh._gateways["10.88.0.1"] = Gateway(80, 0)
    entries = mesh.host_entries("team", "10.88.0.1")
    assert mesh.address(BROKER, "10.88.0.1") == BROKER
    for name in (BROKER.split("/")[2], CHANNEL.split("/")[2], "c-kn-channel", "shop.default"):
        assert entries[name] == "10.88.0.1"
