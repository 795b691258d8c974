"""Timed metadata of a CR3: one sample of Canon's track, made by hand."""

from __future__ import annotations

import struct

from functions.exif.answer import examine, flat
from tests.functions.exif.containers import box


def record(number: int, body: bytes) -> bytes:
    return struct.pack("<IHHHH", 12 + len(body), number, 0, 1, 0xFFFF) + body


def raw(place: int = 0) -> bytes:
    exposure = record(5, struct.pack("<HHHHI", 28, 10, 1, 200, 400).ljust(20, b"\0"))
    sample = record(4, struct.pack("<HHI", 50, 1, 0)) + exposure
    sizes = box(b"stsz", bytes(4) + struct.pack(">II", len(sample), 1))
    entry = struct.pack(">I4s", 16, b"CTMD") + bytes(8)
    described = box(b"stsd", bytes(4) + struct.pack(">I", 1) + entry)
    table = box(b"stbl", described + sizes + box(b"stco", bytes(4) + struct.pack(">II", 1, place)))
    handler = box(b"hdlr", bytes(8) + b"meta" + bytes(13))
    media = box(b"mdia", box(b"mdhd", bytes(24)) + handler + box(b"minf", table))
    data = box(b"ftyp", b"crx \0\0\0\1crx isom") + box(b"moov", box(b"trak", media))
    return data + box(b"mdat", sample) if place else raw(len(data) + 8)


def test_timed_metadata_are_of_the_group_of_their_track():
    reading = examine(raw())
    assert reading is not None
    found = flat(reading)
    assert found["Track4:FocalLength"] == "50.0 mm"
    assert (found["Track4:FNumber"], found["Track4:ExposureTime"], found["Track4:ISO"]) == (2.8, "1/200", 400)
    assert found["Track1:MetaFormat"] == "CTMD"


def test_a_sample_outside_the_file_is_named():
    data = raw()
    reading = examine(data[:-60])
    assert reading is not None
    assert any(part.kind == "track" for part in reading.scan.unread)
