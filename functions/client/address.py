"""Where a function, a broker or an engine is: a URL as people type it, and what has to be dialled for it."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit, urlunsplit


def checked(text: str) -> str:
    """An address with its scheme: `http://` is put before one that has none.

    Raises:
        ValueError: no request can go there; the text says why.
    """
    url = text if "://" in text else f"http://{text}"
    parts = _split(url, text)
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"{text!r} is no address of a service: expected http:// or https://")
    if not parts.hostname:
        raise ValueError(f"{text!r} names no host")
    return url


def _split(url: str, text: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        # A port that is none is noticed only when it is asked for, and a name that is none when it is looked up.
        _ = parts.port, (parts.hostname or "").encode("idna")
    except ValueError as error:
        raise ValueError(f"{text!r} is no address: {error}") from error
    if "\\" in parts.netloc:  # what dials ends the host here, as browsers do, and would dial another
        raise ValueError(f"{text!r} is no address: a backslash in the host")
    return parts


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port: who is asked, whatever for (RFC 6454, 4).

    Raises:
        ValueError: it is no address.
    """
    parts = _split(url, url)
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def dialled(url: str) -> tuple[str, dict[str, str]]:
    """The URL to connect to, and the headers that go with it.

    Browsers and curl take every name below `.localhost` for this machine (RFC 6761, 6.3); Python asks a name server.

    Raises:
        ValueError: it is no address.
    """
    parts = _split(url, url)
    host = parts.hostname or ""
    if not host.endswith(".localhost"):
        return url, {}
    who, at, where = parts.netloc.rpartition("@")
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit(parts._replace(netloc=f"{who}{at}127.0.0.1{port}")), {"Host": where}


def below(url: str, function: str, path: str) -> str:
    """The URL of a path below a function, whose name is added to an address that is only a host."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=(parts.path.rstrip("/") or f"/{function}") + path, fragment=""))
