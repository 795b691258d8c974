"""Run once while an image is built: bytecode for the standard library, and matplotlib's list of fonts.

Loads the function and asks it a few things in this process, so that what it imports is known, and compiles those of the
modules that belong to the standard library. Of the load test it is the modules that each of its processes starts with.
"""

from __future__ import annotations

import importlib
import os
import py_compile
import sys
import sysconfig
from pathlib import Path


def load(function: str) -> None:
    """Import what the function imports when it starts and when it answers, or the load test when it starts."""
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
    """Build matplotlib's font list where MPLCONFIGDIR says, if matplotlib is there."""
    try:
        from matplotlib import font_manager
    except ModuleNotFoundError:
        return
    font_manager.findfont("DejaVu Sans")


def compile_library() -> int:
    """Compile the modules of the standard library that are loaded now.

    Returns:
        How many there were.
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
