"""A forecast names the evidence of its service time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtest.capacity.command import main
from loadtest.capacity.evidence import EvidenceError, measured


def test_a_measured_service_time_takes_the_place_of_the_assumed_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = tmp_path / "openloop.json"
    figures.write_text(json.dumps({"answered": 600, "uncorrected": {"p50": 0.008}}))
    report = tmp_path / "verdict.json"
    report.write_text(json.dumps({"measured": {"exif_seconds": 0.004}}))
    assert main(["--rate", "1000"]) == 0
    assumed = capsys.readouterr().out
    assert "service    20 ms, assumed" in assumed
    assert main(["--rate", "1000", "--measured", str(figures)]) == 0
    found = capsys.readouterr().out
    assert "8 ms, measured: median from the sending of 600 requests" in found
    assert found.split("pods")[1].split(",")[0] != assumed.split("pods")[1].split(",")[0]
    assert main(["--rate", "1000", "--measured", str(report), "--function", "exif"]) == 0
    assert "4 ms, measured: median of exif" in capsys.readouterr().out
    assert main(["--rate", "1000", "--service-time", "5ms"]) == 0
    assert "5 ms, given" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "function"),
    [
        ("{", ""),
        ("[]", ""),
        ('{"answered": 5, "uncorrected": {"p50": 0.1}}', ""),
        ('{"answered": 50, "uncorrected": {"p50": null}}', ""),
        ('{"measured": {}}', "exif"),
        ('{"measured": {"exif_seconds": 1}}', ""),
    ],
)
def test_a_file_without_evidence_is_a_mistake(content: str, function: str, tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    path.write_text(content)
    with pytest.raises(EvidenceError):
        measured(path, function)
    assert main(["--rate", "10", "--measured", str(path), "--function", function]) == 2
