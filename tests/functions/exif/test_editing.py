"""`/strip` and `/set` over HTTP: one file and several, copies, reports and problems."""

from __future__ import annotations

import io
import zipfile
from urllib.parse import unquote

import functions_framework
import pytest
from flask.testing import FlaskClient

import functions.exif.main
from functions.exif.answer import examine
from tests.functions.exif import made
from tests.images import encoded, gradient

MULTIPART = "multipart/form-data"


@pytest.fixture(scope="module")
def client() -> FlaskClient:
    return functions_framework.create_app("exif", functions.exif.main.__file__, "http").test_client()


def several(*files: tuple[str, bytes]) -> dict[str, object]:
    return {"data": {"file": [(io.BytesIO(data), name) for name, data in files]}, "content_type": MULTIPART}


@pytest.mark.parametrize("path", ["/strip", "/exif/strip"])
def test_a_copy_comes_back_with_what_went(client: FlaskClient, path: str) -> None:
    answer = client.post(path, data=made.jpeg())
    assert answer.status_code == 200
    assert answer.content_type == "image/jpeg"
    assert set(answer.headers["X-Removed"].split(", ")) >= {"exif", "xmp", "iptc", "comment", "trailer"}
    assert b"Erika Mustermann" not in answer.data
    assert examine(answer.data).text("IFD0", "Orientation") == "Rotate 90 CW"
    assert client.post(path, data=answer.data).headers["X-Removed"] == "nothing"


def test_the_copy_is_named_as_the_upload(client: FlaskClient) -> None:
    answer = client.post("/strip", **several(("../../Erika <M>.jpg", made.jpeg())))
    assert answer.headers["Content-Disposition"] == 'attachment; filename="Erika _M_.jpg"'


def test_a_report_names_the_tags_that_went(client: FlaskClient) -> None:
    report = client.post("/strip?report=1", **several(("a.jpg", made.jpeg()))).json
    assert report["name"] == "a.jpg"
    assert report["bytes_after"] < report["bytes_before"] == len(made.jpeg())
    assert {"exif", "xmp"} <= {one["kind"] for one in report["removed"]}
    assert "SerialNumber" in report["removed_tags"]["ExifIFD"]
    assert "GPSLatitude" in report["removed_tags"]["GPS"]
    assert report["remaining_tags"]["IFD0"] == ["Orientation"]


def test_keep_and_remove(client: FlaskClient) -> None:
    assert examine(client.post("/strip?keep=none", data=made.jpeg()).data).text("IFD0", "Orientation") == ""
    kept = client.post("/strip?keep=copyright", data=made.jpeg()).data
    assert examine(kept).text("IFD0", "Copyright") == "All rights"
    located = client.post("/strip?remove=gps", data=made.jpeg())
    assert "gps" in located.headers["X-Removed"]
    assert examine(located.data).text("IFD0", "Artist") == "Erika Mustermann"
    for query in ("keep=everything", "remove=icc", "remove=gps&keep=icc", "keep=none,icc"):
        assert client.post(f"/strip?{query}", data=made.jpeg()).status_code == 400


def test_several_files_come_back_as_an_archive(client: FlaskClient) -> None:
    files = [("a.jpg", made.jpeg()), ("A.jpg", made.png()), ("b.txt", b"no image"), ("c.webp", made.webp())]
    answer = client.post("/strip", **several(*files))
    assert answer.content_type == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert archive.namelist() == ["a.jpg", "2-A.jpg", "c.webp", "problems.txt"]
        assert archive.testzip() is None
        assert b"b.txt: unrecognised image format" in archive.read("problems.txt")
        for name in archive.namelist():
            assert b"Erika" not in archive.read(name)
    reports = client.post("/strip?report=1", **several(*files)).json["results"]
    assert [one["name"] for one in reports] == ["a.jpg", "A.jpg", "b.txt", "c.webp"]
    assert reports[2]["problem"]["status"] == 422


@pytest.mark.parametrize(
    ("data", "status"),
    [(encoded(gradient(), "BMP"), 415), (b"no image", 422), (b"", 400), (made.jpeg()[:40], 422), (b"%PDF-1.7", 415)],
)
@pytest.mark.parametrize("path", ["/strip", "/set?artist=x"])
def test_what_cannot_be_edited_is_a_problem(client: FlaskClient, path: str, data: bytes, status: int) -> None:
    answer = client.post(path, data=data)
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"


def test_fields_are_set(client: FlaskClient) -> None:
    query = {
        "artist": "Zoë",
        "copyright": "© Zoë",
        "date": "2024-05-03T14:12:00+02:00",
        "gps": "48.1,11.5,520",
        "orientation": "1",
    }
    answer = client.post("/set", data=encoded(gradient(), "WEBP"), query_string=query)
    assert answer.content_type == "image/webp"
    shown = client.post("/", data=answer.data).json
    assert shown["location"]["latitude"] == 48.1
    assert shown["location"]["altitude"] == 520
    assert shown["capture_time"]["iso"] == "2024-05-03T14:12:00+02:00"
    assert shown["groups"]["IFD0"]["Artist"]["value"] == "Zoë"


@pytest.mark.parametrize("query", ["", "date=tomorrow", "gps=100,0", "orientation=9", "artist=a%00b", "maker=x"])
def test_what_cannot_be_set_is_refused(client: FlaskClient, query: str) -> None:
    assert client.post(f"/set?{query}", data=made.jpeg()).status_code == 400


def test_a_date_and_a_place_are_taken_as_they_are_typed_and_answered(client: FlaskClient) -> None:
    answer = client.post("/set?date=2024-05-03T14:12:00+02:00&gps=48.1,11.5,520", data=made.jpeg())
    shown = client.post("/", data=answer.data).json
    assert shown["capture_time"]["iso"] == "2024-05-03T14:12:00+02:00"
    again = client.post("/set", data=made.jpeg(), query_string={"gps": shown["location"]["geo"] + ";u=4.7"})
    assert client.post("/", data=again.data).json["location"]["geo"] == shown["location"]["geo"]


def test_a_warning_where_xmp_says_otherwise(client: FlaskClient) -> None:
    answer = client.post("/set?artist=Somebody", data=made.jpeg())
    assert "XMP" in answer.headers["X-Warning"]


@pytest.mark.parametrize(
    ("name", "plain", "whole"),
    [
        ("photo.jpg", "photo.jpg", None),
        ("Übung.jpg", "Ubung.jpg", "Übung.jpg"),
        ("日本.jpg", "clean.jpg", "日本.jpg"),
        ("../日/本", "clean", "本"),
        ("a;b|c.jpg", "a_b_c.jpg", None),
        ("...", "clean.jpg", None),
    ],
)
def test_a_copy_keeps_its_name(client: FlaskClient, name: str, plain: str, whole: str | None) -> None:
    answer = client.post("/strip", **several((name, made.jpeg())))
    disposition = answer.headers["Content-Disposition"]
    assert disposition.isascii()
    said, _, extended = disposition.partition("; filename*=UTF-8''")
    assert said == f'attachment; filename="{plain}"'
    assert unquote(extended) == (whole or "")


def test_no_two_copies_in_an_archive_have_one_name(client: FlaskClient) -> None:
    names = ["a.jpg", "2-a.jpg", "A.JPG", "a.jpg", "日本.jpg", "日本.jpg"]
    answer = client.post("/strip", **several(*((name, made.jpeg()) for name in names)))
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert archive.namelist() == ["a.jpg", "2-a.jpg", "3-A.JPG", "4-a.jpg", "日本.jpg", "2-日本.jpg"]


def test_an_event_is_answered_with_a_clean_image(client: FlaskClient) -> None:
    headers = {
        "ce-specversion": "1.0",
        "ce-id": "1",
        "ce-source": "/tests",
        "ce-type": "dev.pixelamp.image.clean",
        "Content-Type": "image/jpeg",
    }
    answer = client.post("/", data=made.jpeg(), headers=headers)
    assert answer.status_code == 200, answer.data[:300]
    assert answer.headers["ce-type"] == "dev.pixelamp.image.cleaned"
    assert answer.content_type == "image/jpeg"
    assert b"Erika Mustermann" not in answer.data
