"""A call from inside the engine, as the broker and the console make it: a client without a connection."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from knative.local.proxy.exchange import Exchange, Headers


@dataclass(frozen=True)
class Response:
    """The answer to a call from inside the engine. Header names are lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first header of a name, or None."""
        return next((value for key, value in self.headers if key == name), None)


class CallError(OSError):
    """A call broke off after its answer had begun, or its answer was too large."""


@dataclass
class Call:
    """The client of an exchange that begins inside the engine, and gathers its answer.

    Args:
        limit: Bytes of an answer that are taken.

    Attributes:
        done: The answer, or a `CallError`.
    """

    limit: int
    done: asyncio.Future[Response] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    _status: int = 0
    _headers: tuple[tuple[str, str], ...] = ()
    _body: list[bytes] = field(default_factory=list)
    _size: int = 0

    def head(self, exchange: Exchange, status: int, reason: bytes, headers: Headers, length: int | None) -> None:
        """Begin the answer."""
        self._status = status
        self._headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)

    def data(self, exchange: Exchange, chunk: bytes) -> None:
        """Keep a piece of the body, up to the limit."""
        self._size += len(chunk)
        if self._size <= self.limit:
            self._body.append(chunk)

    def end(self, exchange: Exchange) -> None:
        """Hand the response over."""
        if self.done.done():
            return
        if self._size > self.limit:
            self.done.set_exception(CallError(f"an answer of {self._size} bytes; at most {self.limit} are taken"))
        else:
            self.done.set_result(Response(self._status, self._headers, b"".join(self._body)))

    def abort(self, exchange: Exchange) -> None:
        """Report that the response broke off."""
        if not self.done.done():
            self.done.set_exception(CallError("the answer broke off"))

    def tunnel(self, exchange: Exchange, reason: bytes, headers: Headers) -> None:
        """Break off: calls from inside the engine do not switch protocols."""
        self.abort(exchange)

    def informational(self, exchange: Exchange, status: int, reason: bytes, headers: Headers) -> None:
        """Interim answers are dropped."""

    def flush(self) -> None:
        """Do nothing: there is no connection."""

    def pause_body(self) -> None:
        """Do nothing: the whole body is here."""

    def resume_body(self) -> None:
        """Do nothing: the whole body is here."""
