"""The fields of Knative Eventing's objects, with their types (eventing 8cf4c4b).

A field that another API owns, such as the template of a Job, is `ANYTHING`.
"""

from __future__ import annotations

from knative.local.manifests.decoding import ANYTHING, BOOL, INT32, INT64, STRING, ListOf, MapOf, Schema, Struct
from knative.local.manifests.schema import KREFERENCE, POD_TEMPLATE, object_of

_STRINGS = MapOf(STRING)
_DESTINATION_FIELDS: dict[str, Schema] = {"ref": KREFERENCE, "uri": STRING, "CACerts": STRING, "audience": STRING}
_DESTINATION = Struct(_DESTINATION_FIELDS)
_DELIVERY = Struct(
    {
        "deadLetterSink": _DESTINATION,
        "retry": INT32,
        **dict.fromkeys(("timeout", "backoffPolicy", "backoffDelay", "retryAfterMax", "format"), STRING),
    }
)
_CHANNEL_TEMPLATE = Struct({"apiVersion": STRING, "kind": STRING, "spec": ANYTHING})
_LABEL_SELECTOR: dict[str, Schema] = {
    "matchLabels": _STRINGS,
    "matchExpressions": ListOf(Struct({"key": STRING, "operator": STRING, "values": ListOf(STRING)})),
}


class _Filter(Struct):
    """A filter of the subscriptions API, which may hold filters."""

    def __init__(self) -> None:
        fields: dict[str, Schema] = dict.fromkeys(("exact", "prefix", "suffix"), _STRINGS)
        fields |= {"all": ListOf(self), "any": ListOf(self), "not": self, "cesql": STRING}
        super().__init__(fields)


_FILTERS = ListOf(_Filter())

BROKER = object_of({"config": KREFERENCE, "delivery": _DELIVERY})
TRIGGER = object_of(
    {
        "broker": STRING,
        "brokerRef": KREFERENCE,
        "filter": Struct({"attributes": _STRINGS}),
        "filters": _FILTERS,
        "subscriber": _DESTINATION,
        "delivery": _DELIVERY,
    }
)
_EVENT_TYPE: dict[str, Schema] = {
    **dict.fromkeys(("type", "source", "schema", "schemaData", "broker", "description"), STRING),
    "reference": KREFERENCE,
}
EVENT_TYPE_V1BETA2 = object_of(_EVENT_TYPE)
EVENT_TYPE_V1BETA3 = object_of(
    {
        "reference": KREFERENCE,
        "description": STRING,
        "attributes": ListOf(Struct({"name": STRING, "required": BOOL, "value": STRING})),
    }
)
_POLICY_REFERENCE: dict[str, Schema] = dict.fromkeys(("apiVersion", "kind", "name"), STRING)
EVENT_POLICY = object_of(
    {
        "to": ListOf(
            Struct(
                {
                    "ref": Struct(_POLICY_REFERENCE),
                    "selector": Struct({**_LABEL_SELECTOR, "apiVersion": STRING, "kind": STRING}),
                }
            )
        ),
        "from": ListOf(Struct({"ref": Struct({**_POLICY_REFERENCE, "namespace": STRING}), "sub": STRING})),
        "filters": _FILTERS,
    }
)
_JSONATA = Struct({"expression": STRING})
EVENT_TRANSFORM = object_of(
    {
        "sink": _DESTINATION,
        "jsonata": _JSONATA,
        "reply": Struct({"jsonata": _JSONATA, "discard": BOOL}),
    }
)
REQUEST_REPLY = object_of(
    {
        "brokerRef": KREFERENCE,
        **dict.fromkeys(("correlationAttribute", "replyAttribute", "timeout"), STRING),
        "delivery": _DELIVERY,
    }
)

_SUBSCRIBERS = ListOf(
    Struct(
        {
            **dict.fromkeys(("name", "uid", "subscriberUri", "subscriberCACerts", "subscriberAudience"), STRING),
            **dict.fromkeys(("replyUri", "replyCACerts", "replyAudience"), STRING),
            "generation": INT64,
            "delivery": _DELIVERY,
            "auth": ANYTHING,
        }
    )
)
CHANNEL = object_of({"channelTemplate": _CHANNEL_TEMPLATE, "subscribers": _SUBSCRIBERS, "delivery": _DELIVERY})
IN_MEMORY_CHANNEL = object_of({"subscribers": _SUBSCRIBERS, "delivery": _DELIVERY})
SUBSCRIPTION = object_of(
    {"channel": KREFERENCE, "subscriber": _DESTINATION, "reply": _DESTINATION, "delivery": _DELIVERY}
)

SEQUENCE = object_of(
    {
        "steps": ListOf(Struct({**_DESTINATION_FIELDS, "delivery": _DELIVERY})),
        "channelTemplate": _CHANNEL_TEMPLATE,
        "reply": _DESTINATION,
    }
)
PARALLEL = object_of(
    {
        "branches": ListOf(
            Struct({**dict.fromkeys(("filter", "subscriber", "reply"), _DESTINATION), "delivery": _DELIVERY})
        ),
        "channelTemplate": _CHANNEL_TEMPLATE,
        "reply": _DESTINATION,
    }
)

_SOURCE: dict[str, Schema] = {"sink": _DESTINATION, "ceOverrides": Struct({"extensions": _STRINGS})}
_KIND: dict[str, Schema] = {"apiVersion": STRING, "kind": STRING}
API_SERVER_SOURCE = object_of(
    {
        **_SOURCE,
        "resources": ListOf(Struct({**_KIND, "selector": Struct(_LABEL_SELECTOR)})),
        "owner": Struct(_KIND),
        "mode": STRING,
        "serviceAccountName": STRING,
        "namespaceSelector": Struct(_LABEL_SELECTOR),
        "filters": _FILTERS,
    }
)
CONTAINER_SOURCE = object_of({**_SOURCE, "template": POD_TEMPLATE})
PING_SOURCE = object_of(
    {**_SOURCE, **dict.fromkeys(("schedule", "timezone", "contentType", "data", "dataBase64"), STRING)}
)
SINK_BINDING = object_of(
    {
        **_SOURCE,
        "subject": Struct({**_KIND, "namespace": STRING, "name": STRING, "selector": Struct(_LABEL_SELECTOR)}),
    }
)
JOB_SINK = object_of({"job": ANYTHING})
# Their own structure is that of Camel's components: the rules look at which component is chosen.
INTEGRATION_SINK = object_of({"log": ANYTHING, "aws": ANYTHING})
INTEGRATION_SOURCE = object_of({**_SOURCE, "timer": ANYTHING, "aws": ANYTHING})
