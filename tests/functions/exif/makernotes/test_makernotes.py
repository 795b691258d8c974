"""Makers' notes: whose they are, crafted ones that loop or lie, and records that only code can read."""

from __future__ import annotations

import gzip
import struct
import tracemalloc

import pytest

from functions.exif.answer import document, examine, flat
from functions.exif.makernotes import google, nikon, records, sony
from functions.exif.makernotes.walk import MAX_ROWS
from functions.exif.report.privacy import report
from tests.functions.exif import notes
from tests.functions.exif.tiffs import ascii_field, directory, long, short


@pytest.mark.parametrize("note", notes.NOTES, ids=lambda note: f"{note.make} {note.model}")
def test_a_note_is_recognised_and_its_tags_are_rows(note: notes.Note):
    reading = examine(notes.written(note))
    assert reading is not None
    assert reading.note is not None
    assert reading.note.tags > 3, reading.warnings
    assert not any("broken" in warning for warning in reading.warnings)


@pytest.mark.parametrize(("make", "model", "head", "size"), notes.RECORDS, ids=lambda value: str(value)[:20])
def test_a_note_without_a_directory_is_read_or_refused(make: str, model: str, head: bytes, size: int):
    body = head + notes.pattern(1, size)
    reading = examine(notes.picture(make, model, lambda _: body))
    assert reading is not None
    assert not any("broken" in warning for warning in reading.warnings)


def test_every_length_of_a_note_is_answered():
    whole = notes.written(notes.NOTES[11], 24)
    for size in range(0, len(whole), 7):
        examine(whole[:size])


def canon(*fields: tuple[int, int, int, bytes]) -> bytes:
    return notes.picture("Canon", "Canon EOS 5D", lambda at: directory(sorted(fields), at))


def test_canon_values_and_prints():
    settings = [0] * 46
    settings[0], settings[2], settings[7], settings[23:26] = 92, 0x4000 | 100, 1, [1680, 384, 16]
    rows = flat(examine(canon(short(1, *settings), long(0xC, 123))))
    assert rows["Canon:SelfTimer"] == "10 s, Custom"
    assert rows["Canon:FocusMode"] == "AI Servo AF"
    # The unit of focal lengths is behind them.
    assert rows["Canon:MaxFocalLength"] == "105 mm"
    assert rows["Canon:MinFocalLength"] == "24 mm"
    assert rows["Canon:SerialNumber"] == "0000000123"


def test_a_record_of_another_size_than_it_states_is_not_read():
    reading = examine(canon(short(1, 90, *[0] * 45)))
    assert reading is not None
    assert "FocusMode" not in reading.groups.get("Canon", {})
    assert any("CanonCameraSettings" in warning for warning in reading.warnings)


def nikon_note(*more: tuple[int, int, int, bytes], serial: str = "6012345") -> bytes:
    fields = sorted([ascii_field(0x1D, serial), *more])
    note = b"Nikon\0\2\x10\0\0II*\0\x08\0\0\0" + directory(fields, 8)
    return notes.picture("NIKON CORPORATION", "NIKON D90", lambda _: note)


def test_nikons_cipher_and_what_a_note_without_its_key_says():
    lens = b"0204" + nikon.decrypted(
        bytes(8) + bytes((0x7D, 0x48, 0x2B, 0x53, 0x24, 0x24, 0x82)) + bytes(20), 6012345, 7
    )
    read = flat(examine(nikon_note((0x98, 7, len(lens), lens), (0x83, 1, 1, b"\x06"), long(0xA7, 7))))
    assert read["Nikon:LensIDNumber"] == 125
    assert read["Nikon:MinFocalLength"] == "17.3 mm"
    reading = examine(nikon_note((0x98, 7, len(lens), lens)))
    assert reading is not None
    assert "LensIDNumber" not in reading.groups["Nikon"]
    assert any("shutter count" in warning for warning in reading.warnings)
    assert [part.place for part in reading.scan.unread] == ["Nikon.LensData0204"]
    wrong = flat(examine(nikon_note((0x98, 7, len(lens), lens), long(0xA7, 8))))
    assert wrong["Nikon:ShutterCount"] == 8


def test_the_ciphers_are_their_own_inverse_and_nikons_repeats():
    data = bytes(range(256)) * 5
    assert nikon.decrypted(nikon.decrypted(data, 6012345, 4711), 6012345, 4711) == data
    stream = nikon.decrypted(bytes(1536), 6012345, 4711)
    assert stream[:512] == stream[512:1024] == stream[1024:]
    assert sony.deciphered(bytes(pow(byte, 3, 249) for byte in range(249))) == bytes(range(249))


def test_a_directory_that_points_to_itself_is_read_once():
    head = b"OLYMPUS\0II\3\0"
    note = head + directory([(0x2010, 13, 1, struct.pack("<I", 12)), (0x2020, 13, 1, struct.pack("<I", 12))], 12)
    reading = examine(notes.picture("OLYMPUS IMAGING CORP.", "E-M1", lambda _: note))
    assert reading is not None
    assert sum(map(len, reading.groups.values())) < 500


@pytest.mark.parametrize("count", [2**16, 2**31, 2**32 - 1])
@pytest.mark.parametrize("kind", [1, 3, 4, 5, 7, 12])
def test_a_count_that_lies_costs_neither_memory_nor_the_file(count: int, kind: int):
    entry = struct.pack("<HHII", 1, kind, count, 64)
    note = struct.pack("<H", 3) + entry + struct.pack("<HHII", 0x0D, kind, count, 8) * 2 + bytes(200)
    data = notes.picture("Canon", "Canon EOS 7D", lambda _: note)
    tracemalloc.start()
    reading = examine(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reading is not None
    assert peak < 64 * 2**20


def test_many_overlapping_records_are_bounded():
    # 2,000 entries that all lead to the same long record.
    entries = b"".join(struct.pack("<HHII", 0x4001 + index, 7, 30_000, 64) for index in range(2000))
    note = struct.pack("<H", 2000) + entries + bytes(30_000)
    reading = examine(notes.picture("Canon", "Canon EOS 7D", lambda _: note))
    assert reading is not None
    assert sum(map(len, reading.groups.values())) <= MAX_ROWS


def test_an_unreadable_note_is_named_as_not_read():
    reading = examine(notes.picture("Nobody", "X", lambda _: b"\1\2\3\4" * 30))
    assert reading is not None
    assert [part.kind for part in reading.scan.unread] == ["maker note"]
    assert document(reading)["privacy"]["grade"] in ("identifies", "narrows", "unknown")


@pytest.mark.parametrize(
    ("shape", "data", "shown"),
    [
        ("int16u", b"\1\2", 513),
        ("int16uRev", b"\1\2", 258),
        ("fixed32s", b"\0\0\1\0", 1),
        ("fixed16s", b"\x80\xff", "-0.5"),
        ("rational64u", struct.pack("<II", 1, 3), "0.3333333333"),
        ("rational64u", bytes(8), "undef"),
        ("float", struct.pack("<f", 0.5), 0.5),
        ("string", b"abc\0de", "abc"),
    ],
)
def test_values_of_each_format(shape: str, data: bytes, shown: object):
    count = len(data) if shape == "string" else 1
    assert str(records.value(data, 0, shape, count, "<", len(data))) == str(shown)
    assert records.value(data, 0, shape, 9, "<", 0) in (None, "")


def test_grades_of_the_tables_are_findings_of_the_privacy_report():
    count = nikon_note(long(0xA7, 4711))
    findings = report(examine(count))["findings"]
    told = {tag["tag"]: finding["grade"] for finding in findings for tag in finding["tags"]}
    assert told["Nikon:ShutterCount"] == "narrows"
    assert told["Nikon:SerialNumber"] == "identifies"


def test_titles_of_googles_older_notes_have_rows():
    text = b"Payload metadata:\n  frames 9\nStaticMetadata\n  lens 1\nTime log:\n  0.04 ms\n"
    packed = gzip.compress(text)
    note = b"HDRP\2" + google.opened(packed.ljust(-(-len(packed) // 8) * 8, b"\0"))
    reading = examine(notes.picture("Google", "Pixel", lambda _: note))
    names = set(reading.groups["Google"])
    assert names == {"PayloadMetadataText", "StaticMetadataText", "TimeLogText"}
