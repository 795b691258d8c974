"""Names inside the cluster, as a pod writes them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from knative.local.manifests.grammar import CLUSTER_SUFFIXES

_BROKER_INGRESS = "broker-ingress.knative-eventing"
_CHANNEL_SUFFIX = "-kn-channel"
SERVICE_PATH = b"/_knative/service/"


def inside(host: str, namespace: str, exists: Callable[[str], bool]) -> str | None:
    """The name and namespace, with a dot between them, that a host means to a pod.

    Args:
        host: Lower case, without a port.
        namespace: The pod's, to which a name without a dot belongs.
        exists: Whether there is such a Service. What ends like a cluster's name is one even where there is none; any
            other host with a dot is a cluster's only if there is such a Service, since `shop.example` may be both.

    Returns:
        None for a name outside the cluster.
    """
    host = host.rstrip(".")
    for suffix in CLUSTER_SUFFIXES:
        if host.endswith(suffix):
            return host.removesuffix(suffix)
    name = host if "." in host else f"{host}.{namespace}"
    return name if name.count(".") == 1 and exists(name) else None


def spellings(name: str, namespace: str, caller: str) -> Iterator[str]:
    """Every host by which a pod in the namespace `caller` may call a Service."""
    if namespace == caller:
        yield name
    yield f"{name}.{namespace}"
    for suffix in reversed(CLUSTER_SUFFIXES):
        yield f"{name}.{namespace}{suffix}"


def spelt_own(receivers: Iterable[tuple[str, str]], caller: str) -> Iterator[str]:
    """Every host by which a pod in the namespace `caller` may call a Broker, or a channel of these.

    Args:
        receivers: Name and namespace of each channel.
        caller: The namespace.
    """
    ingress, _, place = _BROKER_INGRESS.partition(".")
    yield from spellings(ingress, place, caller)
    for name, namespace in receivers:
        yield from spellings(f"{name}{_CHANNEL_SUFFIX}", namespace, caller)


def own_path(name: str, target: bytes) -> bytes | None:
    """The engine's own path for an address of a Broker or a Channel; None for any other name."""
    if name == _BROKER_INGRESS:
        return b"/_knative/broker" + target
    short, _, namespace = name.partition(".")
    if short.endswith(_CHANNEL_SUFFIX):
        return f"/_knative/channel/{namespace}/{short.removesuffix(_CHANNEL_SUFFIX)}".encode()
    return None


def service_path(name: str) -> str:
    """The engine's own path for the root of a Service, or of a tag of one, of a name and namespace."""
    short, _, namespace = name.partition(".")
    return f"{SERVICE_PATH.decode()}{namespace}/{short}"
