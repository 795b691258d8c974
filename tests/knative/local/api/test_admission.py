"""Defaults and refusals of the API: those of a real Knative (Serving and Eventing of August 2026)."""

from __future__ import annotations

from typing import Any

import pytest

from knative.local.api.admission import AdmissionError, Operation, admission
from knative.local.manifests.cluster import Cluster

Object = dict[str, Any]


def service(name: str = "hello", **template: Any) -> Object:
    spec = {"containers": [{"name": "", "image": "dev.local/one:1", "ports": [{"containerPort": 8080}]}]}
    template = {"spec": spec, **template}
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "rec"},
        "spec": {"template": template},
    }


def eventing(kind: str, spec: Object, group: str = "eventing", version: str = "v1") -> Object:
    metadata = {"name": "one", "namespace": "rec"}
    return {"apiVersion": f"{group}.knative.dev/{version}", "kind": kind, "metadata": metadata, "spec": spec}


def create(obj: Object, cluster: Cluster | None = None) -> Object:
    return admission(cluster or Cluster(), obj, None, Operation.CREATE)


def update(obj: Object, old: Object) -> Object:
    return admission(Cluster(), obj, old, Operation.UPDATE)


def test_a_service_gets_the_defaults_of_a_cluster():
    assert create(service())["spec"] == {
        "template": {
            "spec": {
                "containerConcurrency": 0,
                "containers": [
                    {
                        "image": "dev.local/one:1",
                        "name": "user-container",
                        "ports": [{"containerPort": 8080, "protocol": "TCP"}],
                        "readinessProbe": {"successThreshold": 1, "tcpSocket": {"port": 0}},
                        "resources": {},
                    }
                ],
                "enableServiceLinks": False,
                "timeoutSeconds": 300,
            },
        },
        "traffic": [{"latestRevision": True, "percent": 100}],
    }


def test_what_is_given_is_not_changed_and_the_argument_never():
    given = service()
    container = given["spec"]["template"]["spec"]["containers"][0]
    container |= {"name": "function", "readinessProbe": {"httpGet": {"path": "/readyz"}, "periodSeconds": 5}}
    container["volumeMounts"] = [{"name": "tmp", "mountPath": "/tmp"}, {"name": "config", "mountPath": "/etc/c"}]
    given["spec"]["template"]["spec"]["volumes"] = [
        {"name": "tmp", "emptyDir": {}},
        {"name": "config", "configMap": {"name": "c"}},
    ]
    before = repr(given)
    made = create(given)["spec"]["template"]["spec"]["containers"][0]
    assert repr(given) == before
    assert made["name"] == "function"
    assert made["readinessProbe"] == {
        "httpGet": {"path": "/readyz", "port": 0},
        "periodSeconds": 5,
        "successThreshold": 1,
        "failureThreshold": 3,
        "timeoutSeconds": 1,
    }
    assert [mount.get("readOnly") for mount in made["volumeMounts"]] == [None, True]


def test_what_was_defaulted_is_accepted_again_and_does_not_change():
    made = create(service())
    assert update(made, made) == made


def test_creator_and_last_modifier():
    made = create(service())
    assert made["metadata"]["annotations"] == {
        "serving.knative.dev/creator": "admin",
        "serving.knative.dev/lastModifier": "admin",
    }
    with pytest.raises(AdmissionError, match=r"annotation value is immutable: metadata.annotations.serving"):
        update(service(), made)


def test_a_revision_named_by_hand_changes_its_name_with_its_content():
    made = create(service(metadata={"name": "hello-one"}))
    changed = create(service(metadata={"name": "hello-one"}))
    assert update(changed, made)["spec"] == made["spec"]
    changed["spec"]["template"]["spec"]["timeoutSeconds"] = 10
    with pytest.raises(AdmissionError, match=r"without a name change \(-old \+new\): spec.template.metadata.name"):
        update(changed, made)
    changed["spec"]["template"]["metadata"]["name"] = "hello-two"
    assert update(changed, made)["spec"]["template"]["spec"]["timeoutSeconds"] == 10


def test_a_broker_and_a_trigger_get_their_defaults():
    broker = create(eventing("Broker", {}))
    assert broker["spec"] == {
        "config": {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": "config-br-default-channel",
            "namespace": "knative-eventing",
        },
        "delivery": {"backoffDelay": "PT0.2S", "backoffPolicy": "exponential", "retry": 10},
    }
    assert broker["metadata"]["annotations"]["eventing.knative.dev/broker.class"] == "MTChannelBasedBroker"
    subscriber = {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "exif"}}
    trigger = create(eventing("Trigger", {"broker": "images", "subscriber": subscriber}))
    assert trigger["spec"] == {
        "broker": "images",
        "filter": {},
        "subscriber": {"ref": {**subscriber["ref"], "namespace": "rec"}},
    }
    assert trigger["metadata"]["labels"] == {"eventing.knative.dev/broker": "images"}
    moved = {**trigger, "spec": {**trigger["spec"], "broker": "other"}}
    with pytest.raises(AdmissionError, match=r"Immutable fields changed \(-old \+new\): spec.broker"):
        update(moved, trigger)


@pytest.mark.parametrize(
    ("kind", "group", "spec", "field", "value"),
    [
        ("Channel", "messaging", {}, "channelTemplate", "InMemoryChannel"),
        ("Sequence", "flows", {"steps": [{"uri": "http://a.b"}]}, "channelTemplate", "InMemoryChannel"),
        (
            "Parallel",
            "flows",
            {"branches": [{"subscriber": {"uri": "http://a.b"}}]},
            "channelTemplate",
            "InMemoryChannel",
        ),
    ],
)
def test_channels_and_flows_get_a_template(kind: str, group: str, spec: Object, field: str, value: str):
    assert create(eventing(kind, spec, group))["spec"][field]["kind"] == value


def test_a_refusal_has_the_message_of_the_webhook():
    scale = {"autoscaling.knative.dev/min-scale": "20", "autoscaling.knative.dev/max-scale": "10"}
    with pytest.raises(AdmissionError) as caught:
        create(service(metadata={"annotations": scale}))
    at = "spec.template.metadata.annotations.autoscaling.knative.dev"
    assert str(caught.value) == (
        'admission webhook "validation.webhook.serving.knative.dev" denied the request: validation failed: '
        f"max-scale=10 is less than min-scale=20: {at}/max-scale, {at}/min-scale"
    )


def test_a_value_of_the_wrong_type_fails_before_the_rules():
    wrong = service()
    wrong["spec"]["template"]["spec"]["timeoutSeconds"] = "soon"
    with pytest.raises(
        AdmissionError, match=r'"webhook.serving.knative.dev" denied the request: mutation failed: cannot'
    ):
        create(wrong)


def test_a_config_map_of_knative_is_read():
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "config-autoscaler", "namespace": "knative-serving"},
        "data": {"stable-window": "1ms"},
    }
    with pytest.raises(AdmissionError, match=r'"config.webhook.serving.knative.dev" denied the request'):
        create(config)
    config["metadata"]["namespace"] = "rec"
    assert create(config) == config


# The results are those of Kubernetes' own resource.Quantity.
@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (1, "1"),
        ("1000m", "1"),
        ("0.5", "500m"),
        (0.1, "100m"),
        ("1500m", "1500m"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("768Mi", "768Mi"),
        ("1000Mi", "1000Mi"),
        ("128974848", "128974848"),
        ("129e6", "129e6"),
        ("1000k", "1M"),
        ("0", "0"),
        ("0.5Mi", "512Ki"),
    ],
)
def test_quantities_are_stored_in_their_canonical_form(given: Any, stored: str):
    one = service()
    one["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": {"memory": given}}
    made = create(one)["spec"]["template"]["spec"]["containers"][0]
    assert made["resources"]["limits"]["memory"] == stored
