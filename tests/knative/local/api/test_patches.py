"""JSON, merge and strategic merge patches."""

from __future__ import annotations

from typing import Any

import pytest

from knative.local.api.patches import MOST_OPERATIONS, PatchError, json_patch, merge_patch, strategic_patch

# The examples of RFC 7396, appendix A, whose results are objects.
MERGES = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("value", "patch", "result"), MERGES)
def test_a_merge_patch_is_that_of_rfc_7396(value: Any, patch: Any, result: Any):
    before = repr(value)
    assert merge_patch(value, patch) == result
    assert repr(value) == before


def test_a_json_patch_is_that_of_rfc_6902():
    value = {"foo": ["bar", "baz"], "a/b": {"~": 1}}
    patch = [
        {"op": "test", "path": "/foo/0", "value": "bar"},
        {"op": "add", "path": "/foo/1", "value": "qux"},
        {"op": "replace", "path": "/a~1b/~0", "value": 2},
        {"op": "move", "from": "/foo/0", "path": "/moved"},
        {"op": "copy", "from": "/moved", "path": "/foo/-"},
    ]
    assert json_patch(value, patch) == {"foo": ["qux", "baz", "bar"], "a/b": {"~": 2}, "moved": "bar"}


@pytest.mark.parametrize(
    ("patch", "code"),
    [
        ({"op": "add"}, 400),
        (["x"], 400),
        ([{"op": "add"}], 400),
        ([{"op": "burn", "path": "/a"}], 400),
        ([{"op": "test", "path": "/a", "value": 2}], 422),
        ([{"op": "remove", "path": "/nothing"}], 422),
        ([{"op": "replace", "path": "/list/9", "value": 1}], 422),
        ([{"op": "add", "path": "/a/b/c", "value": 1}], 422),
        ([{"op": "add", "path": "no pointer", "value": 1}], 422),
        ([{"op": "replace", "path": "", "value": 1}], 422),
        ([{"op": "test", "path": "/a", "value": 1}] * (MOST_OPERATIONS + 1), 413),
    ],
)
def test_a_json_patch_that_does_not_fit_is_refused(patch: Any, code: int):
    with pytest.raises(PatchError) as caught:
        json_patch({"a": 1, "list": []}, patch)
    assert caught.value.code == code


def test_a_merge_patch_is_an_object():
    for patch in ([], "x", None, 3):
        with pytest.raises(PatchError, match="cannot unmarshal"):
            merge_patch({"a": 1}, patch)


def test_a_strategic_patch_merges_what_kubernetes_merges():
    owners = [{"uid": "1", "kind": "A"}, {"uid": "2", "kind": "B"}]
    value = {"metadata": {"ownerReferences": owners, "finalizers": ["x"], "labels": {"a": "1"}}, "data": {"k": "v"}}
    patch = {
        "metadata": {
            "ownerReferences": [{"uid": "2", "$patch": "delete"}, {"uid": "1", "kind": "C"}, {"uid": "3", "kind": "D"}],
            "$setElementOrder/ownerReferences": [{"uid": "1"}, {"uid": "3"}],
            "finalizers": ["y"],
            "labels": {"$patch": "replace", "b": "2"},
        },
        "data": {"k": None, "n": "w"},
    }
    assert strategic_patch(value, patch) == {
        "metadata": {
            "ownerReferences": [{"uid": "1", "kind": "C"}, {"uid": "3", "kind": "D"}],
            "finalizers": ["x", "y"],
            "labels": {"b": "2"},
        },
        "data": {"n": "w"},
    }
    assert (
        strategic_patch(value, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["x"]}})["metadata"]["finalizers"]
        == []
    )
    with pytest.raises(PatchError, match="unknown directive"):
        strategic_patch(value, {"data": {"$patch": "burn"}})
