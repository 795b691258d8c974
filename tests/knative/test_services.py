"""The three Services: one number, one place. What a manifest says agrees with what its function is and does."""

import tomllib
from pathlib import Path

import pytest

from functions import registry
from functions.kit.http.settings import load as load_settings
from functions.kit.server.application import build
from knative.images import VERSION, reference
from knative.local.check.admission import load
from knative.local.manifests.annotations import ANNOTATIONS

ROOT = Path(__file__).resolve().parents[2]
SERVICES = {service.name: service.data for service in load([ROOT / "knative"]).services}
each = pytest.mark.parametrize("name", sorted(SERVICES))
AUTOSCALING = "autoscaling.knative.dev/"


def template(name):
    return SERVICES[name]["spec"]["template"]


def container(name):
    (only,) = template(name)["spec"]["containers"]
    return only


def settings(name):
    """The settings that the function has with this environment; a variable that does not exist fails."""
    environment = {variable["name"]: variable["value"] for variable in container(name)["env"]}
    cls = registry.load(name).settings
    known = {f"{name}_{field}".upper() for field in cls.__dataclass_fields__}
    assert set(environment) <= known
    return load_settings(cls, name, environment)


def test_there_is_a_service_for_each_function():
    assert tuple(sorted(SERVICES)) == registry.names()


@each
def test_server_and_queue_proxy_agree(name):
    spec = template(name)["spec"]
    assert settings(name).concurrency == spec["containerConcurrency"]
    assert settings(name).timeout_seconds == spec["timeoutSeconds"]


def test_stress_refuses_nothing_that_queue_proxy_lets_in():
    assert settings("stress").burns == template("stress")["spec"]["containerConcurrency"]


@each
def test_the_version_is_the_packages(name):
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert version == VERSION
    assert container(name)["image"] == reference("dev.local", name, version)
    for labels in (SERVICES[name]["metadata"]["labels"], template(name)["metadata"]["labels"]):
        assert labels["app.kubernetes.io/version"] == version
        assert labels["app.kubernetes.io/name"] == name


@each
def test_it_starts_what_the_image_starts(name):
    assert container(name)["command"] + container(name)["args"] == ["python", "-m", "functions.kit.server", name]
    assert 'exec python -m functions.kit.server "$FUNCTION"' in (ROOT / "Dockerfile").read_text()


@each
def test_the_pod_fits_the_restricted_profile(name):
    spec, context = template(name)["spec"], container(name)["securityContext"]
    assert context == {
        "runAsNonRoot": True,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert spec["automountServiceAccountToken"] is False
    assert "serviceAccountName" not in spec
    assert [next(iter(set(volume) - {"name"})) for volume in spec["volumes"]] == ["emptyDir"] * len(spec["volumes"])


@each
def test_the_autoscaler_has_targets_and_bounds(name):
    given = template(name)["metadata"]["annotations"]
    assert set(given) <= {item.key for item in ANNOTATIONS} | {"features.knative.dev/http-full-duplex"}
    assert given[f"{AUTOSCALING}class"] == "kpa.autoscaling.knative.dev"
    assert given[f"{AUTOSCALING}metric"] == "concurrency"
    assert given[f"{AUTOSCALING}min-scale"] == "0"
    assert int(given[f"{AUTOSCALING}max-scale"]) > 1
    assert 1 <= float(given[f"{AUTOSCALING}target"]) <= template(name)["spec"]["containerConcurrency"]


@each
def test_the_decodes_that_may_run_at_once_fit_the_memory(name):
    """The sum beside the limit in the manifests: decodes, a large one and its file, uploads in memory, interpreters."""
    from functions.kit.http.spool import IN_MEMORY
    from functions.kit.images.opening import LARGE_PIXELS
    from knative.local.manifests.grammar import parse_quantity

    now = settings(name)
    limit = parse_quantity(container(name)["resources"]["limits"]["memory"])
    function = registry.load(name)
    decoded = 5.1 * min(now.max_pixels, LARGE_PIXELS) * now.decodes if function.decodes else 0
    large = now.decode_bytes + now.max_bytes + 90 * 2**20 if hasattr(now, "decode_bytes") else 0
    held = min(now.max_bytes, IN_MEMORY) if now.spool_bytes else now.max_bytes
    uploads = held * template(name)["spec"]["containerConcurrency"] if function.work.takes_images else 0
    assert decoded + large + uploads + 90 * 2**20 <= limit


@each
def test_the_spool_has_the_room_that_the_function_may_use(name):
    from knative.local.manifests.grammar import parse_quantity

    if not settings(name).spool_bytes:
        return
    pod = template(name)["spec"]
    (volume,) = [each for each in pod["volumes"] if each["name"] == "spool"]
    assert "medium" not in volume["emptyDir"]
    assert parse_quantity(volume["emptyDir"]["sizeLimit"]) >= settings(name).spool_bytes
    (mount,) = [each for each in container(name)["volumeMounts"] if each["name"] == "spool"]
    assert mount["mountPath"] == settings(name).spool_folder


@each
def test_small_requests_and_whole_limits(name):
    resources = container(name)["resources"]
    assert set(resources["requests"]) == set(resources["limits"]) == {"cpu", "memory"}


@each
def test_the_probes_ask_what_the_function_answers(name):
    app = build(name)[0]
    for probe in ("readinessProbe", "livenessProbe"):
        path = container(name)[probe]["httpGet"]["path"]
        assert app.test_client().get(path).status_code == 200
