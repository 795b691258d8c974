"""What `make check` says of the packages that are shipped: a vulnerability fails it, and nothing audited is said."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from collections import Counter
from typing import Any

import pytest

from functions import registry
from knative.image.slim import NOT_LOADED
from tools import supply_chain
from tools.supply_chain import EXTRAS, audit, bill_of_materials, installed, pinned

KNOWN = {"name": "flask", "version": "3.1.0", "vulns": []}
WEAK = {"name": "pillow", "version": "1.0", "vulns": [{"id": "PYSEC-2099-1", "fix_versions": ["2.0"]}]}
UNKNOWN = {"name": "gunicorn", "skip_reason": "Dependency not found on PyPI"}


def pip_audit(monkeypatch: pytest.MonkeyPatch, stdout: str, stderr: str = "", *, hangs: bool = False) -> None:
    """Let pip-audit say this."""

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        assert command[1:3] == ["-m", "pip_audit"]
        if hangs:
            raise subprocess.TimeoutExpired(command, 1)
        return subprocess.CompletedProcess(command, 1, stdout, stderr)

    supply_chain.OUT.mkdir(exist_ok=True)
    monkeypatch.setattr(supply_chain.subprocess, "run", run)


@pytest.mark.parametrize(
    ("dependencies", "code", "said"),
    [
        ([KNOWN, UNKNOWN], 0, "1 of 2 packages audited, 0 vulnerable"),
        ([KNOWN, WEAK], 1, "pillow 1.0: PYSEC-2099-1"),
        ([UNKNOWN], 0, "the advisory service knows none of them from here"),
    ],
)
def test_a_vulnerability_fails_and_unaudited_packages_are_named(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    dependencies: list[dict[str, Any]],
    code: int,
    said: str,
) -> None:
    pip_audit(monkeypatch, json.dumps({"dependencies": dependencies}))
    assert audit() == code
    assert said in capsys.readouterr().out


def test_an_unreachable_service_is_reported_without_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pip_audit(monkeypatch, "", "requests.exceptions.ConnectionError: no route")
    assert audit() == 0
    pip_audit(monkeypatch, "", hangs=True)
    assert audit() == 0
    assert capsys.readouterr().out.count("nothing was audited") == 2


def test_an_audit_that_breaks_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pip_audit(monkeypatch, "", "No module named pip_audit")
    assert audit() == 1
    assert "No module named pip_audit" in capsys.readouterr().out


def test_every_shipped_package_is_audited_once_in_one_version() -> None:
    lines = pinned().splitlines()
    assert len(lines) > 40
    assert all("==" in line for line in lines)
    # A package has two versions only for two versions of Python.
    names = Counter(line.partition("==")[0] for line in lines if "python_full_version" not in line)
    assert max(names.values()) == 1


def named(requirements: str) -> set[str]:
    return set(re.findall(r"^([\w.-]+)==", requirements.lower(), re.MULTILINE))


@pytest.mark.parametrize("extra", EXTRAS)
def test_a_bill_names_what_the_image_has(extra: str) -> None:
    """The image of a function lacks packages that it never loads, and those of another system."""
    locked = named((supply_chain.ROOT / f"requirements/{extra}.txt").read_text(encoding="utf-8"))
    left_out = locked - named(installed(extra))
    function = extra.partition("-")[0] in registry.names()
    assert left_out == ((locked & set(NOT_LOADED)) | (locked & {"colorama"}) if function else set())


@pytest.mark.slow  # `make check` writes and validates them all
def test_each_bill_of_materials_is_valid_and_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supply_chain, "EXTRAS", ("exif",))
    supply_chain.OUT.mkdir(exist_ok=True)
    bill_of_materials()  # which validates against the schema of CycloneDX 1.6
    bill = json.loads((supply_chain.OUT / "sbom-exif.json").read_text(encoding="utf-8"))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    listed = {component["name"].lower() for component in bill["components"]}
    assert listed == named(installed("exif"))
    assert all(reference["hashes"] for component in bill["components"] for reference in component["externalReferences"])


def test_every_extra_that_is_shipped_has_its_bill() -> None:
    extras = tomllib.loads((supply_chain.ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(EXTRAS) >= set(extras) - {"dev", "serve"}
