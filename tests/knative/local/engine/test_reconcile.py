"""What runs follows the objects of the store, and their status follows what runs."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from knative.local.api.errors import ConflictError
from knative.local.api.frozen import thaw
from knative.local.api.history import Watch
from knative.local.controllers import reconciler
from knative.local.controllers.objects import (
    CONFIGURATIONS,
    DEPLOYMENTS,
    EVENTS,
    PODS,
    REVISIONS,
    ROUTES,
    SERVICES,
)
from knative.local.manifests.resources import Manifests
from knative.local.pods.template import TemplateError
from tests.engines import ROOT, EngineProcess, clean_environment, run_async, service
from tests.knative.local.engine.running import Running, running

GC = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "config-gc", "namespace": "knative-serving"}}
Work = Callable[["Running"], Awaitable[None]]


def in_engine(folder: Path, work: Work, **options: Any) -> None:
    async def run() -> None:
        async with running(folder, **options) as engine:
            await work(engine)

    run_async(run())


def test_a_service_has_what_knative_gives_it(tmp_path: Path) -> None:
    async def work(engine: Running) -> None:
        assert engine.apply(service()) == ["hello: revision hello-00001"]
        await engine.ready()
        made = engine.get(SERVICES, "hello")
        port = engine.engine.port
        assert made["status"] | {"conditions": []} == {
            "observedGeneration": 1,
            "conditions": [],
            "latestCreatedRevisionName": "hello-00001",
            "latestReadyRevisionName": "hello-00001",
            "url": f"http://hello.default.localhost:{port}",
            "address": {"url": "http://hello.default.svc.cluster.local"},
            "traffic": [{"latestRevision": True, "percent": 100, "revisionName": "hello-00001"}],
        }
        assert [one["type"] for one in made["status"]["conditions"]] == ["ConfigurationsReady", "Ready", "RoutesReady"]
        assert all("lastTransitionTime" in one for one in made["status"]["conditions"])
        uids = {resource: engine.get(resource, "hello")["metadata"]["uid"] for resource in (SERVICES, CONFIGURATIONS)}
        revision = engine.get(REVISIONS, "hello-00001")
        assert revision["metadata"]["labels"] == {
            "serving.knative.dev/configuration": "hello",
            "serving.knative.dev/configurationGeneration": "1",
            "serving.knative.dev/configurationUID": uids[CONFIGURATIONS],
            "serving.knative.dev/routingState": "active",
            "serving.knative.dev/service": "hello",
            "serving.knative.dev/serviceUID": uids[SERVICES],
        }
        (owner,) = revision["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"], owner["controller"]) == ("Configuration", uids[CONFIGURATIONS], True)
        assert set(revision["metadata"]["annotations"]) == {
            "serving.knative.dev/creator",
            "serving.knative.dev/routes",
            "serving.knative.dev/routingStateModified",
        }
        active = revision["status"]["conditions"][0]
        assert (active["type"], active["severity"], active["status"]) == ("Active", "Info", "True")
        assert revision["status"]["actualReplicas"] == 1
        assert engine.conditions(ROUTES, "hello")["CertificateProvisioned"] == ("True", "TLSNotEnabled")
        (pod,) = engine.store.list(PODS)
        assert pod["status"]["phase"] == "Running"
        assert pod["status"]["containerStatuses"][0]["ready"] is True
        assert {"name": "K_REVISION", "value": "hello-00001"} in pod["spec"]["containers"][0]["env"]
        deployment = engine.get(DEPLOYMENTS, "hello-00001-deployment")
        assert (deployment["spec"]["replicas"], deployment["status"]["readyReplicas"]) == (1, 1)
        messages = {one["message"] for one in engine.store.list(EVENTS)}
        assert {'Created Configuration "hello"', 'Created Route "hello"', 'Created Revision "hello-00001"'} <= messages

    in_engine(tmp_path, work)


def test_a_change_of_the_template_is_a_revision_and_any_other_is_not(tmp_path: Path) -> None:
    async def work(engine: Running) -> None:
        engine.apply(service())
        await engine.ready()
        container = lambda obj: obj["spec"]["template"]["spec"]["containers"][0]  # noqa: E731
        engine.change(SERVICES, "hello", lambda obj: container(obj).update(env=[{"name": "A", "value": "c"}]))
        await engine.ready()
        assert await engine.revision() == "hello-00002"
        engine.change(SERVICES, "hello", lambda obj: obj["metadata"].update(labels={"team": "a"}))
        await engine.until(lambda: engine.get(ROUTES, "hello")["metadata"]["labels"].get("team"), "label")
        assert engine.names(REVISIONS) == ["hello-00001", "hello-00002"]
        states = {
            one["metadata"]["name"]: one["metadata"]["labels"]["serving.knative.dev/routingState"]
            for one in engine.store.list(REVISIONS)
        }
        assert states == {"hello-00001": "reserve", "hello-00002": "active"}

    in_engine(tmp_path, work)


def test_an_old_revision_gets_a_share_and_a_tag(tmp_path: Path) -> None:
    async def work(engine: Running) -> None:
        engine.apply(service())
        await engine.ready()
        engine.apply(service(environment={"A": "b"}))
        await engine.ready()
        traffic = [
            {"revisionName": "hello-00001", "tag": "stable", "percent": 90, "latestRevision": False},
            {"latestRevision": True, "percent": 10},
        ]
        engine.change(SERVICES, "hello", lambda obj: obj["spec"].update(traffic=traffic))
        await engine.until(lambda: "tag" in engine.get(SERVICES, "hello")["status"]["traffic"][0], "tag")
        listed = engine.get(SERVICES, "hello")["status"]["traffic"]
        assert listed == [
            {
                "revisionName": "hello-00001",
                "percent": 90,
                "latestRevision": False,
                "tag": "stable",
                "url": f"http://stable-hello.default.localhost:{engine.engine.port}",
            },
            {"revisionName": "hello-00002", "percent": 10, "latestRevision": True},
        ]
        assert await engine.revision("stable-hello.default") == "hello-00001"
        assert {await engine.revision() for _ in range(60)} == {"hello-00001", "hello-00002"}

    in_engine(tmp_path, work)


def test_a_removed_service_leaves_nothing_and_its_requests_end(tmp_path: Path) -> None:
    async def work(engine: Running) -> None:
        engine.apply(service(), service("other"))
        await engine.ready()
        slow = asyncio.ensure_future(engine.ask(path="/?sleep=1"))
        await engine.until(lambda: engine.engine.reconciler.running["default", "hello-00001"].activator.in_flight, "it")
        engine.store.delete(SERVICES, "default", "hello")
        for resource in (SERVICES, CONFIGURATIONS, ROUTES):
            assert engine.names(resource) == ["other"]
        assert engine.names(REVISIONS) == ["other-00001"]
        with pytest.raises(LookupError):
            await engine.ask()
        ending = [one for one in engine.store.list(PODS) if one["metadata"]["name"].startswith("hello")]
        assert ["deletionTimestamp" in one["metadata"] for one in ending] == [True]
        assert (await slow)[0] == 200
        await engine.until(lambda: all(name.startswith("other") for name in engine.names(PODS)), "end of the pod")

    in_engine(tmp_path, work)


def test_a_pod_is_pending_from_its_first_event_on(tmp_path: Path) -> None:
    async def work(engine: Running) -> None:
        seen: list[tuple[str, str]] = []
        engine.store.on_change.append(
            lambda resource, type_, obj: seen.append((type_, obj["status"]["phase"])) if resource == PODS else None
        )
        engine.apply(service())
        await engine.ready()
        assert (seen[0], seen[-1]) == (("ADDED", "Pending"), ("MODIFIED", "Running"))

    in_engine(tmp_path, work)


def test_a_removed_namespace_leaves_nothing(tmp_path: Path) -> None:
    async def work(engine: Running) -> None:
        made = service()
        made["metadata"]["namespace"] = "photos"
        engine.apply(made, service("other"))
        await engine.until(
            lambda: [one for one in engine.store.list(PODS, "photos") if one["status"]["phase"] == "Running"], "pod"
        )
        engine.store.delete("namespaces", "", "photos")
        await engine.until(lambda: not engine.store.list(PODS, "photos"), "end of the pod")
        left = {resource for resource, obj in engine.store.everything() if obj["metadata"].get("namespace") == "photos"}
        assert left <= {EVENTS}
        assert list(engine.engine.route.services) == [("default", "other")]
        assert list(engine.engine.reconciler.running) == [("default", "other-00001")]

    in_engine(tmp_path, work)


async def a_pod_with_a_request(engine: Running) -> tuple[str, asyncio.Future[tuple[int, bytes]]]:
    engine.apply(service(annotations={"min-scale": "1"}))
    await engine.ready()
    (name,) = engine.names(PODS)
    slow = asyncio.ensure_future(engine.ask(path="/?sleep=1"))
    await asyncio.sleep(0.3)
    return name, slow


def test_a_removed_pod_ends_after_its_requests_and_is_replaced(tmp_path: Path) -> None:
    async def work(engine: Running) -> None:
        name, slow = await a_pod_with_a_request(engine)
        engine.store.delete(PODS, "default", name)
        await engine.until(lambda: len(engine.names(PODS)) == 2, "another pod")
        assert "deletionTimestamp" in engine.get(PODS, name)["metadata"]
        assert (await slow)[0] == 200
        await engine.until(lambda: name not in engine.names(PODS), "end of the pod")
        assert len(engine.names(PODS)) == 1
        assert (await engine.ask())[0] == 200

    in_engine(tmp_path, work)


def test_each_container_of_a_pod_has_its_status(tmp_path: Path) -> None:
    async def work(engine: Running) -> None:
        made = service(annotations={"min-scale": "1"})
        (main,) = made["spec"]["template"]["spec"]["containers"]
        main |= {"name": "main", "ports": [{"containerPort": 8080}]}
        beside = {"name": "beside", "image": "dev.local/test:1", "command": ["sleep", "600"]}
        made["spec"]["template"]["spec"]["containers"].append(beside)
        engine.apply(made)
        await engine.ready()
        (pod,) = engine.store.list(PODS)
        statuses = {one["name"]: one for one in pod["status"]["containerStatuses"]}
        assert {name: (one["ready"], list(one["state"])) for name, one in statuses.items()} == {
            "main": (True, ["running"]),
            "beside": (True, ["running"]),
        }
        assert engine.get(REVISIONS, "hello-00001")["status"]["containerStatuses"] == [
            {"name": "main"},
            {"name": "beside"},
        ]

    in_engine(tmp_path, work)


def test_a_pod_that_falls_again_and_again_says_how_it_ended(tmp_path: Path) -> None:
    async def work(engine: Running) -> None:
        engine.apply(service(command=["sh", "-c", "echo boom; exit 3"]))

        def falling() -> bool:
            (status,) = engine.store.list(PODS)[0]["status"]["containerStatuses"]
            return status["restartCount"] >= 2 and "waiting" in status["state"]

        await engine.until(falling, "two restarts")
        (pod,) = engine.store.list(PODS)
        (status,) = pod["status"]["containerStatuses"]
        assert status["state"]["waiting"]["reason"] == "CrashLoopBackOff"
        ended = status["lastState"]["terminated"]
        assert (ended["exitCode"], ended["reason"], ended["message"]) == (3, "Error", "boom")
        assert ended["startedAt"] <= ended["finishedAt"]
        assert (status["ready"], status["started"]) == (False, False)
        assert engine.conditions(REVISIONS, "hello-00001")["Ready"] == ("False", "ExitCode3")
        reasons = {(one["reason"], one["type"]) for one in engine.store.list(EVENTS)}
        assert {("BackOff", "Warning"), ("RevisionFailed", "Warning")} <= reasons

    in_engine(tmp_path, work)


def test_a_removed_revision_is_made_anew_only_where_it_is_the_latest(tmp_path: Path) -> None:
    async def work(engine: Running) -> None:
        engine.apply(service())
        await engine.ready()
        engine.apply(service(environment={"A": "b"}))
        await engine.ready()
        engine.store.delete(REVISIONS, "default", "hello-00001")
        uid = engine.get(REVISIONS, "hello-00002")["metadata"]["uid"]
        engine.store.delete(REVISIONS, "default", "hello-00002")
        await engine.until(lambda: engine.names(REVISIONS) == ["hello-00002"], "the latest again")
        assert engine.get(REVISIONS, "hello-00002")["metadata"]["uid"] != uid
        await engine.ready()
        assert await engine.revision() == "hello-00002"

    in_engine(tmp_path, work)


def test_a_revision_made_anew_takes_the_traffic_that_a_failed_change_left_to_it(tmp_path: Path) -> None:
    async def work(engine: Running) -> None:
        engine.apply(service())
        await engine.ready()
        nowhere = [{"revisionName": "hello-00001", "percent": 50}, {"revisionName": "hello-00009", "percent": 50}]
        engine.change(SERVICES, "hello", lambda obj: obj["spec"].update(traffic=nowhere))
        await engine.until(lambda: engine.conditions(SERVICES, "hello")["Ready"][0] == "False", "the reason")
        engine.store.delete(REVISIONS, "default", "hello-00001")
        await engine.until(lambda: engine.conditions(REVISIONS, "hello-00001").get("Ready") == ("True", ""), "it again")
        assert await engine.revision() == "hello-00001"

    in_engine(tmp_path, work)


def test_a_change_that_fails_at_once_is_out_of_date_first_so_that_kn_sees_it_fail(tmp_path: Path) -> None:
    async def work(engine: Running) -> None:
        engine.apply(service())
        await engine.ready()
        shown: list[tuple[str, str]] = []

        def note(resource: str, _type: str, obj: Any) -> None:
            if resource == SERVICES and obj["status"]["observedGeneration"] == 2:
                shown.append(engine.conditions(SERVICES, "hello")["Ready"])

        engine.store.on_change.append(note)
        nowhere = [{"revisionName": "hello-00009", "percent": 100}]
        engine.change(SERVICES, "hello", lambda obj: obj["spec"].update(traffic=nowhere))
        await engine.until(lambda: ("False", "RevisionMissing") in shown, "the reason")
        assert list(dict.fromkeys(shown)) == [("Unknown", "OutOfDate"), ("False", "RevisionMissing")]

    in_engine(tmp_path, work)


def test_requests_to_a_revision_that_was_removed_are_refused(tmp_path: Path) -> None:
    async def work(engine: Running) -> None:
        engine.apply(service())
        await engine.ready()
        pinned = [{"revisionName": "hello-00001", "percent": 100}]
        engine.apply(service(environment={"A": "b"}, traffic=pinned))
        await engine.ready()
        engine.store.delete(REVISIONS, "default", "hello-00001")
        await engine.until(lambda: engine.conditions(SERVICES, "hello")["Ready"][0] == "False", "the reason")
        assert engine.conditions(SERVICES, "hello")["RoutesReady"] == ("False", "RevisionMissing")
        status, body = await engine.ask()
        assert (status, body) == (503, b"the Revision hello-00001 was removed\n")

    in_engine(tmp_path, work)


def test_a_configuration_and_a_route_of_their_own(tmp_path: Path) -> None:
    async def work(engine: Running) -> None:
        spec = {"template": service()["spec"]["template"]}
        head = {"apiVersion": "serving.knative.dev/v1", "metadata": {"name": "alone"}}
        configuration = {**head, "kind": "Configuration", "spec": spec}
        traffic = [{"configurationName": "alone", "percent": 100, "tag": "now"}]
        route = {**head, "kind": "Route", "metadata": {"name": "way"}, "spec": {"traffic": traffic}}
        engine.apply(route)
        assert engine.conditions(ROUTES, "way")["AllTrafficAssigned"] == ("False", "ConfigurationMissing")
        engine.apply(route, configuration)
        await engine.ready("way", ROUTES)
        _, answered = await engine.ask("way.default", "/")
        names = {key: answered["environment"][key] for key in ("K_REVISION", "K_CONFIGURATION", "K_SERVICE")}
        assert names == {"K_REVISION": "alone-00001", "K_CONFIGURATION": "alone", "K_SERVICE": ""}
        assert await engine.revision("now-way.default") == "alone-00001"
        engine.apply(configuration)
        labels = engine.get(REVISIONS, "alone-00001")["metadata"]["labels"]
        assert labels["serving.knative.dev/routingState"] == "reserve"
        with pytest.raises(LookupError):
            await engine.ask("way.default")

    in_engine(tmp_path, work)


def test_a_route_of_a_service_s_name_that_is_another_s_is_left_alone(tmp_path: Path) -> None:
    async def work(engine: Running) -> None:
        traffic = [{"configurationName": "other", "percent": 100}]
        route = {"apiVersion": "serving.knative.dev/v1", "kind": "Route", "metadata": {"name": "hello"}}
        engine.apply({**route, "spec": {"traffic": traffic}}, service())
        assert engine.conditions(SERVICES, "hello")["RoutesReady"] == ("False", "NotOwned")
        assert engine.get(ROUTES, "hello")["spec"]["traffic"][0]["configurationName"] == "other"

    in_engine(tmp_path, work)


def test_a_domain_leads_to_a_service_and_to_a_route(tmp_path: Path) -> None:
    def mapping(name: str, kind: str, to: str) -> dict[str, Any]:
        spec = {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": kind, "name": to}}
        head = {"apiVersion": "serving.knative.dev/v1beta1", "kind": "DomainMapping", "metadata": {"name": name}}
        return {**head, "spec": spec}

    async def work(engine: Running) -> None:
        mappings = "domainmappings.serving.knative.dev"
        named = {"photos.example.com": "Service", "ways.example.com": "Route"}
        engine.apply(*(mapping(name, kind, "hello") for name, kind in named.items()))
        assert engine.conditions(mappings, "photos.example.com")["ReferenceResolved"] == ("False", "ResolveFailed")
        engine.apply(service(), *(mapping(name, kind, "hello") for name, kind in named.items()))
        await engine.ready()
        for name in named:
            assert engine.conditions(mappings, name) == {
                "CertificateProvisioned": ("True", "TLSNotEnabled"),
                "DomainClaimed": ("True", ""),
                "IngressReady": ("True", ""),
                "Ready": ("True", ""),
                "ReferenceResolved": ("True", ""),
            }
            assert engine.get(mappings, name)["status"]["url"] == f"http://{name}"
            assert engine.engine.route.mappings[name] == ("default", "hello")

    in_engine(tmp_path, work)


def test_a_pod_removed_by_force_ends_too_and_is_not_shown_again(tmp_path: Path) -> None:
    async def work(engine: Running) -> None:
        name, slow = await a_pod_with_a_request(engine)
        engine.store.delete(PODS, "default", name, now=True)
        await engine.until(lambda: engine.names(PODS) not in ([], [name]), "another pod")
        assert name not in engine.names(PODS)
        assert (await slow)[0] == 200
        pods = engine.engine.reconciler.running["default", "hello-00001"].pods
        await engine.until(lambda: [pod.name for pod in pods] == engine.names(PODS), "end of the pod")

    in_engine(tmp_path, work)


def test_revisions_are_collected_by_config_gc(tmp_path: Path) -> None:
    rules = {
        "min-non-active-revisions": "1",
        "max-non-active-revisions": "2",
        "retain-since-create-time": "disabled",
        "retain-since-last-active-time": "disabled",
    }

    async def work(engine: Running) -> None:
        for number in range(6):
            kept = {"serving.knative.dev/no-gc": "true"} if number == 1 else {}
            made = service(environment={"NUMBER": str(number)})
            made["spec"]["template"]["metadata"].setdefault("annotations", {}).update(kept)
            engine.apply(made, {**GC, "data": rules})
            await engine.ready()
        assert engine.names(REVISIONS) == [f"hello-0000{number}" for number in (2, 4, 5, 6)]

    in_engine(tmp_path, work, initial_scale=0)


def test_secrets_and_namespaces_of_files_are_stored_as_kubernetes_stores_them(tmp_path: Path) -> None:
    head = {"apiVersion": "v1", "metadata": {"name": "photos"}}

    async def work(engine: Running) -> None:
        engine.apply({**head, "kind": "Secret", "stringData": {"a": "b"}}, {**head, "kind": "Namespace"})
        secret = engine.get("secrets", "photos")
        assert (secret["data"], secret["type"], "stringData" in secret) == ({"a": "Yg=="}, "Opaque", False)
        namespace = engine.store.get("namespaces", "", "photos")
        assert namespace["metadata"]["labels"] == {"kubernetes.io/metadata.name": "photos"}
        assert (namespace["spec"], namespace["status"]) == ({"finalizers": ["kubernetes"]}, {"phase": "Active"})
        for wrong in ({"data": {"a": "%"}}, {"data": {"a": 5}}, {"data": [1]}):
            with pytest.raises(TemplateError, match=r"^Secret photos: "):
                engine.apply({**head, "kind": "Secret", **wrong})

    in_engine(tmp_path, work)


def test_all_or_nothing_of_the_files_is_applied(tmp_path: Path) -> None:
    async def work(engine: Running) -> None:
        engine.apply(service(revision="hello-one"))
        version = engine.store.version
        with pytest.raises(TemplateError, match="without a name change"):
            engine.apply(service("new"), service(revision="hello-one", environment={"A": "b"}))
        assert engine.store.version == version
        assert engine.names(SERVICES) == ["hello"]

    in_engine(tmp_path, work, initial_scale=0)


def test_a_later_run_goes_on_from_the_state(tmp_path: Path) -> None:
    state = tmp_path / "state" / "objects.state"

    async def first(engine: Running) -> None:
        engine.apply(service(environment={"A": "1"}), service("gone"), code="a")
        await engine.ready()
        engine.apply(service(environment={"A": "2"}), service("gone"), code="a")
        await engine.ready()
        pinned = [{"revisionName": "hello-00001", "percent": 100}]
        engine.change(SERVICES, "hello", lambda obj: obj["spec"].update(traffic=pinned))
        engine.store.create(SERVICES, {**service("made"), "metadata": {"name": "made", "namespace": "default"}})
        await engine.ready("made")

    async def second(engine: Running) -> None:
        version = engine.store.version
        engine.apply(service(environment={"A": "2"}), code="a")
        assert engine.names(SERVICES) == ["hello", "made"]
        assert await engine.revision() == "hello-00001"
        assert (await engine.ask("made.default"))[0] == 200
        engine.apply(service(environment={"A": "3"}), code="a")
        await engine.until(lambda: "hello-00003" in engine.names(REVISIONS), "the third revision")
        assert engine.store.version > version
        engine.apply(service(environment={"A": "3"}), code="b")
        await engine.until(lambda: "hello-00004" in engine.names(REVISIONS), "a revision of the changed code")

    in_engine(tmp_path, first, state=state)
    in_engine(tmp_path, second, state=state)


def test_what_runs_in_eventing_is_ready_and_what_does_not_says_why(tmp_path: Path) -> None:
    broker = {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "metadata": {"name": "images"}, "spec": {}}

    def trigger(name: str, to: str) -> dict[str, Any]:
        ref = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": to}
        spec = {"broker": "images", "subscriber": {"ref": ref}}
        return {"apiVersion": "eventing.knative.dev/v1", "kind": "Trigger", "metadata": {"name": name}, "spec": spec}

    async def work(engine: Running) -> None:
        engine.apply(service(), broker, trigger("good", "hello"), trigger("bad", "nobody"))
        brokers, triggers = "brokers.eventing.knative.dev", "triggers.eventing.knative.dev"
        address = engine.get(brokers, "images")["status"]["address"]["url"]
        assert address == "http://broker-ingress.knative-eventing.svc.cluster.local/default/images"
        assert engine.conditions(triggers, "good") == {
            "BrokerReady": ("True", ""),
            "DeadLetterSinkResolved": ("True", "DeadLetterSinkNotConfigured"),
            "DependencyReady": ("True", ""),
            "OIDCIdentityCreated": ("True", "authentication-oidc feature disabled"),
            "Ready": ("True", ""),
            "SubscriberResolved": ("True", ""),
            "SubscriptionReady": ("True", ""),
        }
        assert engine.get(triggers, "good")["status"]["subscriberUri"] == "http://hello.default.svc.cluster.local"
        assert engine.conditions(triggers, "bad")["Ready"] == ("False", "Unable to get the Subscriber's URI")
        engine.store.create(SERVICES, {**service("nobody"), "metadata": {"name": "nobody", "namespace": "default"}})
        await engine.until(lambda: engine.conditions(triggers, "bad")["Ready"] == ("True", ""), "a subscriber")
        engine.store.delete(triggers, "default", "bad")
        engine.store.delete(brokers, "default", "images")
        await engine.until(lambda: engine.conditions(triggers, "good")["Ready"][0] == "False", "the lost broker")
        assert engine.conditions(triggers, "good")["BrokerReady"] == ("False", "BrokerDoesNotExist")

    in_engine(tmp_path, work, initial_scale=0)


def test_an_internal_error_about_one_object_holds_up_no_other(tmp_path: Path) -> None:
    async def work(engine: Running) -> None:
        def fails(_manifests: object) -> None:
            raise KeyError("spec")

        assert engine.apply(service()) == ["hello: revision hello-00001"]
        engine.engine.on_apply.append(fails)
        make = engine.engine.reconciler._configurations._needs.make
        broken = {"bad-00001"}

        def made(name: str, template: Any) -> Any:
            if name in broken:
                raise ValueError(name)
            return make(name, template)

        needs = engine.engine.reconciler._configurations._needs
        engine.engine.reconciler._configurations._needs = replace(needs, make=made)
        lines = engine.apply(service(), service("bad"), service("good"))
        assert lines == [
            "not applied: KeyError: 'spec'",
            "bad: revision bad-00001",
            "default/bad: not applied: ValueError: bad-00001",
            "good: revision good-00001",
        ]
        await engine.ready("good")
        broken.clear()
        engine.engine.on_apply.remove(fails)
        engine.change(SERVICES, "bad", lambda obj: obj["metadata"].update(labels={"a": "b"}))
        await engine.ready("bad")

    in_engine(tmp_path, work, initial_scale=0)


def test_a_change_of_one_service_looks_at_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[list[str]] = []

    def announced(manifests: Manifests, _containers: object) -> list[str]:
        looked.append([one.name for one in manifests.resources])
        return []

    async def work(engine: Running) -> None:
        engine.apply(*(service(f"s{number}") for number in range(20)))
        await engine.ready("s3")
        monkeypatch.setattr("knative.local.engine.gaps.announced", announced)
        engine.change(SERVICES, "s3", lambda obj: obj["spec"]["template"]["spec"].update(timeoutSeconds=7))
        await engine.until(lambda: "s3-00002" in engine.names(REVISIONS), "second revision")
        await engine.until(lambda: looked, "look at what is left out")
        assert {name for names in looked for name in names} == {"s3"}
        assert any("image" in line and "s3" in line for line in engine.engine.gaps.left_out)

    in_engine(tmp_path, work, initial_scale=0)


def test_hundreds_of_services_many_writers_and_watches(tmp_path: Path) -> None:
    """Each accepted update is one generation and one revision, each watch sees all in order, and then all is quiet."""
    services, writers, watches, rounds = 200, 50, 100, 3

    async def write(engine: Running, number: int) -> None:
        for turn in range(rounds):
            while True:
                obj = thaw(engine.get(SERVICES, f"s{number % 5}"))
                await asyncio.sleep(0)
                environment = [{"name": "BY", "value": f"{number}.{turn}"}]
                obj["spec"]["template"]["spec"]["containers"][0]["env"] = environment
                try:
                    engine.store.update(SERVICES, obj)
                except ConflictError:
                    continue
                break

    async def follow(watch: Watch, until: int) -> int:
        seen, last = 0, 0
        while watch.version < until:
            change = await anext(watch)
            assert change.version > last
            last, seen = change.version, seen + (change.type == "ADDED")
        return seen

    async def work(engine: Running) -> None:
        engine.apply(*(service(f"s{number}") for number in range(services)))
        assert len(engine.names(REVISIONS)) == services
        await engine.until(
            lambda: all(engine.conditions(SERVICES, f"s{n}")["Ready"][0] == "True" for n in range(5)), ""
        )
        await asyncio.sleep(0.2)
        begun = engine.store.version
        following = [engine.store.watch(REVISIONS) for _ in range(watches)]
        await asyncio.gather(*(write(engine, number) for number in range(writers)))
        generations = [engine.get(SERVICES, f"s{number}")["metadata"]["generation"] for number in range(5)]
        assert sum(generations) == 5 + writers * rounds
        await asyncio.sleep(0.5)
        quiet = engine.store.version
        assert quiet > begun
        await asyncio.sleep(0.5)
        assert engine.store.version == quiet
        counts = await asyncio.gather(*(follow(watch, quiet) for watch in following))
        assert set(counts) == {len(engine.names(REVISIONS)) - services}
        for number in range(5):
            configuration = engine.get(CONFIGURATIONS, f"s{number}")
            created = configuration["status"]["latestCreatedRevisionName"]
            labels = engine.get(REVISIONS, created)["metadata"]["labels"]
            generation = configuration["metadata"]["generation"]
            assert labels["serving.knative.dev/configurationGeneration"] == str(generation)

    in_engine(tmp_path, work, initial_scale=0)


def test_a_killed_engine_goes_on_where_it_was(tmp_path: Path) -> None:
    state = tmp_path / "state"
    engine = EngineProcess(tmp_path, service(), arguments=("--state", str(state)))
    engine.wait_pods(1)
    engine.write(service(environment={"A": "2"}))
    engine.process.send_signal(signal.SIGHUP)
    engine.wait(lambda: "hello-00002 is ready" in engine.output, "second revision")
    kept = state / "objects.state"
    engine.wait(lambda: kept.exists() and b'"latestReadyRevisionName":"hello-00002"' in kept.read_bytes(), "state")
    engine.stop(signal.SIGKILL)
    again = EngineProcess(tmp_path, service(environment={"A": "3"}), arguments=("--state", str(state)))
    try:
        again.wait(lambda: "hello-00003 is ready and gets 100 % of the traffic" in again.output, "third revision")
        names = [one["name"] for one in again.status()["services"][0]["revisions"]]
        assert names == ["hello-00001", "hello-00002", "hello-00003"]
    finally:
        assert again.stop() == 0


def test_a_damaged_state_is_one_line(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "objects.state").write_text('{"format":1')
    manifest = tmp_path / "service.yaml"
    manifest.write_text(yaml.safe_dump(service()))
    command = [sys.executable, "-m", "knative", "serve", str(manifest), "--port", "0", "--state", str(state)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, env=clean_environment(), cwd=ROOT)
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"{state}/objects.state is damaged (JSONDecodeError: ")
    assert line.endswith("): move it away to start without its objects")


def test_a_cold_request_is_answered_before_objects_show_its_pod(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(engine: Running) -> None:
        engine.apply(service())
        await engine.ready()
        assert engine.names(PODS) == []
        monkeypatch.setattr(reconciler, "_QUIET_SECONDS", 3600.0)
        engine.engine.reconciler.run()  # in place of the turn that may be due
        assert (await engine.ask())[0] == 200
        assert engine.names(PODS) == []
        engine.engine.reconciler.run()
        assert len(engine.names(PODS)) == 1

    in_engine(tmp_path, work, initial_scale=0)
