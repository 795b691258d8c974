"""What a host means to a pod."""

from __future__ import annotations

import base64

import pytest

from knative.local.mesh.callers import Caller, Callers
from knative.local.mesh.names import inside, own_path, spellings

SERVICES = {"shop.default", "cart.team", "v1-shop.default"}


@pytest.mark.parametrize(
    ("host", "namespace", "name"),
    [
        ("shop", "default", "shop.default"),
        ("shop", "team", None),
        ("cart", "team", "cart.team"),
        ("shop.default", "team", "shop.default"),
        ("shop.default.svc", "team", "shop.default"),
        ("shop.default.svc.cluster.local", "team", "shop.default"),
        ("shop.default.svc.cluster.local.", "team", "shop.default"),
        ("v1-shop.default", "team", "v1-shop.default"),
        ("none.default.svc.cluster.local", "team", "none.default"),
        ("none.default", "team", None),
        ("shop.example", "default", None),
        ("shop.default.example", "default", None),
        ("localhost", "default", None),
        ("127.0.0.1", "default", None),
        ("::1", "default", None),
        ("", "default", None),
    ],
)
def test_a_host_is_a_cluster_s_name_or_another(host: str, namespace: str, name: str | None) -> None:
    assert inside(host, namespace, SERVICES.__contains__) == name


def test_each_spelling_of_a_name_means_it() -> None:
    spelt = list(spellings("shop", "default", "default"))
    assert spelt == ["shop", "shop.default", "shop.default.svc", "shop.default.svc.cluster.local"]
    assert {inside(one, "default", SERVICES.__contains__) for one in spelt} == {"shop.default"}
    assert list(spellings("shop", "default", "team")) == spelt[1:]


def test_addresses_of_brokers_and_channels_are_the_engine_s_own() -> None:
    assert own_path("broker-ingress.knative-eventing", b"/default/b") == b"/_knative/broker/default/b"
    assert own_path("c-kn-channel.default", b"/") == b"/_knative/channel/default/c"
    assert own_path("shop.default", b"/") is None


def test_a_credential_is_a_pod_s_until_it_ends() -> None:
    callers = Callers()
    header = b"Basic " + base64.b64encode(callers.admit("pod", Caller("team")).encode())
    assert callers.of(header) == Caller("team")
    for wrong in (None, b"", b"Basic", b"Basic !!", b"Basic /w==", b"Bearer x", header[:-4]):
        assert callers.of(wrong) is None
    callers.dismiss("pod")
    callers.dismiss("pod")
    assert callers.of(header) is None
