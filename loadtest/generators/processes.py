"""One open loop across several processes: requests dealt out in turns, one merged result."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from loadtest.generators.open_loop import generate
from loadtest.generators.plan import Plan
from loadtest.generators.result import Result

START_SECONDS = 2.0
"""From the start of the processes to the first request: interpreters start and connections are made meanwhile."""

Tick = dict[str, float]
_END_SECONDS = 5.0


class ProcessError(RuntimeError):
    """A process of the generator ended without a result."""


def split(plan: Plan, processes: int, begin: float) -> list[Plan]:
    """The plan of each process: every n-th request, and its part of the connections (one at least)."""
    return [
        replace(
            plan,
            share=(index, processes),
            begin=begin,
            connections=max(1, plan.connections // processes + (index < plan.connections % processes)),
        )
        for index in range(processes)
    ]


def run(plan: Plan, processes: int, tick: Callable[[Tick], None] | None = None) -> Result:
    """Run a plan in so many processes.

    Args:
        plan: of all together.
        processes: how many; 1 runs in this one.
        tick: called each second with the figures of all together.

    Raises:
        OSError: a process could make no connection.
        ProcessError: a process ended without a result.
    """
    if processes == 1:
        return generate(plan, tick)
    context = multiprocessing.get_context("spawn")
    begin = time.monotonic() + START_SECONDS
    readers: dict[Connection, BaseProcess] = {}
    for part in split(plan, processes, begin):
        reader, writer = context.Pipe(duplex=False)
        readers[reader] = context.Process(target=_work, args=(part, writer), daemon=True)
        readers[reader].start()
        writer.close()
    try:
        return _gather(readers, tick)
    finally:
        for process in readers.values():
            process.terminate()
            process.join()


def _work(plan: Plan, writer: Connection) -> None:
    try:
        writer.send(generate(plan, writer.send))
    except (OSError, KeyboardInterrupt) as error:
        writer.send(OSError(str(error) or type(error).__name__))


def _gather(readers: Mapping[Connection, BaseProcess], tick: Callable[[Tick], None] | None) -> Result:
    """Merge what the processes send: ticks of one second as they come, results at the end."""
    whole = Result()
    seconds: dict[int, list[Tick]] = {}
    waiting = list(readers)
    while waiting:
        for reader in wait(waiting):
            assert isinstance(reader, Connection)
            try:
                found = reader.recv()
            except EOFError:
                raise ProcessError(_how_it_ended(readers[reader])) from None
            if isinstance(found, OSError):
                raise found
            if isinstance(found, Result):
                whole.merge(found)
                waiting.remove(reader)
            elif tick is not None:
                of_second = seconds.setdefault(round(found["t"]), [])
                of_second.append(found)
                if len(of_second) == len(readers):
                    tick(_together(of_second))
    return whole


def _how_it_ended(process: BaseProcess) -> str:
    process.join(_END_SECONDS)
    code = process.exitcode
    how = f"by {signal.Signals(-code).name}" if code is not None and code < 0 else f"with exit status {code}"
    return f"process {process.pid} of the generator ended {how}, without a result"


def _together(parts: list[Tick]) -> Tick:
    summed = {name: sum(part[name] for part in parts) for name in ("rate", "in_flight", "waiting")}
    return {**summed, **{name: max(part[name] for part in parts) for name in ("t", "p99", "cpu")}}
