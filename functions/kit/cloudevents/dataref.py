"""The `dataref` extension: an event's data fetched from where it is kept (claim check).

Off unless the settings list hosts. What a URL may reach is decided before the first byte is sent: scheme and host by
the list, the resolved address by range, and the connection is made to that very address, so that a second look-up
cannot lead elsewhere. Redirects are not followed. One deadline spans look-up, connection, head and body.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import SplitResult, urlsplit

from functions.kit.http.problems import Problem, busy, quantity

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver: TypeAlias = Callable[[str, int], list[str]]

CHUNK = 64 * 1024
RETRY_SECONDS = 2
# Addresses that carry an IPv4 address of any range inside: NAT64 (RFC 6052, RFC 8215) and 6to4 (RFC 3056).
_CARRIERS = tuple(ipaddress.ip_network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16"))


@dataclass(frozen=True)
class Allowed:
    """Where a dataref may point.

    Args:
        hosts: names reached by https on port 443.
        origins: `(scheme, host, port)` allowed as written; the one way to plain http or another port.
        networks: ranges allowed although they are not public; the literal address of an origin is one of them.
    """

    hosts: frozenset[str] = frozenset()
    origins: frozenset[tuple[str, str, int]] = frozenset()
    networks: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, entries: Iterable[str]) -> Allowed:
        """The list of a setting: `example.org`, `https://store:8443`, `http://127.0.0.1:8080` or `10.1.0.0/16`.

        Raises:
            ValueError: an entry is none of these.
        """
        hosts: set[str] = set()
        origins: set[tuple[str, str, int]] = set()
        networks: list[Network] = []
        for entry in entries:
            if "://" in entry:
                parts = urlsplit(entry)
                if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
                    raise ValueError(f"{entry!r} is not an origin: scheme://host:port")
                origins.add(_origin(parts))
                address = _literal(parts.hostname)
                if address:
                    networks.append(ipaddress.ip_network(address))
            elif "/" in entry or _literal(entry):
                networks.append(ipaddress.ip_network(entry))
            else:
                hosts.add(entry.lower().rstrip("."))
        return cls(frozenset(hosts), frozenset(origins), tuple(networks))

    def admits(self, parts: SplitResult) -> bool:
        """Whether the list names the URL's host or origin."""
        origin = _origin(parts)
        return origin in self.origins or (origin[0] == "https" and origin[2] == 443 and origin[1] in self.hosts)

    def reaches(self, address: Address) -> bool:
        """Whether the address may be connected to: a public one, or one in a listed range."""
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        if any(address in network for network in self.networks if network.version == address.version):
            return True
        carried = any(address in network for network in _CARRIERS if network.version == address.version)
        return address.is_global and not address.is_multicast and not carried


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, in the system's order.

    Raises:
        OSError: the name has none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(info[4][0]) for info in found))


def fetch(
    url: str,
    allowed: Allowed,
    *,
    limit: int,
    seconds: float,
    variable: str = "dataref_hosts",
    resolver: Resolver = resolve,
    context: ssl.SSLContext | None = None,
) -> bytes:
    """The bytes a dataref points to.

    Args:
        url: absolute http or https URL.
        allowed: where it may point.
        limit: most bytes taken.
        seconds: deadline of the whole fetch. The name look-up counts but cannot be cut short.
        variable: the setting named in a refusal.
        resolver: from host and port to addresses.
        context: TLS settings; the system's trust store if None.

    Raises:
        Problem: 422 if the URL is refused or answers with a permanent error, 413 past the limit, 503 (to be
            retried) if the host does not answer, is overloaded or breaks off.
    """
    deadline = time.monotonic() + seconds
    parts = _split(url)
    if not allowed.admits(parts):
        raise _refused(f"the dataref's origin {_shown(parts)} is not among those allowed ({variable})")
    scheme, host, port = _origin(parts)
    address = _pinned(host, port, allowed, resolver)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection = socket.create_connection((address, port), timeout=_left(deadline))
        try:
            if scheme == "https":
                connection.settimeout(_left(deadline))
                connection = (context or ssl.create_default_context()).wrap_socket(connection, server_hostname=host)
            return _exchange(connection, parts, target, deadline, limit)
        finally:
            connection.close()
    except ssl.SSLCertVerificationError as error:
        raise _refused(f"the certificate of {_shown(parts)} is not trusted: {error.verify_message[:80]}") from None
    except (OSError, http.client.HTTPException) as error:
        raise busy(f"the dataref at {_shown(parts)} failed: {type(error).__name__}", RETRY_SECONDS) from None


def _split(url: str) -> SplitResult:
    # Before splitting: urlsplit drops line breaks and tabs without a word.
    if not url.isascii() or any(ord(character) <= 32 or ord(character) == 127 for character in url):
        raise _refused("the dataref holds characters that no URL has")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _refused("the dataref is not a URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise _refused("the dataref is not an absolute http or https URL")
    if parts.username is not None or parts.password is not None:
        raise _refused("the dataref must not hold credentials")
    return parts


def _pinned(host: str, port: int, allowed: Allowed, resolver: Resolver) -> str:
    """The address to connect to: the first of the host's that may be reached."""
    literal = _literal(host)
    try:
        found = [str(literal)] if literal else resolver(host, port)
    except OSError:
        raise busy(f"the dataref's host {host[:100]!r} has no address", RETRY_SECONDS) from None
    for text in found:
        address = _literal(text)
        if address and allowed.reaches(address):
            return text
    raise _refused(f"the dataref's host {host[:100]!r} has no public address, and its range is not listed")


def _exchange(connection: socket.socket, parts: SplitResult, target: str, deadline: float, limit: int) -> bytes:
    connection.settimeout(_left(deadline))
    connection.sendall(
        f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: */*\r\nAccept-Encoding: identity\r\n"
        "Connection: close\r\n\r\n".encode()
    )
    response = http.client.HTTPResponse(_Timed(connection, deadline), method="GET")  # type: ignore[arg-type]
    response.begin()
    _check_status(response.status, parts)
    if response.length is not None and response.length > limit:
        raise _too_large(limit, response.length)
    chunks: list[bytes] = []
    size = 0
    while chunk := response.read1(CHUNK):
        size += len(chunk)
        if size > limit:
            raise _too_large(limit, None)
        chunks.append(chunk)
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    return b"".join(chunks)


def _check_status(status: int, parts: SplitResult) -> None:
    if status == 200:
        return
    if status in (408, 425, 429) or status >= 500:
        raise busy(f"the dataref at {_shown(parts)} answered {status}", RETRY_SECONDS)
    hint = "; redirects are not followed" if 300 <= status < 400 else ""
    raise _refused(f"the dataref at {_shown(parts)} answered {status}{hint}")


class _Timed:
    """What `HTTPResponse` needs of a socket: a file over it whose every read ends at the deadline."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self._connection, self._deadline), CHUNK)


class _TimedReader(io.RawIOBase):
    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(_left(self._deadline))
        return self._connection.recv_into(buffer)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts.scheme, (parts.hostname or "").lower().rstrip("."), port


def _literal(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _shown(parts: SplitResult) -> str:
    """The origin alone: paths and queries of stores hold signatures."""
    return f"{parts.scheme}://{parts.netloc[:100]}"


def _refused(detail: str) -> Problem:
    return Problem(422, "dataref-refused", "Event data not taken", detail)


def _too_large(limit: int, actual: int | None) -> Problem:
    has = quantity(actual, "bytes") if actual is not None else "more than that"
    return Problem(
        413, "too-many-bytes", "Event data too large", f"the limit is {quantity(limit, 'bytes')}; the dataref has {has}"
    )
