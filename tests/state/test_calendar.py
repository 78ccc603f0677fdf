"""Calendar periods against the plain arithmetic of datetime."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.calendar import Calendar
from state.definitions import Granularity

EPOCH = date(1970, 1, 1)
ZONES = ("UTC", "Europe/Berlin", "America/Sao_Paulo", "Pacific/Apia", "Australia/Lord_Howe", "America/Los_Angeles")
GRANULARITIES: tuple[Granularity, ...] = ("day", "week", "month", "quarter", "year")


def moment(ms: int, zone: str) -> datetime:
    """The local time at a moment."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)).astimezone(ZoneInfo(zone))


@given(st.sampled_from(ZONES), st.integers(0, 7_258_118_399_999))
def test_oracle_a_day_is_the_local_date(zone: str, ms: int) -> None:
    """The number of the day is that of the date a clock on the wall shows."""
    calendar = Calendar(zone, "monday")
    assert calendar.date_of_day(calendar.day_of(ms)) == moment(ms, zone).date()


@given(st.sampled_from(ZONES), st.integers(0, 80_000))
def test_a_day_begins_at_its_first_instant(zone: str, day: int) -> None:
    """The start lies in the day (or in the next where the date was skipped), the millisecond before it does not."""
    calendar = Calendar(zone, "monday")
    start = calendar.day_start_ms(day)
    assert calendar.day_of(start) >= day
    assert calendar.day_of(start - 1) < day


def test_a_skipped_date_is_a_day_without_moments() -> None:
    """Samoa went from 29 to 31 December 2011."""
    calendar = Calendar("Pacific/Apia", "monday")
    skipped = (date(2011, 12, 30) - EPOCH).days
    assert calendar.day_start_ms(skipped) == calendar.day_start_ms(skipped + 1)
    assert calendar.day_of(calendar.day_start_ms(skipped)) == skipped + 1


@given(st.sampled_from(GRANULARITIES), st.integers(0, 80_000), st.sampled_from(["monday", "sunday", "wednesday"]))
def test_a_day_lies_between_the_starts_of_its_period_and_the_next(
    granularity: Granularity, day: int, week_start: str
) -> None:
    """Periods follow each other without a gap, and their numbers too."""
    calendar = Calendar("UTC", week_start)
    bucket = calendar.bucket_of_day(granularity)(day)
    start, following = (calendar.bucket_start_day(granularity, bucket + k) for k in (0, 1))
    assert start <= day < following
    assert calendar.bucket_of_day(granularity)(following) == bucket + 1


@pytest.mark.parametrize(("week_start", "weekday"), [("monday", 0), ("sunday", 6), ("thursday", 3)])
def test_weeks_begin_on_the_chosen_day(week_start: str, weekday: int) -> None:
    """The first day of a week is that weekday."""
    calendar = Calendar("UTC", week_start)
    assert calendar.date_of_day(calendar.bucket_start_day("week", 2800)).weekday() == weekday


def test_quarters_and_years_are_those_of_the_calendar() -> None:
    """30 June lies in the second quarter, 1 July in the third."""
    calendar = Calendar("UTC", "monday")
    june = (date(2024, 6, 30) - EPOCH).days
    quarter = calendar.bucket_of_day("quarter")
    assert (quarter(june), quarter(june + 1)) == (54 * 4 + 1, 54 * 4 + 2)
    assert calendar.date_of_day(calendar.bucket_start_day("year", 54)) == date(2024, 1, 1)
