"""`pixelamp stress`: CPU load on a pod, and its usage."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from functions.client import output, transport
from functions.client.answers import EXIT_REFUSED
from functions.client.arguments import LONGEST, count, number
from functions.client.transport import Service

_DEFAULT_SECONDS = 10.0  # the function's own
_PARAMETERS = ("seconds", "load", "cores", "relative_to", "memory_mb", "hold", "sleep_ms", "nice")
COMPLETED, SHORT = "completed", "short"


def add_parser(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the subcommand."""
    parser = subcommands.add_parser("stress", help="CPU load on a pod, and its usage", description=__doc__)
    parser.add_argument("--seconds", type=number, help="length of the burn; 10 if not given")
    parser.add_argument("--load", type=number, metavar="PERCENT", help="of each core, or of the quota")
    parser.add_argument("--cores", type=int, help="processes that burn")
    parser.add_argument("--relative-to", choices=("core", "quota"), help="what the load is a percentage of")
    parser.add_argument("--memory-mb", type=int, metavar="MIB", help="memory to fill and hold")
    parser.add_argument("--hold", type=number, metavar="SECONDS", help="how long to hold it")
    parser.add_argument("--sleep-ms", type=number, metavar="MS", help="wait first, without using CPU")
    parser.add_argument("--nice", type=count, metavar="N", help="niceness of the burners: 0 to 19; 10 if not given")
    parser.add_argument("--cpu", action="store_true", help="only print the pod's usage now")
    transport.add_arguments(parser)
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """The subcommand; its exit code."""
    with Service.of(chosen, "stress") as service:
        if chosen.cpu:
            answer = service.result("GET", "/cpu", shape={"cpu": (int, float)})
        else:
            service.timeout = min(LONGEST, service.timeout + length(chosen))
            params = {name: getattr(chosen, name) for name in _PARAMETERS}
            answer = service.result("POST", params=params, shape={"achieved": dict})
    print(output.as_json(answer, sys.stdout, indent=1))
    return outcome(answer)


def outcome(answer: Mapping[str, Any]) -> int:
    """The exit code of an answer: EXIT_REFUSED, with the reason on standard error, for a load that was not held."""
    ended = answer.get("ended", COMPLETED)
    if ended == COMPLETED:
        return 0
    missing = answer.get("shortfall")
    if ended == SHORT and isinstance(missing, Mapping):
        achieved = f"requested {missing.get('requested')} %, achieved {missing.get('achieved')} %"
        text = f"the load fell short: {achieved}: {missing.get('reason')}: {missing.get('detail')}"
    else:
        text = f"the burn ended early: {ended}"
    print(f"pixelamp: {text}", file=sys.stderr)
    return EXIT_REFUSED


def length(chosen: argparse.Namespace) -> float:
    """Seconds that the work itself takes at most, which is no waiting for an answer: memory is held beside the burn."""
    burn = _DEFAULT_SECONDS if chosen.seconds is None else chosen.seconds
    return max(0.0, burn, chosen.hold or 0.0) + max(0.0, chosen.sleep_ms or 0.0) / 1000
