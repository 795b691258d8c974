"""What the head of a message means for the next hop: which lines go on, where the body ends, what is refused. Pure.

Header lines are pairs of name and value as the parser gives them; those that go on have lower-case names.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from knative.local.proxy.exchange import HOP_BY_HOP, RESERVED, Headers

HEAD_BYTES = 64 * 1024
HEAD_FIELDS = 200
TARGET_BYTES = 16 * 1024
# RFC 3986, 3.2.2 and 3.2.3, in lower case: nothing that could end a quoted string or begin another part of a URL.
AUTHORITY = re.compile(rb"[a-z0-9\-._~!$&'()*+,;=%:\[\]]*")
_NOT_A_TRAILER = (
    HOP_BY_HOP | RESERVED | {b"content-length", b"host", b"authorization", b"content-encoding", b"set-cookie"}
)
_NOTED = frozenset({b"content-length", b"upgrade", b"proxy-authorization"})
# Lines that need a second look; all others go on as they are.
_OF_REQUESTS = HOP_BY_HOP | RESERVED | {b"host", b"content-length"}
_OF_ANSWERS = HOP_BY_HOP | {b"content-length"}
_NOT_A_HEADER = frozenset({b"close", b"keep-alive", b"upgrade", b"te", b"trailer", b""})


class RefusedError(ValueError):
    """A request that is not passed on; status and text are the answer to it."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def target_too_long() -> RefusedError:
    """The refusal of a request target over the limit."""
    return RefusedError(
        414, f"request target too long: the limit is {TARGET_BYTES:,} bytes; use the body for long values"
    )


def too_many_fields() -> RefusedError:
    """The refusal of a request with more header fields than the limit."""
    return RefusedError(431, f"too many request header fields: the limit is {HEAD_FIELDS}")


def head_too_large(size: int) -> RefusedError:
    """The refusal of a request head, or of trailers, of at least so many bytes."""
    text = f"request header fields too large: the limit is {HEAD_BYTES:,} bytes; got {size:,} or more"
    return RefusedError(431, f"{text}; shorten headers or cookies")


class RequestHead(NamedTuple):
    """A request's head.

    Attributes:
        headers: What goes on to the pod.
        host: The authority, lower case.
        length: Content-Length in bytes, or None.
        chunked: Whether the body ends with its last chunk.
        upgrade: `websocket` if that is asked for without a body; no other protocol is passed on.
        credentials: Those for a proxy, or None.
    """

    headers: Headers
    host: bytes
    length: int | None
    chunked: bool
    upgrade: bytes | None
    credentials: bytes | None = None


class AnswerHead(NamedTuple):
    """An answer's head; `length` is None where chunks or the connection's end tell the body's."""

    headers: Headers
    length: int | None
    chunked: bool
    mistake: str | None = None
    """Why it cannot be passed on, or None."""


def read_request(method: bytes, lines: Headers, version: str, size: int = 0) -> RequestHead:
    """Read a request's head.

    Args:
        method: Its method.
        lines: Its header lines.
        version: `1.0` or `1.1`.
        size: Bytes of the head beside the header lines.

    Raises:
        RefusedError: It is too large, or two servers could read it differently.
    """
    # The parser takes HTTP/0.9, which has no status and no headers to answer with.
    if version not in ("1.0", "1.1"):
        raise RefusedError(505, "HTTP version not supported")
    host = b""
    hosts = 0
    chunked = False
    noted: dict[bytes, bytes] = {}
    options: set[bytes] = set()
    headers: Headers = []
    for name, value in lines:
        size += len(name) + len(value) + 4
        key = name.lower()
        if key not in _OF_REQUESTS:
            headers.append((key, value))
        elif key == b"host":
            host = value.strip().lower()
            hosts += 1
        elif key in _NOTED:
            noted[key] = value
        elif key == b"transfer-encoding":
            if value.strip().lower() != b"chunked" or version == "1.0":
                raise RefusedError(501, "transfer coding not supported")
            chunked = True
        elif key == b"connection":
            options |= _options(value)
        elif key not in RESERVED:
            headers += _passed_on(key, value)
    if size > HEAD_BYTES:
        raise head_too_large(size)
    _check_host(host, hosts, version)
    if method == b"CONNECT":
        raise RefusedError(405, "method not allowed")
    length = int(noted[b"content-length"]) if b"content-length" in noted else None
    upgrade = noted.get(b"upgrade", b"").strip().lower()
    switches = upgrade == b"websocket" and b"upgrade" in options and not chunked and not length
    return RequestHead(
        headers=_without(headers, options) if options else headers,
        host=host,
        length=length,
        chunked=chunked,
        upgrade=upgrade if switches else None,
        credentials=noted.get(b"proxy-authorization"),
    )


def _check_host(host: bytes, count: int, version: str) -> None:
    if count > 1 or (count == 0 and version == "1.1"):
        raise RefusedError(400, "one Host header is needed")
    if not AUTHORITY.fullmatch(host):
        raise RefusedError(400, "the Host header is not an authority")


def read_answer(status: int, lines: Headers) -> AnswerHead:
    """Read an answer's head."""
    length: int | None = None
    chunked = False
    mistake = None if status >= 100 else f"answered with the status {status}; the least is 100"
    options: set[bytes] = set()
    headers: Headers = []
    for name, value in lines:
        key = name.lower()
        if key not in _OF_ANSWERS:
            headers.append((key, value))
        elif key == b"content-length":
            length = int(value)
        elif key == b"transfer-encoding":
            if chunked or value.strip().lower() != b"chunked":  # the body would go on without its coding
                mistake = "answered with a transfer coding other than chunked"
            chunked = True
        elif key == b"connection":
            options |= _options(value)
        elif key == b"upgrade" and status == 101:
            headers.append((key, value))
        else:
            headers += _passed_on(key, value)
    passed = _without(headers, options) if options else headers
    return AnswerHead(passed, None if chunked else length, chunked, mistake)


def _options(value: bytes) -> set[bytes]:
    return {option.strip().lower() for option in value.split(b",")}


def _without(headers: Headers, options: set[bytes]) -> Headers:
    """Drop what the connection's options name: it was meant for this hop alone."""
    named = options - _NOT_A_HEADER
    return [header for header in headers if header[0] not in named] if named else headers


def _passed_on(name: bytes, value: bytes) -> Headers:
    """The header as it goes on; nothing for one of the connection's own.

    Trailers are passed on by each hop here, and so are their announcement and a client's acceptance of them.
    """
    if name == b"te":
        accepted = any(coding.split(b";")[0].strip().lower() == b"trailers" for coding in value.split(b","))
        return [(b"te", b"trailers")] if accepted else []
    return [(name, value)] if name == b"trailer" or name not in HOP_BY_HOP else []


def trailers_of(lines: Headers) -> Headers:
    """The trailers that go on: none that frame, route or authenticate a message (RFC 9110, 6.5.1)."""
    return [(name, value) for name, value in lines if name not in _NOT_A_TRAILER] if lines else []
