"""The process that counts one large image and ends; see `child`."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from typing import Any

from functions.histogram.analysis import Choices, analyse_here
from functions.histogram.counting import Region
from functions.kit.http.problems import Problem
from functions.kit.http.settings import Settings
from functions.kit.images.large import Large

_PARENT_DIED, _SIGKILL = 1, 9


def main() -> None:
    """Read what is wanted as JSON, and write the result or its problem."""
    import ctypes
    import resource

    asked = json.load(sys.stdin)
    ctypes.CDLL(None).prctl(_PARENT_DIED, _SIGKILL)
    if os.getppid() != asked["parent"]:
        return
    resource.setrlimit(resource.RLIMIT_CPU, (2 * asked["seconds"], 2 * asked["seconds"]))
    given = asked["settings"]
    limit = given.pop("decode_bytes")
    for name, value in given.items():
        given[name] = tuple(value) if isinstance(value, list) else value
    settings = Settings(**given)
    choices = asked["choices"]
    choices["channels"] = tuple(choices["channels"])
    choices["region"] = Region(*choices["region"]) if choices["region"] else None
    path = f"/proc/self/fd/{asked['descriptor']}"
    json.dump(_answer(path, settings, Choices(**choices), limit), sys.stdout)


def _answer(path: str, settings: Settings, choices: Choices, limit: int) -> dict[str, Any]:
    from pathlib import Path

    large = Large(path, limit, settings.variable("decode_bytes"))
    try:
        found = analyse_here(Path(path).read_bytes(), settings, choices, large)
    except Problem as problem:
        return {
            "problem": {
                "status": problem.status,
                "slug": problem.slug,
                "title": problem.title,
                "detail": problem.detail,
                "headers": problem.headers,
                **problem.extensions,
            }
        }
    analysis = dataclasses.asdict(found)
    del analysis["choices"]
    return {"analysis": analysis}


if __name__ == "__main__":
    main()
