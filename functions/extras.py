"""Entry points of the commands: where a package is missing, one line names the extra that installs it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

_OURS = frozenset({"functions", "knative", "loadtest"})
EXIT_MISSING = 2


def client() -> int:
    """Run `pixelamp`."""
    return _run("functions.client.__main__", "client")


def engine() -> int:
    """Run `pixelamp-knative`."""
    return _run("knative.__main__", "local,functions")


def load() -> int:
    """Run `pixelamp-loadtest`."""
    return _run("loadtest.__main__", "loadtest,local,functions")


def _run(module: str, extras: str) -> int:
    try:
        return int(importlib.import_module(module).main())
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in _OURS:
            raise
        command = Path(sys.argv[0]).name
        sys.stderr.write(f"{command}: package {error.name} is missing: pip install 'pixelamp[{extras}]'\n")
        return EXIT_MISSING
