"""Exchanges of kubectl and kn with a real Knative, repeated with the engine and compared field by field.

PIXELAMP_CONVERSATIONS names the file: one exchange a line, with `command`, `method`, `path`, `request_headers`,
`request_body`, `status`, `content_type`, `watch` and `response_body`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.comparison import compare
from tests.e2e.replay import Replay, Response, exchanges, left_out
from tests.engines import EngineProcess
from tests.servers import ROOT

FILE = os.environ.get("PIXELAMP_CONVERSATIONS")
EXCHANGES = exchanges(Path(FILE)) if FILE else []

pytestmark = [
    pytest.mark.skipif(not FILE, reason="PIXELAMP_CONVERSATIONS names no file of exchanges"),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def responses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, Response]]:
    """The engine's response to each exchange, replayed in the order of the recording."""
    # The recording took seconds. --window replaces the 60 s of the recorded manifests, so that a replay on a slow
    # machine still finds the pods of the first revision.
    arguments = ("--workdir", str(ROOT), "--window", "1h")
    engine = EngineProcess(tmp_path_factory.mktemp("conversations"), arguments=arguments, api=True)
    try:
        yield Replay(engine).run(one for one in EXCHANGES if not left_out(one))
    finally:
        engine.stop()


@pytest.mark.parametrize(
    "exchange", EXCHANGES, ids=[f"{one['number']}-{one['method']}-{one['command'][:40]}" for one in EXCHANGES]
)
def test_an_exchange_is_answered_as_by_knative(exchange: dict[str, Any], responses: dict[int, Response]):
    if reason := left_out(exchange):
        pytest.skip(reason)
    status, content_type, own = responses[exchange["number"]]
    assert status == exchange["status"], own
    assert content_type.partition(";")[0] == str(exchange["content_type"]).partition(";")[0]
    recorded = exchange["response_body"]
    if exchange["watch"]:  # the events in between are the controllers' own
        lines = own.splitlines() if isinstance(own, str) else [json.dumps(own)] if own else []
        assert all(json.loads(line)["type"] in ("ADDED", "MODIFIED", "DELETED", "BOOKMARK") for line in lines)
        return
    if isinstance(recorded, dict):
        compare(recorded, own)
