"""Which thread of a worker handles a request."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import SimpleNamespace
from typing import Any

from functions.kit.server.gunicorn_worker import PollingWorker

REQUEST = b"GET / HTTP/1.1\r\n\r\n"


class Prompt(ThreadPoolExecutor):
    """Threads whose work has always ended before its caller gets on, as on a machine with a free core it may have."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future = super().submit(fn, *args, **kwargs)
        wait([future])
        return future


class Worker(PollingWorker):
    """A worker whose requests end at once and are followed by one more."""

    def __init__(self, client: socket.socket) -> None:  # gunicorn's own needs an arbiter
        self.client = client
        self.handled: list[int] = []
        self.deferred: list[str] = []
        self.alive = True
        self.nr_conns = 1
        self.cfg = SimpleNamespace(threads=1)
        self.app = SimpleNamespace(service=SimpleNamespace(settings=SimpleNamespace(timeout_seconds=5)))
        self.tpool = Prompt(1)
        self.method_queue = SimpleNamespace(defer=lambda method, *_: self.deferred.append(method.__name__))

    def handle(self, conn: Any) -> bool:
        self.handled.append(threading.get_ident())
        conn.sock.recv(1024)
        if len(self.handled) == 1:
            self.client.sendall(REQUEST)
        return len(self.handled) < 2


def test_a_request_that_ends_before_the_loop_gets_on_leaves_the_next_one_to_its_thread() -> None:
    client, server = socket.socketpair()
    worker = Worker(client)
    try:
        client.sendall(REQUEST)
        connection = SimpleNamespace(sock=server, parser=None, data_ready=False)
        worker.enqueue_req(connection)
    finally:
        worker.tpool.shutdown()
        client.close()
        connection.sock.close()
    assert len(worker.handled) == 2
    assert threading.get_ident() not in worker.handled
    assert worker.deferred == ["_linger"]
