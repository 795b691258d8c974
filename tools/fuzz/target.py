"""A fuzz target: one parser, which accepts any bytes and refuses them only by its documented errors."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from functions.kit.http.problems import Problem


@dataclass(frozen=True)
class Target:
    """A parser under fuzzing; it raises only for a defect.

    Attributes:
        run: gives it some bytes.
        seeds: inputs to begin with.
        longest: bytes of the largest input that is made.
        seconds: CPU time of a single input, beyond which it is a hang.
    """

    run: Callable[[bytes], None]
    seeds: Callable[[], Iterator[bytes]]
    longest: int = 4096
    seconds: float = 1.0


def refusing(run: Callable[[bytes], object]) -> Callable[[bytes], None]:
    """Accept a client error as an answer, and treat a status of 500 or more as a defect."""

    @functools.wraps(run)
    def guarded(data: bytes) -> None:
        try:
            run(data)
        except Problem as problem:
            if problem.status >= 500:
                raise AssertionError(f"{problem.status} {problem.slug}: {problem.detail}") from problem
            json.loads(problem.encode("id"))

    return guarded
