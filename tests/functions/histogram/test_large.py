"""Images of more pixels than are decoded beside others: the same counts, in a process of its own, within limits."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import threading
import zlib
from functools import cache
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from functions.histogram.analysis import Analysis, Choices, analyse, restored
from functions.histogram.counting.model import Region, Share
from functions.histogram.main import HistogramSettings
from functions.kit.http.problems import Problem
from functions.kit.images import opening
from functions.kit.images.samples import model
from functions.kit.images.strips import vips
from functions.kit.images.strips.large import Large
from functions.kit.images.strips.vips import library
from tests.functions.histogram.workers import stay_here
from tests.images import encoded, gradient, noise

SETTINGS = HistogramSettings(function="histogram")
PICTURE = noise((140, 100))
TALL = (140, 600)


@pytest.fixture(autouse=True)
def small_threshold(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """The images here are small: they are decoded as large ones are, in several strips."""
    monkeypatch.setattr(opening, "LARGE_PIXELS", 1000)
    monkeypatch.setattr(model, "STRIP_PIXELS", 10_000)
    if "own_process" not in request.fixturenames:
        stay_here(monkeypatch)


@pytest.fixture
def own_process() -> None:
    """Use the process that the product uses."""


def tiff_of(values: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


RGB = np.asarray(PICTURE)
FORMS = {
    "JPEG": lambda: encoded(PICTURE, "JPEG"),
    "gray JPEG": lambda: encoded(PICTURE.convert("L"), "JPEG"),
    "progressive JPEG": lambda: encoded(PICTURE, "JPEG", progressive=True),
    "CMYK JPEG": lambda: encoded(PICTURE.convert("CMYK"), "JPEG"),
    "PNG": lambda: encoded(PICTURE),
    "gray PNG": lambda: encoded(PICTURE.convert("L")),
    "RGBA PNG": lambda: encoded(alpha(), "PNG"),
    "BMP": lambda: encoded(PICTURE, "BMP"),
    "BMP, 8 bits": lambda: encoded(PICTURE.convert("L"), "BMP"),
    "PNM": lambda: encoded(PICTURE, "PPM"),
    "TIFF strips": lambda: tiff_of(RGB, photometric="rgb", rowsperstrip=9),
    "TIFF tiles": lambda: tiff_of(RGB, photometric="rgb", tile=(64, 64), compression="deflate"),
    "TIFF min-is-white": lambda: tiff_of(RGB[..., 0].copy(), photometric="miniswhite", rowsperstrip=9),
    "TIFF zstd": lambda: tiff_of(RGB, photometric="rgb", compression="zstd"),
    "TIFF CMYK": lambda: encoded(PICTURE.convert("CMYK"), "TIFF"),
    "TIFF 16 bits": lambda: tiff_of(RGB.astype("u2") * 201, photometric="rgb", rowsperstrip=9),
    "TIFF 16 bits in planes": lambda: tiff_of(
        np.moveaxis(RGB.astype(">u2") * 201, 2, 0).copy(), photometric="rgb", planarconfig="separate", byteorder=">"
    ),
    "TIFF float": lambda: tiff_of(RGB.astype("f4"), photometric="rgb", tile=(64, 64)),
    "WebP": lambda: encoded(PICTURE, "WEBP"),
    "JPEG XL": lambda: imagecodecs.jpegxl_encode(RGB, lossless=True, effort=1),
    "GIF": lambda: encoded(PICTURE.convert("P"), "GIF"),
}


def alpha() -> Image.Image:
    image = PICTURE.convert("RGBA")
    image.putalpha(gradient("L", PICTURE.size).point(lambda level: 0 if level < 100 else 255))
    return image


def here(data: bytes, choices: Choices, monkeypatch: pytest.MonkeyPatch) -> Analysis:
    with monkeypatch.context() as patch:
        patch.setattr(opening, "LARGE_PIXELS", 10**9)
        return analyse(data, SETTINGS, choices)


@pytest.mark.parametrize("form", FORMS)
def test_the_counts_are_those_of_a_small_image(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = FORMS[form]()
    for choices in (Choices(colours=0), Choices(region=Region(10, 20, 60, 70), colours=0, ignore_transparent=True)):
        large, small = analyse(data, SETTINGS, choices), here(data, choices, monkeypatch)
        assert large.histogram.luminance == small.histogram.luminance
        assert large.histogram.channels == small.histogram.channels
        assert large.document() == small.document()


def test_colours_are_found_in_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image.new("RGB", (200, 150), (255, 0, 0))
    image.paste((0, 0, 255), (0, 0, 200, 50))
    found = analyse(encoded(image), SETTINGS).colours
    assert [colour.hex for colour in found[:2]] == ["#ff0000", "#0000ff"]
    assert found[0].percent == pytest.approx(67, abs=4)


def test_a_decode_of_too_much_memory_is_refused_with_both_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = HistogramSettings(function="histogram", decode_bytes=100_000)
    for form in ("progressive JPEG", "WebP", "JPEG XL"):
        with pytest.raises(Problem) as caught:
            analyse(FORMS[form](), settings)
        assert (caught.value.status, caught.value.slug) == (413, "decode-too-large")
        assert "100,000 bytes (HISTOGRAM_DECODE_BYTES)" in caught.value.detail
        assert f"{caught.value.extensions['actual']:,}" in caught.value.detail
        assert form in caught.value.detail
    analyse(FORMS["JPEG"](), settings)  # in strips


@pytest.mark.usefixtures("own_process")
def test_the_process_of_its_own_counts_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    choices = Choices(region=Share(10, 20.5, 50, 50), percentiles=(50.0,), channels=("red",))
    data = FORMS["PNG"]()
    assert analyse(data, SETTINGS, choices).document() == here(data, choices, monkeypatch).document()


@pytest.mark.usefixtures("own_process")
def test_too_many_pixels_are_refused_in_the_child_too() -> None:
    settings = HistogramSettings(function="histogram", max_pixels=10_000)
    with pytest.raises(Problem) as caught:
        analyse(FORMS["PNG"](), settings)
    assert caught.value.slug == "too-many-pixels"


@pytest.mark.usefixtures("own_process")
def test_a_decode_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = HistogramSettings(function="histogram", decode_seconds=1)
    monkeypatch.setattr(sys, "executable", str(Path(__file__).with_name("sleeper.sh")))
    with pytest.raises(Problem) as caught:
        analyse(FORMS["PNG"](), settings)
    assert (caught.value.status, caught.value.slug) == (413, "decode-too-long")
    assert "1 s (HISTOGRAM_DECODE_SECONDS)" in caught.value.detail


@pytest.mark.usefixtures("own_process")
def test_a_decoder_that_dies_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(Problem) as caught:
        analyse(FORMS["PNG"](), SETTINGS)
    assert caught.value.status == 422


@pytest.mark.parametrize("form", ["progressive JPEG", "WebP"])
def test_a_scope_has_the_pixels_of_a_small_image(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = FORMS[form]()
    choices = Choices(scope=True)
    found, wanted = analyse(data, SETTINGS, choices).sample, here(data, choices, monkeypatch).sample
    assert found is not None
    assert (found.size, found.tobytes()) == (wanted.size, wanted.tobytes())


def test_a_tiff_that_libvips_refuses_is_a_problem() -> None:
    """It has no photometric interpretation."""
    data = tiff_of(RGB[..., 0].astype("u2"), photometric="minisblack", rowsperstrip=9, byteorder="<")
    with pytest.raises(Problem, match="262") as caught:
        analyse(data.replace(struct.pack("<HH", 262, 3), struct.pack("<HH", 263, 3), 1), SETTINGS)
    assert caught.value.status == 422


def test_options_that_do_not_fit_are_refused_as_elsewhere() -> None:
    with pytest.raises(Problem) as caught:
        analyse(FORMS["PNG"](), SETTINGS, Choices(bins=512))
    assert (caught.value.status, caught.value.extensions["option"]) == (400, "bins")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF tiles"])
def test_data_that_end_early_are_no_whole_picture(form: str) -> None:
    data = FORMS[form]()
    try:
        found = analyse(data[: len(data) // 2], SETTINGS, Choices(colours=0))
    except Problem as problem:
        assert problem.status == 422
    else:
        assert not found.complete


def gigapixel(path: Path, form: str, side: int) -> None:
    """A gray picture of side × side pixels, written without being held."""
    row = bytes(range(256)) * (side // 256)
    if form == "png":
        deflate = zlib.compressobj(1)
        lines = b"".join([deflate.compress(b"\0" + row) for _ in range(side)] + [deflate.flush()])
        parts = ((b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)), (b"IDAT", lines), (b"IEND", b""))
        with path.open("wb") as file:
            file.write(b"\x89PNG\r\n\x1a\n")
            for kind, body in parts:
                file.write(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)))
    else:
        tile = np.tile(np.arange(256, dtype="u1"), (256, 1))
        tiles = (tile for _ in range((side // 256) ** 2))
        with tifffile.TiffWriter(path) as writer:
            writer.write(
                tiles, shape=(side, side), dtype="u1", tile=(256, 256), photometric="minisblack", compression="deflate"
            )


PEAK = """
import json, resource, sys
from pathlib import Path
from functions.histogram import child
from functions.histogram.analysis import Choices, restored
from functions.histogram.main import HistogramSettings
settings = HistogramSettings(function="histogram", max_pixels=2 * 10**9, decode_seconds=600)
choices = Choices(colours=0)
found = restored(child.analyse(Path(sys.argv[1]).read_bytes(), settings, vars(choices)), choices)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps([found.histogram.luminance, peak * 1024]))
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("form", ["png", "tif"])
def test_a_gigapixel_takes_little_memory(tmp_path: Path, form: str) -> None:
    import json

    side = 31 * 1024  # 1.008 gigapixels
    path = tmp_path / f"big.{form}"
    gigapixel(path, form, side)
    out = subprocess.run([sys.executable, "-c", PEAK, str(path)], capture_output=True, text=True, check=True).stdout
    luminance, peak = json.loads(out)
    assert luminance == [side * side // 256] * 256
    assert peak - path.stat().st_size <= 150_000_000


def test_the_result_survives_its_way_from_the_child() -> None:
    found = restored(
        {
            **{
                name: value for name, value in vars(analyse(encoded(gradient()), SETTINGS)).items() if name != "choices"
            },
            "histogram": {
                **vars(analyse(encoded(gradient("L", (8, 8))), SETTINGS).histogram),
                "visible": None,
                "outside": {},
            },
        },
        Choices(),
    )
    assert found.histogram.luminance is found.histogram.channels["gray"]


CUT = {
    "JPEG": lambda image: encoded(image, "JPEG"),
    "PNG": encoded,
    "BMP": lambda image: encoded(image, "BMP"),
    "PPM": lambda image: encoded(image, "PPM"),
    "TIFF strips": lambda image: tiff_of(np.asarray(image), photometric="rgb", rowsperstrip=9),
    "TIFF tiles": lambda image: tiff_of(np.asarray(image), photometric="rgb", tile=(32, 32)),
}


@cache
def tall(form: str) -> bytes:
    return CUT[form](noise(TALL))


@pytest.mark.parametrize("form", CUT)
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_rows_before_the_data_end(form: str, share: float) -> None:
    data = tall(form)
    found = analyse(data[: int(len(data) * share)], SETTINGS, Choices(colours=0)).document()
    assert found["complete"] is False
    width, height = TALL
    assert found["decoded"] == pytest.approx(share, abs=0.07)
    rows = round(found["decoded"] * height)
    assert found["pixels"] == rows * width
    with Image.open(io.BytesIO(data)) as whole:
        top = height - rows if form == "BMP" else 0  # its rows are stored from the bottom up
        part = whole.convert("RGB").crop((0, top, width, top + rows))
    assert found["channels"]["green"] == part.getchannel("G").histogram()


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_the_rows_handed_out_before_the_data_end_are_those_of_the_file(form: str, tmp_path: Path) -> None:
    """Many cuts, since whether a strip was filled in time once depended on threads."""
    data = tall(form)
    with Image.open(io.BytesIO(data)) as whole:
        truth = np.asarray(whole.convert("RGB"))
    path = tmp_path / "cut"
    for cut in range(20):
        path.write_bytes(data[: len(data) * (30 + 3 * cut) // 100])
        strips = Large(str(path), 2**30, "LIMIT").strips(path.read_bytes(), form, SETTINGS, 0)
        assert strips is not None
        rows = np.concatenate([np.asarray(part) for part in strips.read()])
        assert np.array_equal(rows, truth[: len(rows)])


def test_strips_that_are_not_read_to_their_end() -> None:
    before = threading.active_count()
    image = library().Image.black(3000, 3000)
    for step in (1, 7, 3000):
        strips = vips.strips(image, step)
        assert len(next(strips)) == 3000 * step
        strips.close()
        assert threading.active_count() == before
    assert [len(part) for part in vips.strips(image, 2000)] == [6_000_000, 3_000_000]


@pytest.mark.parametrize("form", CUT)
def test_a_region_behind_the_end_of_the_data(form: str) -> None:
    data = tall(form)
    region = Region(0, 0, 10, 10) if form == "BMP" else Region(0, TALL[1] - 10, 10, 10)
    with pytest.raises(Problem) as caught:
        analyse(data[: len(data) // 2], SETTINGS, Choices(region=region))
    assert caught.value.status == 422


@pytest.mark.parametrize("form", ["PNG", "GIF"])
def test_an_end_marker_that_is_missing(form: str) -> None:
    data = encoded(PICTURE.convert("P"), form)
    found = analyse(data[:-1], SETTINGS, Choices(colours=0)).document()
    assert found["complete"] is True
    assert found["warnings"] == ["the file lacks its end marker; all rows were decoded"]
    assert analyse(data, SETTINGS, Choices(colours=0)).document()["warnings"] == []
