"""Each extra alone in an empty environment: it serves its own function and cannot serve the others."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.conftest import FUNCTIONS
from tests.images import encoded, gradient
from tests.servers import ROOT, FunctionServer, clean_environment

# What no other function's extra brings along.
OWN = {"histogram": {"PIL", "numpy", "matplotlib"}, "exif": {"piexif"}, "stress": set()}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_an_extra_alone_serves_its_function(function: str, tmp_path: Path):
    venv.create(tmp_path / "venv", with_pip=True)
    python = str(tmp_path / "venv/bin/python")
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    subprocess.run([*install, "-r", str(ROOT / f"requirements/{function}.txt")], check=True, timeout=240)
    server = FunctionServer(function, command=[python, "-m", "functions.kit.server", function, "--host", "127.0.0.1"])
    try:
        body = b"" if function == "stress" else encoded(gradient(), "JPEG")
        assert server.post("/?seconds=0" if function == "stress" else "/", data=body).status_code == 200
        if function == "histogram":
            assert server.post("/?format=png", data=body).content.startswith(b"\x89PNG")
    finally:
        server.stop()
    for other, packages in OWN.items():
        for package in packages if other != function else ():
            code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({package!r}) is not None)"
            assert subprocess.run([python, "-c", code], env=clean_environment()).returncode == 0, (
                f"{function} brings {package}, which is {other}'s"
            )


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
