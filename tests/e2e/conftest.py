"""What the end-to-end tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engines import EngineProcess
from tests.servers import ROOT


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """An engine without a single Service."""
    running = EngineProcess(tmp_path_factory.mktemp("engine"), arguments=("--workdir", str(ROOT)), api=True)
    yield running
    running.stop()
