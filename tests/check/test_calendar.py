"""The table of local days against the clock on the wall."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from check.calendar import DAY_MS, EPOCH, bucket_of, days_of, first_day_of
from state.calendar import Calendar
from state.definitions import Granularity
from tests.check.batches import local_day_of

ZONES = ("UTC", "Europe/Berlin", "America/Sao_Paulo", "Pacific/Apia", "Australia/Lord_Howe", "Asia/Kathmandu")
GRANULARITIES: tuple[Granularity, ...] = ("day", "week", "month", "quarter", "year")
LAST_MS = 7_258_118_399_999


def ms(text: str) -> int:
    """A moment in UTC as milliseconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def starts(zone: str, first: str, last: str) -> dict[date, str]:
    """Where the days of a zone begin, in UTC."""
    found = days_of(zone, ms(first), ms(last))
    dates = {date.fromordinal(EPOCH.toordinal() + day.number): day.starts_ms for day in found}
    return {on: f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M}" for on, at in dates.items()}


def test_days_of_berlin_have_23_and_25_hours() -> None:
    """Clocks changed on 30 March and 26 October 2025."""
    spring, autumn = (starts("Europe/Berlin", f"2025-{day}", f"2025-{day}") for day in ("03-30", "10-26"))
    assert (spring[date(2025, 3, 30)], spring[date(2025, 3, 31)]) == ("2025-03-29 23:00", "2025-03-30 22:00")
    assert (autumn[date(2025, 10, 26)], autumn[date(2025, 10, 27)]) == ("2025-10-25 22:00", "2025-10-26 23:00")


def test_a_day_without_midnight_begins_at_its_first_instant() -> None:
    """In Sao Paulo 4 November 2018 began at 01:00, and clocks went back from midnight on 17 February 2018."""
    assert starts("America/Sao_Paulo", "2018-11-04", "2018-11-04")[date(2018, 11, 4)] == "2018-11-04 03:00"
    assert starts("America/Sao_Paulo", "2018-02-18", "2018-02-18")[date(2018, 2, 18)] == "2018-02-18 03:00"


def test_a_skipped_date_has_no_row() -> None:
    """Samoa went from 29 to 31 December 2011."""
    found = starts("Pacific/Apia", "2011-12-30", "2011-12-30")
    assert date(2011, 12, 30) not in found
    assert found[date(2011, 12, 31)] == "2011-12-30 10:00"


def test_half_an_hour_of_lord_howe() -> None:
    """Clocks go by half an hour there: 11:00 to 10:30 ahead of UTC on 6 April 2025."""
    found = starts("Australia/Lord_Howe", "2025-04-06", "2025-04-06")
    assert (found[date(2025, 4, 6)], found[date(2025, 4, 7)]) == ("2025-04-05 13:00", "2025-04-06 13:30")


def test_an_hour_lived_twice_stays_in_the_later_day() -> None:
    """In St. John's clocks went from 00:01 back to 23:01 on 7 November 2010: the 7th had begun."""
    found = list(days_of("America/St_Johns", ms("2010-11-06"), ms("2010-11-08")))
    assert [day.number for day in found] == sorted({day.number for day in found})
    assert starts("America/St_Johns", "2010-11-07", "2010-11-07")[date(2010, 11, 7)] == "2010-11-07 02:30"


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(ZONES), st.integers(0, LAST_MS))
def test_oracle_a_day_is_the_local_date(zone: str, moment_ms: int) -> None:
    """The last day that began by then is the date on the wall."""
    days = days_of(zone, moment_ms - 3 * DAY_MS, moment_ms + 3 * DAY_MS)
    assert max(day.number for day in days if day.starts_ms <= moment_ms) == local_day_of(zone)(moment_ms)


@settings(deadline=None, max_examples=40)
@given(st.sampled_from([*ZONES, "America/St_Johns"]), st.integers(0, LAST_MS - 10 * DAY_MS))
def test_differential_days_are_those_of_the_live_calendar(zone: str, moment_ms: int) -> None:
    """Two ways to the midnights of a zone."""
    live = Calendar(zone, "monday")
    for day in days_of(zone, moment_ms, moment_ms):
        if day.starts_ms >= 0:
            assert (live.day_of(day.starts_ms), live.day_start_ms(day.number)) == (day.number, day.starts_ms)


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_differential_buckets_are_those_of_the_live_calendar(granularity: Granularity) -> None:
    """Every day of some years, with weeks from Wednesday on."""
    live = Calendar("UTC", "wednesday")
    numbered = live.bucket_of_day(granularity)
    for day in range(19_000, 21_000):
        bucket = bucket_of(granularity, day, "wednesday")
        assert bucket == numbered(day)
        assert first_day_of(granularity, bucket, "wednesday") <= day
        assert first_day_of(granularity, bucket + 1, "wednesday") > day
