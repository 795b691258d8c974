"""No cell of a CSV is a formula, and no number is changed."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.client import output
from functions.kit.http import csvtext

CASES = [
    ("=HYPERLINK(0)", "'=HYPERLINK(0)"),
    ("+1+1", "'+1+1"),
    ("-2+3", "'-2+3"),
    ("@SUM(A1)", "'@SUM(A1)"),
    ("\t=1", "'\t=1"),
    ("\r=1", "'\r=1"),
    ("-", "'-"),
    ("-.", "'-."),
    ("-inf", "'-inf"),
    ("+1_000", "'+1_000"),
    ("-1.5", "-1.5"),
    ("+3", "+3"),
    ("-.5", "-.5"),
    ("-1e-05", "-1e-05"),
    ("1=1", "1=1"),
    ("'=1", "'=1"),
    ("", ""),
    (-1.5, -1.5),
    (None, None),
]


@pytest.mark.parametrize(("cell", "safe"), CASES)
def test_a_cell_that_begins_like_a_formula_gets_an_apostrophe_unless_it_is_a_number(cell: object, safe: object) -> None:
    assert csvtext.inert(cell) == safe
    assert output.inert(cell) == safe


@given(st.text())
def test_the_client_and_the_functions_agree(cell: str) -> None:
    assert csvtext.inert(cell) == output.inert(cell)


def test_a_document_is_rfc_4180_with_every_cell_inert() -> None:
    text = csvtext.document([("=name", "value"), ("a", '=1,"2"'), ("b", -2)])
    assert text == '\'=name,value\r\na,"\'=1,""2"""\r\nb,-2\r\n'
    assert list(csv.reader(io.StringIO(text, newline="")))[1:] == [["a", '\'=1,"2"'], ["b", "-2"]]
