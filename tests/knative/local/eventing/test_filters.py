"""Trigger filters, dialect by dialect, as Knative evaluates them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knative.local.eventing.filters import FilterError, of_trigger, passes

EVENT = {"specversion": "1.0", "id": "1", "source": "/camera/7", "type": "dev.image.uploaded", "size": "5"}


def taken(spec: dict, event: dict[str, str] = EVENT) -> bool:
    return passes(of_trigger(spec)(event))


@pytest.mark.parametrize(
    ("attributes", "wanted"),
    [
        ({}, True),
        ({"type": "dev.image.uploaded"}, True),
        ({"type": "dev.image"}, False),
        ({"type": "dev.image.uploaded", "source": "/camera/8"}, False),
        ({"type": ""}, True),  # any value
        ({"subject": ""}, True),  # Knative finds the standard attributes in every event
        ({"colour": ""}, False),
        ({"size": "5"}, True),
    ],
)
def test_attributes(attributes, wanted):
    assert taken({"filter": {"attributes": attributes}}) is wanted


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ([], True),
        ([{}], True),
        ([{"exact": {"type": "dev.image.uploaded"}}], True),
        ([{"exact": {"type": "other"}}], False),
        ([{"exact": {"colour": "red"}}], False),
        ([{"prefix": {"type": "dev."}}], True),
        ([{"prefix": {"type": "image"}}], False),
        ([{"suffix": {"type": ".uploaded", "source": "7"}}], True),
        ([{"suffix": {"type": ".uploaded", "source": "8"}}], False),
        ([{"exact": {"size": "5"}}, {"prefix": {"type": "com."}}], False),  # all must pass
        ([{"all": [{"exact": {"size": "5"}}, {"prefix": {"type": "dev."}}]}], True),
        ([{"all": [{"exact": {"size": "5"}}, {"prefix": {"type": "com."}}]}], False),
        ([{"any": [{"exact": {"size": "6"}}, {"prefix": {"type": "dev."}}]}], True),
        ([{"any": [{"exact": {"size": "6"}}, {"prefix": {"type": "com."}}]}], False),
        ([{"any": [{}, {"exact": {"size": "6"}}]}], False),  # an empty dialect does not count
        ([{"any": []}], True),
        ([{"not": {"exact": {"size": "6"}}}], True),
        ([{"not": {"exact": {"size": "5"}}}], False),
        ([{"not": {}}], True),
        ([{"not": {"not": {"exact": {"size": "5"}}}}], True),
        ([{"not": {"any": [{"exact": {"size": "6"}}, {"exact": {"size": "7"}}]}}], True),
    ],
)
def test_dialects(filters, wanted):
    assert taken({"filters": filters}) is wanted


def test_filters_override_filter():
    spec = {"filter": {"attributes": {"type": "other"}}, "filters": [{"exact": {"size": "5"}}]}
    assert taken(spec)
    assert not taken({**spec, "filters": []})


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("size > 3", True),
        ("size = 6", False),
        ("type LIKE 'photo.%' OR TRUE", True),
        ("missing = 'x'", False),  # an error fails the filter
        ("NOT missing", False),
        ("LENGTH(size)", False),  # no boolean
    ],
)
def test_a_cesql_expression_passes_what_it_finds_true(expression, wanted):
    assert taken({"filters": [{"cesql": expression}]}) is wanted
    assert taken({"filters": [{"not": {"cesql": expression}}]}) is not wanted


@pytest.mark.parametrize("filters", [[{"cesql": "size >"}], [{"any": [{"not": {"cesql": "this is wrong"}}]}]])
def test_a_cesql_expression_that_cannot_be_parsed_is_refused_with_its_reason(filters):
    with pytest.raises(FilterError, match=r"cesql filter .* cannot be parsed: expected .* at column"):
        of_trigger({"filters": filters})


NESTED = st.recursive(
    st.builds(
        lambda dialect, value: {dialect: {"size": value}},
        st.sampled_from(["exact", "prefix", "suffix"]),
        st.sampled_from(["5", "6", "55"]),
    ),
    lambda inner: st.one_of(
        st.builds(lambda items: {"all": items}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda items: {"any": items}, st.lists(inner, min_size=1, max_size=3)),
    ),
    max_leaves=8,
)


@given(NESTED)
def test_not_is_the_opposite(item):
    assert taken({"filters": [{"not": item}]}) is not taken({"filters": [item]})
