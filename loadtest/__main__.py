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
from typing import Any

from knative.local.arguments import EXIT_MISTAKE
from loadtest.lab import Run
from loadtest.report.archive import earlier, keep
from loadtest.scenarios import QUICK, SCENARIOS, play
from loadtest.verdict import THRESHOLDS, ThresholdsError, Verdict, as_dict, thresholds

OUT = Path(__file__).parent / "out"


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = argparse.ArgumentParser(
        prog="python -m loadtest",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="scenarios:\n" + "\n".join(f"  {name:10} {one.summary}" for name, one in SCENARIOS.items()),
    )
    made.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"default: {' '.join(QUICK)}; all for all")
    made.add_argument("--out", type=Path, default=OUT, help="folder of the report and the raw files")
    made.add_argument("--thresholds", type=Path, default=THRESHOLDS, help="TOML with the bounds")
    made.add_argument("--against", type=Path, metavar="FOLDER", help="an earlier report to compare with")
    made.add_argument("--compare", type=Path, metavar="VERDICT", help="the same by its verdict.json, figures alone")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    arguments = parser()
    options = arguments.parse_args(argv)
    names = list(SCENARIOS) if options.scenarios == ["all"] else options.scenarios or list(QUICK)
    unknown = [name for name in names if name not in SCENARIOS]
    if unknown:
        arguments.error(f"no scenario {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    try:
        bounds = {name: thresholds(name, options.thresholds) for name in names}
        before, runs = earlier(options.against) if options.against else (None, {})
        if options.compare and before is None:
            before = json.loads(options.compare.read_text())
    except (ThresholdsError, OSError, ValueError) as error:
        print(f"loadtest: {error}", file=sys.stderr)
        return EXIT_MISTAKE
    if options.against and options.against.resolve() == options.out.resolve():
        print(f"loadtest: --against and --out are both {options.out}: give --out too", file=sys.stderr)
        return EXIT_MISTAKE
    options.out.mkdir(parents=True, exist_ok=True)
    played: list[tuple[Run, Verdict]] = []
    for name in names:
        print(f"{name}: {SCENARIOS[name].summary}", flush=True)
        run, verdict = asyncio.run(play(name, options.out / name, bounds[name]))
        keep(run, options.out / name)
        for check in verdict.checks:
            print(f"  {'✓' if check.passed else '✗'} {check.words}")
        for reason in verdict.invalid:
            print(f"  INVALID: {reason}")
        played.append((run, verdict))
    summary = summarise(played)
    (options.out / "verdict.json").write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    from loadtest.report.document import write

    write(played, summary, options.out, before, runs)
    print(f"report: {options.out / 'report.html'}")
    print("  ".join(f"{verdict.scenario} {verdict.word}" for _, verdict in played))
    return 0 if all(verdict.passed for _, verdict in played) else 1


def summarise(played: Sequence[tuple[Run, Verdict]]) -> dict[str, Any]:
    """verdict.json: verdicts, what was measured, the environment and the generator's health."""
    measured: dict[str, float] = {}
    for run, _ in played:
        measured = run.measured | measured
    return {
        "finished": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "passed": all(verdict.passed for _, verdict in played),
        "scenarios": [
            {**as_dict(verdict), "about": SCENARIOS[run.scenario].summary, "measured": run.measured, **_figures(run)}
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


def _figures(run: Run) -> dict[str, Any]:
    from loadtest.verdict import failures, latencies

    requests = [*run.requests, *run.flood]
    return {
        "requests": len(requests),
        "failed": dict(failures(requests)),
        "latency": latencies(requests).spectrum(),
        "most_pods": max((sample.ready for sample in run.samples), default=0),
        "generator_lag": run.lag.spectrum(),
        "seconds": run.ended - run.started,
    }


if __name__ == "__main__":
    sys.exit(main())
