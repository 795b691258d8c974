"""One target under libFuzzer, in a process of its own: `python -m tests.fuzz.guided TARGET FOLDER [libFuzzer options]`.

Coverage comes from Python bytecode that atheris instruments as it is imported. Memory is watched here: libFuzzer's own
bookkeeping grows with its corpus, so the growth that counts begins once the parser has seen a thousand inputs.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import atheris

GROWTH = 64 * 1024 * 1024
WARM = 1000
INSTRUMENTED = ["functions", "knative", "multipart"]


def resident() -> int:
    """Bytes of memory that this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def watched(run: Callable[[bytes], None], seconds: float) -> Callable[[bytes], None]:
    """Raise when an input took too much CPU time, or memory has grown beyond the bound since the thousandth.

    libFuzzer's own timeout goes by the wall clock, which on a busy machine finds inputs that are not slow at all.
    """
    seen, base = 0, 0

    def once(data: bytes) -> None:
        nonlocal seen, base
        began = time.process_time()
        run(data)
        took = time.process_time() - began
        if took > seconds:
            raise TimeoutError(f"took {took:.2f} s of CPU time")
        seen += 1
        if seen == WARM:
            base = resident()
        elif seen > WARM and seen % WARM == 0 and resident() - base > GROWTH:
            raise MemoryError(f"grew by {(resident() - base) >> 20} MiB within {seen:,} inputs")

    return once


def main(arguments: list[str]) -> None:
    """Fuzz until libFuzzer's options say stop; does not return."""
    name, folder, *options = arguments
    with atheris.instrument_imports(include=INSTRUMENTED, enable_loader_override=False):
        from tests.fuzz.targets import TARGETS

        target = TARGETS[name]
        corpus = Path(folder)
        for number, seed in enumerate(target.seeds()):
            (corpus / f"seed-{number}").write_bytes(seed)
            target.run(seed)  # imports what the target imports lazily, so that it is instrumented too
    atheris.Setup(
        [sys.argv[0], *options, f"-max_len={target.longest}", str(corpus)],
        watched(target.run, target.seconds),
        internal_libfuzzer=True,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
