"""The calendar periods of a zone as a table, so that SQL never asks a time zone database of its own.

Table `calendar`: starts_ms, the first instant of a local day; local_day, its number since 1970-01-01; day, week, month,
quarter, year: the buckets it lies in. A day begins when its date is first seen on the wall and lasts until the next
begins: where clocks go back over midnight, the hour that is lived twice stays in the later day. A date that a zone
skipped has no row.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import duckdb
import msgspec

DAY_MS = 86_400_000
EPOCH = date(1970, 1, 1)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_EPOCH_MOMENT = datetime(1970, 1, 1, tzinfo=UTC)
_MARGIN_DAYS = 3


class LocalDay(msgspec.Struct, frozen=True):
    """A day of a zone: its first instant in milliseconds UTC, and its number since 1970-01-01."""

    starts_ms: int
    number: int


def days_of(zone: str, first_ms: int, last_ms: int) -> Iterator[LocalDay]:
    """The local days of a zone that hold the moments from `first_ms` to `last_ms`, and a few around them, in order."""
    wall = ZoneInfo(zone)
    first_utc_day, last_utc_day = first_ms // DAY_MS - _MARGIN_DAYS, last_ms // DAY_MS + _MARGIN_DAYS
    # The walk begins inside this day, so where it began is not seen.
    seen = (first_utc_day * DAY_MS + _offset_ms(wall, first_utc_day * DAY_MS)) // DAY_MS
    for start in range(first_utc_day * DAY_MS, (last_utc_day + 1) * DAY_MS, DAY_MS):
        for begins_ms, number in _steps(wall, start, start + DAY_MS):
            if number > seen:
                seen = number
                yield LocalDay(begins_ms, number)


def _steps(wall: ZoneInfo, start: int, end: int) -> Iterator[tuple[int, int]]:
    """(moment, local day) wherever the date may change from `start` to `end`, a day apart: at both sides of a change of
    the offset, and at the midnights between."""
    change = _offset_change(wall, start, end)
    for begin, finish in [(start, end)] if change is None else [(start, change), (change, end)]:
        offset = _offset_ms(wall, begin)
        first = (begin + offset) // DAY_MS
        yield begin, first
        midnight = (first + 1) * DAY_MS - offset
        if midnight < finish:
            yield midnight, first + 1


def _offset_change(wall: ZoneInfo, start: int, end: int) -> int | None:
    """The first moment after `start` with another offset than at `start`, when `end` has another."""
    before = _offset_ms(wall, start)
    if _offset_ms(wall, end) == before:
        return None
    while end - start > 1:
        middle = (start + end) // 2
        start, end = (middle, end) if _offset_ms(wall, middle) == before else (start, middle)
    return end


def _offset_ms(wall: ZoneInfo, moment_ms: int) -> int:
    offset = (_EPOCH_MOMENT + timedelta(milliseconds=moment_ms)).astimezone(wall).utcoffset()
    assert offset is not None
    return offset // timedelta(milliseconds=1)


def bucket_of(granularity: str, local_day: int, week_start: str) -> int:
    """The number of the period that a local day lies in, as cells have it."""
    on = EPOCH + timedelta(days=local_day)
    match granularity:
        case "day":
            return local_day
        case "week":
            return (local_day - _first_week(week_start)) // 7
        case "month":
            return (on.year - 1970) * 12 + on.month - 1
        case "quarter":
            return (on.year - 1970) * 4 + (on.month - 1) // 3
        case _:
            return on.year - 1970


def first_day_of(granularity: str, bucket: int, week_start: str) -> int:
    """The number of the first local day of a period."""
    match granularity:
        case "day":
            return bucket
        case "week":
            return bucket * 7 + _first_week(week_start)
        case "month":
            on = date(1970 + bucket // 12, bucket % 12 + 1, 1)
        case "quarter":
            on = date(1970 + bucket // 4, bucket % 4 * 3 + 1, 1)
        case _:
            on = date(1970 + bucket, 1, 1)
    return (on - EPOCH).days


def _first_week(week_start: str) -> int:
    """The first day on or after 1970-01-01, a Thursday, that is this weekday."""
    return (WEEKDAYS.index(week_start) - EPOCH.weekday()) % 7


GRANULARITIES = ("day", "week", "month", "quarter", "year")


def make_calendar(connection: duckdb.DuckDBPyConnection, zone: str, week_start: str) -> None:
    """Makes the table `calendar` for the moments of the table `touchpoint`."""
    found = connection.execute("SELECT min(event_time), max(event_time) FROM touchpoint").fetchone()
    first_ms, last_ms = found if found and found[0] is not None else (0, 0)
    days = list(days_of(zone, first_ms, last_ms))
    columns = {name: [bucket_of(name, day.number, week_start) for day in days] for name in GRANULARITIES}
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE calendar AS
        SELECT unnest(CAST($starts AS BIGINT[])) AS starts_ms, unnest(CAST($numbers AS BIGINT[])) AS local_day,
               {", ".join(f"unnest(CAST(${name} AS BIGINT[])) AS {name}" for name in GRANULARITIES)}
        """,
        {"starts": [day.starts_ms for day in days], "numbers": [day.number for day in days], **columns},
    )
