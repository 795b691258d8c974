"""Responses of a service: the expected one, or an exception with an exit code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

if TYPE_CHECKING:
    import requests

_VARIABLE = re.compile(r"\(([A-Z]+_[A-Z_]+)\)")
EXIT_REFUSED, EXIT_USAGE, EXIT_UNREACHABLE, EXIT_OUTPUT = 1, 2, 3, 4
"""Exit codes of the command besides 0."""


Json: TypeAlias = Any
"""Any value of JSON."""
JsonObject: TypeAlias = dict[str, Any]
"""An object that its holder may change."""
JsonMapping: TypeAlias = Mapping[str, Any]
"""An object that is only read."""
Shape = Mapping[str, type | tuple[type, ...]]
"""Required members of an object, with their types."""


class RequestFailedError(Exception):
    """A request failed; the text says why."""

    code: ClassVar[int] = EXIT_REFUSED
    """The command's exit code."""


class RefusedError(RequestFailedError):
    """The service responded with an error or a redirect.

    Args:
        status: HTTP status.
        problem: the problem object, or the readable parts of the response.
    """

    def __init__(self, status: int, problem: JsonMapping) -> None:
        summary = f"{status} {problem.get('title') or ''}".rstrip()
        text = f"{summary}: {problem['detail']}" if problem.get("detail") else summary
        super().__init__(text + _way_to_raise(problem))
        self.status = status
        self.problem = problem


def _way_to_raise(problem: JsonMapping) -> str:
    """How to raise the limit that a problem names, here and on a cluster; empty where it names none."""
    found = _VARIABLE.search(str(problem.get("detail") or "")) if "limit" in problem else None
    if found is None:
        return ""
    variable = found[1]
    function = variable.partition("_")[0].lower()
    return f"; to raise it: {variable}=… make serve, on a cluster: kn service update {function} --env {variable}=…"


class UnexpectedResponseError(RequestFailedError):
    """A response has another form than the function's."""


class ForeignOriginError(RequestFailedError):
    """A response refers to another host, port or scheme than the one named; nothing was sent there.

    Args:
        url: the address that it refers to.
    """

    def __init__(self, url: str) -> None:
        super().__init__(f"not followed, it is another origin: {url}")
        self.url = url


class UnreachableError(RequestFailedError):
    """No response arrived in any of the tries."""

    code = EXIT_UNREACHABLE


def document(response: requests.Response, shape: Shape, whose: str) -> JsonObject:
    """Return the JSON object of a response.

    Args:
        response: the response.
        shape: required members.
        whose: the expected sender, for the error message.

    Raises:
        UnexpectedResponseError: the body is something else.
    """
    try:
        value = response.json()
    except (ValueError, RecursionError) as error:
        raise unexpected(response, whose, "expected JSON") from error
    members = value if isinstance(value, dict) else {}
    if missing := [name for name, kind in shape.items() if not isinstance(members.get(name), kind)]:
        raise unexpected(response, whose, f"without {', '.join(missing)}")
    return members


def unexpected(response: requests.Response, whose: str, why: str) -> UnexpectedResponseError:
    """Return the error for a response of another kind."""
    kind = media_type(response) or "no media type"
    return UnexpectedResponseError(
        f"{response.url} is not {whose}: it responded {response.status_code} with {kind}, {why}"
    )


def media_type(response: requests.Response) -> str:
    """Return the media type of a response in lower case, without parameters."""
    return response.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def problem(response: requests.Response) -> JsonMapping:
    """Return the error of a response as a problem object."""
    if 300 <= response.status_code < 400:
        return {"title": response.reason, "detail": _elsewhere(response)}
    try:
        value = response.json()
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        return value
    # Proxies and queues respond in plain text; an HTML page is not for a terminal.
    text = "" if media_type(response) == "text/html" else response.text[:500].strip()
    return {"detail": text} if text else {"title": response.reason or "refused"}


def _elsewhere(response: requests.Response) -> str:
    where = response.headers.get("Location")
    return f"redirected to {where}; use that address" if where else "redirected without an address"
