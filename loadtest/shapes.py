"""Shapes of load for Locust: step, ramp, spike, burst, soak, or a trace from a file.

    --shape step  --levels 5x30s,20x30s,40x40s,10x40s
    --shape trace --levels csv:users.csv

`--levels` gives a shape its levels in the notation of `python -m knative simulate`; each shape has one of its own for
want of it. Without either, Locust's own --users and --spawn-rate hold. In the web UI all four can be changed before a
run, and users and spawn rate while it lasts.
"""

from __future__ import annotations

import logging
from argparse import Namespace
from typing import Any, ClassVar

from locust import LoadTestShape

from knative.local.simulation.arrivals import Profile, ProfileError

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


def add_arguments(parser: Any) -> None:
    """Add --shape and --levels to Locust's command line and web UI."""
    parser.add_argument("--shape", default="", choices=["", *PROFILES], include_in_web_ui=True, help="users over time")
    parser.add_argument(
        "--levels", default="", include_in_web_ui=True, help="users of the shape: LEVELxDURATION,… or csv:FILE"
    )


def profile_of(options: Namespace) -> Profile | None:
    """The users over time that the options ask for; None where Locust's own numbers hold.

    Raises:
        ProfileError: the levels cannot be read, or a trace has none.
    """
    if not options.shape and not options.levels:
        return None
    levels = options.levels or PROFILES[options.shape]
    if not levels:
        raise ProfileError(f"--shape {options.shape} needs --levels, such as csv:users.csv")
    return Profile.parse(levels)


class Shaped(LoadTestShape):
    """Users over time by the current options; the test ends with its profile, or with --run-time."""

    abstract: ClassVar[bool] = (
        True  # Locust would take it for every run; the locustfile takes it where one is asked for
    )
    use_common_options: ClassVar[bool] = True  # the web UI keeps its fields for users, spawn rate and run time

    def __init__(self, options: Namespace) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._options = options
        self._read: tuple[tuple[str, str], Profile | None] | None = None

    def _profile(self) -> Profile | None:
        wanted = (self._options.shape, self._options.levels)
        if self._read is None or self._read[0] != wanted:
            self._read = (wanted, profile_of(self._options))
        return self._read[1]

    def tick(self) -> tuple[int, float] | None:
        """Users now and the rate to reach them; None ends the test."""
        now = float(self.get_run_time())  # type: ignore[no-untyped-call]
        try:
            profile = self._profile()
        except ProfileError as error:  # typed into the web UI, which shows the log
            logging.getLogger(__name__).error("%s", error)
            return None
        if self._options.run_time and now >= self._options.run_time:
            return None
        if profile is None:
            return self._options.num_users or 1, self._options.spawn_rate or 1.0
        return (round(profile.at(now)), SPAWN_RATE) if now < profile.duration else None
