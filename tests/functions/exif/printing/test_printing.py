"""From raw values to what people read, by the rules that ExifTool's users know."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.exif.blocks.entries import TYPE_NAMES
from functions.exif.blocks.values import binary, number_or_text, text_of
from functions.exif.printing import RULES, show
from functions.exif.printing.functions import compensation, exposure_time
from functions.exif.printing.places import sexagesimal
from functions.exif.printing.structures import comment
from functions.exif.tags import DIRECTORIES, all_tags, table, tag


def shown(directory: str, number: int, kind: int, value: object) -> tuple[object, object]:
    count = len(value)
    return show((number, kind, count, value, 0, count), tag(directory, number), "<")


@pytest.mark.parametrize(
    ("directory", "number", "kind", "value", "expected"),
    [
        ("ExifIFD", 0x829A, 5, ((1, 200),), "1/200"),
        ("ExifIFD", 0x829A, 5, ((3, 10),), "0.3"),
        ("ExifIFD", 0x829A, 5, ((30, 1),), "30"),
        ("ExifIFD", 0x829A, 5, ((0, 0),), "undef"),
        ("ExifIFD", 0x829D, 5, ((28, 10),), "2.8"),
        ("ExifIFD", 0x829D, 5, ((95, 100),), "0.95"),
        ("ExifIFD", 0x9201, 10, ((7643856, 1000000),), "1/200"),
        ("ExifIFD", 0x9202, 5, ((4, 1),), "4.0"),
        ("ExifIFD", 0x9204, 10, ((-1, 3),), "-1/3"),
        ("ExifIFD", 0x9206, 5, ((2**32 - 1, 0),), "inf"),
        ("ExifIFD", 0x9206, 5, ((5, 2),), "2.5 m"),
        ("ExifIFD", 0x9209, 3, (0x19,), "Auto, Fired"),
        ("ExifIFD", 0x9209, 3, (0x99,), "Unknown (0x99)"),
        ("ExifIFD", 0x920A, 5, ((50, 1),), "50.0 mm"),
        ("ExifIFD", 0xA405, 3, (75,), "75 mm"),
        ("ExifIFD", 0xA432, 5, ((24, 1), (105, 1), (4, 1), (4, 1)), "24-105mm f/4"),
        ("ExifIFD", 0xA432, 5, ((50, 1), (50, 1), (0, 0), (0, 0)), "50mm f/?"),
        ("ExifIFD", 0xA302, 7, b"\2\0\2\0\0\1\1\2", "[Red,Green][Green,Blue]"),
        ("ExifIFD", 0x9101, 7, b"\1\2\3\0", "Y, Cb, Cr, -"),
        ("ExifIFD", 0x9000, 7, b"0232", "0232"),
        ("ExifIFD", 0xA001, 3, (1,), "sRGB"),
        ("ExifIFD", 0xA407, 3, (9,), "Unknown (9)"),
        ("IFD0", 0x112, 3, (6,), "Rotate 90 CW"),
        ("IFD0", 0x10F, 2, b"Canon  \0\0", "Canon"),
        ("IFD0", 0x8298, 2, b"Erika\0Max\0", "Erika\nMax"),
        ("IFD0", 0x9C9B, 1, "Grüße\0".encode("utf-16-le"), "Grüße"),
        ("IFD0", 0xC612, 1, (1, 4, 0, 0), "1.4.0.0"),
        ("GPS", 1, 2, b"N\0", "North"),
        ("GPS", 2, 5, ((47, 1), (22, 1), (318, 100)), "47 deg 22' 3.18\""),
        ("GPS", 2, 5, ((0, 0), (0, 0), (0, 0)), ""),
        ("GPS", 6, 5, ((4081, 10),), "408.1 m"),
        ("GPS", 7, 5, ((12, 1), (7, 1), (85, 10)), "12:07:08.5"),
        ("GPS", 29, 2, b"2024:05:03\0", "2024:05:03"),
        ("InteropIFD", 1, 2, b"R98\0", "R98 - DCF basic file (sRGB)"),
        ("IFD0", 0xC6D4, 7, b"x" * 100, "x" * 55 + "[...]"),
    ],
)
def test_a_value_is_printed_as_exiftool_prints_it(directory: str, number: int, kind: int, value: object, expected: str):
    assert str(shown(directory, number, kind, value)[1]) == expected


@pytest.mark.parametrize(
    ("data", "order", "text"),
    [
        (b"ASCII\0\0\0hello  ", "<", "hello"),
        (b"UNICODE\0" + "héllo".encode("utf-16-le"), ">", "héllo"),
        (b"UNICODE\0" + "héllo".encode("utf-16-be"), "<", "héllo"),
        (b"UNICODE\0\xfe\xff" + "日本".encode("utf-16-be"), "<", "日本"),
        (b"JIS\0\0\0\0\0" + "日本".encode("iso2022_jp"), "<", "日本"),
        (b"\0" * 8 + b"hello\0rest", "<", "hello"),
        (b"no code at all", "<", "no code at all"),
    ],
)
def test_a_comment_is_read_in_its_own_characters(data: bytes, order: str, text: str):
    assert comment(data, order) == text


def test_bytes_that_are_no_text_are_question_marks():
    assert text_of(b"caf\xe9 \xff\xfe!") == "caf? ??!"
    assert set(text_of(b"\xff" * 2_000_000)) == {"?"}


def test_compensation_is_in_steps():
    assert [compensation(value) for value in (0, 1, -2, 0.5, -0.3333333333, 0.6666666667, 0.7)] == [
        *("0", "+1", "-2", "+1/2", "-1/3", "+2/3", "+0.7")
    ]


@given(st.floats(-180, 180, allow_nan=False))
def test_seconds_and_minutes_stay_below_sixty(value: float):
    degrees, minutes, seconds = sexagesimal(value).replace("deg", "").replace("'", "").replace('"', "").split()
    assert int(minutes) < 60
    assert float(seconds) < 60
    assert abs(int(degrees) + int(minutes) / 60 + float(seconds) / 3600 - abs(value)) < 1e-5


@given(st.floats(1e-6, 1e5))
def test_exposure_times_read_back(seconds: float):
    text = str(exposure_time(seconds))
    value = 1 / float(text[2:]) if text.startswith("1/") else float(text)
    assert value == pytest.approx(seconds, rel=0.26 if seconds < 0.26 else 0.2, abs=0.051)


@pytest.mark.parametrize(
    ("text", "value"), [("400", 400), ("2.50", 2.5), ("007", "007"), ("1e400000", "1e400000"), ("", "")]
)
def test_numbers_are_numbers_where_json_has_them(text: str, value: object):
    assert number_or_text(text) == value


EVERY = (*DIRECTORIES, "Private", "PanasonicRaw")


@given(st.sampled_from(sorted(TYPE_NAMES)), st.binary(max_size=64), st.data())
def test_no_rule_raises_on_any_value(kind: int, data: bytes, draw: st.DataObject):
    number = draw.draw(st.sampled_from([number for tags in all_tags(EVERY).values() for number in tags]))
    directory = draw.draw(st.sampled_from(["IFD0", "ExifIFD", "GPS", "PanasonicRaw"]))
    value = draw.draw(
        st.one_of(
            st.just(data),
            st.none(),
            st.lists(st.integers(-(2**31), 2**32 - 1), max_size=5).map(tuple),
        )
    )
    if kind in (5, 10) and isinstance(value, tuple):
        value = tuple((part, 0) for part in value)
    show((number, kind, 4, value, 0, 4), tag(directory, number), "<")


def test_the_table_is_the_standards():
    tables = all_tags()
    assert {name: len(tags) for name, tags in tables.items()} == {"IFD0": 32, "ExifIFD": 89, "GPS": 32, "InteropIFD": 5}
    for name, tags in tables.items():
        assert len({entry.name for entry in tags.values()}) == len(tags), f"two tags of {name} have one name"
        for entry in tags.values():
            assert entry.types, f"{entry.name} has no type"
            assert set(entry.types.split()) <= set(TYPE_NAMES.values())


def test_every_row_names_a_rule_that_is_there():
    rules = {entry.show for tags in all_tags(EVERY).values() for entry in tags.values()}
    assert rules - {""} <= set(RULES)
    assert set(RULES) <= rules | {"unknown"}, "a rule that no tag uses"


def test_no_private_tag_hides_a_standard_one():
    tables = all_tags()
    standard = {**tables["IFD0"], **tables["ExifIFD"], **tables["InteropIFD"]}
    assert not set(standard) & set(all_tags(("Private",))["Private"])


@given(st.lists(st.integers(0, 2**32 - 1), min_size=33, max_size=200))
def test_long_offsets_are_counted_as_long_as_they_would_be_written(offsets: list[int]):
    entry = (0x111, 4, len(offsets), tuple(offsets), 0, 4 * len(offsets))
    assert show(entry, tag("IFD0", 0x111), "<")[1] == binary(len(" ".join(map(str, offsets))))


def test_made_up_numbers_are_named_and_not_kept():
    known = table("IFD0")
    assert known[0xFFFE].name == "Exif_0xfffe"
    assert 0xFFFE not in known
    assert known[0x10F].name == "Make"
    assert 0x10F in known
