"""Addresses of functions, brokers and engines: URLs as people type them, and what to connect to."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit, urlunsplit


def checked(text: str) -> str:
    """Return an address with its scheme; `http://` is added to one without.

    Raises:
        ValueError: the text is not an HTTP address; the message says why.
    """
    url = text if "://" in text else f"http://{text}"
    parts = _split(url, text)
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"{text!r} is not an address of a service: expected http:// or https://")
    if not parts.hostname:
        raise ValueError(f"{text!r} names no host")
    return url


def _split(url: str, text: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        # An invalid port is noticed only when it is read, an invalid name when it is looked up.
        _ = parts.port, (parts.hostname or "").encode("idna")
    except ValueError as error:
        raise ValueError(f"{text!r} is not an address: {error}") from error
    if "\\" in parts.netloc:  # the HTTP library ends the host here, as browsers do, and would connect to another
        raise ValueError(f"{text!r} is not an address: backslash in the host")
    return parts


def origin(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port (RFC 6454, 4).

    Raises:
        ValueError: it is not an address.
    """
    parts = _split(url, url)
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def dialled(url: str) -> tuple[str, dict[str, str]]:
    """Return the URL to connect to, and the headers to send.

    Browsers and curl resolve names below `.localhost` to this machine (RFC 6761, 6.3); Python asks a name server.

    Raises:
        ValueError: it is not an address.
    """
    parts = _split(url, url)
    host = parts.hostname or ""
    if not host.endswith(".localhost"):
        return url, {}
    user, at, host_and_port = parts.netloc.rpartition("@")
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit(parts._replace(netloc=f"{user}{at}127.0.0.1{port}")), {"Host": host_and_port}


def below(url: str, function: str, path: str) -> str:
    """Return the URL of a path below a function; its name is added to an address without a path."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=(parts.path.rstrip("/") or f"/{function}") + path, fragment=""))
