"""One target under libFuzzer, in a process of its own: `python -m tools.fuzz.guided TARGET FOLDER [libFuzzer options]`.

Coverage comes from Python bytecode that atheris instruments as it is imported. Time and memory are watched input by
input (`tools.fuzz.watch`): libFuzzer's own bounds go by the wall clock, which on a busy machine finds inputs that are
not slow at all, and by the whole process.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

from tools.fuzz.watch import Watch

INSTRUMENTED = ["functions", "knative", "multipart"]


def main(arguments: list[str]) -> None:
    """Fuzz until libFuzzer's options end it; does not return."""
    name, folder, *options = arguments
    with atheris.instrument_imports(include=INSTRUMENTED, enable_loader_override=False):
        from tools.fuzz.targets import TARGETS

        target = TARGETS[name]
        corpus = Path(folder)
        for number, seed in enumerate(target.seeds()):
            (corpus / f"seed-{number}").write_bytes(seed)
            target.run(seed)  # imports what the target imports lazily, so that it is instrumented too
    watch = Watch(target.run, target.seconds)
    atheris.Setup(
        [sys.argv[0], *options, f"-max_len={target.longest}", str(corpus)],
        watch.once,
        internal_libfuzzer=True,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
