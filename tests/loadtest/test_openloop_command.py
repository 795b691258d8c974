"""The open loop's command: stages, targets, processes, TLS and outputs, against small servers."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import signal
import socketserver
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knative.local.simulation.arrivals import ProfileError
from loadtest.generators.latency import Latencies
from loadtest.generators.plan import Plan
from loadtest.generators.processes import split
from loadtest.generators.result import Result
from loadtest.generators.schedule import constant, intended, requests, stages
from loadtest.generators.wire import target
from loadtest.openloop import EXIT_MISTAKE, EXIT_OUTPUT, EXIT_PROCESS, EXIT_UNREACHABLE, main
from loadtest.outputs import openmetrics
from loadtest.targets import TargetsError, read

OFF = ["--no-live", "--objective", "p99<60s", "--objective", "errors<=0"]


class Echo(BaseHTTPRequestHandler):
    """Answers everything, and notes what was sent."""

    protocol_version = "HTTP/1.1"
    seen: ClassVar[list[tuple[str, str, bytes, str, int]]] = []

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.seen.append((self.command, self.path, body, self.headers["Host"], self.client_address[1]))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    do_GET = do_POST = do_PUT = answer  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[tuple[str, str, bytes, str, int]]]]:
    handler = type("Handler", (Echo,), {"seen": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"{'https' if context else 'http'}://127.0.0.1:{server.server_address[1]}", handler.seen  # type: ignore[attr-defined]
        finally:
            server.shutdown()


def test_stages_mean_the_integral_of_their_rate() -> None:
    profile = stages("0:100x2s,100x1s,100..0x2s")
    times = intended(profile)
    assert requests(profile) == 300
    assert len(times) == 300
    assert times == sorted(times)
    by_second = Counter(int(time) for time in times)
    assert [by_second[second] for second in range(5)] == pytest.approx([25, 75, 100, 75, 25], abs=1)
    assert intended(constant(4.0, 1.0)) == [0.0, 0.25, 0.5, 0.75]
    poisson = intended(stages("0:2000x5s"), poisson=True, seed=3)
    assert len(poisson) == pytest.approx(5000, rel=0.05)
    assert sum(time < 2.5 for time in poisson) == pytest.approx(1250, rel=0.1)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(1, 5)), min_size=1, max_size=5))
def test_any_stages_send_their_number_in_order_and_in_time(parts: list[tuple[int, int, int]]) -> None:
    profile = stages(",".join(f"{first}:{last}x{seconds}s" for first, last, seconds in parts))
    times = intended(profile)
    assert abs(len(times) - requests(profile)) <= 1
    assert times == sorted(times)
    assert all(0 <= time <= profile.duration for time in times)


@pytest.mark.parametrize(
    "text", ["", "5", "-5x3s", "5x", "5x0s", "1:2:3x5s", "infx5s", ",".join(["1x1ms"] * 1_000_000)]
)
def test_impossible_stages_are_refused_and_nothing_is_sent(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ProfileError):
        stages(text)
    with serving() as (url, seen):
        assert main([url, f"--stages={text}"] if text else [url, "--stages", "x"]) == EXIT_MISTAKE
        assert seen == []
    assert capsys.readouterr().err.startswith("openloop: ")


def test_each_process_sends_every_other_request() -> None:
    whole = Plan(target=target("http://h/"), rate=10.0, duration=1.0, connections=5)
    parts = split(whole, 2, 7.0)
    assert [one.connections for one in parts] == [3, 2]
    times = [one.intended() for one in parts]
    assert sorted(times[0] + times[1]) == whole.intended()
    assert times[0] == whole.intended()[::2]


def test_two_processes_are_one_run_with_one_histogram(tmp_path: Path) -> None:
    with serving() as (url, seen):
        arguments = [url, "--rate", "60", "--duration", "1", "--connections", "4", "--processes", "2"]
        program = [
            sys.executable,
            "-m",
            "loadtest.openloop",
            *arguments,
            *OFF,
            "--live",
            "--json",
            str(tmp_path / "o.json"),
        ]
        done = subprocess.run(program, capture_output=True, text=True, timeout=120)
    assert done.returncode in {0, 3}, done.stderr
    found = json.loads((tmp_path / "o.json").read_text())
    assert len(seen) == found["meant"] == found["good"] == 60
    assert Latencies.decoded(found["histogram"]).count == 60
    assert len({port for *_, port in seen}) <= 4


def test_a_process_that_is_killed_is_named_and_no_figures_are_shown() -> None:
    with serving() as (url, seen):
        load = [url, "--rate", "50", "--duration", "20", "--connections", "2", "--processes", "2", *OFF]
        program = [sys.executable, "-m", "loadtest.openloop", *load]
        with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
            while len(seen) < 10:
                time.sleep(0.05)
            children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
            workers = [int(one) for one in children if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]
            os.kill(workers[0], signal.SIGKILL)
            out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (EXIT_PROCESS, "")
    assert f"process {workers[0]} of the generator ended by SIGKILL, without a result" in err


def test_results_of_processes_add_up() -> None:
    one, two = Result(meant=3, seconds=2.0, cpu_seconds=1.0), Result(meant=4, seconds=3.0, cpu_seconds=0.5)
    one.corrected.extend([0.1] * 3)
    two.corrected.extend([0.3] * 4)
    one.statuses[200], two.statuses[503], two.errors["timeout"] = 3, 3, 1
    second = {"t": 1.0, "rate": 3.0, "in_flight": 1.0, "waiting": 0.0, "p99": 0.1, "cpu": 0.2}
    one.timeline, two.timeline = [second], [{**second, "p99": 0.3}, second]
    two.sending_share = 0.97
    one.merge(two)
    assert (one.meant, one.seconds, one.cpu_seconds, one.corrected.count) == (7, 3.0, 1.5, 7)
    assert dict(one.statuses) == {200: 3, 503: 3}
    assert (one.timeline[0]["rate"], one.timeline[0]["p99"], len(one.timeline)) == (6.0, 0.3, 2)
    assert "had no CPU left" in one.invalid(60.0)[0], "the worst process counts"


def test_targets_are_chosen_by_weight(tmp_path: Path) -> None:
    (tmp_path / "body.bin").write_bytes(b"picture")
    with serving() as (url, seen):
        lines = [
            "# two Services behind one address",
            json.dumps({"url": f"{url}/a", "weight": 3, "headers": {"Host": "a.example.com"}}),
            "",
            json.dumps({"url": f"{url}/b", "body": "body.bin", "method": "PUT"}),
            json.dumps({"url": f"{url}/never", "weight": 0}),
        ]
        (tmp_path / "targets.jsonl").write_text("\n".join(lines))
        status = main(["--rate", "200", "--duration", "1", "--targets", str(tmp_path / "targets.jsonl"), *OFF])
    assert status in {0, 3}
    paths = Counter((method, path, body, host.partition(":")[0]) for method, path, body, host, _ in seen)
    assert set(paths) == {("GET", "/a", b"", "a.example.com"), ("PUT", "/b", b"picture", "127.0.0.1")}
    assert paths["GET", "/a", b"", "a.example.com"] == pytest.approx(150, abs=30)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2"),
        ("[1]", "line 2: a JSON object is expected"),
        ('{"path": "/"}', "line 2: there is no field 'path'"),
        ('{"method": "GET"}', "line 2: url is needed"),
        ('{"url": "ftp://h/"}', "line 2"),
        ('{"url": "http://127.0.0.1:1/", "weight": -1}', "line 2: weight"),
        ('{"url": "http://127.0.0.1:1/", "weight": NaN}', "line 2: weight"),
        ('{"url": "http://127.0.0.1:1/", "body": "missing.png"}', "line 2"),
        ('{"url": "http://127.0.0.1:1/", "headers": {"X": "a\\r\\nY: b"}}', "line 2"),
        ('{"url": "http://127.0.0.2:1/"}', "line 2: 127.0.0.2:1 is another server"),
    ],
)
def test_a_broken_line_of_targets_is_named_and_nothing_is_sent(
    line: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "targets.jsonl"
    file.write_text('{"url": "http://127.0.0.1:1/"}\n' + line)
    with pytest.raises(TargetsError, match="line 2"):
        read(file, {})
    assert main(["--rate", "5", "--targets", str(file)]) == EXIT_MISTAKE
    assert said in capsys.readouterr().err


def test_without_reuse_every_request_has_its_own_connection() -> None:
    with serving() as (url, seen):
        main([url, "--rate", "20", "--duration", "0.5", "--connections", "2", "--no-reuse", *OFF])
    assert len(seen) == 10
    assert len({port for *_, port in seen}) == 10


def test_tls_is_verified_by_the_name_of_the_host_header(certificate: Path, capsys: pytest.CaptureFixture[str]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    load = ["--rate", "20", "--duration", "0.3", "--connections", "1", *OFF]
    host = ["--header", "Host: exif.example.com"]
    with serving(context) as (url, seen):
        assert main([url, *load, *host]) == EXIT_UNREACHABLE
        assert "certificate" in capsys.readouterr().err
        assert main([url, *load, "--cacert", str(certificate)]) == EXIT_UNREACHABLE, "the address is not in it"
        assert seen == []
        assert main([url, *load, *host, "--cacert", str(certificate)]) in {0, 3}
        assert len(seen) == 6
        assert main([url, *load, "--insecure"]) in {0, 3}
        assert main([url, *load, "--cacert", "/nowhere.pem"]) == EXIT_MISTAKE


def test_csv_json_and_openmetrics(tmp_path: Path) -> None:
    with serving() as (url, _), serving() as (gateway, pushed):
        files = [
            "--csv",
            str(tmp_path / "o.csv"),
            "--json",
            str(tmp_path / "o.json"),
            "--metrics",
            f"{gateway}/metrics/job/load",
        ]
        assert main([url, "--rate", "40", "--duration", "1.5", "--connections", "2", *OFF, *files]) in {0, 3}
        assert main([url, "--rate", "9", "--duration", "0.2", *OFF, "--metrics", str(tmp_path / "o.prom")]) in {0, 3}
        assert main([url, "--rate", "9", "--duration", "0.2", *OFF, "--metrics", "/nowhere/o.prom"]) == EXIT_OUTPUT
    header, *rows = (tmp_path / "o.csv").read_text().splitlines()
    assert header == "t,rate,in_flight,waiting,p99,cpu"
    assert len(rows) == len(json.loads((tmp_path / "o.json").read_text())["timeline"])
    ((method, path, body, _, _),) = pushed
    assert (method, path) == ("PUT", "/metrics/job/load")
    assert b'pixelamp_loadtest_responses_total{status="200"} 60\n' in body
    assert (tmp_path / "o.prom").read_text().endswith("# EOF\n")


def test_openmetrics_are_read_by_another_parser() -> None:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families

    result = Result(meant=3, seconds=2.0)
    result.corrected.extend([0.1, 0.2])
    result.statuses[200], result.errors['a "b"\\'] = 2, 1
    families = {one.name: one for one in text_string_to_metric_families(openmetrics(result, passed=False))}
    latency = families["pixelamp_loadtest_latency_seconds"].samples
    assert [one.value for one in latency if one.labels.get("quantile") == "1"] == pytest.approx([0.2], rel=0.002)
    assert families["pixelamp_loadtest_errors"].samples[0].labels == {"reason": 'a "b"\\'}
    assert families["pixelamp_loadtest_passed"].samples[0].value == 0


def test_a_live_line_a_second(capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as (url, _):
        main([url, "--rate", "20", "--duration", "2.5", "--connections", "2", "--live", "--objective", "60"])
    lines = [line for line in capsys.readouterr().err.splitlines() if "in flight" in line]
    assert 1 <= len(lines) <= 3
    assert "/s" in lines[0]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--rate", "5", "--processes", "0"],
        ["--rate", "5", "--processes", "3", "--connections", "2"],
        ["--stages", "0:100x30s", "--duration", "inf"],
        ["--rate", "5", "--csv", "/nowhere/o.csv"],
        ["--rate", "5", "--targets", "/nowhere.jsonl"],
    ],
)
def test_mistakes(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == EXIT_MISTAKE
    assert capsys.readouterr().err.startswith("openloop: ")


def test_a_server_that_only_accepts_is_a_timeout_and_not_a_hang() -> None:
    class Silent(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while self.request.recv(65536):
                pass

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Silent) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        status = main([url, "--rate", "10", "--duration", "0.2", "--connections", "2", "--timeout", "0.2", "--no-live"])
        server.shutdown()
    assert status in {1, 3}


def test_the_documented_equivalents_of_other_tools_run(tmp_path: Path) -> None:
    from loadtest.openloop import parser, plan_of
    from tests.servers import ROOT

    rows = [
        line
        for line in (ROOT / "docs" / "load.md").read_text().splitlines()
        if line.startswith(("| k6 ", "| `hey", "| `echo", "| `wrk2", "| `vegeta"))
    ]
    assert len(rows) >= 7
    with serving() as (url, seen):
        (tmp_path / "targets.jsonl").write_text(json.dumps({"url": url}))
        for row in rows:
            text = row.rpartition(" | ")[2].removesuffix(" |").strip().partition("` (")[0].strip("`")
            words = shlex.split(text.removeprefix("python -m loadtest.openloop URL"))
            words = [str(tmp_path / "targets.jsonl") if word == "FILE" else word for word in words]
            words += [] if {"--rate", "--stages"} & set(words) else ["--rate", "1"]
            assert plan_of(parser().parse_args(words)).load.peak > 0
            # The same for a moment.
            options = dict(itertools.pairwise(words))
            rate = options.get("--stages", options.get("--rate", "")).split("x")[0].rpartition(":")[2]
            short = [*words, "--rate", "20", "--duration", "0.3"] if "--rate" in words else words
            short = [f"0:{rate}x300ms" if word == options.get("--stages") else word for word in short]
            before = len(seen)
            assert main([url, *short, "--no-live", "--connections", "4"]) in {0, 1, 3}, row
            assert len(seen) > before, row


def test_missing_packages_are_named_with_the_way_to_install_them():
    from tests.servers import ROOT

    program = (
        "import sys, runpy; sys.modules['hdrh'] = None; runpy.run_module('loadtest.openloop', run_name='__main__')"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "make .venv/.dev" in ended.stderr
