"""The schemas that openapi.json has of the answers, held to the answers about every container."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from functions.exif.answer import document, examine, flat
from functions.exif.main import FUNCTION
from functions.kit.http import openapi
from functions.kit.http.settings import Settings
from tests.functions.exif import made
from tests.functions.exif.containers import CONTAINERS
from tests.functions.exif.lenses.test_lenses import canon, nikon_note
from tests.images import encoded, gradient
from tests.schemas import check_schema, violations
from tests.servers import FunctionServer

OPENAPI = openapi.document(FUNCTION, Settings(), "0")


def wrong(name: str, answer: Any, described: dict[str, Any] = OPENAPI) -> list[str]:
    schema = {"$ref": f"#/components/schemas/{name}", "components": described["components"]}
    return violations(json.loads(json.dumps(answer)), schema)


def check(name: str, answer: Any, described: dict[str, Any] = OPENAPI) -> None:
    assert wrong(name, answer, described) == []


FILES = {
    **made.all_of_them(),
    **{f"scan {name}": build() for name, build in CONTAINERS.items()},
    "canon": canon(1, 50, 50, 1.8),
    "nikon": nikon_note("0158505014140500"),
    "bmp": encoded(gradient(), "BMP"),
    "bare": encoded(gradient(), "JPEG"),
}


@pytest.mark.parametrize("name", FILES)
def test_every_containers_answer_is_as_its_schema_says(name: str):
    reading = examine(FILES[name])
    assert reading is not None
    for raw in (False, True):
        check("Metadata", document(reading, raw=raw, thumbnail=raw))
        check("Flat", flat(reading, raw=raw, name="a.jpg"))


def test_so_are_the_answers_about_photographs(photos: list[Path]):
    for path in photos:
        reading = examine(path.read_bytes())
        if reading is not None:
            check("Metadata", document(reading))
            check("Flat", flat(reading))


@pytest.mark.parametrize("name", sorted(OPENAPI["components"]["schemas"]))
def test_a_schema_is_one_and_knows_its_references(name: str):
    schema = OPENAPI["components"]["schemas"][name]
    check_schema(schema)
    for part in json.dumps(schema).split('"#/components/schemas/')[1:]:
        assert part.partition('"')[0] in OPENAPI["components"]["schemas"]


@pytest.mark.parametrize(
    ("change", "value"),
    [("width", "640"), ("frames", None), ("privacy", {}), ("groups", {"IFD0": {"Make": {}}}), ("more", 1)],
)
def test_another_answer_is_not(change: str, value: Any):
    answer = document(examine(made.jpeg()))
    assert wrong("Metadata", {**answer, change: value})


def test_the_served_answers_are_as_the_served_description_says(servers: Callable[..., FunctionServer]):
    server = servers("exif")
    described = server.get("/openapi.json").json()
    one, none = ("a.jpg", made.jpeg(), "image/jpeg"), ("b.txt", b"no picture", "text/plain")
    for path, files in (
        ("/", [one]),
        ("/?flat=1", [one]),
        ("/?raw=1&thumbnail=inline", [one]),
        ("/", [one, none]),
        ("/?flat=1", [one, none]),
        ("/strip?report=1", [one]),
        ("/strip?report=1", [one, none]),
    ):
        operation = described["paths"][path.partition("?")[0]]["post"]
        reference = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
        answer = server.post(path, files=[("file", file) for file in files])
        assert answer.status_code == 200
        check(reference.rpartition("/")[2], answer.json(), described)


def test_lists_and_structures_of_xmp_stand_in_the_summary_as_the_schema_says():
    packet = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description xmlns:exif="http://ns.adobe.com/exif/1.0/"><exif:Flash exif:Fired="True" exif:Mode="1"/>'
        b"<exif:ISOSpeedRatings><rdf:Seq><rdf:li>200</rdf:li></rdf:Seq></exif:ISOSpeedRatings>"
        b"</rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "JPEG", xmp=packet)
    answer = document(examine(out.getvalue()))
    check("Metadata", answer)
    assert answer["exposure"]["iso"] == "200"
