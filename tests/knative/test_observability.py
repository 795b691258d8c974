"""The dashboard and the monitors: every metric they name exists, in the functions, in Knative or in the engine."""

import json
import re
from pathlib import Path

import pytest
import yaml

from functions.kit.server.application import build
from knative.local.check.admission import load
from knative.local.engine import metrics

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "knative" / "observability"
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
NAMES = {name for text in EXPRESSIONS for name in re.findall(r"\b(?:kn|autoscaler|revision|pixelamp)_\w+(?=\{)", text)}

# Knative's own from 1.19 on: dots become underscores, a unit of seconds is appended (serving 98e5ef9).
KNATIVE = {
    "kn_revision_pods_desired",
    "kn_revision_pods_count",
    "kn_revision_concurrency_stable",
    "kn_revision_concurrency_panic",
    "kn_revision_concurrency_target",
    "kn_revision_panic_mode",
    "kn_revision_capacity_excess",
    "kn_serving_queue_depth",
    "kn_serving_invocation_duration_seconds_bucket",
}


def samples(text):
    return {line.split("{")[0].split(" ")[0]: line for line in text.splitlines() if line and not line.startswith("#")}


@pytest.fixture(scope="module")
def exposed():
    """The samples that a function shows once it has worked."""
    client = build("stress")[0].test_client()
    with client.post("/?seconds=0.1&load=1") as answer:
        assert answer.status_code == 200
        answer.get_data()
    return samples(client.get("/metrics").get_data(as_text=True))


def test_every_metric_of_the_functions_is_one_they_show(exposed):
    ours = {name for name in NAMES if name.startswith("pixelamp_")}
    assert len(ours) >= 4
    assert ours <= set(exposed)


def test_the_labels_that_are_asked_for_are_there(exposed):
    assert 'function="stress"' in exposed["pixelamp_requests_in_flight"]
    assert re.search(r'function="stress".*status="200"', exposed["pixelamp_requests_total"])


def test_every_metric_of_the_autoscaler_is_one_the_local_engine_shows():
    source = Path(metrics.__file__).read_text()
    shown = set(re.findall(r'"(autoscaler_\w+|revision_\w+)"', source))
    shown.add("revision_request_latencies_bucket" if "revision_request_latencies" in shown else "")
    assert {name for name in NAMES if name.startswith(("autoscaler_", "revision_"))} <= shown


def test_every_metric_of_knative_is_one_of_knatives():
    assert {name for name in NAMES if name.startswith("kn_")} == KNATIVE


def test_the_dashboard_is_whole():
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert all(panel["description"] for panel in DASHBOARD["panels"])
    assert all(text.count("(") == text.count(")") and text.count("{") == text.count("}") for text in EXPRESSIONS)
    function = DASHBOARD["templating"]["list"][1]
    assert function["query"] == "label_values(pixelamp_requests_total, function)"


def test_the_panels_do_not_overlap():
    taken = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_the_monitor_finds_the_functions_pods():
    pods, _ = yaml.safe_load_all((FOLDER / "podmonitor.yaml").read_text())
    wanted = pods["spec"]["selector"]["matchLabels"]
    for service in load([ROOT / "knative"]).services:
        assert wanted.items() <= service.data["spec"]["template"]["metadata"]["labels"].items()
    assert [endpoint["port"] for endpoint in pods["spec"]["podMetricsEndpoints"]] == ["user-port", "http-usermetric"]
