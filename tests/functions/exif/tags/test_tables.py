"""Every row of every table can be read, names printers that exist and tables that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from functions.exif.makernotes.reader import reader_of
from functions.exif.tags.files import FOLDER, sections
from functions.exif.tags.formulas import Members, expression, run, steps
from functions.exif.tags.labels import label_set
from functions.exif.tags.tables import PARTS, READ, Field, Table, table

FILES = sorted(path.stem for path in Path(FOLDER).glob("*.tsv"))
GRADES = {"identifies", "narrows", "hints"}
SUBJECTS = {"place", "person", "device", "time", "content"}


@pytest.mark.parametrize("file", FILES)
def test_every_row_compiles_and_leads_to_a_table(file: str):
    for section in sections(file):
        for row in table(f"{file}.{section}"):
            row.prepare()
            assert row.name, (section, row.number)
            if row.sub:
                table(row.sub.split(" ")[0])
            if row.grade:
                grade, subject, *_ = row.grade.split(":")
                assert grade in GRADES
                assert subject in SUBJECTS


@pytest.mark.parametrize("file", FILES)
def test_every_table_names_its_source(file: str):
    head = (Path(FOLDER) / f"{file}.tsv").read_text(encoding="utf-8").split("\n[", 1)[0]
    assert "Facts" in head
    assert any(word in head for word in ("ExifTool", "CIPA", "TIFF", "XMP"))


def row(*cells: str) -> Field:
    return Field(Table("Canon.Made", {}, kind="ifd", group="Canon"), ["1", "Made", *cells])


def shown(field: Field, value: object, **members: object) -> object:
    m = Members(members)
    taken = field.take(value, m) if field.ready else (field.prepare(), field.take(value, m))[1]
    return None if taken is None else field.show(taken, m)


def test_labels_of_values_bits_and_unknown_ones():
    named = row("", "", "", "", "0=Off|1=On|2=A \\| B")
    assert shown(named, 1) == (1, "On")
    assert shown(named, "1") == ("1", "On")
    assert shown(named, 2) == (2, "A | B")
    assert shown(named, 3) == (3, "Unknown (3)")
    assert shown(row("", "", "", "", "0=None|&0=Left|&2=Right"), 5) == (5, "Left, Right")
    assert shown(row("", "", "", "", "0=None|&0=Left|&2=Right"), 0) == (0, "None")
    assert shown(row("", "", "", "", "&0=Left|&2=Right"), 8) == (8, "[3]")
    assert shown(row("", "", "", "", "1=One", "", "hex"), 31) == (31, "Unknown (0x1f)")


def test_values_and_prints_by_formulas():
    assert shown(row("", "", "v / 10", "f'{v} mm'"), 105) == (10.5, "10.5 mm")
    assert shown(row("", "", "v / 10"), 100) == (10, 10)
    assert shown(row("", "", "v or None"), 0) is None
    assert shown(row("", "", "v / 0"), 1) is None
    assert shown(row("", "", "", "v / 0"), 1) == (1, 1)
    assert shown(row("", "", "v + 1 | v * 2"), 3) == (8, 8)
    assert shown(row("", "", "v / 10"), "12 and more") == (1.2, 1.2)


def test_steps_before_the_arrow_run_when_a_tag_is_read():
    field = row("", "", "Unit = v | v or None => v / Unit")
    m = Members({})
    field.prepare()
    assert field.take(32, m) == 32
    assert m["Unit"] == 32
    m["Unit"] = 8
    assert field.show(32, m) == (4, 4)


def test_parts_of_a_cell_are_for_the_values_of_a_tag():
    field = row("", "", "", "", f"0=Off|1=On{PARTS}1=Fast")
    assert shown(field, "1 1") == ("1 1", "On; Fast")
    assert shown(field, "0 2 9") == ("0 2 9", "Off; Unknown (2); 9")
    assert READ.strip() == "=>"


@pytest.mark.parametrize(
    "text", ["__import__('os')", "v.__class__", "lambda: 1", "[x for x in v]", "unknown_printer(v)", "v if", "(v := 1)"]
)
def test_formulas_allow_nothing_but_arithmetic_and_printers(text: str):
    with pytest.raises(SyntaxError):
        expression(text)


def test_conditions_see_members_and_none_for_a_missing_one():
    m = Members({"Model": "Canon EOS 5D"})
    assert run(steps("has(r'EOS 5D$', Model)"), None, m)
    assert not row("", "Missing > 3").applies(m)
    assert row("", "has('5D', Model) and Missing is None").applies(m)


@pytest.mark.parametrize("data", [b"\xe9t\xe9 1", "\xe9t\xe9 1", b"x" * 1023 + b"\xe9", b"x" * 1024 + b"\xe9"])
@pytest.mark.parametrize("pattern", [r"^\w+ \d", r"\xe9", "(?i)\xc9", r"^x{3}.+$"])
def test_a_pattern_finds_the_same_in_bytes_as_in_their_text(pattern: str, data: bytes | str):
    text = data.decode("latin-1") if isinstance(data, bytes) else data
    found = expression(f"has({pattern!r}, data)")(None, Members({"data": data}))
    assert bool(found) == bool(re.search(pattern, text[:1024]))


def test_lens_lists_are_label_sets_by_the_value_that_the_note_has():
    assert label_set("canon", "lens:canon").get(1) == "Canon EF 50mm f/1.8"
    assert label_set("pentax", "lens:pentax").get("1 0") == "K or M Lens"
    assert label_set("nikon", "lens:nikon").get("00 00 00 00 00 00 00 01") == "Manual Lens No CPU"


@pytest.mark.parametrize("file", FILES)
def test_every_kind_of_table_has_a_reader(file: str):
    for section in sections(file):
        rows = table(f"{file}.{section}")
        assert callable(reader_of(rows.kind))
        for row in rows:
            for word in row.sub.split(" "):
                if word.startswith("kind="):
                    assert callable(reader_of(word[5:]))


def test_products_and_powers_are_of_numbers_alone():
    assert expression("v * 1000000000")("12 and more", Members({})) == 12_000_000_000
    with pytest.raises(OverflowError):
        expression("2 ** v")(2**40, Members({}))
    assert expression("2 ** v")(-1, Members({})) == 0.5
    assert expression("fmt(' %d' * 3, *words(v))")("1 2 3", Members({})) == " 1 2 3"
