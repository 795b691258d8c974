"""The distribution, built and tried in an empty environment."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from tests.servers import ROOT

CLIENT_PACKAGES = ("requests", "urllib3", "idna", "certifi", "charset_normalizer")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--target", "sdist"]
    subprocess.run([*command, "--directory", str(folder)], cwd=ROOT, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def empty(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment that holds the wheel and nothing else."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder)
    (wheel,) = built.glob("*.whl")
    install = [sys.executable, "-m", "uv", "pip", "install", "--python", str(folder / "bin/python"), "--offline"]
    subprocess.run([*install, "--quiet", "--no-deps", "--no-index", str(wheel)], check=True, capture_output=True)
    return folder / "bin"


def run(command: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(command, cwd=folder, env={**kept, **environment}, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (["pixelamp", "exif", "photo.jpg"], "client"),
        (["pixelamp-knative", "check", "x.yaml"], "local,functions"),
        (["pixelamp-loadtest", "step"], "loadtest,local,functions"),
    ],
)
def test_a_command_without_its_extra_names_it_in_one_line(empty: Path, tmp_path: Path, command: list[str], extra: str):
    for name in ("photo.jpg", "x.yaml"):
        (tmp_path / name).write_text("x")
    ended = run([str(empty / command[0]), *command[1:]], tmp_path)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith(f"{command[0]}: package ")
    assert f"pip install 'pixelamp[{extra}]'" in ended.stderr


def test_the_client_needs_its_own_extra_alone(empty: Path, tmp_path: Path):
    """With requests and what it needs, but neither Flask nor gunicorn."""
    site = Path(sys.modules["pytest"].__file__).parents[1]
    packages = tmp_path / "packages"
    packages.mkdir()
    for name in CLIENT_PACKAGES:
        (packages / name).symlink_to(site / name)
    ended = run([str(empty / "pixelamp"), "--version"], tmp_path, PYTHONPATH=str(packages))
    assert ended.stdout.startswith("pixelamp ")
    unreachable = ["exif", "--url", "http://127.0.0.1:9", "--retries", "0", "photo.jpg"]
    (tmp_path / "photo.jpg").write_bytes(b"x")
    ended = run([str(empty / "pixelamp"), *unreachable], tmp_path, PYTHONPATH=str(packages))
    assert ended.returncode == 3, ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_distributions_hold_the_code_its_data_and_the_licence(built: Path):
    (wheel,) = built.glob("*.whl")
    (source,) = built.glob("*.tar.gz")
    names = zipfile.ZipFile(wheel).namelist()
    for name in ("functions/py.typed", "functions/kit/page/shell.html", "functions/exif/page.html"):
        assert name in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    with tarfile.open(source) as archive:
        unpacked = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "functions/py.typed", "knative/services/exif.yaml"} <= unpacked
