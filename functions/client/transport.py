"""HTTP to a function: its address, retries with back-off, problems as exceptions."""

from __future__ import annotations

import argparse
import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    import requests

EXIT_REFUSED, EXIT_USAGE, EXIT_UNREACHABLE = 1, 2, 3
"""What the command ends with, besides 0."""

DEFAULT_URL = "http://127.0.0.1:8080"
RETRIED = {429, 503}
LONGEST_WAIT = 30.0  # seconds between two tries


class Refused(Exception):
    """The service answered with a problem.

    Args:
        status: HTTP status.
        problem: the problem object, or what could be made of the answer.
    """

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(f"{status} {problem.get('title', 'refused')}: {problem.get('detail', '')}".rstrip(": "))
        self.status = status
        self.problem = problem


class Unreachable(Exception):
    """No answer came, however often it was tried."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that every subcommand has."""
    group = parser.add_argument_group("service")
    group.add_argument(
        "--url",
        default=os.environ.get("PIXELAMP_URL", DEFAULT_URL),
        help="where the functions are, or the whole address of one (PIXELAMP_URL; default %(default)s)",
    )
    group.add_argument("--timeout", type=float, default=60.0, metavar="SECONDS", help="longest wait for an answer")
    group.add_argument("--retries", type=int, default=5, metavar="N", help="tries after a 429, a 503 or no answer")
    group.add_argument("--token", default=os.environ.get("PIXELAMP_TOKEN"), help="bearer token (PIXELAMP_TOKEN)")


@dataclass
class Service:
    """One function at an address; may be used by several threads.

    Args:
        url: of the route, to which the function's name is added, or of the function itself.
        function: name of the function.
        timeout: seconds to wait for an answer.
        retries: further tries after the first.
        token: bearer token, or None.
        sleep: called with seconds between tries.
    """

    url: str
    function: str
    timeout: float = 60.0
    retries: int = 5
    token: str | None = None
    sleep: Callable[[float], None] = time.sleep
    _local: threading.local = field(default_factory=threading.local, repr=False)
    _opened: list[requests.Session] = field(default_factory=list, repr=False)

    @classmethod
    def of(cls, chosen: argparse.Namespace, function: str) -> Service:
        """The service that the command line names."""
        return cls(chosen.url, function, chosen.timeout, chosen.retries, chosen.token)

    def request(
        self,
        method: str,
        path: str = "",
        *,
        data: bytes | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """One answer below 400.

        Args:
            method: HTTP method.
            path: below the function, such as `/strip`.
            data: the body.
            params: the query; True is sent as 1, and None and False are left out.
            headers: request headers.

        Raises:
            Refused: an answer of 400 or more that is not, or no longer, worth a try.
            Unreachable: no answer.
        """
        import requests

        target, host = self.address(path)
        sent = {**(headers or {}), **host}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        query = {name: 1 if value is True else value for name, value in (params or {}).items() if value or value == 0}
        query = {name: value for name, value in query.items() if value is not False}
        for attempt in range(self.retries + 1):
            last = attempt == self.retries
            try:
                response = self._session().request(
                    method, target, data=data, params=query, headers=sent, timeout=self.timeout
                )
            except (requests.ConnectionError, requests.Timeout) as error:
                if last or isinstance(error, requests.exceptions.InvalidURL):
                    raise Unreachable(f"no answer from {target}: {_reason(error)}") from error
                self.sleep(backoff(attempt))
                continue
            except requests.RequestException as error:
                raise Unreachable(f"cannot ask {target}: {error}") from error
            if response.status_code < 400:
                return response
            if response.status_code not in RETRIED or last:
                raise Refused(response.status_code, _problem(response))
            self.sleep(wait(response.headers.get("Retry-After"), attempt, datetime.now(UTC)))
        raise AssertionError("the last try returns or raises")

    def address(self, path: str) -> tuple[str, dict[str, str]]:
        """The URL to ask and the headers that go with it."""
        parts = urlsplit(self.url if "://" in self.url else f"http://{self.url}")
        base = parts.path.rstrip("/") or f"/{self.function}"
        host = parts.hostname or ""
        if not host.endswith(".localhost"):
            return urlunsplit((parts.scheme, parts.netloc, base + path, parts.query, "")), {}
        # Browsers and curl take every name below localhost for this machine; Python asks a name server.
        port = f":{parts.port}" if parts.port else ""
        return urlunsplit((parts.scheme, f"127.0.0.1{port}", base + path, parts.query, "")), {"Host": parts.netloc}

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        while self._opened:  # connections are kept, a session a thread
            self._opened.pop().close()

    def _session(self) -> requests.Session:
        """This thread's session: requests does not promise that one may be shared."""
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            import requests

            session = self._local.session = requests.Session()
            self._opened.append(session)
        return session


def backoff(attempt: int) -> float:
    """Seconds before the next try: 0.2 s, doubled each time, with jitter so that clients do not come back at once."""
    return min(LONGEST_WAIT, 0.2 * 2.0**attempt) * random.uniform(0.5, 1.0)  # noqa: S311 - not a secret


def wait(retry_after: str | None, attempt: int, now: datetime) -> float:
    """Seconds that a `Retry-After` (seconds or a date) asks for, never less than the back-off."""
    asked = 0.0
    if retry_after and retry_after.strip().isdigit():
        asked = float(retry_after)
    elif retry_after:
        try:
            asked = (parsedate_to_datetime(retry_after) - now).total_seconds()
        except (TypeError, ValueError):
            asked = 0.0
    return min(LONGEST_WAIT, max(asked, backoff(attempt)))


def _problem(response: requests.Response) -> Mapping[str, Any]:
    try:
        problem = response.json()
    except ValueError:
        problem = None
    return problem if isinstance(problem, dict) else {"title": response.reason or "refused"}


def _reason(error: BaseException) -> str:
    """The innermost cause: requests and urllib3 wrap it several times."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return str(error) or type(error).__name__
