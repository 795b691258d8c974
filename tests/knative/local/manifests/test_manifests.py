"""Reading manifests: YAML as Kubernetes takes it, places, folders, configuration."""

import json
import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knative.local.check.admission import load, read
from knative.local.check.command import check
from knative.local.manifests import grammar
from knative.local.manifests.annotations import ANNOTATIONS, Given
from knative.local.manifests.cluster_config import AutoscalerConfig, Defaults
from knative.local.manifests.findings import ManifestError
from knative.local.manifests.kinds import KINDS
from knative.local.manifests.source import read_text

SERVICE = """\
apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: {name}
spec:
  template:
    spec:
      containers:
        - image: example.com/app:1
"""


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def refusals(path):
    with pytest.raises(ManifestError) as error:
        load([path])
    return [str(finding) for finding in error.value.findings]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("y", True),
        ("N", False),
        ("Off", False),
        ("yES", "yES"),
        ("0777", 511),
        ("0o17", 15),
        ("0x1f", 31),
        ("089", 89.0),
        ("1e3", 1000.0),
        ("1_000", 1000),
        ("2001-12-14", "2001-12-14"),
        ("1:30", "1:30"),
        ("~", None),
        ("", None),
        ("'1'", "1"),
        ("!!str 5", "5"),
        ("-", None),
        ("1.5.0", "1.5.0"),
        (".5", 0.5),
    ],
)
def test_scalars_are_what_kubectl_makes_of_them(text, value):
    (document,) = read_text(f"key: {text}\n" if text != "-" else "key:\n", "file")
    assert document.data == {"key": value}
    assert type(document.data["key"]) is type(value)


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("a: 1\na: 2\n", 'key "a" already set in map', 2),
        ("a: [1\n", "did not find expected", 2),
        ("[" * 5000, "exceeded max depth", 1),
        ("a: &a [x, x]\nb: &b [*a, *a]\nc: {? [1] : 2}\n", "invalid map key", 3),
        ("a: &a\n  b: *a\n", "excessive aliasing", 1),
        ("x: {<<: 3}\n", "map merge requires map", 1),
    ],
)
def test_yaml_that_kubernetes_refuses_is_refused_with_its_line(text, message, line):
    with pytest.raises(ManifestError) as error:
        read_text(text, "file")
    (finding,) = error.value.findings
    assert message in finding.message
    assert finding.position.line == line


def test_aliases_that_would_grow_without_bound_are_refused():
    layers = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 9))
    with pytest.raises(ManifestError, match="excessive aliasing"):
        read_text(f"l0: &l0 [x]\n{layers}", "file")


def test_merged_keys_yield_to_those_beside_them():
    (document,) = read_text("base: &base {a: 1, b: 2}\nuse:\n  b: 3\n  <<: *base\n", "file")
    assert document.data["use"] == {"a": 1, "b": 3}


def test_documents_of_a_file_and_items_of_a_list_know_their_lines(tmp_path):
    first, second = SERVICE.format(name="one"), SERVICE.format(name="two")
    path = write(tmp_path, "two.yaml", f"# a comment\n---\n{first}---\n---\n{second}")
    assert [(item.name, item.position.line) for item in load([path]).services] == [("one", 3), ("two", 14)]
    listed = "apiVersion: v1\nkind: List\nitems:\n" + "".join(
        "- " + text.replace("\n", "\n  ").rstrip(" ") for text in (first, second.replace("image: ", "image: Upper/"))
    )
    lines = refusals(write(tmp_path, "list.yaml", listed))
    assert len(lines) == 1
    assert ":21:13: error: Service/two: Failed to parse image reference" in lines[0]


def test_a_folder_is_its_manifests_and_not_those_below(tmp_path):
    write(tmp_path, "b.yaml", SERVICE.format(name="b"))
    write(tmp_path, "a.yml", SERVICE.format(name="a"))
    write(tmp_path, "c.json", '{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "c"}}')
    write(tmp_path, "notes.txt", "none")
    write(tmp_path, "below/d.yaml", SERVICE.format(name="d"))
    manifests = load([tmp_path])
    assert [resource.subject for resource in manifests.resources] == ["Service/a", "Service/b", "Secret/c"]
    assert [path.name for path in manifests.files] == ["a.yml", "b.yaml", "c.json"]


def test_a_folder_without_manifests_is_a_mistake(tmp_path):
    assert "no manifests in this folder" in refusals(tmp_path)[0]


def test_a_core_service_is_not_a_knative_one(tmp_path):
    text = "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {ports: [{port: 80}]}\n"
    manifests = load([write(tmp_path, "x.yaml", text)])
    assert manifests.services == ()
    assert manifests.of("Service")[0].data["spec"] == {"ports": [{"port": 80}]}


def test_the_clusters_configuration_sets_what_is_legal(tmp_path):
    config = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: config-autoscaler, namespace: knative-serving}
data: {allow-zero-initial-scale: "true", stable-window: 90s, container-concurrency-target-percentage: "80"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: config-defaults, namespace: knative-serving}
data: {max-revision-timeout-seconds: "1200", revision-timeout-seconds: "900", revision-cpu-limit: 500m}
---
"""
    service = SERVICE.format(name="x").replace(
        "    spec:\n",
        '    metadata: {annotations: {autoscaling.knative.dev/initial-scale: "0"}}\n'
        "    spec:\n      timeoutSeconds: 1200\n",
    )
    path = write(tmp_path, "all.yaml", config + service)
    manifests = load([path])
    assert manifests.autoscaler == AutoscalerConfig(
        allow_zero_initial_scale=True, stable_window=90.0, container_concurrency_target_fraction=0.8
    )
    assert manifests.defaults == Defaults(
        max_revision_timeout_seconds=1200,
        revision_timeout_seconds=900,
        revision_response_start_timeout_seconds=900,
        revision_cpu_limit=Fraction(1, 2),
    )
    assert len(refusals(write(tmp_path, "service.yaml", service))) == 2


def test_nulls_are_as_good_as_left_out(tmp_path):
    text = SERVICE.format(name="x") + "          env: null\n          readinessProbe:\n"
    (service,) = load([write(tmp_path, "x.yaml", text)]).services
    assert service.data["spec"]["template"]["spec"]["containers"] == [{"image": "example.com/app:1"}]


def test_a_whole_float_is_a_whole_number(tmp_path):
    text = SERVICE.format(name="x").replace("    spec:\n", "    spec:\n      timeoutSeconds: 6e1\n")
    (service,) = load([write(tmp_path, "x.yaml", text)]).services
    assert service.data["spec"]["template"]["spec"]["timeoutSeconds"] == 60


def test_what_could_be_read_comes_with_what_could_not(tmp_path):
    good = write(tmp_path, "good.yaml", SERVICE.format(name="good"))
    bad = write(tmp_path, "bad.yaml", "a: [\n")
    manifests = read([bad, good])
    assert [service.name for service in manifests.services] == ["good"]
    assert len(manifests.findings) == 1


def test_a_message_names_file_line_object_and_field(tmp_path):
    text = SERVICE.format(name="x").replace("    spec:\n", "    spec:\n      containerConcurrency: 2000\n")
    path = write(tmp_path, "x.yaml", text)
    place = f"{path}:8:7: error: Service/x"
    assert refusals(path) == [f"{place}: expected 0 <= 2000 <= 1000: spec.template.spec.containerConcurrency"]


@pytest.mark.parametrize("item", ANNOTATIONS, ids=lambda item: item.name)
def test_both_spellings_of_an_annotation_are_read_and_the_new_one_wins(item):
    for key in item.keys:
        assert Given({key: "x"}).get(item.name) == "x"
        assert Given({key: "x"}).path(item.name) == (key,)
    assert Given(dict(zip(reversed(item.keys), "ab", strict=False)) | {item.key: "new"}).get(item.name) == "new"


@given(st.integers(min_value=-(2**62), max_value=2**62))
def test_durations_print_as_they_parse(nanoseconds):
    assert grammar.parse_duration(grammar.format_duration(nanoseconds)) == nanoseconds


@pytest.mark.parametrize("text", ["", "5", "1d", "s", ".s", "1h 2m", "-", "9999999h", "1e3s", "٣s"])
def test_durations_that_go_refuses(text):
    with pytest.raises(ValueError, match="invalid duration"):
        grammar.parse_duration(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("100m", "1/10"), ("1Gi", 2**30), ("0.5", "1/2"), ("1e3", 1000), ("1.5k", 1500), (".5", "1/2"), ("2.", 2)],
)
def test_quantities(text, value):
    assert grammar.parse_quantity(text) == Fraction(value)


@pytest.mark.parametrize("text", ["", "lots", "1 Gi", "1gi", "1KB", "0x1", "1e99999999", "--1"])
def test_an_invalid_quantity_is_refused(text):
    with pytest.raises(ValueError, match="quantities must match"):
        grammar.parse_quantity(text)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_and_nothing_else(text):
    try:
        read_text(text, "file")
    except ManifestError as error:
        assert error.findings


leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)


LETTERS = "abcdefghijklmnopqrstuvwxyz"
REPOSITORY = f"{LETTERS}0123456789_-./"


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("a", "repository must be between 2 and 255 characters in length: a"),
        ("gcr.io/a", "repository must be between 2 and 255 characters in length: a"),
        ("gcr.io/", "repository must be between 2 and 255 characters in length: "),
        ("A/b", f"repository can only contain the characters `{REPOSITORY}`: A/b"),
        (":1", "a repository name must be specified"),
        ("ab:" + "t" * 129, "tag must be between 1 and 128 characters in length: " + "t" * 129),
        ("ab:!", f"tag can only contain the characters `{REPOSITORY[:-1]}{LETTERS.upper()}`: !"),
    ],
)
def test_an_image_is_refused_in_the_words_of_go_containerregistry(reference, words):
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        grammar.Image(reference)


@pytest.mark.parametrize(
    "reference", ["ab", "ab:", "localhost/a", "localhost:5000/ab:1", "a/", "ab:1@sha256:" + "0" * 64]
)
def test_an_image_is_taken_that_go_containerregistry_takes(reference):
    grammar.Image(reference)


NAMES = """spec template metadata annotations containers image env name traffic percent ports resources limits cpu
volumes emptyDir readinessProbe httpGet securityContext filters not all exact subscriber ref steps branches delivery
cesql uri sink schedule subject selector matchExpressions attributes channel template subscribers aws s3 auth data"""
names = st.sampled_from(NAMES.split())
trees = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5))


@given(
    st.sampled_from(
        [
            (f"{group}/{version}" if group else version, kind)
            for (group, kind), served in KINDS.items()
            for version in served.versions
        ]
        + [("v1", "List"), ("eventing.knative.dev/v1", "broker")]
    ),
    trees,
    trees,
)
def test_no_object_however_broken_stops_the_check(tmp_path_factory, served, metadata, spec):
    version, kind = served
    path = tmp_path_factory.mktemp("tree") / "x.json"
    path.write_text(
        json.dumps({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec, "items": [spec]})
    )
    report = check([str(path)])
    assert all(finding.position for finding in report.findings)
