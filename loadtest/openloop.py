"""An open-loop load generator: requests leave when they were meant to, not when the server allows it.

    python -m loadtest.openloop http://127.0.0.1:8080/histogram --rate 1000 --connections 100 --file img.png

Each request has an intended time, constant or Poisson. If no connection is free it waits, and its latency counts from
the intended time all the same: that is what a user would have waited. The latency from the actual sending is printed
beside it, as closed-loop tools report it. A run in which the generator itself was late, or had no CPU left, is INVALID.

Exit status: 0, 1 where an objective was missed, 2 for a mistake in the arguments, 3 if the run is INVALID, 4 where no
connection could be made, 5 where the figures could not be written, 6 where a process of the generator ended.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from knative.local.arguments import EXIT_MISTAKE
from loadtest import outputs
from loadtest.generators.latency import milliseconds
from loadtest.generators.plan import Plan
from loadtest.generators.processes import ProcessError, run
from loadtest.generators.result import Result
from loadtest.generators.schedule import constant, requests, stages
from loadtest.generators.wire import UNVERIFIED, Target, multipart, target
from loadtest.objectives import Objective, complete, parse, shortest
from loadtest.targets import read

EXIT_FAILED, EXIT_INVALID, EXIT_UNREACHABLE, EXIT_OUTPUT, EXIT_PROCESS = 1, 3, 4, 5, 6
MOST_PROCESSES = 64
MOST_STREAMS = 1000
MOST_REQUESTS = 50_000_000  # the intended time of each is in memory from the start


def failures(result: Result, objectives: Sequence[Objective]) -> list[str]:
    """The objectives that were missed, each with what was measured."""
    missed = [one.failure(result) for one in objectives]
    outcomes = {**{f"status {status}": count for status, count in result.statuses.items() if not 200 <= status < 400}}
    outcomes |= result.errors
    named = ", ".join(f"{count} × {kind}" for kind, count in sorted(outcomes.items()))
    return [
        f"{text} ({named})" if objective.metric == "errors" and named else text
        for objective, text in zip(objectives, missed, strict=True)
        if text
    ]


def report(plan: Plan, result: Result, objectives: Sequence[Objective] = ()) -> str:
    """The run for people: both spectra, the outcomes, the objectives that were missed, and whether the figures hold."""
    gaps = "Poisson" if plan.poisson else "even"
    load = f"at {plan.rate:g}/s" if len(plan.load.segments) == 1 else f"in {len(plan.load.segments)} stages"
    connections = f"{plan.connections} connections"
    if plan.streams:
        connections += f" of HTTP/2 with {plan.streams} stream{'' if plan.streams == 1 else 's'} each"
    rate = result.answered / max(result.seconds, 1e-9)
    statuses = dict(sorted(result.statuses.items()))
    unanswered = f"; without an answer {dict(result.errors)}" if result.errors else ""
    lines = [
        f"{result.meant} requests in {plan.load.duration:g} s {load} ({gaps}), {connections}",
        f"answered {result.answered} in {result.seconds:.1f} s ({rate:.1f}/s); statuses {statuses}{unanswered}",
        "",
        f"{'':8}{'from the intended time':>24}{'from the sending':>20}{'send lag':>14}",
    ]
    spectra = result.corrected.spectrum(), result.uncorrected.spectrum(), result.lag.spectrum()
    lines += [
        f"{name:8}{milliseconds(spectra[0][name]):>24}{milliseconds(spectra[1][name]):>20}"
        f"{milliseconds(spectra[2][name]):>14}"
        for name in spectra[0]
    ]
    per_cpu = result.answered / result.cpu_seconds if result.cpu_seconds else 0.0
    used = f"{result.sending_share:.0%} of a core, {result.waiting_share:.0%} of the time waiting for one"
    lines += ["", f"generator: {used}; {per_cpu:.0f} requests a CPU second"]
    lines += [f"FAILED: {reason}" for reason in failures(result, objectives)]
    lines += [f"INVALID: {reason}" for reason in result.invalid(plan.objective)]
    return "\n".join(lines)


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = argparse.ArgumentParser(
        prog="python -m loadtest.openloop", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = made.add_argument
    add("url", nargs="?", default="http://127.0.0.1:8080/histogram", help="default: %(default)s")
    load = made.add_mutually_exclusive_group(required=True)
    load.add_argument("--rate", type=float, metavar="N", help="requests/s")
    load.add_argument("--stages", metavar="STAGES", help="requests/s over time: 0:100x30s,100x2m, or csv:FILE")
    add("--duration", type=float, default=60.0, metavar="S", help="seconds at --rate (default: 60)")
    add(
        "--connections",
        type=int,
        default=100,
        metavar="N",
        help="each with one request at a time (default: 100)",
    )
    add("--http2", action="store_true", help="HTTP/2: by ALPN over https, without an upgrade over http")
    add("--streams", type=int, metavar="N", help="requests at once on each connection, over HTTP/2 (default: 1)")
    add("--processes", type=int, default=1, metavar="N", help="processes that share the load (default: 1)")
    add("--targets", type=Path, metavar="FILE", help="a JSON object a line: method, url, headers, body, weight")
    add("--file", type=Path, help="send this file; without one the request is a GET")
    add("--field", default="file", help="multipart field of the file (default: file)")
    add("--raw", action="store_true", help="send the file as the body itself, not as multipart")
    add("--method", help="default: POST with a file, else GET")
    add("--header", action="append", default=[], metavar="NAME: VALUE", help="repeatable; Host too")
    add("--no-reuse", action="store_true", help="a new connection for every request")
    add("--cacert", default="", metavar="FILE", help="trust these certificates in place of the system's")
    add("--insecure", action="store_true", help="verify no certificate")
    add("--poisson", action="store_true", help="exponential gaps, as of independent users")
    add("--seed", type=int, default=1, help="of the Poisson gaps and of the choice of targets")
    add("--timeout", type=float, default=30.0, metavar="S", help="seconds a request may take (default: 30)")
    add(
        "--objective",
        action="append",
        default=[],
        metavar="BOUND",
        help="p95<200ms, errors<0.1%%, rate>=900; a number is seconds of p99; repeatable (default: 1 and no errors)",
    )
    add(
        "--live",
        action=argparse.BooleanOptionalAction,
        help="a line a second on standard error (default: on terminals)",
    )
    add("--json", type=Path, metavar="FILE", help="write every figure; - for standard output")
    add("--csv", type=Path, metavar="FILE", help="write a row a second")
    add("--metrics", metavar="FILE|URL", help="write OpenMetrics to a file, or PUT them to a Pushgateway")
    return made


def plan_of(options: argparse.Namespace) -> Plan:
    """The plan that arguments describe.

    Raises:
        ValueError: a value is not as it must be.
        OSError: a file cannot be read.
    """
    _check_numbers(options)
    profile = stages(options.stages) if options.stages else constant(options.rate, options.duration)
    if requests(profile) > MOST_REQUESTS:
        raise ValueError(f"the load is beyond the {MOST_REQUESTS:,} requests of a run")
    trust = UNVERIFIED if options.insecure else options.cacert
    headers = _headers(options.header)
    targets, weights = read(options.targets, headers, trust=trust) if options.targets else ((), ())
    to = targets[0] if targets else _target(options, headers, trust)
    to.context()  # a file of certificates that cannot be read is a mistake in the arguments
    return Plan(
        target=to,
        rate=options.rate or profile.peak,
        duration=profile.duration,
        profile=profile,
        connections=options.connections,
        poisson=options.poisson,
        timeout=options.timeout,
        objective=shortest(objectives_of(options)),
        seed=options.seed,
        targets=targets,
        weights=weights,
        reuse=not options.no_reuse,
        streams=(options.streams or 1) if options.http2 else 0,
    )


def _check_numbers(options: argparse.Namespace) -> None:
    for name in ("rate", "duration", "connections", "timeout", "processes"):
        value = getattr(options, name)
        if value is not None and not 0 < value < math.inf:
            raise ValueError(f"--{name} must be a number above 0")
    if options.processes > min(MOST_PROCESSES, options.connections):
        raise ValueError(f"--processes is at most {MOST_PROCESSES}, and at most the {options.connections} connections")
    if options.streams is not None and (not options.http2 or not 0 < options.streams <= MOST_STREAMS):
        raise ValueError(f"--streams is a number from 1 to {MOST_STREAMS}, with --http2")
    if options.no_reuse and (options.streams or 1) > 1:
        raise ValueError("--no-reuse makes a connection for each request: --streams can only be 1")
    for name in ("json", "csv"):
        path = getattr(options, name)
        if path and str(path) != "-" and (path.is_dir() or not path.parent.is_dir()):
            raise ValueError(f"--{name} {path}: no file can be written there")


def _headers(texts: Sequence[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for text in texts:
        name, separator, value = text.partition(":")
        if not separator:
            raise ValueError(f"--header {text!r}: use NAME: VALUE")
        headers[name.strip()] = value.strip()
    return headers


def _target(options: argparse.Namespace, headers: dict[str, str], trust: str) -> Target:
    body, content_type = b"", None
    if options.file:
        body = options.file.read_bytes()
        if not options.raw:
            body, content_type = multipart(body, options.file.name, options.field)
    method = options.method or ("POST" if options.file else "GET")
    return target(options.url, method=method, headers=headers, body=body, content_type=content_type, trust=trust)


def live(second: Mapping[str, float]) -> str:
    """The figures of one second in a line."""
    return (
        f"{second['t']:5.0f} s  {second['rate']:8.1f}/s  in flight {second['in_flight']:4.0f}  "
        f"waiting {second['waiting']:5.0f}  p99 {milliseconds(second['p99']):>9}  CPU {second['cpu']:4.0%}"
    )


def objectives_of(options: argparse.Namespace) -> tuple[Objective, ...]:
    """The objectives that arguments describe.

    Raises:
        ObjectiveError: one cannot be read.
    """
    return complete([parse(text) for text in options.objective])


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    options = parser().parse_args(argv)
    try:
        objectives = objectives_of(options)
        plan = plan_of(options)
    except (ValueError, OSError) as error:
        print(f"openloop: {error}", file=sys.stderr)
        return EXIT_MISTAKE
    shown = sys.stderr.isatty() if options.live is None else options.live
    tick = (lambda second: print(live(second), file=sys.stderr, flush=True)) if shown else None
    try:
        result = run(plan, options.processes, tick)
    except ProcessError as error:
        print(f"openloop: {error}; the figures of the others are incomplete and not shown", file=sys.stderr)
        return EXIT_PROCESS
    except OSError as error:
        reason = error.strerror or error
        print(f"openloop: no connection to {plan.target.host}:{plan.target.port}: {reason}", file=sys.stderr)
        return EXIT_UNREACHABLE
    missed = failures(result, objectives)
    try:
        _write(options, plan, result, objectives, missed)
    except OSError as error:
        print(f"openloop: {error}", file=sys.stderr)
        return EXIT_OUTPUT
    if result.invalid(plan.objective):
        return EXIT_INVALID
    return EXIT_FAILED if missed else 0


def _write(
    options: argparse.Namespace, plan: Plan, result: Result, objectives: Sequence[Objective], missed: Sequence[str]
) -> None:
    """Print the report, and write what other programs read.

    Raises:
        OSError: something cannot be written, or a gateway did not take it.
    """
    figures = json.dumps({**result.as_dict(plan.objective), "failed": missed}, indent=2)
    if str(options.json) == "-":
        print(figures)
    else:
        print(report(plan, result, objectives))
        if options.json:
            options.json.write_text(figures + "\n")
    if options.csv:
        with options.csv.open("w", newline="") as file:
            outputs.write_csv(result, file)
    if options.metrics:
        outputs.deliver(outputs.openmetrics(result, passed=not missed), options.metrics)


if __name__ == "__main__":
    sys.exit(main())
