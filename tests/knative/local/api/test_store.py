from __future__ import annotations

import asyncio
import gc
import json
import random
import sys
import tracemalloc
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from knative.local.api import history
from knative.local.api.errors import AlreadyExistsError, ConflictError, GoneError, NotFoundError
from knative.local.api.frozen import freeze, thaw
from knative.local.api.history import Watch
from knative.local.api.store import Store

SERVICES = "services.serving.knative.dev"
REVISIONS = "revisions.serving.knative.dev"


def made(name: str = "exif", namespace: str = "default", **fields: Any) -> dict[str, Any]:
    return {"kind": "Service", "metadata": {"name": name, "namespace": namespace}, **fields}


def owned_by(*owners: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"kind": "Service", "name": one["metadata"]["name"], "uid": one["metadata"]["uid"]} for one in owners]


# Creating


def test_a_created_object_gets_what_kubernetes_sets() -> None:
    store = Store(clock=lambda: 1_764_500_000)
    one = store.create(SERVICES, made(spec={"a": 1}))
    assert one["metadata"] | {"uid": ""} == {
        "name": "exif",
        "namespace": "default",
        "uid": "",
        "creationTimestamp": "2025-11-30T10:53:20Z",
        "resourceVersion": "1",
        "generation": 1,
    }
    assert len(one["metadata"]["uid"]) == 36
    assert store.get(SERVICES, "default", "exif") is one


def test_a_config_map_has_no_generation() -> None:
    one = Store().create("configmaps", made("settings", data={"a": "b"}))
    assert "generation" not in one["metadata"]


def test_a_name_is_taken_once_in_a_namespace_and_a_resource() -> None:
    store = Store()
    store.create(SERVICES, made())
    with pytest.raises(AlreadyExistsError, match=r'^services\.serving\.knative\.dev "exif" already exists$'):
        store.create(SERVICES, made())
    store.create(SERVICES, made(namespace="other"))
    store.create(REVISIONS, made())


def test_generated_names_differ_and_begin_as_asked() -> None:
    store = Store()
    names = {store.create("pods", {"metadata": {"generateName": "exif-"}})["metadata"]["name"] for _ in range(200)}
    assert len(names) == 200
    assert all(name.startswith("exif-") and len(name) == 10 for name in names)
    with pytest.raises(ValueError, match="name or generateName is required"):
        store.create("pods", {"metadata": {}})


def test_a_dry_run_stores_nothing() -> None:
    store = Store()
    assert store.create(SERVICES, made(), dry_run=True)["metadata"]["generation"] == 1
    one = store.create(SERVICES, made(spec={"a": 1}))
    assert store.update(SERVICES, made(spec={"a": 2}), dry_run=True)["metadata"]["generation"] == 2
    assert store.delete(SERVICES, "default", "exif", dry_run=True) is one
    assert store.list(SERVICES) == [one]
    assert store.version == 1


# Reading


def test_a_list_is_sorted_by_namespace_and_name() -> None:
    store = Store()
    for namespace, name in (("b", "a"), ("a", "b"), ("a", "a")):
        store.create(SERVICES, made(name, namespace))
    names = [(one["metadata"]["namespace"], one["metadata"]["name"]) for one in store.list(SERVICES)]
    assert names == [("a", "a"), ("a", "b"), ("b", "a")]
    assert [one["metadata"]["name"] for one in store.list(SERVICES, "b")] == ["a"]


def test_what_is_not_there_is_named() -> None:
    with pytest.raises(NotFoundError, match=r'^services\.serving\.knative\.dev "nope" not found$'):
        Store().get(SERVICES, "default", "nope")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(value=json_values)
def test_frozen_values_equal_plain_ones_and_are_written_alike(value: Any) -> None:
    frozen = freeze(value)
    assert frozen == value
    assert json.dumps(frozen) == json.dumps(value)
    assert orjson.loads(orjson.dumps(frozen)) == orjson.loads(orjson.dumps(value))
    plain = thaw(frozen)
    assert plain == value
    assert type(plain) is type(value)
    assert freeze(frozen) is frozen


def test_no_reader_changes_what_is_stored() -> None:
    one = Store().create(SERVICES, made(spec={"list": [1, {"a": 1}], "a": 1}))
    attempts = [
        lambda: one.update(a=1),
        lambda: one["spec"].pop("a"),
        lambda: one["spec"].setdefault("b", 2),
        lambda: one["spec"].__setitem__("a", 2),
        lambda: one["spec"].__delitem__("a"),
        lambda: one["spec"].__ior__({"a": 2}),
        lambda: one["spec"]["list"].append(2),
        lambda: one["spec"]["list"].__iadd__([2]),
        one["spec"]["list"].sort,
        one["spec"]["list"][1].clear,
    ]
    for attempt in attempts:
        with pytest.raises(TypeError, match="read-only"):
            attempt()
    assert one["spec"] == {"list": [1, {"a": 1}], "a": 1}


def test_what_is_given_may_be_changed_afterwards() -> None:
    store, given_ = Store(), made(spec={"a": [1]})
    store.create(SERVICES, given_)
    given_["spec"]["a"].append(2)
    assert store.get(SERVICES, "default", "exif")["spec"] == {"a": [1]}


# Updating


def test_the_generation_counts_changes_of_the_specification() -> None:
    store = Store()
    one = thaw(store.create(SERVICES, made(spec={"a": 1})))
    one["metadata"]["labels"] = {"team": "a"}
    labelled = store.update(SERVICES, one)
    assert (labelled["metadata"]["generation"], labelled["metadata"]["resourceVersion"]) == (1, "2")
    changed = store.update(SERVICES, {**labelled, "spec": {"a": 2}})
    assert (changed["metadata"]["generation"], changed["metadata"]["resourceVersion"]) == (2, "3")


def test_what_does_not_differ_keeps_its_version_and_is_not_announced() -> None:
    store = Store()
    one = store.create(SERVICES, made(spec={"a": 1}))
    heard: list[str] = []
    store.on_change.append(lambda _resource, type_, _object: heard.append(type_))
    assert store.update(SERVICES, thaw(one)) is one
    assert store.update(SERVICES, made(spec={"a": 1})) is one
    assert (store.version, heard) == (1, [])


def test_a_stale_version_and_another_uid_are_refused() -> None:
    store = Store()
    one = store.create(SERVICES, made(spec={"a": 1}))
    store.update(SERVICES, {**one, "spec": {"a": 2}})
    with pytest.raises(ConflictError, match="the object has been modified; please apply your changes"):
        store.update(SERVICES, {**one, "spec": {"a": 3}})
    store.delete(SERVICES, "default", "exif")
    store.create(SERVICES, made())
    with pytest.raises(ConflictError, match="UID in precondition"):
        store.update(SERVICES, {**one, "spec": {"a": 3}})


def test_the_status_and_the_rest_are_updated_apart() -> None:
    store = Store()
    one = store.create(SERVICES, made(spec={"a": 1}))
    with_status = store.update(SERVICES, {**one, "spec": {"a": 9}, "status": {"url": "x"}}, status=True)
    assert (with_status["spec"], with_status["status"]) == ({"a": 1}, {"url": "x"})
    assert with_status["metadata"]["generation"] == 1
    changed = store.update(SERVICES, {**with_status, "spec": {"a": 2}, "status": {"url": "y"}})
    assert (changed["spec"], changed["status"]) == ({"a": 2}, {"url": "x"})
    bare = store.update(SERVICES, {key: value for key, value in changed.items() if key != "status"}, status=True)
    assert "status" not in bare


def test_what_the_server_sets_cannot_be_set() -> None:
    store = Store()
    one = thaw(store.create(SERVICES, made(spec={})))
    one["metadata"] |= {"creationTimestamp": "2000-01-01T00:00:00Z", "generation": 77, "deletionTimestamp": "now"}
    assert store.update(SERVICES, one) == store.get(SERVICES, "default", "exif")
    assert store.version == 1


# Deleting


def test_a_removed_object_takes_along_what_it_owns() -> None:
    store = Store()
    service = store.create(SERVICES, made())
    configuration = store.create("configurations", {"metadata": {"name": "exif", "ownerReferences": owned_by(service)}})
    store.create(REVISIONS, {"metadata": {"name": "exif-00001", "ownerReferences": owned_by(configuration)}})
    store.create(REVISIONS, {"metadata": {"name": "other-00001"}})
    heard: list[tuple[str, str, str]] = []
    store.on_change.append(lambda resource, type_, obj: heard.append((resource, type_, obj["metadata"]["name"])))
    removed = store.delete(SERVICES, "default", "exif")
    assert removed["metadata"]["resourceVersion"] == "5"
    assert heard == [
        (SERVICES, "DELETED", "exif"),
        ("configurations", "DELETED", "exif"),
        (REVISIONS, "DELETED", "exif-00001"),
    ]
    assert [one["metadata"]["name"] for one in store.list(REVISIONS)] == ["other-00001"]


def test_what_two_own_stays_until_both_are_removed() -> None:
    store = Store()
    owners = [store.create(SERVICES, made(name)) for name in ("a", "b")]
    store.create(REVISIONS, {"metadata": {"name": "shared", "ownerReferences": owned_by(*owners)}})
    store.delete(SERVICES, "default", "a")
    assert [one["name"] for one in store.get(REVISIONS, "", "shared")["metadata"]["ownerReferences"]] == ["b"]
    store.delete(SERVICES, "default", "b")
    assert store.list(REVISIONS) == []


def test_orphans_stay_without_their_owner() -> None:
    store = Store()
    service = store.create(SERVICES, made())
    store.create(REVISIONS, {"metadata": {"name": "exif-00001", "ownerReferences": owned_by(service)}})
    store.delete(SERVICES, "default", "exif", orphan=True)
    assert "ownerReferences" not in store.get(REVISIONS, "", "exif-00001")["metadata"]


def test_the_preconditions_of_a_removal() -> None:
    store = Store()
    one = store.create(SERVICES, made())
    with pytest.raises(ConflictError, match="Precondition failed: UID"):
        store.delete(SERVICES, "default", "exif", uid="another")
    with pytest.raises(ConflictError, match="modified"):
        store.delete(SERVICES, "default", "exif", resource_version="7")
    metadata = one["metadata"]
    version = metadata["resourceVersion"]
    store.delete(SERVICES, "default", "exif", uid=metadata["uid"], resource_version=version)
    with pytest.raises(NotFoundError):
        store.delete(SERVICES, "default", "exif")


def test_a_removed_namespace_takes_along_what_is_in_it() -> None:
    store = Store()
    store.create("namespaces", {"metadata": {"name": "photos"}})
    service = store.create(SERVICES, made("a", "photos"))
    store.create(REVISIONS, {"metadata": {"name": "r", "namespace": "photos", "ownerReferences": owned_by(service)}})
    store.create(SERVICES, made("a"))
    store.delete("namespaces", "", "photos")
    assert [(resource, one["metadata"]["name"]) for resource, one in store.everything()] == [(SERVICES, "a")]


def test_a_restored_store_goes_on_counting_and_keeps_ownership() -> None:
    before = Store()
    service = before.create(SERVICES, made())
    before.create(REVISIONS, {"metadata": {"name": "r", "ownerReferences": owned_by(service)}})
    after = Store(version=before.version)
    for resource, one in before.everything():
        after.restore(resource, json.loads(json.dumps(one)))
    assert list(after.everything()) == list(before.everything())
    with pytest.raises(GoneError):
        after.watch(SERVICES, since=1)
    after.watch(SERVICES, since=2)
    assert after.delete(SERVICES, "default", "exif")["metadata"]["resourceVersion"] == "3"
    assert after.list(REVISIONS) == []


# Watching


async def collect(watch: Watch, count: int) -> list[tuple[str, str, int]]:
    return [
        (change.type, change.object["metadata"]["name"], change.version)
        for change in [await asyncio.wait_for(anext(watch), 10) for _ in range(count)]
    ]


def test_a_watch_gets_each_change_of_its_namespace_in_order() -> None:
    async def run() -> None:
        store = Store()
        one = store.create(SERVICES, made())
        watch, everywhere, late = (
            store.watch(SERVICES, "default", since=0),
            store.watch(SERVICES, since=1),
            store.watch(SERVICES),
        )
        store.create(SERVICES, made("else", "other"))
        store.update(SERVICES, {**one, "spec": {"a": 1}})
        store.delete(SERVICES, "default", "exif")
        assert await collect(watch, 3) == [("ADDED", "exif", 1), ("MODIFIED", "exif", 3), ("DELETED", "exif", 4)]
        assert await collect(everywhere, 3) == await collect(late, 3)
        assert watch.version == store.version == 4

    asyncio.run(run())


def test_a_watch_waits_without_losing_a_change_when_it_is_cancelled() -> None:
    async def run() -> None:
        store = Store()
        watch = store.watch(SERVICES)
        for number in range(5):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(anext(watch), 0)
            waiting = asyncio.ensure_future(anext(watch))
            await asyncio.sleep(0)
            store.create(SERVICES, made(f"s{number}"))
            store.create("pods", made(f"p{number}"))
            assert (await waiting).object["metadata"]["name"] == f"s{number}"

    asyncio.run(run())


def test_a_closed_watch_ends_also_while_it_waits() -> None:
    async def run() -> None:
        store = Store()
        watch = store.watch(SERVICES)

        async def read() -> list[object]:
            return [change async for change in watch]

        reading = asyncio.ensure_future(read())
        await asyncio.sleep(0)
        watch.close()
        assert await asyncio.wait_for(reading, 10) == []

    asyncio.run(run())


def test_changes_that_are_no_longer_kept_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "HISTORY_EVENTS", 10)

    async def run() -> None:
        store = Store()
        slow = store.watch(SERVICES)
        quiet = store.watch("pods")
        for number in range(30):
            store.create(SERVICES, made(f"s{number}"))
        with pytest.raises(GoneError, match=r"too old resource version: 0 \(20\)"):
            await anext(slow)
        with pytest.raises(GoneError):
            store.watch(SERVICES, since=19)
        assert len(await collect(store.watch(SERVICES, since=20), 10)) == 10
        store.create("pods", made("p"))
        assert await collect(quiet, 1) == [("ADDED", "p", 31)]

    asyncio.run(run())


def test_a_version_that_is_not_given_yet_is_refused() -> None:
    store = Store()
    store.create(SERVICES, made())
    store.watch(SERVICES, since=1)
    with pytest.raises(GoneError):
        store.watch(SERVICES, since=2)


def test_large_objects_shorten_the_history() -> None:
    store = Store()
    for number in range(10):
        store.create("configmaps", made(f"c{number}", data={"text": "x" * 2**20}))
    with pytest.raises(GoneError):
        store.watch("configmaps", since=5)
    store.watch("configmaps", since=9)


# Many at once


@pytest.mark.parametrize(
    ("writers", "rounds", "watches", "objects"),
    [(10, 50, 3, 100), pytest.param(50, 10, 100, 1_000, marks=pytest.mark.slow)],
)
def test_writers_in_conflict_and_watches_over_many_objects(
    writers: int, rounds: int, watches: int, objects: int
) -> None:
    """No update is lost, every watch sees each change once and in order, and memory does not grow."""

    async def increment(store: Store, name: str) -> int:
        conflicts = 0
        while True:
            one = thaw(store.get(SERVICES, "default", name))
            await asyncio.sleep(0)
            one["spec"]["count"] += 1
            try:
                store.update(SERVICES, one)
            except ConflictError:
                conflicts += 1
                continue
            return conflicts

    async def write(store: Store, seed: int) -> int:
        chance = random.Random(seed)
        return sum([await increment(store, f"s{chance.randrange(2)}") for _ in range(rounds)])

    async def follow(watch: Watch, counts: dict[str, int], until: int) -> int:
        last = 0
        while watch.version < until:
            change = await anext(watch)
            assert change.version > last
            last = change.version
            name = change.object["metadata"]["name"]
            assert change.object["spec"]["count"] == counts.get(name, 0) + 1
            counts[name] = counts.get(name, 0) + 1
        return sum(counts.values())

    async def run() -> None:
        store = Store()
        for number in range(objects):
            store.create(SERVICES, made(f"s{number}", spec={"count": 0}))
        sizes = []
        done = 0
        for turn in range(5):
            begin, written = store.version, writers * rounds
            seen = {one["metadata"]["name"]: one["spec"]["count"] for one in store.list(SERVICES)}
            following = [
                asyncio.ensure_future(follow(store.watch(SERVICES), dict(seen), begin + written))
                for _ in range(watches)
            ]
            await asyncio.sleep(0)
            conflicts = sum(await asyncio.gather(*(write(store, turn * writers + one) for one in range(writers))))
            assert conflicts > 0
            done += written
            assert await asyncio.gather(*following) == [done] * watches
            assert sum(one["spec"]["count"] for one in store.list(SERVICES)) == done
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
        assert sizes[-1] < sizes[2] * 1.05  # small integers, as the counts are in the first two turns, cost nothing

    tracemalloc.start()
    try:
        asyncio.run(run())
    finally:
        tracemalloc.stop()


class Writes(RuleBasedStateMachine):
    """Any order of writes leaves a store that a reader who only follows the changes knows as well."""

    def __init__(self) -> None:
        super().__init__()
        self.store = Store()
        self.followed: dict[str, dict[str, Any]] = {}
        self.types: dict[str, list[str]] = {}
        self.last = 0
        self.store.on_change.append(self.follow)

    def follow(self, resource: str, type_: str, obj: dict[str, Any]) -> None:
        name, version = obj["metadata"]["name"], int(obj["metadata"]["resourceVersion"])
        assert version == self.last + 1 == self.store.version
        assert (type_ == "ADDED") == (name not in self.followed)
        self.last = version
        if type_ == "DELETED":
            del self.followed[name]
        else:
            self.followed[name] = obj

    @rule(name=st.sampled_from("abcdef"), owner=st.sampled_from("abcdef"))
    def create(self, name: str, owner: str) -> None:
        known = {one["metadata"]["name"] for one in self.store.list(SERVICES)}
        references = owned_by(self.store.get(SERVICES, "", owner)) if owner in known else []
        obj = {"metadata": {"name": name, **({"ownerReferences": references} if references else {})}, "spec": {"n": 0}}
        if name in known:
            with pytest.raises(AlreadyExistsError):
                self.store.create(SERVICES, obj)
        else:
            self.store.create(SERVICES, obj)

    @precondition(lambda self: self.followed)
    @rule(number=st.integers(0, 5), value=st.integers(0, 2), status=st.booleans())
    def update(self, number: int, value: int, status: bool) -> None:
        name = sorted(self.followed)[number % len(self.followed)]
        one = thaw(self.store.get(SERVICES, "", name))
        before = one["metadata"]["generation"]
        changes = not status and one["spec"]["n"] != value
        one["status" if status else "spec"] = {"n": value}
        after = self.store.update(SERVICES, one, status=status)
        assert after["metadata"]["generation"] == before + changes

    @precondition(lambda self: self.followed)
    @rule(number=st.integers(0, 5), orphan=st.booleans())
    def delete(self, number: int, orphan: bool) -> None:
        self.store.delete(SERVICES, "", sorted(self.followed)[number % len(self.followed)], orphan=orphan)

    @invariant()
    def the_follower_knows_all(self) -> None:
        assert {one["metadata"]["name"]: one for one in self.store.list(SERVICES)} == self.followed

    @invariant()
    def no_object_outlives_its_owners(self) -> None:
        living = {one["metadata"]["uid"] for one in self.store.list(SERVICES)}
        for one in self.store.list(SERVICES):
            assert {reference["uid"] for reference in one["metadata"].get("ownerReferences", ())} <= living


TestWrites = Writes.TestCase


def test_frozen_objects_cost_no_more_than_plain_ones() -> None:
    assert sys.getsizeof(freeze({"a": 1})) <= sys.getsizeof({"a": 1})
