"""Images are processed in memory and not stored: the functions do their work where not a byte may be written."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from functions import registry
from tests.conftest import IMAGE_FUNCTIONS
from tests.images import encoded, gradient
from tests.servers import FunctionServer

# Large enough for any library to spill a form into a temporary file: Werkzeug does so from half a megabyte on.
SIZE = (1500, 1000)
# The log goes through a pipe, the one thing that such a process can write to.
# Further operations on pictures.
ALSO = {"exif": ["/strip", "/set?artist=Ada"], "histogram": ["/?format=png"]}
FORBIDDEN = "exec > >(cat) 2>&1; ulimit -f 0; exec "


@pytest.fixture(scope="module")
def picture() -> bytes:
    data = encoded(gradient(size=SIZE), "JPEG", quality=95, exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0")
    assert len(data) > 500_000
    return data


@pytest.fixture(scope="module", params=IMAGE_FUNCTIONS)
def server(request: pytest.FixtureRequest) -> Iterator[FunctionServer]:
    command = f"{sys.executable} -m functions.kit.server {request.param} --host 127.0.0.1"
    with FunctionServer(request.param, command=["bash", "-c", FORBIDDEN + command]) as running:
        yield running


def test_the_limit_forbids_what_it_is_meant_to(tmp_path: Path) -> None:
    write = f"{sys.executable} -c \"__import__('pathlib').Path('{tmp_path}/x').write_text('x')\""
    ended = subprocess.run(["bash", "-c", FORBIDDEN + write], capture_output=True, text=True)
    assert "File too large" in ended.stdout


@pytest.mark.parametrize("copies", [1, 3])
def test_pictures_are_worked_on_where_nothing_can_be_written(
    server: FunctionServer, picture: bytes, copies: int
) -> None:
    files = [("file", (f"{number}.jpg", picture)) for number in range(copies)]
    name = server.get("/").json()["function"]
    if registry.load(name).work.takes == "images" or copies == 1:
        assert server.post("/", files=files).status_code == 200
    assert server.post("/", data=picture).status_code == 200
    for path in ALSO.get(name, ()):
        assert server.post(path, files=files[:1]).status_code == 200
