"""Attacks over HTTP by name, against a function's own server and against the local route.

Neither stands in front of the other, so each has to hold by itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.engines import EngineProcess, service
from tests.servers import FunctionServer
from tools.chaos import exhaustion, framing
from tools.chaos.victim import Victim

BODY_SECONDS, TIMEOUT_SECONDS = 2, 12
ENVIRONMENT = {"EXIF_BODY_SECONDS": str(BODY_SECONDS), "EXIF_TIMEOUT_SECONDS": str(TIMEOUT_SECONDS)}


@contextmanager
def function() -> Iterator[Victim]:
    """exif under its own server."""
    server = FunctionServer("exif", ENVIRONMENT)
    try:
        yield Victim(server.port, "/exif", BODY_SECONDS, server.process.pid, TIMEOUT_SECONDS)
    finally:
        server.stop()


@contextmanager
def route(folder: Path) -> Iterator[Victim]:
    """exif behind the local route, with one pod.

    Args:
        folder: an empty one.
    """
    command = [sys.executable, "-m", "functions.kit.server", "exif"]
    engine = EngineProcess(
        folder,
        service(
            "exif",
            command=command,
            environment=ENVIRONMENT,
            annotations={"min-scale": "1", "max-scale": "1"},
            spec={"timeoutSeconds": TIMEOUT_SECONDS},
        ),
        arguments=("--allow-host", "x"),
    )
    try:
        engine.wait_pods(1, "exif")
        yield Victim(engine.port, "/exif", 10, engine.process.pid, TIMEOUT_SECONDS)
    finally:
        engine.stop()


ATTACKS: dict[str, Callable[[Victim], None]] = {
    attack.__name__: attack
    for attack in (
        framing.pipelined,
        framing.two_lengths,
        framing.length_and_chunks,
        framing.transfer_encodings,
        framing.bad_chunks,
        framing.bare_line_feeds,
        framing.odd_requests,
        framing.paths,
        framing.hosts,
        framing.underscores,
        framing.older_versions,
        framing.upgrades,
        framing.expectations,
        framing.unwanted_bodies,
        framing.injected_headers,
        exhaustion.slow_loris,
        exhaustion.slow_body,
        exhaustion.slow_readers,
        exhaustion.half_closed,
        exhaustion.headers_too_large,
        exhaustion.target_too_long,
        exhaustion.pipeline_flood,
        exhaustion.trailers_without_end,
        exhaustion.compressed_bodies,
        exhaustion.ranges,
        exhaustion.nested_json,
        exhaustion.many_fields,
        exhaustion.bombs,
        exhaustion.thousand_idle,
        exhaustion.reset_storm,
    )
}
