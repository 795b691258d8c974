"""`python -m loadtest [SCENARIO…]`: run scenarios on this machine, print the verdicts and write the report.

Exit status: 0 if all passed, 1 if one failed or was invalid, 2 for a mistake in the arguments.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from knative.local.arguments import EXIT_MISTAKE
from knative.local.jsontypes import JsonObject
from loadtest.cluster import SCENARIOS as ON_A_CLUSTER
from loadtest.generators.wire import target
from loadtest.lab import IMAGE, Place, Run
from loadtest.observe.kubernetes import AccessError, access
from loadtest.report.archive import earlier, keep
from loadtest.scenarios import QUICK, SCENARIOS, play
from loadtest.verdict import THRESHOLDS, ThresholdsError, Verdict, as_dict, thresholds

OUT = Path(__file__).parent / "out"


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = argparse.ArgumentParser(
        prog="pixelamp-loadtest" if sys.argv[0].endswith("pixelamp-loadtest") else "python -m loadtest",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="scenarios:\n" + "\n".join(f"  {name:10} {one.summary}" for name, one in SCENARIOS.items()),
    )
    made.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"default: {' '.join(QUICK)}; all for all")
    made.add_argument(
        "--cluster",
        nargs="?",
        const="",
        metavar="CONTEXT",
        help=f"run on the cluster of the kubeconfig, in its current context or this one: {' '.join(ON_A_CLUSTER)}",
    )
    made.add_argument("--ingress", metavar="URL", help="with --cluster: its ingress as this machine reaches it")
    made.add_argument("--namespace", help="with --cluster: where the Service is applied (default: the context's)")
    made.add_argument("--image", default=IMAGE, help="with --cluster: of the stress function (default: %(default)s)")
    made.add_argument("--out", type=Path, default=OUT, help="folder of the report and the raw files")
    made.add_argument("--thresholds", type=Path, default=THRESHOLDS, help="TOML with the bounds")
    made.add_argument("--against", type=Path, metavar="FOLDER", help="an earlier report to compare with")
    made.add_argument("--compare", type=Path, metavar="VERDICT", help="the same by its verdict.json, figures alone")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    arguments = parser()
    options = arguments.parse_args(argv)
    known = list(SCENARIOS) if options.cluster is None else list(ON_A_CLUSTER)
    quick = [name for name in QUICK if name in known]
    names = known if options.scenarios == ["all"] else options.scenarios or quick
    unknown = [name for name in names if name not in known]
    if unknown:
        where = "" if options.cluster is None else " on a cluster"
        arguments.error(f"no scenario {', '.join(unknown)}{where}; there are {', '.join(known)}")
    try:
        place = place_of(options)
        bounds = {name: thresholds(name, options.thresholds) for name in names}
        before, runs = earlier(options.against) if options.against else (None, {})
        if options.compare and before is None:
            before = json.loads(options.compare.read_text())
    except (ThresholdsError, AccessError, OSError, ValueError) as error:
        print(f"loadtest: {error}", file=sys.stderr)
        return EXIT_MISTAKE
    if options.against and options.against.resolve() == options.out.resolve():
        print(f"loadtest: --against and --out are both {options.out}: give --out too", file=sys.stderr)
        return EXIT_MISTAKE
    options.out.mkdir(parents=True, exist_ok=True)
    played: list[tuple[Run, Verdict]] = []
    for name in names:
        print(f"{name}: {SCENARIOS[name].summary}", flush=True)
        run, verdict = asyncio.run(play(name, options.out / name, bounds[name], place))
        keep(run, options.out / name)
        for check in verdict.checks:
            print(f"  {'✓' if check.passed else '✗'} {check.words}")
        for reason in verdict.invalid:
            print(f"  INVALID: {reason}")
        for what in verdict.unchecked:
            print(f"  not checked: {what}")
        if run.path:
            print(f"  request path: {run.path}")
        played.append((run, verdict))
    summary = summarise(played)
    (options.out / "verdict.json").write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    from loadtest.report.document import write

    write(played, summary, options.out, before, runs)
    print(f"report: {options.out / 'report.html'}")
    print("  ".join(f"{verdict.scenario} {verdict.word}" for _, verdict in played))
    return 0 if all(verdict.passed for _, verdict in played) else 1


def place_of(options: argparse.Namespace) -> Place | None:
    """The cluster that the arguments name; None for this machine.

    Raises:
        AccessError: the kubeconfig gives no way to it.
        ValueError: an argument is missing, or has no use.
    """
    if options.cluster is None:
        if options.ingress or options.namespace:
            raise ValueError("--ingress and --namespace belong to --cluster")
        return None
    if not options.ingress:
        raise ValueError("--cluster needs --ingress: the address at which this machine reaches the cluster's ingress")
    found = access(context=options.cluster or None)
    ingress = options.ingress if "//" in options.ingress else f"http://{options.ingress}"
    target(ingress)  # a URL that cannot be used is a mistake in the arguments
    return Place(found, options.namespace or found.namespace, ingress, options.image)


def summarise(played: Sequence[tuple[Run, Verdict]]) -> JsonObject:
    """verdict.json: verdicts, what was measured, the environment and the generator's health."""
    measured: dict[str, float] = {}
    for run, _ in played:
        measured = run.measured | measured
    return {
        "finished": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "passed": all(verdict.passed for _, verdict in played),
        "scenarios": [
            {
                **as_dict(verdict),
                "about": SCENARIOS[run.scenario].summary,
                "measured": run.measured,
                **_figures(run),
            }
            for run, verdict in played
        ],
        "measured": measured,
        "environment": {
            "machine": platform.machine(),
            "system": f"{platform.system()} {platform.release()}",
            "cpus": os.cpu_count(),
            "python": platform.python_version(),
            "load": os.getloadavg(),
        },
    }


def _figures(run: Run) -> JsonObject:
    from loadtest.verdict import failures, latencies

    requests = [*run.requests, *run.flood]
    return {
        "path": run.path,
        "requests": len(requests),
        "failed": dict(failures(requests)),
        "latency": latencies(requests).spectrum(),
        "most_pods": max((sample.ready for sample in run.samples), default=0),
        "generator_lag": run.lag.spectrum(),
        "seconds": run.ended - run.started,
    }


if __name__ == "__main__":
    sys.exit(main())
