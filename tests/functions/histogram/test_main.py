"""The histogram function over HTTP: what is answered, in which form, to which options."""

from __future__ import annotations

import csv
import email
import io
import json
import struct
from collections.abc import Mapping
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from functions.histogram.analysis import APPROXIMATION_ERROR, analyse
from functions.histogram.counting.plain import count
from functions.kit.http.settings import Settings
from tests.images import encoded, gradient, png_of

ROOT = Path(__file__).parents[3]
PHOTO = encoded(gradient(size=(200, 150)), "JPEG", quality=90)
BROKEN = encoded(gradient())[:50]


@pytest.fixture(scope="module")
def client() -> FlaskClient:
    import functions_framework

    return functions_framework.create_app("histogram", str(ROOT / "functions/histogram/main.py"), "http").test_client()


def ask(client: FlaskClient, data: bytes = PHOTO, headers: Mapping[str, str] | None = None, **options: object):
    return client.post("/", data=data, query_string=options, headers=headers)


def form(*files: tuple[str, bytes]) -> dict[str, list[tuple[io.BytesIO, str]]]:
    return {"files": [(io.BytesIO(data), name) for name, data in files]}


def test_the_answer(client: FlaskClient) -> None:
    answer = ask(client)
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    body = answer.get_json()
    counted = count(Image.open(io.BytesIO(PHOTO)))
    assert body["histogram"] == counted.luminance
    assert body["channels"] == counted.channels
    assert {name: body[name] for name in ("size", "format", "mode", "pixels", "bins", "ignored")} == {
        "size": [200, 150],
        "format": "JPEG",
        "mode": "RGB",
        "pixels": 30000,
        "bins": 256,
        "ignored": 0,
    }
    assert set(body["figures"]) == {"luminance", "red", "green", "blue"}
    assert body["verdict"].endswith(".")
    assert 1 <= len(body["colours"]) <= 6


def test_the_same_bytes_have_the_same_result_whichever_way_they_come(client: FlaskClient) -> None:
    raw = ask(client).get_json()
    assert client.post("/histogram", data={"file": (io.BytesIO(PHOTO), "a.jpg")}).get_json() == raw
    assert client.post("/process-image", data={"image": (io.BytesIO(PHOTO), "b.png")}).get_json() == raw
    assert client.post("/histogram/process-image", data=PHOTO).get_json() == raw


def test_channels(client: FlaskClient) -> None:
    body = ask(client, channels="red,luminance").get_json()
    assert list(body["channels"]) == ["red"]
    assert set(body["figures"]) == {"luminance", "red"}
    refused = ask(client, channels="cyan")
    assert refused.status_code == 400
    assert "no channel 'cyan'; it has luminance, red, green, blue" in refused.get_json()["detail"]


@pytest.mark.parametrize("bins", [2, 16, 128])
def test_bins(client: FlaskClient, bins: int) -> None:
    full, body = ask(client).get_json(), ask(client, bins=bins).get_json()
    width = 256 // bins
    assert body["histogram"] == [sum(full["histogram"][at : at + width]) for at in range(0, 256, width)]
    assert body["figures"] == full["figures"]


def test_65536_bins_are_for_sixteen_bits(client: FlaskClient) -> None:
    deep = encoded(Image.frombytes("I;16", (2, 2), struct.pack("<4H", 0, 700, 700, 65535)))
    body = ask(client, deep, bins=65536).get_json()
    assert {level: n for level, n in enumerate(body["histogram"]) if n} == {0: 1, 700: 2, 65535: 1}
    assert body["figures"]["luminance"]["median"] == 700
    for bins in (512, 65536):
        refused = ask(client, bins=bins)
        assert (refused.status_code, refused.get_json()["option"]) == (400, "bins")


def test_cumulative_and_normalize(client: FlaskClient) -> None:
    body = ask(client, cumulative=1, normalize=1).get_json()
    assert body["histogram"][-1] == 1
    assert body["histogram"] == sorted(body["histogram"])
    shares = ask(client, normalize=1).get_json()["channels"]["red"]
    assert sum(shares) == pytest.approx(1, abs=1e-6)


def test_region(client: FlaskClient) -> None:
    body = ask(client, region="10,20,30,40").get_json()
    assert (body["pixels"], body["region"], body["size"]) == (1200, [10, 20, 30, 40], [200, 150])
    assert body["histogram"] == count(Image.open(io.BytesIO(PHOTO)).crop((10, 20, 40, 60))).luminance
    refused = ask(client, region="190,0,11,1")
    assert (refused.status_code, refused.get_json()["option"]) == (400, "region")


def test_transparent_pixels(client: FlaskClient) -> None:
    image = gradient("RGBA", (20, 10))
    image.putalpha(Image.linear_gradient("L").resize((20, 10)).point(lambda level: 0 if level < 128 else 255))
    body = ask(client, encoded(image), ignore_transparent=1).get_json()
    assert body["pixels"] + body["ignored"] == 200
    assert body["ignored"] == image.getchannel("A").histogram()[0] > 0
    blank = ask(client, encoded(Image.new("RGBA", (4, 4))), ignore_transparent=1).get_json()
    assert (blank["pixels"], blank["figures"]["luminance"], blank["verdict"]) == (0, None, "No pixel was counted.")


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("region", [None, "4,0,9,2"])
def test_the_transparent_value_of_a_gray_png_is_ignored_at_every_depth(
    client: FlaskClient, depth: int, region: str | None
) -> None:
    width, height, top = 16, 2, 2**depth - 1
    values = [[min(top, (x * y + x) * 37 % (top + 1)) for x in range(width)] for y in range(height)]
    value = values[1][5]
    lines = b"".join(
        b"\0" + int("".join(f"{each:0{depth}b}" for each in line), 2).to_bytes(width * depth // 8, "big")
        for line in values
    )
    data = png_of(width, height, depth, 0, lines, struct.pack(">H", value))
    options = {"region": region} if region else {}
    body = ask(client, data, ignore_transparent=1, **options).get_json()
    inside = [each for line in values for each in (line[4:13] if region else line)]
    assert body["ignored"] == inside.count(value) > 0
    assert body["pixels"] == sum(body["histogram"]) == len(inside) - inside.count(value)
    if depth == 16:
        deep = ask(client, data, ignore_transparent=1, bins=65536, **options).get_json()
        assert deep["ignored"] == inside.count(value)
        assert deep["histogram"][value] == 0


def test_a_transparent_colour_of_16_bits_is_one_colour_alone(client: FlaskClient) -> None:
    lines = b"\0" + struct.pack(">9H", 1000, 5, 7, 1001, 5, 7, 60000, 6, 7)
    data = png_of(3, 1, 16, 2, lines, struct.pack(">HHH", 1000, 5, 7))
    assert ask(client, data).get_json()["pixels"] == 3
    body = ask(client, data, ignore_transparent=1, bins=65536).get_json()
    assert (body["pixels"], body["ignored"]) == (2, 1)
    assert [level for level, pixels in enumerate(body["channels"]["red"]) if pixels] == [1001, 60000]


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_an_approximation_says_so_and_keeps_its_word(client: FlaskClient, scale: int) -> None:
    photo = encoded(gradient(size=(800, 600)).rotate(20, Image.Resampling.BICUBIC), "JPEG")
    exact, rough = ask(client, photo).get_json(), ask(client, photo, approximate=scale).get_json()
    assert "approximate" not in exact
    assert rough["approximate"] == {"scale": scale, "error": list(APPROXIMATION_ERROR[scale])}
    assert (rough["size"], rough["pixels"]) == ([800, 600], 480000 // scale**2)


def test_the_stated_error_of_approximation_holds_for_photographs(photos: list[Path]) -> None:
    from functions.histogram.analysis import Choices
    from functions.kit.http.problems import Problem

    worst: dict[int, list[float]] = {2: [], 4: [], 8: []}
    for path in photos:
        if path.suffix.lower() not in {".jpg", ".jpeg"} or path.stat().st_size > 3_000_000:
            continue
        try:
            exact = analyse(path.read_bytes(), Settings(), Choices(normalize=True, colours=0)).series()["luminance"]
            if analyse(path.read_bytes(), Settings()).width < 400:
                continue
            for scale, errors in worst.items():
                choices = Choices(normalize=True, colours=0, approximate=scale)
                rough = analyse(path.read_bytes(), Settings(), choices).series()["luminance"]
                errors.append(sum(abs(a - b) for a, b in zip(exact, rough, strict=True)) / 2)
        except Problem:
            continue
    for scale, errors in worst.items():
        errors.sort()
        assert errors[len(errors) // 2] <= APPROXIMATION_ERROR[scale][1], scale


def test_frames(client: FlaskClient) -> None:
    pages = encoded(Image.new("L", (4, 4), 10), "TIFF", save_all=True, append_images=[Image.new("L", (4, 4), 20)])
    assert ask(client, pages).get_json()["histogram"][10] == 16
    second = ask(client, pages, frame=1).get_json()
    assert (second["histogram"][20], second["frame"]) == (16, 1)
    assert ask(client, pages, frame=2).status_code == 422


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("image/png", "image/png"),
        ("image/svg+xml, application/json;q=0.5", "image/svg+xml"),
        ("application/pdf", "application/pdf"),
        ("text/csv", "text/csv"),
        ("text/html,image/png,*/*;q=0.8", "text/html"),
    ],
)
def test_the_accept_header_decides(client: FlaskClient, accept: str | None, expected: str) -> None:
    answer = ask(client, headers={"Accept": accept} if accept else {})
    assert (answer.status_code, answer.mimetype) == (200, expected)
    assert "Accept" in answer.headers["Vary"] or expected == "text/html"


def test_an_accept_header_that_nothing_meets(client: FlaskClient) -> None:
    assert ask(client, headers={"Accept": "audio/ogg"}).status_code == 406


@pytest.mark.parametrize(
    ("name", "magic"), [("png", b"\x89PNG"), ("svg", b"<svg"), ("pdf", b"%PDF"), ("csv", b"level,")]
)
def test_the_option_format_outweighs_the_accept_header(client: FlaskClient, name: str, magic: bytes) -> None:
    answer = ask(client, headers={"Accept": "application/json"}, format=name)
    assert answer.data.startswith(magic)


def test_looks(client: FlaskClient) -> None:
    plain = ask(client, format="png").data
    for option in ({"scale": "log"}, {"theme": "dark"}, {"title": "T"}, {"engine": "matplotlib"}, {"channels": "red"}):
        assert ask(client, format="png", **option).data != plain
    sized = Image.open(io.BytesIO(ask(client, format="png", width=321, height=123).data))
    assert sized.size == (321, 123)
    assert b"<text" in ask(client, format="svg", title="A <title>").data


def test_a_pdf_has_one_engine(client: FlaskClient) -> None:
    refused = ask(client, format="pdf", engine="fast")
    assert (refused.status_code, refused.get_json()["option"]) == (400, "engine")
    assert ask(client, format="svg", engine="matplotlib").data.startswith(b"<?xml")


def test_csv(client: FlaskClient) -> None:
    answer = ask(client, format="csv", bins=64)
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    body = ask(client, bins=64).get_json()
    assert [int(row["luminance"]) for row in rows] == body["histogram"]
    assert [int(row["blue"]) for row in rows] == body["channels"]["blue"]
    assert [int(row["level"]) for row in rows] == list(range(0, 256, 4))


def test_an_entity_tag_spares_the_work(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ask(client, format="png")
    tag = first.headers["ETag"]
    assert ask(client, format="png").headers["ETag"] == tag
    monkeypatch.setattr("functions.histogram.analysis.open_pixels", lambda *_: pytest.fail("decoded"))
    for given_tag in (tag, f"W/{tag}", f'"other", {tag}'):
        again = ask(client, format="png", headers={"If-None-Match": given_tag})
        assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag)


def test_entity_tags_are_over_bytes_and_options(client: FlaskClient) -> None:
    tags = [
        ask(client, data, headers, **options).headers["ETag"]
        for data, headers, options in [
            (PHOTO, {}, {}),
            (PHOTO + b"\0", {}, {}),
            (PHOTO, {}, {"bins": 2}),
            (PHOTO, {"Accept": "text/csv"}, {}),
            (PHOTO, {}, {"region": "0,0,5,5"}),
        ]
    ]
    assert len(set(tags)) == len(tags)
    assert ask(client, bins=256).headers["ETag"] == tags[0]
    assert ask(client, headers={"If-None-Match": tags[0]}, bins=2).status_code == 200


def test_a_body_that_is_not_an_image_is_refused_even_with_a_known_entity_tag(client: FlaskClient) -> None:
    assert ask(client, b"garbage", headers={"If-None-Match": "*"}).status_code == 422
    assert ask(client, headers={"If-None-Match": "*"}).status_code == 200


def test_no_two_media_types_share_an_entity_tag(client: FlaskClient) -> None:
    page = "text/html,application/xhtml+xml,*/*;q=0.8"
    for names, accepts in (
        ("ab", ("application/json", "multipart/mixed", page)),
        ("a", ("application/json", "multipart/mixed", page, "image/png", "text/csv")),
    ):
        answers = [
            client.post("/", data=form(*((name, PHOTO) for name in names)), headers={"Accept": accept})
            for accept in accepts
        ]
        assert len({answer.mimetype for answer in answers}) == len(accepts)
        tags = [answer.headers.get("ETag") for answer in answers]  # a page has none
        assert len(set(tags)) == len(accepts)
        for accept, own in zip(accepts, tags, strict=True):
            for tag in filter(None, tags):
                headers = {"Accept": accept, "If-None-Match": tag}
                again = client.post("/", data=form(*((name, PHOTO) for name in names)), headers=headers)
                assert again.status_code == (304 if tag == own else 200)


def test_one_file_is_one_part_for_whom_takes_nothing_else(client: FlaskClient) -> None:
    answer = client.post("/", data=form(("a.jpg", PHOTO)), headers={"Accept": "multipart/mixed; boundary=any"})
    assert answer.mimetype == "multipart/mixed"
    message = email.message_from_bytes(f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode() + answer.data)
    (part,) = message.get_payload()
    assert (part.get_content_type(), part.get_filename()) == ("application/json", "a.jpg")
    assert json.loads(part.get_payload()) == ask(client).get_json()
    refused = client.post("/", data=form(("a.jpg", b"garbage")), headers={"Accept": "multipart/mixed"})
    assert refused.status_code == 422


def test_several_files_have_a_result_each(client: FlaskClient) -> None:
    files = form(("a.jpg", PHOTO), ("b.png", BROKEN), ("c.txt", b"text"), ("d.png", encoded(gradient("L"))))
    answer = client.post("/", data=files)
    results = answer.get_json()["results"]
    assert answer.status_code == 200
    assert [result["name"] for result in results] == ["a.jpg", "b.png", "c.txt", "d.png"]
    assert [result.get("problem", {}).get("status") for result in results] == [None, 422, 422, None]
    assert {key: value for key, value in results[0].items() if key != "name"} == ask(client).get_json()


@pytest.mark.parametrize("name", ["png", "csv"])
def test_several_files_as_parts(client: FlaskClient, name: str) -> None:
    files = form(("a ü.jpg", PHOTO), ("b.png", BROKEN))
    answer = client.post("/", data=files, query_string={"format": name})
    message = email.message_from_bytes(f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode() + answer.data)
    first, second = message.get_payload()
    assert first.get_content_type() == {"png": "image/png", "csv": "text/csv"}[name]
    assert first.get_filename() == "a ü.jpg"
    assert first.get_payload(decode=True).strip() == ask(client, format=name).data.strip()
    assert second.get_content_type() == "application/problem+json"


def test_several_files_as_json_parts_when_asked(client: FlaskClient) -> None:
    answer = client.post("/", data=form(("a", PHOTO), ("b", PHOTO)), headers={"Accept": "multipart/mixed"})
    assert answer.mimetype == "multipart/mixed"
    assert answer.data.count(b"Content-Type: application/json") == 2


@pytest.mark.parametrize(
    "query",
    [
        *("bins=3", "bins=131072", "region=1,2,3", "region=a,b,c,d", "approximate=3", "channels=infra", "width=31"),
        *("format=gif", "scale=cube", "frame=-1", "title=" + "x" * 201, "colour=3"),
    ],
)
def test_bad_options(client: FlaskClient, query: str) -> None:
    refused = client.post(f"/?{query}", data=PHOTO)
    assert (refused.status_code, refused.mimetype) == (400, "application/problem+json")
    assert refused.get_json()["option"] == query.partition("=")[0]


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "bins": st.sampled_from([2, 256, 65536]),
        "region": st.sampled_from(["0,0,1,1", "5,5,20,20", "0,0,64,48"]),
        "ignore_transparent": st.booleans().map(int),
        "approximate": st.sampled_from([2, 4, 8]),
        "frame": st.integers(0, 2),
        "cumulative": st.booleans().map(int),
        "normalize": st.booleans().map(int),
        "format": st.sampled_from(["json", "png", "svg", "csv"]),
        "scale": st.sampled_from(["linear", "log"]),
        "width": st.integers(32, 700),
        "height": st.integers(32, 500),
        "channels": st.sampled_from(["luminance", "red", "alpha", "gray"]),
    },
)
FORMS = {"1": "PNG", "L": "PNG", "LA": "PNG", "P": "GIF", "RGB": "JPEG", "RGBA": "WEBP", "CMYK": "TIFF", "F": "TIFF"}
BODIES = [encoded(gradient(mode), form) for mode, form in FORMS.items()]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(data=st.sampled_from(BODIES), options=OPTIONS)
def test_no_options_make_a_defect(client: FlaskClient, data: bytes, options: dict[str, object]) -> None:
    answer = ask(client, data, **options)
    assert answer.status_code in {200, 400, 422}, answer.text
    if answer.status_code == 200 and answer.mimetype == "application/json":
        body = answer.get_json()
        if not options.get("cumulative") and not options.get("normalize"):
            assert sum(body["histogram"]) == body["pixels"]
