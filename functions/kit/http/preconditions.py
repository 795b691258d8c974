"""Checks before any work: framing, content coding, and the token if one is set."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from functions.kit.http import problems
from functions.kit.http.problems import Problem

if TYPE_CHECKING:
    from flask import Request


def check_token(request: Request, token: str) -> None:
    """Refuse a request without the bearer token, if one is set.

    Raises:
        Problem: 401.
    """
    if not token:
        return
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    # WSGI decodes header bytes as Latin-1; the variable is UTF-8. Both are compared as bytes: a token may be any text.
    sent, expected = given.strip(" \t").encode("latin-1", "replace"), token.encode(errors="surrogateescape")
    if scheme.lower() != "bearer" or not hmac.compare_digest(sent, expected):
        raise Problem(
            401,
            "unauthorised",
            "Token required",
            "send Authorization: Bearer with this service's token",
            headers={"WWW-Authenticate": "Bearer"},
        )


def check_framing(request: Request) -> None:
    """Refuse what RFC 9112 (3.2 and 6.1) forbids and gunicorn accepts.

    Raises:
        Problem: 400 without a Host header, 501 for a transfer coding other than chunked.
    """
    if request.environ.get("SERVER_PROTOCOL") == "HTTP/1.1" and "HTTP_HOST" not in request.environ:
        raise problems.malformed("the request has no Host header")
    coding = request.headers.get("Transfer-Encoding", "chunked")
    if coding.strip().lower() != "chunked":
        raise Problem(
            501, "transfer-coding", "Not Implemented", f"transfer coding {coding[:40]!r} is not supported; send chunked"
        )


def check_coding(request: Request) -> None:
    """Refuse a compressed body (RFC 9110, 15.5.16): its bytes are not recognised as an image.

    Raises:
        Problem: 415.
    """
    coding = request.headers.get("Content-Encoding", "").strip().lower()
    if coding not in {"", "identity"}:
        raise Problem(
            415,
            "content-coding",
            "Content coding not accepted",
            f"content coding {coding[:40]!r} is not supported; send the body uncompressed",
            headers={"Accept-Encoding": "identity"},
        )
