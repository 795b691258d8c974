"""What the exif function answers in, by option and by Accept header."""

from __future__ import annotations

import io

import pytest
from flask.testing import FlaskClient
from functions_framework import create_app

from tests.functions.exif import made
from tests.servers import ROOT


@pytest.fixture(scope="module")
def client() -> FlaskClient:
    return create_app("exif", str(ROOT / "functions/exif/main.py"), "http").test_client()


@pytest.mark.parametrize(
    ("accept", "mimetype"),
    [
        ("text/csv", "text/csv"),
        ("text/csv; charset=utf-8; header=present", "text/csv"),
        ("application/json;q=0.5, text/*", "text/csv"),
        ("text/csv, */*;q=0.1", "text/csv"),
        ("application/json; charset=utf-8", "application/json"),
        ("text/csv;q=0.5, application/json", "application/json"),
        ("*/*", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
    ],
)
def test_it_answers_in_what_is_accepted(client: FlaskClient, accept: str, mimetype: str):
    one = client.post("/", data=made.jpeg(), headers={"Accept": accept})
    files = {"file": [(io.BytesIO(made.jpeg()), "a.jpg"), (io.BytesIO(made.jpeg()), "b.jpg")]}
    several = client.post("/", data=files, headers={"Accept": accept})
    assert [(answer.status_code, answer.mimetype) for answer in (one, several)] == [(200, mimetype)] * 2
    if mimetype == "text/csv":
        assert one.data == client.post("/?format=csv", data=made.jpeg()).data


@pytest.mark.parametrize("accept", ["image/png", "application/xml", "image/jpeg"])
def test_what_there_is_not_is_406_with_what_there_is(client: FlaskClient, accept: str):
    refused = client.post("/", data=made.jpeg(), headers={"Accept": accept})
    assert refused.status_code == 406
    assert refused.json["offered"] == ["application/json", "text/csv"]


@pytest.mark.parametrize(
    ("query", "mimetype"),
    [("format=json", "application/json"), ("format=csv", "text/csv"), ("thumbnail=1", "image/jpeg")],
)
@pytest.mark.parametrize("accept", ["text/csv", "application/json", "image/png"])
def test_an_option_says_so_whatever_is_accepted(client: FlaskClient, query: str, mimetype: str, accept: str):
    answer = client.post(f"/?{query}", data=made.jpeg(), headers={"Accept": accept})
    assert (answer.status_code, answer.mimetype) == (200, mimetype)


@pytest.mark.parametrize("thumbnail", ["1", "inline"])
@pytest.mark.parametrize(("query", "named"), [("flat", "flat"), ("flat=1&format=json", "flat"), ("format=csv", "csv")])
def test_a_table_has_no_place_for_a_thumbnail(client: FlaskClient, thumbnail: str, query: str, named: str):
    refused = client.post(f"/?thumbnail={thumbnail}&{query}", data=made.jpeg())
    assert (refused.status_code, refused.json["option"]) == (400, "thumbnail")
    assert f"thumbnail={thumbnail}" in refused.json["detail"]
    assert named in refused.json["detail"]


def test_a_thumbnail_in_the_answer_is_for_those_who_take_json(client: FlaskClient):
    refused = client.post("/?thumbnail=inline", data=made.jpeg(), headers={"Accept": "text/csv"})
    assert (refused.status_code, refused.json["offered"]) == (406, ["application/json"])
