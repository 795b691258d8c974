"""An error of the engine itself while it reads a request."""

from __future__ import annotations

import asyncio
from typing import Any

from knative.local.proxy.dispatching import Connection
from knative.local.proxy.exchange import Exchange
from knative.local.proxy.http1.downstream import DownstreamConnection
from tests.engines import run_async


class Failing:
    """A dispatcher with a fault."""

    def __init__(self) -> None:
        self.connections: set[Connection] = set()

    def dispatch(self, exchange: Exchange) -> None:
        raise KeyError(exchange.request.target)


def test_an_internal_error_is_a_500_that_is_logged_and_not_the_fault_of_the_client() -> None:
    async def scenario() -> tuple[bytes, list[dict[str, Any]]]:
        logged: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: logged.append(context))
        server = await loop.create_server(lambda: DownstreamConnection(Failing(), "127.0.0.1"), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"GET /secret HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = await reader.read()
        writer.close()
        server.close()
        return answer, logged

    answer, logged = run_async(scenario())
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert answer.endswith(b"\r\n\r\ninternal error\n")
    assert [type(one["exception"]) for one in logged] == [KeyError]
