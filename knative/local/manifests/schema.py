"""The fields of Knative Serving's objects and of ConfigMaps, with their types.

The tables hold the fields of Knative's own schemas (serving 98e5ef9). A field that Knative knows only to refuse it is
`ANYTHING` here and left to the rules.
"""

from __future__ import annotations

from collections.abc import Mapping

from knative.local.manifests.decoding import (
    ANYTHING,
    BOOL,
    INT32,
    INT64,
    INT_OR_STRING,
    QUANTITY,
    STRING,
    ListOf,
    MapOf,
    Schema,
    Struct,
    opened,
)

_STRINGS = MapOf(STRING)

_TEMPLATE_META = Struct(
    {
        "name": STRING,
        "generateName": STRING,
        "namespace": STRING,
        "labels": _STRINGS,
        "annotations": _STRINGS,
        "finalizers": ListOf(STRING),
        "creationTimestamp": ANYTHING,
    }
)
METADATA = Struct(
    {
        **_TEMPLATE_META.fields,
        "ownerReferences": ANYTHING,
        "managedFields": ANYTHING,
        "deletionGracePeriodSeconds": INT64,
        "deletionTimestamp": ANYTHING,
        "generation": INT64,
        "resourceVersion": STRING,
        "selfLink": STRING,
        "uid": STRING,
    }
)

_PORTED: dict[str, Schema] = {"host": STRING, "port": INT_OR_STRING}
_PROBE = Struct(
    {
        "exec": Struct({"command": ListOf(STRING)}),
        "grpc": Struct({"port": INT32, "service": STRING}),
        "httpGet": Struct(
            {
                **_PORTED,
                "httpHeaders": ListOf(Struct({"name": STRING, "value": STRING})),
                "path": STRING,
                "scheme": STRING,
            }
        ),
        "tcpSocket": Struct(_PORTED),
        "initialDelaySeconds": INT32,
        "timeoutSeconds": INT32,
        "periodSeconds": INT32,
        "successThreshold": INT32,
        "failureThreshold": INT32,
    }
)
_KEY_REFERENCE = Struct({"key": STRING, "name": STRING, "optional": BOOL})
_REFERENCE = Struct({"name": STRING, "optional": BOOL})
_ENV = Struct(
    {
        "name": STRING,
        "value": STRING,
        "valueFrom": Struct(
            {
                "configMapKeyRef": _KEY_REFERENCE,
                "secretKeyRef": _KEY_REFERENCE,
                "fieldRef": ANYTHING,
                "resourceFieldRef": ANYTHING,
            }
        ),
    }
)
CONTAINER = Struct(
    {
        "name": STRING,
        "image": STRING,
        "imagePullPolicy": STRING,
        "command": ListOf(STRING),
        "args": ListOf(STRING),
        "workingDir": STRING,
        "env": ListOf(_ENV),
        "envFrom": ListOf(Struct({"configMapRef": _REFERENCE, "secretRef": _REFERENCE, "prefix": STRING})),
        "ports": ListOf(Struct({"containerPort": INT32, "name": STRING, "protocol": STRING})),
        "livenessProbe": _PROBE,
        "readinessProbe": _PROBE,
        "startupProbe": _PROBE,
        "resources": Struct({"limits": MapOf(QUANTITY), "requests": MapOf(QUANTITY)}),
        "securityContext": Struct(
            {
                "allowPrivilegeEscalation": BOOL,
                "capabilities": Struct({"add": ListOf(STRING), "drop": ListOf(STRING)}),
                "privileged": BOOL,
                "readOnlyRootFilesystem": BOOL,
                "runAsGroup": INT64,
                "runAsNonRoot": BOOL,
                "runAsUser": INT64,
                "seccompProfile": Struct({"localhostProfile": STRING, "type": STRING}),
            }
        ),
        "terminationMessagePath": STRING,
        "terminationMessagePolicy": STRING,
        "volumeMounts": ListOf(
            Struct(
                {
                    "name": STRING,
                    "mountPath": STRING,
                    "mountPropagation": STRING,
                    "readOnly": BOOL,
                    "subPath": STRING,
                }
            )
        ),
    }
)
_ITEMS = ListOf(Struct({"key": STRING, "mode": INT32, "path": STRING}))
_DOWNWARD_ITEM = Struct({"fieldRef": ANYTHING, "resourceFieldRef": ANYTHING, "mode": INT32, "path": STRING})
_NAMED_ITEMS = Struct({"items": _ITEMS, "name": STRING, "optional": BOOL})
_VOLUME = Struct(
    {
        "name": STRING,
        "configMap": Struct({**_NAMED_ITEMS.fields, "defaultMode": INT32}),
        "secret": Struct({"defaultMode": INT32, "items": _ITEMS, "optional": BOOL, "secretName": STRING}),
        "emptyDir": Struct({"medium": STRING, "sizeLimit": QUANTITY}),
        "projected": Struct(
            {
                "defaultMode": INT32,
                "sources": ListOf(
                    Struct(
                        {
                            "configMap": _NAMED_ITEMS,
                            "secret": _NAMED_ITEMS,
                            "downwardAPI": Struct({"items": ListOf(_DOWNWARD_ITEM)}),
                            "serviceAccountToken": Struct(
                                {"audience": STRING, "expirationSeconds": INT64, "path": STRING}
                            ),
                        }
                    )
                ),
            }
        ),
        **dict.fromkeys(("csi", "ephemeral", "hostPath", "image", "persistentVolumeClaim"), ANYTHING),
    }
)
# Behind feature flags that are off unless a cluster's operator turns them on.
FEATURE_FIELDS = (
    "affinity",
    "dnsConfig",
    "dnsPolicy",
    "hostAliases",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "nodeSelector",
    "priorityClassName",
    "runtimeClassName",
    "schedulerName",
    "securityContext",
    "shareProcessNamespace",
    "tolerations",
    "topologySpreadConstraints",
)
_REVISION_SPEC = Struct(
    {
        **dict.fromkeys((*FEATURE_FIELDS, "initContainers"), ANYTHING),
        "automountServiceAccountToken": BOOL,
        "containerConcurrency": INT64,
        "containers": ListOf(CONTAINER),
        "enableServiceLinks": BOOL,
        "idleTimeoutSeconds": INT64,
        "imagePullSecrets": ListOf(Struct({"name": STRING})),
        "responseStartTimeoutSeconds": INT64,
        "serviceAccountName": STRING,
        "timeoutSeconds": INT64,
        "volumes": ListOf(_VOLUME),
    }
)
# Of any pod, which may have more fields than Knative Serving allows.
POD_TEMPLATE = Struct(
    {
        "metadata": opened(_TEMPLATE_META),
        "spec": opened(
            Struct(
                {
                    "containers": ListOf(CONTAINER),
                    "initContainers": ListOf(CONTAINER),
                    "volumes": ListOf(_VOLUME),
                    "terminationGracePeriodSeconds": INT64,
                    "serviceAccountName": STRING,
                }
            )
        ),
    }
)
_TRAFFIC = Struct(
    {
        "configurationName": STRING,
        "latestRevision": BOOL,
        "percent": INT64,
        "revisionName": STRING,
        "tag": STRING,
        "url": STRING,
    }
)


def object_of(spec: Mapping[str, Schema]) -> Struct:
    """Return the schema of an object with these fields in its `spec`."""
    return Struct(
        {"apiVersion": STRING, "kind": STRING, "metadata": METADATA, "spec": Struct(spec), "status": ANYTHING}
    )


_TEMPLATE = Struct({"metadata": _TEMPLATE_META, "spec": _REVISION_SPEC})
SERVICE = object_of({"template": _TEMPLATE, "traffic": ListOf(_TRAFFIC)})
CONFIGURATION = object_of({"template": _TEMPLATE})
REVISION = object_of(_REVISION_SPEC.fields)
ROUTE = object_of({"traffic": ListOf(_TRAFFIC)})
KREFERENCE = Struct(dict.fromkeys(("apiVersion", "kind", "name", "namespace", "group", "address"), STRING))
DOMAIN_MAPPING = object_of({"ref": KREFERENCE, "tls": Struct({"secretName": STRING})})

CONFIG_MAP = Struct(
    {
        "apiVersion": STRING,
        "kind": STRING,
        "metadata": METADATA,
        "data": _STRINGS,
        "binaryData": _STRINGS,
        "immutable": BOOL,
    }
)
