"""Files on which answers once claimed more than was read or counted, in the folder that PIXELAMP_CASES names."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.servers import FunctionServer

CASES = os.environ.get("PIXELAMP_CASES")

pytestmark = pytest.mark.skipif(not CASES, reason="PIXELAMP_CASES names no folder of cases")

Ask = Callable[..., Any]


@pytest.fixture
def ask(servers: Callable[..., FunctionServer]) -> Ask:
    """Post a case, or other bytes, to a function."""

    def post(function: str, case: str | bytes, path: str = "/", status: int = 200) -> Any:
        data = case if isinstance(case, bytes) else (Path(str(CASES)) / case).read_bytes()
        answer = servers(function).post(path, data=data)
        assert answer.status_code == status, answer.text[:300]
        return answer

    return post


def subjects(answer: Any) -> set[str]:
    return {finding["subject"] for finding in answer.json()["privacy"]["findings"]}


def tones(answer: Any) -> dict[str, tuple[int, int]]:
    """First and last bin that holds a pixel, by channel."""
    found = {}
    for name, channel in answer.json()["channels"].items():
        bins = [value for value, count in enumerate(channel) if count]
        found[name] = (bins[0], bins[-1])
    return found


@pytest.mark.parametrize(
    ("case", "found"),
    [
        ("jxl_brob_exif.jxl", {"place", "person", "device"}),
        ("png_ai_prompt.png", {"content"}),
        ("xmp_bare_ampersand.jpg", {"person"}),
        ("mpo_second_picture_gps.jpg", {"place"}),
        ("second_jpeg_with_gps_after_eoi.jpg", {"place"}),
    ],
)
def test_what_identifies_is_found(ask: Ask, case: str, found: set[str]):
    assert found <= subjects(ask("exif", case))


def test_what_was_not_read_is_named(ask: Ask):
    (block,) = ask("exif", "xmp_bare_ampersand.jpg").json()["privacy"]["not_read"]
    assert block["kind"] == "xmp"
    assert block["bytes"] == 340


def test_a_position_of_zeros_is_not_a_position(ask: Ask):
    answer = ask("exif", "gps_zero_zero.jpg")
    assert "place" not in subjects(answer)


def test_a_raw_is_not_taken_for_a_jpeg(ask: Ask):
    answer = ask("exif", "crw_taken_for_jpeg.crw").json()
    assert (answer["format"], answer["privacy"]["grade"]) == ("CRW", "unknown")


@pytest.mark.parametrize(
    ("case", "path", "gone", "kept"),
    [
        ("samsung_gainmap_urn.avif", "/strip", b"", b"urn:com:samsung"),
        ("flir_gps_app1.jpg", "/strip?remove=gps", b"", b""),
        ("motion_photo.jpg", "/strip?remove=gps", b"", b"ftyp"),
        ("icc_mmod_display_serial.png", "/strip", b"12345678", b"IDAT"),
        ("tiff_jpeg_strip_with_exif.tif", "/strip", b"Exif\0\0", b""),
    ],
)
def test_a_clean_copy_lacks_what_was_to_go_and_keeps_the_rest(ask: Ask, case: str, path: str, gone: bytes, kept: bytes):
    copy = ask("exif", case, path).content
    assert not gone or gone not in copy
    assert kept in copy
    assert "place" not in subjects(ask("exif", copy))


def test_setting_a_tag_keeps_the_others(ask: Ask):
    answer = ask("exif", "set_unused_ifd_entry.jpg", "/set?artist=Ada")
    exif = Image.open(io.BytesIO(answer.content)).getexif()
    assert exif[0x013B] == "Ada"
    assert {0x010F, 0x0112} <= set(exif)
    assert 0x9003 in exif.get_ifd(0x8769)


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("rgb16_planar_None_LE.tif", {"red": (0, 39), "green": (78, 156), "blue": (195, 253)}),
        ("gray16_miniswhite.tif", {"gray": (99, 177)}),
        ("uint32_above_2to31.tif", {"gray": (128, 255)}),
    ],
)
def test_every_sample_counts_where_it_belongs(ask: Ask, case: str, expected: dict[str, tuple[int, int]]):
    found = tones(ask("histogram", case))
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("case", "status"), [("dng_with_thumbnail.dng", 415), ("heic_first_200kB_of_1122kB.heic", 422)]
)
def test_a_picture_that_is_not_there_is_refused(ask: Ask, case: str, status: int):
    ask("histogram", case, status=status)


def test_a_picture_that_ends_early_is_counted_in_part_and_says_so(ask: Ask):
    answer = ask("histogram", "jpeg_without_last_50_bytes.jpg").json()
    assert answer["complete"] is False
    assert 0 < answer["decoded"] < 1
    assert answer["warnings"]


def test_text_does_not_stop_counting(ask: Ask):
    assert ask("histogram", "png_big_zTXt.png").json()["complete"] is True


def test_the_verdict_is_about_visible_pixels(ask: Ask):
    assert "Underexposed" not in ask("histogram", "transparent_logo.png").json()["verdict"]


def test_twelve_bits_in_sixteen_are_seen(ask: Ask):
    answer = ask("histogram", "gray12in16.png").json()
    assert "mean 7 of 255" not in answer["verdict"]
    assert answer["effective_bits"] == 12
