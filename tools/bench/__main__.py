"""`make bench`: all areas, or those named.

`--write-docs` keeps the figures and writes docs/performance.md. `--smoke` runs each area with the least work, to find
one that fails: its figures mean nothing, and no bound counts.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import os
import sys
import time
from pathlib import Path
from types import ModuleType

from tools import figures
from tools.bench.harness import Bench

SMOKE = "SMOKE"
"""The name of an area's least work: values of its constants, `module.NAME` for those of a module that it imports."""

HERE = Path(__file__).parent
NOT_AREAS = {"__init__", "__main__", "harness"}


def main(argv: list[str]) -> int:
    """Run the areas; 1 where a bound was missed."""
    areas = sorted(path.stem for path in HERE.glob("*.py") if path.stem not in NOT_AREAS)
    parser = argparse.ArgumentParser(
        prog="python -m tools.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("areas", nargs="*", metavar="AREA", help=f"of {', '.join(areas)}; all if not given")
    kept = parser.add_mutually_exclusive_group()
    kept.add_argument("--write-docs", action="store_true", help="keep the figures, and write docs/performance.md")
    kept.add_argument("--smoke", action="store_true", help="the least work of each area: does it run?")
    options = parser.parse_args(argv)
    unknown = set(options.areas) - set(areas)
    if unknown:
        parser.error(f"there is no area {', '.join(sorted(unknown))}; there are {', '.join(areas)}")
    bench = Bench(smoke=options.smoke)
    for area in options.areas or areas:
        before, began = os.getloadavg()[0], time.monotonic()
        bench.begin(area)
        module = importlib.import_module(f"tools.bench.{area}")
        if options.smoke:
            lessen(module)
        module.run(bench)
        about = figures.machine(before)
        bench.note(f"{time.monotonic() - began:.0f} s; {about}")
        # After each area: a run that is ended keeps those that it has measured.
        if options.write_docs:
            figures.write(area, bench.areas[area], about)
    if options.smoke:
        return 0
    few = [one.name for run in bench.areas.values() for one in run if one.bound and 1 < one.pairs < figures.LEAST_PAIRS]
    if few:
        print(f"\nfewer than {figures.LEAST_PAIRS} pairs: " + ", ".join(few))
    print(f"\n{len(bench.failed)} bound(s) missed" + "".join(f"\n  {name}" for name in bench.failed))
    return 1 if bench.failed else 0


def lessen(module: ModuleType) -> None:
    """Give the constants of an area the values of its least work.

    Raises:
        AttributeError: the module has no such constant.
    """
    for path, value in getattr(module, SMOKE, {}).items():
        *inner, name = path.split(".")
        holder = functools.reduce(getattr, inner, module)
        getattr(holder, name)
        setattr(holder, name, value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
