"""Calls between Services by their cluster names, from processes."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

import pytest

from tests.engines import EngineProcess, service

CALLING = Path(__file__).parents[1] / "calling_server.py"
STEADY = {"min-scale": "1", "window": "6s"}


def caller(name: str, namespace: str = "default") -> dict[str, Any]:
    made = service(name, command=["python", "-S", str(CALLING)], annotations=STEADY)
    made["metadata"]["namespace"] = namespace
    return made


def private(name: str, namespace: str = "default") -> dict[str, Any]:
    made = service(name, annotations={"window": "6s"}, labels={"networking.knative.dev/visibility": "cluster-local"})
    made["metadata"]["namespace"] = namespace
    return made


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    started = EngineProcess(
        tmp_path_factory.mktemp("calls"),
        caller("caller"),
        caller("other", "team"),
        private("hidden"),
        private("hidden", "team"),
        {
            **service("tagged", annotations=STEADY),
            "spec": {
                **service("tagged", annotations=STEADY)["spec"],
                "traffic": [{"latestRevision": True, "percent": 100, "tag": "blue"}],
            },
        },
    )
    started.wait_pods(1, "caller")
    started.wait_pods(1, "other")
    yield started
    assert started.stop() == 0


def ask(engine: EngineProcess, query: str = "", name: str = "caller") -> dict[str, Any]:
    namespace = "team" if name == "other" else "default"
    status, body = engine.get(f"/?{query}", f"{name}.{namespace}.localhost", timeout=60)
    assert status == 200, body
    return json.loads(body)


def call(engine: EngineProcess, url: str, name: str = "caller") -> tuple[int, str]:
    told = ask(engine, f"url={quote(url, safe='')}", name)
    return told["status"], told["body"]


@pytest.mark.parametrize("host", ["hidden", "hidden.default", "hidden.default.svc", "hidden.default.svc.cluster.local"])
def test_a_pod_calls_a_private_service_by_each_of_its_names(engine: EngineProcess, host: str) -> None:
    """It is at zero before the first of them."""
    status, body = call(engine, f"http://{host}/a/b?c=d")
    assert status == 200
    seen = json.loads(body)
    assert (seen["target"], seen["headers"]["host"]) == ("/a/b?c=d", host)
    assert "proxy-authorization" not in seen["headers"]
    assert seen["environment"]["K_SERVICE"] == "hidden"


def test_a_short_name_belongs_to_the_caller_s_namespace(engine: EngineProcess) -> None:
    for name in ("caller", "other"):
        assert call(engine, "http://hidden/", name)[0] == 200
    pods = {revision["name"]: 1 for revision in (engine.revision("hidden"),)}
    assert pods
    assert call(engine, "http://caller/", "other")[0] in (0, 502), "default's, so that it is a name outside"
    assert call(engine, "http://caller.default/", "other")[0] == 200


def test_a_tag_has_a_name_of_its_own(engine: EngineProcess) -> None:
    status, body = call(engine, "http://blue-tagged.default.svc.cluster.local/")
    assert (status, json.loads(body)["headers"]["knative-serving-tag"]) == (200, "blue")


def test_a_name_of_the_cluster_that_nothing_has_is_404(engine: EngineProcess) -> None:
    assert call(engine, "http://nothing.default.svc.cluster.local/") == (404, "no such service\n")
    status, body = call(engine, "http://hidden.default:8080/")
    assert (status, body) == (404, "hidden.default is served on port 80, not on 8080\n")


def test_a_private_service_answers_pods_only(engine: EngineProcess) -> None:
    for host in ("hidden.default.localhost", "hidden.default.svc.cluster.local", "hidden", "hidden.default"):
        assert engine.get("/", host)[0] in (404, 421)
    assert engine.get("/hidden")[0] == 404


class Outside(BaseHTTPRequestHandler):
    seen: ClassVar[list[tuple[str, dict[str, str]]]] = []

    def do_GET(self) -> None:
        Outside.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        self.send_response(203)
        self.send_header("Content-Length", "7")
        self.end_headers()
        self.wfile.write(b"outside")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def outside() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.2", 0), Outside)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def test_another_name_is_reached_as_without_the_proxy(engine: EngineProcess, outside: int) -> None:
    """127.0.0.2 is not among the names that NO_PROXY leaves out."""
    assert call(engine, f"http://127.0.0.2:{outside}/x?y=z") == (203, "outside")
    path, headers = Outside.seen[-1]
    assert (path, headers["host"]) == ("/x?y=z", f"127.0.0.2:{outside}")
    added = {name for name in headers if name.startswith(("proxy", "x-forwarded", "forwarded", "via", "k-"))}
    assert added == set()


def test_a_tunnel_leads_to_services_and_to_other_names(engine: EngineProcess, outside: int) -> None:
    request = quote("GET /t HTTP/1.1\r\nHost: hidden.default\r\nConnection: close\r\n\r\n")
    told = ask(engine, f"connect=hidden.default:80&send={request}")
    assert told["head"].startswith("HTTP/1.1 200")
    assert '"target": "/t"' in told["body"]
    told = ask(engine, f"connect=127.0.0.2:{outside}&send={request}")
    assert told["head"].startswith("HTTP/1.1 200")
    assert told["body"].endswith("outside")


def raw(address: tuple[str, int], data: bytes) -> bytes:
    with socket.create_connection(address, timeout=20) as sock:
        sock.sendall(data)
        answer = b""
        while chunk := sock.recv(65536):
            answer += chunk
    return answer


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET http://hidden.default/ HTTP/1.1\r\nHost: hidden.default\r\nConnection: close\r\n\r\n", b"407"),
        (
            b"GET http://a.b/ HTTP/1.1\r\nHost: h\r\nProxy-Authorization: Basic cG9kOng=\r\nConnection: close\r\n\r\n",
            b"407",
        ),
        (b"GET / HTTP/1.1\r\nHost: hidden.default\r\nConnection: close\r\n\r\n", b"407"),
        (b"CONNECT hidden.default:80 HTTP/1.1\r\nHost: h\r\n\r\n", b"407"),
        (b"CONNECT hidden.default HTTP/1.1\r\nHost: h\r\n\r\n", b"400"),
        (b"CONNECT a:80 HTTP/1.1\r\n" + b"X: y\r\n" * 2000, b"431"),
        (b"nonsense\r\n\r\n", b"400"),
    ],
)
def test_the_proxy_serves_pods_alone(engine: EngineProcess, data: bytes, status: bytes) -> None:
    proxy = urlsplit(ask(engine)["http_proxy"])
    assert proxy.hostname == "127.0.0.1"
    assert raw(("127.0.0.1", proxy.port or 0), data).split(b" ")[1] == status


def test_each_pod_has_a_credential_of_its_own(engine: EngineProcess) -> None:
    one, other = (ask(engine, name=name) for name in ("caller", "other"))
    assert one["http_proxy"] != other["http_proxy"]
    assert re.fullmatch(r"http://pod:[\w-]{32}@127\.0\.0\.1:\d+", one["http_proxy"])
    assert one["HTTP_PROXY"] == one["http_proxy"]
    assert "https_proxy" not in one
    assert one["no_proxy"].split(",") == ["localhost", ".localhost", "127.0.0.1", "::1"]
