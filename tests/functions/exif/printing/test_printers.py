"""Printers that formulas of the tables name: values as cameras write them, and what is shown of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.exif.printing import canon, functions, nikon, olympus, panasonic, pentax, sony, various
from functions.exif.tags.formulas import UNFIT, Members, expression

MODULES = (canon, functions, nikon, olympus, panasonic, pentax, sony, various)


@pytest.mark.parametrize(
    ("formula", "value", "shown"),
    [
        # Text and numbers.
        ("fmt('%.1f mm', v)", 50, "50.0 mm"),
        ("fmt('%.2d:%.2d', *words(v))", "7 5", "07:05"),
        ("fmt('%+.1f', v)", "0.25 EV", "+0.2"),
        ("fmt('100%%')", 0, "100%"),
        ("whole(v)", 3.9, 3),
        ("part(v, 2, 3)", "abcdef", "cde"),
        ("part(v, -2)", "abcdef", "ef"),
        ("replace('( 0)+$', '', v)", "3 0 0", "3"),
        ("translate('abc', 'xyz', v)", "aabbcc", "xxyyzz"),
        ("translate(' ', '', v, 'd')", "a b c", "abc"),
        ("translate('0-9', '', v, 'cd')", "a1b2", "12"),
        ("group('^(..)', v)", "abc", "ab"),
        ("word(v, 1)", "4 5 6", 5),
        ("word(v, 7)", "4 5 6", None),
        ("backwards(v)", "1 2 3", "3 2 1"),
        ("scaled(v, 10)", "10 25", "1 2.5"),
        ("counted(v, 2, 1)", "3 4 5", "6 4 5"),
        ("each(v, '%.2x')", "10 255", "0a ff"),
        ("each(v, 'int16s')", "1 65535", "1 -1"),
        ("bit_numbers(v)", 5, "0,2"),
        ("bit_numbers(v, {0: 'A', 1: 'B'})", 7, "A, B, [2]"),
        ("bit_numbers(v, None, 16)", "1 3", "0,16,17"),
        ("lookup({1: 50}, v)", 1, 50),
        ("from_hex(v)", "ff", 255),
        # Bytes.
        ("unpack('vC2', v)[0]", "\x01\x02\x03\x04", 513),
        ("hexadecimal(v)", "\x01\xff", "01ff"),
        ("pairs_of_hex(v)", "\x01\xff", "01 ff"),
        ("from_numbers(v)", "65 66", "AB"),
        ("big(v, 'N')", "\0\0\1\0", 256),
        ("decode(v, 'UTF16', 'II')", "A\0B\0", "AB"),
        ("decode(v, 'Latin')", "\xe9", "\xc3\xa9"),
        ("binary(v)", "abc", "(Binary data 3 bytes, use -b option to extract)"),
        ("image(v)", "\xff\xd8\xff\xe0", "(Binary data 4 bytes, use -b option to extract)"),
        ("image(v)", "none", None),
        # Photography and time.
        ("exposure_time(v)", 0.005, "1/200"),
        ("exposure_time(v)", 2.5, "2.5"),
        ("f_number(v)", 2.8, "2.8"),
        ("compensation(v)", 0.333333, "+1/3"),
        ("lens_range(v)", "24 105 4 4", "24-105mm f/4"),
        ("unix_time(v)", 86400, "1970:01:02 00:00:00"),
        ("date_time(*words(v))", "2024 1 2 3 4 5", "2024:01:02 03:04:05"),
        ("duration(v)", 12, "12.00 s"),
        ("duration(v)", 3700, "1:01:40"),
        ("zone(v)", -90, "-01:30"),
        ("bitrate(v)", 128000, "128 kbps"),
        ("parameter(v)", 2, "+2"),
        # Makers.
        ("canon.ev(v)", 0x0C, 1 / 3),
        ("canon.ev(v)", -0x20, -1),
        ("canon.sensitivity(v)", 0x4000 | 640, 640),
        ("canon.swapped(v)", "65536", "1"),
        ("canon.numbered(v)", 1000123, "100-0123"),
        ("canon.self_timer(v)", 0, "Off"),
        ("canon.revision(v)", 0x01000201, "1.00 rev 2.01"),
        ("canon.personal(v)", 3, "On (3)"),
        ("nikon.part(v, 'c3')", "\x06\x01\x0c", 0.5),
        ("nikon.control(v)", -128, "Auto"),
        ("nikon.control(v, 'None', '%.2f', 4)", 6, "1.50"),
        ("nikon.af_points(v, 'afPoints51')", "01 00 00 00 00 00 04", "C6,D1"),
        ("nikon.grid_point(v, 15)", 16, "B2"),
        ("nikon.beside(v, 19)", 10, "C"),
        ("nikon.above(v, 11)", 2, "4U from Center"),
        ("nikon.lens_type(v)", 0x0E, "G VR"),
        ("nikon.words_of(v)", "MATRIX AF RAW", "Matrix AF RAW"),
        ("nikon.version(v)", "\x00\x02\x01\x00", "0210"),
        ("nikon.interval(v, 3, 1, 1)", 1, "On: Interval 1 of 3"),
        ("olympus.drive(v)", "5 2 1 0 4", "AE Bracketing, Shot 2"),
        ("olympus.drive(v)", "0 0", "Single Shot"),
        ("olympus.areas(v)", str(0x79798585), "Center (121,121)-(133,133)"),
        ("olympus.special_mode(v)", "3 1 2", "Panorama, Sequence: 1, Panorama: Right to Left"),
        ("panasonic.serial(v)", "F540901230045", "(F54) 2009:01:23 no. 0045"),
        ("panasonic.powered(v)", 90061.5, "1 days 01:01:01.50"),
        ("panasonic.kelvin(v)", 0x8000 + 5200, "5200 Kelvin"),
        ("pentax.ev(v)", 3, 1 / 3),
        ("pentax.focus_points(v, 8, 1, 1)", "129", "1,8"),
        ("pentax.steps(v)", 3, 1),
        ("pentax.firmware(v)", "\xfe\xfd\xfc\xfb", "1 02 03 04"),
        ("pentax.lens(v, 2)", "131 0 1 7", "3 263"),
        ("pentax.made(v)", "20061224", "2006:12:24"),
        ("sony.lens_spec(v)", "\x02\x00\x24\x00\x70\x28\x28\x08", "02 24 70 2.8 2.8 08"),
        ("sony.lens_name(v)", "02 24 70 2.8 2.8 08", "FE 24-70mm F2.8 G"),
        ("sony.focus_shift(v)", 5, "Back Focus (+5)"),
        ("sony.face(v)", "1 2 3 4", "30 15 60 45"),
        ("various.distances(v)", "2.5 0.5", "0.50 - 2.50 m"),
        ("various.firmware_date(v)", "0603\0\x001512\0\x0030\0\0\0\0", "2006:03:15 12:30"),
        ("various.trap_time(v)", "30 15 12 3 24 2020", "2020:03:24 12:15:30"),
        ("various.dos_time(v)", "20575 25530", "2020:02:31 12:29:52"),
        ("various.opened(v, '10 20', 'int16u', '0')", "1 2", "11 22"),
        ("various.long_number(v)", "1 2", 65538),
    ],
)
def test_a_printer(formula: str, value: Any, shown: Any):
    found = expression(formula)(value, Members({}))
    assert found == (pytest.approx(shown) if isinstance(shown, float) else shown)


def test_property_lists_are_structures():
    import plistlib

    data = plistlib.dumps({"epoch": 0, "1x": [1, "a"]}, fmt=plistlib.FMT_BINARY).decode("latin-1")
    assert various.property_list(data) == {"epoch": 0, "_1x": [1, "a"]}
    assert various.property_list("bplist00" + "\xff" * 40) is None


def of_one_value() -> list[Callable[[Any], Any]]:
    """Every printer that takes one value and needs nothing else."""
    found = []
    for module in MODULES:
        for name, function in vars(module).items():
            if not name.startswith("_") and inspect.isfunction(function) and function.__module__ == module.__name__:
                needed = [one for one in inspect.signature(function).parameters.values() if one.default is one.empty]
                if len(needed) == 1 and needed[0].kind is not needed[0].VAR_POSITIONAL:
                    found.append(function)
    return found


@given(
    st.one_of(
        st.integers(-(2**31), 2**63),
        st.floats(),
        st.text(st.characters(max_codepoint=255), max_size=40),
        st.lists(st.integers(0, 65535), max_size=8).map(lambda numbers: " ".join(map(str, numbers))),
    )
)
def test_no_printer_raises_more_than_a_row_handles(value: Any):
    for printer in of_one_value():
        try:
            printer(value)
        except UNFIT:
            continue
