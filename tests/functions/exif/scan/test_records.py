"""Records of programs behind a picture: the rows of each as ExifTool reads them, and what of them is not read."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from functions.exif.answer import examine, flat
from functions.exif.report.privacy import report
from tests.functions.exif import appended, cases, containers
from tests.images import encoded, gradient

GROUPS = ("AFCP", "IPTC2", "IPTC3", "FotoStation", "PhotoMechanic", "CanonVRD")


def test_every_row_is_as_exiftool_reads_it(program: Callable[[str], str], tmp_path: Path) -> None:
    path = tmp_path / "appended.jpg"
    path.write_bytes(appended.all_of_them())
    for option, raw in (("-s", False), ("-n", True)):
        command = [program("exiftool"), "-j", "-a", "-G1", option, *(f"-{group}:all" for group in GROUPS), str(path)]
        (theirs,) = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        del theirs["SourceFile"]
        ours = flat(examine(path.read_bytes()), raw=raw)
        assert {name: ours.get(name) for name in theirs} == theirs
        assert {name for name in ours if name.startswith(GROUPS)} == set(theirs)
        assert len(theirs) > 100


def test_parts_without_a_reader_are_named() -> None:
    unread = {(part.kind, part.place) for part in examine(appended.all_of_them()).scan.unread}
    assert unread == {
        ("trailer", "AFCP %SCC"),
        ("trailer", "FotoStation record 9"),
        ("trailer", "CanonVRD block 0xffff00f7"),
    }


@pytest.mark.parametrize("order", "<>")
def test_offsets_of_a_picture_that_an_editor_changed_are_moved(order: str) -> None:
    data = cases.jpeg()
    shown = flat(examine(data + appended.afcp(len(data), moved=7, order=order)))
    assert shown["IPTC2:City"] == "Vigo"
    assert shown["AFCP:Text"] == "a note"


def test_vivo() -> None:
    reading = examine(cases.jpeg() + appended.vivo())
    assert flat(reading)["Vivo:JSONInfo"] == '{"mode":"night"}'
    assert reading.scan.unread == []


def test_a_record_that_is_cut_or_lies_about_its_size_is_not_read() -> None:
    data = cases.jpeg()
    records = (appended.afcp(len(data)), appended.fotostation(), appended.photo_mechanic(), appended.recipe())
    for record in (*records, appended.vivo()):
        for cut in (1, 4, 9, len(record) // 2):
            assert examine(data + record[cut:]) is not None
            assert examine(data + record[:-cut]).scan.unread
    assert examine(data + b"\xff\xff\xff\xff" + b"cbipcbbl").scan.unread
    # A directory whose beginning is nowhere, and one that has its parts everywhere.
    assert examine(data + b"AXS!" + b"\xff" * 8).scan.unread
    assert examine(data + b"AXS!\1\0\xff\xff" + bytes(4) + b"IPTC" + b"\xff" * 8 + b"AXS!" + bytes(8)).scan.unread


def test_records_behind_a_raw_are_read() -> None:
    data = b"II*\0\x08\0\0\0\1\0\x0f\1\2\0\4\0\0\0abc\0\0\0\0\0"
    assert flat(examine(data + appended.recipe()))["CanonVRD:WhiteBalanceAdj"] == "Shade"


SAMSUNG = cases.samsung(
    (0x0A01, b"Image_UTC_Data", b"1714738351042"),
    (0x0AA1, b"MCC_Data", b"262"),
    (0x0100, b"SoundShot_000", b"\0\1" * 12),
)


def test_samsungs_records_have_exiftools_names_before_a_block_of_sound_too(
    program: Callable[[str], str], tmp_path: Path
) -> None:
    sound = b"QDIO" + struct.pack("<4I", 101, 1, 0, 0)
    for behind in (SAMSUNG, SAMSUNG + sound + struct.pack("<I", len(sound)) + b"QDIOBS"):
        path = tmp_path / "samsung.jpg"
        path.write_bytes(encoded(gradient(), "JPEG") + behind)
        command = [program("exiftool"), "-j", "-G1", "-Samsung:all", str(path)]
        (theirs,) = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        del theirs["SourceFile"]
        assert theirs.pop("Samsung:MCCData").startswith("Germany")  # its code is behind it since version 13
        theirs["Samsung:MCCData"] = "Germany (262)"
        reading = examine(path.read_bytes())
        assert {name: value for name, value in flat(reading).items() if name.startswith("Samsung:")} == theirs
        assert len(theirs) == 4
        place = next(
            tag for finding in report(reading)["findings"] if finding["subject"] == "place" for tag in finding["tags"]
        )
        assert place["tag"] == "Samsung:MCCData"


def test_samsungs_records_in_a_box_are_those_behind_a_picture() -> None:
    reading = examine(containers.heic(b"") + containers.box(b"sefd", SAMSUNG))
    shown = flat(reading)
    assert shown["Samsung:TimeStamp"] == "2024:05:03 12:12:31.042+00:00"
    assert shown["Samsung:MCCData"] == "Germany (262)"
    assert [(part.kind, part.size) for part in reading.scan.unread] == [("record", 24)]
    named = examine(containers.heic(b"") + containers.box(b"sefd", cases.samsung((0x0A01, b"Name_Data", b"Ada Byron"))))
    assert flat(named)["Samsung:Name"] == "Ada Byron"
    broken = examine(containers.heic(b"") + containers.box(b"sefd", SAMSUNG[:-1] + b"X"))
    assert [(part.kind, part.place) for part in broken.scan.unread] == [("box", "sefd")]
