"""Which Service a request's host or path names. Pure.

Hosts `<name>.<namespace>.<any domain>` and `<tag>-<name>.<namespace>.…` name a Service, as on a cluster. On any
other host the first segment of the path does.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from knative.local.manifests.grammar import CLUSTER_SUFFIXES
from knative.local.mesh.names import SERVICE_PATH

if TYPE_CHECKING:
    from knative.local.pods.service import Service

Services: TypeAlias = "Mapping[tuple[str, str], Service]"  # by namespace and name

_LOCAL_DOMAIN = b"localhost"


def by_host(services: Services, host: str, *, outside: bool) -> tuple[Service, str | None] | None:
    """The Service that a host names, and the tag of its traffic if the host names one.

    Args:
        services: Those there are.
        host: Lower case, bare.
        outside: Whether the request comes from outside the engine, for which cluster-local Services are not there.
    """
    if outside and host.endswith(CLUSTER_SUFFIXES):
        return None
    name, _, rest = host.partition(".")
    namespace = rest.partition(".")[0]
    service = services.get((namespace, name))
    if service is not None:
        return (service, None) if service.public or not outside else None
    for service in services.values():
        if service.namespace == namespace and name.endswith(f"-{service.name}"):
            tag = name.removesuffix(f"-{service.name}")
            if tag in service.tags and (service.public or not outside):
                return service, tag
    return None


def by_path(services: Services, target: bytes) -> Service | None:
    """The public Service that the first segment of a path names: `name`, or `name.namespace` for one of several.

    A name alone is the default namespace's Service, or the only one of that name.
    """
    segment = target[1:].split(b"/", 1)[0].split(b"?", 1)[0].decode("latin-1")
    if not segment or segment.startswith("_"):
        return None
    name, dot, namespace = segment.partition(".")
    service = services.get((namespace if dot else "default", name))
    if service is None and not dot:
        named = [service for service in services.values() if service.name == segment]
        service = named[0] if len(named) == 1 else None
    return service if service is not None and service.public else None


def by_own_path(services: Services, target: bytes) -> tuple[Service, str | None, bytes] | None:
    """The public Service that a path of the engine's own names, its tag, and the rest of the target, which is for it.

    A program that gets the address of a sink posts to it as it is: on a cluster that is the root of the Service.
    """
    path, question, query = target.partition(b"?")
    if not path.startswith(SERVICE_PATH):
        return None
    namespace, _, rest = path.removeprefix(SERVICE_PATH).partition(b"/")
    name, _, rest = rest.partition(b"/")
    found = by_host(services, f"{name.decode('latin-1')}.{namespace.decode('latin-1')}", outside=True)
    return None if found is None else (*found, b"/" + rest + question + query)


def path_of(services: Services, service: Service) -> str:
    """The path under which a Service is reached on any host."""
    short = f"/{service.name}"
    return short if by_path(services, short.encode()) is service else f"{short}.{service.namespace}"


def absolute(host: bytes, target: bytes) -> tuple[bytes, bytes]:
    """The authority and path of a target in absolute form; the Host header does not count then (RFC 9112, 3.2.2)."""
    scheme, found, rest = target.partition(b"://")
    if not found or scheme.lower() not in (b"http", b"https"):
        return host, target
    authority, slash, path = rest.partition(b"/")
    return authority.rsplit(b"@", 1)[-1].lower(), slash + path or b"/"


def bare(host: bytes) -> bytes:
    """A host without its port and final dot."""
    name, colon, port = host.rpartition(b":")
    return (name if colon and port.isdigit() else host).rstrip(b".")


class AllowedHosts:
    """The hosts that a request may name; any other is answered 421.

    A web page can have its own name resolved to this machine (DNS rebinding) and would then read what Services answer.
    It cannot make a browser send a loopback name, an address or a name that its owner does not control.

    Args:
        listener: The address the engine listens on.
        names: Names given by the user or the manifests; names below them are allowed too.
    """

    def __init__(self, listener: str, names: Iterable[str] = ()) -> None:
        self._listener = ipaddress.ip_address(listener)
        self._names = tuple(name.lower().strip(".").encode("ascii", "replace") for name in names)

    def __contains__(self, host: bytes) -> bool:
        """Whether a request may name a host, as the client wrote it, in lower case."""
        name = bare(host)
        if not name or name == _LOCAL_DOMAIN or name.endswith(b"." + _LOCAL_DOMAIN):
            return True
        try:
            address = ipaddress.ip_address(name.decode("latin-1").strip("[]"))
        except ValueError:
            return any(name == allowed or name.endswith(b"." + allowed) for allowed in self._names)
        return address.is_loopback or self._listener.is_unspecified or address == self._listener


def reached(address: str) -> str:
    """The host of URLs that lead to a socket bound to an address: the machine's own where it is bound to all of them.

    An IPv6 address is enclosed in brackets.
    """
    bound = ipaddress.ip_address(address)
    if bound.is_unspecified:
        return "127.0.0.1" if bound.version == 4 else "[::1]"
    return str(bound) if bound.version == 4 else f"[{bound}]"


def names_a_service(host: bytes) -> bool:
    """Whether a host is of the form that only Services have: `name.namespace.localhost`."""
    return bare(host).endswith(b"." + _LOCAL_DOMAIN)
