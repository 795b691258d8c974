"""`make chaos` and `make soak`: attacks over HTTP, faults, and a soak, with a line and a time for each.

python -m tools.chaos [attacks|faults|NAME…]
python -m tools.chaos soak [--minutes 30]
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tools.chaos.attacks import ATTACKS, function, route
from tools.chaos.faults import FAULTS
from tools.chaos.scene import Unavailable
from tools.chaos.soak import soak


def said(name: str, work: Callable[[], str]) -> bool:
    """Run one attack or fault and print its outcome; False for a broken promise."""
    began = time.monotonic()
    try:
        verdict, note = "held", work()
    except Unavailable as reason:
        verdict, note = "not here", str(reason)
    except Exception as error:  # noqa: BLE001 - whatever happened, the others still run
        verdict, note = "BROKEN", f"{type(error).__name__}: {error}"
    print(f"  {name:<34}{verdict:<10}{time.monotonic() - began:7.1f} s  {note}", flush=True)
    return verdict != "BROKEN"


def attacks(names: list[str]) -> list[str]:
    """Attack a function's server and the route; returns the names that failed."""
    broken = []
    with tempfile.TemporaryDirectory() as folder, function() as own, route(Path(folder)) as routed:
        for name in names:
            summary = (ATTACKS[name].__doc__ or "").split("\n")[0]
            for where, victim in {"function": own, "route": routed}.items():
                if not said(f"{name} · {where}", lambda n=name, v=victim, s=summary: ATTACKS[n](v) or s):
                    broken.append(f"{name} on the {where}")
    return broken


def faults(names: list[str]) -> list[str]:
    """Cause the faults; returns the names that failed."""
    broken = []
    for name in names:
        with tempfile.TemporaryDirectory() as folder:

            def cause(name: str = name, folder: str = folder) -> str:
                seen = FAULTS[name](Path(folder))
                return f"well again after {seen.recovery:.2f} s: {seen.note}"

            if not said(name, cause):
                broken.append(name)
    return broken


def main(argv: list[str]) -> int:
    """Run the named attacks and faults, or all; returns 1 for a broken promise."""
    parser = argparse.ArgumentParser(prog="python -m tools.chaos", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="attacks, faults, soak, or one of them by name")
    parser.add_argument("--minutes", type=float, default=30.0, help="of a soak (default: %(default)s)")
    arguments = parser.parse_args(argv)
    # An engine under load must not outlive an interrupted run.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    names = arguments.names or ["attacks", "faults"]
    unknown = set(names) - {"attacks", "faults", "soak", *ATTACKS, *FAULTS}
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    broken = []
    chosen = [name for name in ATTACKS if name in names or "attacks" in names]
    if chosen:
        print("Attacks over HTTP")
        broken += attacks(chosen)
    chosen = [name for name in FAULTS if name in names or "faults" in names]
    if chosen:
        print("Faults")
        broken += faults(chosen)
    if "soak" in names:
        print(f"Soak for {arguments.minutes:g} minutes")
        with tempfile.TemporaryDirectory() as folder:
            report = soak(Path(folder), arguments.minutes)
        print("\n".join(f"  {line}" for line in report.lines))
        broken += report.broken
    print("\n".join([f"{len(broken)} promise(s) broken", *broken]))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
