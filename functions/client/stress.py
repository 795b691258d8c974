"""`pixelamp stress`: CPU load on a pod, and its usage."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping

from functions.client import output, responses, transport
from functions.client.arguments import LONGEST, count, number
from functions.client.responses import EXIT_REFUSED, JsonMapping
from functions.client.transport import Service

_DEFAULT_SECONDS = 10.0  # the function's own
_PARAMETERS = (
    "seconds", "load", "cores", "relative_to", "profile", "low", "period", "steps", "on", "levels", "memory_mb",
    "leak_mb_s", "touch", "disk_mb_s", "network_mb_s", "hold", "sleep_ms", "jitter_ms", "seed", "nice",
)  # fmt: skip
PROFILES = ("constant", "ramp", "sine", "steps", "burst")
_LENGTH = re.compile(r"x(\d{1,6}(?:\.\d{1,6})?)(ms|s|m)(?=,|$)")
COMPLETED = "completed"
_MISSED = {"short": ("shortfall", "the load fell short"), "over": ("excess", "the load was exceeded")}


def add_parser(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = subcommands.add_parser("stress", help="CPU load on a pod, and its usage", description=__doc__)
    parser.add_argument("--seconds", type=number, help="length of the burn; 10 if not given")
    parser.add_argument("--load", type=number, metavar="PERCENT", help="of each core, or of the quota")
    parser.add_argument("--cores", type=int, help="processes that burn")
    parser.add_argument("--relative-to", choices=("core", "quota"), help="what the load is a percentage of")
    parser.add_argument("--profile", choices=PROFILES, help="load over time, up to --load")
    parser.add_argument("--low", type=number, metavar="PERCENT", help="lowest load of a profile")
    parser.add_argument("--period", type=number, metavar="SECONDS", help="of one sine or burst")
    parser.add_argument("--steps", type=count, metavar="N", help="steps from --low to --load")
    parser.add_argument("--on", type=number, metavar="PERCENT", help="of each period that a burst lasts")
    parser.add_argument("--levels", metavar="LEVELS", help="10x5s,80x10s, or from one load to another: 20..80x10s")
    parser.add_argument("--memory-mb", type=int, metavar="MIB", help="memory to fill and hold")
    parser.add_argument("--leak-mb-s", type=number, metavar="MIB", help="grow to --memory-mb by so much a second")
    parser.add_argument("--touch", action="store_true", help="write to every page of the memory again each second")
    parser.add_argument("--disk-mb-s", type=number, metavar="MIB", help="write so much a second to a temporary file")
    parser.add_argument("--network-mb-s", type=number, metavar="MIB", help="send so much a second over loopback")
    parser.add_argument("--hold", type=number, metavar="SECONDS", help="how long to hold memory, disk or network")
    parser.add_argument("--sleep-ms", type=number, metavar="MS", help="wait first, without using CPU")
    parser.add_argument("--jitter-ms", type=number, metavar="MS", help="up to so much longer, at random")
    parser.add_argument("--seed", type=int, metavar="N", help="makes the jitter repeatable")
    parser.add_argument("--nice", type=count, metavar="N", help="niceness of the burners: 0 to 19; 10 if not given")
    parser.add_argument("--cpu", action="store_true", help="only print the pod's usage now")
    parser.add_argument("--format", choices=("json", "ndjson"), default="json", help="ndjson: samples while it burns")
    output.add_arguments(parser, ("text", "json"))
    transport.add_arguments(parser)
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Run the subcommand and return its exit code."""
    with Service.of(chosen, "stress") as service:
        if chosen.cpu:
            answer = service.result("GET", "/cpu", shape={"cpu": (int, float)})
        else:
            service.timeout = min(LONGEST, service.timeout + length(chosen))
            params = {name: getattr(chosen, name) for name in _PARAMETERS}
            if chosen.format == "ndjson":
                return outcome(_samples(service, params))
            answer = service.result("POST", params=params, shape={"achieved": dict})
    if chosen.cpu or output.form(chosen) == "json":
        print(output.as_json(answer, sys.stdout, indent=1))
    else:
        print(_text(answer))
    return outcome(answer)


def _samples(service: Service, params: JsonMapping) -> JsonMapping:
    """Print each sample as it arrives, and return the result, which is the last line.

    Raises:
        UnexpectedResponseError: the response has no result.
    """
    result: JsonMapping = {}
    with service.request("POST", params={**params, "format": "ndjson"}, stream=True) as response:
        for line in response.iter_lines(chunk_size=1):
            if not line:
                continue
            print(line.decode(), flush=True)
            try:
                result = json.loads(line).get("result", result)
            except (ValueError, AttributeError) as error:
                raise responses.unexpected(response, "the function stress", f"{error}") from error
        if not result:
            raise responses.unexpected(response, "the function stress", "the samples ended without a result")
    return result


def _text(answer: JsonMapping) -> str:
    asked, achieved = answer.get("asked", {}), answer["achieved"]
    held = f"{achieved.get('seconds')} s at {achieved.get('load')} % of {asked.get('cores')} core(s)"
    return (
        f"{answer.get('pod')}: {held}, "
        f"{asked.get('mean_load')} % requested; {achieved.get('cpu_seconds')} CPU seconds; {answer.get('ended')}"
    )


def outcome(answer: JsonMapping) -> int:
    """Return the exit code of a response: EXIT_REFUSED, with the reason on standard error, if the load was not held."""
    ended = answer.get("ended", COMPLETED)
    if ended == COMPLETED:
        return 0
    field, text = _MISSED.get(ended, ("", ""))
    missed = answer.get(field)
    if isinstance(missed, Mapping):
        achieved = f"requested {missed.get('requested')} %, achieved {missed.get('achieved')} %"
        text = f"{text}: {achieved}: {missed.get('reason')}: {missed.get('detail')}"
    else:
        text = f"the burn ended early: {ended}"
    print(f"pixelamp: {text}", file=sys.stderr)
    return EXIT_REFUSED


def length(chosen: argparse.Namespace) -> float:
    """Return the longest duration of the work in seconds, during which no response is due."""
    burn = _DEFAULT_SECONDS if chosen.seconds is None else chosen.seconds
    if chosen.levels:
        units = {"ms": 0.001, "s": 1.0, "m": 60.0}
        burn = sum(float(value) * units[unit] for value, unit in _LENGTH.findall(chosen.levels))
    return max(0.0, burn, chosen.hold or 0.0) + max(0.0, chosen.sleep_ms or 0.0) / 1000
