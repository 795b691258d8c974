"""The walk: every type, every order, and nothing that a broken file can do to it."""

from __future__ import annotations

import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.exif.blocks.entries import COUNT, MAX_WARNINGS, OFFSET, SIZE, TYPE, VALUE
from functions.exif.blocks.ifd import MAX_DIRECTORIES, MAX_ENTRIES, MAX_NUMBERS, walk, walk_directory
from tests.functions.exif.tiffs import ascii_field, directory, long, rational, short, tiff


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("kind", "code", "values"),
    [
        (1, "B", (1, 255)),
        (3, "H", (1, 65535, 7)),
        (4, "I", (2**32 - 1,)),
        (6, "b", (-128, 127, 3, 4, 5)),
        (8, "h", (-32768,)),
        (9, "i", (-(2**31), 5)),
        (11, "f", (0.5, -2.0)),
        (12, "d", (1e300,)),
        (13, "I", (77,)),
    ],
)
def test_a_number_keeps_its_type_count_and_raw_value(order: str, kind: int, code: str, values: tuple[float, ...]):
    data = struct.pack(f"{order}{len(values)}{code}", *values)
    entry = walk(tiff([(0x9999, kind, len(values), data)], order)).ifds[0].entries[0x9999]
    assert (entry[TYPE], entry[COUNT], entry[VALUE], entry[SIZE]) == (kind, len(values), values, len(data))


@pytest.mark.parametrize("order", ["<", ">"])
def test_rationals_keep_both_numbers(order: str):
    block = tiff([rational(0x829A, (1, 200), order=order), rational(0x9204, (-1, 3), order=order, signed=True)], order)
    entries = walk(block).ifds[0].entries
    assert entries[0x829A][VALUE] == ((1, 200),)
    assert entries[0x9204][VALUE] == ((-1, 3),)


@pytest.mark.parametrize("order", ["<", ">"])
def test_bigtiff_has_wide_counts_and_offsets(order: str):
    block = tiff([ascii_field(0x010F, "Canon Incorporated"), long(0x100, 640, order=order)], order, big=True)
    walked = walk(block)
    assert walked.big
    assert walked.ifds[0].entries[0x010F][VALUE] == b"Canon Incorporated\0"
    assert walked.ifds[0].entries[0x100][VALUE] == (640,)


def test_a_chain_and_its_pointers_are_followed_and_named():
    exif = directory([ascii_field(0x9003, "2024:05:03 14:12:31"), long(0xA005, 500)], 200)
    second = directory([short(0x103, 6)], 300)
    interop = directory([ascii_field(1, "R98")], 500)
    block = bytearray(700)
    first = directory([long(0x8769, 200), long(0x8825, 400)], 8, following=300)
    for at, part in (
        (0, struct.pack("<2sHI", b"II", 42, 8)),
        (8, first),
        (200, exif),
        (300, second),
        (400, directory([short(30, 1)], 400)),
        (500, interop),
    ):
        block[at : at + len(part)] = part
    walked = walk(bytes(block))
    assert [ifd.name for ifd in walked.ifds] == ["IFD0", "ExifIFD", "InteropIFD", "GPS", "IFD1"]
    assert not walked.warnings


def test_several_sub_directories_are_numbered():
    block = bytearray(400)
    block[:8] = struct.pack("<2sHI", b"II", 42, 8)
    first = directory([long(0x14A, 100, 200)], 8)
    block[8 : 8 + len(first)] = first
    for at in (100, 200):
        part = directory([short(0x100, at)], at)
        block[at : at + len(part)] = part
    assert [ifd.name for ifd in walk(bytes(block)).ifds] == ["IFD0", "SubIFD", "SubIFD1"]


def test_a_bad_entry_costs_a_warning_and_not_its_neighbours():
    fields = [ascii_field(0x010F, "Canon"), (0x9999, 99, 1, b"\0\0\0\0"), short(0x112, 6)]
    walked = walk(tiff(fields))
    assert set(walked.ifds[0].entries) == {0x010F, 0x112}
    assert "0x9999" in walked.warnings[0]


def test_padding_of_zeros_causes_no_warning():
    walked = walk(tiff([short(0x112, 6), (0, 0, 0, b"")]))
    assert set(walked.ifds[0].entries) == {0x112}
    assert not walked.warnings


@pytest.mark.parametrize("count", [2**32 - 1, 2**31, 2**24])
@pytest.mark.parametrize("kind", [1, 2, 3, 5, 7, 12])
def test_a_count_that_no_block_can_hold_takes_no_memory(kind: int, count: int):
    block = tiff([short(0x112, 6), (0x9999, kind, count, b"\0" * 8)])
    tracemalloc.start()
    walked = walk(block)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert set(walked.ifds[0].entries) == {0x112}
    assert walked.warnings
    assert peak < 100_000


def test_a_directory_that_follows_itself_is_read_once():
    block = tiff([short(0x112, 6)])
    looped = block[:22] + struct.pack("<I", 8) + block[26:]
    walked = walk(looped)
    assert len(walked.ifds) == 1
    assert "read before" in walked.warnings[0]


def test_pointers_that_point_to_their_own_directory_end():
    walked = walk(tiff([long(0x8769, 8), long(0x8825, 8), long(0x14A, 8, 8, 8)]))
    assert [ifd.name for ifd in walked.ifds] == ["IFD0"]


def test_a_chain_without_end_is_cut():
    block = struct.pack("<2sHI", b"II", 42, 8)
    for _ in range(1000):
        at = len(block)
        block += directory([short(0x100, 1)], at, following=at + 18)
    walked = walk(block)
    assert len(walked.ifds) == MAX_DIRECTORIES
    assert "directories" in walked.warnings[-1]


def test_a_directory_of_65535_entries_is_read_to_the_cap():
    entries = b"".join(struct.pack("<HHII", number, 3, 1, 1) for number in range(65535))
    walked = walk(struct.pack("<2sHIH", b"II", 42, 8, 65535) + entries + bytes(4))
    assert len(walked.ifds[0].entries) == MAX_ENTRIES


def test_entries_that_overlap_one_block_cannot_multiply_it():
    size = 2**20
    fields = b"".join(struct.pack("<HHII", number, 7, size, 60_000) for number in range(4000))
    block = struct.pack("<2sHIH", b"II", 42, 8, 4000) + fields + bytes(4)
    block += bytes(60_000 + size - len(block))
    tracemalloc.start()
    walked = walk(block)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    kept = [entry for entry in walked.ifds[0].entries.values() if entry[VALUE] is not None]
    assert 0 < len(kept) <= 8
    assert peak < 16 * 2**20


def test_more_numbers_than_anyone_reads_are_counted_and_not_decoded():
    number = MAX_NUMBERS + 1
    entry = walk(tiff([(0x9999, 3, number, bytes(2 * number))])).ifds[0].entries[0x9999]
    assert (entry[COUNT], entry[VALUE]) == (number, None)


def test_the_first_of_two_entries_with_one_tag_counts():
    walked = walk(tiff([short(0x112, 6), short(0x112, 3)]))
    assert walked.ifds[0].entries[0x112][VALUE] == (6,)


def test_a_value_inside_its_own_directory_is_passed_over():
    walked = walk(struct.pack("<2sHIHHHIII", b"II", 42, 8, 1, 0x10E, 2, 10, 9, 0))
    assert not walked.ifds[0].entries
    assert "inside the directory" in walked.warnings[0]


def test_every_truncation_of_a_block_is_walked():
    block = tiff([ascii_field(0x010F, "Canon Incorporated"), rational(0x829A, (1, 200)), short(0x112, 6)])
    for length in range(len(block)):
        walked = walk(block[:length])
        assert walked.warnings, f"{length} bytes of {len(block)} are not the whole block"


def test_warnings_do_not_grow_with_the_file():
    entries = b"".join(struct.pack("<HHII", number, 2, 100, 2**31) for number in range(4000))
    walked = walk(struct.pack("<2sHIH", b"II", 42, 8, 4000) + entries)
    assert len(walked.warnings) <= MAX_WARNINGS


def test_values_that_are_not_wanted_are_neither_read_nor_counted_against_the_cap():
    table = (0x100, 4, MAX_NUMBERS, bytes(4 * MAX_NUMBERS))
    fields = [table, (0x101, *table[1:]), ascii_field(0x10E, "some text"), rational(0x11A, (72, 1))]
    (ifd,) = walk(tiff(fields), wanted={0x101, 0x11A}).ifds
    assert [(tag, entry[COUNT], entry[VALUE] is None) for tag, entry in ifd.entries.items()] == [
        (0x100, MAX_NUMBERS, True),
        (0x101, MAX_NUMBERS, False),
        (0x10E, 10, True),
        (0x11A, 1, False),
    ]
    assert ifd.entries[0x11A][VALUE] == ((72, 1),)


def test_a_directory_without_a_header_is_walked_from_its_base():
    part = directory([ascii_field(9, "Erika Mustermann")], 20)
    walked = walk_directory(bytes(120) + part, 120, "<", "MakerNotes", base=100)
    assert walked.ifds[0].entries[9][VALUE] == b"Erika Mustermann\0"


@given(st.binary(max_size=400), st.sampled_from([b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"II+\0\x08\0\0\0", b""]))
def test_any_bytes_are_walked(data: bytes, head: bytes):
    walked = walk(head + data)
    for ifd in walked.ifds:
        for entry in ifd.entries.values():
            assert entry[OFFSET] + entry[SIZE] <= len(head + data)


@given(st.data())
def test_a_flipped_byte_is_survived(data: st.DataObject):
    block = bytearray(tiff([ascii_field(0x010F, "Canon Inc."), rational(0x829A, (1, 200)), long(0x8769, 60)]))
    for _ in range(data.draw(st.integers(1, 4))):
        block[data.draw(st.integers(0, len(block) - 1))] = data.draw(st.integers(0, 255))
    walk(bytes(block))
