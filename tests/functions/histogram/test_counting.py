"""Counts are exact: equal to a slow reference for every mode, and to the documented conversions."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from functions.histogram.counting import deep, plain
from functions.histogram.counting.model import CHANNELS, Histogram, NotCountable, Region
from functions.histogram.counting.plain import luma
from functions.kit.images.samples import finding
from tests.functions.histogram import reference

BYTES_A_PIXEL = {
    "1": None,
    "L": 1,
    "LA": 2,
    "La": 2,
    "P": 1,
    "PA": 2,
    "RGB": 3,
    "RGBX": 4,
    "RGBA": 4,
    "RGBa": 4,
    "CMYK": 4,
    "YCbCr": 3,
    "LAB": 3,
    "HSV": 3,
    "I": 4,
    "I;16": 2,
    "I;16B": 2,
    "I;16L": 2,
    "F": 4,
}


def count(image: Image.Image, levels: int = 256, **options: object) -> Histogram:
    """Count as `analyse` does: by Pillow, or by numpy where there are more than 8 bits."""
    found = finding.of_image(image)
    return plain.count(image, **options) if found is None else deep.count(found, levels=levels, **options)[0]


@st.composite
def images(draw: st.DrawFn, mode: str) -> Image.Image:
    width, height = draw(st.integers(1, 9)), draw(st.integers(1, 7))
    size = (width, height)
    if mode == "1":
        return Image.frombytes(
            "1", size, draw(st.binary(min_size=2 * height, max_size=2 * height))[: (width + 7) // 8 * height]
        )
    if mode == "F":
        floats = st.floats(width=32, allow_nan=False)
        values = draw(st.lists(floats, min_size=width * height, max_size=width * height))
        values[0] = draw(st.floats(width=32, allow_nan=False, allow_infinity=False))
        return Image.frombytes("F", size, struct.pack(f"{len(values)}f", *values))
    amount = width * height * BYTES_A_PIXEL[mode]
    image = Image.frombytes(mode, size, draw(st.binary(min_size=amount, max_size=amount)))
    if mode in {"P", "PA"}:
        image.putpalette(draw(st.binary(min_size=3, max_size=768).map(lambda data: data[: len(data) // 3 * 3])))
    if mode == "P" and draw(st.booleans()):
        image.info["transparency"] = draw(st.one_of(st.integers(0, 255), st.binary(min_size=1, max_size=256)))
        image.load()
    return image


@pytest.mark.parametrize("mode", BYTES_A_PIXEL)
def test_counts_equal_a_slow_reference(mode: str) -> None:
    @settings(max_examples=30)
    @given(images(mode))
    def check(image: Image.Image) -> None:
        counted = count(image)
        luminance, channels = reference.histogram(image)
        assert counted.luminance == luminance
        assert counted.channels == channels
        assert counted.mode == mode
        assert set(channels) <= set(CHANNELS)
        for counts in (counted.luminance, *counted.channels.values()):
            assert sum(counts) == image.width * image.height == counted.pixels

    check()


@settings(max_examples=40)
@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))
def test_luminance_is_the_documented_formula_and_pillows(red: int, green: int, blue: int) -> None:
    assert luma(red, green, blue) == Image.new("RGB", (1, 1), (red, green, blue)).convert("L").getpixel((0, 0))
    assert abs(luma(red, green, blue) - (0.299 * red + 0.587 * green + 0.114 * blue)) <= 0.51


def test_a_gray_image_is_one_channel_and_its_luminance() -> None:
    image = Image.new("L", (16, 16))
    image.putdata(range(256))
    counted = count(image)
    assert counted.luminance == counted.channels["gray"] == [1] * 256


def test_bins_span_the_whole_scale_and_not_the_images_own_range() -> None:
    counted = count(Image.new("L", (10, 10), 100))
    assert [level for level, pixels in enumerate(counted.luminance) if pixels] == [100]


def test_deep_counts_hold_every_value_of_16_bits() -> None:
    values = [0, 1, 255, 256, 65535, 65535]
    image = Image.frombytes("I;16", (3, 2), struct.pack("<6H", *values))
    deep = count(image, levels=65536)
    assert len(deep.luminance) == 65536
    assert {level: pixels for level, pixels in enumerate(deep.luminance) if pixels} == {
        0: 1,
        1: 1,
        255: 1,
        256: 1,
        65535: 2,
    }
    shifted = count(image).luminance
    assert shifted == [sum(deep.luminance[at : at + 256]) for at in range(0, 65536, 256)]


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I"])
def test_deep_counts_in_every_byte_order(mode: str) -> None:
    form = {"I;16": "<4H", "I;16B": ">4H", "I": "=4i"}[mode]
    image = Image.frombytes(mode, (2, 2), struct.pack(form, 3, 3, 700, 65535))
    deep = count(image, levels=65536).luminance
    assert (deep[3], deep[700], deep[65535], sum(deep)) == (2, 1, 1, 4)


def test_a_floating_point_image_spans_its_finite_values_and_leaves_nan_out() -> None:
    values = [-1.0, 0.0, 1.0, float("nan"), float("inf"), float("-inf")]
    counted = count(Image.frombytes("F", (3, 2), struct.pack("6f", *values)))
    assert counted.value_range == (-1.0, 1.0)
    assert counted.ignored == 1
    assert (counted.luminance[0], counted.luminance[128], counted.luminance[255]) == (2, 1, 2)
    assert sum(counted.luminance) == counted.pixels == 5


@pytest.mark.parametrize(("values", "level"), [([2.5] * 4, 0), ([float("inf")] * 4, 255), ([float("-inf")] * 4, 0)])
def test_a_floating_point_image_of_one_value(values: list[float], level: int) -> None:
    assert count(Image.frombytes("F", (2, 2), struct.pack("4f", *values))).luminance[level] == 4


def test_a_floating_point_image_without_a_number_counts_nothing() -> None:
    counted = count(Image.frombytes("F", (2, 1), struct.pack("2f", float("nan"), float("nan"))))
    assert (counted.pixels, sum(counted.luminance), counted.value_range) == (0, 0, None)


@settings(max_examples=40)
@given(st.data())
def test_a_region_counts_like_the_part_cut_out(data: st.DataObject) -> None:
    image = data.draw(images(data.draw(st.sampled_from(["L", "RGB", "P", "RGBA", "I;16", "1"]))))
    x, y = data.draw(st.integers(0, image.width - 1)), data.draw(st.integers(0, image.height - 1))
    region = Region(x, y, data.draw(st.integers(1, image.width - x)), data.draw(st.integers(1, image.height - y)))
    part = image.crop((x, y, x + region.width, y + region.height))
    part.info = image.info
    assert count(image, region=region).luminance == reference.histogram(part)[0]
    assert count(image, region=region).pixels == region.width * region.height


@pytest.mark.parametrize(
    "region", [(0, 0, 11, 1), (0, 0, 1, 11), (10, 0, 1, 1), (-1, 0, 2, 2), (0, 0, 0, 1), (3, 3, 9, 9)]
)
def test_a_region_outside_the_image_is_refused(region: tuple[int, int, int, int]) -> None:
    with pytest.raises(NotCountable, match="is not inside the image of 10 × 10 pixels") as caught:
        count(Image.new("L", (10, 10)), region=Region(*region))
    assert caught.value.option == "region"


@pytest.mark.parametrize("mode", ["LA", "RGBA", "La", "RGBa", "PA"])
def test_transparent_pixels_are_ignored_when_asked(mode: str) -> None:
    @settings(max_examples=30)
    @given(images(mode))
    def check(image: Image.Image) -> None:
        straight = image.convert("LA" if image.mode == "La" else "RGBA")
        opaque = [pixel for pixel in reference.pixels(straight) if pixel[-1] > 0]
        counted = count(image, ignore_transparent=True)
        assert counted.ignored == image.width * image.height - len(opaque)
        assert counted.channels["alpha"][0] == 0
        for counts in (counted.luminance, *counted.channels.values()):
            assert sum(counts) == len(opaque)

    check()


def test_a_transparent_palette_entry_is_ignored_when_asked() -> None:
    image = Image.frombytes("P", (4, 1), bytes([0, 1, 1, 2]))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.info["transparency"] = bytes([255, 0, 128])
    image.load()
    counted = count(image, ignore_transparent=True)
    assert (counted.ignored, counted.pixels) == (2, 2)
    assert counted.channels["green"][255] == 0
    assert (counted.channels["alpha"][255], counted.channels["alpha"][128]) == (1, 1)


@pytest.mark.parametrize(("mode", "colour"), [("L", 7), ("RGB", (7, 8, 9))])
def test_a_transparent_colour_is_ignored_when_asked(mode: str, colour: object) -> None:
    image = Image.new(mode, (4, 1), colour)
    image.putpixel((0, 0), 200 if mode == "L" else (1, 2, 3))
    image.info["transparency"] = colour
    assert count(image).pixels == 4
    assert count(image, ignore_transparent=True).pixels == 1


def test_a_hidden_colour_is_counted_by_default() -> None:
    assert count(Image.new("RGBA", (3, 3), (9, 9, 9, 0))).channels["red"][9] == 9


def test_an_unknown_mode_is_refused() -> None:
    image = Image.new("L", (1, 1))
    image._mode = "XYZ"
    with pytest.raises(NotCountable, match="mode XYZ") as caught:
        count(image)
    assert caught.value.option is None
