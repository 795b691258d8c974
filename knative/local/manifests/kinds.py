"""The kinds of Knative's API: their groups, the versions that a cluster serves, and the fields of each version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from knative.local.manifests import eventing_schema as eventing
from knative.local.manifests import schema as serving
from knative.local.manifests.decoding import Struct

SERVING = "serving.knative.dev"
EVENTING = "eventing.knative.dev"
MESSAGING = "messaging.knative.dev"
FLOWS = "flows.knative.dev"
SOURCES = "sources.knative.dev"
SINKS = "sinks.knative.dev"


@dataclass(frozen=True)
class Kind:
    """A kind of one of Knative's groups.

    Attributes:
        versions: the versions that a cluster serves, the newest first, and their fields. A version without fields is
            served, and its objects are not checked here.
    """

    versions: Mapping[str, Struct | None]


def _kind(fields: Struct | None = None, version: str = "v1") -> Kind:
    return Kind({version: fields})


KINDS: Mapping[tuple[str, str], Kind] = {
    ("", "ConfigMap"): _kind(serving.CONFIG_MAP),
    (SERVING, "Service"): _kind(serving.SERVICE),
    (SERVING, "Route"): _kind(serving.ROUTE),
    (SERVING, "Configuration"): _kind(serving.CONFIGURATION),
    (SERVING, "Revision"): _kind(serving.REVISION),
    (SERVING, "DomainMapping"): _kind(serving.DOMAIN_MAPPING, "v1beta1"),
    (EVENTING, "Broker"): _kind(eventing.BROKER),
    (EVENTING, "Trigger"): _kind(eventing.TRIGGER),
    (EVENTING, "EventType"): Kind(
        {
            "v1beta3": eventing.EVENT_TYPE_V1BETA3,
            "v1beta2": eventing.EVENT_TYPE_V1BETA2,
            "v1beta1": eventing.EVENT_TYPE_V1BETA2,
        }
    ),
    (EVENTING, "EventPolicy"): _kind(eventing.EVENT_POLICY, "v1alpha1"),
    (EVENTING, "EventTransform"): _kind(eventing.EVENT_TRANSFORM, "v1alpha1"),
    (EVENTING, "RequestReply"): _kind(eventing.REQUEST_REPLY, "v1alpha1"),
    (MESSAGING, "Channel"): _kind(eventing.CHANNEL),
    (MESSAGING, "InMemoryChannel"): _kind(eventing.IN_MEMORY_CHANNEL),
    (MESSAGING, "Subscription"): _kind(eventing.SUBSCRIPTION),
    (FLOWS, "Sequence"): _kind(eventing.SEQUENCE),
    (FLOWS, "Parallel"): _kind(eventing.PARALLEL),
    (SOURCES, "PingSource"): Kind({"v1": eventing.PING_SOURCE, "v1beta2": eventing.PING_SOURCE}),
    (SOURCES, "ApiServerSource"): _kind(eventing.API_SERVER_SOURCE),
    (SOURCES, "ContainerSource"): _kind(eventing.CONTAINER_SOURCE),
    (SOURCES, "SinkBinding"): _kind(eventing.SINK_BINDING),
    (SOURCES, "IntegrationSource"): _kind(eventing.INTEGRATION_SOURCE, "v1alpha1"),
    (SINKS, "JobSink"): _kind(eventing.JOB_SINK, "v1alpha1"),
    (SINKS, "IntegrationSink"): _kind(eventing.INTEGRATION_SINK, "v1alpha1"),
    # Of Knative's own controllers: people hardly write them, and nothing here checks them.
    **{
        (f"{group}.internal.knative.dev", kind): _kind(version="v1alpha1")
        for group, kinds in {
            "autoscaling": ("Metric", "PodAutoscaler"),
            "networking": ("Certificate", "ClusterDomainClaim", "Ingress", "ServerlessService"),
            "caching": ("Image",),
        }.items()
        for kind in kinds
    },
}
# Kinds that other projects of Knative add to its groups, each with a webhook of its own.
EXTENSIONS: Mapping[str, frozenset[str]] = {
    EVENTING: frozenset({"KafkaSink", "RabbitmqBrokerConfig"}),
    MESSAGING: frozenset({"KafkaChannel", "NatssChannel", "NatsJetStreamChannel"}),
    SOURCES: frozenset(
        {
            *("KafkaSource", "GitHubSource", "GitLabSource", "CephSource", "CouchDbSource", "RedisStreamSource"),
            *("RabbitmqSource", "AwsSqsSource", "PrometheusSource", "VSphereSource", "WebSphereMQSource"),
        }
    ),
    SINKS: frozenset({"RedisStreamSink"}),
}


def is_knative(group: str) -> bool:
    """Return whether a group is one of those that Knative's core defines."""
    return bool(group) and any(group == owner for owner, _ in KINDS)
