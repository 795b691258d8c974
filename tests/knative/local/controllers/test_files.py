from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knative.local.api.frozen import thaw
from knative.local.api.kinds import ALL
from knative.local.api.store import Store
from knative.local.controllers.files import Files, Place, merge
from knative.local.controllers.objects import SERVICES, place_of

PLACE = (SERVICES, "default", "exif")


def service(name: str = "exif", **spec: Any) -> dict[str, Any]:
    metadata = {"name": name}
    return {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": metadata, "spec": spec}


def apply(files: Files, store: Store, *objects: tuple[Place, dict[str, Any]]) -> None:
    files.commit(store, files.plan(store, objects, lambda obj, _old: obj))


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.resource)
def test_each_kind_of_the_api_is_found_at_its_resource(kind: Any) -> None:
    metadata = {"name": "a", "namespace": "b"}
    place = place_of(kind.api_version(), kind.name, metadata)
    assert place == (kind.resource, "b" if kind.namespaced else "", "a")


def test_a_kind_of_no_api_has_its_plural() -> None:
    assert place_of("networking.k8s.io/v1", "NetworkPolicy", {"name": "a"})[0] == "networkpolicies.networking.k8s.io"
    assert place_of("networking.k8s.io/v1", "Ingress", {"name": "a"})[0] == "ingresses.networking.k8s.io"
    assert place_of("gateway.networking.k8s.io/v1", "Gateway", {"name": "a"})[0].startswith("gateways.")


def test_what_files_name_is_there_and_what_they_name_no_more_is_removed() -> None:
    store, files = Store(), Files()
    apply(files, store, (PLACE, service(a=1)), ((SERVICES, "photos", "other"), service("other")))
    assert [one["metadata"]["name"] for one in store.list("namespaces")] == ["default", "photos"]
    store.create(SERVICES, {**service("mine"), "metadata": {"name": "mine", "namespace": "default"}})
    apply(files, store, (PLACE, service(a=1)))
    assert [one["metadata"]["name"] for one in store.list(SERVICES)] == ["exif", "mine"]


def test_an_object_that_the_api_made_anew_is_not_removed_with_its_file() -> None:
    store, files = Store(), Files()
    apply(files, store, (PLACE, service()))
    store.delete(*PLACE)
    store.create(SERVICES, {**service(), "metadata": {"name": "exif", "namespace": "default"}})
    apply(files, store)
    assert len(store.list(SERVICES)) == 1


def test_a_change_by_the_api_stays_until_the_file_changes_the_same_field() -> None:
    store, files = Store(), Files()
    apply(files, store, (PLACE, service(a=1, b=1)))
    changed = thaw(store.get(*PLACE))
    changed["spec"] |= {"a": 2, "c": 3}
    store.update(SERVICES, changed)
    version = store.version
    apply(files, store, (PLACE, service(a=1, b=1)))
    assert store.version == version
    apply(files, store, (PLACE, service(a=1, b=2)))
    assert store.get(*PLACE)["spec"] == {"a": 2, "b": 2, "c": 3}
    apply(files, store, (PLACE, service(a=4)))
    assert store.get(*PLACE)["spec"] == {"a": 4, "c": 3}


def test_what_is_refused_changes_nothing() -> None:
    store, files = Store(), Files()
    apply(files, store, (PLACE, service(a=1)))
    version = store.version

    def refuse(obj: dict[str, Any], _old: object) -> dict[str, Any]:
        if obj["spec"].get("a") == 3:
            raise ValueError("no")
        return obj

    objects = [((SERVICES, "default", "new"), service("new")), (PLACE, service(a=3))]
    with pytest.raises(ValueError, match="no"):
        files.plan(store, objects, refuse)
    assert store.version == version


def test_kubectl_finds_what_it_applied_last() -> None:
    store = Store()
    apply(Files(), store, (PLACE, service(a=1)))
    (text,) = store.get(*PLACE)["metadata"]["annotations"].values()
    assert text == (
        '{"apiVersion":"serving.knative.dev/v1","kind":"Service","metadata":{"annotations":{},"name":"exif",'
        '"namespace":"default"},"spec":{"a":1}}\n'
    )


values = st.recursive(
    st.integers(0, 3), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=8
)
objects = st.dictionaries(st.sampled_from("abc"), values, max_size=3)


@given(last=objects, new=objects)
def test_without_changes_by_the_api_a_merge_is_the_new_file(last: dict[str, Any], new: dict[str, Any]) -> None:
    assert merge(last, new, last) == new


@given(last=objects, live=objects)
def test_an_unchanged_file_leaves_the_live_fields_it_names(last: dict[str, Any], live: dict[str, Any]) -> None:
    merged = merge(last, last, live)
    assert {key: merged[key] for key in live} == live
