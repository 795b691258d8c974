"""The functions on a real cluster, by kubectl and HTTP alone.

    KUBECONFIG=… PIXELAMP_IMAGE_PREFIX=registry.example.com/me/pixelamp- PIXELAMP_INGRESS=http://127.0.0.1:31080 \
        python -m pytest tests/e2e

Images are <prefix><function>:<PIXELAMP_IMAGE_TAG, 0.1.0 if unset>; the ingress is the address at which this machine
reaches Kourier, Istio or Contour, and each request says by its Host which Service is meant. Everything happens in a
namespace that is made for it and deleted afterwards. Each test says what it saw: `-s` shows it.
"""

import json
import math
import socket
import subprocess
import time
import urllib.request
import uuid
from urllib.parse import urlsplit

import pytest

from functions import registry
from tests.e2e.cluster import ON_A_CLUSTER, Load, cluster_of_its_own, until
from tests.images import encoded, gradient

pytestmark = ON_A_CLUSTER
FUNCTIONS = registry.names()
PHOTO = encoded(gradient(size=(640, 480)), "JPEG")
THUMBNAIL = encoded(gradient(), "JPEG")  # so small that the mailbox shows an event which carries it whole
HOLD = "/?sleep_ms=1000"
SCALED_SECONDS, ROLLED_SECONDS = 240, 300


@pytest.fixture(scope="module")
def cluster():
    """The three functions in a namespace of their own, with a window of six seconds."""
    for found in cluster_of_its_own("pixelamp-e2e"):
        assert found.has("services.serving.knative.dev"), (
            "Knative Serving is not installed in the cluster of KUBECONFIG"
        )
        start = time.monotonic()
        found.apply("knative", hurried)
        print(f"\nReady after {time.monotonic() - start:.1f} s in {found.namespace}")
        yield found


def hurried(document):
    if document["kind"] == "Service" and document["metadata"]["name"] in FUNCTIONS:
        annotations = document["spec"]["template"]["metadata"]["annotations"]
        annotations["autoscaling.knative.dev/window"] = "6s"
        annotations["autoscaling.knative.dev/scale-to-zero-pod-retention-period"] = "0s"


def to_zero(cluster, name):
    return until(lambda: not cluster.pods(name), SCALED_SECONDS, f"{name} at zero")


def target_of(cluster, name):
    annotations = cluster.service(name)["spec"]["template"]["metadata"]["annotations"]
    share = float(annotations["autoscaling.knative.dev/target-utilization-percentage"]) / 100
    return float(annotations["autoscaling.knative.dev/target"]) * share


def rolled(cluster, name):
    """Make a new revision of a Service, and wait until it is the latest that is ready: its name."""
    before = cluster.service(name)["status"]["latestReadyRevisionName"]
    patch = {"spec": {"template": {"metadata": {"annotations": {"pixelamp/rollout": uuid.uuid4().hex}}}}}
    service = f"services.serving.knative.dev/{name}"
    cluster.kubectl("patch", service, "--type=merge", f"--patch={json.dumps(patch)}")

    def latest():
        return cluster.service(name)["status"]["latestReadyRevisionName"]

    until(lambda: latest() != before, ROLLED_SECONDS, f"a new revision of {name}")
    return latest()


def test_all_are_ready(cluster):
    for name in FUNCTIONS:
        conditions = {item["type"]: item["status"] for item in cluster.service(name)["status"]["conditions"]}
        assert conditions["Ready"] == "True"
        print(f"{name}: {cluster.service(name)['status']['url']}")


@pytest.mark.parametrize("path", ["/", "/{name}"])
@pytest.mark.parametrize(("name", "key"), [("exif", "summary"), ("histogram", "histogram")])
def test_each_route_answers_an_image(cluster, name, key, path):
    answer = cluster.request(cluster.host(name), path.format(name=name), PHOTO)
    assert answer.status == 200, answer.body
    assert key in answer.json()
    assert answer.headers["x-revision"].startswith(f"{name}-")


def test_histogram_counts_every_pixel(cluster):
    counts = cluster.request(cluster.host("histogram"), "/", PHOTO).json()["histogram"]
    assert len(counts) == 256
    assert sum(counts) == 640 * 480


def test_a_stripped_photo_is_a_photo(cluster):
    answer = cluster.request(cluster.host("exif"), "/strip", PHOTO, {"Accept": "image/jpeg"})
    assert answer.status == 200
    assert answer.body.startswith(b"\xff\xd8")


def test_stress_burns_what_it_was_asked_to(cluster):
    answer = cluster.request(cluster.host("stress"), "/?seconds=3&load=40", b"")
    assert answer.status == 200, answer.body
    achieved = answer.json()["achieved"]
    print(f"asked 40 % for 3 s: {achieved}")
    assert 0 < achieved["cpu_seconds"] <= 0.5 * achieved["seconds"]


def test_pods_pass_the_restricted_profile(cluster):
    """The namespace enforces it, so that a pod which does not would not be there."""
    for name in FUNCTIONS:
        assert cluster.request(cluster.host(name), "/healthz").status == 200
        pods = cluster.pods(name)
        assert pods, f"{name} answered, but no pod has its label"
        pod = pods[0]
        (function,) = [item for item in pod["spec"]["containers"] if item["name"] == "function"]
        context = function["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"]["drop"] == ["ALL"]
        assert pod["spec"]["automountServiceAccountToken"] is False


def test_to_zero_and_back(cluster):
    down = to_zero(cluster, "exif")
    answer = cluster.request(cluster.host("exif"), "/", PHOTO)
    assert answer.status == 200
    print(f"at zero {down:.0f} s after the last request was long ago; cold request {answer.seconds:.2f} s")


def test_pods_follow_concurrency(cluster):
    host, clients = cluster.host("stress"), 10
    wanted = math.ceil(clients / target_of(cluster, "stress"))
    with Load(clients, lambda: cluster.request(host, HOLD, b"")) as load:
        took = until(lambda: cluster.ready("stress") >= wanted, SCALED_SECONDS, f"{wanted} pods for {clients} at once")
        time.sleep(10)
        held = cluster.ready("stress")
    print(f"{wanted} pods after {took:.0f} s, {held} ten seconds later, {len(load.answers)} requests")
    assert load.lost() == []
    assert held <= math.ceil(wanted * 1.1) + 1


def test_a_burst_from_zero_loses_nothing(cluster):
    to_zero(cluster, "stress")
    answers = cluster.at_once(50, cluster.host("stress"), HOLD, b"")
    slowest = max(answer.seconds for answer in answers)
    print(f"50 at once from zero: slowest {slowest:.2f} s, {cluster.ready('stress')} pods")
    assert [answer.status for answer in answers] == [200] * 50


def test_a_rollout_loses_nothing(cluster):
    host = cluster.host("exif")
    before = cluster.request(host, "/", PHOTO).headers["x-revision"]
    with Load(5, lambda: cluster.request(host, "/", PHOTO)) as load:
        after = rolled(cluster, "exif")

        def arrived():
            return load.answers[-1].headers.get("x-revision") == after

        until(arrived, ROLLED_SECONDS, f"requests at {after}")
        time.sleep(10)
    revisions = {answer.headers.get("x-revision") for answer in load.answers}
    print(f"{len(load.answers)} requests over a rollout, by {sorted(map(str, revisions))}")
    assert load.lost() == []
    assert revisions >= {before, after}


def test_traffic_is_split_by_percent_and_by_tag(cluster):
    if len(cluster.revisions("exif")) < 2:
        rolled(cluster, "exif")
    old, new = cluster.revisions("exif")[-2:]
    traffic = [
        {"revisionName": old, "percent": 80, "tag": "stable"},
        {"revisionName": new, "percent": 20, "tag": "canary"},
    ]
    patch = json.dumps({"spec": {"traffic": traffic}})
    cluster.kubectl("patch", "services.serving.knative.dev/exif", "--type=merge", f"--patch={patch}")
    cluster.wait(["exif"])
    host = cluster.host("exif")
    for tag, revision in (("stable", old), ("canary", new)):
        tagged = cluster.tagged("exif", tag)

        def arrived(tagged=tagged, wanted=revision):
            return cluster.request(tagged, "/", PHOTO).headers.get("x-revision") == wanted

        until(arrived, ROLLED_SECONDS, f"{tag} answers by {revision}")
    answers = [cluster.request(host, "/", PHOTO) for _ in range(200)]
    share = sum(answer.headers.get("x-revision") == new for answer in answers) / len(answers)
    print(f"canary got {share:.0%} of 200 requests")
    assert {answer.status for answer in answers} == {200}
    # Three standard deviations of a fair split: √(0.2·0.8/200) = 0.028.
    assert abs(share - 0.2) < 0.085


@pytest.fixture
def broker(cluster):
    """The address of the Broker on this machine: by a forwarded port, or on the engine's route."""
    if not cluster.has("brokers.eventing.knative.dev"):
        pytest.skip("Knative Eventing is not installed in this cluster")

    def opened(document):
        if document["metadata"]["name"] == "mailbox":
            document["metadata"]["labels"].pop("networking.knative.dev/visibility")

    cluster.apply("knative/eventing", opened)
    for kind in ("brokers.eventing", "sequences.flows", "triggers.eventing"):
        cluster.kubectl("wait", "--for=condition=Ready", "--timeout=300s", f"{kind}.knative.dev", "--all")
    # http://broker-ingress.knative-eventing.svc.cluster.local/<namespace>/images
    address = urlsplit(cluster.read("get", "brokers.eventing.knative.dev/images")["status"]["address"]["url"])
    if "pixelamp" in cluster.read("version")["serverVersion"]["gitVersion"]:
        yield f"{cluster.ingress}/_knative/broker{address.path}"
        return
    service, namespace = address.hostname.split(".")[:2]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        "kubectl",
        "--namespace",
        namespace,
        "port-forward",
        f"service/{service}",
        f"{port}:{address.port or 80}",
    ]
    forward = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert "Forwarding" in forward.stdout.readline(), f"kubectl could not forward a port of {service}"
        yield f"http://127.0.0.1:{port}{address.path}"
    finally:
        forward.terminate()
        forward.wait(10)
        forward.stdout.close()


def test_an_uploaded_image_comes_back_as_results(cluster, broker):
    headers = {
        "Ce-Id": uuid.uuid4().hex,
        "Ce-Source": "/e2e",
        "Ce-Type": "dev.pixelamp.image.uploaded",
        "Ce-Specversion": "1.0",
        "Content-Type": "image/jpeg",
    }
    request = urllib.request.Request(broker, THUMBNAIL, headers)
    with urllib.request.urlopen(request, timeout=150) as answer:
        assert answer.status == 202
    host = cluster.host("mailbox")

    def results():
        letters = cluster.request(host, "/results").json()["letters"]
        return [set(letter.get("data", {}).get("results", {})) for letter in letters]

    took = until(lambda: {"exif", "histogram"} in results(), SCALED_SECONDS, "both results in one event in the mailbox")
    print(f"chained results {took:.0f} s after the upload")
