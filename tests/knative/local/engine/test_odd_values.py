"""Values that Knative accepts and few people write: NaN, infinities, hexadecimal numbers. Nothing crashes on them."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
import yaml

from knative.__main__ import main
from tests.engines import EngineProcess, service

VALUES = [
    {"target": "NaN"},
    {"target": "Inf"},
    {"target": "+infinity"},
    {"target": "0x1p4"},
    {"target": "0X1.8P+3"},
    {"target": "1.0e+308"},
    {"target": "NaN", "metric": "rps"},
    {"target-burst-capacity": "Inf"},
    {"target-burst-capacity": "nan"},
    {"target-burst-capacity": "0x1p-1"},
    {"target-burst-capacity": "1.0e+300"},
    {"target-utilization-percentage": "NaN"},
    {"target-utilization-percentage": "0x1p5"},
    {"panic-window-percentage": "NaN"},
    {"panic-window-percentage": "0x1p3"},
    {"panic-threshold-percentage": "nan"},
    {"panic-threshold-percentage": "0x1p7"},
]
# Pods are started as for any Service: initial-scale and min-scale do not depend on the odd value.
SERVICES = [
    service(f"odd-{number}", annotations={**values, "min-scale": "1", "max-scale": "2"})
    for number, values in enumerate(VALUES)
]


def refuse(constant: str) -> NoReturn:
    raise AssertionError(f"{constant} is not JSON")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    running = EngineProcess(tmp_path_factory.mktemp("odd"), *SERVICES)
    yield running
    assert running.stop() == 0


@pytest.mark.parametrize("number", range(len(VALUES)), ids=lambda number: str(VALUES[number]))
def test_a_service_is_served_whatever_number_it_gives(engine: EngineProcess, number: int) -> None:
    assert engine.get(f"/odd-{number}?brief=1")[0] == 200


def test_status_and_metrics_stay_readable(engine: EngineProcess) -> None:
    engine.wait(lambda: all(one["revisions"][0]["decision"] for one in engine.status()["services"]), "decisions")
    with urllib.request.urlopen(f"{engine.url}/_knative/status", timeout=10) as response:
        services: list[dict[str, Any]] = json.loads(response.read(), parse_constant=refuse)["services"]
    targets = [one["revisions"][0]["target"] for one in services]
    assert targets[:4] == ["NaN", "+Inf", "+Inf", pytest.approx(16 * 0.7)]
    with urllib.request.urlopen(f"{engine.url}/_knative/metrics", timeout=10) as response:
        assert response.status == 200


@pytest.mark.parametrize("values", VALUES, ids=str)
def test_a_service_is_simulated_whatever_number_it_gives(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], values: dict[str, str]
) -> None:
    path = tmp_path / "service.yaml"
    path.write_text(yaml.safe_dump(service(annotations=values)))
    for command in (("check", str(path)), ("simulate", "--manifest", str(path), "--rate", "10x10s,0x5s")):
        assert main(command) == 0
    assert capsys.readouterr().err == ""
