"""Requests that no client library sends: errors, forms of responses, validation, access."""

from __future__ import annotations

import re
import stat
from http.client import HTTPSConnection
from typing import Any

import orjson
import pytest

from tests.knative.local.api.http.conftest import SERVICES, service

ONE = f"{SERVICES}/one"
JSON = "application/json"
MERGE = "application/merge-patch+json"
# Aliases of aliases: a few lines that stand for more values than memory holds.
ALIASES = b"a0: &a0 [1, 1]\n" + b"".join(b"a%d: &a%d [*a%d, *a%d]\n" % (n, n, n - 1, n - 1) for n in range(1, 40))
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
UNVERSIONED = "resourceVersion should not be set on objects to be created"
CONFIG_MAPS = "/api/v1/namespaces/rec/configmaps"


def config_map(name: str = "one", **more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **more}


@pytest.mark.parametrize(
    ("method", "path", "body", "kind", "status", "reason", "says"),
    [
        ("POST", SERVICES, b"{", "application/json", 400, "BadRequest", "cannot be read as application/json"),
        ("POST", SERVICES, b"[]", "application/json", 400, "BadRequest", "not a JSON object"),
        ("POST", SERVICES, b"", "application/json", 400, "BadRequest", "cannot be read"),
        ("POST", SERVICES, b'{"a":' * 200 + b"1" + b"}" * 200, "application/json", 400, "BadRequest", "100 levels"),
        ("POST", SERVICES, b'{"a":' * 5000 + b"1" + b"}" * 5000, "application/json", 400, "BadRequest", "read"),
        ("POST", SERVICES, b'{"metadata": "x"}', "application/json", 400, "BadRequest", "metadata"),
        ("POST", SERVICES, b"{}", "text/plain", 415, "UnsupportedMediaType", "application/json"),
        ("POST", SERVICES, b"k8s\x00\x0a", "application/vnd.kubernetes.protobuf", 400, "BadRequest", "cut short"),
        ("POST", SERVICES, b" " * (3 * 2**20 + 1), "application/json", 413, "RequestEntityTooLarge", "3145728 bytes"),
        ("POST", SERVICES, ALIASES, "application/yaml", 400, "BadRequest", "200000 values"),
        ("GET", f"{SERVICES}?labelSelector=a+in+b", None, "", 400, "BadRequest", "requirement"),
        ("GET", f"{SERVICES}?fieldSelector=spec.x%3D1", None, "", 400, "BadRequest", "field label not supported"),
        ("GET", f"{SERVICES}?limit=x", None, "", 400, "BadRequest", "limit"),
        ("GET", f"{SERVICES}?resourceVersion=999999", None, "", 504, "Timeout", "Too large resource version"),
        ("GET", f"{SERVICES}?watch=true&sendInitialEvents=true", None, "", 422, "Invalid", "NotOlderThan"),
        ("GET", ONE, None, "", 404, "NotFound", 'services.serving.knative.dev "one" not found'),
        ("DELETE", ONE, None, "", 404, "NotFound", "not found"),
        ("PATCH", ONE, b"{}", MERGE, 404, "NotFound", "not found"),
        ("PATCH", ONE, b"{}", "application/strategic-merge-patch+json", 415, "UnsupportedMediaType", "apply-patch"),
        ("GET", "/apis/serving.knative.dev/v2/services", None, "", 404, "NotFound", "could not find"),
        ("GET", "/apis/example.com/v1/things", None, "", 404, "NotFound", "could not find"),
        ("POST", "/apis/sources.knative.dev/v1/namespaces/rec/none", b"{}", JSON, 404, "NotFound", "could not find"),
        ("POST", "/apis/apps/v1", b"{}", JSON, 405, "MethodNotAllowed", "not allow"),
        ("GET", "/nothing", None, "", 404, "NotFound", "could not find"),
        ("POST", "/api/v1/namespaces/rec/pods", b"{}", "application/json", 405, "MethodNotAllowed", "not allow"),
        ("PUT", "/apis/apps/v1/namespaces/rec/deployments/x", b"{}", "application/json", 405, "MethodNotAllowed", ""),
        ("POST", "/apis/serving.knative.dev/v1/services", b"{}", "application/json", 405, "MethodNotAllowed", ""),
        ("DELETE", "/api/v1/namespaces/default", None, "", 403, "Forbidden", "may not be deleted"),
        ("POST", f"{SERVICES}?dryRun=Some", orjson.dumps(service("one")), "application/json", 400, "BadRequest", "All"),
        ("POST", f"{SERVICES}?fieldValidation=x", b"{}", "application/json", 400, "BadRequest", "Strict"),
        ("GET", "/api/v1/namespaces/rec/pods/p/log", None, "", 404, "NotFound", "not found"),
    ],
)
def test_every_error_is_a_status(api, method, path, body, kind, status, reason, says):
    answer = api.raw(method, path, body, {"Content-Type": kind})
    found = answer.json()
    assert (answer.status, found["kind"], found["status"]) == (status, "Status", "Failure"), answer.body
    assert (found["code"], found["reason"]) == (status, reason)
    assert says in found["message"]


def test_a_compressed_body_is_refused_and_no_client_makes_a_stack_trace(api, caplog):
    answer = api.raw("POST", SERVICES, b"abc", {"Content-Type": "application/json", "Content-Encoding": "gzip"})
    assert (answer.status, answer.json()["reason"]) == (415, "UnsupportedMediaType")
    assert "'gzip'" in answer.json()["message"]
    unread = api.raw("GET", SERVICES, None, {"X-Long": "a" * 9000})
    assert (unread.status, unread.headers["Content-Type"]) == (400, "application/json")
    assert (unread.json()["kind"], unread.json()["reason"], unread.json()["code"]) == ("Status", "BadRequest", 400)
    assert unread.json()["message"].startswith("the request cannot be read: ")
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"kind": "Route"}, 400, "must be of type Service"),
        ({"apiVersion": "serving.knative.dev/v2"}, 400, "does not match the expected API version"),
        ({"metadata": {"name": "UPPER"}}, 422, "lowercase RFC 1123 subdomain"),
        ({"metadata": {"name": "UPPER"}}, 422, f'metadata.name: Invalid value: "UPPER": {SUBDOMAIN}'),
        ({"metadata": {"name": "X" * 254}}, 422, "is invalid: [metadata.name: Invalid value: "),
        ({"metadata": {"name": "one", "resourceVersion": "7"}}, 400, UNVERSIONED),
        ({"metadata": {}}, 422, "name or generateName is required"),
        ({"metadata": {"name": "one", "namespace": "other"}}, 400, "does not match the namespace"),
        ({"metadata": {"name": "one", "labels": {"a": "b c"}}}, 422, "metadata.labels"),
        ({"metadata": {"name": "one", "labels": {"a": 1}}}, 400, "cannot unmarshal number"),
        ({"metadata": {"name": "one", "annotations": {"a": "x" * 300_000}}}, 422, "262144 bytes"),
        ({"metadata": {"name": "one", "ownerReferences": [{"kind": "x"}]}}, 422, "ownerReferences[0].apiVersion"),
        ({"metadata": {"name": "one", "ownerReferences": 3}}, 422, "ownerReferences"),
        ({"metadata": {"name": "one", "finalizers": "x"}}, 400, "cannot unmarshal string"),
        ({"metadata": {"name": 1}}, 400, "cannot unmarshal number"),
        ({"spec": None}, 400, "validation failed"),
        ({"spec": "x"}, 400, "mutation failed"),
        ({"spec": {"template": {"spec": {"containers": [None]}}}}, 400, ""),
        ({"spec": {"template": {"spec": {"containers": {"a": 1}}}}}, 400, "mutation failed"),
        ({"spec": {"template": {"metadata": {"annotations": {"a": 1}}}}}, 400, ""),
    ],
)
def test_an_object_that_does_not_fit_is_refused(api, change, status, says):
    answer = api.raw("POST", SERVICES, {**service("one"), **change})
    assert answer.status == status, answer.body
    assert says in answer.json()["message"]


@pytest.mark.parametrize(("query", "kind"), [("maybe", "ADDED"), ("", "ADDED"), ("False", ""), ("0", "")])
def test_any_value_but_false_and_0_turns_a_switch_on(api, make, query, kind):
    make("one")
    answer = api.raw("GET", f"{SERVICES}?watch={query}&timeoutSeconds=1")
    first = orjson.loads(answer.body.splitlines()[0])
    assert first.get("type", "") == kind


def test_an_object_of_version_0_is_created_and_its_namespace_is_a_label(api):
    assert api.raw("POST", SERVICES, service("one", resourceVersion="0")).status == 201
    answer = api.raw("POST", "/api/v1/namespaces", {"metadata": {"name": "a.b"}})
    assert (answer.status, answer.json()["details"]["causes"][0]["field"]) == (422, "metadata.name")
    assert (
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-'"
        in answer.json()["message"]
    )


def test_unknown_fields_are_refused_warned_of_or_dropped(api):
    body = service("one")
    body["spec"]["template"]["spec"]["replicas"] = 3
    strict = api.raw("POST", f"{SERVICES}?fieldValidation=Strict", body)
    assert strict.status == 400
    assert strict.json()["message"] == (
        'Service in version "v1" cannot be handled as a Service: strict decoding error: '
        'unknown field "spec.template.spec.replicas"'
    )
    warned = api.raw("POST", f"{SERVICES}?dryRun=All", body)
    assert warned.status == 201
    assert '299 - "unknown field \\"spec.template.spec.replicas\\""' in warned.headers.get_all("Warning")
    ignored = api.raw("POST", f"{SERVICES}?fieldValidation=Ignore", body)
    assert not [one for one in ignored.headers.get_all("Warning") or [] if "unknown" in one]
    assert "replicas" not in ignored.json()["spec"]["template"]["spec"]
    twice = b'{"metadata":{"name":"two","name":"two"}}'
    answer = api.raw("POST", f"{CONFIG_MAPS}?fieldValidation=Strict", twice)
    assert 'duplicate field "name"' in answer.json()["message"]


def test_a_dry_run_stores_nothing(api, make):
    make("kept")
    version = api.store.version
    for method, path, body in (
        ("POST", SERVICES, service("one")),
        ("PATCH", f"{SERVICES}/kept", {"metadata": {"labels": {"a": "b"}}}),
        ("DELETE", f"{SERVICES}/kept", None),
        ("DELETE", f"{SERVICES}/kept", {"kind": "DeleteOptions", "dryRun": ["All"]}),
    ):
        kind = MERGE if method == "PATCH" else "application/json"
        answer = api.raw(method, f"{path}?dryRun=All", body, {"Content-Type": kind})
        assert answer.status in (200, 201), answer.body
    assert api.store.version == version


def test_a_change_that_changes_nothing_keeps_the_version(api, make):
    made = make("one")
    patch = {"spec": service("one")["spec"]}  # without what was filled in
    answer = api.raw("PATCH", f"{ONE}?fieldManager=other", patch, {"Content-Type": MERGE})
    same = api.raw("PATCH", f"{ONE}?fieldManager=other", patch, {"Content-Type": MERGE})
    assert answer.json()["spec"] == made["spec"]
    assert same.json()["metadata"]["resourceVersion"] == answer.json()["metadata"]["resourceVersion"]
    assert same.json()["metadata"]["generation"] == 1


def test_the_status_is_written_by_its_subresource_alone(api, make):
    made = make("one")
    status = {"conditions": [{"type": "Ready", "status": "True"}], "url": "http://one.rec"}
    assert "status" not in api.raw("PUT", ONE, {**made, "status": status}).json()
    answer = api.raw("PUT", f"{ONE}/status", {**made, "spec": {}, "status": status})
    assert answer.status == 200
    found = api.raw("GET", ONE).json()
    assert (found["status"], found["spec"]) == (status, made["spec"])
    assert found["metadata"]["generation"] == 1
    for wrong, place in (
        ("x", "status"),
        ({"conditions": "x"}, "status.conditions"),
        ({"conditions": [1]}, "status.conditions[0]"),
        ({"conditions": [{"type": "Ready"}]}, "status.conditions[0].status"),
        ({"traffic": [{"percent": 1}]}, "status.traffic[0].revisionName"),
        ({"latestReadyRevisionName": 7}, "status.latestReadyRevisionName"),
        ({"observedGeneration": True}, "status.observedGeneration"),
        ({"address": "http://x"}, "status.address"),
    ):
        refused = api.raw("PUT", f"{ONE}/status", {**found, "status": wrong})
        assert refused.status == 422, wrong
        assert refused.json()["details"]["causes"][0]["field"] == place


def test_tables_have_the_printer_columns_of_knative(api, make):
    make("one")
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
    table = api.raw("GET", SERVICES, headers=accept).json()
    assert table["kind"] == "Table"
    assert [column["name"] for column in table["columnDefinitions"]] == [
        *("Name", "URL", "LatestCreated", "LatestReady", "Ready", "Reason"),
    ]
    assert table["rows"][0]["cells"] == ["one", None, None, None, None, None]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    whole = api.raw("GET", f"{ONE}?includeObject=Object", headers=accept).json()
    assert whole["rows"][0]["object"]["spec"]
    metadata = {"Accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}
    assert api.raw("GET", SERVICES, headers=metadata).json()["items"][0].keys() == {"kind", "apiVersion", "metadata"}
    assert (
        api.raw("GET", SERVICES, headers={"Accept": "application/vnd.kubernetes.protobuf,application/json"}).status
        == 200
    )
    assert api.raw("GET", SERVICES, headers={"Accept": "application/vnd.kubernetes.protobuf"}).status == 406


def events(api, path: str, count: int) -> list[Any]:
    """The first events of a watch."""
    connection = HTTPSConnection(*api.address, timeout=20, context=api.trust())
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {api.token}"})
        response = connection.getresponse()
        assert response.status == 200
        return [orjson.loads(response.readline()) for _ in range(count)]
    finally:
        connection.close()


def test_initial_events_end_with_a_bookmark(api, make):
    make("a")
    make("b", labels={"x": "y"})
    query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    first, second, mark = events(api, f"{SERVICES}?{query}", 3)
    assert [first["type"], second["type"], mark["type"]] == ["ADDED", "ADDED", "BOOKMARK"]
    assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert mark["object"]["metadata"]["resourceVersion"] == second["object"]["metadata"]["resourceVersion"]
    selected = events(api, f"{SERVICES}?{query}&labelSelector=x", 2)
    assert [one["object"]["metadata"].get("name") for one in selected] == ["b", None]


def test_a_watch_that_begins_too_long_ago_ends_with_410(api):
    for number in range(1100):
        api.call(api.store.create, "configmaps", config_map(f"c{number}"))
    (event,) = events(api, f"{CONFIG_MAPS}?watch=1&resourceVersion=1", 1)
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")


def test_an_object_that_leaves_the_selection_is_deleted_for_the_watch(api, make):
    made = make("one", labels={"x": "y"})
    for labels in ({"x": "z"}, {"x": "y"}):
        api.raw("PATCH", ONE, {"metadata": {"labels": labels}}, {"Content-Type": MERGE})
    version = made["metadata"]["resourceVersion"]
    found = events(api, f"{SERVICES}?watch=1&resourceVersion={version}&labelSelector=x%3Dy", 2)
    assert [one["type"] for one in found] == ["DELETED", "MODIFIED"]


def test_no_token_no_answer(api):
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {api.token}"}):
        answer = api.raw("GET", SERVICES, headers=headers, token=False)
        assert (answer.status, answer.json()["reason"]) == (401, "Unauthorized")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    for path in ("/healthz", "/livez", "/readyz"):
        assert api.raw("GET", path, token=False).body == b"ok"


def test_a_foreign_host_gets_421_and_no_origin_is_allowed(api):
    assert api.raw("GET", SERVICES, headers={"Host": "evil.example"}).status == 421
    answer = api.raw("GET", SERVICES, headers={"Origin": "https://evil.example"})
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]
    assert api.raw("OPTIONS", SERVICES, headers={"Origin": "https://evil.example"}, token=False).status == 401


def test_the_kubeconfig_is_readable_by_its_owner_alone(api):
    assert stat.S_IMODE(api.kubeconfig.stat().st_mode) == 0o600
    assert re.search(r"token: \S{40,}", api.kubeconfig.read_text())


def test_openapi_has_what_kubectl_looks_for(api):
    index = api.raw("GET", "/openapi/v3").json()["paths"]
    document = api.raw("GET", index["apis/serving.knative.dev/v1"]["serverRelativeURL"]).json()
    schema = document["components"]["schemas"]["dev.knative.serving.v1.Service"]
    assert schema["x-kubernetes-group-version-kind"] == [
        {"group": "serving.knative.dev", "version": "v1", "kind": "Service"}
    ]
    spec = schema["properties"]["spec"]["properties"]["template"]["properties"]["spec"]["properties"]
    assert spec["timeoutSeconds"]["type"] == "integer"
    patch = document["paths"]["/apis/serving.knative.dev/v1/namespaces/{namespace}/services/{name}"]["patch"]
    assert {"fieldValidation", "fieldManager", "dryRun"} == {one["name"] for one in patch["parameters"]}
    again = api.raw("GET", "/openapi/v2")
    tagged = api.raw("GET", "/openapi/v2", headers={"If-None-Match": again.headers["ETag"]})
    assert (again.status, tagged.status, tagged.body) == (200, 304, b"")
    protobuf = {"Accept": "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"}
    assert api.raw("GET", "/openapi/v2", headers=protobuf).status == 200


def test_plain_discovery_names_what_the_aggregated_one_does(api):
    accept = {"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"}
    aggregated = api.raw("GET", "/apis", headers=accept).json()["items"]
    for group in aggregated:
        for version in group["versions"]:
            name = group["metadata"]["name"]
            plain = api.raw("GET", f"/apis/{name}/{version['version']}").json()["resources"]
            listed = {one["name"]: one["verbs"] for one in plain if "/" not in one["name"]}
            assert {one["resource"]: one["verbs"] for one in version["resources"]} == listed
