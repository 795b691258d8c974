"""What all tests share: real photographs where given, real servers, made images."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import hypothesis
import pytest
from PIL import Image
from playwright.sync_api import Browser

from functions import registry
from tests.browser import chromium
from tests.clocks import scale_clocks
from tests.images import encoded, gradient
from tests.servers import Engine, FunctionServer

# CPU time and the fine clock of a machine so many times slower (4) or faster (0.25): nothing depends on them.
if scale := float(os.environ.get("PIXELAMP_CLOCK_SCALE") or 0):
    scale_clocks(scale)

FUNCTIONS = registry.names()
IMAGE_FUNCTIONS = tuple(name for name in FUNCTIONS if registry.load(name).work.takes_images)
# Two busy cores make any time limit a coin toss; CI repeats what a person saw.
hypothesis.settings.register_profile("pixelamp", deadline=None, derandomize=bool(os.environ.get("CI")))
hypothesis.settings.load_profile("pixelamp")
PHOTOS = os.environ.get("PIXELAMP_PHOTOS")


def work_of(name: str) -> tuple[str, bytes]:
    """Path and body of a request that does a function's work."""
    work = registry.load(name).work
    path = f"/?{urlencode(work.example)}" if work.example else "/"
    return path, encoded(gradient(), "JPEG") if work.takes_images else b""


@pytest.fixture(scope="session")
def photos() -> list[Path]:
    """Every file of the folders in PIXELAMP_PHOTOS, which are separated as those of PATH are."""
    if not PHOTOS:
        pytest.skip("PIXELAMP_PHOTOS names no folder of photographs")
    found = {path for folder in PHOTOS.split(os.pathsep) if folder for path in Path(folder).rglob("*")}
    return sorted(path for path in found if path.is_file() and path.suffix != ".tsv")


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    """The path of a system program; the test is skipped by name where it is missing."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            pytest.skip(f"the program {name} is not installed")
        return path

    return find


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate that it signed itself, for exif.example.com, in one file."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(path)]
    names = ["-subj", "/CN=exif.example.com", "-addext", "subjectAltName=DNS:exif.example.com"]
    command = ["openssl", "req", "-x509", "-days", "2", *key, *names, "-out", str(path.with_suffix(".crt"))]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("openssl cannot make a certificate here")
    path.write_text(path.read_text() + path.with_suffix(".crt").read_text())
    return path


@pytest.fixture(scope="session")
def servers() -> Iterator[Callable[..., FunctionServer]]:
    """Real server processes, one a function and environment, started when first asked for."""
    running: dict[tuple[str, tuple[tuple[str, str], ...]], FunctionServer] = {}

    def get(function: str, **environment: str) -> FunctionServer:
        key = (function, tuple(sorted(environment.items())))
        if key not in running:
            running[key] = FunctionServer(function, environment)
        return running[key]

    yield get
    for server in running.values():
        server.stop()


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """The local engine over the project's own manifests, one for each module of tests."""
    with Engine() as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium; skipped by name where it is missing."""
    with chromium() as opened:
        yield opened


@pytest.fixture(autouse=True)
def pillows_own_guard() -> Iterator[None]:
    """A function sets Pillow's guard against large images to its own limit, for the process: not for the next test."""
    most = Image.MAX_IMAGE_PIXELS
    yield
    Image.MAX_IMAGE_PIXELS = most


@pytest.fixture(autouse=True)
def own_loop(request: pytest.FixtureRequest) -> Iterator[None]:
    """While its browser is open, Playwright's loop counts as this thread's running one: other tests run their own."""
    loop = asyncio._get_running_loop()
    if loop is None or "browser" in request.fixturenames:
        yield
        return
    asyncio._set_running_loop(None)
    yield
    asyncio._set_running_loop(loop)
