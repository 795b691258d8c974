"""The kinds that the engine's Kubernetes API serves, as tables: names, versions, printer columns, verbs, subresources.

Names, categories and printer columns are those of the custom resource definitions of serving 98e5ef9 and
eventing 8cf4c4b, and of Kubernetes 1.36 for the core's kinds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from knative.local.manifests.kinds import EVENTING, FLOWS, KINDS, MESSAGING, SERVING, SOURCES

READ = ("get", "list", "watch")
READ_WRITE = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
READ_DELETE = ("delete", "deletecollection", "get", "list", "watch")
STATUS = "status"


@dataclass(frozen=True)
class Column:
    """A printer column of `kubectl get`.

    Attributes:
        name: its head.
        path: a JSONPath into the object; empty where a function of `tables` computes the cell.
        type: the OpenAPI type; `date` prints an age.
        priority: 1 for a column of `-o wide` alone.
        description: what the column shows, where that is not its path.
    """

    name: str
    path: str = ""
    type: str = "string"
    priority: int = 0
    description: str = ""


@dataclass(frozen=True)
class Kind:
    """A kind of the API.

    Attributes:
        group: the API group; empty for the core's.
        name: the kind, such as `Service`.
        plural: the resource's name in URLs.
        versions: the versions that are served, the preferred one first. All share one form.
        short: short names of the resource.
        categories: names by which kubectl selects several kinds, such as `all`.
        namespaced: whether its objects are in a namespace.
        columns: printer columns after the name.
        verbs: what a client may do.
        subresources: names below an object's path, with their verbs.
        labels: labels of its custom resource definition.
    """

    group: str
    name: str
    plural: str
    versions: tuple[str, ...] = ("v1",)
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    namespaced: bool = True
    columns: tuple[Column, ...] = ()
    verbs: tuple[str, ...] = READ_WRITE
    subresources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def resource(self) -> str:
        """The group-qualified plural: `services.serving.knative.dev`, `pods`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def singular(self) -> str:
        """The resource's name for one object."""
        return self.name.lower()

    @property
    def custom(self) -> bool:
        """Whether the kind comes from a custom resource definition."""
        return self.group.endswith(".knative.dev")

    def api_version(self, version: str = "") -> str:
        """Group and version as an object states them; the preferred version by default."""
        version = version or self.versions[0]
        return f"{self.group}/{version}" if self.group else version


def _ready(quote: str) -> tuple[Column, Column]:
    path = f".status.conditions[?(@.type=={quote}Ready{quote})]"
    return Column("Ready", f"{path}.status"), Column("Reason", f"{path}.reason")


# Serving writes its filters with one kind of quotation marks, most of eventing with the other.
_SERVING_READY, _READY = _ready("'"), _ready('"')
_AGE = Column("Age", ".metadata.creationTimestamp", "date")
_STATUS_URL = Column("URL", ".status.url")
_ADDRESS = Column("URL", ".status.address.url")
_SINK = Column("Sink", ".status.sinkUri")
_LATEST = (
    Column("LatestCreated", ".status.latestCreatedRevisionName"),
    Column("LatestReady", ".status.latestReadyRevisionName"),
)
_OF_CONFIGURATION = ".metadata.labels['serving\\.knative\\.dev/configuration"
_WITH_STATUS = {STATUS: ("get", "patch", "update")}


def _knative(group: str, name: str, plural: str, *columns: Column, short: tuple[str, ...] = (), **more: str) -> Kind:
    area = group.partition(".")[0]
    extra = tuple(more.pop("also", "").split())
    return Kind(
        group,
        name,
        plural,
        tuple(KINDS[group, name].versions),
        short,
        ("all", "knative", area, *extra),
        columns=columns,
        subresources=_WITH_STATUS,
        labels=dict.fromkeys(_labels(group, more), "true"),
    )


def _labels(group: str, more: Mapping[str, str]) -> Iterator[str]:
    """The labels by which tools find kinds that can be called, subscribed to or given pods."""
    yield from (f"duck.knative.dev/{duck}" for duck in more.get("duck", "").split())
    if group == MESSAGING and "duck" in more:
        yield "messaging.knative.dev/subscribable"


KNATIVE = (
    _knative(
        SERVING,
        "Configuration",
        "configurations",
        *_LATEST,
        *_SERVING_READY,
        short=("config", "cfg"),
        duck="podspecable",
    ),
    _knative(SERVING, "DomainMapping", "domainmappings", _STATUS_URL, *_SERVING_READY, short=("dm",)),
    _knative(
        SERVING,
        "Revision",
        "revisions",
        Column("Config Name", f"{_OF_CONFIGURATION}']"),
        Column("Generation", f"{_OF_CONFIGURATION}Generation']"),
        *_SERVING_READY,
        Column("Actual Replicas", ".status.actualReplicas", "integer"),
        Column("Desired Replicas", ".status.desiredReplicas", "integer"),
        short=("rev",),
    ),
    _knative(SERVING, "Route", "routes", _STATUS_URL, *_SERVING_READY, short=("rt",), duck="addressable"),
    _knative(
        SERVING,
        "Service",
        "services",
        _STATUS_URL,
        *_LATEST,
        *_SERVING_READY,
        short=("kservice", "ksvc"),
        duck="addressable podspecable",
    ),
    _knative(
        EVENTING,
        "Broker",
        "brokers",
        _ADDRESS,
        _AGE,
        *_READY,
        Column("Class", ".metadata.annotations.eventing\\.knative\\.dev/broker\\.class", priority=1),
        duck="addressable",
    ),
    _knative(
        EVENTING,
        "Trigger",
        "triggers",
        Column("Broker", ".spec.broker"),
        Column("Subscriber_URI", ".status.subscriberUri"),
        _AGE,
        *_READY,
    ),
    _knative(FLOWS, "Parallel", "parallels", _ADDRESS, _AGE, *_READY, duck="addressable"),
    _knative(FLOWS, "Sequence", "sequences", _ADDRESS, _AGE, *_READY, duck="addressable"),
    _knative(
        MESSAGING, "Channel", "channels", _ADDRESS, _AGE, *_READY, short=("ch",), also="channel", duck="addressable"
    ),
    _knative(
        MESSAGING,
        "InMemoryChannel",
        "inmemorychannels",
        _ADDRESS,
        _AGE,
        *_READY,
        short=("imc",),
        also="channel",
        duck="addressable",
    ),
    _knative(MESSAGING, "Subscription", "subscriptions", _AGE, *_READY, short=("sub",)),
    _knative(SOURCES, "ContainerSource", "containersources", _SINK, _AGE, *_SERVING_READY, duck="source"),
    _knative(
        SOURCES,
        "PingSource",
        "pingsources",
        _SINK,
        Column("Schedule", ".spec.schedule"),
        _AGE,
        *_SERVING_READY,
        duck="source",
    ),
    _knative(
        SOURCES, "SinkBinding", "sinkbindings", _SINK, _AGE, *_SERVING_READY, also="bindings", duck="source binding"
    ),
)

_CREATED = Column("Age", description="Time since the object was created.")
CORE = (
    Kind(
        "",
        "ConfigMap",
        "configmaps",
        short=("cm",),
        columns=(Column("Data", description="Number of keys."), _CREATED),
    ),
    Kind(
        "",
        "Event",
        "events",
        short=("ev",),
        columns=(
            Column("Last Seen", description="Time since the event was last seen."),
            Column("Type", description="Normal or Warning."),
            Column("Reason", description="Why the event was recorded, as a word."),
            Column("Object", description="The object that the event is about."),
            Column("Subobject", priority=1, description="The field of the object that the event is about."),
            Column("Source", priority=1, description="The component that recorded the event."),
            Column("Message", description="What happened."),
            Column("First Seen", priority=1, description="Time since the event was first seen."),
            Column("Count", priority=1, description="How often the event was seen."),
            Column("Name", priority=1, description="Name of the event."),
        ),
        verbs=READ,
    ),
    Kind(
        "",
        "Namespace",
        "namespaces",
        short=("ns",),
        namespaced=False,
        columns=(Column("Status", description="The status of the namespace"), _CREATED),
        verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
        subresources=_WITH_STATUS,
    ),
    Kind(
        "",
        "Pod",
        "pods",
        short=("po",),
        categories=("all",),
        columns=(
            Column("Ready", description="The aggregate readiness state of this pod for accepting traffic."),
            Column("Status", description="The aggregate status of the containers in this pod."),
            Column("Restarts", description="How often the containers of this pod were restarted."),
            _CREATED,
            Column("IP", priority=1, description="Address of the pod."),
            Column("Node", priority=1, description="Node that runs the pod."),
            Column("Nominated Node", priority=1, description="Node that preemption has in view for the pod."),
            Column("Readiness Gates", priority=1, description="Further conditions of the pod's readiness."),
        ),
        verbs=READ_DELETE,
        subresources={"log": ("get",), STATUS: ("get",)},
    ),
    Kind(
        "",
        "Secret",
        "secrets",
        columns=(
            Column("Type", description="Used to facilitate programmatic handling of secret data."),
            Column("Data", description="Number of keys."),
            _CREATED,
        ),
    ),
    Kind(
        "apps",
        "Deployment",
        "deployments",
        short=("deploy",),
        categories=("all",),
        columns=(
            Column("Ready", description="Number of the pod with ready state"),
            Column("Up-to-date", description="Pods of the newest template."),
            Column("Available", description="Pods that are available."),
            _CREATED,
            Column("Containers", priority=1, description="Names of the containers of the template."),
            Column("Images", priority=1, description="Images of the containers of the template."),
            Column("Selector", priority=1, description="Label selector of the pods."),
        ),
        verbs=READ,
        subresources={STATUS: ("get",)},
    ),
    Kind(
        "autoscaling.internal.knative.dev",
        "PodAutoscaler",
        "podautoscalers",
        ("v1alpha1",),
        short=("kpa", "pa"),
        categories=("knative-internal", "autoscaling"),
        columns=(
            Column("DesiredScale", ".status.desiredScale", "integer"),
            Column("ActualScale", ".status.actualScale", "integer"),
            *_SERVING_READY,
        ),
        verbs=("get", "list"),
    ),
    Kind(
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        short=("crd", "crds"),
        categories=("api-extensions",),
        namespaced=False,
        columns=(Column("Created At", description="When the definition was created."),),
        verbs=("get", "list"),
    ),
)
