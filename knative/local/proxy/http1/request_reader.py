"""Requests as llhttp's callbacks read them, strict: what could be read in two ways is refused.

A message with two lengths, a length beside chunks, a bare line feed or a folded header is refused with 400.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from typing import Any

import httptools

from knative.local.proxy.exchange import Client, Exchange, Headers, Request
from knative.local.proxy.headers import (
    HEAD_BYTES,
    HEAD_FIELDS,
    TARGET_BYTES,
    RefusedError,
    head_too_large,
    read_request,
    target_too_long,
    too_many_fields,
    trailers_of,
)


class Phase(enum.Enum):
    """What a connection reads."""

    HEADERS = "headers"
    BODY = "body"
    RESUMED = "resumed"  # the body of a request whose switch of protocols is not passed on, behind headers of our own
    TUNNEL = "tunnel"  # bytes pass as they are
    LINGERING = "lingering"  # nothing more: what comes is dropped


# To look up a member of an enum costs 0.1 µs in Python 3.11, as much as a header's whole handling.
HEADERS, BODY, RESUMED, TUNNEL, LINGERING = Phase


class RequestReader(ABC):
    """What a connection has read of its client's requests; its methods `on_…` are the parser's calls.

    Args:
        peer: The client's address.
    """

    def __init__(self, peer: str) -> None:
        self._parser: Any = httptools.HttpRequestParser(self)
        self._peer = peer
        self._phase = HEADERS
        self._receiving: Exchange | None = None
        self._refusal: RefusedError | None = None
        self._url = b""
        self._raw: Headers = []
        self._trailers: Headers = []
        self._trailer_bytes = 0
        self._head_bytes = 0
        self._between = 0  # bytes since the last piece of a body: chunk extensions and trailers

    @property
    @abstractmethod
    def _client(self) -> Client:
        """The connection, which takes the answers."""

    @abstractmethod
    def _full(self) -> RefusedError | None:
        """Why no further request is accepted, or None."""

    @abstractmethod
    def _received(self, exchange: Exchange) -> None:
        """Follow that the head of a request is whole."""

    @abstractmethod
    def _received_whole(self, exchange: Exchange) -> None:
        """Follow that a request is whole."""

    def on_message_begin(self) -> None:
        """A head begins."""
        self._raw = []
        self._url = b""

    def on_url(self, url: bytes) -> None:
        """Collect the target, which may come in pieces."""
        self._url += url
        if len(self._url) > TARGET_BYTES:
            self._refusal = target_too_long()
            raise self._refusal

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header or, after the body, a trailer."""
        if self._phase is not HEADERS:
            if self._phase is BODY:
                self._trailers.append((name.lower(), value))
                self._trailer_bytes += len(name) + len(value) + 4
                if self._trailer_bytes > HEAD_BYTES or len(self._trailers) > HEAD_FIELDS:
                    many = len(self._trailers) > HEAD_FIELDS
                    self._refusal = too_many_fields() if many else head_too_large(self._trailer_bytes)
                    raise self._refusal
            return
        self._raw.append((name, value))
        if len(self._raw) > HEAD_FIELDS:
            self._refusal = too_many_fields()
            raise self._refusal

    def on_headers_complete(self) -> None:
        """A head is whole: the exchange begins."""
        if self._phase is RESUMED:
            return
        if (refusal := self._full()) is not None:
            self._refusal = refusal
            raise refusal
        parser = self._parser
        exchange = self._read_head(parser.get_method(), parser.get_http_version(), parser.should_keep_alive())
        self._phase = BODY
        self._head_bytes = 0
        self._trailers = []
        self._trailer_bytes = 0
        self._receiving = exchange
        self._received(exchange)

    def _read_head(self, method: bytes, version: str, keep_alive: bool) -> Exchange:
        try:
            head = read_request(method, self._raw, version, len(self._url))
        except RefusedError as refused:
            self._refusal = refused
            raise
        request = Request(
            method=method,
            target=self._url,
            headers=tuple(head.headers),
            host=head.host,
            version=version,
            length=head.length,
            chunked=head.chunked,
            upgrade=None if head.chunked or head.length else head.upgrade,  # a body is not for a tunnel
            peer=self._peer,
            credentials=head.credentials,
        )
        return Exchange(self._client, request, keep_alive=keep_alive)

    def on_body(self, chunk: bytes) -> None:
        """Hand a piece of the body on."""
        self._between = 0
        if self._receiving is not None:
            self._receiving.feed(chunk)

    def on_message_complete(self) -> None:
        """The request is whole, unless the parser is about to stop for another protocol."""
        if self._phase is not RESUMED and self._parser.should_upgrade():
            return
        receiving, self._receiving = self._receiving, None
        if self._phase is not LINGERING:
            self._phase = HEADERS
        self._head_bytes = self._between = 0
        if receiving is not None:
            receiving.request_trailers = trailers_of(self._trailers)
            receiving.feed_end()
            self._received_whole(receiving)
