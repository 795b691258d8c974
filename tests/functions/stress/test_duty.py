"""The duty cycle on a machine of our own making: what it uses is what was asked, whoever else wants the core."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.stress import duty, profiles
from functions.stress.curve import constant

PIECE = 0.00005


class Machine:
    """A core that gives a piece of work its CPU time after a delay that others cause."""

    def __init__(self, busy: float = 0.0, seed: int = 0, late: float = 0.0) -> None:
        self.now = 0.0
        self.cpu = 0.0
        self.slept = 0.0
        self._busy = busy
        self._late = late
        self._random = random.Random(seed)

    def work(self) -> None:
        self.cpu += PIECE
        self.now += PIECE
        if self._random.random() < PIECE / 0.003:  # others run for a time slice now and then
            self.now += self._random.expovariate(1) * 0.003 * self._busy / (1 - self._busy)

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept += seconds
        self.now += seconds + self._random.random() * self._late

    def run(self, load: float, seconds: float) -> None:
        duty.run(
            constant(load).used_by,
            seconds,
            elapsed=lambda: self.now,
            used=lambda: self.cpu,
            work=self.work,
            sleep=self.sleep,
        )


@given(st.floats(0, 1), st.floats(0, 1))
def test_on_an_idle_core_the_load_is_exact(load: float, seconds: float) -> None:
    machine = Machine()
    machine.run(load, seconds)
    assert machine.cpu == pytest.approx(load * seconds, abs=2 * PIECE)
    assert machine.now == pytest.approx(seconds, abs=2 * PIECE)


@pytest.mark.parametrize("load", [0.1, 0.3, 0.5])
@pytest.mark.parametrize("seed", range(5))
def test_time_that_others_take_is_made_up(load: float, seed: int) -> None:
    machine = Machine(busy=0.4, seed=seed)
    machine.run(load, 10)
    assert machine.cpu / 10 == pytest.approx(load, abs=0.002)


def test_waking_up_late_costs_nothing() -> None:
    machine = Machine(late=0.004)
    machine.run(0.5, 10)
    assert machine.cpu / 10 == pytest.approx(0.5, abs=0.001)


def test_without_enough_cpu_it_never_sleeps_and_still_ends() -> None:
    machine = Machine(busy=0.7, seed=1)
    machine.run(0.9, 2)
    assert machine.cpu / 2 < 0.5
    assert machine.slept == 0
    assert machine.now < 2.2


def test_a_long_pause_is_made_up_afterwards() -> None:
    machine = Machine()

    def work() -> None:
        machine.work()
        if 1 < machine.now < 1.001:
            machine.now = 3.0  # stopped, and continued two seconds later

    duty.run(
        constant(0.4).used_by, 10, elapsed=lambda: machine.now, used=lambda: machine.cpu, work=work, sleep=machine.sleep
    )
    assert machine.cpu == pytest.approx(4.0, abs=0.001)


def test_the_load_is_even_and_not_one_block() -> None:
    machine = Machine()
    marks: list[tuple[float, float]] = []

    def sleep(seconds: float) -> None:
        machine.sleep(seconds)
        marks.append((machine.now, machine.cpu))

    duty.run(
        constant(0.25).used_by, 1, elapsed=lambda: machine.now, used=lambda: machine.cpu, work=machine.work, sleep=sleep
    )
    assert len(marks) == round(1 / duty.PERIOD)
    assert all(cpu == pytest.approx(0.25 * now, abs=2 * PIECE) for now, cpu in marks)


@given(st.floats(0, 100), st.floats(0.001, 100))
def test_a_cycle_contains_its_moment_and_ends_with_the_burn(elapsed: float, seconds: float) -> None:
    until = duty.cycle(elapsed, seconds)
    assert until <= seconds
    assert until == seconds or until > elapsed


def test_a_profile_is_held_in_each_second() -> None:
    curve = profiles.levels("10x2s,80x2s,20..60x4s,0x2s")[0]
    machine = Machine(late=0.002)
    marks: list[tuple[float, float]] = []

    def sleep(seconds: float) -> None:
        machine.sleep(seconds)
        marks.append((machine.now, machine.cpu))

    goal = lambda seconds: 0.8 * curve.used_by(seconds)  # noqa: E731 - the peak of the levels is 80 %
    duty.run(goal, 10, elapsed=lambda: machine.now, used=lambda: machine.cpu, work=machine.work, sleep=sleep)
    assert machine.cpu == pytest.approx(goal(10), abs=0.001)
    assert len(marks) > 300
    assert all(cpu == pytest.approx(goal(now), abs=0.004) for now, cpu in marks)  # the sleep ends up to 2 ms late
