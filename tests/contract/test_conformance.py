"""What the functions framework's conformance suite expects of http and CloudEvent functions, under its own CLI.

Its cases (github.com/GoogleCloudPlatform/functions-framework-conformance): the port comes from $PORT, any path and
method reaches the function, the same CloudEvent is understood in binary and in structured mode, and requests are served
at the same time. What it asks of signature `cloudevent` alone, an answer without the function's result, does not apply:
a broker reads such an answer as a failure.
"""

from __future__ import annotations

import base64
import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import FUNCTIONS
from tests.contract.conftest import HAVE_IMAGE_EVENTS
from tests.images import encoded, gradient
from tests.servers import ROOT, FunctionServer

IMAGE = encoded(gradient(), "JPEG")


@pytest.fixture(scope="module")
def framework() -> Iterator[dict[str, FunctionServer]]:
    """Each function under `functions-framework`, its port from the environment."""
    program = str(Path(sys.executable).parent / "functions-framework")
    running = {
        name: FunctionServer(name, command=[program, "--source", f"{ROOT}/functions/{name}/main.py", "--target", name])
        for name in FUNCTIONS
    }
    yield running
    for server in running.values():
        server.stop()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_path_and_method_reaches_the_function(framework: dict[str, FunctionServer], name: str):
    for method, path in (("GET", "/a/b/c"), ("PUT", "/"), ("DELETE", f"/{name}"), ("PATCH", "/any?x=1")):
        answer = framework[name].request(method, path)
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["X-Pod-Name"]
    for path in ("/robots.txt", "/favicon.ico"):
        assert framework[name].get(path).status_code == 404


@pytest.mark.parametrize("name", HAVE_IMAGE_EVENTS)
def test_an_event_means_the_same_in_binary_and_in_structured_mode(framework: dict[str, FunctionServer], name: str):
    attributes = {"specversion": "1.0", "id": "1", "source": "/test", "type": "dev.pixelamp.image.uploaded"}
    binary = framework[name].post(
        "/",
        data=IMAGE,
        headers={**{f"ce-{key}": value for key, value in attributes.items()}, "Content-Type": "image/jpeg"},
    )
    event = {**attributes, "datacontenttype": "image/jpeg", "data_base64": base64.b64encode(IMAGE).decode()}
    structured = framework[name].post(
        "/", data=json.dumps(event), headers={"Content-Type": "application/cloudevents+json"}
    )
    assert binary.status_code == structured.status_code == 200
    assert binary.headers["ce-id"] == structured.headers["ce-id"]
    assert binary.headers["ce-type"] == structured.headers["ce-type"]
    assert binary.json()["results"] == structured.json()["results"]


def test_requests_are_served_at_the_same_time(framework: dict[str, FunctionServer]):
    server = framework["stress"]
    waiting = [
        threading.Thread(target=FunctionServer.post, args=(server, "/?seconds=0&sleep_ms=3000")) for _ in range(3)
    ]
    for thread in waiting:
        thread.start()
    deadline = time.monotonic() + 20
    together = 0
    while together < 3 and time.monotonic() < deadline:
        line = next(
            line for line in server.get("/metrics").text.splitlines() if line.startswith("pixelamp_requests_in_fl")
        )
        together = max(together, int(float(line.split()[1])))
    for thread in waiting:
        thread.join()
    assert together == 3
