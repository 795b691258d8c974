"""A revision that has never been ready gets no traffic, says why, and lets nobody wait in vain."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.engines import POD_SERVER, EngineProcess, Start, service

CRASH = ["sh", "-c", "echo starting; echo boom: no database >&2; exit 1"]
NEVER = ["sleep", "600"]


def conditions(described: dict[str, Any]) -> dict[str, tuple[str, str, str]]:
    return {
        one["type"]: (one["status"], one.get("reason", ""), one.get("message", "")) for one in described["conditions"]
    }


def of_service(engine: EngineProcess, name: str = "hello") -> dict[str, tuple[str, str, str]]:
    return conditions(next(one for one in engine.status()["services"] if one["name"] == name))


def with_deadline(made: dict[str, Any], seconds: str) -> dict[str, Any]:
    made["spec"]["template"]["metadata"]["annotations"]["serving.knative.dev/progress-deadline"] = seconds
    return made


def test_a_container_that_exits_is_a_reason_and_no_wait(start: Start) -> None:
    engine = start(service(command=CRASH), service("good"))
    failed = ("False", "ExitCode1", "Container failed with: boom: no database")
    engine.wait(lambda: conditions(engine.revision())["Ready"] == failed, "the reason")
    status, body = engine.get("/hello")
    assert status == 503
    # What the program wrote is for its log, the condition and the console, not for a client.
    assert body == b"hello-00001 is not ready: ExitCode1 (the output is in the log of the pod)\n"
    message = 'Revision "hello-00001" failed with message: Container failed with: boom: no database.'
    expected = {
        "Ready": ("False", "RevisionFailed", message),
        "ConfigurationsReady": ("False", "RevisionFailed", message),
        "RoutesReady": ("False", "RevisionMissing", 'Configuration "hello" does not have any ready Revision.'),
    }
    engine.wait(lambda: of_service(engine) == expected, "the Service's conditions")
    engine.wait_line("[hello-00001] not ready: ExitCode1: Container failed with: boom: no database")
    (described,) = [one for one in engine.status()["services"] if one["name"] == "hello"]
    assert (described["latestReadyRevision"], described["traffic"]) == (None, [])
    assert engine.get("/good?brief=1")[0] == 200
    engine.wait(lambda: of_service(engine, "good")["Ready"] == ("True", "", ""), "the other Service")


def test_requests_wait_for_a_first_pod_and_get_an_answer_when_none_comes(start: Start) -> None:
    engine = start(with_deadline(service(command=NEVER), "3s"))
    answers: list[tuple[int, bytes]] = []
    clients = [threading.Thread(target=lambda: answers.append(engine.get("/hello"))) for _ in range(3)]
    for client in clients:
        client.start()
    engine.wait(lambda: engine.revision()["queued"] == 3, "requests that wait")
    assert conditions(engine.revision())["Ready"] == ("Unknown", "Deploying", "")
    waiting = ("Unknown", "RevisionMissing", 'Configuration "hello" is waiting for a Revision to become ready.')
    assert of_service(engine)["RoutesReady"] == waiting
    for client in clients:
        client.join(20)
    words = rb'hello-00001 is not ready: ProgressDeadlineExceeded: ReplicaSet ".*" has timed out progressing: \w'
    assert [(status, bool(re.match(words, body))) for status, body in answers] == [(503, True)] * 3, answers
    assert engine.get("/hello")[0] == 503


def test_a_request_before_the_first_revision_is_ready_is_held_for_it(start: Start, tmp_path: Path) -> None:
    """On a cluster nothing is routed before, and the gateway answers 404; here the request waits for the pod."""
    unready = tmp_path / "unready"
    unready.touch()
    probe = {"readinessProbe": {"httpGet": {"path": "/ready"}}}
    engine = start(service(environment={"UNREADY": str(unready)}, container=probe))
    with ThreadPoolExecutor(5) as executor:
        held = [executor.submit(engine.get, "/hello?brief=1", timeout=60) for _ in range(5)]
        engine.wait(lambda: engine.revision()["queued"] == 5, "requests that wait")
        assert not any(one.done() for one in held)
        assert of_service(engine)["RoutesReady"][0] == "Unknown"
        unready.unlink()
        assert [one.result()[0] for one in held] == [200] * 5


def test_a_later_revision_that_fails_leaves_the_traffic_and_is_the_reason(start: Start) -> None:
    engine = start(service(annotations={"min-scale": "1"}))
    engine.wait_pods(1)
    engine.write(service(annotations={"min-scale": "1"}, command=CRASH))
    engine.process.send_signal(signal.SIGHUP)
    engine.wait(lambda: of_service(engine)["Ready"][1] == "RevisionFailed", "the reason")
    assert of_service(engine)["RoutesReady"] == ("True", "", "")
    assert json.loads(engine.get()[1])["environment"]["K_REVISION"] == "hello-00001"
    engine.write(service(annotations={"min-scale": "1"}, environment={"A": "mended"}))
    engine.process.send_signal(signal.SIGHUP)
    engine.wait(lambda: of_service(engine)["Ready"][0] == "True", "a mended revision")
    assert json.loads(engine.get()[1])["environment"]["A"] == "mended"


def test_a_crash_at_the_first_start_costs_no_request(start: Start, tmp_path: Path) -> None:
    once = f"mkdir {tmp_path}/crashed 2>/dev/null && exit 3; exec python -S {Path(__file__).parents[1]}/pod_server.py"
    engine = start(service(command=["sh", "-c", once], annotations={"min-scale": "1"}))
    assert engine.get("/hello?brief=1")[0] == 200
    assert conditions(engine.revision())["Ready"] == ("True", "", "")


def test_a_pinned_revision_without_traffic_is_not_reported_as_receiving_it(start: Start) -> None:
    first = [{"revisionName": "hello-one", "percent": 100}]
    engine = start(service(revision="hello-one", annotations={"min-scale": "1"}, traffic=first))
    engine.wait(lambda: "hello-one is ready and gets 100 % of the traffic" in engine.output, "the first revision")
    engine.write(service(revision="hello-two", annotations={"min-scale": "1"}, environment={"V": "2"}, traffic=first))
    engine.process.send_signal(signal.SIGHUP)
    engine.wait(lambda: "hello-two is ready and gets 0 % of the traffic" in engine.output, "the second revision")
    assert json.loads(engine.get()[1])["environment"]["K_REVISION"] == "hello-one"


def test_a_tag_of_a_revision_that_is_not_ready_waits_for_it(start: Start) -> None:
    traffic = [{"latestRevision": True, "percent": 100, "tag": "new"}]
    engine = start(service(environment={"START_SECONDS": "1"}, traffic=traffic))
    assert engine.get("/?brief=1", "new-hello.default.localhost")[0] == 200


def test_a_service_without_a_command_stops_no_other(start: Start) -> None:
    image = service("imaged")
    del image["spec"]["template"]["spec"]["containers"][0]["command"]
    engine = start(image, service("good"), arguments=("--runtime", "process"))
    engine.wait(lambda: of_service(engine, "imaged")["Ready"][0] == "False", "the failure")
    _, reason, message = of_service(engine, "imaged")["Ready"]
    assert reason == "RevisionFailed"
    assert 'Unable to fetch image "dev.local/test:1": ' in message
    assert engine.get("/imaged")[0] == 503
    assert engine.get("/good?brief=1")[0] == 200


FIXED = Path(__file__).parents[1] / "fixed_port_server.py"


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.mark.parametrize("declared", [True, False])
def test_a_program_that_ignores_port_is_found_and_served_as_the_only_pod(start: Start, declared: bool) -> None:
    port = free_port()
    container = {"ports": [{"containerPort": port}]} if declared else {}
    engine = start(
        service(
            command=["python", "-S", str(FIXED)],
            environment={"FIXED": str(port)},
            container=container,
            concurrency=1,
            annotations={"target": "1"},
        )
    )
    status, given = engine.get("/hello")
    assert status == 200
    words = f"listens on {port} and not on PORT={given.decode()}: it is served there while it is the only pod; "
    assert engine.wait(lambda: words + "make it listen on $PORT" in engine.output, "the line on PORT")
    assert conditions(engine.revision())["ListensOnPort"] == ("False", "PortIgnored", words + "make it listen on $PORT")
    assert conditions(engine.revision())["Ready"] == ("True", "", "")
    with ThreadPoolExecutor(12) as pool:
        assert {status for status, _ in pool.map(lambda _: engine.get("/hello"), range(200))} == {200}
    assert len(engine.pods()) == 1
    assert engine.revision()["replicas"] == 1


BESIDE = """
import http.server, os, socket, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"served")
first = socket.create_server(("127.0.0.1", int(sys.argv[1])))
time.sleep(float(sys.argv[2]))
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


@pytest.mark.parametrize("declared", [True, False])
def test_a_port_opened_before_port_is_not_taken_for_it(start: Start, declared: bool) -> None:
    """Metrics, debuggers and management listen early; one that is the containerPort is served until PORT is open."""
    port = free_port()
    container = {"ports": [{"containerPort": port}]} if declared else {}
    engine = start(service(command=["python", "-S", "-c", BESIDE, str(port), "1.2"], container=container))
    if declared:
        engine.wait(lambda: "now, and is served there" in engine.output, "the line on PORT")
    assert engine.get("/hello") == (200, b"served")
    assert "ListensOnPort" not in conditions(engine.revision())


def test_a_program_that_listens_on_ipv6_alone_is_reported(start: Start) -> None:
    bind = "import os, socket, time; s = socket.create_server(('::1', int(os.environ['PORT'])), family=socket.AF_INET6)"
    engine = start(service(command=["python", "-S", "-c", f"{bind}; time.sleep(600)"]))
    engine.wait(lambda: ", and not at 127.0.0.1; make it listen on 0.0.0.0" in engine.output, "the reason")


def test_a_port_of_its_own_on_ipv6_alone_is_not_called_served(start: Start) -> None:
    port = free_port()
    bind = f"import socket, time; s = socket.create_server(('::1', {port}), family=socket.AF_INET6)"
    container = {"ports": [{"containerPort": port}]}
    engine = start(service(command=["python", "-S", "-c", f"{bind}; time.sleep(600)"], container=container))
    engine.wait(lambda: f"listens on {port} and not on PORT=" in engine.output, "the reason")
    assert ", and not at 127.0.0.1; make it listen on $PORT of 0.0.0.0" in engine.output
    assert "served there" not in engine.output


def test_without_podman_and_docker_the_reason_says_so(tmp_path: Path) -> None:
    image = service("imaged")
    del image["spec"]["template"]["spec"]["containers"][0]["command"]
    engine = EngineProcess(tmp_path, image, service("good"), PATH=str(Path(sys.executable).parent))
    try:
        engine.wait(lambda: of_service(engine, "imaged")["Ready"][0] == "False", "the reason")
        ready = conditions(engine.revision("imaged"))["Ready"]
        assert ready[1] == "ContainerMissing"
        assert ready[2].endswith("no container can run on this machine: podman is not on PATH; docker is not on PATH")
        assert engine.get("/good?brief=1")[0] == 200
    finally:
        assert engine.stop() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change its user")
def test_a_process_runs_as_the_manifest_s_user_without_new_privileges(start: Start) -> None:
    context = {"runAsUser": 65532, "runAsGroup": 65533, "allowPrivilegeEscalation": False}
    show = "id -u; id -g; id -G; grep NoNewPrivs /proc/self/status; sleep 60"
    engine = start(service(command=["sh", "-c", show], container={"securityContext": context}))
    for words in ("65532", "65533", "NoNewPrivs:\t1"):
        engine.wait(lambda words=words: any(line.endswith(f"] {words}") for line in engine.lines), words)


@pytest.mark.parametrize(
    ("probe", "tls"),
    [({"tcpSocket": {}}, False), ({"httpGet": {}}, False), ({"httpGet": {"scheme": "HTTPS"}}, True)],
    ids=["tcpSocket", "httpGet", "httpGet over TLS"],
)
def test_a_probe_of_another_port_asks_that_port(
    start: Start, tmp_path: Path, certificate: Path, probe: dict[str, Any], tls: bool
) -> None:
    """Over TLS it verifies no certificate, as a kubelet: this one has signed itself, for another name."""
    port = free_port()
    go = tmp_path / "go"
    other = f"(while [ ! -e {go} ]; do sleep 0.05; done; exec python -S {FIXED}) & exec python -S {POD_SERVER}"
    ((kind, action),) = probe.items()
    engine = start(
        service(
            command=["sh", "-c", other],
            environment={"FIXED": str(port), **({"CERTIFICATE": str(certificate)} if tls else {})},
            container={"readinessProbe": {kind: {**action, "port": port}}},
        )
    )
    engine.wait(lambda: engine.pods("pending"), "a pod that is not ready")
    engine.wait(lambda: "listening" in engine.output, "its own port")
    engine.wait(lambda: f"nothing listens on port {port}" in str(engine.pods("pending")), "the reason")
    go.touch()
    engine.wait_pods(1)
    assert engine.get("/hello?brief=1")[0] == 200


def test_a_probe_over_tls_of_a_program_without_it_says_so(start: Start) -> None:
    command = ["python", "-m", "http.server", "$(PORT)"]
    engine = start(service(command=command, container={"readinessProbe": {"httpGet": {"scheme": "HTTPS"}}}))
    engine.wait(lambda: "no TLS on port" in str(engine.pods("pending")), "the reason")
