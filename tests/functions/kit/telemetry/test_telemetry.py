import io
import json
from importlib.metadata import PackageNotFoundError, version

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.kit.telemetry.reporting import Identity, Log, Metrics, Timing, project_version, request_id, trace_id

IDENTITY = Identity("demo", "demo-00001-abcde", "demo-00001")


@given(st.text())
def test_a_request_id_is_kept_if_valid_and_made_if_not(text: str):
    made = request_id(text)
    assert made == text or len(made) == 32
    assert made.isascii()
    assert "\n" not in made


def test_request_ids_differ():
    assert request_id(None) != request_id(None)


@pytest.mark.parametrize(
    ("header", "trace"),
    [
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", None),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", None),
        ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None),
        ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", None),
        ("nonsense", None),
        (None, None),
    ],
)
def test_trace_ids_follow_trace_context(header: str | None, trace: str | None):
    assert trace_id(header) == trace


def test_a_log_line_is_one_json_object():
    stream = io.StringIO()
    Log(IDENTITY, "json", stream).write("info", "request", status=200, trace_id=None, name="a\nb")
    (line,) = stream.getvalue().splitlines()
    said = json.loads(line)
    assert said["pod"] == IDENTITY.pod
    assert said["status"] == 200
    assert said["name"] == "a\nb"
    assert "trace_id" not in said
    assert said["time"].endswith("Z")


def test_a_log_that_cannot_be_written_costs_no_answer():
    stream = io.StringIO()
    stream.close()
    log = Log(IDENTITY, "json", io.StringIO())
    log._stream = stream
    log.write("info", "request")


def test_metrics_count_requests_and_time_them():
    metrics = Metrics(IDENTITY)
    metrics.started()
    metrics.finished("root", 200, 0.02, 1234)
    text, content_type = metrics.exposition()
    lines = text.decode().splitlines()
    assert 'pixelamp_requests_total{function="demo",operation="root",status="200"} 1.0' in lines
    assert 'pixelamp_requests_in_flight{function="demo"} 0.0' in lines
    assert 'pixelamp_request_seconds_bucket{function="demo",le="0.025",operation="root"} 1.0' in lines
    assert (
        'pixelamp_build_info{function="demo",revision="demo-00001",version="' + version("pixelamp") + '"} 1.0' in lines
    )
    assert content_type.startswith("text/plain")


@pytest.mark.parametrize("requests", [1, Metrics.EARLY, 3 * Metrics.EARLY])
def test_requests_before_the_metrics_library_is_imported_are_counted(requests: int):
    metrics = Metrics(IDENTITY)
    for _ in range(requests):
        metrics.started()
        metrics.finished("root", 200, 0.02, 1234)
    metrics.started()
    assert (metrics._registry is None) == (requests == 1)
    lines = metrics.exposition()[0].decode().splitlines()
    assert f'pixelamp_requests_total{{function="demo",operation="root",status="200"}} {requests}.0' in lines
    assert 'pixelamp_requests_in_flight{function="demo"} 1.0' in lines
    assert f'pixelamp_request_bytes_count{{function="demo"}} {requests}.0' in lines


def test_server_timing_names_its_phases():
    timing = Timing()
    timing.add("read", 0.0015)
    timing.add("read", 0.0005)
    assert timing.header().startswith("read;dur=2.00, total;dur=")


def test_sources_without_an_installed_distribution_have_the_version_of_their_project(monkeypatch: pytest.MonkeyPatch):
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    project_version.cache_clear()
    monkeypatch.setattr("importlib.metadata.version", missing)
    try:
        found = project_version()
    finally:
        project_version.cache_clear()
    assert found == version("pixelamp")
