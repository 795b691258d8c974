"""`pixelamp stress`: exact CPU load on a pod, and its usage."""

from __future__ import annotations

import argparse
import json
from typing import Any

from functions.client import transport
from functions.client.transport import Service

_PARAMETERS = ("seconds", "load", "cores", "relative_to", "memory_mb", "hold", "sleep_ms")


def add_parser(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the subcommand."""
    parser = subcommands.add_parser("stress", help="CPU load on a pod, and its usage", description=__doc__)
    parser.add_argument("--seconds", type=float, help="length of the burn; 10 if not given")
    parser.add_argument("--load", type=float, metavar="PERCENT", help="of each core, or of the quota")
    parser.add_argument("--cores", type=int, help="processes that burn")
    parser.add_argument("--relative-to", choices=("core", "quota"), help="what the load is a percentage of")
    parser.add_argument("--memory-mb", type=int, metavar="MIB", help="memory to fill and hold")
    parser.add_argument("--hold", type=float, metavar="SECONDS", help="how long to hold it")
    parser.add_argument("--sleep-ms", type=float, metavar="MS", help="wait first, without using CPU")
    parser.add_argument("--cpu", action="store_true", help="only tell the pod's usage now")
    transport.add_arguments(parser)
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """The subcommand; its exit code."""
    with Service.of(chosen, "stress") as service:
        if chosen.cpu:
            answer: Any = service.request("GET", "/cpu").json()
        else:
            # A burn that is answered late has not failed: the wait for it comes on top.
            service.timeout += (chosen.seconds or 10) + (chosen.sleep_ms or 0) / 1000
            answer = service.request("POST", params={name: getattr(chosen, name) for name in _PARAMETERS}).json()
    print(json.dumps(answer, indent=1))
    return 0
