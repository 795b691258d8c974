"""Faults, autoscale-go's parameters, and load besides the CPU, over HTTP."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest
import requests

from functions.stress.autoscale_go import largest_prime
from tests.servers import FunctionServer, Server, free_port


@pytest.fixture
def server(servers: Callable[..., FunctionServer]) -> FunctionServer:
    return servers("stress")


@pytest.fixture
def faulty() -> Iterator[FunctionServer]:
    running = FunctionServer("stress", {"STRESS_FAULTS": "1", "STRESS_CONCURRENCY": "4"})
    yield running
    running.stop()


def test_the_load_scripts_of_autoscale_go_work_unchanged(server: FunctionServer) -> None:
    """`hey -z 30s -c 50 "http://autoscale-go.default.1.2.3.4.sslip.io?sleep=100&prime=10000&bloat=5"`."""
    answer = server.get("/?sleep=100&prime=10000&bloat=5")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    allocated, prime, slept = answer.text.splitlines()
    assert allocated == "Allocated 5 Mb of memory."
    assert prime == "The largest prime less than 10000 is 9973."
    assert float(slept.removeprefix("Slept for ").removesuffix(" milliseconds.")) >= 100
    assert server.get("/stress?prime=40000000").status_code == 400
    assert server.get("/?sleep=90000").status_code == 400
    assert server.get("/?bloat=1000000").status_code in {400, 503}
    assert server.get("/?sleeps=1").status_code == 400
    assert server.post("/?status=503&seconds=0").json()["detail"] == "status belongs to fail: give fail too"
    assert server.get("/").json()["function"] == "stress"


def test_the_largest_prime_is_that_of_trial_division() -> None:
    for below in range(200):
        primes = [n for n in range(2, below) if all(n % d for d in range(2, int(n**0.5) + 1))]
        assert largest_prime(below) == (primes[-1] if primes else None)
    assert largest_prime(1_000_000) == 999_983


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/status/503"), ("POST", "/panic"), ("POST", "/unready"), ("POST", "/?fail=50&load=1")]
)
def test_faults_are_off_unless_they_are_allowed(server: FunctionServer, method: str, path: str) -> None:
    answer = requests.request(method, server.url + path, timeout=30)
    assert answer.status_code == 403
    assert "STRESS_FAULTS=1" in answer.json()["detail"]
    assert server.get("/readyz").status_code == 200


def test_statuses_and_failure_shares(faulty: FunctionServer) -> None:
    assert [faulty.get(f"/status/{code}").status_code for code in (200, 204, 404, 429, 503)] == [
        200,
        204,
        404,
        429,
        503,
    ]
    assert faulty.get("/stress/status/418").headers["Content-Type"] == "application/problem+json"
    assert "Retry-After" in faulty.get("/status/503").headers
    assert faulty.get("/status/600").status_code == 404
    assert faulty.post("/?fail=100&status=502&sleep_ms=1").status_code == 502
    assert faulty.post("/?fail=0&sleep_ms=1").status_code == 200
    seeded = [faulty.post(f"/?fail=50&sleep_ms=1&seed={seed}").status_code for seed in range(20)]
    assert set(seeded) == {200, 500}
    assert seeded == [faulty.post(f"/?fail=50&sleep_ms=1&seed={seed}").status_code for seed in range(20)]


def test_unreadiness_for_a_while_in_every_worker(faulty: FunctionServer) -> None:
    assert faulty.post("/unready?seconds=60").json()["unready_seconds"] == 60
    unready = [faulty.get("/readyz") for _ in range(20)]
    assert {answer.status_code for answer in unready} == {503}
    assert unready[0].json()["status"] == "unready"
    assert faulty.get("/healthz").status_code == 200
    assert faulty.post("/?sleep_ms=1").status_code == 200
    faulty.post("/unready?seconds=0")
    assert {faulty.get("/readyz").status_code for _ in range(20)} == {200}


def test_a_panic_ends_the_pod_with_its_code(faulty: FunctionServer) -> None:
    with pytest.raises(requests.ConnectionError):
        requests.post(f"{faulty.url}/panic?code=3", timeout=30)
    assert faulty.process.wait(30) == 3


def test_a_slow_start_is_unready_until_it_is_over() -> None:
    port = free_port()
    command = [sys.executable, "-m", "functions.kit.server", "stress", "--host", "127.0.0.1"]
    server = Server(port, command, {"PORT": str(port), "STRESS_START_SECONDS": "600"}, "/healthz")
    try:
        assert requests.get(f"{server.url}/readyz", timeout=30).status_code == 503
        assert requests.post(f"{server.url}/panic", timeout=30).status_code == 403
    finally:
        server.stop()


def test_disk_network_and_growing_memory(server: FunctionServer) -> None:
    answer = server.post("/?disk_mb_s=4&network_mb_s=8&memory_mb=12&leak_mb_s=100&touch=1&hold=2").json()
    done = answer["achieved"]
    # Less on a busy machine, never more than was requested.
    assert answer["ended"] == "completed" or answer["shortfall"]["reason"].endswith("not reached")
    assert 0 < done["disk_mb"] <= 8
    assert 0 < done["network_mb"] <= 16
    assert 0 < done["memory_mb"] <= 12
    assert done["cpu_seconds"] == 0


def test_a_profile_over_http(server: FunctionServer) -> None:
    answer = server.post("/?levels=10x500ms,40x500ms").json()
    assert (answer["asked"]["profile"], answer["asked"]["mean_load"]) == ("10x500ms,40x500ms", 25)
    assert answer["ended"] in {"completed", "short", "over"}
    assert 0 < answer["achieved"]["load"] < 30
