"""JSON as it is sent: compact UTF-8 that every reader reads back as what was written."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.kit.http.jsontext import encode

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=20
)
HALF_A_PAIR = "\ud83d"


@given(VALUES)
def test_what_is_read_back_is_what_was_written(value: object) -> None:
    assert json.loads(encode(value)) == value


def test_it_is_compact_utf_8() -> None:
    assert encode({"Größe": [1, 2.5, "π"]}) == '{"Größe":[1,2.5,"π"]}'.encode()


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_has_no_form_for_is_null(number: float) -> None:
    assert encode([number]) == b"[null]"
    assert json.loads(encode([number, 2**64])) == [None, 2**64]


@pytest.mark.parametrize(
    "value",
    [[2**64], [-(2**63) - 1], {HALF_A_PAIR: 1}, [HALF_A_PAIR, "é"]],
    ids=["beyond 64 bits", "below 64 bits", "half a pair in a name", "half a pair in a text"],
)
def test_what_the_fast_encoder_refuses_is_written_all_the_same(value: object) -> None:
    assert json.loads(encode(value)) == value


def test_deep_nesting_is_written_as_far_as_python_reaches() -> None:
    value: list[object] = []
    for _ in range(400):
        value = [value]
    assert encode(value) == b"[" * 401 + b"]" * 401
    for _ in range(100_000):
        value = [value]
    with pytest.raises(RecursionError):
        encode(value)
