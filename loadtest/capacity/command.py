"""What a load needs: concurrency and target to set, pods, nodes, proxies, bandwidth, and which limit binds first.

    python -m loadtest.capacity --rate 1000 --service-time 20ms --body 400kB --objective 100ms
    python -m loadtest.capacity --table                     the table of docs/load.md, 10³ … 10⁶ requests/s
    python -m loadtest.capacity --run loadtest/out/step     pods planned, simulated and observed of a finished run

The work is CPU-bound, or with `--held` it waits for something else; loadtest/capacity/planning.py has the formulas.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from knative.local.arguments import EXIT_MISTAKE
from knative.local.manifests import grammar
from loadtest.capacity import forecast
from loadtest.capacity.evidence import ASSUMED, EvidenceError, ServiceTime, measured
from loadtest.capacity.planning import Capacity, CapacityError, plan, settled_pods, simulated

REPORT = Path(__file__).parents[1] / "out" / "verdict.json"
_TABLE_RATES = (1_000, 10_000, 100_000, 1_000_000)


def table(service_seconds: float, body_bytes: float, objective: float) -> str:
    """The table of docs/load.md: one row a rate, each checked by simulation."""
    header = (
        "requests/s",
        "target",
        "pods",
        "simulated",
        "nodes",
        "binds",
        "ingress",
        "activators",
        "Gbit/s in",
        "time to scale",
        "queue from zero",
        "beyond one cluster",
    )
    rows: list[tuple[str, ...]] = [header, tuple("---" for _ in header)]
    for rate in _TABLE_RATES:
        cell = plan(rate, service_seconds, objective=objective, body_bytes=body_bytes)
        outcome = simulated(cell, service_seconds)
        rows.append(
            (
                f"{rate:,}",
                f"{cell.target:.3g}",
                f"{cell.pods:,}",
                f"{settled_pods(outcome):,.0f}",
                f"{cell.nodes:,}",
                cell.binds,
                f"{cell.ingresses:,}",
                f"{cell.activators:,}",
                f"{cell.gbits:.3g}",
                f"{cell.scale_seconds:,.0f} s",
                f"{cell.queue:,.0f}",
                ", ".join(cell.beyond) or "–",
            )
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def describe(cell: Capacity) -> str:
    """A plan for people."""
    beyond = f"\nbeyond one cluster: {', '.join(cell.beyond)}" if cell.beyond else ""
    return (
        f"set        target {cell.target:.3g}, target-utilization-percentage 100,"
        f" containerConcurrency {cell.container_concurrency}\n"
        f"pods       {cell.pods:,}, each busy {cell.load:.0%}; mean latency {cell.latency * 1000:.3g} ms\n"
        f"nodes      {cell.nodes:,}; {cell.binds} bind first\n"
        f"proxies    {cell.ingresses:,} ingress, {cell.activators:,} activators\n"
        f"network    {cell.gbits:.3g} Gbit/s in\n"
        f"scaling    {cell.scale_seconds:,.0f} s from nothing; a burst from zero queues {cell.queue:,.0f} requests"
        f"{beyond}"
    )


def _seconds(text: str) -> float:
    try:
        return grammar.parse_duration(text) / grammar.SECOND
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _bytes(text: str) -> float:
    for suffix, factor in (("kB", 1e3), ("MB", 1e6), ("KiB", 2**10), ("MiB", 2**20), ("B", 1.0), ("", 1.0)):
        if text.endswith(suffix):
            try:
                return float(text.removesuffix(suffix)) * factor
            except ValueError:
                break
    raise argparse.ArgumentTypeError(f"{text}: use a size such as 400kB or 2MiB")


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = argparse.ArgumentParser(
        prog="python -m loadtest.capacity", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--rate", type=float, metavar="N", help="requests/s")
    made.add_argument("--service-time", type=_seconds, metavar="20ms", help="CPU time of a request (20ms is assumed)")
    made.add_argument("--measured", type=Path, metavar="FILE", help="take it from openloop's --json or a verdict.json")
    made.add_argument("--function", default="", help="of a verdict.json: histogram or exif")
    made.add_argument("--body", type=_bytes, default=400e3, metavar="400kB", help="size of a request")
    made.add_argument("--objective", type=_seconds, default=0.1, metavar="100ms", help="mean latency to keep")
    made.add_argument("--held", action="store_true", help="requests wait instead of computing")
    made.add_argument("--target", type=float, metavar="N", help="requests in flight a pod; default: chosen")
    made.add_argument("--simulate", action="store_true", help="check the plan on the virtual clock")
    made.add_argument("--table", action="store_true", help="the table of docs/load.md")
    made.add_argument("--run", type=Path, metavar="FOLDER", help="pods planned, simulated and observed of a run")
    return made


def _service_time(options: argparse.Namespace) -> ServiceTime:
    """The service time with its evidence.

    Raises:
        EvidenceError: the file named has none.
    """
    if options.service_time is not None:
        return ServiceTime(options.service_time, "given")
    if options.measured:
        return measured(options.measured, options.function)
    if options.function and REPORT.is_file():
        return measured(REPORT, options.function)
    return ASSUMED


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    made = parser()
    options = made.parse_args(argv)
    try:
        if options.run:
            found = forecast.read(options.run)
            for one in found:
                word = "holds" if one.holds else "DOES NOT HOLD"
                pods = f"{one.planned} planned, {one.simulated} simulated, {one.observed} observed"
                print(f"{one.clients:g} clients: pods {pods}: {word}")
            return 0 if all(one.holds for one in found) else 1
        service = _service_time(options)
        if options.table:
            print(table(service.seconds, options.body, options.objective))
            print(f"\nservice time {service}")
            return 0
        if options.rate is None:
            made.error("give one of --rate, --table and --run")
        cell = plan(
            options.rate,
            service.seconds,
            objective=options.objective,
            body_bytes=options.body,
            held=options.held,
            target=options.target,
        )
    except (CapacityError, forecast.ForecastError, EvidenceError) as error:
        print(f"capacity: {error}", file=sys.stderr)
        return EXIT_MISTAKE
    print(f"service    {service}")
    print(describe(cell))
    if options.simulate:
        outcome = simulated(cell, service.seconds, held=options.held)
        latency = outcome.latency(0.95) or 0.0
        print(
            f"simulated  {settled_pods(outcome):,.0f} pods at the rate, at most {outcome.most_pods:,};"
            f" p95 {latency * 1000:.3g} ms, lost {outcome.lost:,.0f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
