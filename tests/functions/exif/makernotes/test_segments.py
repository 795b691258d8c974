"""Segments of JPEGs by their tables, and records of raws of their own form: inputs made by hand."""

from __future__ import annotations

import struct

import pytest

from functions.exif.answer import examine, flat
from tests.functions.exif import cases


def segment(number: int, body: bytes) -> bytes:
    return b"\xff" + bytes((0xE0 + number,)) + struct.pack(">H", len(body) + 2) + body


def rows(number: int, body: bytes) -> dict[str, object]:
    reading = examine(cases.jpeg(segment(number, body)))
    assert reading is not None
    assert not any(part.kind == "segment" for part in reading.scan.unread)
    return flat(reading)


def ducky() -> bytes:
    text = "Hé".encode("utf-16-be")
    return b"Ducky" + struct.pack(">HHI", 1, 4, 84) + struct.pack(">HHI", 2, 4 + len(text), 2) + text + b"\0\0"


def spiff() -> bytes:
    return b"SPIFF\0" + struct.pack(">BBBBxxIIBBBBII", 1, 2, 1, 3, 4500, 3000, 1, 8, 5, 1, 300, 300)


def gpmf() -> bytes:
    serial = b"C3221324657219\0\0"
    zoom, unique = b"DZOMc\1\0\1Y\0\0\0", b"MUIDL\4\0\2" + struct.pack(">II", 0x491B313C, 5)
    inner = b"CASNc\1" + struct.pack(">H", 14) + serial + zoom + unique
    return b"GoPro\0DEVC\0\1" + struct.pack(">H", len(inner)) + inner


def thermal() -> bytes:
    camera = bytearray(1200)
    struct.pack_into(">Hxxff", camera, 0, 2, 0, 0)
    struct.pack_into(">f", camera, 32, 0.95)
    struct.pack_into(">f", camera, 40, 293.15)
    camera[260:269] = b"470023842"
    head = bytearray(64)
    head[:20] = b"FFF\0ATAU_RBFF\0\0\0\0\0\0\0"
    struct.pack_into(">III", head, 20, 101, 64, 1)
    entry = struct.pack(">HHIIIIIII", 0x20, 0, 0, 0, 96, len(camera), 0, 0, 0)
    return b"FLIR\0\1\0\0" + bytes(head) + entry.ljust(32, b"\0") + bytes(camera)


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


def minolta() -> bytes:
    prd = b"27730001" + struct.pack(">HHHHBBBxxxxB", 1936, 2608, 1920, 2560, 16, 12, 82, 1)
    wbg = bytes((3, 3, 3, 3)) + struct.pack(">4H", 438, 256, 256, 509)
    rif = bytearray(62)
    rif[4], rif[6], rif[60] = 1, 56, 55
    blocks = b"".join(
        name + struct.pack(">I", len(body)) + body
        for name, body in ((b"\0PRD", prd), (b"\0WBG", wbg), (b"\0RIF", bytes(rif)))
    )
    return b"\0MRM" + struct.pack(">I", len(blocks)) + blocks + bytes(64)


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


def sigma() -> bytes:
    header = struct.pack("<4sHH", b"FOVb", 0, 2) + bytes(16) + struct.pack("<IIII", 0, 2268, 1512, 90)
    pairs = (("CAMSERIAL", "0012345"), ("SHUTTER", "0.005"), ("FOCUS", "NO LOCK"), ("LENSMODEL", "103"))
    text, entries = "", b""
    for key, stated in pairs:
        entries += struct.pack("<II", len(text), len(text) + len(key) + 1)
        text += f"{key}\0{stated}\0"
    section = b"SECp\0\0\2\0" + struct.pack("<IIII", len(pairs), 0, 0, len(text)) + entries + text.encode("utf-16-le")
    start = len(header)
    directory = b"SECd\0\0\2\0" + struct.pack("<I", 1) + struct.pack("<II4s", start, len(section), b"PROP")
    return header + section + directory + struct.pack("<I", start + len(section))


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


def fujifilm() -> bytes:
    picture = cases.jpeg()
    fields = (
        (0x0111, struct.pack(">HH", 1424, 4256)),
        (0x0131, bytes((1, 1, 0, 1, 1, 2) * 6)),
        (0x2FF0, struct.pack(">4H", 384, 601, 384, 515)),
    )
    table = struct.pack(">I", len(fields)) + b"".join(
        struct.pack(">HH", number, len(body)) + body for number, body in fields
    )
    start = 160
    head = b"FUJIFILMCCD-RAW 0201FF383501X-T1".ljust(60, b"\0") + b"0201"
    head = head.ljust(84, b"\0") + struct.pack(">IIII", start, len(picture), start + len(picture), len(table))
    return head.ljust(start, b"\0") + picture + table


def test_the_table_of_a_fujifilm_raw():
    reading = examine(fujifilm())
    assert reading is not None
    found = flat(reading)
    assert found["RAF:RawImageCroppedSize"] == "4256x1424"
    assert found["RAF:XTransLayout"] == "GGRGGB GGRGGB GGRGGB GGRGGB GGRGGB GGRGGB"
    assert found["RAF:WB_GRGBLevels"] == "384 601 384 515"
    assert found["Composite:ImageSize"] == "4256x1424"


def canon() -> bytes:
    """A heap of three records, one of them in its entry, as Canon's first digital cameras write it."""
    model = b"Canon\0Canon PowerShot G6\0"
    image = struct.pack("<IIfiIII", 3072, 2304, 1.0, 90, 8, 24, 1)
    heap = model + image
    entries = [
        struct.pack("<HII", 0x080A, len(model), 0),
        struct.pack("<HII", 0x1810, len(image), len(model)),
        struct.pack("<HHxxxxxx", 0x500A, 1),
    ]
    directory = struct.pack("<H", len(entries)) + b"".join(entries)
    return b"II" + struct.pack("<I", 26) + b"HEAPCCDR" + bytes(12) + heap + directory + struct.pack("<I", len(heap))


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
