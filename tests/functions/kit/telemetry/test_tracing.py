"""Spans reach a collector: a server span that continues the caller's trace, with a child for each phase."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.images import encoded, gradient
from tests.servers import FunctionServer, clean_environment

trace_service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Collector(BaseHTTPRequestHandler):
    """An OTLP receiver over HTTP that decodes what it gets by the protocol's own messages."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            import gzip

            body = gzip.decompress(body)
        request = trace_service.ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            names = {one.key: one.value.string_value for one in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.server.spans += [(names, span) for span in scope.spans]  # type: ignore[attr-defined]
        self.server.received.set()  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Any]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        server.spans, server.received = [], threading.Event()  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def spans_of(collector: Any, function: str, send: Any) -> list[tuple[dict[str, str], Any]]:
    """The spans that a server of a function has sent when it has ended."""
    address = f"http://127.0.0.1:{collector.server_address[1]}"
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": address,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "K_SERVICE": f"my-{function}",
    }
    server = FunctionServer(function, {**environment, "K_REVISION": "rev-7", "HOSTNAME": "pod-1"})
    try:
        send(server)
        assert collector.received.wait(30), server.log()
    finally:
        server.stop()
    return list(collector.spans)


def test_a_server_span_continues_the_trace_and_has_its_phases(collector: Any) -> None:
    def send(server: FunctionServer) -> None:
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
        assert server.post("/histogram", data=encoded(gradient(), "PNG"), headers=headers).status_code == 200
        assert server.get("/healthz").status_code == 200

    found = spans_of(collector, "histogram", send)
    (root,) = [span for _, span in found if span.kind == span.SPAN_KIND_SERVER]
    assert (root.trace_id.hex(), root.parent_span_id.hex(), root.name) == (TRACE, PARENT, "POST root")
    attributes = {one.key: one.value for one in root.attributes}
    assert attributes["http.response.status_code"].int_value == 200
    assert attributes["url.path"].string_value == "/histogram"
    children = [span for _, span in found if span.parent_span_id == root.span_id]
    assert {"read", "count"} <= {span.name for span in children}
    assert all(root.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano for span in children)
    resource = found[0][0]
    assert (resource["service.name"], resource["knative.revision"]) == ("my-histogram", "rev-7")
    assert resource["k8s.pod.name"] == "pod-1"


def test_the_reply_of_an_event_continues_the_span(collector: Any) -> None:
    replies: list[str] = []

    def send(server: FunctionServer) -> None:
        headers = {
            "ce-specversion": "1.0", "ce-id": "a", "ce-source": "/t", "ce-type": "dev.pixelamp.stress.requested",
            "Content-Type": "application/json", "traceparent": f"00-{TRACE}-{PARENT}-01",
        }  # fmt: skip
        answer = server.post("/", headers=headers, data='{"sleep_ms": 5}')
        replies.append(answer.headers["ce-traceparent"])

    found = spans_of(collector, "stress", send)
    (root,) = [span for _, span in found if span.kind == span.SPAN_KIND_SERVER]
    assert replies == [f"00-{TRACE}-{root.span_id.hex()}-01"]


def test_without_an_endpoint_nothing_of_it_is_imported() -> None:
    program = "import sys; from functions.kit.server.application import build; build('stress'); "
    program += "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    done = subprocess.run([sys.executable, "-c", program], env=clean_environment(), capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_an_endpoint_without_the_extra_is_a_warning_and_no_failure() -> None:
    program = "import sys; sys.modules['opentelemetry'] = None; "
    program += "from functions.kit.server.application import build; build('stress')"
    environment = clean_environment(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1")
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "the extra otel is not installed" in done.stdout + done.stderr
