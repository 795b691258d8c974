"""Keys of GeoTIFF against ExifTool, in TIFFs made by hand, and keys that are broken."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from functions.exif.answer import examine, flat
from functions.exif.report.privacy import report
from tests.functions.exif.tiffs import KEYS, earth, short, tiff


@pytest.mark.parametrize("order", "<>")
def test_every_key_is_as_exiftool_reads_it(order: str, program: Callable[[str], str], tmp_path: Path) -> None:
    path = tmp_path / "earth.tif"
    path.write_bytes(earth(*KEYS, order=order))
    for option, raw in (("-s", False), ("-n", True)):
        command = [program("exiftool"), "-j", "-G1", option, "-GeoTiff:all", str(path)]
        (theirs,) = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        del theirs["SourceFile"]
        ours = flat(examine(path.read_bytes()), groups=["GeoTiff"], raw=raw)
        assert ours == theirs
        assert len(ours) == len(KEYS) + 1


def test_a_reference_system_narrows_the_place() -> None:
    found = report(examine(earth(*KEYS)))["findings"]
    assert any("ProjectedCSType" in str(finding) for finding in found)


@pytest.mark.parametrize(
    "data",
    [
        earth(count=9),
        earth((2057, 0x87B0, 1, 99)),
        earth((2057, 0x87B0, 0, 0)),
        earth((1026, 0x87B1, 9, 99)),
        earth((1024, 7, 1, 1)),
        earth((65535, 0, 1, 1)),
        tiff([short(0x87AF, 1, 1)]),
    ],
)
def test_broken_keys_are_named(data: bytes) -> None:
    assert any(part.kind == "value" and "Geo" in part.place for part in examine(data).scan.unread)
