"""The contract for bodies: limits of bytes and pixels, forms, damaged images, parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from functions.kit.http.function import JSON
from tests.conftest import FUNCTIONS
from tests.contract.conftest import LIMITS, Answer, Subject, largest_body
from tests.contract.exchanges import OVERSIZED, form, problem, still_serves
from tests.images import encoded, gradient, png_bomb


@pytest.mark.parametrize("path", ["/?no-such-option=1", "/no-such-path", "/healthz"])
def test_an_unread_body_does_not_lose_the_answer(subject: Subject, path: str):
    # The server answers while the client still sends: each of many must arrive, over one kept connection.
    for _ in range(30):
        method = "GET" if path == "/healthz" else "POST"
        assert subject.ask(method, path, OVERSIZED[:-1000]).status in (200, 400, 404)
    still_serves(subject)


def over_the_limit(subject: Subject, sent, headers: dict[str, str]) -> None:
    limit = int(LIMITS["MAX_BYTES"])
    said = problem(subject.ask("POST", "/", sent, headers), 413)
    assert said["limit"] == limit
    assert f"{limit:,} bytes ({largest_body(subject.name)})" in said["detail"]
    still_serves(subject)


def test_over_the_byte_limit_is_413_with_limit_and_value(subject: Subject):
    over_the_limit(subject, OVERSIZED, {"Content-Type": "application/json"})


def test_over_the_byte_limit_in_a_form_is_413(image_subject: Subject):
    over_the_limit(image_subject, *form("file", OVERSIZED))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_over_the_byte_limit_in_chunks_is_413(function: str, reach: Callable[[str, str], Subject]):
    chunks = (OVERSIZED[at : at + 65536] for at in range(0, len(OVERSIZED), 65536))
    over_the_limit(reach(function, "server"), chunks, {})


@pytest.mark.parametrize("field", ["file", "image", "photo"])
def test_a_multipart_image_under_any_of_its_names(image_subject: Subject, field: str):
    data, headers = form(field, image_subject.work[1])
    assert image_subject.ask("POST", "/", data, headers).status == 200


def without_the_name(answer: Answer) -> Any:
    """The result of an answer, without what it says of the file's name."""
    if answer.headers["Content-Type"] != JSON:
        return answer.body
    return {key: value for key, value in answer.json().items() if key not in ("name", "file")}


def test_the_same_bytes_give_the_same_result_whichever_way_they_come(image_subject: Subject):
    image = image_subject.work[1]
    data, headers = form("file", image)
    answers = [
        image_subject.ask("POST", "/", data, headers),
        image_subject.ask("POST", f"/{image_subject.name}", image, {"Content-Type": "image/jpeg"}),
        image_subject.ask("POST", "/", image, {"Content-Type": "application/x-www-form-urlencoded"}),
        image_subject.ask("POST", "/", image, {"Content-Type": "text/plain"}),
    ]
    assert [answer.status for answer in answers] == [200] * len(answers)
    results = [without_the_name(answer) for answer in answers]
    assert all(result == results[0] for result in results)


JPEG = encoded(gradient(size=(200, 150)), "JPEG")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(b"", 400, id="empty body"),
        pytest.param(b"no image at all, only words", 422, id="not an image"),
        pytest.param(b"plain text named photo.jpg\n", 422, id="a text file named .jpg"),
        pytest.param(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", 415, id="a known type that is not accepted"),
    ],
)
@pytest.mark.parametrize("way", ["raw", "multipart"])
def test_a_body_that_is_not_an_image_is_refused(image_subject: Subject, data: bytes, status: int, way: str):
    headers: dict[str, str] = {"Content-Type": "image/jpeg"}
    body = data
    if way == "multipart":
        body, headers = form("file", data)
    problem(image_subject.ask("POST", "/", body, headers), status)
    still_serves(image_subject)


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9])
def test_a_truncated_image_is_answered_never_a_500(image_subject: Subject, keep: float):
    answer = image_subject.ask("POST", "/", JPEG[: int(len(JPEG) * keep)])
    if answer.status == 200:
        assert not image_subject.function.decodes or answer.json()["complete"] is False
    else:
        problem(answer, 422)
    still_serves(image_subject)


def test_over_the_pixel_limit_is_413_before_decoding(image_subject: Subject):
    bomb = png_bomb()
    assert len(bomb) < 30_000
    answer = image_subject.ask("POST", "/", bomb)
    if image_subject.function.decodes:
        said = problem(answer, 413)
        assert (said["limit"], said["actual"]) == (int(LIMITS["MAX_PIXELS"]), 169_000_000)
        assert "13000 × 13000" in said["detail"]
    else:
        assert answer.status == 200, "dimensions come from the header: nothing is decoded"
    still_serves(image_subject)


def test_a_form_without_a_file_is_400(image_subject: Subject):
    body = b'--xYz\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n--xYz--\r\n'
    said = problem(image_subject.ask("POST", "/", body, {"Content-Type": "multipart/form-data; boundary=xYz"}), 400)
    assert "file" in said["detail"]
    still_serves(image_subject)


@pytest.mark.parametrize("body", [b"{", b"[1]", b'"text"', b"\xff\xfe", b"[" * 100_000])
def test_broken_parameters_are_400(json_subject: Subject, body: bytes):
    problem(json_subject.ask("POST", "/", body, {"Content-Type": "application/json"}), 400)
    still_serves(json_subject)
