"""A Service's template as a process: defaults, references, probes, limits, and what cannot run here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from knative.local.manifests.cluster_config import parse_defaults
from knative.local.pods.conditions import Problem
from knative.local.pods.environment import expand
from knative.local.pods.probes.probe import Probe
from knative.local.pods.runtimes.limits import Limits
from knative.local.pods.runtimes.selection import Mode
from knative.local.pods.template import Template, TemplateError, template
from tests.engines import service

DEFAULTS = parse_defaults({})


def read(manifest: dict[str, Any], directory: str = "/", **more: Any) -> Template:
    return template(manifest, directory, more.pop("defaults", DEFAULTS), **more)


def test_silence_means_the_cluster_s_defaults() -> None:
    manifest = service()
    del manifest["spec"]["template"]["spec"]["containerConcurrency"]
    made = read(manifest)
    assert (made.timeout, made.concurrency, made.idle_timeout) == (300.0, 0, None)
    assert made.response_start_timeout is None
    assert made.program.readiness == Probe()
    assert made.limits == Limits()
    changed = parse_defaults({"revision-timeout-seconds": "20", "container-concurrency": "7"})
    assert (read(manifest, defaults=changed).timeout, read(manifest, defaults=changed).concurrency) == (20.0, 7)


def test_a_start_timeout_counts_only_below_the_whole_one() -> None:
    assert read(service(spec={"timeoutSeconds": 10, "responseStartTimeoutSeconds": 5})).response_start_timeout == 5
    assert read(service(spec={"timeoutSeconds": 10, "responseStartTimeoutSeconds": 10})).response_start_timeout is None


def test_limits_are_cores_and_bytes() -> None:
    limits = {"resources": {"limits": {"cpu": "250m", "memory": "64Mi"}}}
    assert read(service(container=limits)).limits == Limits(cpu=0.25, memory=64 * 2**20)


def test_probes_keep_their_timing() -> None:
    probe = {
        "httpGet": {"path": "ready", "port": 8080, "httpHeaders": [{"name": "X-A", "value": "b"}]},
        "periodSeconds": 5,
        "successThreshold": 2,
    }
    made = read(service(container={"readinessProbe": probe, "livenessProbe": {"exec": {"command": ["true"]}}}))
    assert made.program.readiness == Probe(path="/ready", headers=(("X-A", "b"),), period=5.0, success_threshold=2)
    assert made.program.liveness == Probe(command=("true",))


def held(kind: str, name: str, **fields: Any) -> dict[tuple[str, str, str], dict[str, Any]]:
    return {(kind, "default", name): {"kind": kind, "metadata": {"name": name}, **fields}}


def with_container(**fields: Any) -> dict[str, Any]:
    return service(container=fields)


def cannot_configure(message: str) -> Problem:
    return Problem("ResourcesAvailable", "CreateContainerConfigError", message)


def test_variables_come_from_config_maps_and_secrets() -> None:
    objects = {
        **held("ConfigMap", "c", data={"A": "1", "B": "2"}),
        **held("Secret", "s", data={"K": "eA==\n", "L": "eQ=="}, stringData={"L": "z"}),
    }
    manifest = with_container(
        envFrom=[{"prefix": "P_", "configMapRef": {"name": "c"}}, {"secretRef": {"name": "none", "optional": True}}],
        env=[
            {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "B"}}},
            {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "K"}}},
            {"name": "T", "valueFrom": {"secretKeyRef": {"name": "s", "key": "L"}}},
            {"name": "N", "valueFrom": {"secretKeyRef": {"name": "none", "key": "K", "optional": True}}},
            {"name": "E"},
        ],
    )
    environment = read(manifest, objects=objects).program.environment
    assert environment == {"P_A": "1", "P_B": "2", "A": "2", "S": "x", "T": "z", "E": ""}
    assert read(manifest).problem == cannot_configure("there is no ConfigMap c")


def test_a_variable_sees_those_before_it_as_kubernetes_expands_them() -> None:
    objects = held("ConfigMap", "c", data={"FROM": "f", "RAW": "$(FROM)"})
    manifest = with_container(
        envFrom=[{"configMapRef": {"name": "c"}}],
        env=[
            {"name": "A", "value": "1"},
            {"name": "B", "value": "$(A)-$(FROM)"},
            {"name": "C", "value": "$$(A)"},
            {"name": "D", "value": "$(LATER) $(PORT)"},
            {"name": "LATER", "value": "$(B)"},
            {"name": "A", "value": "$(A)2"},
        ],
    )
    environment = read(manifest, objects=objects).program.environment
    assert environment == {
        "FROM": "f",
        "RAW": "$(FROM)",
        "A": "12",
        "B": "1-f",
        "C": "$(A)",
        # Knative adds PORT after all of them.
        "D": "$(LATER) $(PORT)",
        "LATER": "1-f",
    }


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        ({"data": {"key": "/w8P/w=="}}, "Secret s: the value of key is binary, which no variable can be"),
        ({"data": {"key": "notbase64!"}}, "Secret s: the value of key is not base64"),
        ({"data": {"key": 5}}, "Secret s: the value of key is not text"),
        ({"data": "key"}, "Secret s: data is not a map"),
        ({"stringData": ["key"]}, "Secret s: stringData is not a map"),
        ({"stringData": {"key": {"a": "b"}}}, "Secret s: the value of key is not text"),
        ({}, "Secret s has no key key"),
    ],
)
def test_a_secret_has_to_make_sense_only_to_a_container_that_refers_to_it(secret: dict[str, Any], words: str) -> None:
    objects = held("Secret", "s", **secret)
    assert read(service(), objects=objects).program.environment == {}
    manifest = with_container(env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "key"}}}])
    assert read(manifest, objects=objects).problem == cannot_configure(words)
    if secret:
        manifest = with_container(envFrom=[{"secretRef": {"name": "s"}}])
        assert read(manifest, objects=objects).problem == cannot_configure(words)


def test_what_identifies_a_pod_cannot_be_overridden_and_the_manifest_beats_the_engine() -> None:
    spec = read(service(environment={"A": "manifest"})).pod_spec("hello-00001", {"A": "engine", "B": "engine"})
    assert spec.program.environment["A"] == "manifest"
    assert spec.program.environment["B"] == "engine"
    assert spec.program.environment["K_REVISION"] == "hello-00001"


@pytest.mark.parametrize(
    ("word", "expanded"),
    [("$(A)", "1"), ("x$(A)y$(A)", "x1y1"), ("$$(A)", "$(A)"), ("$(B)", "$(B)"), ("$A $", "$A $"), ("$(A", "$(A")],
)
def test_words_are_expanded_as_kubernetes_does(word: str, expanded: str) -> None:
    assert expand(word, {"A": "1"}) == expanded


def test_a_template_that_cannot_run_here_is_reported(tmp_path: Path) -> None:
    manifest = service()
    del manifest["spec"]["template"]["spec"]["containers"][0]["command"]
    assert read(manifest).imaged
    problem = read(manifest, mode=Mode.PROCESS).problem
    assert problem is not None
    assert problem.reason == "ContainerMissing"
    assert problem.message.startswith('Unable to fetch image "dev.local/test:1": ')
    generated = service()
    generated["metadata"] = {"generateName": "hello-"}
    with pytest.raises(TemplateError, match="Service hello-: generateName"):
        read(generated)
    http2 = read(service(container={"ports": [{"name": "h2c", "containerPort": 8080}]}))
    assert (http2.problem, http2.container.http2) == (None, True)
    assert read(service(container={"workingDir": "/not/here"}), str(tmp_path)).ignored == (
        "workingDir /not/here, which is not on this machine",
    )
