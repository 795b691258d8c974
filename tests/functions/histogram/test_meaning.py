"""Ranges, percentiles, zones, regions in percent and comparisons, against numpy and by arithmetic."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from functions.histogram import comparison
from functions.histogram.analysis import Choices, analyse
from functions.histogram.counting.model import Region, Share
from functions.kit.http.settings import Settings
from tests.images import encoded, gradient, noise

ROOT = Path(__file__).parents[3]
SETTINGS = Settings()
COUNTS = st.lists(st.integers(0, 1000), min_size=16, max_size=16)


@pytest.fixture(scope="module")
def client() -> FlaskClient:
    import functions_framework

    return functions_framework.create_app("histogram", str(ROOT / "functions/histogram/main.py"), "http").test_client()


def body(client: FlaskClient, data: bytes, query: str) -> dict[str, object]:
    answer = client.post(f"/?{query}", data=data)
    assert answer.status_code == 200, answer.text
    return answer.get_json()


@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_a_range_of_8_bit_values(client: FlaskClient, mode: str) -> None:
    image = noise((80, 60)).convert(mode)
    found = body(client, encoded(image), "range=64,127&bins=64")
    plain = body(client, encoded(image), "")
    assert found["range"] == [64, 127]
    assert found["histogram"] == plain["histogram"][64:128]
    below, above = found["outside"]["luminance"]
    assert (below, above) == (sum(plain["histogram"][:64]), sum(plain["histogram"][128:]))
    assert sum(found["histogram"]) + below + above == found["pixels"]
    left_out = 100 * (below + above) / found["pixels"]
    assert found["verdict"].endswith(f" Pixels outside the range ({left_out:.1f} %) are not judged.")
    assert "not judged" not in plain["verdict"]


def test_a_range_of_deep_values(client: FlaskClient) -> None:
    values = np.random.default_rng(2).integers(0, 65536, (50, 40))
    data = encoded(Image.frombytes("I;16", (40, 50), values.astype("<u2").tobytes()))
    found = body(client, data, "range=1000,5095&bins=4096")
    assert found["histogram"] == np.bincount(values.ravel(), minlength=65536)[1000:5096].tolist()
    assert found["outside"]["gray"] == [int((values < 1000).sum()), int((values > 5095).sum())]


def test_a_range_of_floating_point_values(client: FlaskClient) -> None:
    values = np.linspace(-2, 3, 400, dtype="f4")
    data = encoded(Image.frombytes("F", (20, 20), values.tobytes()), "TIFF")
    found = body(client, data, "range=0,1&bins=16")
    inside = values[(values >= 0) & (values <= 1)]
    assert sum(found["histogram"]) == len(inside)
    assert found["outside"]["gray"] == [int((values < 0).sum()), int((values > 1).sum())]
    assert max(found["histogram"]) - min(found["histogram"]) <= 2


@pytest.mark.parametrize(
    "query", ["range=5", "range=9,3", "range=a,b", "range=0,300", "percentiles=101", "percentiles=x"]
)
def test_what_is_not_allowed(client: FlaskClient, query: str) -> None:
    answer = client.post(f"/?{query}", data=encoded(gradient()))
    assert (answer.status_code, answer.get_json()["option"]) == (400, query.partition("=")[0])


@given(COUNTS, st.lists(st.integers(0, 100), min_size=1, max_size=5))
def test_percentiles_are_numpys_by_nearest_rank(counts: list[int], wanted: list[int]) -> None:
    values = np.repeat(np.arange(16), counts)
    found = comparison.percentiles(counts, wanted)
    if not values.size:
        assert found == {}
        return
    for each in wanted:
        assert found[f"{each:g}"] == int(np.percentile(values, each, method="inverted_cdf"))


def test_percentiles_of_each_channel(client: FlaskClient) -> None:
    found = body(client, encoded(gradient()), "percentiles=0,50,99.5")
    assert set(found["percentiles"]) == {"luminance", "red", "green", "blue"}
    assert found["percentiles"]["red"]["50"] == found["figures"]["red"]["median"]


def test_zones_are_steps_of_light_below_white() -> None:
    levels = [0] * 256
    levels[255], levels[188], levels[137], levels[0] = 10, 20, 30, 40  # 1, 0.503, 0.251 of white, and none
    assert comparison.zones(levels) == [30.0, 30.0, *[0.0] * 7, 40.0]
    linear = [0] * 257
    linear[256], linear[128], linear[127] = 1, 1, 2
    assert comparison.zones(linear, linear=True) == [25.0, 75.0, *[0.0] * 8]
    assert comparison.zones([0] * 16) == [0.0] * 10


@given(COUNTS)
def test_zones_hold_every_pixel(counts: list[int]) -> None:
    assert sum(comparison.zones(counts)) == pytest.approx(100 if sum(counts) else 0, abs=0.01)


@pytest.mark.parametrize(
    ("text", "region"),
    [("0%,0%,100%,100%", (0, 0, 80, 60)), ("25%,50%,50%,50%", (20, 30, 40, 30)), ("0%,0%,1%,1%", (0, 0, 1, 1))],
)
def test_a_region_in_percent(client: FlaskClient, text: str, region: tuple[int, ...]) -> None:
    data = encoded(noise((80, 60)))
    found = body(client, data, f"region={text.replace('%', '%25')}")
    assert tuple(found["region"]) == region
    assert found["histogram"] == body(client, data, f"region={','.join(map(str, region))}")["histogram"]
    assert analyse(data, SETTINGS, Choices(region=Share(25, 50, 50, 50))).histogram.pixels == 1200
    assert client.post("/?region=60%25,0%25,50%25,10%25", data=data).status_code == 400


@given(COUNTS, COUNTS)
def test_distances_are_those_of_their_definitions(first: list[int], second: list[int]) -> None:
    found = comparison.compare(first, second)
    if not sum(first) or not sum(second):
        assert set(found.values()) == {None}
        return
    p, q = np.array(first) / sum(first), np.array(second) / sum(second)
    assert found["earth_movers"] == pytest.approx(np.abs(np.cumsum(p - q)).sum(), abs=1e-3)
    assert found["intersection"] == pytest.approx(np.minimum(p, q).sum(), abs=1e-5)
    both = p + q > 0
    assert found["chi_square"] == pytest.approx(((p - q)[both] ** 2 / (p + q)[both]).sum() / 2, abs=1e-5)
    same = comparison.compare(first, first)
    assert (same["earth_movers"], same["chi_square"]) == (0, 0)
    assert same["intersection"] == pytest.approx(1)


def test_a_shift_in_exposure_is_that_of_the_light() -> None:
    dark, bright = [0] * 256, [0] * 256
    dark[137], bright[188] = 100, 100
    assert comparison.compare(dark, bright)["shift_ev"] == pytest.approx(1, abs=0.01)
    assert comparison.compare(bright, dark)["shift_ev"] == pytest.approx(-1, abs=0.01)


def test_several_files_are_compared_with_the_first(client: FlaskClient) -> None:
    dark, bright = encoded(gradient("L").point(lambda level: level // 2)), encoded(gradient("L"))
    files = {"files": [(io.BytesIO(dark), "a.png"), (io.BytesIO(b"broken"), "b.png"), (io.BytesIO(bright), "c.png")]}
    answer = client.post("/?compare=1", data=files)
    first, broken, last = answer.get_json()["results"]
    assert "compare" not in first
    assert "problem" in broken
    assert last["compare"]["with"] == "a.png"
    assert last["compare"]["earth_movers"] > 10
    assert last["compare"]["shift_ev"] > 0
    files = {"files": [(io.BytesIO(dark), "a.png"), (io.BytesIO(bright), "c.png")]}
    assert client.post("/?compare=1&normalize=1", data=files).status_code == 400


def test_options_reach_the_process_of_a_large_image(monkeypatch: pytest.MonkeyPatch) -> None:
    from functions.kit.images import opening

    data = encoded(noise((80, 60)))
    choices = Choices(region=Share(25, 50, 50, 50), percentiles=(5.0, 50.0), value_range=(0, 127), colours=0)
    small = analyse(data, SETTINGS, choices)
    monkeypatch.setattr(opening, "LARGE_PIXELS", 100)
    assert analyse(data, SETTINGS, choices).document() == small.document()
    assert small.histogram.pixels == 1200
    assert analyse(data, SETTINGS, Choices(region=Region(1, 2, 3, 4))).histogram.pixels == 12


def test_zones_of_a_sensor_are_linear() -> None:
    assert struct.calcsize("<H") == 2
    assert comparison.zones([0, 0, 1, 0, 1], linear=True) == [50.0, 50.0, *[0.0] * 8]


def test_a_line_of_json_for_each_file(client: FlaskClient) -> None:
    import json

    files = {"files": [(io.BytesIO(encoded(gradient())), "a.png"), (io.BytesIO(b"broken"), "b.png")]}
    answer = client.post("/?format=ndjson", data=files)
    assert answer.mimetype == "application/x-ndjson"
    first, second = map(json.loads, answer.text.splitlines())
    assert first == {"name": "a.png", **body(client, encoded(gradient()), "")}
    assert (second["name"], second["problem"]["status"]) == ("b.png", 422)
    one = client.post("/", data=encoded(gradient()), headers={"Accept": "application/x-ndjson"})
    assert json.loads(one.text)["histogram"] == first["histogram"]


def test_a_table_of_figures_has_a_row_for_each_file(client: FlaskClient) -> None:
    import csv

    pictures = [(encoded(gradient()), "=a.png"), (b"broken", "b.png"), (encoded(gradient("L")), "c.png")]
    files = {"files": [(io.BytesIO(data), name) for data, name in pictures]}
    answer = client.post("/?format=csv&table=figures", data=files)
    assert answer.mimetype == "text/csv"
    first, broken, last = csv.DictReader(io.StringIO(answer.text))
    assert first["name"] == "'=a.png"
    assert float(first["red_mean"]) == body(client, encoded(gradient()), "")["figures"]["red"]["mean"]
    assert "unrecognised" in broken["problem"]
    assert (last["gray_median"], last["red_mean"], last["width"]) == (last["luminance_median"], "", "64")
    assert len(list(csv.reader(io.StringIO(client.post("/?format=csv&table=figures", data=pictures[0][0]).text)))) == 2


@pytest.mark.parametrize("turned", range(1, 9))
@pytest.mark.parametrize("region", ["7,5,20,11", "10%,20%,30%,40%"])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF"])
def test_a_region_of_the_displayed_picture(client: FlaskClient, turned: int, region: str, form: str) -> None:
    image = gradient("L", (64, 48))
    exif = Image.Exif()
    exif[0x0112] = turned
    data = encoded(image, form, exif=exif)
    with Image.open(io.BytesIO(data)) as stored:
        shown = ImageOps.exif_transpose(stored)
    if region.endswith("%"):
        x, y, width, height = Share(10, 20, 30, 40).of(shown.size)
    else:
        x, y, width, height = map(int, region.split(","))
    found = body(client, data, f"region={region}&orientation=displayed")
    assert found["histogram"] == shown.crop((x, y, x + width, y + height)).histogram()
    assert found["orientation"] == turned
    x, y, width, height = found["region"]
    assert body(client, data, f"region={x},{y},{width},{height}")["histogram"] == found["histogram"]


def test_a_region_outside_the_displayed_picture(client: FlaskClient) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(gradient("L", (64, 48)), "JPEG", exif=exif)
    assert client.post("/?region=0,0,64,48&orientation=displayed", data=data).get_json()["option"] == "region"
    assert client.post("/?region=0,0,48,64&orientation=displayed", data=data).status_code == 200


@pytest.mark.parametrize("turned", [2, 6, 7])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_region_of_a_stored_tiff_is_not_turned(client: FlaskClient, turned: int, bits: int) -> None:
    values = np.arange(48 * 64, dtype="u1" if bits == 8 else "u2").reshape(48, 64)
    out = io.BytesIO()
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="8"/></x:xmpmeta>'
    tags = [(274, 3, 1, turned, True), (700, 1, len(xmp), xmp, True)]
    tifffile.imwrite(out, values, photometric="minisblack", extratags=tags, metadata=None)
    found = body(client, out.getvalue(), "region=3,5,20,11")
    assert found["size"] == [64, 48]
    cut = values[5:16, 3:23] >> (2 if bits == 16 else 0)  # ten bits are in use
    assert found["histogram"] == np.bincount(cut.ravel(), minlength=256).tolist()
