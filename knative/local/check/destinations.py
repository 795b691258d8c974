"""What Knative's webhooks refuse in the parts that several kinds share: names, references, destinations, delivery.

Follows `apis/duck/v1/{destination,knative_reference}.go` of knative/pkg and `pkg/apis/duck/v1/delivery_types.go` of
eventing. The data has been decoded: fields exist and have their types.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from knative.local.jsontypes import JsonMapping
from knative.local.manifests import grammar
from knative.local.manifests.cluster import Cluster
from knative.local.manifests.findings import Finding, Path, bad_key, disallowed, invalid, missing

_CERTIFICATE = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\r?\n(.*?)\r?\n?-----END \1-----", re.DOTALL)
CROSS_NAMESPACE = (
    "only name, apiVersion and kind are supported fields when feature.CrossNamespaceEventLinks is disabled"
)

Data = JsonMapping


def named(data: Data) -> Iterator[Finding]:
    """Refusals in the name of any object."""
    metadata = data.get("metadata", {})
    name = metadata.get("name", "")
    if not name and not metadata.get("generateName"):
        yield Finding("name or generateName is required", (("metadata", "name"),))
    for reason in grammar.dns1123_subdomain(name) if name else ():
        yield Finding(f'metadata.name: Invalid value: "{name}": {reason}', (("metadata", "name"),))


def reference(value: Data, path: Path, cluster: Cluster, namespace: str = "") -> Iterator[Finding]:
    """Refusals in a reference to an object; with a namespace, in one that must not leave it."""
    by_group = cluster.eventing("kreference-group")
    if not value.get("name"):
        yield missing((*path, "name"))
    if not value.get("apiVersion") and not (by_group and value.get("group")):
        yield missing((*path, "apiVersion"))
    if not value.get("kind"):
        yield missing((*path, "kind"))
    if value.get("group") and not by_group:
        yield disallowed((*path, "group"))
    other = value.get("namespace", "")
    if namespace and other and other != namespace:
        details = f'parent namespace: "{namespace}" does not match ref: "{other}"'
        yield Finding("mismatched namespaces", ((*path, "namespace"),), details)


def destination(value: Data, path: Path, cluster: Cluster) -> Iterator[Finding]:
    """Refusals in a destination of events."""
    target, uri = value.get("ref"), value.get("uri")
    if uri is not None and (reason := _url_mistake(uri)):
        message = f'cannot decode incoming new object: parse "{uri}": {reason}'
        yield Finding(message, ((*path, "uri"),), rule="wrong-type")
        return
    if target is None and uri is None:
        yield Finding("expected at least one, got none", ((*path, "ref"), (*path, "uri")))
        return
    parts = urlsplit(uri or "")
    if target is not None and parts.scheme:
        message = "Absolute URI is not allowed when Ref or [apiVersion, kind, name] is present"
        yield Finding(message, ((*path, "ref"), (*path, "uri")))
    elif target is None and not (parts.scheme and parts.netloc):
        yield invalid("Relative URI is not allowed when Ref and [apiVersion, kind, name] is absent", (*path, "uri"))
    elif target is not None and uri is None:
        yield from reference(target, (*path, "ref"), cluster)
    elif "CACerts" in value:
        yield from _certificates(value["CACerts"], (*path, "caCert"))


def _url_mistake(text: str) -> str:
    """Why Go's `url.Parse` refuses a text; empty if it does not."""
    if any(character < " " or character == "\x7f" for character in text):
        return "net/url: invalid control character in URL"
    scheme, colon, rest = text.partition(":")
    if colon and not scheme and not text.startswith("/"):
        return "missing protocol scheme"
    if bad := re.search(r"%(?![0-9A-Fa-f]{2}).{0,2}", text.partition("#")[0].partition("?")[0]):
        return f'invalid URL escape "{bad[0]}"'
    if colon and "/" not in scheme and not re.fullmatch("[A-Za-z][A-Za-z0-9+.-]*", scheme):
        return "first path segment in URL cannot contain colon"
    if not rest.startswith("//"):
        return ""
    host = re.split("[/?#]", rest[2:], maxsplit=1)[0].rpartition("@")[2]
    if bad := re.search(r"[ \\^`{|}\"<>]", host):
        return f'invalid character "{bad[0]}" in host name'
    port = re.search(r":([^:\]]*)$", host)
    if port and not port[1].isdigit() and port[1]:
        return f'invalid port ":{port[1]}" after host'
    return "missing ']' in host" if host.startswith("[") and "]" not in host else ""


def _certificates(text: str, path: Path) -> Iterator[Finding]:
    block = _CERTIFICATE.search(text)
    if block is None or not _is_der(block[2]):
        yield invalid("CA Cert provided is invalid", path)
    elif block[1] != "CERTIFICATE":
        yield invalid("CA Cert provided is not a certificate", path)


def _is_der(text: str) -> bool:
    """Return whether a PEM body is base64 of one DER sequence: the outermost form of a certificate."""
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error:
        return False
    if len(data) < 2 or data[0] != 0x30:
        return False
    if data[1] < 0x80:
        return len(data) == data[1] + 2
    size = data[1] & 0x7F
    return 0 < size <= 4 and len(data) == int.from_bytes(data[2 : 2 + size], "big") + 2 + size


def is_period(text: str) -> bool:
    """Return whether a text is an ISO 8601 duration such as `PT0.2S`, as Eventing's delivery settings take it."""
    try:
        grammar.parse_period(text)
    except ValueError:
        return False
    return True


def delivery(value: Data, path: Path, cluster: Cluster) -> Iterator[Finding]:
    """Refusals in how events are delivered."""
    if "deadLetterSink" in value:
        yield from destination(value["deadLetterSink"], (*path, "deadLetterSink"), cluster)
    if value.get("retry", 0) < 0:
        yield invalid(value["retry"], (*path, "retry"))
    checks: dict[str, Callable[[str], bool]] = {
        "timeout": lambda text: is_period(text) and grammar.parse_period(text) != 0,
        "backoffDelay": is_period,
        "backoffPolicy": {"exponential", "linear"}.__contains__,
        "format": {"json", "binary"}.__contains__,
        "retryAfterMax": lambda text: is_period(text) and not text.startswith("-"),
    }
    guarded = {"timeout": "delivery-timeout", "retryAfterMax": "delivery-retryafter"}
    for key, accepts in checks.items():
        if key not in value:
            continue
        if key in guarded and not cluster.eventing(guarded[key]):
            yield disallowed((*path, key))
        elif not accepts(value[key]):
            yield invalid(value[key], (*path, key))


def source(spec: Data, cluster: Cluster) -> Iterator[Finding]:
    """Refusals in the sink and the attributes that every source of events has."""
    yield from destination(spec.get("sink", {}), ("spec", "sink"), cluster)
    extensions = spec.get("ceOverrides", {}).get("extensions", {})
    for name in extensions:
        if not re.fullmatch("[a-zA-Z0-9]+", name):
            path = ("spec", "ceOverrides", "extensions", name)
            yield bad_key(name, path, "Extension names consist of letters and digits")
