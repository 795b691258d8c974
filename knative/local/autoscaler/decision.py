"""The decision of the Knative Pod Autoscaler: how many pods, and why.

Pure: the caller passes the time, the ready pods and the two averages, every `TICK_SECONDS` and at once when the
activator reports a request while `desired` is 0.

    autoscaler = Autoscaler(spec, ready=0, now=now)
    stable, panic = metrics.observe(now)
    decision = autoscaler.scale(now, ready=ready, stable=stable, panic=panic, reachable=True)
    if decision.valid:
        decision.desired, decision.ebc           # pods; excess burst capacity, below 0: the activator stays in the path
        decision.words()                         # "stable 13.2 / target 7 → 2 pods; panic window 28 → 4; …"

Bounds by min-scale and max-scale and the way to zero come after it, in scaler.py.

Source: knative/serving, pkg/autoscaler/scaling/autoscaler.go and multiscaler.go, pkg/reconciler/autoscaling/kpa/kpa.go.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from knative.local.autoscaler.numbers import ceil, floor, larger, smaller, to_int32
from knative.local.autoscaler.spec import ScalingSpec
from knative.local.jsontypes import JsonObject
from knative.local.manifests.grammar import format_float

TICK_SECONDS = 2.0
MINIMUM_ACTIVATORS = 2


class MaxWindow:
    """The greatest of the values recorded in the last `size` indices; both calls cost O(1) amortised."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._falling: deque[tuple[int, int]] = deque()  # (index, value), values strictly falling

    def record(self, index: int, value: int) -> int:
        """Record a value at an index that never falls, and return the maximum."""
        while self._falling and self._falling[-1][1] <= value:
            self._falling.pop()
        while self._falling and index - self._falling[0][0] >= self._size:
            self._falling.popleft()
        if not self._falling or self._falling[-1][0] != index:
            self._falling.append((index, value))
        return self._falling[0][1]


def clock_time(now: float) -> str:
    """Seconds since the epoch as the local time of day."""
    return time.strftime("%H:%M:%S", time.localtime(now))


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One decision and every number behind it.

    Attributes:
        at: when, seconds.
        valid: False without data or where the ready pods are unknown; `desired` is then 0, as Go returns it.
        ready: pods ready; 0 where unknown.
        stable: average over the stable window, in the metric's unit; `panic` likewise.
        target: what a pod is held at; `total` is what it can take.
        stable_pods: ⌈stable / target⌉ before any limit, as an int32; `panic_pods` likewise.
        most: pods the scale-up rate allows; `fewest` what the scale-down rate does.
        panic_since: when the load last was over the threshold; None outside panic.
        panic_maximum: the most pods asked for in this panic, which holds until it ends.
        wanted: pods before the scale-down delay; `desired` is after it.
        desired: the decision, pods.
        ebc: excess burst capacity, in the metric's unit.
        text: an explanation in place of the words, of a decision by another rule.
    """

    at: float
    valid: bool
    ready: int
    metric: str = "concurrency"
    stable: float = 0.0
    panic: float = 0.0
    target: float = 0.0
    total: float = 0.0
    stable_pods: int = 0
    panic_pods: int = 0
    most: int = 0
    fewest: int = 0
    panic_since: float | None = None
    panic_maximum: int = 0
    wanted: int = 0
    desired: int = 0
    ebc: int = 0
    text: str = ""

    @property
    def in_panic(self) -> bool:
        """Whether the panic window decides, and nothing shrinks."""
        return self.panic_since is not None

    def words(self, clock: Callable[[float], str] = clock_time) -> str:
        """The decision as a sentence; `clock` prints a time."""
        if self.text:
            return self.text
        if not self.valid:
            return "no decision: nothing was reported for a window, or the ready pods are unknown"
        if self.desired < 0:
            return f"no decision: a target of {format_float(self.target)} gives no number of pods"
        parts = [
            f"stable {self.stable:.4g} / target {self.target:.4g} → {_pods(self.stable_pods)}",
            f"panic window {self.panic:.4g} → {self.panic_pods}",
        ]
        if self.panic_since is not None:
            parts.append(f"panicking since {clock(self.panic_since)}, never below {self.panic_maximum}")
        raw = max(self.stable_pods, self.panic_pods) if self.in_panic else self.stable_pods
        if raw > self.most:
            parts.append(f"scale-up rate allows {self.most}")
        elif raw < self.fewest:
            parts.append(f"scale-down rate allows {self.fewest}")
        if self.desired != self.wanted:
            parts.append(f"scale-down delay holds {self.desired}")
        return "; ".join(parts)

    def as_dict(self) -> JsonObject:
        """Every number, `in_panic` and the words, for JSON."""
        return dataclasses.asdict(self) | {"in_panic": self.in_panic, "words": self.words()}


def _pods(count: int) -> str:
    return f"{count} pod" if count == 1 else f"{count} pods"


class Autoscaler:
    """The state of one revision's autoscaler: its panic and its scale-down delay.

    Args:
        spec: how the revision scales.
        ready: pods ready at the start; None if unknown, which counts as no pod. With more than one it starts
            in panic, so that an autoscaler which lost its history does not shrink what it finds.
        now: seconds.
    """

    def __init__(self, spec: ScalingSpec, *, ready: int | None, now: float) -> None:
        self._spec = spec
        self._panic_since = now if ready is not None and ready > 1 else None
        self._panic_maximum = ready or 0
        # Even a delay of one tick differs from none, where two decisions fall into one tick.
        self._delay = MaxWindow(math.ceil(spec.scale_down_delay / TICK_SECONDS)) if spec.scale_down_delay > 0 else None

    @property
    def spec(self) -> ScalingSpec:
        """The spec in force."""
        return self._spec

    @property
    def panic_since(self) -> float | None:
        """When the load last was over the panic threshold, seconds; None outside panic."""
        return self._panic_since

    @property
    def panic_maximum(self) -> int:
        """The most pods asked for in this panic."""
        return self._panic_maximum

    def restore(self, *, panic_since: float | None, panic_maximum: int) -> None:
        """Take over the panic of an autoscaler before this one, as an engine does that was started anew."""
        self._panic_since, self._panic_maximum = panic_since, panic_maximum

    def update(self, spec: ScalingSpec) -> None:
        """Decide by another spec from now on; the delay's length stays that of the first."""
        self._spec = spec

    def scale(
        self, now: float, *, ready: int | None, stable: float | None, panic: float | None, reachable: bool = True
    ) -> Decision:
        """Decide.

        Args:
            now: seconds; delay buckets are `now // TICK_SECONDS`.
            ready: pods ready now; None if they cannot be counted.
            stable: average over the stable window, None without data.
            panic: average over the panic window, None without data.
            reachable: whether any route leads to the revision; if not, nothing holds it back from shrinking.
        """
        spec = self._spec
        if ready is None or stable is None or panic is None:
            return Decision(at=now, valid=False, ready=ready or 0)
        pods = max(1, ready)
        most = ceil(spec.max_scale_up_rate * pods)
        fewest = floor(pods / spec.max_scale_down_rate) if reachable else 0.0
        stable_pods = ceil(stable / spec.target)
        panic_pods = ceil(panic / spec.target)
        wanted = self._bounded(stable_pods, fewest, most)
        over = panic_pods / pods >= spec.panic_threshold
        self._track_panic(now, over)
        if self._panic_since is not None:
            wanted = max(wanted, self._bounded(panic_pods, fewest, most), self._panic_maximum)
            self._panic_maximum = wanted
        desired = wanted
        if self._delay is not None and reachable:
            desired = self._delay.record(math.floor(now / TICK_SECONDS), wanted)
        return Decision(
            at=now,
            valid=True,
            ready=ready,
            metric=spec.metric,
            stable=stable,
            panic=panic,
            target=spec.target,
            total=spec.total,
            stable_pods=to_int32(stable_pods),
            panic_pods=to_int32(panic_pods),
            most=to_int32(most),
            fewest=to_int32(fewest),
            panic_since=self._panic_since,
            panic_maximum=self._panic_maximum,
            wanted=wanted,
            desired=desired,
            ebc=excess_burst_capacity(spec, ready, panic),
        )

    def _bounded(self, pods: float, fewest: float, most: float) -> int:
        bounded = to_int32(smaller(larger(pods, fewest), most))
        return max(bounded, self._spec.activation_scale) if pods > 0 else bounded

    def _track_panic(self, now: float, over: bool) -> None:
        if over:
            self._panic_since = now
        elif self._panic_since is not None and self._panic_since + self._spec.stable_window < now:
            # The surge has made its way into the stable window.
            self._panic_since = None
            self._panic_maximum = 0


def excess_burst_capacity(spec: ScalingSpec, ready: int, panic: float) -> int:
    """Room left above the present load and the target burst; below 0 the activator has to buffer.

    Both special values of target-burst-capacity decide alone: 0 never wants the activator, -1 always.
    """
    if spec.target_burst_capacity == 0:
        return 0
    if spec.target_burst_capacity > 0:
        return to_int32(floor(ready * spec.total - spec.target_burst_capacity - panic))
    return -1


def initial_excess_burst_capacity(spec: ScalingSpec) -> int:
    """What is taken for it before the first decision: that of the initial scale, without a load."""
    if spec.target_burst_capacity in {0, -1}:
        return int(spec.target_burst_capacity)
    # Towards zero, as Go converts it.
    return to_int32(spec.initial_scale * spec.total - spec.target_burst_capacity)


def activators_needed(spec: ScalingSpec, ready: int) -> int:
    """Activators that one revision is spread over while they are in its path."""
    if spec.target_burst_capacity == 0:
        return MINIMUM_ACTIVATORS
    cover = ready * spec.total + larger(spec.target_burst_capacity, 0.0)
    return max(MINIMUM_ACTIVATORS, to_int32(ceil(cover / spec.activator_capacity)))


@dataclass(frozen=True)
class Subset:
    """Pods [begin, end) that one activator sends to; `remnants` more are dealt out one to each from the first."""

    begin: int
    end: int
    remnants: int


def activator_subset(pods: int, index: int, activators: int) -> Subset:
    """Which of `pods` (at least one) the activator number `index` of `activators` sends to."""
    if activators > pods:
        begin = index % pods
        return Subset(begin, begin + 1, 0)
    share, remnants = divmod(pods, activators)
    return Subset(index * share, (index + 1) * share, remnants)
