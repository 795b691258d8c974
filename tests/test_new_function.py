"""ARCHITECTURE.md's recipe for a new function, followed in a copy of the repository: every promise holds for it too."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from tests.images import encoded, gradient
from tests.servers import ROOT, Engine, clean_environment

RECIPE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").partition("## A new function in ten minutes")[2]
# `file`: or `file`, at the end: or `file`, below `line`: and what to write there.
BLOCK = re.compile(
    r"`([\w/.-]+)`(?:, (at the end)|, below `(.*?)`)?(?:;[^:`]*`[^`]*`[^:]*|, and[^:]*)?:\n\n```\w+\n(.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "out", "*.egg-info", "build", "dist")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The repository with the function of the recipe."""
    folder = tmp_path_factory.mktemp("new") / "copy"
    shutil.copytree(ROOT, folder, ignore=LEFT_OUT)
    blocks = BLOCK.findall(RECIPE)
    assert len(blocks) == RECIPE.count("```") / 2, "a block names no file"
    for name, at_the_end, below, text in blocks:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        before, after = (path.read_text(encoding="utf-8"), "") if at_the_end else ("", "")
        if below:
            before, line, after = path.read_text(encoding="utf-8").partition(f"{below}\n")
            before += line
            assert line, f"{name} has no line {below}"
        path.write_text(before + text + after, encoding="utf-8")
    # Where `make lock` reaches no index: those of histogram hold what the function needs.
    shutil.copy(folder / "requirements/histogram.txt", folder / "requirements/invert.txt")
    run(folder, "tools.packages")
    yield folder
    shutil.rmtree(folder)


def run(folder: Path, *command: str) -> str:
    """Run a module of Python in the copy and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=clean_environment(PYTHONPATH=str(folder)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    return done.stdout


def test_the_engine_serves_it(copy: Path):
    picture = gradient()
    with Engine("knative/services/invert.yaml", folder=copy) as engine:
        answer = engine.post("/invert", data=encoded(picture, "PNG"))
        assert answer.status_code == 200, answer.text
        negative = Image.open(io.BytesIO(answer.content))
        assert ImageChops.add(negative, picture).getextrema() == ((255, 255), (255, 255), (255, 255))
        assert engine.get("/invert").json()["function"] == "invert"
        page = engine.get("/invert", headers={"Accept": "text/html"})
        assert 'href="/invert"' in page.text


@pytest.mark.slow  # CI runs it beside the soak
def test_the_contract_holds(copy: Path):
    printed = run(copy, "pytest", "-q", "-x", "-p", "no:cacheprovider", "tests/contract", "-k", "invert")
    passed = re.search(r"(\d+) passed", printed)
    assert passed
    assert int(passed[1]) > 60


def test_the_manifests_are_checked(copy: Path):
    assert "0 errors, 0 warnings" in run(copy, "knative", "check", "knative")


@pytest.mark.slow  # CI runs it beside the soak
def test_the_tests_of_the_tree_the_manifests_and_the_documents_pass(copy: Path):
    tests = ["test_architecture.py", "test_limits.py", "test_readme.py", "knative/test_services.py"]
    tests += ["knative/test_observability.py"]
    paths = [f"tests/{name}" for name in tests]
    printed = run(copy, "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", "not slow", *paths)
    assert " failed" not in printed
    overlays = "registry or http_route or virtual_service or passes_the_check"
    run(copy, "pytest", "-q", "-x", "-p", "no:cacheprovider", "tests/knative/test_kustomize.py", "-k", overlays)


def test_the_linters_pass(copy: Path):
    run(copy, "ruff", "check", "--no-cache", "functions", "tests/conftest.py")
    run(copy, "ruff", "format", "--no-cache", "--check", "functions")


@pytest.mark.slow
def test_the_types_are_right(copy: Path):
    run(copy, "mypy", "--no-incremental")
