"""What tests of the running engine share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engines import EngineProcess, Start


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Engines that are ended after the test, and must end well unless the test has ended them."""
    engines: list[EngineProcess] = []

    def begin(*services: Any, **more: Any) -> EngineProcess:
        engines.append(EngineProcess(tmp_path, *services, **more))
        return engines[-1]

    yield begin
    for engine in engines:
        if engine.process.poll() is None:
            assert engine.stop() == 0
        engine.stop()
