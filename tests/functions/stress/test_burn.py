"""Children: they do what they are told, end on every way out, and are accounted for by the kernel."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from functions.stress import burn
from functions.stress.burn import Burn, spawn
from functions.stress.curve import constant
from functions.stress.plan import MEBI, Plan, Pressure
from tests.waiting import eventually

ROOT = Path(__file__).parents[3]


others: set[int] = set()


@pytest.fixture(autouse=True)
def servers_of_other_tests() -> None:
    """Children that were there before: the session's servers, which are not counted."""
    others.clear()
    others.update(children())


def children() -> list[int]:
    """The children of this process that came since the test began."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended since
            found += map(int, (task / "children").read_text().split())
    return [pid for pid in found if pid not in others]


def carry_out(plan: Plan) -> Burn:
    with Burn(plan) as burning:
        time.sleep(max(0.0, burning.left))
        burning.finish()
    return burning


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def gone(pids: Sequence[int], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while any(alive(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_two_cores_each_use_their_share() -> None:
    before = os.times()
    done = carry_out(Plan(1.0, 20.0, "core", 2, 0.2)).achieved(2.0)
    after = os.times()
    assert len(done["per_core"]) == 2
    assert all(0 < core["load"] < 23 for core in done["per_core"])  # less where the machine is busy
    assert done["load"] == pytest.approx(sum(core["load"] for core in done["per_core"]) / 2, abs=0.01)
    assert done["seconds"] == pytest.approx(1.0, abs=0.01)
    kernels = (after.children_user - before.children_user) + (after.children_system - before.children_system)
    assert done["cpu_seconds"] == pytest.approx(kernels, abs=0.02)


def test_a_burn_shorter_than_a_process_start_gives_no_core_more_than_all_of_its_time() -> None:
    done = carry_out(Plan(1e-6, 100.0, "core", 1, 1.0)).achieved(1.0)
    assert done["seconds"] >= done["cpu_seconds"] > 1e-6
    assert done["load"] == done["per_core"][0]["load"] == 100.0


def test_load_relative_to_the_quota_is_answered_so() -> None:
    done = carry_out(Plan(0.6, 50.0, "quota", 1, 0.25)).achieved(0.5)
    assert 0 < done["load"] < 56
    assert done["per_core"][0]["load"] == pytest.approx(done["load"] / 2, abs=0.01)


def test_memory_is_really_there_while_it_is_held() -> None:
    with Burn(Plan(0.0, 0.0, "core", 0, 0.0, Pressure(memory=64 * MEBI, hold=8.0))) as burning:
        (pid,) = children()
        resident = 0
        while burning.left > 0.1 and resident <= 64 * MEBI:
            resident = max(resident, int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE"))
            time.sleep(0.02)
        burning.finish()
    assert resident > 64 * MEBI
    assert burning.achieved(1.0)["memory_mb"] == 64


def test_unavailable_memory_is_not_claimed() -> None:
    done = carry_out(Plan(0.0, 0.0, "core", 0, 0.0, Pressure(memory=2**62, hold=0.3)))
    assert done.failed == 1
    assert done.achieved(1.0)["memory_mb"] == 0


def test_children_give_way_to_everything_else() -> None:
    with Burn(Plan(50.0, 10.0, "core", 1, 0.1)):
        (pid,) = children()
        lower = min(os.getpriority(os.PRIO_PROCESS, 0) + 10, 19)
        score = Path(f"/proc/{pid}/oom_score_adj")
        assert eventually(lambda: (os.getpriority(os.PRIO_PROCESS, pid), score.read_text().strip()) == (lower, "1000"))
        time.sleep(0.05)
        assert os.getpriority(os.PRIO_PROCESS, pid) == lower


def test_an_exception_ends_the_children() -> None:
    with pytest.raises(RuntimeError), Burn(Plan(30.0, 100.0, "core", 2, 1.0, Pressure(memory=MEBI, hold=30.0))):  # noqa: PT012
        pids = children()
        assert len(pids) == 3
        raise RuntimeError
    assert children() == []


def test_a_spawner_that_fails_leaves_no_child() -> None:
    started: list[int] = []

    def second_fails(arguments: Sequence[str]) -> burn.Child:
        if started:
            raise OSError(11, "no more processes")
        child = spawn(arguments)
        started.append(child.pid)
        return child

    with pytest.raises(OSError, match="no more"), Burn(Plan(30.0, 100.0, "core", 2, 1.0), second_fails):
        pass
    assert len(started) == 1
    assert children() == []


def test_a_stopped_child_is_killed_when_its_time_is_over() -> None:
    with Burn(Plan(0.1, 10.0, "core", 1, 0.1)) as burning:
        (pid,) = children()
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.1)
        burning.finish()
    assert children() == []
    assert burning.achieved(1.0)["cpu_seconds"] < 0.1


def test_a_child_that_was_killed_is_noticed() -> None:
    with Burn(Plan(0.2, 10.0, "core", 2, 0.1)) as burning:
        os.kill(children()[0], signal.SIGKILL)
        time.sleep(burning.left)
        burning.finish()
    assert burning.failed == 1


def test_used_is_known_while_it_burns() -> None:
    with Burn(Plan(50.0, 100.0, "core", 1, 1.0)) as burning:
        assert eventually(lambda: burning.used() > 0)
        early = burning.used()
        assert eventually(lambda: burning.used() > early)
        last = burning.used()
    assert burning.used() >= last


PARENT = """
import sys, threading, time
from functions.stress.burn import Burn
from functions.stress.plan import Plan, Pressure
burn = Burn(Plan(60.0, 1.0, "core", 3, 0.01, Pressure(memory=2**20, hold=60.0)))
burn.__enter__()
print(*[child.pid for child in burn._all()], flush=True)
time.sleep(float(sys.argv[1]))
"""


@pytest.mark.parametrize("delay", [0.0, 0.003, 0.01, 0.3])
def test_a_killed_parent_leaves_no_orphan_however_young_the_children_are(delay: float) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, "60"], cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    pids = [int(word) for word in parent.stdout.readline().split()]
    assert len(pids) == 4
    time.sleep(delay)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert gone(pids)


def test_a_child_whose_parent_was_gone_before_it_looked_ends_at_once() -> None:
    # The parent it is told of is not the one it has: as if that had died between fork and prctl.
    child = spawn(["1", repr(time.monotonic()), "10", "cpu", "60", "1.0", constant(1.0).text()])
    child.wait(5)
    assert child.returncode == 0
    child.stdout.close()


def test_a_child_inherits_no_descriptor() -> None:
    read, write = os.pipe()
    os.set_inheritable(write, True)
    try:
        with Burn(Plan(5.0, 1.0, "core", 1, 0.01)):
            (pid,) = children()
            time.sleep(0.1)
            held = {file.name: str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir()}
            assert {"0", "1", "2"} <= set(held)
            assert str(Path(f"/proc/self/fd/{write}").readlink()) not in held.values()
    finally:
        os.close(read)
        os.close(write)
