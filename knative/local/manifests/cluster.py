"""The configuration of a cluster, as its ConfigMaps state it: one object for all rules.

Follows, of serving, `pkg/apis/config/features.go`, `pkg/gc/config.go` and networking's `pkg/config/config.go`; of
eventing, `pkg/apis/feature/features.go` and `pkg/apis/config/defaults.go`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from knative.local.jsontypes import JsonMapping
from knative.local.manifests import grammar
from knative.local.manifests.cluster_config import (
    AUTOSCALER_KEYS,
    DEFAULTS_KEYS,
    AutoscalerConfig,
    Defaults,
    parse_autoscaler_config,
    parse_defaults,
    read_values,
)
from knative.local.manifests.findings import Finding, ManifestError

SERVING_NAMESPACE = "knative-serving"
EVENTING_NAMESPACE = "knative-eventing"
_POD_FEATURES = (
    *("affinity", "dnsconfig", "dnspolicy", "fieldref", "hostaliases", "hostipc", "hostnetwork", "hostpid"),
    *("init-containers", "nodeselector", "persistent-volume-claim", "persistent-volume-write", "priorityclassname"),
    *("runtimeclassname", "schedulername", "securitycontext", "shareprocessnamespace", "tolerations"),
    *("topologyspreadconstraints", "volumes-csi", "volumes-ephemeral", "volumes-hostpath", "volumes-image"),
    "volumes-mount-propagation",
)
_SERVING_FLAGS: Mapping[str, str] = {
    **{f"kubernetes.podspec-{name}": "disabled" for name in _POD_FEATURES},
    "kubernetes.podspec-volumes-emptydir": "enabled",
    "kubernetes.containerspec-addcapabilities": "disabled",
    "multi-container": "enabled",
    "multi-container-probing": "disabled",
    "secure-pod-defaults": "disabled",
    "tag-header-based-routing": "disabled",
    "autodetect-http2": "disabled",
    "queueproxy.mount-podinfo": "disabled",
    "queueproxy.resource-defaults": "disabled",
}
_EVENTING_FLAGS: Mapping[str, str] = {
    **dict.fromkeys(
        ("kreference-group", "kreference-mapping", "delivery-retryafter", "authentication-oidc"), "disabled"
    ),
    **dict.fromkeys(("transport-encryption", "eventtype-auto-create", "cross-namespace-event-links"), "disabled"),
    "new-apiserversource-filters": "disabled",
    "delivery-timeout": "enabled",
    "default-authorization-mode": "allow-same-namespace",
    "oidc-discovery-base-url": "https://kubernetes.default.svc",
    "requestreply-default-timeout": "PT30S",
}
DISABLED = -1.0
"""In `GarbageCollection`: no bound."""


@dataclass(frozen=True, kw_only=True)
class GarbageCollection:
    """A cluster's `config-gc`. Durations are in seconds; `DISABLED` means no bound."""

    retain_since_create_time: float = 48 * 3600.0
    retain_since_last_active_time: float = 15 * 3600.0
    min_non_active_revisions: int = 20
    max_non_active_revisions: int = 1000


@dataclass(frozen=True, kw_only=True)
class Network:
    """What a cluster's `config-network` says about names and roll-outs. The duration is in seconds."""

    domain_template: str = "{{.Name}}.{{.Namespace}}.{{.Domain}}"
    tag_template: str = "{{.Tag}}-{{.Name}}"
    rollout_duration: int = 0
    default_external_scheme: str = "http"


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A cluster's configuration; what no ConfigMap states has Knative's defaults.

    Attributes:
        features: flags of serving's `config-features`, in lower case.
        eventing_features: flags of eventing's `config-features`, in lower case.
        broker_defaults: the content of `config-br-defaults`, as eventing's own release ships it.
    """

    autoscaler: AutoscalerConfig = field(default_factory=AutoscalerConfig)
    defaults: Defaults = field(default_factory=Defaults)
    features: Mapping[str, str] = field(default_factory=lambda: _SERVING_FLAGS)
    eventing_features: Mapping[str, str] = field(default_factory=lambda: _EVENTING_FLAGS)
    garbage_collection: GarbageCollection = field(default_factory=GarbageCollection)
    network: Network = field(default_factory=Network)
    broker_defaults: JsonMapping = field(default_factory=dict)

    def enabled(self, feature: str) -> bool:
        """Return whether a pod may set what a feature of serving guards: its flag is `enabled`."""
        return self.features[feature] == "enabled"

    def allowed(self, feature: str) -> bool:
        """Return whether a field of a feature of serving is accepted: its flag is `enabled` or `allowed`."""
        return self.features[feature] != "disabled"

    def eventing(self, feature: str) -> bool:
        """Return whether a feature of eventing is enabled."""
        return self.eventing_features.get(feature) == "enabled"


def parse_features(data: Mapping[str, str]) -> Mapping[str, str]:
    """Return serving's flags; an unknown value leaves the default, as in Knative."""
    flags = dict(_SERVING_FLAGS)
    for key, value in data.items():
        words = {"enabled", "disabled", "allowrootbounded" if key == "secure-pod-defaults" else "allowed"}
        if key in flags and value.lower() in words:
            flags[key] = value.lower()
    return flags


def parse_eventing_features(data: Mapping[str, str]) -> Mapping[str, str]:
    """Return eventing's flags."""
    kept = {key.strip(): value.strip().lower() for key, value in data.items() if not key.startswith("_")}
    return {**_EVENTING_FLAGS, **kept}


def _refuse(mistakes: list[Finding]) -> None:
    if mistakes:
        raise ManifestError(mistakes)


def _retention(text: str) -> float:
    if text.lower() == "disabled":
        return DISABLED
    length = grammar.parse_duration(text) / grammar.SECOND
    if length < 0:
        raise ValueError("must be non-negative")
    return length


def _most(text: str) -> int:
    if text.lower() == "disabled":
        return int(DISABLED)
    if not re.fullmatch("[0-9]{1,19}", text):
        raise ValueError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    return int(text)


_GC_PARSERS: Mapping[str, Callable[[str], Any]] = {
    "retain-since-create-time": _retention,
    "retain-since-last-active-time": _retention,
    "min-non-active-revisions": grammar.parse_int,
    "max-non-active-revisions": _most,
}


def parse_garbage_collection(data: Mapping[str, str]) -> GarbageCollection:
    """Return the bounds of `config-gc`.

    Raises:
        ManifestError: values that Knative refuses, each at the path `(key,)`.
    """
    given = {key: value for key, value in data.items() if value}
    values, mistakes = read_values(_GC_PARSERS, given)
    config = GarbageCollection(**values)
    least, most = config.min_non_active_revisions, config.max_non_active_revisions
    key = "min-non-active-revisions"
    if least < 0:
        mistakes.append(Finding(f"{key} must be non-negative, was: {least}", ((key,),)))
    elif 0 <= most < least:
        mistakes.append(Finding(f"{key}({least}) must be <= max-non-active-revisions({most})", ((key,),)))
    _refuse(mistakes)
    return config


def _word(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f'"{text}" is not supported; known are {", ".join(filter(None, words))}')
        return text.lower()

    return parse


def _name_template(needed: tuple[str, ...]) -> Callable[[str], str]:
    """Read a Go template of a host name. Only plain fields are evaluated; one with other actions is taken as it is."""

    def parse(text: str) -> str:
        if text.count("{{") != text.count("}}"):
            raise ValueError(f"template: unclosed action in {text!r}")
        if re.search(r"\{\{-?\s*(?!\.[A-Z]\w*\s*-?\}\})", text):
            return text
        fields = re.findall(r"\{\{-?\s*\.(\w+)\s*-?\}\}", text)
        unknown = [name for name in fields if name not in {*needed, "Domain", "Annotations", "Labels"}]
        if unknown:
            raise ValueError(f"template: <.{unknown[0]}>: can't evaluate field {unknown[0]}")
        example = re.sub(r"\{\{-?\s*\.\w+\s*-?\}\}", "x", text)
        if not fields or grammar.dns1123_subdomain(example):
            raise ValueError(f"invalid domain name {example!r} from the template {text!r}")
        return text

    return parse


_NETWORK_PARSERS: Mapping[str, Callable[[str], Any]] = {
    "domain-template": _name_template(("Name", "Namespace", "Domain")),
    "tag-template": _name_template(("Tag", "Name")),
    "rollout-duration": grammar.parse_int,
    "default-external-scheme": str,
}
_NETWORK_WORDS: Mapping[str, Callable[[str], Any]] = {
    **dict.fromkeys(("autocreate-cluster-domain-claims", "enable-mesh-pod-addressability"), grammar.parse_bool),
    "internal-encryption": grammar.parse_bool,
    "http-protocol": _word("", "enabled", "disabled", "redirected"),
    **dict.fromkeys(("system-internal-tls", "cluster-local-domain-tls"), _word("", "enabled", "disabled")),
    **dict.fromkeys(("ingress-class", "certificate-class", "auto-tls", "external-domain-tls"), str),
    **dict.fromkeys(("mesh-compatibility-mode", "namespace-wildcard-cert-selector"), str),
}


def parse_network(data: Mapping[str, str]) -> Network:
    """Return what `config-network` says about names and roll-outs.

    Raises:
        ManifestError: values that Knative refuses, each at the path `(key,)`.
    """
    values, mistakes = read_values(_NETWORK_PARSERS, data)
    mistakes += read_values(_NETWORK_WORDS, data)[1]
    config = Network(**values)
    if config.rollout_duration < 0:
        key = "rollout-duration"
        message = f"{key} must be a positive integer, but was {config.rollout_duration}"
        mistakes.append(Finding(message, ((key,),)))
    _refuse(mistakes)
    return config


def parse_broker_defaults(data: Mapping[str, str]) -> JsonMapping:
    """Return the content of `config-br-defaults`: `clusterDefault` and `namespaceDefaults`.

    Raises:
        ManifestError: the key is missing, or its text is no YAML object.
    """
    key = "default-br-config"
    text = data.get(key, "")
    if not text:
        raise ManifestError([Finding(f'ConfigMap is missing (or empty) key: "{key}"', ((key,),))])
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        reason = str(error).splitlines()[0]
        raise ManifestError([Finding(f"Failed to parse the entry: {reason}", ((key,),))]) from None
    parts = [value, *(value.values() if isinstance(value, dict) else ())]
    if not all(isinstance(part, dict) for part in parts):
        raise ManifestError([Finding("Failed to parse the entry: it is not an object", ((key,),))])
    return dict(value)


@dataclass(frozen=True)
class ConfigMapReader:
    """How one ConfigMap of Knative is read: into which field of `Cluster`, by what, and the keys that it knows."""

    attribute: str
    parse: Callable[[Mapping[str, str]], Any]
    keys: frozenset[str] = frozenset()


def readers(name: str, namespace: str) -> Iterator[ConfigMapReader]:
    """Yield the reader of a ConfigMap, if it is one of Knative's that configure what is checked here."""
    if name == "config-features" and namespace == EVENTING_NAMESPACE:
        yield ConfigMapReader("eventing_features", parse_eventing_features)
    elif name in _READERS:
        yield _READERS[name]


_READERS: Mapping[str, ConfigMapReader] = {
    "config-autoscaler": ConfigMapReader("autoscaler", parse_autoscaler_config, AUTOSCALER_KEYS),
    "config-defaults": ConfigMapReader("defaults", parse_defaults, DEFAULTS_KEYS),
    "config-features": ConfigMapReader("features", parse_features, frozenset(_SERVING_FLAGS)),
    "config-gc": ConfigMapReader("garbage_collection", parse_garbage_collection, frozenset(_GC_PARSERS)),
    "config-network": ConfigMapReader(
        "network", parse_network, frozenset(_NETWORK_PARSERS) | frozenset(_NETWORK_WORDS)
    ),
    "config-br-defaults": ConfigMapReader("broker_defaults", parse_broker_defaults, frozenset({"default-br-config"})),
}
