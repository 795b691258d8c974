"""The subcommand `stress`: its output, its time limits, and its exit code for a load that was not held."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

import pytest

from functions.client import stress
from functions.client.__main__ import main
from tests.servers import FunctionServer


@pytest.mark.parametrize(
    ("answer", "code", "text"),
    [
        ({"ended": "completed", "shortfall": None}, 0, ""),
        ({"ended": "server stopped"}, 1, "the burn ended early: server stopped"),
        ({"achieved": {}}, 0, ""),
        (
            {
                "ended": "short",
                "shortfall": {"requested": 80, "achieved": 41.2, "reason": "no free core", "detail": "waited 3 s"},
            },
            1,
            "the load fell short: requested 80 %, achieved 41.2 %: no free core: waited 3 s",
        ),
        (
            {
                "ended": "over",
                "excess": {"requested": 1, "achieved": 8.2, "reason": "start of the process", "detail": "0.07 s"},
            },
            1,
            "the load was exceeded: requested 1 %, achieved 8.2 %: start of the process: 0.07 s",
        ),
    ],
)
def test_a_load_that_was_not_held_ends_in_1(
    answer: dict[str, Any], code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stress.outcome(answer) == code
    assert text in capsys.readouterr().err


def test_stress(servers: Callable[..., FunctionServer], capsys: pytest.CaptureFixture[str]) -> None:
    url = servers("stress").url
    assert main(["stress", "--sleep-ms", "20", "--nice", "0", "--url", url]) == 0
    assert json.loads(capsys.readouterr().out)
    assert main(["stress", "--cpu", "--url", url]) == 0
    assert "cpu" in json.loads(capsys.readouterr().out)
    assert main(["stress", "--seconds", "-1", "--url", url]) == 1
    assert "400 Option not allowed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "hold", "sleep_ms", "length"),
    [(None, None, None, 10), (0, None, None, 0), (0, 15, None, 15), (20, 15, 500, 20.5), (-1, None, -5, 0)],
)
def test_the_length_of_the_work_comes_on_top_of_the_wait(
    seconds: float | None, hold: float | None, sleep_ms: float | None, length: float
) -> None:
    assert stress.length(argparse.Namespace(seconds=seconds, hold=hold, sleep_ms=sleep_ms, levels=None)) == length
    levels = argparse.Namespace(seconds=None, hold=hold, sleep_ms=None, levels="1x500ms,10..20x1m,5x2s")
    assert stress.length(levels) == max(62.5, hold or 0)


def test_memory_held_longer_than_the_wait_is_not_a_failure(servers: Callable[..., FunctionServer]) -> None:
    hold = ["--seconds", "0", "--memory-mb", "1", "--hold", "2"]
    assert main(["stress", *hold, "--timeout", "0.9", "--retries", "0", "--url", servers("stress").url]) == 0


def test_samples_arrive_as_lines_while_it_burns(
    servers: Callable[..., FunctionServer], capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["stress", "--seconds", "1", "--load", "5", "--format", "ndjson", "--url", servers("stress").url])
    *samples, last = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all("cpu_percent" in sample for sample in samples)
    assert (code == 0) == (last["result"]["ended"] == "completed")
