"""Requests as a fluid: what is inside a revision's pods, in masses instead of one by one.

The cost of a step does not depend on the rate, so a million requests a second cost what ten do. Two kinds of work:

- `HeldWork`: a request takes its service time whatever else runs (waiting for something, or sleeping).
- `SharedWork`: requests share a pod's cores. Requests in flight n and busy cores u follow the stationary relation of
  M/M/c, u(n), applied moment by moment (the pointwise stationary fluid-flow approximation of Rider, 1976): for one core
  u = n / (1 + n), so that a pod held at concurrency T is busy T / (1 + T) of the time.

Masses are split by whether the activator counted them, and by whether their pod is draining.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

NOTHING = 1e-9  # of a request: below it a mass is rounding
_SUBSTEPS = 20


@dataclass(frozen=True, slots=True)
class Ended:
    """Requests that ended together: when and after how long (seconds), and how many of each kind.

    `direct` were in ready pods, where queue-proxy's reports still count; `direct_drained` were not. `timed_out` ones
    reached the timeout in a pod, are answered with 504, and free their place there.
    """

    at: float
    latency: float
    proxied: float
    direct: float
    direct_drained: float
    timed_out: bool = False

    @property
    def requests(self) -> float:
        """All of them."""
        return self.proxied + self.direct + self.direct_drained


@dataclass(frozen=True, slots=True)
class _Batch:
    """Requests admitted together: when they leave and came, how many are in ready and in draining pods."""

    leaves: float
    arrived: float
    active: float
    draining: float
    proxied: bool
    timed_out: bool


class HeldWork:
    """Each request leaves `seconds` after it was admitted, or `timeout` after it arrived if that is sooner."""

    def __init__(self, seconds: float, timeout: float = math.inf) -> None:
        self._seconds = seconds
        self._timeout = timeout
        self._batches: deque[_Batch] = deque()  # in the order in which they leave: they are admitted as they arrived
        self.active = 0.0
        self.draining = 0.0

    def admit(self, now: float, arrived: float, requests: float, *, proxied: bool) -> None:
        """Begin work on requests that arrived at `arrived`."""
        leaves, latest = now + self._seconds, arrived + self._timeout
        timed_out = leaves > latest + 1e-9
        self._batches.append(_Batch(min(leaves, latest), arrived, requests, 0.0, proxied, timed_out))
        self.active += requests

    def drain(self, share: float) -> float:
        """A share of the ready pods begins to drain; returns the direct requests in them."""
        direct = 0.0
        moved: deque[_Batch] = deque()
        for batch in self._batches:
            part = batch.active * share
            if not batch.proxied:
                direct += part
            moved.append(replace(batch, active=batch.active - part, draining=batch.draining + part))
        self._batches = moved
        self.draining += self.active * share
        self.active *= 1.0 - share
        return direct

    def advance(self, now: float, _pods: int, _backlog: bool) -> list[Ended]:
        """What ended up to `now`, each at its own moment."""
        ended: list[Ended] = []
        batches = self._batches
        while batches and batches[0].leaves <= now + 1e-9:
            batch = batches.popleft()
            self.active -= batch.active
            self.draining -= batch.draining
            proxied = batch.active + batch.draining if batch.proxied else 0.0
            direct, drained = (0.0, 0.0) if batch.proxied else (batch.active, batch.draining)
            ended.append(Ended(batch.leaves, batch.leaves - batch.arrived, proxied, direct, drained, batch.timed_out))
        if not batches:
            self.active = self.draining = 0.0
        return ended


def busy_cores(cores: int) -> Callable[[float], float]:
    """Mean busy cores of M/M/`cores` as a function of the mean requests inside: u(n), n ≥ 0.

    For one core n / (1 + n). For more the mean inside is a + C(a)·a / (c − a), C Erlang's delay formula, inverted
    by a table of 400 loads and straight lines between them.
    """
    if cores == 1:
        return lambda inside: inside / (1.0 + inside)
    loads = [cores * (1.0 - (1.0 - number / 400) ** 2) for number in range(400)]
    inside_of = [_mmc_inside(load, cores) for load in loads]

    def lookup(inside: float) -> float:
        index = bisect_left(inside_of, inside)
        if index == 0:
            return inside
        if index == len(loads):
            return loads[-1] + (cores - loads[-1]) * (1.0 - inside_of[-1] / inside)
        low, high = inside_of[index - 1], inside_of[index]
        return loads[index - 1] + (loads[index] - loads[index - 1]) * (inside - low) / (high - low)

    return lookup


def _mmc_inside(load: float, cores: int) -> float:
    """Mean requests inside M/M/c at an offered load in erlangs below c."""
    blocking = 1.0  # Erlang B, by its recursion
    for servers in range(1, cores + 1):
        blocking = load * blocking / (servers + load * blocking)
    waiting = cores * blocking / (cores - load * (1.0 - blocking))
    return load + waiting * load / (cores - load)


class SharedWork:
    """Requests share `cores` a pod; each takes `seconds` of one core. What is admitted flows in over the next step.

    Requests of equal work that share cores equally end in the order of their arrival. In a ready pod those that have
    not ended `timeout` after their arrival do then; in a draining pod they fade within `seconds`.
    """

    def __init__(self, seconds: float, cores: int, timeout: float = math.inf) -> None:
        self._seconds = seconds
        self._timeout = timeout
        self._arrivals: deque[list[float]] = deque()  # [arrived, requests] in ready pods, the oldest first
        self._cores = cores
        self._busy = busy_cores(cores)
        self._now = 0.0
        self._coming = 0.0
        self._proxied = self._direct = 0.0
        self._proxied_draining = self._direct_draining = 0.0
        self._waited = 0.0  # request-seconds spent waiting before admission, of what is inside

    @property
    def active(self) -> float:
        """Requests in ready pods."""
        return self._proxied + self._direct

    @property
    def draining(self) -> float:
        """Requests in draining pods."""
        return self._proxied_draining + self._direct_draining

    def admit(self, now: float, arrived: float, requests: float, *, proxied: bool) -> None:
        """Begin work on requests that arrived at `arrived`."""
        if proxied:
            self._proxied += requests
        else:
            self._direct += requests
        self._coming += requests
        self._waited += requests * (now - arrived)
        if self._timeout < math.inf:
            self._arrivals.append([arrived, requests])

    def drain(self, share: float) -> float:
        """A share of the ready pods begins to drain; returns the direct requests in them."""
        direct = self._direct * share
        self._direct_draining += direct
        self._proxied_draining += self._proxied * share
        self._direct -= direct
        self._proxied *= 1.0 - share
        for arrival in self._arrivals:
            arrival[1] *= 1.0 - share
        return direct

    def advance(self, now: float, pods: int, backlog: bool) -> list[Ended]:
        """Work until `now` in `pods` ready ones; with a backlog before them every core is busy.

        The latency is the wait plus Little's sojourn, requests inside over throughput.
        """
        step, self._now = now - self._now, now
        coming, self._coming = self._coming, 0.0
        ended: list[Ended] = []
        inside = self.active
        if inside > NOTHING and pods and step > 0:
            gone, held = self._flow(inside - coming, coming / step, step, pods, backlog)
            proxied, direct, waited = self._take(gone)
            self._forget(gone)
            # One moment for all that ended, such that requests inside, summed over the step, come out right.
            offset = step - (inside * step - held) / gone if gone > NOTHING else step
            moment = now - step + min(max(offset, 0.0), step)
            if gone > NOTHING:
                ended.append(Ended(moment, waited / gone + held / gone, proxied, direct, 0.0))
        if self.draining > NOTHING and step > 0:
            share = 1.0 - math.exp(-step / self._seconds)
            proxied, direct = self._proxied_draining * share, self._direct_draining * share
            self._proxied_draining -= proxied
            self._direct_draining -= direct
            ended.append(Ended(now, self._seconds, proxied, 0.0, direct))
        late = self._expire(now)
        if late > NOTHING:
            proxied, direct, _ = self._take(late)
            ended.append(Ended(now, self._timeout, proxied, direct, 0.0, timed_out=True))
        return ended

    def _take(self, requests: float) -> tuple[float, float, float]:
        """Remove requests from ready pods; returns how many were proxied, how many direct, and what they waited."""
        share = min(1.0, requests / self.active)
        proxied, direct = self._proxied * share, self._direct * share
        waited = self._waited * requests / (self.active + self.draining)
        self._proxied -= proxied
        self._direct -= direct
        self._waited -= waited
        return proxied, direct, waited

    def _forget(self, requests: float) -> None:
        """Take the oldest requests out of the arrivals."""
        while self._arrivals and requests > 0:
            taken = min(requests, self._arrivals[0][1])
            self._arrivals[0][1] -= taken
            requests -= taken
            if self._arrivals[0][1] <= 0:
                self._arrivals.popleft()

    def _expire(self, now: float) -> float:
        """Take requests that arrived a timeout ago out of the arrivals; returns how many."""
        late = 0.0
        while self._arrivals and now - self._arrivals[0][0] >= self._timeout - 1e-9:
            late += self._arrivals.popleft()[1]
        return min(late, self.active)

    def _flow(self, inside: float, inflow: float, step: float, pods: int, backlog: bool) -> tuple[float, float]:
        """Requests that end within `step`, and request-seconds inside over it."""
        parts = max(1, min(_SUBSTEPS, math.ceil(2.0 * step / self._seconds)))
        part = step / parts
        gone = held = 0.0
        for _ in range(parts):
            middle = inside or inflow * part / 2
            for _ in range(2):  # the second time with the mean of both ends, which a steady state leaves as it is
                if middle <= NOTHING:
                    break
                busy = float(self._cores) if backlog else self._busy(middle / pods)
                decay = pods * busy / (self._seconds * middle)
                # dn/dt = inflow - decay·n, solved: stable however short the service is against the step.
                fading = 1.0 - math.exp(-decay * part)
                settled = inflow / decay
                after = settled + (inside - settled) * (1.0 - fading)
                middle = (inside + after) / 2
            else:
                held += settled * part + (inside - settled) * fading / decay
                gone += inside + inflow * part - after
                inside = after
        return gone, held
