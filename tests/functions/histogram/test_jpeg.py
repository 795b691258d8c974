"""JPEG whose data end early or are damaged: noticed, with the same answer at once and in strips."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from functools import cache

import imagecodecs
import numpy as np
import pytest

from functions.histogram.analysis import Choices, analyse
from functions.histogram.main import HistogramSettings
from functions.kit.http.problems import Problem
from functions.kit.images import opening
from functions.kit.images.samples import model
from functions.kit.jsontypes import JsonObject
from tests.functions.histogram.workers import stay_here
from tests.images import noise

SETTINGS = HistogramSettings(function="histogram")
WIDTH, HEIGHT = 61, 150
PICTURE = np.asarray(noise((WIDTH, HEIGHT)))
END = b"\xff\xd9"


@pytest.fixture(params=["at once", "in strips"])
def answer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], JsonObject]:
    """What is answered on one side of the threshold."""
    monkeypatch.setattr(opening, "LARGE_PIXELS", 1000 if request.param == "in strips" else 10**9)
    monkeypatch.setattr(model, "STRIP_PIXELS", 2_000)
    stay_here(monkeypatch)
    return lambda data: analyse(data, SETTINGS, Choices(colours=0)).document()


@cache
def jpeg(sampling: str = "444", gray: bool = False) -> bytes:
    picture = PICTURE[..., 0] if gray else PICTURE
    return bytes(imagecodecs.jpeg8_encode(np.ascontiguousarray(picture), level=90, subsampling=sampling))


@cache
def converted(*options: str) -> bytes:
    """By ImageMagick."""
    made = subprocess.run(
        ["convert", "-size", f"{WIDTH}x{HEIGHT}", "-depth", "8", "rgb:-", "-quality", "90", *options, "jpeg:-"],
        input=PICTURE.tobytes(),
        capture_output=True,
        check=True,
    )
    return made.stdout


def counts(found: JsonObject) -> np.ndarray:
    return np.array(list(found["channels"].values()))


def of_rows(data: bytes, rows: int) -> np.ndarray:
    """The counts of the first rows of a whole file, by another decoder's binding."""
    part = imagecodecs.jpeg8_decode(data)[:rows].reshape(rows, WIDTH, -1)
    return np.array([np.bincount(part[..., band].ravel(), minlength=256) for band in range(part.shape[2])])


@pytest.mark.parametrize("sampling", ["444", "422", "420", "gray"])
def test_rows_before_the_end_are_counted(sampling: str, answer: Callable[[bytes], JsonObject]) -> None:
    data = jpeg(gray=True) if sampling == "gray" else jpeg(sampling)
    whole = answer(data)
    assert (whole["complete"], whole["decoded"], whole["warnings"]) == (True, 1.0, [])
    assert (counts(whole) == of_rows(data, HEIGHT)).all()
    for size in (len(data) - 3, len(data) - 12, len(data) * 2 // 3):
        found = answer(data[:size] + END)
        rows = round(found["decoded"] * HEIGHT)
        assert not found["complete"]
        assert HEIGHT * size / len(data) - 40 < rows < min(HEIGHT, HEIGHT * size / len(data) + 8)
        assert (counts(found) == of_rows(data, rows)).all()
        assert found["warnings"] == [f"the data end early or are damaged: {rows} of 150 rows were decoded and counted"]
        assert answer(data[:size]) == found  # the same without an end marker


def test_a_frame_that_claims_more_rows_than_its_data_hold(answer: Callable[[bytes], JsonObject]) -> None:
    data = jpeg("420")
    frame = data.index(struct.pack(">HH", HEIGHT, WIDTH))
    found = answer(data[:frame] + struct.pack(">H", 400) + data[frame + 2 :])
    assert not found["complete"]
    assert 0.3 < found["decoded"] <= 160 / 400  # the last blocks have rows below the picture


@pytest.mark.parametrize("sampling", ["444", "420"])
def test_damage_is_noticed(sampling: str, answer: Callable[[bytes], JsonObject]) -> None:
    data = jpeg(sampling)
    start = data.index(b"\xff\xda") + 14
    for share in (0.3, 0.5, 0.7):
        at = start + int((len(data) - start) * share)
        for fault in (bytes(5), b"\x55" * 40, b""):
            found = answer(data[:at] + fault + data[at + 5 :])
            assert not found["complete"]
            assert found["warnings"]


def test_more_data_than_pixels(answer: Callable[[bytes], JsonObject]) -> None:
    data = jpeg()[:-2]
    found = answer(data + b"\x12\x34\x56" * 9 + END)
    assert (found["complete"], found["decoded"]) == (False, None)
    for padding in (bytes(9), b"\xff" * 9, b""):
        assert answer(data + padding + END) == answer(jpeg())


def test_a_missing_end_marker_and_bytes_between_segments(answer: Callable[[bytes], JsonObject]) -> None:
    data = jpeg("420")
    whole = answer(data)
    for cut in (data[:-2], data[:-1]):
        found = answer(cut)
        assert found["warnings"] == ["the file lacks its end marker; all rows were decoded"]
        assert found | {"warnings": []} == whole
    segment = data.index(b"\xff\xdb")
    assert answer(data[:segment] + bytes(40) + data[segment:]) == whole
    assert answer(data + b"trailer") == whole
    version = data.index(b"JFIF\0") + 5
    assert answer(data[:version] + b"\x09" + data[version + 1 :]) == whole


def test_scans_of_a_progressive_jpeg(answer: Callable[[bytes], JsonObject]) -> None:
    data = converted("-interlace", "JPEG")
    assert answer(data)["complete"]
    scans = [at for at in range(len(data)) if data.startswith(b"\xff\xda", at)]
    last = answer(data[:-30] + END)
    assert (last["complete"], last["decoded"]) == (False, None)
    first = scans[0] + (scans[1] - scans[0]) // 2
    for broken in (data[: scans[-1]], data[: scans[-1]] + END, data[:first] + data[first + 9 :]):
        with pytest.raises(Problem) as caught:
            answer(broken)
        assert caught.value.status == 422


def test_four_components_and_fractions(answer: Callable[[bytes], JsonObject]) -> None:
    data = converted("-colorspace", "CMYK")
    whole = answer(data)
    assert (whole["complete"], whole["mode"]) == (True, "CMYK")
    assert not answer(data[: len(data) // 2] + END)["complete"]
    for cut in (data, jpeg("420")):
        half = analyse(cut[: len(cut) // 2] + END, SETTINGS, Choices(approximate=4)).document()
        assert not half["complete"]
        assert 0.3 < half["decoded"] < 0.6
