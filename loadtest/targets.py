"""A file of targets: a JSON object a line, each a request and how often it is sent."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loadtest.generators.wire import Target, target

FIELDS = ("method", "url", "headers", "body", "weight")
MOST_TARGETS = 10_000


class TargetsError(ValueError):
    """A file of targets that cannot be used; the message names the line."""


def read(path: Path, headers: Mapping[str, str], *, trust: str = "") -> tuple[tuple[Target, ...], tuple[float, ...]]:
    """The targets of a file and their weights.

    Args:
        path: lines such as `{"method": "POST", "url": "http://…", "headers": {}, "body": "img.png", "weight": 3}`;
            `url` alone is needed, `body` is a file beside this one, empty lines and those with `#` are skipped.
        headers: sent with every request; a line's own come over them.
        trust: see `Target.trust`.

    Raises:
        TargetsError: a line is broken, the file has none, or they lead to different servers.
        OSError: the file cannot be read.
    """
    found: list[Target] = []
    weights: list[float] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            made, weight = _one(json.loads(line), path.parent, headers, trust)
        except (ValueError, OSError, RecursionError) as error:
            raise TargetsError(f"{path}, line {number}: {error}") from None
        if found and (made.host, made.port, made.tls) != (found[0].host, found[0].port, found[0].tls):
            here, there = f"{made.host}:{made.port}", f"{found[0].host}:{found[0].port}"
            raise TargetsError(
                f"{path}, line {number}: {here} is another server than {there}; name a Service by its Host header"
            )
        found.append(made)
        weights.append(weight)
        if len(found) > MOST_TARGETS:
            raise TargetsError(f"{path}, line {number}: the limit is {MOST_TARGETS:,} targets")
    if not found or not sum(weights):
        raise TargetsError(f"{path}: no target, or none with a weight above 0")
    return tuple(found), tuple(weights)


def _one(line: Any, folder: Path, headers: Mapping[str, str], trust: str) -> tuple[Target, float]:
    if not isinstance(line, dict):
        raise ValueError("a JSON object is expected")
    unknown = sorted(set(line) - set(FIELDS))
    if unknown:
        raise ValueError(f"there is no field {', '.join(map(repr, unknown))}; there are {', '.join(FIELDS)}")
    own, weight = line.get("headers", {}), line.get("weight", 1)
    texts = {name: line.get(name, "") for name in ("method", "url", "body")}
    if not all(isinstance(value, str) for value in texts.values()) or not texts["url"]:
        raise ValueError("url is needed, and method, url and body are text")
    if not isinstance(own, dict) or not all(isinstance(value, str) for value in own.values()):
        raise ValueError("headers must be an object of texts")
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < math.inf:
        raise ValueError(f"weight must be a number of at least 0, not {weight!r}")
    body = (folder / texts["body"]).read_bytes() if texts["body"] else b""
    method = texts["method"] or ("POST" if body else "GET")
    return target(texts["url"], method=method, headers={**headers, **own}, body=body, trust=trust), float(weight)
