import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.kit.http.options import Option, choice, flag, integer, names, number, numbers, parse_options, text
from functions.kit.http.problems import Problem

OPTIONS = (
    Option("width", integer(64, 4096), 640),
    Option("load", number(0, 100), 50.0),
    Option("mode", choice("light", "dark"), "light"),
    Option("bins", numbers(2, 4, 8), 8),
    Option("log", flag(), False),
    Option("title", text(10), ""),
    Option("keep", names("icc", "orientation"), ("icc",)),
)


def parse(*given_pairs: tuple[str, str]):
    return parse_options(OPTIONS, given_pairs)


def test_defaults_stand_where_nothing_is_given():
    assert parse() == {
        "width": 640, "load": 50.0, "mode": "light", "bins": 8, "log": False, "title": "", "keep": ("icc",),
    }  # fmt: skip


def test_each_kind_is_parsed():
    values = parse(
        ("width", "64"), ("load", "12.5"), ("mode", "dark"), ("bins", "4"), ("log", ""), ("title", "Ünì"),
        ("keep", "icc, orientation"),
    )  # fmt: skip
    assert values == {
        "width": 64, "load": 12.5, "mode": "dark", "bins": 4, "log": True, "title": "Ünì",
        "keep": ("icc", "orientation"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("width", "63", "width='63' is not allowed: expected a whole number from 64 to 4,096"),
        ("width", "6_4", "expected a whole number"),
        ("width", "9" * 5000, "expected a whole number"),
        ("width", "0" * 20 + "9999", "expected a whole number"),
        *(
            ("load", text, "expected a number from 0 to 100")
            for text in ("nan", "inf", "1_0", " 1", "1 ", "١", "1e", ".", "0x1", "1e999", "9" * 400, "-1e-300", "--0")
        ),
        ("mode", "grey", "expected one of light, dark"),
        ("bins", "3", "expected one of 2, 4, 8"),
        ("log", "maybe", "expected 1 or 0"),
        ("title", "x" * 11, "expected at most 10 characters, got 11"),
        ("title", "a\x00b", "without control characters"),
        ("keep", "iccc", "'iccc' is not one of icc, orientation"),
        ("widht", "100", "unknown option 'widht'; did you mean 'width'?"),
    ],
)
def test_what_is_not_allowed_is_named_with_what_is(name: str, value: str, said: str):
    with pytest.raises(Problem) as caught:
        parse((name, value))
    assert caught.value.status == 400
    assert said in caught.value.detail


def test_an_option_given_twice_is_refused():
    with pytest.raises(Problem, match="given twice"):
        parse(("width", "100"), ("width", "200"))


@pytest.mark.parametrize("text", ["-0", "-0.0", "+0", "00", "1e-400", "-1e-400", "0e99999999", "-.0"])
def test_a_zero_has_no_sign(text: str):
    assert repr(parse(("load", text))["load"]) == "0.0"


@given(st.lists(st.tuples(st.sampled_from([option.name for option in OPTIONS]), st.text())))
def test_any_text_is_a_value_or_a_problem(pairs: list[tuple[str, str]]):
    try:
        values = parse_options(OPTIONS, pairs)
    except Problem as problem:
        assert problem.status == 400
    else:
        assert 64 <= values["width"] <= 4096
        assert 0 <= values["load"] <= 100
