"""Nothing of a Service is left out in silence: each field is honoured, or listed, documented and printed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from knative.local.check import lint
from knative.local.check.admission import load
from knative.local.engine import gaps
from knative.local.manifests import schema
from knative.local.manifests.annotations import ANNOTATIONS
from knative.local.manifests.cluster import _SERVING_FLAGS
from knative.local.manifests.decoding import ListOf, MapOf, Schema, Struct
from tests.engines import EngineProcess, run_async, service
from tests.knative.local.engine.running import running

ROOT = Path(__file__).parents[4]
# What the engine does as Knative does; a path stands for everything below it.
HONOURED = [
    "apiVersion",
    "kind",
    "metadata",
    "status",
    "spec.traffic[]",
    "spec.template.metadata",
    "spec.template.spec.containerConcurrency",
    "spec.template.spec.timeoutSeconds",
    "spec.template.spec.responseStartTimeoutSeconds",
    "spec.template.spec.idleTimeoutSeconds",
    "spec.template.spec.initContainers",
    "spec.template.spec.containers[].name",
    "spec.template.spec.containers[].command",
    "spec.template.spec.containers[].args",
    "spec.template.spec.containers[].workingDir",
    "spec.template.spec.containers[].env[].name",
    "spec.template.spec.containers[].env[].value",
    "spec.template.spec.containers[].env[].valueFrom.configMapKeyRef",
    "spec.template.spec.containers[].env[].valueFrom.secretKeyRef",
    "spec.template.spec.containers[].envFrom[]",
    "spec.template.spec.containers[].ports[]",
    "spec.template.spec.containers[].resources.limits",
    "spec.template.spec.containers[].livenessProbe",
    "spec.template.spec.containers[].readinessProbe",
    "spec.template.spec.containers[].startupProbe",
    "spec.template.spec.containers[].securityContext.allowPrivilegeEscalation",
    "spec.template.spec.volumes[].name",
    "spec.template.spec.volumes[].configMap",
    "spec.template.spec.volumes[].secret",
    "spec.template.spec.volumes[].emptyDir",
    "spec.template.spec.volumes[].projected.defaultMode",
    "spec.template.spec.volumes[].projected.sources[].configMap",
    "spec.template.spec.volumes[].projected.sources[].secret",
]
# Annotations that the engine follows, or that ask for nothing.
HONOURED_ANNOTATIONS = {
    *(key for item in ANNOTATIONS for key in item.keys),
    "serving.knative.dev/progress-deadline",
    "serving.knative.dev/rollout-duration",
    "serving.knative.dev/rolloutDuration",
    "features.knative.dev/http-full-duplex",
    "serving.knative.dev/creator",
    "serving.knative.dev/lastModifier",
    "serving.knative.dev/forceUpgrade",
    "serving.knative.dev/no-gc",
}


def leaves(fields: Schema, path: str = "") -> Iterator[str]:
    if isinstance(fields, Struct):
        for name, inner in fields.fields.items():
            yield from leaves(inner, f"{path}.{name}".lstrip("."))
    elif isinstance(fields, ListOf):
        yield from leaves(fields.item, f"{path}[]")
    elif isinstance(fields, MapOf):
        yield path
    else:
        yield path


def covers(prefix: str, path: str) -> bool:
    return path == prefix or path.startswith((f"{prefix}.", f"{prefix}["))


@pytest.mark.parametrize("path", sorted(set(leaves(schema.SERVICE))))
def test_each_field_of_a_service_is_honoured_or_listed(path: str) -> None:
    listed = [gap.path for gap in gaps.GAPS if covers(gap.path, path)]
    assert listed or any(covers(prefix, path) for prefix in HONOURED)


def test_nothing_is_both_honoured_and_listed_whole() -> None:
    everywhere = {gap.path for gap in gaps.GAPS if gap.where is gaps.Where.ALL}
    assert not everywhere & set(HONOURED)


@pytest.mark.parametrize("key", sorted({*lint._TEMPLATE_ANNOTATIONS, *lint._SERVICE_ANNOTATIONS}))
def test_each_annotation_of_knative_is_honoured_or_listed(key: str) -> None:
    listed = {gap.path.partition('"')[2].rstrip('"') for gap in gaps.GAPS}
    assert key in listed | HONOURED_ANNOTATIONS


def test_the_documentation_shows_the_list() -> None:
    text = (ROOT / "docs" / "engine.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(.+?)` \| (.+?) \| (.+?) \|$", text, re.MULTILINE)
    shown = {(path, where, effect) for path, where, effect in rows if where in set(gaps.Where)}
    assert shown == {(gap.path, gap.where.value, gap.effect) for gap in gaps.GAPS}


def test_each_flag_of_config_features_is_honoured_or_listed_and_documented() -> None:
    lets_fields = {name for name in _SERVING_FLAGS if "spec-" in name} | {"multi-container", "multi-container-probing"}
    assert set(_SERVING_FLAGS) - lets_fields == set(gaps.FLAGS)
    text = (ROOT / "docs" / "engine.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([a-z2.-]+)` \| ([^|]+) \|$", text, re.MULTILINE)) >= set(gaps.FLAGS.items())


def test_an_enabled_flag_without_effect_is_reported(tmp_path: Path) -> None:
    metadata = {"name": "config-features", "namespace": "knative-serving"}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"autodetect-http2": "enabled"}}
    assert "config-features autodetect-http2: HTTP/2 is spoken to ports named h2c alone" in of(config, folder=tmp_path)


def of(*objects: dict[str, Any], folder: Path, containers: frozenset[tuple[str, str]] = frozenset()) -> list[str]:
    path = folder / "objects.yaml"
    path.write_text(yaml.safe_dump_all(objects))
    return list(gaps.left_out(load([path]), containers))


def test_a_service_that_asks_for_nothing_else_has_only_its_image(tmp_path: Path) -> None:
    words = "containers[].image (hello): the program of this machine that `command` names runs instead"
    assert of(service(), folder=tmp_path) == [words]
    assert of(service(), folder=tmp_path, containers=frozenset({("default", "hello")})) == []


def test_a_request_for_the_default_behaviour_is_not_reported(tmp_path: Path) -> None:
    made = service(
        spec={"automountServiceAccountToken": False, "enableServiceLinks": False},
        container={"securityContext": {"readOnlyRootFilesystem": False, "runAsNonRoot": False}},
    )
    assert len(of(made, folder=tmp_path)) == 1


def test_objects_that_are_not_run_are_reported_one_by_one(tmp_path: Path) -> None:
    mapping = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "r"}, "spec": {}}
    other = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {}}
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "config-tracing", "namespace": "knative-serving"},
    }
    lines = of(service(), mapping, other, {**config, "data": {}}, folder=tmp_path)
    assert "Ingress/r: Ingress objects are not run on this machine" in lines
    assert "Deployment/d: Deployment objects are not run on this machine" in lines
    assert "ConfigMap/config-tracing: this configuration is not read" in lines


def test_what_processes_go_without_is_one_line(tmp_path: Path) -> None:
    security = {"securityContext": {"readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}}
    requests = {"resources": {"requests": {"cpu": "1"}}}
    path = tmp_path / "objects.yaml"
    path.write_text(yaml.safe_dump_all([service("plain", container=requests), service("strict", container=security)]))
    manifests = load([path])
    words = "volumes and isolation of what runs as processes (strict): --runtime container has them"
    assert list(gaps.announced(manifests, frozenset())) == [words]
    assert list(gaps.announced(manifests, frozenset({("default", "plain"), ("default", "strict")}))) == []
    assert len(list(gaps.left_out(manifests, frozenset()))) == 4, "the status names each of them"


def test_the_project_s_own_manifests_have_one_line() -> None:
    announced = list(gaps.announced(load([ROOT / "knative", ROOT / "knative" / "eventing"]), frozenset()))
    assert len(announced) == 1, announced


def test_serve_prints_what_matters_and_its_status_names_all(tmp_path: Path) -> None:
    made = service(container={"securityContext": {"readOnlyRootFilesystem": True}})
    made["metadata"]["annotations"] = {"networking.knative.dev/http-protocol": "Redirected"}
    other = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {}}
    engine = EngineProcess(tmp_path, made, other, arguments=("--initial-scale", "0"))
    try:
        printed = (
            "volumes and isolation of what runs as processes (hello): --runtime container has them",
            'metadata.annotations."networking.knative.dev/http-protocol" (hello): the route speaks HTTP',
            "Deployment/d: Deployment objects are not run on this machine",
        )
        for words in printed:
            engine.wait(lambda words=words: f"Left out: {words}" in engine.lines, words)
        assert sum(line.startswith("Left out") for line in engine.lines) == len(printed)
        listed = engine.status()["leftOut"]
        assert (
            "containers[].securityContext.readOnlyRootFilesystem (hello): this machine's files can be written" in listed
        )
        assert set(printed[1:]) <= set(listed)
    finally:
        assert engine.stop() == 0


ADDED = """
apiVersion: sources.knative.dev/v1
kind: PingSource
metadata: {name: ping}
spec: {schedule: "* * * * *", sink: {ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: hello}}}
---
apiVersion: sources.knative.dev/v1
kind: SinkBinding
metadata: {name: bound}
spec: {subject: {apiVersion: serving.knative.dev/v1, kind: Service, name: hello}, sink: {uri: "http://127.0.0.1:9"}}
---
apiVersion: serving.knative.dev/v1beta1
kind: DomainMapping
metadata: {name: hello.example.com}
spec: {ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: hello}}
---
apiVersion: messaging.knative.dev/v1
kind: Subscription
metadata: {name: lost}
spec:
  channel: {apiVersion: messaging.knative.dev/v1, kind: InMemoryChannel, name: c}
  subscriber: {uri: "http://127.0.0.1:9"}
"""


def test_sources_bindings_domains_and_subscriptions_run_or_say_why_not(tmp_path: Path) -> None:
    hello = service()
    hello["metadata"]["annotations"] = {"serving.knative.dev/rollout-duration": "60s"}

    async def scenario() -> None:
        async with running(tmp_path) as found:
            found.apply(hello, *yaml.safe_load_all(ADDED))
            await found.ready()
            for resource, name in (
                ("pingsources.sources.knative.dev", "ping"),
                ("sinkbindings.sources.knative.dev", "bound"),
                ("domainmappings.serving.knative.dev", "hello.example.com"),
            ):
                await found.ready(name, resource)
            lost = found.get("subscriptions.messaging.knative.dev", "lost")["status"]["conditions"]
            (ready,) = [one for one in lost if one["type"] == "Ready"]
            assert (ready["status"], ready["message"]) == ("False", "there is no InMemoryChannel default/c")
            _, answered = await found.ask(path="/")
            assert answered["environment"]["K_SINK"] == "http://127.0.0.1:9"

    run_async(scenario())
