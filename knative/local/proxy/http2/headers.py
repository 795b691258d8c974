"""Header blocks of HTTP/2 as requests and answers of the data path, and back. Pure.

A block may hold what HTTP/1.1 could not carry, or would read as another message: such a request is refused here, since
its pod may speak HTTP/1.1.
"""

from __future__ import annotations

import re

from knative.local.proxy.exchange import Exchange, Headers, Request
from knative.local.proxy.headers import (
    HEAD_FIELDS,
    TARGET_BYTES,
    AnswerHead,
    RefusedError,
    read_answer,
    read_request,
    target_too_long,
    too_many_fields,
)

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TARGET = re.compile(rb"[\x21-\x7e]+")
_VALUE = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*")
_STATUS = re.compile(rb"[1-9][0-9]{2}")
_DIGITS = re.compile(rb"[0-9]{1,18}")
_NOT_SENT = frozenset({b"te", b"host", b"content-length"})


def request_of(block: Headers, *, ended: bool, peer: str) -> Request:
    """Read a request.

    Args:
        block: The header block, pseudo-headers first.
        ended: Whether there is no body.
        peer: The client's address.

    Raises:
        RefusedError: It is too large, or HTTP/1.1 could not carry it as it is.
    """
    pseudo = {name: value for name, value in block if name.startswith(b":")}
    method, target = pseudo.get(b":method", b""), pseudo.get(b":path", b"*")
    if b":protocol" in pseudo:
        raise RefusedError(501, "WebSockets over HTTP/2 (RFC 8441) are not supported: open them over HTTP/1.1")
    lines = list(_lines(block, pseudo))
    if not _TOKEN.fullmatch(method) or not _TARGET.fullmatch(target):
        raise RefusedError(400, "bad request")
    if len(target) > TARGET_BYTES:
        raise target_too_long()
    head = read_request(method, lines, "1.1", len(target))
    return Request(
        method=method,
        target=target,
        headers=tuple(head.headers),
        host=head.host,
        version="2",
        length=head.length,
        chunked=head.length is None and not ended,
        peer=peer,
        credentials=head.credentials,
    )


def _lines(block: Headers, pseudo: dict[bytes, bytes]) -> Headers:
    """The header lines as HTTP/1.1 has them: one Host, one Cookie, one Content-Length of digits."""
    host = pseudo.get(b":authority")
    lines: Headers = [] if host is None else [(b"host", host)]
    cookies, lengths = [], set()
    for name, value in block:
        if name.startswith(b":"):
            continue
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise RefusedError(400, "bad request")
        if name == b"cookie":
            cookies.append(value)
        elif name == b"content-length":
            lengths.add(value)
        elif name != b"host" or host is None:
            lines.append((name, value))
    if len(block) > HEAD_FIELDS:
        raise too_many_fields()
    if len(lengths) > 1 or not all(map(_DIGITS.fullmatch, lengths)):
        raise RefusedError(400, "bad request")
    lines += [(b"content-length", length) for length in lengths]
    return [*lines, (b"cookie", b"; ".join(cookies))] if cookies else lines


def block_of_request(exchange: Exchange) -> Headers:
    """The header block of a request to a pod."""
    request = exchange.request
    block = [
        (b":method", request.method),
        (b":scheme", b"http"),
        (b":authority", request.host),
        (b":path", request.target),
        *exchange.headers,
    ]
    if request.length is not None and not request.chunked:
        block.append((b"content-length", b"%d" % request.length))
    return block


def answer_of(block: Headers) -> tuple[int, AnswerHead]:
    """The status of an answer, and what goes on of its head."""
    status = int(next((value for name, value in block if name == b":status" and _STATUS.fullmatch(value)), b"502"))
    return status, read_answer(status, plain(block))


def plain(block: Headers) -> Headers:
    """The lines of a block, of an answer or of trailers, that HTTP/1.1 can carry."""
    return [(bytes(name), bytes(value)) for name, value in block if _TOKEN.fullmatch(name) and _VALUE.fullmatch(value)]


def block_of_answer(status: int, headers: Headers, length: int | None) -> Headers:
    """The header block of an answer to a client."""
    block = [(b":status", b"%d" % status), *(line for line in headers if line[0] not in _NOT_SENT)]
    if length is not None and status != 204 and status >= 200:
        block.append((b"content-length", b"%d" % length))
    return block
