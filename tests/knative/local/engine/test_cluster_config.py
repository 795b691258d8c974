"""What config-network and config-features of a cluster say, as the engine follows it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.engines import EngineProcess, service

STEADY = {"min-scale": "1", "window": "6s"}


def config(name: str, **data: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "knative-serving"}
    values = {key.replace("_", "-"): value for key, value in data.items()}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": values}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    traffic = [{"latestRevision": True, "percent": 100, "tag": "blue"}]
    hidden = service("hidden", annotations=STEADY, labels={"networking.knative.dev/visibility": "cluster-local"})
    templates = {"domain_template": "{{.Name}}-{{.Namespace}}.{{.Domain}}", "tag_template": "{{.Name}}-{{.Tag}}"}
    started = EngineProcess(
        tmp_path_factory.mktemp("config"),
        service(annotations=STEADY, traffic=traffic),
        hidden,
        config("config-network", **templates),
        config("config-domain", **{"knative.test": ""}),
    )
    started.wait_pods(1)
    yield started
    assert started.stop() == 0


@pytest.mark.parametrize(
    ("host", "tag"),
    [
        ("hello-default.localhost", None),
        ("hello-default.knative.test", None),
        ("hello-blue-default.knative.test", "blue"),
        ("hello.default.localhost", None),
    ],
)
def test_a_service_answers_under_the_hosts_of_the_templates(engine: EngineProcess, host: str, tag: str | None) -> None:
    status, body = engine.get("/x", host)
    assert status == 200, body
    assert json.loads(body)["headers"].get("knative-serving-tag") == tag


@pytest.mark.parametrize(
    "host", ["hello-team.localhost", "hidden-default.localhost", "hello-green-default.knative.test"]
)
def test_no_other_host_of_their_form_is_one(engine: EngineProcess, host: str) -> None:
    assert engine.get("/x", host)[0] == 404


def test_status_and_greeting_print_these_hosts(engine: EngineProcess) -> None:
    (described,) = [one for one in engine.status()["services"] if one["name"] == "hello"]
    assert described["url"] == f"http://hello-default.localhost:{engine.port}"
    assert [one["url"] for one in described["traffic"]] == [f"http://hello-blue-default.localhost:{engine.port}"]
    assert f"http://hello-default.localhost:{engine.port}/" in engine.output
    assert not any(line.startswith("Left out: ConfigMap") for line in engine.lines)
