"""Camera raws: the largest preview by default, the sensor's own values on request."""

from __future__ import annotations

import io
from math import log2

import numpy as np
import pytest
import tifffile

from functions.histogram.analysis import Choices, analyse
from functions.histogram.counting import sensor
from functions.histogram.main import HistogramSettings
from functions.kit.http.problems import Problem
from functions.kit.images import raws
from tests.images import encoded, gradient, noise

rawpy = pytest.importorskip("rawpy")

SETTINGS = HistogramSettings(function="histogram")
SENSOR = np.random.default_rng(5).integers(200, 4000, (256, 384), "u2")
SENSOR[:40, :40] = 4095
SENSOR[-30:, -30:] = 128


def dng(preview: bytes = b"") -> bytes:
    """A Bayer raw of 12 bits, uncompressed, with a thumbnail; and a JPEG behind it."""
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        tags = [
            (50706, "B", 4, bytes([1, 4, 0, 0]), True),
            (271, "s", 0, "Maker", True),
            (272, "s", 0, "Model", True),
            (50708, "s", 0, "Maker Model", True),
            (50721, "2i", 9, (1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1), True),
            (50728, "2I", 3, (1, 1, 1, 1, 1, 1), True),
        ]
        thumbnail = np.full((8, 12, 3), 50, "u1")
        writer.write(thumbnail, photometric="rgb", subifds=1, subfiletype=1, extratags=tags, metadata=None)
        pattern = [
            (33421, "H", 2, (2, 2), True),
            (33422, "B", 4, bytes([0, 1, 1, 2]), True),
            (50714, "H", 1, 128, True),
            (50717, "H", 1, 4095, True),
        ]
        writer.write(SENSOR, photometric="cfa", subfiletype=0, extratags=pattern, metadata=None)
    return buffer.getvalue() + preview


def test_the_largest_preview_is_counted() -> None:
    small, large = encoded(gradient(size=(32, 24)), "JPEG"), encoded(noise((300, 200)), "JPEG")
    data = dng(small + large)
    found = raws.preview(data)
    assert found is not None
    assert (found.width, found.height) == (300, 200)
    result, plain = analyse(data, SETTINGS), analyse(large, SETTINGS)
    assert (result.source, result.width, result.height) == ("preview", 300, 200)
    assert result.histogram == plain.histogram
    document = result.document()
    assert document["source"] == "preview"
    assert document["raw"]["name"] == "DNG raw"
    assert "not the sensor's values" in document["warnings"][-1]
    assert plain.document()["source"] == "image"


def test_a_raw_without_a_preview_is_refused() -> None:
    with pytest.raises(Problem) as caught:
        analyse(dng(), SETTINGS)
    assert caught.value.status == 415
    assert "without a JPEG preview" in caught.value.detail


def test_lossless_jpegs_of_a_sensor_are_no_preview() -> None:
    lossless = b"\xff\xd8\xff\xc3\0\x0b\x08\x10\0\x10\0\x01\x01\x11\0" + bytes(40)
    assert raws.preview(dng(lossless)) is None


@pytest.mark.parametrize("bins", [256, 4096, 65536])
def test_the_sensors_values_by_channel(bins: int) -> None:
    data = dng()
    found = analyse(data, SETTINGS, Choices(raw=True, bins=bins))
    with rawpy.imread(io.BytesIO(data)) as raw:
        values, colours = raw.raw_image_visible.copy(), raw.raw_colors_visible.copy()
    assert (values == SENSOR).all()
    width = max(4096, bins) // bins
    for index, name in enumerate(("red", "green1", "blue", "green2")):
        byhand = np.bincount(values[colours == index] // width, minlength=bins).tolist()
        assert found.histogram.channels[name] == byhand, name
    assert sum(found.histogram.luminance) == SENSOR.size == found.histogram.pixels
    document = found.document()
    assert (document["source"], document["size"], document["bits"]) == ("sensor", [384, 256], 12)


def test_what_a_sensor_says() -> None:
    _, facts = sensor.count(dng())
    assert facts["white_level"] == 4095
    red = facts["levels"]["red"]
    plane = SENSOR[::2, ::2]
    assert red["pixels"] == plane.size
    assert red["black_level"] == 128
    assert red["clipped"] == pytest.approx(100 * (plane >= 4095).mean(), abs=1e-3)
    assert red["under_black"] == pytest.approx(100 * (plane <= 128).mean(), abs=1e-3)
    assert red["headroom_ev"] == 0
    calm = np.minimum(plane, 1000)
    table = np.bincount(calm.ravel())
    assert sensor._facts(table, 128, 4095)["headroom_ev"] == pytest.approx(log2((4095 - 128) / (1000 - 128)), abs=1e-3)


@pytest.mark.parametrize(
    ("data", "choices", "status"),
    [
        (encoded(gradient()), Choices(raw=True), 400),
        (dng(), Choices(raw=True, frame=1), 400),
        (dng()[:20_000], Choices(raw=True), 422),
    ],
)
def test_what_does_not_fit_is_refused(data: bytes, choices: Choices, status: int) -> None:
    with pytest.raises(Problem) as caught:
        analyse(data, SETTINGS, choices)
    assert caught.value.status == status


def test_without_rawpy_the_answer_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(Problem) as caught:
        sensor.count(dng())
    assert caught.value.status == 415
    assert "histogram-raw" in caught.value.detail


@pytest.mark.parametrize("at", range(0, 400, 7))
def test_hostile_raws_are_problems(at: int) -> None:
    data = bytearray(dng(encoded(gradient(), "JPEG")))
    data[at : at + 4] = b"\xff\xff\xff\x7f"
    try:
        analyse(bytes(data), SETTINGS)
    except Problem as problem:
        assert problem.status in {413, 415, 422}
