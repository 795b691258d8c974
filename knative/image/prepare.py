"""Prepare an image while it is built: bytecode of the standard library, and matplotlib's list of fonts.

Loads the function and sends it a few requests, then compiles the loaded modules of the standard library. For the load
test, these are the modules that each of its processes imports at start.
"""

from __future__ import annotations

import importlib
import os
import py_compile
import sys
import sysconfig
from pathlib import Path


def load(function: str) -> None:
    """Import the modules that the function needs to start and to answer, or the load test to start."""
    if function == "loadtest":
        importlib.import_module("loadtest.locustfile")
        return
    from functions.kit.server.application import build

    app, _ = build(function)
    client = app.test_client()
    for path in ("/", "/healthz", "/openapi.json", "/metrics"):
        for accept in ("text/html", "application/json"):
            client.get(path, headers={"Accept": accept})
    client.post("/", data=b"GIF89a", headers={"Content-Type": "image/gif"})


def fonts() -> None:
    """Build matplotlib's font list in MPLCONFIGDIR, if matplotlib is installed."""
    try:
        from matplotlib import font_manager
    except ModuleNotFoundError:
        return
    font_manager.findfont("DejaVu Sans")


def compile_library() -> int:
    """Compile the loaded modules of the standard library.

    Returns:
        Their number.
    """
    library = Path(sysconfig.get_path("stdlib"))
    files = {Path(file) for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))}
    chosen = sorted(file for file in files if file.suffix == ".py" and file.is_relative_to(library))
    for file in chosen:
        py_compile.compile(str(file), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    return len(chosen)


if __name__ == "__main__":
    load(os.environ["FUNCTION"])
    fonts()
    print(f"{compile_library()} modules of the standard library compiled", file=sys.stderr)
