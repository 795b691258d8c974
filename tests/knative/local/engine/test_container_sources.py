"""ContainerSources: a pod that gets the address of its sink, what is shown of it, and why one does not run."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from knative.local.api.frozen import thaw
from knative.local.controllers.eventing.container_sources import SINK_BINDINGS, SOURCES
from knative.local.controllers.objects import DEPLOYMENTS, PODS
from tests.engines import run_async, service
from tests.knative.local.engine.running import Running, running

BROKER = {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "metadata": {"name": "b"}}
SEQUENCE = {
    "apiVersion": "flows.knative.dev/v1",
    "kind": "Sequence",
    "metadata": {"name": "s"},
    "spec": {"steps": [{"uri": "http://127.0.0.1:9/"}]},
}
# Without a proxy, as an SDK that reads K_SINK alone.
SEND = """
import json, os, time, urllib.request as request
request.install_opener(request.build_opener(request.ProxyHandler({})))
headers = {"ce-specversion": "1.0", "ce-id": os.environ["NUMBER"], "ce-source": "/s", "ce-type": "tick"}
headers["ce-made"] = json.loads(os.environ["K_CE_OVERRIDES"])["extensions"]["made"]
request.urlopen(request.Request(os.environ["K_SINK"], b"{}", headers))
time.sleep(600)
"""


def source(sink: dict[str, Any], number: str = "1", **container: Any) -> dict[str, Any]:
    made = {"image": "dev.local/source:1", "command": ["python", "-c", SEND], **container}
    made["env"] = [{"name": "NUMBER", "value": number}]
    template = {"metadata": {"labels": {"app": "source"}}, "spec": {"containers": [made]}}
    spec = {"sink": sink, "ceOverrides": {"extensions": {"made": "here"}}, "template": template}
    version = "sources.knative.dev/v1"
    return {"apiVersion": version, "kind": "ContainerSource", "metadata": {"name": "ticks"}, "spec": spec}


def to(obj: dict[str, Any]) -> dict[str, Any]:
    return {"ref": {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "name": obj["metadata"]["name"]}}


async def events(found: Running) -> list[dict[str, Any]]:
    async with ClientSession() as session, session.get(f"{found.engine.origin}/_knative/events") as response:
        return list((await response.json())["events"])


async def graph(found: Running) -> dict[str, Any]:
    async with ClientSession() as session, session.get(f"{found.engine.origin}/_knative/events/graph") as response:
        return dict(await response.json())


async def received(found: Running, number: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while not (matching := [one for one in await events(found) if one["id"] == number]):
            await asyncio.sleep(0.05)
    return matching[0]


def test_a_source_sends_to_its_sink_is_replaced_and_ends(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as found:
            found.apply(BROKER, SEQUENCE, source(to(BROKER)))
            turns: list[object] = []
            found.engine.on_apply.append(turns.append)
            event = await received(found, "1")
            assert (event["node"], event["attributes"]["made"]) == ("broker/default/b", "here")
            await found.ready("ticks", SOURCES)
            assert (await graph(found))["sources"] == [
                {"name": "ContainerSource default/ticks", "to": "broker/default/b"}
            ]
            assert not turns, "what its pod does is not taken for a change of manifests"
            url = "http://broker-ingress.knative-eventing.svc.cluster.local/default/b"
            assert found.get(SOURCES, "ticks")["status"]["sinkUri"] == url
            assert found.conditions(SINK_BINDINGS, "ticks-sinkbinding")["Ready"] == ("True", "")
            assert found.get(DEPLOYMENTS, "ticks-deployment")["status"]["readyReplicas"] == 1
            (pod,) = found.names(PODS)
            shown = thaw(found.get(PODS, pod))
            assert shown["metadata"]["labels"]["app"] == "source"
            assert {"name": "K_SINK", "value": url} in shown["spec"]["containers"][0]["env"]

            found.store.delete(PODS, "default", pod)
            await found.until(
                lambda: found.names(PODS) not in ([], [pod]) and pod not in found.names(PODS), "other pod"
            )

            # The channel of a Sequence's first step is its address.
            found.apply(BROKER, SEQUENCE, source(to(SEQUENCE), "2"))
            assert (await received(found, "2"))["node"] == "sequence/default/s"

            found.apply(BROKER, SEQUENCE)
            await found.until(lambda: not found.names(PODS), "end of the pod")
            assert not found.names(DEPLOYMENTS)
            assert not found.names(SINK_BINDINGS)

    run_async(scenario())


def test_reasons_of_a_source_that_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    async def scenario() -> None:
        async with running(tmp_path) as found:
            found.apply(source(to(BROKER)))
            missing = ("False", "NoAddressable")
            assert found.conditions(SOURCES, "ticks")["Ready"] == missing
            assert found.conditions(SINK_BINDINGS, "ticks-sinkbinding")["SinkProvided"] == missing
            assert not found.names(PODS)

            imaged = source(to(BROKER))
            del imaged["spec"]["template"]["spec"]["containers"][0]["command"]
            found.apply(BROKER, imaged)
            reason = ("False", "ContainerMissing")
            await found.until(lambda: found.conditions(SOURCES, "ticks")["ReceiveAdapterReady"] == reason, "reason")
            (message,) = [
                one["message"] for one in found.get(SOURCES, "ticks")["status"]["conditions"] if one["type"] == "Ready"
            ]
            assert "no container can run on this machine: podman is not on PATH; docker is not on PATH" in message

            # An image whose name the API leaves to the kubelet, and a Secret that is missing; others are not held up.
            imaged["spec"]["template"]["spec"]["containers"][0]["image"] = ":::"
            secret = {"secretKeyRef": {"name": "none", "key": "k"}}
            other = source(to(BROKER))
            other["metadata"]["name"] = "other"
            other["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "X", "valueFrom": secret}]
            found.apply(BROKER, imaged, other)
            assert found.conditions(SOURCES, "ticks")["ReceiveAdapterReady"] == ("False", "InvalidImageName")
            assert found.conditions(SOURCES, "other")["ReceiveAdapterReady"] == ("False", "CreateContainerConfigError")

    run_async(scenario())


def test_a_service_is_bound_to_a_sequence_and_not_to_a_sink_that_is_missing(tmp_path: Path) -> None:
    subject = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "hello"}
    bindings = [
        {
            "apiVersion": "sources.knative.dev/v1",
            "kind": "SinkBinding",
            "metadata": {"name": name},
            "spec": {"subject": {**subject, "name": bound}, "sink": to(sink)},
        }
        for name, bound, sink in (("to-sequence", "hello", SEQUENCE), ("to-nothing", "other", BROKER))
    ]

    async def scenario() -> None:
        async with running(tmp_path) as found:
            found.apply(service(), service("other"), SEQUENCE, *bindings)
            await found.ready()
            await found.ready("other")
            _, hello = await found.ask(path="/")
            _, other = await found.ask("other.default", "/")
            path = "/_knative/channel/default/s-kn-sequence-0"
            assert hello["environment"]["K_SINK"] == f"{found.engine.origin}{path}"
            assert "K_SINK" not in other["environment"]
            assert found.conditions(SINK_BINDINGS, "to-nothing")["SinkProvided"] == ("False", "NoAddressable")
            assert found.conditions(SINK_BINDINGS, "to-sequence")["Ready"] == ("True", "")

    run_async(scenario())


def test_the_broker_drains_while_a_source_ends(tmp_path: Path) -> None:
    """What is refused from the stop on must not count against a delivery, however long a source takes."""
    ended: list[bool] = []

    async def scenario() -> None:
        stubborn = source(to(BROKER))
        script = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True)"
        script += "; time.sleep(60)"
        stubborn["spec"]["template"]["spec"]["containers"][0]["command"] = ["python", "-c", script]
        async with running(tmp_path) as found:
            found.apply(BROKER, stubborn)
            await found.until(lambda: found.engine.logs.of(*found.names(PODS)) if found.names(PODS) else None, "start")
            host = found.engine.on_stop[-1].__self__
            stop, drain = host._sources.stop, host.broker.drain

            async def noted(within: float) -> None:
                await stop(within)
                ended.append(True)

            async def drained(within: float) -> None:
                ended.append(False)
                await drain(within)

            host._sources.stop, host.broker.drain = noted, drained

    run_async(scenario())
    assert ended[0] is False
    assert True in ended
