"""HTTP to a function: who is asked, how long and how often, with back-off between tries."""

from __future__ import annotations

import argparse
import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urljoin

from functions.client import address, answers, arguments
from functions.client.answers import Elsewhere, Failed, Refused, Unreachable

if TYPE_CHECKING:
    import requests

DEFAULT_URL = "http://127.0.0.1:8080"
RETRIED = {429, 503}
LONGEST_BACKOFF = 30.0  # seconds between two tries where nobody says how long
LONGEST_WAIT = 300.0  # seconds that a Retry-After may ask for; with more, there are no further tries
_LEAST_TIMEOUT = 1.0  # seconds that a try has, however little is left before the deadline


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of every subcommand that asks a function."""
    group = parser.add_argument_group("service")
    group.add_argument(
        "--url",
        type=arguments.url,
        default=os.environ.get("PIXELAMP_URL", DEFAULT_URL),
        help="where the functions are, or the whole address of one (PIXELAMP_URL; default %(default)s)",
    )
    add_patience(group, "longest wait for an answer")


def add_patience(group: argparse._ActionsContainer, meaning: str) -> None:
    """How long and how often to try, and as whom.

    Args:
        group: where to add the options.
        meaning: of `--timeout`.
    """
    group.add_argument(
        "--timeout", type=arguments.seconds, default=60.0, metavar="SECONDS", help=f"{meaning} (default %(default)g)"
    )
    group.add_argument(
        "--retries", type=arguments.count, default=5, metavar="N", help="tries after a 429, a 503 or no answer"
    )
    add_token(group)


def add_token(group: argparse._ActionsContainer) -> None:
    """As whom to ask."""
    group.add_argument(
        "--token", type=arguments.token, default=os.environ.get("PIXELAMP_TOKEN"), help="bearer token (PIXELAMP_TOKEN)"
    )


@dataclass
class Client:
    """Asks one origin (scheme, host and port), which alone gets the token; may be used by several threads.

    Args:
        url: with its scheme; of something at that origin.
        timeout: seconds to wait for an answer.
        retries: further tries after the first.
        token: bearer token, or None.
        sleep: called with seconds between tries.
    """

    url: str
    _: KW_ONLY
    timeout: float = 60.0
    retries: int = 5
    token: str | None = None
    sleep: Callable[[float], None] = time.sleep
    _local: threading.local = field(default_factory=threading.local, repr=False)
    _opened: list[requests.Session] = field(default_factory=list, repr=False)

    def ask(
        self,
        method: str,
        url: str,
        *,
        data: bytes | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        deadline: float | None = None,
        stream: bool = False,
    ) -> requests.Response:
        """One answer of 200 to 299.

        Redirects are not followed: a POST that is sent on becomes a GET, whose answer is another.

        Args:
            method: HTTP method.
            url: at the client's origin, or relative to the client's URL; a name below `.localhost` is this machine.
            data: the body.
            params: the query; True is sent as 1, and None and False are left out.
            headers: request headers.
            deadline: `time.monotonic()` after which there is no further try.
            stream: whether to leave the answer's body to be read as it comes.

        Raises:
            Elsewhere: the URL is of another origin; nothing was sent.
            Refused: any other answer that is not, or no longer, worth a try.
            Unreachable: no answer.
        """
        import requests

        try:
            url = urljoin(self.url, url)
            target, host = address.dialled(url)
            here = address.origin(url) == address.origin(self.url)
        except ValueError as error:
            raise Unreachable(f"cannot ask {url}: {error}") from error
        if not here:  # an answer may name any address, and would be told the token there
            raise Elsewhere(url)
        sent = {**(headers or {}), **host}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        query = {name: 1 if value is True else value for name, value in (params or {}).items() if value or value == 0}
        query = {name: value for name, value in query.items() if value is not False}
        for attempt in range(self.retries + 1):
            failure: Failed
            try:
                response = self._session().request(
                    method,
                    target,
                    data=data,
                    params=query,
                    headers=sent,
                    timeout=self._timeout(deadline),
                    allow_redirects=False,
                    stream=stream,
                )
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
                failure, pause = Unreachable(f"no answer from {url}: {_reason(error)}"), backoff(attempt)
                failure.__cause__ = error
            except requests.RequestException as error:
                raise Unreachable(f"cannot ask {url}: {error}") from error
            else:
                response.url = url  # as it was given, for messages: not 127.0.0.1 for a name below .localhost
                if 200 <= response.status_code < 300:
                    return response
                problem = answers.problem(response)
                failure = Refused(response.status_code, problem)
                if response.status_code not in RETRIED:
                    raise failure
                pause = wait(response.headers.get("Retry-After"), attempt, datetime.now(UTC))
                if pause > LONGEST_WAIT:
                    raise Refused(response.status_code, {**problem, "detail": _later(problem, pause)})
            if attempt == self.retries or (deadline is not None and time.monotonic() + pause > deadline):
                raise failure
            self.sleep(pause)
        raise AssertionError("the last try returns or raises")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._opened:  # connections are kept, a session a thread
            self._opened.pop().close()

    def _timeout(self, deadline: float | None) -> float:
        """Seconds that a try may take."""
        if deadline is None:
            return self.timeout
        return min(self.timeout, max(_LEAST_TIMEOUT, deadline - time.monotonic()))

    def _session(self) -> requests.Session:
        """This thread's session: requests does not promise that one may be shared."""
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            import requests

            session = self._local.session = requests.Session()
            self._opened.append(session)
        return session


@dataclass
class Service(Client):
    """One function at an address.

    Args:
        url: with its scheme; of the route, to which the function's name is added, or of the function itself.
        function: name of the function.
    """

    function: str

    @classmethod
    def of(cls, chosen: argparse.Namespace, function: str) -> Service:
        """The service that the command line names."""
        return cls(chosen.url, function, timeout=chosen.timeout, retries=chosen.retries, token=chosen.token)

    def result(self, method: str, path: str = "", *, shape: answers.Shape, **request: Any) -> dict[str, Any]:
        """The JSON object that the function answers.

        Args:
            method: HTTP method.
            path: below the function, such as `/cpu`.
            shape: what it must have.
            request: as `Client.ask` takes it.

        Raises:
            Failed: as `Client.ask`; `Unexpected` where the answer is something else.
        """
        return answers.document(self.request(method, path, **request), shape, f"the function {self.function}")

    def picture(self, method: str, path: str = "", *, media: str = "image/", **request: Any) -> bytes:
        """The file that the function answers.

        Args:
            method: HTTP method.
            path: below the function, such as `/strip`.
            media: what its media type begins with.
            request: as `Client.ask` takes it.

        Raises:
            Failed: as `Client.ask`; `Unexpected` where the answer is something else.
        """
        response = self.request(method, path, **request)
        if not answers.media_type(response).startswith(media):
            raise answers.unexpected(response, f"the function {self.function}", f"{media.rstrip('/')} was asked for")
        return response.content

    def request(self, method: str, path: str = "", **request: Any) -> requests.Response:
        """One answer, whatever it is; arguments and errors as `Client.ask` has them."""
        return self.ask(method, address.below(self.url, self.function, path), **request)


def backoff(attempt: int) -> float:
    """Seconds before the next try: 0.2 s, doubled each time, with jitter so that clients do not come back at once."""
    return min(LONGEST_BACKOFF, 0.2 * 2.0**attempt) * random.uniform(0.5, 1.0)  # noqa: S311 - not a secret


def wait(retry_after: str | None, attempt: int, now: datetime) -> float:
    """Seconds that a `Retry-After` (seconds or a date) asks for, never less than the back-off."""
    asked = 0.0
    said = (retry_after or "").strip()
    if said.isascii() and said.isdecimal():
        asked = float(said)
    elif said:
        try:
            asked = (parsedate_to_datetime(said) - now).total_seconds()
        except (TypeError, ValueError, OverflowError):
            asked = 0.0
    return max(asked, backoff(attempt))


def _later(problem: Mapping[str, Any], pause: float) -> str:
    return f"{problem.get('detail') or 'busy'} (asks for {pause:.0f} s, more than is waited for)"


def _reason(error: BaseException) -> str:
    """The innermost cause: requests and urllib3 wrap it several times."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return str(error) or type(error).__name__
