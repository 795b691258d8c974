"""HTTP requests to a function: origin, timeout, retries with back-off."""

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

from functions.client import address, arguments, responses
from functions.client.responses import (
    ForeignOriginError,
    JsonMapping,
    JsonObject,
    RefusedError,
    RequestFailedError,
    UnreachableError,
)

if TYPE_CHECKING:
    import requests

DEFAULT_URL = "http://127.0.0.1:8080"
RETRIED = {429, 503}
LONGEST_BACKOFF = 30.0  # seconds between two tries without a Retry-After
LONGEST_WAIT = 300.0  # seconds; a longer Retry-After ends the tries
_LEAST_TIMEOUT = 1.0  # least seconds of a try, even close to the deadline


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of every subcommand that calls a function."""
    group = parser.add_argument_group("service")
    group.add_argument(
        "--url",
        type=arguments.url,
        default=os.environ.get("PIXELAMP_URL") or DEFAULT_URL,
        help="address of the functions, or of one function (PIXELAMP_URL; default %(default)s)",
    )
    add_patience(group, "longest wait for a response")


def add_patience(group: argparse._ActionsContainer, meaning: str) -> None:
    """Add the options for timeout, retries and token.

    Args:
        group: where to add the options.
        meaning: of `--timeout`.
    """
    group.add_argument(
        "--timeout", type=arguments.seconds, default=60.0, metavar="SECONDS", help=f"{meaning} (default %(default)g)"
    )
    group.add_argument(
        "--retries",
        type=arguments.count,
        default=5,
        metavar="N",
        help="further tries after 429, 503 or no response",
    )
    add_token(group)


def add_token(group: argparse._ActionsContainer) -> None:
    """Add the option for the bearer token."""
    group.add_argument(
        "--token", type=arguments.token, default=os.environ.get("PIXELAMP_TOKEN"), help="bearer token (PIXELAMP_TOKEN)"
    )


@dataclass
class Client:
    """An HTTP client of one origin (scheme, host and port), which alone gets the token; safe for several threads.

    Args:
        url: any URL at that origin, with its scheme.
        timeout: seconds to wait for a response.
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
        params: JsonMapping | None = None,
        headers: Mapping[str, str] | None = None,
        deadline: float | None = None,
        stream: bool = False,
    ) -> requests.Response:
        """Return a response of status 200 to 299.

        Redirects are not followed: a redirected POST becomes a GET, whose response is another.

        Args:
            method: HTTP method.
            url: at the client's origin, or relative to the client's URL; a name below `.localhost` is this machine.
            data: the body.
            params: the query; True is sent as 1, and None and False are left out.
            headers: request headers.
            deadline: `time.monotonic()` after which there is no further try.
            stream: whether the body is read by the caller as it arrives.

        Raises:
            ForeignOriginError: the URL is of another origin; nothing was sent.
            RefusedError: any other response that is not retried, or no longer.
            UnreachableError: no response.
        """
        import requests

        try:
            url = urljoin(self.url, url)
            target, host = address.dialled(url)
            here = address.origin(url) == address.origin(self.url)
        except ValueError as error:
            raise UnreachableError(f"cannot send a request to {url}: {error}") from error
        if not here:  # a response may name any address, which must not receive the token
            raise ForeignOriginError(url)
        sent = {**(headers or {}), **host}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        query = {name: 1 if value is True else value for name, value in (params or {}).items() if value or value == 0}
        query = {name: value for name, value in query.items() if value is not False}
        for attempt in range(self.retries + 1):
            failure: RequestFailedError
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
                hint = (
                    "; start `make serve`, or name another address by --url or PIXELAMP_URL"
                    if url.startswith(DEFAULT_URL)
                    else ""
                )
                failure, pause = UnreachableError(f"no response from {url}: {_reason(error)}{hint}"), backoff(attempt)
                failure.__cause__ = error
            except requests.RequestException as error:
                raise UnreachableError(f"cannot send a request to {url}: {error}") from error
            else:
                response.url = url  # as it was given, for messages: not 127.0.0.1 for a name below .localhost
                if 200 <= response.status_code < 300:
                    return response
                problem = responses.problem(response)
                failure = RefusedError(response.status_code, problem)
                if response.status_code not in RETRIED:
                    raise failure
                pause = wait(response.headers.get("Retry-After"), attempt, datetime.now(UTC))
                if pause > LONGEST_WAIT:
                    raise RefusedError(response.status_code, {**problem, "detail": _later(problem, pause)})
            if attempt == self.retries or (deadline is not None and time.monotonic() + pause > deadline):
                raise failure
            self.sleep(pause)
        raise AssertionError("the last try returns or raises")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._opened:  # one session a thread
            self._opened.pop().close()

    def _timeout(self, deadline: float | None) -> float:
        """Return the seconds that a try may take."""
        if deadline is None:
            return self.timeout
        return min(self.timeout, max(_LEAST_TIMEOUT, deadline - time.monotonic()))

    def _session(self) -> requests.Session:
        """Return this thread's session: requests does not document that sessions may be shared."""
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
        """Return the service named on the command line."""
        return cls(chosen.url, function, timeout=chosen.timeout, retries=chosen.retries, token=chosen.token)

    def result(self, method: str, path: str = "", *, shape: responses.Shape, **request: Any) -> JsonObject:
        """Return the JSON object of the function's response.

        Args:
            method: HTTP method.
            path: below the function, such as `/cpu`.
            shape: required members.
            request: arguments of `Client.ask`.

        Raises:
            RequestFailedError: as `Client.ask`; `UnexpectedResponseError` if the response is something else.
        """
        return responses.document(self.request(method, path, **request), shape, f"the function {self.function}")

    def picture(self, method: str, path: str = "", *, media: str = "image/", **request: Any) -> bytes:
        """Return the file of the function's response.

        Args:
            method: HTTP method.
            path: below the function, such as `/strip`.
            media: beginning of its media type.
            request: arguments of `Client.ask`.

        Raises:
            RequestFailedError: as `Client.ask`; `UnexpectedResponseError` if the response is something else.
        """
        response = self.request(method, path, **request)
        if not responses.media_type(response).startswith(media):
            raise responses.unexpected(response, f"the function {self.function}", f"expected {media.rstrip('/')}")
        return response.content

    def request(self, method: str, path: str = "", **request: Any) -> requests.Response:
        """Return a response of any kind; arguments and errors are those of `Client.ask`."""
        return self.ask(method, address.below(self.url, self.function, path), **request)


def backoff(attempt: int) -> float:
    """Return the seconds before the next try: 0.2 s, doubled each time, with jitter against synchronised clients."""
    return min(LONGEST_BACKOFF, 0.2 * 2.0**attempt) * random.uniform(0.5, 1.0)


def wait(retry_after: str | None, attempt: int, now: datetime) -> float:
    """Return the seconds of a `Retry-After` (seconds or a date), at least the back-off."""
    asked = 0.0
    text = (retry_after or "").strip()
    if text.isascii() and text.isdecimal():
        asked = float(text)
    elif text:
        try:
            asked = (parsedate_to_datetime(text) - now).total_seconds()
        except (TypeError, ValueError, OverflowError):
            asked = 0.0
    return max(asked, backoff(attempt))


def _later(problem: JsonMapping, pause: float) -> str:
    return f"{problem.get('detail') or 'busy'} (Retry-After: {pause:.0f} s; the limit is {LONGEST_WAIT:.0f} s)"


def _reason(error: BaseException) -> str:
    """The innermost cause: requests and urllib3 wrap it several times."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
