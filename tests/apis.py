"""The Kubernetes API of the engine over a bare store, in a thread of its own, for tests and benchmarks."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from http.client import HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any, TypeVar

import orjson

from knative.local.api.http.access import make_access, write_private
from knative.local.api.http.logs import LogReader
from knative.local.api.http.server import Parts, Server
from knative.local.api.http.writes import Writes
from knative.local.api.store import Store
from knative.local.engine.hosts import AllowedHosts
from knative.local.engine.logs import Logs
from knative.local.manifests.cluster import Cluster

T = TypeVar("T")


class Api:
    """A running API and its store.

    Args:
        folder: where its kubeconfig is written.

    Attributes:
        store: the objects; touched by `call` alone.
        logs: the lines of pods; the same.
        kubeconfig: path of the kubeconfig.
    """

    def __init__(self, folder: Path) -> None:
        self.store = Store()
        self.logs = Logs(lambda _name, _line: None)
        self.kubeconfig = folder / "kubeconfig"
        self.loop = asyncio.new_event_loop()
        self._access = make_access()
        hosts = AllowedHosts("127.0.0.1")
        parts = Parts(
            self.store, Writes(self.store, Cluster), self._access, hosts.__contains__, LogReader(self.store, self.logs)
        )
        self._server = Server(parts)
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._connection: HTTPSConnection | None = None

    def start(self) -> Api:
        self._thread.start()
        self.call(self._fill)
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        sock.setblocking(False)
        asyncio.run_coroutine_threadsafe(self._server.start(sock), self.loop).result(10)
        write_private(self.kubeconfig, self._access.kubeconfig(self._server.url))
        return self

    def _fill(self) -> None:
        for name in ("default", "rec"):
            namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            self.store.create("namespaces", {**namespace, "status": {"phase": "Active"}})

    def stop(self) -> None:
        if self._connection:
            self._connection.close()
        asyncio.run_coroutine_threadsafe(self._server.stop(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()

    def call(self, function: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """Call a function in the API's thread."""
        done: Future[T] = Future()

        def run() -> None:
            try:
                done.set_result(function(*arguments, **named))
            except Exception as error:  # noqa: BLE001 - for the thread that called
                done.set_exception(error)

        self.loop.call_soon_threadsafe(run)
        return done.result(10)

    @property
    def token(self) -> str:
        return self._access.token

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self._server.url.removeprefix("https://").rpartition(":")
        return host, int(port)

    def raw(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, *, token: bool = True
    ) -> Answer:
        """One request, written by the standard library, over a connection that is kept."""
        connection = self._connection or HTTPSConnection(*self.address, timeout=20, context=self.trust())
        self._connection = None
        sent = {"Content-Type": "application/json", "Accept": "application/json"}
        sent |= {"Authorization": f"Bearer {self.token}"} if token else {}
        sent |= dict(headers or {})
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        try:
            connection.request(method, path, data, {key: value for key, value in sent.items() if value})
            answer = Answer(connection.getresponse())
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return answer

    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self._access.certificate.decode())


class Answer:
    """A response, read."""

    def __init__(self, response: HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def json(self) -> Any:
        return orjson.loads(self.body)
