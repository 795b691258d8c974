"""`make fuzz`: every parser under coverage-guided fuzzing, then every function over HTTP by its own openapi.json.

    python -m tools.fuzz [--runs 120000] [--seconds 600] [--http 40] [TARGET…]

A find is written to `tools/fuzz/kept/TARGET/`, where the tests run it again for ever after.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import random
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.servers import ROOT
from tools.fuzz.mutation import TOKENS, mutants
from tools.fuzz.target import Target
from tools.fuzz.targets import TARGETS

HANG_SECONDS = 30  # by the wall clock: what waits. What works for more than its second is found by its CPU time
LONGEST_WORD = 64  # of libFuzzer's dictionaries
KEPT = Path(__file__).parent / "kept"


@dataclass
class Outcome:
    """The result of one target.

    Attributes:
        executions: inputs that were run.
        seconds: how long it took.
        slowest: seconds of CPU time of the slowest input.
        grown: MiB by which memory has grown since the first input.
        edges: parts of the code that were reached by the seeds, and in the end; none without atheris.
        finds: files of inputs that broke it.
    """

    executions: int
    seconds: float
    slowest: float
    grown: int
    edges: tuple[int, int] | None
    finds: list[Path]


def guided(name: str, runs: int, seconds: int) -> Outcome:
    """Fuzz a target with coverage, in a child process."""
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus"
        corpus.mkdir()
        for kept in sorted((KEPT / name).glob("[0-9a-f]*")):
            (corpus / kept.name).write_bytes(kept.read_bytes())
        words = Path(folder) / "words"
        words.write_text("".join(f'"{_escaped(token)}"\n' for token in TOKENS if len(token) <= LONGEST_WORD))
        began = time.monotonic()
        done = subprocess.run(
            [
                *(sys.executable, "-m", "tools.fuzz.guided", name, str(corpus), f"-runs={runs}"),
                *(f"-max_total_time={seconds}", f"-timeout={HANG_SECONDS}", f"-artifact_prefix={folder}/find-"),
                *("-print_final_stats=1", "-rss_limit_mb=1024", f"-dict={words}"),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            errors="replace",
        )
        finds = [_keep(name, path) for path in sorted(Path(folder).glob("find-*"))]
        if done.returncode and not finds:
            raise RuntimeError(f"{name} could not be fuzzed: {done.stderr[-2000:]}")
        if finds:
            print(done.stdout[-3000:] + done.stderr[-1000:])
        return Outcome(
            int(_last(r"stat::number_of_executed_units:\s+(\d+)", done.stderr)),
            time.monotonic() - began,
            _last(r"watch::slowest: ([\d.]+)", done.stderr),
            int(_last(r"watch::grown: (\d+)", done.stderr)),
            (int(_last(r"INITED cov: (\d+)", done.stderr)), int(_last(r" cov: (\d+)", done.stderr))),
            finds,
        )


def _escaped(token: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in token)


def _last(pattern: str, text: str) -> float:
    """The last number that a pattern finds in the child's output."""
    found = re.findall(pattern, text)
    return float(found[-1]) if found else 0.0


def _keep(name: str, path: Path) -> Path:
    data = path.read_bytes()
    kept = KEPT / name / hashlib.sha256(data).hexdigest()[:16]
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(data)
    return kept


def blind(name: str, target: Target, runs: int, seconds: int) -> Outcome:
    """The same without atheris: mutations of the seeds, in this process."""
    began = time.monotonic()
    slowest, number, finds = 0.0, 0, []
    with tempfile.NamedTemporaryFile() as file:
        for data in mutants(list(target.seeds()), runs, target.longest, random.Random()):
            before = time.monotonic()
            if before - began > seconds:
                break
            try:
                target.run(data)
            except Exception:  # noqa: BLE001 - anything that is raised is a find
                Path(file.name).write_bytes(data)
                finds.append(_keep(name, Path(file.name)))
            slowest = max(slowest, time.monotonic() - before)
            number += 1
    return Outcome(number, time.monotonic() - began, slowest, 0, None, finds)


def main(argv: list[str]) -> int:
    """Run the targets; returns 1 if any failed."""
    parser = argparse.ArgumentParser(prog="python -m tools.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}, http; default: all")
    parser.add_argument("--runs", type=int, default=120_000, help="inputs for each parser (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=600, help="longest time for each parser (default: %(default)s)")
    parser.add_argument("--http", type=int, default=40, help="examples for each operation (default: %(default)s)")
    arguments = parser.parse_args(argv)
    unknown = set(arguments.targets) - {*TARGETS, "http"}
    if unknown:
        parser.error(f"there is no target {', '.join(sorted(unknown))}")
    names = arguments.targets or [*TARGETS, "http"]
    has_atheris = importlib.util.find_spec("atheris") is not None
    if not has_atheris:
        print("atheris is not installed: mutations without coverage instead")
    total, broken = 0, []
    print(f"{'target':<12}{'inputs':>10}{'seconds':>9}{'slowest ms':>12}{'grown MiB':>11}{'coverage':>16}{'finds':>7}")
    for name in names:
        if name == "http":
            continue
        run = (
            guided(name, arguments.runs, arguments.seconds)
            if has_atheris
            else blind(name, TARGETS[name], arguments.runs, arguments.seconds)
        )
        total += run.executions
        broken += [str(path.relative_to(ROOT)) for path in run.finds]
        reached = "{} → {}".format(*run.edges) if run.edges else "–"
        print(
            f"{name:<12}{run.executions:>10,}{run.seconds:>9.0f}{run.slowest * 1000:>12.1f}{run.grown:>11}"
            f"{reached:>16}{len(run.finds):>7}",
            flush=True,
        )
    print(f"{'all parsers':<12}{total:>10,}")
    if "http" in names:
        from tools.fuzz.http import over_http

        broken += over_http(arguments.http)
    print("\n".join([f"{len(broken)} find(s)", *broken]))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
