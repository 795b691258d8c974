"""The `dataref` extension: fetch the data of an event from a store (claim check).

Disabled unless the settings list hosts. A URL is checked before the first byte is sent: scheme and host against the
list, the resolved address against ranges. The connection is made to that address, so that a second look-up cannot
change it. Redirects are not followed. One deadline covers look-up, connection, headers and body.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import SplitResult, urlsplit

from functions.kit.http.problems import Problem, busy, quantity

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver: TypeAlias = Callable[[str, int], list[str]]

CHUNK = 64 * 1024
RETRY_SECONDS = 2
# Addresses with an embedded IPv4 address: NAT64 (RFC 6052, RFC 8215) and 6to4 (RFC 3056).
_CARRIERS = tuple(ipaddress.ip_network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16"))


@dataclass(frozen=True)
class Allowed:
    """The allowed targets of a dataref.

    Args:
        hosts: names allowed by https on port 443.
        origins: `(scheme, host, port)`; needed for plain http or another port.
        networks: ranges that are allowed in addition to public addresses; includes the literal address of an origin.
    """

    hosts: frozenset[str] = frozenset()
    origins: frozenset[tuple[str, str, int]] = frozenset()
    networks: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, entries: Iterable[str]) -> Allowed:
        """Parse the list of a setting: `example.org`, `https://store:8443`, `http://127.0.0.1:8080` or `10.1.0.0/16`.

        Raises:
            ValueError: an entry has another form.
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
        """Whether the host or origin of a URL is listed."""
        origin = _origin(parts)
        return origin in self.origins or (origin[0] == "https" and origin[2] == 443 and origin[1] in self.hosts)

    def reaches(self, address: Address) -> bool:
        """Whether an address is public or in a listed range."""
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        if any(address in network for network in self.networks if network.version == address.version):
            return True
        carried = any(address in network for network in _CARRIERS if network.version == address.version)
        return address.is_global and not address.is_multicast and not carried


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host, in the system's order.

    Raises:
        OSError: the name has no address.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(info[4][0]) for info in found))


def fetch(target: Target, limit: int) -> bytes:
    """Fetch the bytes of a dataref.

    Args:
        target: its checked URL.
        limit: limit of bytes.

    Raises:
        Problem: 422 for a permanent error of the store, 413 above the limit, 503 (retried) if the store does not
            answer, is overloaded or disconnects.
    """
    with target.get() as response:
        check_status(response.status, target)
        return read(response, limit)


@dataclass(frozen=True)
class Target:
    """A URL that is allowed, and the address that every connection for it is made to.

    Args:
        parts: of the URL.
        address: that was checked.
        deadline: of all requests, on the monotonic clock.
        context: TLS settings; None for the system's trust store.
    """

    parts: SplitResult
    address: str
    deadline: float
    context: ssl.SSLContext | None = None

    def __str__(self) -> str:
        """The origin alone: paths and queries of stores contain signatures."""
        return f"{self.parts.scheme}://{self.parts.netloc[:100]}"

    @contextmanager
    def get(self, headers: Mapping[str, str] | None = None) -> Iterator[http.client.HTTPResponse]:
        """The response to a GET, whose body is read before the end of the context.

        Args:
            headers: further ones of the request.

        Raises:
            Problem: 422 for an untrusted certificate, 503 if the store does not answer or disconnects.
        """
        scheme, host, port = _origin(self.parts)
        try:
            connection = socket.create_connection((self.address, port), timeout=_left(self.deadline))
            try:
                if scheme == "https":
                    connection.settimeout(_left(self.deadline))
                    context = self.context or ssl.create_default_context()
                    connection = context.wrap_socket(connection, server_hostname=host)
                yield self._exchange(connection, headers or {})
            finally:
                connection.close()
        except ssl.SSLCertVerificationError as error:
            raise _refused(f"the certificate of {self} is not trusted: {error.verify_message[:80]}") from None
        except (OSError, http.client.HTTPException) as error:
            raise busy(f"the dataref at {self} failed: {type(error).__name__}", RETRY_SECONDS) from None

    def _exchange(self, connection: socket.socket, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        parts = self.parts
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        further = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        connection.settimeout(_left(self.deadline))
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: */*\r\nAccept-Encoding: identity\r\n{further}"
            "Connection: close\r\n\r\n".encode()
        )
        response = http.client.HTTPResponse(_Timed(connection, self.deadline), method="GET")  # type: ignore[arg-type]
        response.begin()
        return response


def pin(
    url: str,
    allowed: Allowed,
    *,
    seconds: float,
    variable: str = "dataref_hosts",
    resolver: Resolver = resolve,
    context: ssl.SSLContext | None = None,
) -> Target:
    """Check a URL and resolve it, once for all requests.

    Args:
        url: absolute http or https URL.
        allowed: the allowed targets.
        seconds: deadline of all requests; the name look-up counts but cannot be interrupted.
        variable: the setting that an error names.
        resolver: returns the addresses of a host and port.
        context: TLS settings; None for the system's trust store.

    Raises:
        Problem: 422 for a refused URL, 503 for a host without an address.
    """
    deadline = time.monotonic() + seconds
    parts = _split(url)
    if not allowed.admits(parts):
        raise _refused(f"the dataref's origin {_shown(parts)} is not allowed ({variable})")
    _, host, port = _origin(parts)
    return Target(parts, _pinned(host, port, allowed, resolver), deadline, context)


def read(response: http.client.HTTPResponse, limit: int) -> bytes:
    """The body of a response.

    Raises:
        Problem: 413 above the limit.
        HTTPException: the body ends early.
    """
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


def check_status(status: int, target: Target, accepted: int = 200) -> None:
    """Refuse a response of another status.

    Raises:
        Problem: 503 for a status that says to try again, 422 for any other.
    """
    if status == accepted:
        return
    if status in (408, 425, 429) or status >= 500:
        raise busy(f"the dataref at {target} answered {status}", RETRY_SECONDS)
    hint = "; redirects are not followed" if 300 <= status < 400 else ""
    raise _refused(f"the dataref at {target} answered {status}{hint}")


def _split(url: str) -> SplitResult:
    # Before splitting: urlsplit silently drops line breaks and tabs.
    if not url.isascii() or any(ord(character) <= 32 or ord(character) == 127 for character in url):
        raise _refused("the dataref contains characters that are not allowed in a URL")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _refused("the dataref is not a URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise _refused("the dataref is not an absolute http or https URL")
    if parts.username is not None or parts.password is not None:
        raise _refused("the dataref must not contain credentials")
    return parts


def _pinned(host: str, port: int, allowed: Allowed, resolver: Resolver) -> str:
    """Return the first address of the host that is allowed."""
    literal = _literal(host)
    try:
        found = [str(literal)] if literal else resolver(host, port)
    except OSError:
        raise busy(f"the dataref's host {host[:100]!r} has no address", RETRY_SECONDS) from None
    for text in found:
        address = _literal(text)
        if address and allowed.reaches(address):
            return text
    raise _refused(f"the dataref's host {host[:100]!r} has no public or listed address")


class _Timed:
    """A socket for `HTTPResponse` whose reads share one deadline."""

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
    """The origin alone: paths and queries of stores contain signatures."""
    return f"{parts.scheme}://{parts.netloc[:100]}"


def _refused(detail: str) -> Problem:
    return Problem(422, "dataref-refused", "Event data not fetched", detail)


def _too_large(limit: int, actual: int | None) -> Problem:
    has = quantity(actual, "bytes") if actual is not None else "more than that"
    return Problem(
        413, "too-many-bytes", "Event data too large", f"the limit is {quantity(limit, 'bytes')}; the dataref has {has}"
    )
