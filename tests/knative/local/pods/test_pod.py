"""When a pod that starts is given up on: by the count of failures and by the time, whichever comes later."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from knative.local.pods.pod import Pod
from knative.local.pods.podspec import PodSpec, Program
from knative.local.pods.probes.probe import Probe
from knative.local.pods.runtimes.process import Process, ProcessRuntime
from tests.engines import POD_SERVER, run_async


def until(folder: Path, startup: Probe, done: Callable[[Pod, list[str]], bool], **environment: str) -> list[str]:
    """Run a pod until something is true of it and of its lines; those lines."""

    async def run() -> list[str]:
        lines: list[str] = []
        spec = PodSpec(
            revision="hello-00001",
            program=Program(
                argv=(sys.executable, "-S", str(POD_SERVER)),
                environment={"PATH": "/usr/bin:/bin", **environment},
                directory=str(folder),
                readiness=Probe(),
                startup=startup,
            ),
        )
        pod = Pod(
            spec,
            "hello",
            ProcessRuntime(str),
            changed=lambda: None,
            returned=lambda _: None,
            write=lambda _, line: lines.append(line.decode()),
        )
        try:
            async with asyncio.timeout(30):
                while not done(pod, lines):
                    await asyncio.sleep(0.01)
        finally:
            await pod.stop(1.0)
        return lines

    return run_async(run())


def given_up(lines: list[str]) -> bool:
    return any(line.startswith("startup probe failed for ") for line in lines)


def test_an_attempt_under_way_is_not_cut_off_when_the_time_to_start_is_over(tmp_path: Path) -> None:
    slow = Probe(command=("sleep", "0.6"), period=0.1, failure_threshold=1, timeout=20.0)
    assert not given_up(until(tmp_path, slow, lambda pod, lines: pod.ready or given_up(lines)))


def test_attempts_that_take_longer_than_a_period_are_counted_all_the_same(tmp_path: Path) -> None:
    hung = Probe(command=("sleep", "60"), period=0.1, failure_threshold=3, timeout=0.3)
    began = time.monotonic()
    until(tmp_path, hung, lambda _, lines: given_up(lines))
    assert time.monotonic() - began >= 3 * 0.3


def test_refused_connections_count_until_the_time_is_over(tmp_path: Path) -> None:
    silent = Probe(period=0.2, failure_threshold=3)
    began = time.monotonic()
    lines = until(tmp_path, silent, lambda _, lines: given_up(lines), START_SECONDS="60")
    assert time.monotonic() - began >= 0.6
    assert "startup probe failed for 0.6 s: not listening yet; killed" in lines


def test_a_probe_s_command_has_ended_when_its_pod_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[asyncio.subprocess.Process] = []
    begin = asyncio.create_subprocess_exec

    async def recorded(*command: str, **options: Any) -> asyncio.subprocess.Process:
        asked.append(await begin(*command, **options))
        return asked[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", recorded)
    hung = Probe(command=("sleep", "60"), period=0.1, timeout=60.0)
    until(tmp_path, hung, lambda _, lines: bool(asked) and "listening" in lines)
    assert [each.returncode for each in asked] == [-signal.SIGKILL]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("./notes.txt", "not an executable file"),
        ("./folder", "not an executable file"),
        ("./none", "command not found"),
    ],
)
def test_a_command_that_cannot_run_is_named_with_the_reason(tmp_path: Path, command: str, message: str) -> None:
    (tmp_path / "notes.txt").write_text("no program")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=f"^{command}: {message}$"):
        Process.start([command], {}, str(tmp_path), lambda _line: None, lambda _code: None)
