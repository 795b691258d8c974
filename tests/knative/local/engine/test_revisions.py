"""Changed manifests of a running engine: revisions, traffic and refusals, without a lost request."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from knative.local.engine import watching
from knative.local.engine.engine import Engine
from knative.local.manifests.resources import Manifests
from tests.engines import POD_SERVER, Start, closed_loop, run_async, service

QUICK = ("--window", "2s", "--grace", "1s")
DENIED = 'admission webhook "validation.webhook.serving.knative.dev" denied the request:'


def one_after_another(folder: Path, go: Path) -> list[str]:
    """A command whose first process serves, while the others wait for a file."""
    wait = f"mkdir {folder}/first 2>/dev/null || while [ ! -e {go} ]; do sleep 0.05; done"
    return ["sh", "-c", f"{wait}; exec python -S {POD_SERVER}"]


def test_a_changed_manifest_is_rolled_out_without_an_error(start: Start) -> None:
    engine = start(service(annotations={"min-scale": "1"}), arguments=("--watch", *QUICK))
    engine.wait_pods(1)

    async def drive() -> Counter[int]:
        # 50 requests a second from ten clients.
        load = asyncio.ensure_future(closed_loop(f"{engine.url}/hello?brief=1&sleep=0.02", 10, 4, pause=0.18))
        await asyncio.sleep(1)
        engine.write(service(annotations={"min-scale": "1"}, environment={"START_SECONDS": "0.5"}))
        return await load

    counts = run_async(drive())
    assert set(counts) == {200}
    assert json.loads(engine.get()[1])["environment"]["K_REVISION"] == "hello-00002"
    engine.wait(lambda: {pod["name"][:11] for pod in engine.pods()} == {"hello-00002"}, "new pods only", 30)


@pytest.mark.slow
def test_the_old_revision_serves_until_the_new_one_has_its_min_scale(start: Start, tmp_path: Path) -> None:
    engine = start(service(annotations={"min-scale": "2"}), arguments=QUICK)
    engine.wait_pods(2)
    go = tmp_path / "go"
    engine.write(service(annotations={"min-scale": "2"}, command=one_after_another(tmp_path, go)))
    engine.process.send_signal(signal.SIGHUP)
    engine.wait(lambda: engine.revision()["name"] == "hello-00002" and engine.revision()["ready"] == 1, "its first pod")
    time.sleep(1)  # far longer than a shift of traffic takes
    assert engine.revision(index=0)["ready"] == 2
    assert json.loads(engine.get()[1])["environment"]["K_REVISION"] == "hello-00001"
    # A third revision that never comes up does not hurry it.
    engine.write(service(annotations={"min-scale": "2"}, command=["false"]))
    engine.process.send_signal(signal.SIGHUP)
    engine.wait(lambda: "revision hello-00003" in engine.output, "third revision")
    time.sleep(1)
    assert engine.revision(index=1)["replicas"] == 2
    assert json.loads(engine.get()[1])["environment"]["K_REVISION"] == "hello-00001"
    go.touch()
    engine.wait(lambda: "hello-00002 is ready and gets 100 % of the traffic" in engine.output, "shift of the traffic")
    assert engine.revision(index=1)["ready"] == 2
    assert json.loads(engine.get()[1])["environment"]["K_REVISION"] == "hello-00002"


def test_a_rollout_moves_traffic_step_by_step(start: Start) -> None:
    def rolled(value: str) -> dict[str, Any]:
        made = service(annotations={"min-scale": "1"}, environment={"A": value})
        made["metadata"]["annotations"] = {"serving.knative.dev/rollout-duration": "4s"}
        return made

    engine = start(rolled("1"))
    engine.wait_pods(1)
    engine.write(rolled("2"))
    engine.process.send_signal(signal.SIGHUP)
    seen: list[tuple[int, ...]] = []

    def finished() -> bool:
        (described,) = engine.status()["services"]
        shares = tuple(target["percent"] for target in described["traffic"])
        if not seen or seen[-1] != shares:
            seen.append(shares)
            if len(shares) == 2:
                ready = next(one for one in described["conditions"] if one["type"] == "RoutesReady")
                assert (ready["status"], ready["reason"]) == ("Unknown", "RolloutInProgress")
        return described["latestReadyRevision"] == "hello-00002" and shares == (100,)

    engine.wait(finished, "the end of the rollout")
    assert seen[0] == (100,)
    assert set(seen[1:-1]) <= {(99, 1), (66, 34), (33, 67)}
    assert len(seen) >= 4
    assert json.loads(engine.get()[1])["environment"]["A"] == "2"


def test_a_revision_that_does_not_come_up_gets_no_traffic(start: Start) -> None:
    engine = start(service(annotations={"min-scale": "1"}))
    engine.wait_pods(1)
    engine.write(service(annotations={"min-scale": "1"}, command=["false"]))
    engine.process.send_signal(signal.SIGHUP)
    engine.wait(lambda: "revision hello-00002" in engine.output, "second revision")
    engine.wait(lambda: engine.pods("failed"), "failed pod")
    assert json.loads(engine.get()[1])["environment"]["K_REVISION"] == "hello-00001"


def test_a_bad_manifest_changes_nothing(start: Start) -> None:
    engine = start(service(annotations={"min-scale": "1"}))
    engine.write(service(annotations={"min-scale": "-1"}))
    engine.process.send_signal(signal.SIGHUP)
    engine.wait(lambda: "not applied" in engine.output, "refusal")
    assert engine.get()[0] == 200


def test_an_unused_secret_does_no_harm_and_a_wrong_one_is_reported(start: Start) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"key": "/w8P/w=="}}
    engine = start(service(), secret, arguments=("--watch", "--initial-scale", "0"))
    asks = {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "key"}}}]}
    engine.write(service(container=asks), secret)
    words = "[hello-00002] not ready: CreateContainerConfigError: Secret s: the value of key is binary"
    engine.wait(lambda: words in engine.output, "the reason")
    assert engine.get("/hello?brief=1")[0] == 200  # the first revision serves
    engine.write(service(container=asks), {**secret, "data": {"key": "ZmluZQ=="}})
    engine.wait(lambda: "hello-00002 is ready and gets 100 % of the traffic" in engine.output, "second revision")
    assert json.loads(engine.get()[1])["environment"]["A"] == "fine"


def test_a_changed_config_map_makes_no_revision_and_new_pods_have_it(start: Start) -> None:
    def values(text: str) -> dict[str, Any]:
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"key": text}}

    reads = {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "key"}}}]}
    engine = start(service(container=reads), values("old"), arguments=("--min-scale", "1"))
    engine.wait_pods(1)
    engine.write(service(container=reads), values("new"))
    engine.process.send_signal(signal.SIGHUP)
    engine.wait(
        lambda: "pods of hello-00001 that start from now on have the changed variables" in engine.output, "word"
    )
    assert json.loads(engine.get()[1])["environment"]["A"] == "old"
    os.kill(engine.pods()[0]["pid"], signal.SIGTERM)
    engine.wait(lambda: engine.pods() and json.loads(engine.get()[1])["environment"]["A"] == "new", "the new value")
    assert [one["name"] for one in engine.status()["services"][0]["revisions"]] == ["hello-00001"]


def test_what_the_engine_itself_does_wrong_ends_no_watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    async def follow() -> None:
        engine = Engine(str(tmp_path), say=said.append)
        mended = asyncio.Event()

        def apply(manifests: Manifests, code: str = "") -> list[str]:
            if not said:
                raise KeyError("name")
            mended.set()
            return ["mended"]

        monkeypatch.setattr(engine, "apply", apply)
        reload = asyncio.Event()
        follower = asyncio.ensure_future(watching.follow(engine, [], reload, (), watch=False))
        for done in (lambda: said == ["not applied: KeyError: 'name'"], mended.is_set):
            reload.set()
            async with asyncio.timeout(10):
                while not done():
                    await asyncio.sleep(0.01)
        follower.cancel()
        await engine.stop()

    run_async(follow())
    assert said[-1] == "mended"


def test_a_watched_folder_is_seen_to_gain_a_manifest_and_one_that_was_refused_to_be_mended(start: Start) -> None:
    engine = start(service(), arguments=("--watch", "--initial-scale", "0"), whole_folder=True)
    later = engine.manifest.with_name("later.yaml")
    later.write_text(yaml.safe_dump(service("later", annotations={"min-scale": "-1"})))
    engine.wait(lambda: "not applied" in engine.output, "refusal")
    assert "later" not in {each["name"] for each in engine.status()["services"]}
    later.write_text(yaml.safe_dump(service("later")))
    engine.wait(lambda: "later" in {each["name"] for each in engine.status()["services"]}, "the later Service")
    assert engine.get("/later?brief=1")[0] == 200


def test_traffic_is_split_by_percent_and_by_tag(start: Start) -> None:
    engine = start(service(annotations={"min-scale": "1"}, revision="hello-one"))
    engine.wait_pods(1)
    traffic = [
        {"revisionName": "hello-one", "percent": 70, "tag": "old"},
        {"revisionName": "hello-two", "percent": 30},
        {"latestRevision": True, "percent": 0, "tag": "new"},
    ]
    engine.write(service(annotations={"min-scale": "1"}, revision="hello-two", environment={"A": "B"}, traffic=traffic))
    engine.process.send_signal(signal.SIGHUP)
    engine.wait_pods(2)

    def revision(host: str) -> str:
        return str(json.loads(engine.get("/", host)[1])["environment"]["K_REVISION"])

    engine.wait(lambda: engine.get("/", "new-hello.default.localhost")[0] == 200, "tag's host")
    assert revision("old-hello.default.localhost") == "hello-one"
    assert revision("new-hello.default.localhost") == "hello-two"
    counts = Counter(revision("hello.default.localhost") for _ in range(150))
    # Six standard deviations of the binomial: one failure in a billion.
    assert 11 < counts["hello-two"] < 79


def test_traffic_for_a_revision_that_is_not_there_leaves_the_routing_as_it_was(start: Start) -> None:
    nowhere = [{"latestRevision": True, "percent": 90}, {"revisionName": "hello-00009", "percent": 10, "tag": "old"}]
    engine = start(service(annotations={"min-scale": "1"}), service("fresh", traffic=nowhere))
    engine.wait_pods(1)
    nothing = 'fresh: RevisionMissing: Revision "hello-00009" referenced in traffic not found.: there is no traffic yet'
    engine.wait(lambda: nothing in engine.output, "the reason")
    for _ in range(20):  # its revision is started, and becomes ready meanwhile
        assert engine.get("/fresh") == (503, b"no revision of fresh takes this request\n")
    engine.write(service(annotations={"min-scale": "1"}, environment={"A": "B"}, traffic=nowhere), service("fresh"))
    engine.process.send_signal(signal.SIGHUP)
    engine.wait(lambda: "hello-00002 is ready" in engine.output, "second revision")
    stays = (
        'hello: RevisionMissing: Revision "hello-00009" referenced in traffic not found.: the traffic stays as it was'
    )
    engine.wait(lambda: stays in engine.output, "the reason")
    assert {json.loads(engine.get()[1])["environment"]["K_REVISION"] for _ in range(20)} == {"hello-00001"}
    assert engine.get("/fresh")[0] == 200
    engine.write(service(annotations={"min-scale": "1"}, environment={"A": "B"}), service("fresh"))
    engine.process.send_signal(signal.SIGHUP)
    engine.wait(
        lambda: json.loads(engine.get()[1])["environment"]["K_REVISION"] == "hello-00002", "routing to the new revision"
    )


def test_a_template_that_has_changed_under_its_name_is_refused_and_nothing_is_applied(start: Start) -> None:
    def named(revision: str, value: str) -> dict[str, Any]:
        return service(annotations={"min-scale": "1"}, revision=revision, environment={"A": value})

    ready = "hello-one is ready and gets 100 % of the traffic"
    engine = start(named("hello-one", "1"))
    engine.wait(lambda: ready in engine.output, "first revision")
    engine.write(named("hello-one", "2"), service("other"))
    engine.process.send_signal(signal.SIGHUP)
    words = (
        "validation failed: Saw the following changes without a name change (-old +new): spec.template.metadata.name"
    )
    engine.wait(lambda: f"not applied: Service hello: {DENIED} {words}" in engine.output, "refusal")
    engine.wait(lambda: re.search(r'\+: .*"name": "A", "value": "2"', engine.output), "the change")
    assert [each["name"] for each in engine.status()["services"]] == ["hello"]
    engine.write(named("hello-two", "2"))
    engine.process.send_signal(signal.SIGHUP)
    engine.wait(lambda: "hello-two is ready" in engine.output, "second revision")
    engine.write(named("hello-one", "3"))
    engine.process.send_signal(signal.SIGHUP)
    engine.wait(lambda: 'revisions.serving.knative.dev "hello-one" already exists' in engine.output, "refusal")
    engine.write(named("hello-one", "1"))  # back to what it was
    engine.process.send_signal(signal.SIGHUP)
    engine.wait(lambda: engine.output.count(ready) == 2, "first revision again")
    assert json.loads(engine.get()[1])["environment"]["A"] == "1"


def test_changed_code_under_a_revision_s_name_is_reported_and_not_applied(start: Start) -> None:
    engine = start(service(revision="hello-one"), arguments=("--watch", "--initial-scale", "0"))
    (engine.manifest.parent / "code.py").write_text("")
    engine.wait(lambda: "nothing has changed" in engine.output, "second look")
    assert "hello: the code has changed, and hello-one keeps its own: rename the revision" in engine.output


@pytest.mark.slow
def test_a_changed_config_autoscaler_holds_for_revisions_that_run(start: Start) -> None:
    def config(**data: str) -> dict[str, Any]:
        metadata = {"name": "config-autoscaler", "namespace": "knative-serving"}
        named = {key.replace("_", "-"): value for key, value in data.items()}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": named}

    engine = start(service(), config(min_scale="1"), arguments=("--grace", "1s"))
    engine.wait_pods(1)
    assert engine.get()[0] == 200  # which the window of 60 s would remember for so long
    engine.write(service(), config(min_scale="3", stable_window="6s"))
    engine.process.send_signal(signal.SIGHUP)
    engine.wait_pods(3)
    engine.wait_line("hello: scaling of hello-00001")
    assert engine.revision()["window"] == 6
    engine.write(service(), config(stable_window="6s", container_concurrency_target_default="10"))
    engine.process.send_signal(signal.SIGHUP)
    engine.wait(lambda: "target 7 " in str(engine.revision()["decision"]), "decision by the new target")
    engine.wait(lambda: not engine.revision()["pods"], "zero pods")
