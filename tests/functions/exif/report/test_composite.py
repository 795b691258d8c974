"""Composite tags: what is calculated from others, by formulas worked out by hand and by ExifTool."""

from __future__ import annotations

import json
import math
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from functions.exif.answer import examine, flat
from functions.exif.fields.tracks import duration
from functions.exif.report.composite import makers
from functions.exif.report.composite.lookup import Found, Tags
from tests.functions.exif import cases
from tests.functions.exif.tiffs import Field, ascii_field, directory, rational, short


def photo(*fields: Field, first: tuple[Field, ...] = ()) -> bytes:
    """A JPEG of 16 × 16 pixels with fields in its Exif directory."""
    outer = [*first, (0x8769, 4, 1, bytes(4))]
    at = 8 + len(directory(outer, 8))
    outer[-1] = (0x8769, 4, 1, struct.pack("<I", at))
    block = b"II*\0\x08\0\0\0" + directory(outer, 8) + directory(sorted(fields), at)
    return cases.jpeg(cases.exif_segment(block))


EXPOSURE = (
    rational(0x829A, (1, 125)),
    rational(0x829D, (28, 10)),
    short(0x8827, 100),
    rational(0x920A, (50, 1)),
    short(0xA405, 75),
    rational(0x9206, (3, 1)),
)
TIME = rational(7, (14, 1), (12, 1), (31, 1))


def derived(data: bytes, raw: bool = False) -> dict[str, Any]:
    reading = examine(data)
    assert reading is not None
    return {tag[10:]: value for tag, value in flat(reading, raw=raw).items() if tag.startswith("Composite:")}


def test_exposure_and_field_by_their_formulas() -> None:
    shown, raw = derived(photo(*EXPOSURE)), derived(photo(*EXPOSURE), raw=True)
    assert raw["LightValue"] == pytest.approx(2 * math.log2(2.8) + math.log2(125))
    assert raw["ScaleFactor35efl"] == 1.5
    circle = math.hypot(36, 24) / (1.5 * 1440)
    assert raw["CircleOfConfusion"] == pytest.approx(circle)
    assert raw["HyperfocalDistance"] == pytest.approx(50 * 50 / (2.8 * circle * 1000))
    assert raw["FOV"] == pytest.approx(2 * math.degrees(math.atan2(36, 2 * 75)), rel=1e-5)
    near, far = map(float, raw["DOF"].split())
    assert near < 3 < far
    assert shown["FocalLength35efl"] == "50.0 mm (35 mm equivalent: 75.0 mm)"
    assert (shown["ShutterSpeed"], shown["Aperture"], shown["ImageSize"]) == ("1/125", 2.8, "16x16")


def test_a_date_takes_its_fraction_and_offset() -> None:
    date = ascii_field(0x9003, "2024:05:03 14:12:31")
    assert "SubSecDateTimeOriginal" not in derived(photo(date))
    parts = ascii_field(0x9291, "25"), ascii_field(0x9011, "+02:00")
    assert derived(photo(date, *parts))["SubSecDateTimeOriginal"] == "2024:05:03 14:12:31.25+02:00"


def test_a_position_is_signed() -> None:
    west = cases.jpeg(cases.exif_segment(cases.gps()))
    assert derived(west)["GPSPosition"] == "48 deg 8' 13.00\" N, 11 deg 34' 30.00\" E"
    assert derived(west, raw=True)["GPSLongitude"] == 11.575


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (1.5, "1.50 s"), (75, "0:01:15"), (3600 * 30, "1 days 6:00:00"), (-40, "-0:00:40")],
)
def test_a_duration_is_printed_as_exiftool_does(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize("field", [rational(0x920A, (0, 0)), rational(0x829A, (0, 1)), short(0xA405, 0)])
def test_values_without_a_number_derive_nothing_and_raise_nothing(field: Field) -> None:
    kept = [own for own in EXPOSURE if own[0] != field[0]]
    assert "ImageSize" in derived(photo(*kept, field))


def test_each_composite_tag_is_exiftools(tmp_path: Path, program: Callable[[str], str]) -> None:
    files = {
        "exposure": photo(*EXPOSURE, first=(ascii_field(0x10F, "Lamp"),)),
        "resolution": photo(
            *EXPOSURE[:4], rational(0xA20E, (4000, 1)), short(0xA210, 2), short(0xA002, 4000), short(0xA003, 3000)
        ),
        "gps": cases.jpeg(
            cases.exif_segment(cases.gps(ascii_field(29, "2024:05:03"), rational(7, (14, 1), (12, 1), (31, 1))))
        ),
        "heic": cases.two_exif_heic(),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    command = [program("exiftool"), "-G1", "-j", "-Composite:all", *(str(tmp_path / name) for name in files)]
    for entry in json.loads(subprocess.run(command, capture_output=True, check=True).stdout):
        path = Path(entry.pop("SourceFile"))
        assert {f"Composite:{tag}": value for tag, value in derived(path.read_bytes()).items()} == entry, path.name


def test_a_structure_where_a_number_is_due_derives_nothing() -> None:
    packet = cases.xmp('<exif:GPSLatitude rdf:parseType="Resource"><own:a>1</own:a></exif:GPSLatitude>')
    reading = examine(cases.jpeg(cases.xmp_segment(packet)))
    assert reading is not None
    assert reading.warnings == []
    assert "GPSLatitudeRef" not in reading.groups["Composite"]


class _Reading:
    """Rows alone, as derived tags need them."""

    def __init__(self, **groups: dict[str, tuple[object, object]]) -> None:
        self.groups = {
            group: {name: (name, value, printed, -1, None) for name, (value, printed) in rows.items()}
            for group, rows in groups.items()
        }


@pytest.mark.parametrize(
    ("derive", "groups", "shown"),
    [
        (
            makers.nikon_lens,
            {"Nikon": {"Lens": ("70 200 2.8 2.8", "70-200mm f/2.8"), "LensType": (14, "G VR")}},
            ("70 200 2.8 2.8 14", "70-200mm f/2.8 G VR"),
        ),
        (makers.auto_focus, {"Nikon": {"FocusMode": ("AF-C  ", "AF-C")}}, (1, "On")),
        (makers.auto_focus, {"Nikon": {"FocusMode": ("Manual", "Manual")}}, (0, "Off")),
        (
            makers.phase_detection,
            {"Nikon": {"FocusPointSchema": (7, "153-point"), "AFDetectionMethod": (0, "Phase Detect")}},
            (7, "On (153-point)"),
        ),
        (
            makers.contrast_detection,
            {"Nikon": {"FocusMode": ("AF-S", "AF-S"), "AFDetectionMethod": (1, "Contrast Detect")}},
            (1, "On"),
        ),
        (
            makers.sony_distance_2,
            {"Sony": {"FocusPosition2": (160, 160)}, "ExifIFD": {"FocalLengthIn35mmFormat": (75, "75 mm")}},
            (2.475, "2.475 m"),
        ),
        (
            makers.sony_distance_2,
            {"Sony": {"FocusPosition2": (255, 255)}, "ExifIFD": {"FocalLengthIn35mmFormat": (75, "75 mm")}},
            ("inf", "inf"),
        ),
    ],
)
def test_what_makers_notes_give(derive: Any, groups: Any, shown: tuple[object, object]):
    assert derive(Tags(_Reading(**groups))) == shown  # type: ignore[arg-type]


def test_the_camera_iso_yields_to_exif():
    reading = _Reading(ExifIFD={"ISO": (80, 80), "FNumber": (2.8, 2.8), "ExposureTime": (0.02, "1/50")})
    tags = Tags(reading)  # type: ignore[arg-type]
    tags.derived["ISO"] = Found(75, "75")
    assert tags.find("ISO") == Found(80, 80)
