"""Ways to count a large image without a new interpreter, whose imports cost more than the count.

Not a test of the process itself: its time limit, its end and its answer are tested with the product's own.
"""

from __future__ import annotations

import json
import os
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from functions.histogram import child, worker
from functions.kit.http.problems import Problem
from functions.kit.http.settings import Settings

SERVER = get_context("forkserver")


def stay_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the worker's code answer in this process, with request and answer as JSON."""

    def run(asked: dict[str, Any], settings: Settings) -> Any:
        return json.loads(json.dumps(worker.answer(json.loads(json.dumps(asked)))))

    monkeypatch.setattr(child, "_run", run)


def fork(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a fork of a process that has imported the worker answer: for files that may crash their decoder."""
    SERVER.set_forkserver_preload([__name__])

    def run(asked: dict[str, Any], settings: Settings) -> Any:
        data = Path(f"/proc/self/fd/{asked['descriptor']}").read_bytes()
        ours, theirs = SERVER.Pipe()
        process = SERVER.Process(target=_answer, args=(theirs, asked, data))
        process.start()
        theirs.close()
        try:
            return json.loads(ours.recv())
        except EOFError:
            raise Problem(422, "unreadable-image", "Unreadable image", "the decoder crashed") from None
        finally:
            process.join()
            process.close()

    monkeypatch.setattr(child, "_run", run)


def _answer(to: Connection, asked: dict[str, Any], data: bytes) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # decoders print there
    with os.fdopen(os.memfd_create("image"), "w+b") as file:
        file.write(data)
        file.flush()
        to.send(json.dumps(worker.answer({**asked, "descriptor": file.fileno()})))
