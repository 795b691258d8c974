"""Each extra alone in an empty environment: it serves its own function and cannot serve the others."""

from __future__ import annotations

import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from functions import registry
from tests.conftest import FUNCTIONS, work_of
from tests.servers import ROOT, FunctionServer, clean_environment

DISTRIBUTIONS = "import importlib.metadata as m; print(*{d.metadata['Name'] for d in m.distributions()})"


def required(function: str) -> set[str]:
    lines = (ROOT / f"requirements/{function}.txt").read_text(encoding="utf-8").splitlines()
    return {line.partition("==")[0] for line in lines if line[:1].isalnum()}


@pytest.mark.slow
@pytest.mark.parametrize("function", FUNCTIONS)
def test_an_extra_alone_serves_its_function(function: str, tmp_path: Path):
    venv.create(tmp_path / "venv", with_pip=True)
    python = str(tmp_path / "venv/bin/python")
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    subprocess.run([*install, "-r", str(ROOT / f"requirements/{function}.txt")], check=True, timeout=240)
    server = FunctionServer(function, command=[python, "-m", "functions.kit.server", function, "--host", "127.0.0.1"])
    try:
        path, body = work_of(function)
        assert server.post(path, data=body).status_code == 200
        media_types = set(registry.load(function).work.produces)
        if function == "exif":
            media_types -= {"image/jpeg"}  # the bytes of a preview that `part=` asks for; this picture has none
        for media_type in media_types:
            assert server.post(path, data=body, headers={"Accept": media_type}).status_code == 200
    finally:
        server.stop()
    listed = subprocess.run([python, "-c", DISTRIBUTIONS], env=clean_environment(), capture_output=True, text=True)
    installed = {re.sub(r"[-_.]+", "-", name).lower() for name in listed.stdout.split()}
    assert installed - {"pip", "setuptools"} <= required(function)


def test_a_function_whose_extra_is_missing_says_so():
    code = (
        "import sys; sys.modules['flask'] = None\n"
        "from functions.kit.server.command import main\n"
        "sys.exit(main(['stress']))"
    )  # fmt: skip
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert "pip install" in ended.stderr
