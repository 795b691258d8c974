"""Compile requirements/*.txt from pyproject.toml: pinned, hashed, for every platform, without index addresses."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXTRAS = tuple(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
# `make serve` starts no load.
SERVED = [extra for extra in EXTRAS if extra != "loadtest"]


def compile_to(name: str, *arguments: str, source: str | None = "pyproject.toml") -> None:
    """One requirements file; every other follows the versions of `dev`."""
    constraint = [] if name == "dev" else ["-c", "requirements/dev.txt"]
    command = [
        *(sys.executable, "-m", "uv", "pip", "compile", *filter(None, [source]), "--quiet", "--universal"),
        *("--python-version", "3.11", "--generate-hashes", "--no-annotate", "--no-emit-index-url"),
        *("--custom-compile-command", "make lock"),
        *arguments,
        *constraint,
        *("-o", f"requirements/{name}.txt"),
    ]
    print(f"requirements/{name}.txt")
    subprocess.run(command, cwd=ROOT, check=True)


def main() -> None:
    """All of them, `dev` first."""
    compile_to("dev", "--all-extras", "--group", "dev", "--group", "bench", "--group", "build", "--group", "image")
    for extra in EXTRAS:
        compile_to(extra, "--extra", extra)
    compile_to("image", "--group", "pyproject.toml:image", source=None)
    compile_to("serve", "--group", "build", *(f"--extra={extra}" for extra in SERVED))


if __name__ == "__main__":
    main()
