"""Shapes of load for Locust: step, ramp, spike, burst, soak, or a trace from a file.

    --shape step  --levels 5x30s,20x30s,40x40s,10x40s
    --shape trace --levels csv:users.csv

`--levels` gives a shape its levels in the notation of `python -m knative simulate`; each shape has one of its own for
want of it. Without `--shape` Locust's own --users and --spawn-rate hold.
"""

from __future__ import annotations

from argparse import Namespace
from typing import Any, ClassVar

from locust import LoadTestShape

from knative.local.arrivals import Profile

# A spawn rate that reaches any level within a tick: the shape is the profile's, not Locust's.
SPAWN_RATE = 1000.0

PROFILES = {
    "step": "5x30s,20x30s,40x40s,10x40s,0x30s",
    "ramp": "0..50x120s,50x60s",
    "spike": "2x30s,60x15s,2x60s",
    "burst": "0x5s,200x5s,0x30s",
    "soak": "20x30m",
    "trace": "",
}


def add_arguments(group: Any) -> None:
    """Add --shape and --levels to Locust's command line."""
    group.add_argument("--shape", default="", choices=["", *PROFILES], help="users over time")
    group.add_argument("--levels", default="", help="users of the shape: LEVELxDURATION,… or csv:FILE")


class Shaped(LoadTestShape):
    """Users over time by a profile; the test ends with it."""

    abstract: ClassVar[bool] = (
        True  # Locust would take it for every run; the locustfile takes it where one is asked for
    )

    def __init__(self, profile: Profile) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._profile = profile

    @classmethod
    def of(cls, options: Namespace) -> Shaped | None:
        """The shape that the options ask for; None where Locust's own numbers hold.

        Raises:
            ProfileError: the profile cannot be read.
        """
        if not options.shape:
            return None
        return cls(Profile.parse(options.levels or PROFILES[options.shape]))

    def tick(self) -> tuple[int, float] | None:
        """Users now and the rate to reach them; None ends the test."""
        now = float(self.get_run_time())  # type: ignore[no-untyped-call]
        if now >= self._profile.duration:
            return None
        return round(self._profile.at(now)), SPAWN_RATE
