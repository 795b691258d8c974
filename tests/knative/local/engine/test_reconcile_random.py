"""Any order of changes by clients leaves what runs and what the objects say in agreement, and then all is quiet."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from knative.local.api.errors import StoreError
from knative.local.api.frozen import thaw
from knative.local.controllers.objects import CONFIGURATIONS, PODS, REVISIONS, ROUTES, SERVICES, find, labels_of
from tests.engines import run_async, service
from tests.knative.local.engine.running import Running, running

NAMES = ("a", "b", "c")
CONFIGURED = {
    "min-non-active-revisions": "1",
    "max-non-active-revisions": "3",
    "retain-since-create-time": "disabled",
    "retain-since-last-active-time": "disabled",
}


class Client:
    """Changes objects at random."""

    def __init__(self, engine: Running, seed: int) -> None:
        self.engine = engine
        self.store = engine.store
        self.chance = random.Random(seed)

    def act(self) -> str:
        """Do one thing; says what."""
        actions: list[Callable[[], str]] = [
            *[self.change_template] * 4,
            *[self.create] * 2,
            self.create_alone,
            self.change_traffic,
            self.change_route,
            self.delete,
            self.delete_child,
            self.relabel,
            self.collect,
        ]
        action = self.chance.choice(actions)
        try:
            return f"{action.__name__} {action()}"
        except StoreError as error:
            return f"{action.__name__}: {error}"

    def name(self) -> str:
        return self.chance.choice(NAMES)

    def create(self) -> str:
        made = service(self.name())
        made["metadata"]["namespace"] = "default"
        self.store.create(SERVICES, made)
        return str(made["metadata"]["name"])

    def create_alone(self) -> str:
        head = {"apiVersion": "serving.knative.dev/v1", "metadata": {"name": self.name(), "namespace": "default"}}
        if self.chance.random() < 0.5:
            spec = {"template": service()["spec"]["template"]}
            self.store.create(CONFIGURATIONS, {**head, "kind": "Configuration", "spec": spec})
        else:
            self.store.create(ROUTES, {**head, "kind": "Route", "spec": {"traffic": self.traffic(self.name())}})
        return str(head["metadata"])

    def change_template(self) -> str:
        resource = self.chance.choice((SERVICES, CONFIGURATIONS))
        obj = thaw(self.store.get(resource, "default", self.name()))
        environment = [{"name": "A", "value": str(self.chance.random())}]
        obj["spec"]["template"]["spec"]["containers"][0]["env"] = environment
        self.store.update(resource, obj)
        return f"{resource} {obj['metadata']['name']}"

    def traffic(self, name: str) -> list[dict[str, Any]]:
        latest: dict[str, Any] = {"latestRevision": True, "configurationName": name, "percent": 100}
        revisions = self.engine.names(REVISIONS)
        if not revisions or self.chance.random() < 0.4:
            return [latest]
        pinned = {"revisionName": self.chance.choice([*revisions, "nowhere"]), "tag": "old", "percent": 30}
        return [{**latest, "percent": 70}, pinned]

    def change_traffic(self) -> str:
        obj = thaw(self.store.get(SERVICES, "default", self.name()))
        targets = self.traffic("")
        obj["spec"]["traffic"] = [{key: one[key] for key in one if key != "configurationName"} for one in targets]
        self.store.update(SERVICES, obj)
        return str(obj["spec"]["traffic"])

    def change_route(self) -> str:
        obj = thaw(self.store.get(ROUTES, "default", self.name()))
        obj["spec"]["traffic"] = self.traffic(self.name())
        self.store.update(ROUTES, obj)
        return str(obj["spec"]["traffic"])

    def delete(self) -> str:
        name = self.name()
        self.store.delete(SERVICES, "default", name, orphan=self.chance.random() < 0.2)
        return name

    def delete_child(self) -> str:
        resource = self.chance.choice((CONFIGURATIONS, ROUTES, REVISIONS))
        name = self.chance.choice(self.engine.names(resource) or ["none"])
        self.store.delete(resource, "default", name)
        return f"{resource} {name}"

    def relabel(self) -> str:
        obj = thaw(self.store.get(SERVICES, "default", self.name()))
        obj["metadata"]["labels"] = {"networking.knative.dev/visibility": self.chance.choice(("", "cluster-local"))}
        self.store.update(SERVICES, obj)
        return str(obj["metadata"]["labels"])

    def collect(self) -> str:
        metadata = {"name": "config-gc", "namespace": "knative-serving"}
        head = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
        if find(self.store, "configmaps", "knative-serving", "config-gc") is None:
            self.store.create("configmaps", {**head, "data": CONFIGURED})
        else:
            self.store.delete("configmaps", "knative-serving", "config-gc")
        return "config-gc"


def assert_agreement(engine: Running) -> None:
    store, reconciler = engine.store, engine.engine.reconciler
    revisions = {(one["metadata"]["namespace"], one["metadata"]["name"]): one for one in store.list(REVISIONS)}
    assert set(reconciler.running) == set(revisions)
    hosts = engine.engine.route.services
    assert set(hosts) == {("default", name) for name in engine.names(ROUTES)}
    uids = {one["metadata"]["uid"] for _, one in store.everything()}
    for resource, one in store.everything():
        if resource != PODS:
            references = one["metadata"].get("ownerReferences", ())
            assert {reference["uid"] for reference in references} <= uids
    for made in store.list(SERVICES):
        name = made["metadata"]["name"]
        ready = engine.conditions(SERVICES, name)
        assert made["status"]["observedGeneration"] == made["metadata"]["generation"]
        owned = [find(store, resource, "default", name) for resource in (CONFIGURATIONS, ROUTES)]
        if "NotOwned" not in {reason for _, reason in ready.values()}:
            assert all(one is not None for one in owned)
    for configuration in store.list(CONFIGURATIONS):
        name = configuration["metadata"]["name"]
        status = configuration["status"]
        assert status["observedGeneration"] == configuration["metadata"]["generation"]
        generation = str(configuration["metadata"]["generation"])
        of_it = [one for one in revisions.values() if labels_of(one)["serving.knative.dev/configuration"] == name]
        current = [one for one in of_it if labels_of(one)["serving.knative.dev/configurationGeneration"] == generation]
        if engine.conditions(CONFIGURATIONS, name)["Ready"][0] == "True":
            assert [one["metadata"]["name"] for one in current] == [status["latestReadyRevisionName"]]
    for route in store.list(ROUTES):
        name = route["metadata"]["name"]
        if engine.conditions(ROUTES, name)["AllTrafficAssigned"][0] == "True":
            listed = route["status"]["traffic"]
            assert sum(one["percent"] for one in listed) == 100
            shown = [(one["revisionName"], one["percent"], one.get("tag")) for one in listed]
            assert [(one.name, percent, tag) for one, percent, tag in hosts["default", name].traffic] == shown
            for one in listed:
                labels = labels_of(revisions["default", one["revisionName"]])
                assert labels["serving.knative.dev/routingState"] == "active"


@pytest.mark.parametrize("seed", range(6))
def test_what_runs_agrees_with_the_objects(tmp_path: Path, seed: int) -> None:
    async def run() -> None:
        async with running(tmp_path, initial_scale=0) as engine:
            said: list[str] = []
            engine.engine.reconciler._around = _telling(engine, said)
            client, done = Client(engine, seed), []
            for _ in range(120):
                done.append(client.act())
                if client.chance.random() < 0.5:
                    await asyncio.sleep(0)
                if client.chance.random() < 0.1:
                    await asyncio.sleep(0.05)
            await engine.until(lambda: not engine.engine.reconciler._services._early, "show of failures")
            await asyncio.sleep(0.3)
            version = engine.store.version
            await asyncio.sleep(0.3)
            try:
                assert engine.store.version == version, "it does not come to rest"
                assert [line for line in said if "not applied" in line] == []
                assert_agreement(engine)
            except AssertionError as error:
                raise AssertionError("\n".join([*done, *said, str(error)])) from error

    run_async(run())


def _telling(engine: Running, said: list[str]) -> Any:
    from dataclasses import replace

    return replace(engine.engine.reconciler._around, say=said.append)
