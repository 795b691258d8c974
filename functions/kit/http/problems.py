"""Errors as values with a status: RFC 9457 problem details.

The status is the retry contract. Knative Eventing retries 404, 408, 409, 429 and every 5xx, and dead-letters
the rest, so a broken image is never one of those and overload always is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

# Relative to the address that answered, where each function describes the type.
TYPE_BASE = "/problems/"
MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """An error response.

    Args:
        status: HTTP status code.
        slug: last part of the stable `type`, a row of problems.tsv, such as `too-many-pixels`.
        title: the kind of problem, equal for all occurrences.
        detail: this occurrence, naming the limit and the actual value with units.
        headers: response headers, such as `Retry-After`.
        extensions: further members of the problem object, such as `limit` and `actual`.
    """

    def __init__(
        self,
        status: int,
        slug: str,
        title: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        **extensions: object,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.slug = slug
        self.title = title
        self.detail = detail
        self.headers = dict(headers or {})
        self.extensions = extensions

    def document(self, instance: str | None = None) -> dict[str, object]:
        """The problem object; `instance` is the id of the request it happened to."""
        body: dict[str, object] = {
            "type": TYPE_BASE + self.slug,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            **self.extensions,
        }
        if instance:
            body["instance"] = f"urn:request:{instance}"
        return body

    def encode(self, instance: str | None = None) -> bytes:
        """The problem object as UTF-8 JSON."""
        return json.dumps(self.document(instance), ensure_ascii=False).encode()


class ProblemType(NamedTuple):
    """A kind of problem: a row of problems.tsv.

    Attributes:
        name: last part of the type.
        statuses: the HTTP statuses that it comes with, separated by spaces.
        title: of most of its problems.
        limits: the settings that bound it, separated by spaces, such as `max_pixels`.
        meaning: what was wrong.
        way_out: what a client or an operator can do.
    """

    name: str
    statuses: str
    title: str
    limits: str
    meaning: str
    way_out: str

    def document(self, limits: Mapping[str, object]) -> dict[str, object]:
        """The description of the type as JSON.

        Args:
            limits: value by variable of those settings, where they are known.
        """
        described: dict[str, object] = {
            "type": TYPE_BASE + self.name,
            "title": self.title,
            "status": [int(status) for status in self.statuses.split()],
            "meaning": self.meaning,
            "way_out": self.way_out,
        }
        if limits:
            first = next(iter(limits))
            function = first.partition("_")[0].lower()
            described["limits"] = dict(limits)
            described["to_raise_it"] = {
                "on this machine": f"{first}=… make serve",
                "on a cluster": f"kn service update {function} --env {first}=…",
            }
        return described


@cache
def problem_types() -> dict[str, ProblemType]:
    """All types of problems by name."""
    lines = Path(__file__).with_name("problems.tsv").read_text(encoding="utf-8").splitlines()
    return {row[0]: ProblemType(*row) for row in (line.split("\t") for line in lines[1:])}


def quantity(value: float, unit: str) -> str:
    """A number with its unit, grouped in thousands: `33,554,432 bytes`."""
    return f"{value:,} {unit}".strip()


def malformed(detail: str, **extensions: object) -> Problem:
    """400: the request is malformed."""
    return Problem(400, "malformed-request", "Malformed request", detail, None, **extensions)


def bad_option(name: str, detail: str, **extensions: object) -> Problem:
    """400: an option has a value that is not allowed."""
    return Problem(400, "bad-option", "Option not allowed", detail, None, option=name, **extensions)


def no_image(detail: str) -> Problem:
    """400: the request has no file."""
    return Problem(400, "no-image", "No image in the request", detail)


def not_found(path: str) -> Problem:
    """404: the function has no such path."""
    return Problem(404, "no-such-path", "No such path", f"this function has no path {path!r}")


def method_not_allowed(method: str, allowed: list[str]) -> Problem:
    """405, with the `Allow` header."""
    return Problem(
        405,
        "method-not-allowed",
        "Method not allowed",
        f"{method} is not allowed here; use {', '.join(allowed)}",
        headers={"Allow": ", ".join(allowed)},
    )


def not_acceptable(offered: list[str]) -> Problem:
    """406: the client accepts none of the media types offered."""
    return Problem(
        406,
        "not-acceptable",
        "Not acceptable",
        f"the offered media types are {', '.join(offered)}",
        offered=offered,
    )


def too_many_bytes(limit: int, actual: int | None, variable: str) -> Problem:
    """413: the body exceeds the limit; `actual` is None if it was not read to its end."""
    size = quantity(actual, "bytes") if actual is not None else "more"
    problem = Problem(
        413,
        "too-many-bytes",
        "Body too large",
        f"body has {size}; the limit is {quantity(limit, 'bytes')} ({variable})",
        limit=limit,
    )
    if actual is not None:
        problem.extensions["actual"] = actual
    return problem


def too_many_pixels(limit: int, width: int, height: int, variable: str) -> Problem:
    """413: the image's dimensions exceed the limit."""
    return Problem(
        413,
        "too-many-pixels",
        "Image too large",
        f"image has {width} × {height} = {quantity(width * height, 'pixels')}; "
        f"the limit is {quantity(limit, 'pixels')} ({variable})",
        limit=limit,
        actual=width * height,
    )


def unsupported_format(name: str, accepted: list[str]) -> Problem:
    """415: bytes of a known format that is not accepted."""
    return Problem(
        415,
        "unsupported-format",
        "Format not accepted",
        f"{name} is not accepted; the accepted formats are {', '.join(accepted)}",
        accepted=accepted,
    )


def unreadable_image(detail: str) -> Problem:
    """422: the bytes are not an image, or cannot be decoded."""
    return Problem(422, "unreadable-image", "Not a readable image", detail)


def missing_package(error: ImportError) -> Problem:
    """501: a package that this request needs is not installed, or cannot be loaded."""
    package = (error.name or "").partition(".")[0]
    detail = f"{package or 'a package'} cannot be loaded: {error}; install the requirements of this function"
    return Problem(501, "missing-package", "Package missing", detail, package=package or None)


def busy(detail: str, retry_after: int, status: int = 503) -> Problem:
    """503 (or 429): no capacity; the client may retry in `retry_after` seconds."""
    return Problem(status, "busy", "Busy", detail, headers={"Retry-After": str(retry_after)}, retry_after=retry_after)
