"""Tries, waits and what a dead letter tells."""

from __future__ import annotations

import base64

import pytest

from knative.local.eventing.delivery import DEFAULT, Policy, error_attributes, retried
from knative.local.manifests.grammar import parse_period


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT0.2S", 0.2),
        ("PT0,5S", 0.5),
        ("PT1M30S", 90),
        ("PT2H", 7200),
        ("P1D", 86400),
        ("P1W", 604800),
        ("P1DT1S", 86401),
        ("P1Y", 365.2425 * 86400),
        ("P12M", 365.2425 * 86400),
        ("-PT1S", -1),
    ],
)
def test_period(text, seconds):
    assert parse_period(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["5s", "", "T1S", "1"])
def test_no_period(text):
    with pytest.raises(ValueError, match="ISO 8601"):
        parse_period(text)


def waits(spec: dict) -> list[float | None]:
    return [Policy.of(spec).wait(failed) for failed in range(1, 6)]


def test_exponential_waits_double_from_the_delay():
    spec = {"retry": 4, "backoffPolicy": "exponential", "backoffDelay": "PT1S"}
    assert waits(spec) == [1, 2, 4, 8, None]


def test_linear_waits_grow_from_none():
    assert waits({"retry": 4, "backoffPolicy": "linear", "backoffDelay": "PT1S"}) == [0, 1, 2, 3, None]


def test_without_retry_the_first_failure_is_the_last():
    assert waits({}) == [None] * 5


def test_without_a_policy_nothing_is_waited_for():
    assert waits({"retry": 2, "backoffDelay": "PT9S"}) == [0, 0, None, None, None]


def test_the_default_is_ten_tries_within_three_and_a_half_minutes():
    policy = Policy.of(DEFAULT)
    total = [policy.wait(failed) for failed in range(1, 11)]
    assert sum(total) == pytest.approx(0.2 * 1023)
    assert policy.wait(11) is None


def test_a_wait_is_bounded():
    assert Policy.of({"retry": 2000, "backoffPolicy": "exponential", "backoffDelay": "PT1S"}).wait(1999) == 3600


@pytest.mark.parametrize(
    ("status", "again"),
    [
        *((status, True) for status in (None, 404, 408, 409, 429, 500, 502, 503, 599)),
        *((status, False) for status in (301, 400, 401, 405, 413, 415, 422)),
    ],
)
def test_retried(status, again):
    assert retried(status) is again


def test_error_attributes_keep_a_problem_whole_and_cut_what_is_longer():
    whole = error_attributes("http://x/", 422, b"x" * 767)
    assert base64.b64decode(whole["knativeerrordata"]) == b"x" * 767
    cut = error_attributes("http://x/", 422, b"x" * 5000)
    assert len(cut["knativeerrordata"]) == 1024
    assert (cut["knativeerrordest"], cut["knativeerrorcode"]) == ("http://x/", "422")


def test_no_answer_is_reported_as_500():
    told = error_attributes("http://x/", None, b"")
    assert told == {"knativeerrordest": "http://x/", "knativeerrorcode": "500"}
