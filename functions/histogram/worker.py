"""The process that counts one large image and ends; see `child`."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import sys
from typing import cast

from functions.histogram.analysis import analyse_here
from functions.histogram.counting.model import Region, Share
from functions.histogram.result import Choices
from functions.kit.http.problems import Problem, missing_package
from functions.kit.http.settings import Settings
from functions.kit.images.strips.large import Large
from functions.kit.jsontypes import JsonObject

_PARENT_DIED, _SIGKILL = 1, 9


def main() -> None:
    """Read a request as JSON, and write its answer."""
    import ctypes
    import resource

    asked = json.load(sys.stdin)
    ctypes.CDLL(None).prctl(_PARENT_DIED, _SIGKILL)
    if os.getppid() != asked["parent"]:
        return
    resource.setrlimit(resource.RLIMIT_CPU, (2 * asked["seconds"], 2 * asked["seconds"]))
    json.dump(answer(asked), sys.stdout)


def answer(asked: JsonObject) -> JsonObject:
    """Count the image of a request.

    Args:
        asked: `settings`, `choices` and the open `descriptor` of the image, as `child` sends them.

    Returns:
        The fields of the `analysis`, or of the `problem`.
    """
    given = dict(asked["settings"])
    limit = given.pop("decode_bytes")
    for name, value in given.items():
        given[name] = tuple(value) if isinstance(value, list) else value
    settings = Settings(**given)
    choices = dict(asked["choices"])
    choices["channels"] = tuple(choices["channels"])
    region = choices["region"]
    if region is not None:
        choices["region"] = (Share if any(isinstance(value, float) for value in region) else Region)(*region)
    for name in ("value_range", "percentiles"):
        choices[name] = tuple(choices[name]) if choices[name] is not None else None
    return _answer(f"/proc/self/fd/{asked['descriptor']}", settings, Choices(**choices), limit)


def _read(path: str) -> bytes:
    """The file in a memory map, as in a request of its size."""
    import mmap
    from pathlib import Path

    from functions.kit.containers.source import Mapped

    with Path(path).open("rb") as file:
        empty = not file.seek(0, os.SEEK_END)
        return b"" if empty else cast(bytes, Mapped(file.fileno(), 0, access=mmap.ACCESS_READ))


def _answer(path: str, settings: Settings, choices: Choices, limit: int) -> JsonObject:
    large = Large(path, limit, settings.variable("decode_bytes"))
    try:
        found = analyse_here(_read(path), settings, choices, large)
    except Problem as problem:
        return _refusal(problem)
    except ImportError as error:
        return _refusal(missing_package(error))
    analysis = dataclasses.asdict(found)
    del analysis["choices"]
    if found.sample is not None:
        size = list(found.sample.size)
        analysis["sample"] = {"size": size, "rgb": base64.b64encode(found.sample.tobytes()).decode()}
    return {"analysis": analysis}


def _refusal(problem: Problem) -> JsonObject:
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


if __name__ == "__main__":
    main()
