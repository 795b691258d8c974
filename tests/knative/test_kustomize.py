"""Every kustomization: rendered by kubectl and by us alike, taken by Knative's rules, and saying what it promises."""

import json
import re
import shutil
import subprocess
import warnings
from pathlib import Path

import pytest
import yaml

from functions import registry
from knative.local.check.admission import load
from knative.local.check.command import check
from knative.local.manifests.findings import ManifestError
from knative.local.manifests.kustomize import build
from knative.local.manifests.source import read_text

ROOT = Path(__file__).resolve().parents[2]
KNATIVE = ROOT / "knative"
FOLDERS = sorted(path.parent for path in KNATIVE.rglob("kustomization.yaml"))
OVERLAYS = {path.name: path for path in FOLDERS if path.parent.name == "overlays"}
AUTOSCALING = "autoscaling.knative.dev/"


def named(path):
    return str(path.relative_to(ROOT))


def by_identity(objects):
    return {(item["apiVersion"], item["kind"], item["metadata"]["name"]): item for item in objects}


@pytest.mark.parametrize("folder", FOLDERS, ids=named)
def test_kubectl_renders_what_we_render(folder, kubectl):
    done = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    theirs = by_identity(document.data for document in read_text(done.stdout, "rendered"))
    ours = by_identity(document.data for document in build(folder).documents)
    assert ours == theirs


@pytest.mark.parametrize("folder", FOLDERS, ids=named)
def test_it_passes_the_check_without_a_warning(folder):
    report = check([str(folder)])
    assert report.objects
    assert [str(finding) for finding in report.findings] == []


@pytest.mark.parametrize("folder", FOLDERS, ids=named)
def test_its_services_fit_the_published_models(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        serving = pytest.importorskip("cloudcoil.models.knative_serving.serving.v1", reason="cloudcoil is missing")
        for service in load([folder]).services:
            # The model's pattern for quantities fails on text that is a whole number: the same is said in thousandths.
            data = json.loads(json.dumps(service.data).replace('"cpu": "1"', '"cpu": "1000m"'))
            assert serving.Service.model_validate(data).metadata.name == service.name


def services(folder):
    return {service.name: service.data for service in load([folder]).services}


def template(service):
    return service["spec"]["template"]


def container(service):
    return template(service)["spec"]["containers"][0]


def test_the_overlays_are_those_of_the_readme():
    assert sorted(OVERLAYS) == ["canary", "hpa", "kafka", "private-stress", "registry"]


def test_registry_renames_every_image():
    images = {container(service)["image"] for service in services(OVERLAYS["registry"]).values()}
    assert images == {f"registry.example.com/pixelamp/pixelamp-{name}:0.1.0" for name in registry.names()}


def of_the_registry(folder):
    (mailbox,) = services(folder).values()
    return container(mailbox)["image"] == "registry.example.com/pixelamp/pixelamp-stress:0.1.0"


def test_registry_renames_the_mailboxs_image_too_on_either_broker(tmp_path):
    """Dead letters are lost where the one Service of the eventing folder has an image that no node can pull."""
    (plain,) = services(KNATIVE / "eventing").values()
    assert container(plain)["image"].startswith("dev.local/")
    assert of_the_registry(OVERLAYS["registry"] / "eventing")
    shutil.copytree(KNATIVE, tmp_path / "knative")
    folder = tmp_path / "knative" / "overlays" / "registry" / "eventing"
    text = (folder / "kustomization.yaml").read_text()
    (folder / "kustomization.yaml").write_text(text.replace("  - ../../../eventing\n", "  - ../../kafka\n"))
    assert of_the_registry(folder)
    (broker,) = load([folder]).of("Broker")
    assert broker.metadata["annotations"]["eventing.knative.dev/broker.class"] == "Kafka"


def test_every_retry_of_the_scheduled_job_sends_the_same_event():
    """Its pods are never restarted, so that a retry is another pod, with another name: the Job's is the event's."""
    (job,) = load([KNATIVE / "eventing" / "sources"]).of("CronJob")
    pod = job.data["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["restartPolicy"] == "Never"
    (curl,) = pod["containers"]
    (job_name,) = curl["env"]
    assert job_name["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.labels['batch.kubernetes.io/job-name']"
    (identifier,) = re.findall(r'ce-id: ([^"]*)', curl["args"][0])
    assert identifier == f"${job_name['name']}"


def test_canary_splits_histograms_traffic_by_tag():
    changed = services(OVERLAYS["canary"])
    assert [target["tag"] for target in changed["histogram"]["spec"]["traffic"]] == ["stable", "canary"]
    assert sum(target["percent"] for target in changed["histogram"]["spec"]["traffic"]) == 100
    assert changed["histogram"]["metadata"]["annotations"]["serving.knative.dev/rollout-duration"] == "120s"
    assert "traffic" not in changed["exif"]["spec"]


def test_private_stress_is_private_and_the_others_are_not():
    labels = {
        name: service["metadata"]["labels"].get("networking.knative.dev/visibility")
        for name, service in services(OVERLAYS["private-stress"]).items()
    }
    assert labels == {name: "cluster-local" if name == "stress" else None for name in registry.names()}


@pytest.mark.parametrize("folder", [KNATIVE, KNATIVE / "eventing", *OVERLAYS.values()], ids=lambda path: path.name)
def test_no_answer_of_a_service_is_cut_off_behind_the_activator(folder):
    for service in services(folder).values():
        assert template(service)["metadata"]["annotations"]["features.knative.dev/http-full-duplex"] == "Enabled"


def test_hpa_is_pixelscans_autoscaler():
    for service in services(OVERLAYS["hpa"]).values():
        assert template(service)["metadata"]["annotations"] == {
            f"{AUTOSCALING}class": "hpa.autoscaling.knative.dev",
            f"{AUTOSCALING}metric": "cpu",
            f"{AUTOSCALING}target": "50",
            f"{AUTOSCALING}min-scale": "1",
            f"{AUTOSCALING}max-scale": "6",
            "features.knative.dev/http-full-duplex": "Enabled",
        }
        resources = container(service)["resources"]
        assert resources["requests"]["cpu"] == resources["limits"]["cpu"]


def test_kafka_changes_the_broker_and_nothing_of_its_delivery():
    (plain,) = load([KNATIVE / "eventing"]).of("Broker")
    (broker,) = load([OVERLAYS["kafka"]]).of("Broker")
    assert broker.metadata["annotations"]["eventing.knative.dev/broker.class"] == "Kafka"
    assert broker.data["spec"]["config"]["name"] == "kafka-broker-config"
    assert broker.data["spec"]["delivery"] == plain.data["spec"]["delivery"]
    channels = [item.data["spec"]["channelTemplate"]["kind"] for item in load([OVERLAYS["kafka"]]).of("Sequence")]
    assert channels == ["KafkaChannel"]


def write(folder, **files):
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


BASE = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {app: x}}\ndata: {list: one, old: y1}\n"


@pytest.mark.parametrize(
    ("kustomization", "message"),
    [
        ("helmCharts: []\n", "kustomization field helmCharts is not understood here"),
        ("resources: [nowhere.yaml]\n", "accumulating resources from 'nowhere.yaml': no such file or folder"),
        ("resources: [../outside.yaml]\n", "security; file '../outside.yaml' is not in or below"),
        ("resources: [.]\n", "cycle detected"),
        ("resources: a.yaml\n", "resources must be a list"),
        ("resources: [a.yaml]\npatches: [{}]\n", "must specify one of patch and path"),
        ("resources: [a.yaml]\npatches: [{patch: '[]'}]\n", "must specify a target for JSON patch"),
        (
            "resources: [a.yaml]\npatches:\n- patch: '{apiVersion: v1, kind: ConfigMap, metadata: {name: b}}'\n",
            "no resource matches strategic merge patch ConfigMap/b",
        ),
        (
            "resources: [a.yaml]\npatches:\n- patch: '[{op: remove, path: /data/none}]'\n  target: {kind: ConfigMap}\n",
            "cannot apply the patch to ConfigMap/a",
        ),
        ("resources: [a.yaml]\nlabels: [{pairs: {a: b}, includeSelectors: true}]\n", "not understood here"),
    ],
)
def test_what_is_not_understood_is_refused_and_not_passed_over(tmp_path, kustomization, message):
    folder = tmp_path / "inside"
    folder.mkdir()
    (tmp_path / "outside.yaml").write_text(BASE)
    write(folder, kustomization=kustomization, a=BASE)
    with pytest.raises(ManifestError, match=message.replace("'", ".")) as error:
        load([folder])
    assert error.value.findings[0].position.file == str(folder / "kustomization.yaml")


def test_patches_images_and_labels_do_what_kubectl_does(tmp_path, kubectl):
    write(
        tmp_path,
        a=BASE + "---\n" + BASE.replace("name: a", "name: b"),
        s=(KNATIVE / "services" / "exif.yaml").read_text(),
        merge="apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {old: null, new: added}\n",
        kustomization="""\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: pictures
resources: [a.yaml, s.yaml]
labels: [{pairs: {team: photo}}]
commonAnnotations: {note: "1"}
images:
  - {name: dev.local/pixelamp-exif, newName: localhost:5000/e, digest: "sha256:%s"}
patches:
  - path: merge.yaml
  - target: {kind: ConfigMap, labelSelector: app=x, name: "b|c"}
    patch: |
      - {op: test, path: /data/list, value: one}
      - {op: copy, from: /data/list, path: /data/copied}
      - {op: move, from: /data/old, path: /data/moved~1here}
  - target: {kind: Service, group: serving.knative.dev}
    patch: |
      - {op: add, path: /spec/template/spec/containers/0/env/-, value: {name: LAST, value: "1"}}
      - {op: add, path: /spec/template/spec/containers/0/env/0, value: {name: FIRST, value: "1"}}
      - {op: remove, path: /spec/template/spec/containers/0/livenessProbe}
      - {op: replace, path: /spec/template/spec/containerConcurrency, value: 3}
"""
        % ("0" * 64),
    )
    done = subprocess.run([kubectl, "kustomize", tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    theirs = by_identity(document.data for document in read_text(done.stdout, "rendered"))
    assert by_identity(document.data for document in build(tmp_path).documents) == theirs


def routes(name):
    return list(yaml.safe_load_all((KNATIVE / "routes" / name).read_text()))


def longest_timeout():
    return max(template(service)["spec"]["timeoutSeconds"] for service in services(KNATIVE).values())


# The landing page, its picture and the types of problems, which any of the functions has.
FRONT = ("/", "/sample.jpg")
SHARED = "/problems"


def test_the_http_route_sends_each_path_to_its_function():
    grant, route = routes("httproute.yaml")
    paths = {}
    for rule in route["spec"]["rules"]:
        (match,), (rewrite,), (backend,) = rule["matches"], rule["filters"], rule["backendRefs"]
        kind, value = match["path"]["type"], match["path"]["value"]
        assert kind == ("Exact" if value in FRONT else "PathPrefix")
        paths[value] = rewrite["urlRewrite"]["hostname"]
        assert float(rule["timeouts"]["request"].removesuffix("s")) > longest_timeout()
        # A backend of another namespace needs that namespace's leave.
        assert backend["namespace"] == grant["metadata"]["namespace"]
        assert backend["name"] == grant["spec"]["to"][0]["name"]
    front = {path: paths.pop(path) for path in (*FRONT, SHARED)}
    assert set(front.values()) <= set(paths.values())
    assert paths == {f"/{name}": f"{name}.default.example.com" for name in registry.names()}


def test_the_virtual_service_sends_each_path_to_its_function():
    (route,) = routes("virtualservice.yaml")
    rules = [(rule["match"][0]["uri"], rule["rewrite"]["authority"]) for rule in route["spec"]["http"]]
    paths = {match["prefix"]: authority for match, authority in rules if "prefix" in match}
    front = {match["exact"]: authority for match, authority in rules if "exact" in match}
    front[SHARED] = paths.pop(SHARED)
    assert set(front) == {*FRONT, SHARED}
    assert set(front.values()) <= set(paths.values())
    assert paths == {f"/{name}": f"{name}.default.example.com" for name in registry.names()}
    for rule in route["spec"]["http"]:
        assert float(rule["timeout"].removesuffix("s")) > longest_timeout()
