"""kn drives the engine: create, update, traffic by tags, eventing, delete. It needs kn on the path."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.test_kubectl import Kubectl
from tests.engines import EngineProcess

KN = shutil.which("kn")

pytestmark = pytest.mark.skipif(not KN, reason="the program kn is not installed")


class Kn(Kubectl):
    """kn with the kubeconfig of an engine."""

    program = KN


@pytest.fixture(scope="module")
def kn(engine: EngineProcess, tmp_path_factory: pytest.TempPathFactory) -> Kn:
    return Kn(engine, tmp_path_factory.mktemp("home"))


@pytest.fixture
def exif(kn: Kn, tmp_path: Path) -> Iterator[str]:
    """The project's own Service, applied by kn."""
    assert "available at URL" in kn("service", "apply", "-f", "knative/services/exif.yaml")
    yield "exif"
    kn.run("service", "delete", "exif")


def table(text: str) -> dict[str, list[str]]:
    """Rows of a printed table by their first word."""
    return {line.split()[0]: line.split()[1:] for line in text.splitlines()[1:] if line.strip()}


def test_an_update_makes_a_revision_and_a_tag_gets_its_share(kn: Kn, engine: EngineProcess, exif: str):
    kn("service", "update", exif, "--env", "EXIF_MAX_BYTES=64000000")
    kn("service", "update", exif, "--tag", "exif-00001=stable", "--traffic", "stable=90,@latest=10")
    revisions = table(kn("revision", "list"))
    assert revisions["exif-00001"][:3] == ["exif", "90%", "stable"]
    assert revisions["exif-00002"][:2] == ["exif", "10%"]
    assert engine.get("/exif/healthz")[0] == 200
    kn("service", "delete", exif)
    assert table(kn("revision", "list")) == {}


def test_what_the_webhook_refuses_is_refused(kn: Kn, exif: str):
    refused = kn.run("service", "update", exif, "--scale-min", "20", "--scale-max", "10")
    assert refused.returncode != 0
    assert "max-scale=10 is less than min-scale=20" in refused.stderr
    shares = kn.run("service", "update", exif, "--traffic", "@latest=50")
    assert shares.returncode != 0


def test_brokers_triggers_channels_and_sources_become_ready(kn: Kn, exif: str):
    kn("broker", "create", "photos")
    kn("trigger", "create", "each", "--broker", "photos", "--sink", "ksvc:exif", "--filter", "type=photo")
    kn("channel", "create", "pipe", "--type", "imc")
    kn("subscription", "create", "piped", "--channel", "imc:pipe", "--sink", "ksvc:exif")
    kn("source", "ping", "create", "minute", "--schedule", "* * * * *", "--data", "{}", "--sink", "broker:photos")
    assert table(kn("broker", "list"))["photos"][-1] == "True"
    assert "True" in table(kn("trigger", "list"))["each"]
    assert "True" in table(kn("subscription", "list"))["piped"], kn("channel", "list") + kn("subscription", "list")
    assert "True" in table(kn("source", "list"))["minute"]
    for kind, name in (("trigger", "each"), ("subscription", "piped"), ("channel", "pipe"), ("broker", "photos")):
        kn(kind, "delete", name)
    kn("source", "ping", "delete", "minute")
