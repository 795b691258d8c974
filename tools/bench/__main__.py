"""`make bench`: all areas, or those named."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from pathlib import Path

from tools.bench.harness import Bench

HERE = Path(__file__).parent
NOT_AREAS = {"__init__", "__main__", "harness"}


def main(argv: list[str]) -> int:
    """Run the areas; 1 where a bound was missed."""
    areas = sorted(path.stem for path in HERE.glob("*.py") if path.stem not in NOT_AREAS)
    unknown = set(argv) - set(areas)
    if unknown:
        print(f"there is no area {', '.join(sorted(unknown))}; there are {', '.join(areas)}", file=sys.stderr)
        return 2
    print(
        f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()},"
        f" load {os.getloadavg()[0]:.2f}"
    )
    bench = Bench()
    for area in argv or areas:
        bench.section(area)
        importlib.import_module(f"tools.bench.{area}").run(bench)
    print(f"\n{len(bench.failed)} bound(s) missed" + "".join(f"\n  {name}" for name in bench.failed))
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
