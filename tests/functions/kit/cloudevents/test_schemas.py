"""The schemas of events' data, held to what the functions really reply."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from functions import registry
from functions.kit.cloudevents.binding import Event
from functions.kit.http.function import Function
from tests.conftest import FUNCTIONS, IMAGE_FUNCTIONS
from tests.functions.kit.cloudevents.test_chain import deliver, replied, uploaded
from tests.images import encoded, gradient
from tests.schemas import check_schema, violations
from tests.servers import ROOT

FOLDER = ROOT / "functions" / "kit" / "cloudevents" / "schemas"
SCHEMAS = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


def function(name: str) -> Function:
    return registry.load(name)


def check(kind: str, data: Any) -> None:
    assert violations(data, SCHEMAS[kind], tuple(SCHEMAS.values())) == []


def image(form: str = "JPEG") -> Event:
    return uploaded(encoded(gradient(), form), datacontenttype=f"image/{form.lower()}")


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_one(name):
    check_schema(SCHEMAS[name])
    assert SCHEMAS[name]["$id"] == f"urn:pixelamp:schema:{name}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_json_reply_has_a_schema(name):
    for route in function(name).events:
        if route.result is not None or route.takes == "json":
            assert route.reply in SCHEMAS


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF"])
@pytest.mark.parametrize("name", IMAGE_FUNCTIONS)
def test_a_reply_is_as_its_schema_says(name, form):
    reply = replied(deliver(image(form), function(name)))
    assert reply.get("dataschema") == SCHEMAS[reply.type]["$id"]
    check(reply.type, json.loads(reply.data))


def test_results_of_both_are_as_the_schema_says():
    first = replied(deliver(image(), function("exif")))
    second = replied(deliver(first, function("histogram")))
    data = json.loads(second.data)
    assert set(data["results"]) == {"exif", "histogram"}
    check("dev.pixelamp.histogram.computed", data)
    check("dev.pixelamp.exif.extracted", data)


def test_the_order_does_not_matter():
    first = replied(deliver(image(), function("histogram")))
    second = replied(deliver(first, function("exif")))
    assert set(json.loads(second.data)["results"]) == {"exif", "histogram"}


def test_photographs(photos):
    """Replies to real photographs, one of each format there is."""
    formats = {path.suffix.lower(): path for path in photos if path.suffix.lower() in (".jpg", ".png", ".webp", ".tif")}
    assert formats
    for path in formats.values():
        reply = replied(deliver(uploaded(Path(path).read_bytes()), function("exif")))
        check(reply.type, json.loads(reply.data))


def test_stress_is_as_its_schemas_say():
    from functions.stress.main import PARAMETERS

    assert set(SCHEMAS["dev.pixelamp.stress.requested"]["properties"]) == {option.name for option in PARAMETERS}
    data = {"seconds": 0.1, "load": 10, "cores": None}
    check("dev.pixelamp.stress.requested", data)
    asked = uploaded(
        json.dumps(data).encode(), type="dev.pixelamp.stress.requested", datacontenttype="application/json"
    )
    reply = replied(deliver(asked, function("stress")))
    check("dev.pixelamp.stress.finished", json.loads(reply.data))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data["results"].pop("exif"),
        lambda data: data.pop("image"),
        lambda data: data["image"].pop("data_base64"),
        lambda data: data["image"].update(dataref="https://store/a.jpg"),
        lambda data: data["image"].update(sha256="0"),
        lambda data: data.update(more=1),
        lambda data: data["results"]["exif"].pop("groups"),
    ],
)
def test_a_schema_refuses_what_is_wrong(spoil):
    data = json.loads(replied(deliver(image(), function("exif"))).data)
    check("dev.pixelamp.exif.extracted", data)
    spoil(data)
    assert violations(data, SCHEMAS["dev.pixelamp.exif.extracted"], tuple(SCHEMAS.values()))


def test_a_clean_copy_by_event():
    photo = encoded(gradient(), "JPEG", comment=b"taken at home")
    asked = uploaded(photo, type="dev.pixelamp.image.clean")
    reply = replied(deliver(asked, function("exif")))
    assert (reply.type, reply.get("datacontenttype")) == ("dev.pixelamp.image.cleaned", "image/jpeg")
    assert b"taken at home" in photo
    assert b"taken at home" not in reply.data
