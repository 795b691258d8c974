"""What `make serve` prints of its pods: a request as one short line, and everything else unchanged."""

import json
import os
import pty
import re
import subprocess
import sys

import pytest

from knative.local.engine.printer import readable
from knative.local.engine.serve import with_settings
from knative.local.manifests.cluster import Cluster
from knative.local.manifests.resources import Manifests, Resource
from knative.local.manifests.source import Document
from tests.engines import service

REQUEST = {
    "time": "2026-11-30T14:50:42.662Z",
    "level": "info",
    "message": "request",
    "function": "exif",
    "pod": "exif-1",
    "revision": "exif-00001",
    "request_id": "acd2",
    "method": "POST",
    "operation": "strip",
    "status": 200,
    "milliseconds": 599.68,
    "outcome": "ok",
}


def line(**changed):
    return json.dumps({**REQUEST, **changed}).encode()


def test_a_request_is_one_short_line_with_status_time_and_pod():
    text = readable("exif-1", line(), colour=False)
    assert text == "14:50:42 200 POST exif strip            599.7 ms  exif-1"
    assert "\x1b" not in text


@pytest.mark.parametrize(("status", "shade"), [(200, "32"), (404, "33"), (503, "31")])
def test_colours_tell_statuses_apart(status, shade):
    assert f"\x1b[{shade}m{status}\x1b[0m" in readable("exif-1", line(status=status), colour=True)


def test_another_record_names_its_fields():
    record = {"time": "2026-11-30T14:50:42.662Z", "level": "warning", "message": "slow start", "seconds": 3}
    assert readable("p", json.dumps(record).encode(), colour=False) == "14:50:42 warning  slow start seconds=3  p"


@pytest.mark.parametrize("raw", [b"plain text", b"{broken", b"[1]", b'{"other": 1}', b"{" * 100_000, b"\xff"])
def test_a_line_that_is_not_a_record_is_left_unchanged(raw):
    assert readable("p", raw, colour=True) is None


PROGRAM = """
from knative.local.engine.printer import LogFormat, Printer, coloured
printer = Printer(LogFormat.TEXT, colour=coloured())
printer("exif-1", %r)
printer("exif-1", b"plain")
printer.close()
"""


def printed(environment, *, terminal):
    command = [sys.executable, "-c", PROGRAM % line()]
    if not terminal:
        return subprocess.run(command, env=environment, capture_output=True, check=True).stdout.decode()
    controller, side = pty.openpty()
    subprocess.run(command, env=environment, stdout=side, check=True)
    os.close(side)
    text = os.read(controller, 65536).decode()
    os.close(controller)
    return text


def test_colours_appear_on_a_terminal_alone_and_not_with_no_color():
    plain = {**os.environ, "TERM": "xterm"}
    plain.pop("NO_COLOR", None)
    assert "\x1b[" in printed(plain, terminal=True)
    assert "\x1b[" not in printed({**plain, "NO_COLOR": "1"}, terminal=True)
    piped = printed(plain, terminal=False)
    assert re.fullmatch(r"14:50:42 200 POST .* exif-1\n\[exif-1\] plain\n", piped)


def manifests(*objects):
    resources = tuple(Resource(data, Document(data, "x", 1, {}), checked=True) for data in objects)
    return Manifests(resources, Cluster(), ())


def variables(resource):
    return {one["name"]: one["value"] for one in resource.data["spec"]["template"]["spec"]["containers"][0]["env"]}


def test_settings_in_the_environment_reach_the_functions_of_the_project_alone():
    ours = service("exif", environment={"EXIF_MAX_BYTES": "1", "KEPT": "2"})
    ours["metadata"]["labels"] = {"app.kubernetes.io/part-of": "pixelamp"}
    other = service("java", environment={"A": "1"})
    said = []
    environment = {"EXIF_MAX_BYTES": "64", "EXIF_WORKERS": "2", "JAVA_HOME": "/x", "PATH": "/bin"}
    first, second = with_settings(manifests(ours, other), environment, said.append).services
    assert variables(first).items() >= {"EXIF_MAX_BYTES": "64", "EXIF_WORKERS": "2", "KEPT": "2"}.items()
    assert "JAVA_HOME" not in variables(second)
    assert said == ["exif: EXIF_MAX_BYTES, EXIF_WORKERS from this environment"]
