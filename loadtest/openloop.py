"""An open-loop load generator: requests leave when they were meant to, not when the server allows it.

    python -m loadtest.openloop http://127.0.0.1:8080/histogram --rate 1000 --connections 100 --file img.png

Each request has an intended time, constant or Poisson. If no connection is free it waits, and its latency counts from
the intended time all the same: that is what a user would have waited. The latency from the actual sending is printed
beside it, as closed-loop tools report it. A run in which the generator itself was late, or had no CPU left, is INVALID.

Exit status: 0, 1 where an objective was missed, 2 for a mistake in the arguments, 3 if the run is INVALID, 4 where no
connection could be made.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from knative.local.arguments import EXIT_MISTAKE
from loadtest.generators.latency import milliseconds
from loadtest.generators.open_loop import Plan, Result, generate
from loadtest.generators.wire import multipart, target
from loadtest.objectives import Objective, complete, parse, shortest

EXIT_FAILED, EXIT_INVALID, EXIT_UNREACHABLE = 1, 3, 4
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
    gaps = "Poisson" if plan.poisson else "constant"
    rate = result.answered / max(result.seconds, 1e-9)
    statuses = dict(sorted(result.statuses.items()))
    unanswered = f"; without an answer {dict(result.errors)}" if result.errors else ""
    lines = [
        f"{result.meant} requests in {plan.duration:g} s at {plan.rate:g}/s ({gaps}), {plan.connections} connections",
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
    made.add_argument("url", nargs="?", default="http://127.0.0.1:8080/histogram", help="default: %(default)s")
    made.add_argument("--rate", type=float, required=True, metavar="N", help="requests/s")
    made.add_argument("--duration", type=float, default=60.0, metavar="S", help="seconds (default: 60)")
    made.add_argument("--connections", type=int, default=100, metavar="N", help="requests at once (default: 100)")
    made.add_argument("--file", type=Path, help="send this file; without one the request is a GET")
    made.add_argument("--field", default="file", help="multipart field of the file (default: file)")
    made.add_argument("--raw", action="store_true", help="send the file as the body itself, not as multipart")
    made.add_argument("--method", help="default: POST with a file, else GET")
    made.add_argument("--header", action="append", default=[], metavar="NAME: VALUE", help="repeatable; Host too")
    made.add_argument("--poisson", action="store_true", help="exponential gaps, as of independent users")
    made.add_argument("--seed", type=int, default=1, help="of the Poisson gaps")
    made.add_argument(
        "--timeout", type=float, default=30.0, metavar="S", help="seconds a request may take (default: 30)"
    )
    made.add_argument(
        "--objective",
        action="append",
        default=[],
        metavar="BOUND",
        help="p95<200ms, errors<0.1%%, rate>=900; a number is seconds of p99; repeatable (default: 1 and no errors)",
    )
    made.add_argument("--json", type=Path, metavar="FILE", help="write every figure; - for standard output")
    return made


def plan_of(options: argparse.Namespace) -> Plan:
    """The plan that arguments describe.

    Raises:
        ValueError: a value is not as it must be.
        OSError: the file cannot be read.
    """
    for name in ("rate", "duration", "connections", "timeout"):
        if not 0 < getattr(options, name) < math.inf:
            raise ValueError(f"--{name} must be a number above 0")
    if options.rate * options.duration > MOST_REQUESTS:
        raise ValueError(f"--rate times --duration is beyond the {MOST_REQUESTS:,} requests of a run")
    if options.json and str(options.json) != "-" and (options.json.is_dir() or not options.json.parent.is_dir()):
        raise ValueError(f"--json {options.json}: no file can be written there")
    headers: dict[str, str] = {}
    for text in options.header:
        name, separator, value = text.partition(":")
        if not separator:
            raise ValueError(f"--header {text!r}: NAME: VALUE is wanted")
        headers[name.strip()] = value.strip()
    body, content_type = b"", None
    if options.file:
        body = options.file.read_bytes()
        if not options.raw:
            body, content_type = multipart(body, options.file.name, options.field)
    to = target(
        options.url,
        method=options.method or ("POST" if options.file else "GET"),
        headers=headers,
        body=body,
        content_type=content_type,
    )
    return Plan(
        target=to,
        rate=options.rate,
        duration=options.duration,
        connections=options.connections,
        poisson=options.poisson,
        timeout=options.timeout,
        objective=shortest(objectives_of(options)),
        seed=options.seed,
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
    try:
        result = generate(plan)
    except OSError as error:
        where = f"{plan.target.host}:{plan.target.port}"
        print(f"openloop: no connection to {where}: {error.strerror or error}", file=sys.stderr)
        return EXIT_UNREACHABLE
    missed = failures(result, objectives)
    figures = json.dumps({**result.as_dict(plan.objective), "failed": missed}, indent=2)
    if str(options.json) == "-":
        print(figures)
    else:
        print(report(plan, result, objectives))
        if options.json:
            options.json.write_text(figures + "\n")
    if result.invalid(plan.objective):
        return EXIT_INVALID
    return EXIT_FAILED if missed else 0


if __name__ == "__main__":
    sys.exit(main())
