"""What a request must be before any work is done for it: rightly framed, uncoded, and with the token if one is set."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from functions.kit.http import problems
from functions.kit.http.problems import Problem

if TYPE_CHECKING:
    from flask import Request


def check_token(request: Request, token: str) -> None:
    """Refuse a request without the bearer token, where one is set.

    Raises:
        Problem: 401.
    """
    if not token:
        return
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    # The bytes as they came, which WSGI shows as Latin-1, with those of the variable: a token may be any text.
    sent, expected = given.strip(" \t").encode("latin-1", "replace"), token.encode(errors="surrogateescape")
    if scheme.lower() != "bearer" or not hmac.compare_digest(sent, expected):
        raise Problem(
            401,
            "unauthorised",
            "A token is needed",
            "send Authorization: Bearer with this service's token",
            headers={"WWW-Authenticate": "Bearer"},
        )


def check_framing(request: Request) -> None:
    """Refuse what gunicorn lets pass although RFC 9112 (3.2 and 6.1) wants it refused.

    Raises:
        Problem: 400 without a Host header, 501 for a transfer coding other than chunked.
    """
    if request.environ.get("SERVER_PROTOCOL") == "HTTP/1.1" and "HTTP_HOST" not in request.environ:
        raise problems.malformed("the request has no Host header")
    coding = request.headers.get("Transfer-Encoding", "chunked")
    if coding.strip().lower() != "chunked":
        raise Problem(
            501, "transfer-coding", "Not Implemented", f"the transfer coding {coding[:40]!r} is not read here"
        )


def check_coding(request: Request) -> None:
    """Refuse a compressed body by what it is (RFC 9110, 15.5.16): its bytes would only look like no image.

    Raises:
        Problem: 415.
    """
    coding = request.headers.get("Content-Encoding", "").strip().lower()
    if coding not in {"", "identity"}:
        raise Problem(
            415,
            "content-coding",
            "Content coding not accepted",
            f"the content coding {coding[:40]!r} is not read here; send the bytes as they are",
            headers={"Accept-Encoding": "identity"},
        )
