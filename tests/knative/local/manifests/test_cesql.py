"""CloudEvents SQL: values, errors and the values beside them.

`PIXELAMP_CESQL_TCK` names a folder with the specification's own conformance cases (`*.yaml`), which then run too.
"""

import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from knative.local.manifests.cesql.parsing import parse
from knative.local.manifests.cesql.values import CesqlError, ErrorKind

EVENT = {
    "id": "1",
    "source": "/photos",
    "type": "photo.taken",
    "specversion": "1.0",
    "size": "5",
    "raw": True,
    "count": 7,
}


def outcome(expression, attributes=EVENT):
    """The value and the kind of error, or None."""
    try:
        return parse(expression).evaluate(attributes), None
    except CesqlError as error:
        return error.value, error.kind.value


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("TRUE", True),
        ("false", False),
        ("'it\\'s'", "it's"),
        ("\"a 'b'\"", "a 'b'"),
        ("-2147483648", -2147483648),
        ("2 + 3 * 4", 14),
        ("(2 + 3) * 4", 20),
        ("7 / -2", -3),
        ("-7 % 3", -1),
        ("2147483647 + 1", -2147483648),
        ("- size", -5),
        ("size + 1", 6),
        ("size = 5", True),
        ("size = '5'", True),
        ("size <> 5", False),
        ("raw = TRUE", True),
        ("count >= 7 AND count < 8", True),
        ("TRUE = 'true'", True),
        ("TRUE = 'TRUE'", False),
        ("1 = TRUE", True),
        ("NOT 10", False),
        ("FALSE AND FALSE OR TRUE", False),  # AND and OR bind alike, and to the right
        ("FALSE AND missing", False),
        ("TRUE OR missing", True),
        ("TRUE XOR TRUE", False),
        ("type LIKE 'photo.%'", True),
        ("type LIKE 'photo_taken'", True),
        ("type LIKE 'photo\\_taken'", False),
        ("'a%b' LIKE 'a\\%b'", True),
        ("'axb' LIKE 'a\\%b'", False),
        ("'' LIKE '%'", True),
        ("'aXbXc' LIKE 'a%b%c'", True),
        ("type NOT LIKE '%taken'", False),
        ("5 LIKE '_'", True),
        ("EXISTS size AND NOT EXISTS missing", True),
        ("size IN (4, '5')", True),
        ("size NOT IN ('4', '6')", True),
        ("1 IN ('1', 2)", True),
        ("ABS(-3)", 3),
        ("LENGTH('ärger')", 5),
        ("CONCAT('a', 1, TRUE)", "a1true"),
        ("CONCAT_WS('-', 'a', 'b')", "a-b"),
        ("CONCAT_WS('-')", ""),
        ("lower('ABC')", "abc"),
        ("UPPER('abc')", "ABC"),
        ("TRIM('  a ')", "a"),
        ("LEFT('abc', 2)", "ab"),
        ("RIGHT('abc', 2)", "bc"),
        ("RIGHT('abc', 0)", ""),
        ("LEFT('abc', 9)", "abc"),
        ("SUBSTRING('abcde', 2)", "bcde"),
        ("SUBSTRING('abcde', -2)", "de"),
        ("SUBSTRING('abcde', 2, 2)", "bc"),
        ("SUBSTRING('abcde', 0)", ""),
        ("SUBSTRING('abcde', 4, 9)", "de"),
        ("INT('7')", 7),
        ("INT(TRUE)", 1),
        ("BOOL('False')", False),
        ("STRING(3)", "3"),
        ("IS_INT('x')", False),
        ("IS_BOOL('true')", True),
        ("NOT (1 = 1) = FALSE", True),
    ],
)
def test_a_value(expression, value):
    found = outcome(expression)
    assert found == (value, None)
    assert type(found[0]) is type(value)


@pytest.mark.parametrize(
    ("expression", "value", "error"),
    [
        ("missing", False, "missingAttribute"),
        ("missing * 5", 0, "missingAttribute"),
        ("1 / missing", 0, "missingAttribute"),
        ("LENGTH(missing)", 0, "missingAttribute"),
        ("CONCAT(missing)", "", "missingAttribute"),
        ("1 / 0", 0, "math"),
        ("1 % 0 = 0", False, "math"),
        ("ABS(-2147483648)", 2147483647, "math"),
        ("type + 1", 0, "cast"),
        ("type = 1", False, "cast"),
        ("type AND TRUE", False, "cast"),
        ("INT('2147483648')", 0, "cast"),
        ("BOOL('yes')", False, "cast"),
        ("LEFT('abc', -1)", "abc", "functionEvaluation"),
        ("SUBSTRING('abc', 4)", "", "functionEvaluation"),
        ("SUBSTRING('abc', 1, -1)", "", "functionEvaluation"),
        ("NOTHING(1)", False, "missingFunction"),
        ("ABS(1, 2)", False, "missingFunction"),
    ],
)
def test_an_error_and_the_value_beside_it(expression, value, error):
    assert outcome(expression) == (value, error)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "this is wrong",
        "1-1",
        "(1",
        "1)",
        "1 +",
        "a = ",
        "LIKE 'x'",
        "a LIKE b",
        "a IN ()",
        "a IN 1",
        "EXISTS 'a'",
        "ABS(1",
        "ABS(,)",
        "2147483648",
        "'open",
        "a NOT b",
        "F1(2)",
        "a_b",
    ],
)
def test_an_invalid_expression_is_refused_with_its_column(expression):
    with pytest.raises(CesqlError, match=r"at column \d+") as error:
        parse(expression)
    assert error.value.kind is ErrorKind.PARSE


def test_characters_of_no_token_are_skipped_and_named():
    parsed = parse("size # = 5 ?")
    assert parsed.matches(EVENT)
    assert parsed.skipped == "#?"


@pytest.mark.parametrize(
    "text", ["(" * 5000 + "1" + ")" * 5000, "NOT " * 5000 + "TRUE", "1 AND " * 5000 + "1", "- " * 5000 + "1"]
)
def test_deep_nesting_is_refused(text):
    with pytest.raises(CesqlError, match="nested more than 100 deep"):
        parse(text)


@given(st.text(alphabet="ab10 '\"()=<>!+-*/%,_\\ANDORXLIKEXISTUF", max_size=40))
def test_any_text_is_an_expression_or_a_parse_error(text):
    try:
        parsed = parse(text)
    except CesqlError as error:
        assert error.kind is ErrorKind.PARSE
        return
    assert isinstance(parsed.matches(EVENT), bool)


@given(st.text(alphabet="ab", max_size=12), st.text(alphabet="ab%_", max_size=6))
def test_like_agrees_with_a_search_of_all_splits(text, pattern):
    def fits(rest, parts):
        if not parts:
            return not rest
        if parts[0] == "%":
            return any(fits(rest[n:], parts[1:]) for n in range(len(rest) + 1))
        return bool(rest) and parts[0] in {"_", rest[0]} and fits(rest[1:], parts[1:])

    assert parse(f"'{text}' LIKE '{pattern}'").matches({}) is fits(text, pattern)


TCK = os.environ.get("PIXELAMP_CESQL_TCK")
FULL = {
    "id": "full-event",
    "source": "/mytest/source",
    "specversion": "1.0",
    "type": "com.example.FullEvent",
    "subject": "topic",
    "datacontenttype": "text/json",
    "dataschema": "http://example.com/schema",
    "time": "2020-03-21T12:34:56.78Z",
}


class _TextLoader(yaml.SafeLoader):
    """YAML without time stamps: an attribute is text."""


_TextLoader.yaml_implicit_resolvers = {
    key: [item for item in items if item[0] != "tag:yaml.org,2002:timestamp"]
    for key, items in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def conformance_cases():
    for path in sorted(Path(TCK).glob("*.yaml")) if TCK else ():
        for case in yaml.load(path.read_text(), _TextLoader)["tests"]:
            yield pytest.param(case, id=f"{path.stem}: {case['name']}")


@pytest.mark.skipif(not TCK, reason="PIXELAMP_CESQL_TCK names no folder of conformance cases")
@pytest.mark.parametrize("case", list(conformance_cases()))
def test_the_conformance_case(case):
    attributes = {**(case.get("event") or FULL), **(case.get("eventOverrides") or {})}
    text = case["expression"]
    value, error = outcome(str(text).upper() if isinstance(text, bool) else str(text), attributes)
    assert error == case.get("error")
    if error != "parse":
        assert value == case["result"]
        assert type(value) is type(case["result"])
