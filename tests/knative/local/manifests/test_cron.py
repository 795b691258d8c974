"""Cron schedules, as PingSource takes them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knative.local.manifests.cron import parse

MONDAY = datetime(2026, 11, 30, 14, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("* * * * *", "", "2026-11-30T14:01:00+00:00"),
        ("*/15 * * * * *", "", "2026-11-30T14:00:15+00:00"),
        ("0 9 * * mon-fri", "", "2026-12-01T09:00:00+00:00"),
        ("30 8 ? JAN,jul Sun", "", "2027-01-03T08:30:00+00:00"),
        ("@hourly", "", "2026-11-30T15:00:00+00:00"),
        ("@weekly", "", "2026-12-06T00:00:00+00:00"),
        ("0 0 13 * 5", "", "2026-12-04T00:00:00+00:00"),  # neither is open: the 13th or a Friday
        ("0 0 13 * *", "", "2026-12-13T00:00:00+00:00"),
        ("0 0 29 2 *", "", "2028-02-29T00:00:00+00:00"),
        ("5/20 * * * *", "", "2026-11-30T14:05:00+00:00"),
        ("30 2 * * *", "Europe/Vienna", "2026-12-01T02:30:00+01:00"),
        ("CRON_TZ=America/New_York 0 12 * * *", "", "2026-11-30T12:00:00-05:00"),
    ],
)
def test_the_next_time_of_a_schedule(text, zone, expected):
    assert parse(text, zone).after(MONDAY).isoformat() == expected


def test_a_date_that_no_year_has_names_no_time():
    assert parse("0 0 30 2 *").after(MONDAY) is None


def test_a_local_time_that_summer_time_skips_is_skipped():
    before = datetime(2027, 3, 27, 12, tzinfo=UTC)
    assert parse("30 2 * * *", "Europe/Vienna").after(before).isoformat() == "2027-03-29T02:30:00+02:00"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty spec string"),
        ("every day", "expected 5 to 6 fields, found 2"),
        ("61 * * * *", "end of range .61. above maximum .59."),
        ("* * 0 * *", "beginning of range .0. below minimum .1."),
        ("5-1 * * * *", "beginning of range .5. beyond end of range .1."),
        ("1-2-3 * * * *", "too many hyphens"),
        ("1/2/3 * * * *", "too many slashes"),
        ("*/0 * * * *", "step of range should be a positive number"),
        ("a * * * *", "failed to parse int from a"),
        ("@every 1m", "unrecognized descriptor"),
    ],
)
def test_an_invalid_schedule_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse(text)


def test_an_unknown_time_zone_is_refused():
    with pytest.raises(LookupError, match="provided bad location Mars/Olympus"):
        parse("* * * * *", "Mars/Olympus")


@given(
    st.lists(st.integers(0, 59), min_size=1, max_size=3),
    st.lists(st.integers(0, 23), min_size=1, max_size=3),
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
)
def test_the_next_time_is_the_first_that_fits(minutes, hours, moment):
    text = f"{','.join(map(str, minutes))} {','.join(map(str, hours))} * * *"
    found = parse(text).after(moment)
    later = moment.replace(second=0, microsecond=0) + timedelta(minutes=1)
    while later.minute not in minutes or later.hour not in hours:
        later += timedelta(minutes=1)
    assert found == later
