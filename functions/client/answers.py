"""What came back: the answer that was asked for, or what is wrong with it, as exceptions with an exit code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import requests

EXIT_REFUSED, EXIT_USAGE, EXIT_UNREACHABLE, EXIT_OUTPUT = 1, 2, 3, 4
"""What the command ends with, besides 0."""


Shape = Mapping[str, type | tuple[type, ...]]
"""Members that an object must have, with their types."""


class Failed(Exception):
    """A request came to nothing; the text says why."""

    code: ClassVar[int] = EXIT_REFUSED
    """What the command ends with."""


class Refused(Failed):
    """The service answered with a problem, or that it is elsewhere.

    Args:
        status: HTTP status.
        problem: the problem object, or what could be made of the answer.
    """

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        told = f"{status} {problem.get('title') or ''}".rstrip()
        super().__init__(f"{told}: {problem['detail']}" if problem.get("detail") else told)
        self.status = status
        self.problem = problem


class Unexpected(Failed):
    """Somebody answered, but not what the function answers."""


class Elsewhere(Failed):
    """An answer leads to another host, port or scheme than was named, which is not asked.

    Args:
        url: where it leads.
    """

    def __init__(self, url: str) -> None:
        super().__init__(f"not asked, as it is elsewhere: {url}")
        self.url = url


class Unreachable(Failed):
    """No answer came, however often it was tried."""

    code = EXIT_UNREACHABLE


def document(response: requests.Response, shape: Shape, whose: str) -> dict[str, Any]:
    """The JSON object of an answer.

    Args:
        response: the answer.
        shape: what it must have.
        whose: who should have answered, as the error calls it.

    Raises:
        Unexpected: it is something else.
    """
    try:
        value = response.json()
    except (ValueError, RecursionError) as error:
        raise unexpected(response, whose, "JSON was asked for") from error
    members = value if isinstance(value, dict) else {}
    if missing := [name for name, kind in shape.items() if not isinstance(members.get(name), kind)]:
        raise unexpected(response, whose, f"without {', '.join(missing)}")
    return members


def unexpected(response: requests.Response, whose: str, why: str) -> Unexpected:
    """The error of an answer that is of another kind."""
    kind = media_type(response) or "no media type"
    return Unexpected(f"{response.url} is not {whose}: it answers {response.status_code} with {kind}, {why}")


def media_type(response: requests.Response) -> str:
    """Of an answer, without its parameters, in small letters."""
    return response.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def problem(response: requests.Response) -> Mapping[str, Any]:
    """What is wrong, as a problem object."""
    if 300 <= response.status_code < 400:
        return {"title": response.reason, "detail": _elsewhere(response)}
    try:
        said = response.json()
    except (ValueError, RecursionError):
        said = None
    if isinstance(said, dict):
        return said
    # Proxies and queues say it in plain text; a page is not for a terminal.
    text = "" if media_type(response) == "text/html" else response.text[:500].strip()
    return {"detail": text} if text else {"title": response.reason or "refused"}


def _elsewhere(response: requests.Response) -> str:
    where = response.headers.get("Location")
    return f"redirected to {where}; give the address that answers itself" if where else "redirected to nowhere"
