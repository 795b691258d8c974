"""A photograph, a folder with it, and the address of a function, for the tests of the command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.images import encoded, gradient
from tests.servers import FunctionServer

PHOTO = encoded(gradient(size=(120, 80)), "JPEG")


@pytest.fixture
def url(servers: Callable[..., FunctionServer]) -> str:
    return servers("histogram").url


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.jpg").write_bytes(PHOTO)
    (tmp_path / "deep/b.PNG").write_bytes(encoded(gradient("L")))
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path
