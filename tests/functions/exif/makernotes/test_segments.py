"""Segments of JPEGs by their tables, and records of raws of their own form: inputs made by hand."""

from __future__ import annotations

import pytest

from functions.exif.answer import examine, flat
from tests.functions.exif import cases
from tests.functions.exif.records import canon, ducky, fujifilm, gpmf, minolta, segment, sigma, spiff, thermal


def rows(number: int, body: bytes) -> dict[str, object]:
    reading = examine(cases.jpeg(segment(number, body)))
    assert reading is not None
    assert not any(part.kind == "segment" for part in reading.scan.unread)
    return flat(reading)


@pytest.mark.parametrize(
    ("number", "body", "expected"),
    [
        (12, ducky(), {"Ducky:Quality": "84%", "Ducky:Comment": "Hé"}),
        (
            8,
            spiff(),
            {"SPIFF:SPIFFVersion": 1.2, "SPIFF:ColorSpace": "YCbCr, ITU-R BT 709, video", "SPIFF:XResolution": 300},
        ),
        (6, gpmf(), {"GoPro:CameraSerialNumber": "C3221324657219", "GoPro:DigitalZoomOn": "Yes"}),
        (6, gpmf(), {"GoPro:MediaUniqueID": "491b313c00000005"}),
        (1, thermal(), {"FLIR:Emissivity": 0.95, "FLIR:ReflectedApparentTemperature": "20.0 C"}),
        (1, thermal(), {"FLIR:CameraSerialNumber": 470023842}),
        (
            12,
            b"[picture info]\r\nTimeDate=915148800\r\nShutter=6400\r\nFNumber=F2.8\r\nSerial#=123\r\nOwn=x y\r\n\0",
            {
                "PictureInfo:DateTimeOriginal": "1999:01:01 00:00:00",
                "PictureInfo:ExposureTime": "1/156",
                "PictureInfo:FNumber": 2.8,
                "PictureInfo:SerialNumber": 123,
                "PictureInfo:Own": "x y",
            },
        ),
        (15, b"Q 70", {"GraphConv:Quality": 70}),
        (13, b"Adobe_CM\0\3", {"AdobeCM:AdobeCMType": 3}),
        (10, b"UNICODE\0" + "© me".encode("utf-16-be"), {"File:Comment": "© me"}),
    ],
)
def test_segments(number: int, body: bytes, expected: dict[str, object]):
    found = rows(number, body)
    assert {name: found.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    "body", [thermal()[:200], b"FLIR\0\1\0\0", b"GoPro\0" + b"\xff" * 40, b"Ducky\xff\xff\xff\xff"]
)
def test_broken_segments_are_named(body: bytes):
    reading = examine(cases.jpeg(segment(1 if body[:4] == b"FLIR" else 6 if body[:5] == b"GoPro" else 12, body)))
    assert reading is not None
    assert reading.scan.unread


def test_serial_numbers_of_segments_count_as_this_very_device():
    from functions.exif.report.privacy import report

    for body, number in ((gpmf(), 6), (thermal(), 1)):
        reading = examine(cases.jpeg(segment(number, body)))
        assert reading is not None
        assert report(reading)["grade"] == "identifies"


def test_blocks_of_a_minolta_raw():
    reading = examine(minolta())
    assert reading is not None
    found = flat(reading)
    assert found["MinoltaRaw:ImageWidth"] == 2560
    assert found["MinoltaRaw:StorageMethod"] == "Padded"
    assert found["MinoltaRaw:WB_RGGBLevels"] == "438 256 256 509"
    assert (found["MinoltaRaw:WBMode"], found["MinoltaRaw:ISOSetting"]) == ("Daylight", 200)
    assert found["MinoltaRaw:ColorTemperature"] == 5500
    assert found["Composite:ImageSize"] == "2560x1920"


def test_properties_of_a_sigma_raw():
    reading = examine(sigma())
    assert reading is not None
    found = flat(reading)
    assert found["SigmaRaw:FileVersion"] == 2.0
    assert (found["SigmaRaw:ImageWidth"], found["SigmaRaw:Rotation"]) == (2268, 90)
    assert found["SigmaRaw:ExposureTime"] == "1/200"
    assert found["SigmaRaw:Focus"] == "Auto-focus Didn't Lock"
    assert found["SigmaRaw:LensType"] == "Sigma 180mm F3.5 EX IF HSM APO Macro"
    assert reading.grades["SigmaRaw", "SerialNumber"] == "identifies:device"


def test_the_table_of_a_fujifilm_raw():
    reading = examine(fujifilm())
    assert reading is not None
    found = flat(reading)
    assert found["RAF:RawImageCroppedSize"] == "4256x1424"
    assert found["RAF:XTransLayout"] == "GGRGGB GGRGGB GGRGGB GGRGGB GGRGGB GGRGGB"
    assert found["RAF:WB_GRGBLevels"] == "384 601 384 515"
    assert found["Composite:ImageSize"] == "4256x1424"


def test_records_of_a_canon_raw():
    reading = examine(canon())
    assert reading is not None
    found = flat(reading)
    assert found["CanonRaw:Model"] == "Canon PowerShot G6"
    assert (found["CanonRaw:ImageWidth"], found["CanonRaw:Rotation"]) == (3072, 90)
    assert found["CanonRaw:TargetImageType"] == "Written Document"


def test_records_in_a_segment_are_of_ciff():
    data = canon().replace(b"HEAPCCDR", b"HEAPJPGM")
    reading = examine(cases.jpeg(segment(0, data)))
    assert reading is not None
    assert flat(reading)["CIFF:Model"] == "Canon PowerShot G6"


@pytest.mark.parametrize("make", [minolta, sigma, fujifilm, canon])
def test_broken_raws_never_raise(make: object):
    data = make()  # type: ignore[operator]
    for at in range(0, len(data), 3):
        examine(data[:at] + b"\xff\xff\xff\xff" + data[at + 4 :])
        examine(data[:at])


def test_the_summary_of_a_raw_without_exif():
    from functions.exif.answer import document

    reading = examine(sigma())
    assert reading is not None
    answer = document(reading)
    assert answer["camera"]["serial_number"] == "0012345"
    assert answer["exposure"]["time"] == "1/200"
