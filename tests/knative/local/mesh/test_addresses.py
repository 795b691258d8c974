"""Hosts by the templates of config-network."""

from __future__ import annotations

import pytest

from knative.local.manifests.cluster import Network
from knative.local.mesh.addresses import Addresses

METADATA = {"name": "shop", "namespace": "team", "annotations": {"sub": "eu"}, "labels": {"tier": "Web", "a/b": "c"}}


@pytest.mark.parametrize(
    ("domain", "tag", "host", "tagged"),
    [
        (
            "{{.Name}}.{{.Namespace}}.{{.Domain}}",
            "{{.Tag}}-{{.Name}}",
            "shop.team.example.com",
            "v1-shop.team.example.com",
        ),
        ("{{.Name}}.{{.Domain}}", "{{.Name}}-{{.Tag}}", "shop.example.com", "shop-v1.example.com"),
        ("{{ .Name }}-{{- .Namespace -}}.{{.Domain}}", "{{.Tag}}-{{.Name}}", "shop-team.example.com", None),
        ('{{.Name}}.{{index .Annotations "sub"}}.{{.Domain}}', "{{.Tag}}-{{.Name}}", "shop.eu.example.com", None),
        ('{{.Name}}.{{index .Labels "a/b"}}.{{.Labels.tier}}.{{.Domain}}', "{{.Name}}", "shop.c.web.example.com", None),
    ],
)
def test_templates_are_filled(domain: str, tag: str, host: str, tagged: str | None) -> None:
    addresses = Addresses(Network(domain_template=domain, tag_template=tag))
    assert addresses.host(METADATA, "example.com") == host
    if tagged:
        assert addresses.host(METADATA, "example.com", "v1") == tagged
    assert addresses.unread is None


def test_a_template_that_is_not_evaluated_is_named_and_not_used() -> None:
    addresses = Addresses(Network(domain_template='{{if eq .Name "a"}}b{{end}}.{{.Domain}}'))
    action = '{{if eq .Name "a"}}'
    assert addresses.unread == f"domain-template of config-network: {action} is not evaluated; the default is used"
    assert addresses.host(METADATA) == "shop.team.localhost"
    assert addresses.standard
