"""Responses of servers as llhttp's callbacks read them: one response for one request, and nothing beyond it."""

from __future__ import annotations

import asyncio
import enum
from abc import ABC, abstractmethod
from typing import Any

import httptools

from knative.local.proxy.exchange import Exchange, Headers
from knative.local.proxy.headers import read_answer, trailers_of

TRAILER_BYTES = 64 * 1024


class State(enum.Enum):
    """What a connection is doing."""

    IDLE = "idle"  # carries no exchange
    WAITING = "waiting"  # the request is sent, and no byte of a response has come
    HEADERS = "headers"  # reads the headers of a response
    INTERIM = "interim"  # has read those of an interim response (1xx)
    BODY = "body"
    COMPLETE = "complete"  # the response is whole: what follows is surplus
    TUNNEL = "tunnel"  # bytes pass as they are
    CLOSED = "closed"  # closed by this side


# To look up a member of an enum costs 0.1 µs in Python 3.11, as much as a header's whole handling.
IDLE, WAITING, HEADERS, INTERIM, BODY, COMPLETE, TUNNEL, CLOSED = State


class ResponseReader(ABC):
    """What a connection has read of the response to its exchange; its methods `on_…` are the parser's calls."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser: Any = None
        self._exchange: Exchange | None = None
        self._state = IDLE
        self._reason = b""
        self._raw: Headers = []
        self._trailers: Headers = []
        self._counted = 0  # bytes of headers or trailers
        self._until_close = False  # the end of the connection is the end of the response
        self._keep_alive = False
        self._bodiless = False
        self._surplus = False
        self._failure: str | None = None

    @abstractmethod
    def _switch(self, exchange: Exchange, rest: bytes) -> None:
        """Handle a 101 response and the bytes after it."""

    def _expect(self, exchange: Exchange) -> None:
        """Begin with the response to a request that is sent now."""
        self._exchange = exchange
        if self._parser is None:
            self._parser = _parser_of(self)
        self._state = WAITING
        self._until_close = self._surplus = False
        self._failure = None
        self._counted = 0
        self._trailers = []

    def _parse(self, exchange: Exchange, data: bytes) -> bool:
        """Feed the parser; False where what follows is not the parser's any more."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._state is not COMPLETE:
                self._switch(exchange, data[upgrade.args[0] :])
                return False
            self._surplus = True
        except httptools.HttpParserError as error:
            self._surplus = True
            if self._state is not COMPLETE and self._failure is None:
                self._failure = f"answered something that is not HTTP: {error}"
        return True

    def on_message_begin(self) -> None:
        """A response begins."""
        if self._state is COMPLETE:
            self._surplus = True
            return
        self._raw = []
        self._reason = b""
        self._state = HEADERS

    def on_status(self, reason: bytes) -> None:
        """Collect the reason."""
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header or, after the body, a trailer."""
        if self._state is HEADERS:
            self._raw.append((name, value))
        elif self._state is BODY:
            self._counted += len(name) + len(value)
            self._trailers.append((name.lower(), value))
            if self._counted > TRAILER_BYTES:
                self._failure = f"answered with more than {TRAILER_BYTES:,} bytes of trailers"
                raise ValueError(self._failure)

    def on_headers_complete(self) -> None:
        """Pass the headers on."""
        exchange = self._exchange
        if exchange is None or self._state is COMPLETE:
            self._surplus = True
            return
        status = self._parser.get_status_code()
        answer = read_answer(status, self._raw)
        self._counted = 0
        exchange.touched = self._loop.time()
        if answer.mistake is not None:
            self._failure = answer.mistake
            raise ValueError(answer.mistake)
        if status == 101:
            self._begin_tunnel(exchange, answer.headers)
        elif status < 200:
            self._state = INTERIM
            exchange.client.informational(exchange, status, self._reason, answer.headers)
        else:
            exchange.status = status
            self._bodiless = bodiless = exchange.request.method == b"HEAD" or status in (204, 304)
            self._until_close = answer.length is None and not answer.chunked and not bodiless
            exchange.client.head(exchange, status, self._reason, answer.headers, answer.length)
            self._state = BODY
            if bodiless:
                self._state = COMPLETE
                self._keep_alive = self._parser.should_keep_alive()

    def _begin_tunnel(self, exchange: Exchange, headers: Headers) -> None:
        if exchange.request.upgrade is None:
            self._failure = "switched protocols unasked"
            return
        exchange.status = 101
        self._state = TUNNEL
        exchange.client.tunnel(exchange, self._reason, headers)

    def on_body(self, chunk: bytes) -> None:
        """Pass a piece of the body on."""
        exchange = self._exchange
        if exchange is None or self._state is COMPLETE:
            self._surplus = True
            return
        exchange.bytes_out += len(chunk)
        exchange.touched = self._loop.time()
        exchange.client.data(exchange, chunk)

    def on_message_complete(self) -> None:
        """Note that the response is whole, unless it was an interim one."""
        if self._state is BODY:
            self._state = COMPLETE
            # Only now: the parser forgets it with the message.
            self._keep_alive = self._parser.should_keep_alive()
            if self._exchange is not None:
                self._exchange.trailers = trailers_of(self._trailers)


def _parser_of(reader: ResponseReader) -> Any:
    """A parser of answers that, as Go's, reads bare line feeds, and chunks beside a length.

    The answer is written anew and what follows it is dropped, so that its client cannot read it in another way.
    """
    parser = httptools.HttpResponseParser(reader)
    parser.set_dangerous_leniencies(lenient_chunked_length=True, lenient_optional_cr_before_lf=True)
    return parser
