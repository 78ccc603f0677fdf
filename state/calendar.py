"""Calendar periods of a time zone: which local day, week, month, quarter or year a moment lies in.

Days are numbered from 1970-01-01 and begin at the first instant of their date in the zone, whatever the clocks do at
midnight; the instants are computed once and found by bisection. Other periods follow from the day.
"""

from array import array
from bisect import bisect_right
from calendar import monthrange
from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from state.definitions import Granularity

DAY_MS = 86_400_000
_EPOCH = date(1970, 1, 1)
_FIRST_DAY = -1  # west of Greenwich the first moment of 1970 lies in 1969
_LAST_YEAR = 2200
_LAST_DAY = (date(_LAST_YEAR, 1, 2) - _EPOCH).days
_DAY, _NOTHING = timedelta(days=1), timedelta()
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Calendar:
    """The periods of one zone and first day of the week."""

    def __init__(self, zone: str, week_start: str) -> None:
        self._midnights = _midnights(zone)
        self._first_week_day = (_WEEKDAYS.index(week_start) - _EPOCH.weekday()) % 7
        self.day_of: Callable[[int], int] = _utc_day if zone == "UTC" else self._day_of

    def _day_of(self, ms: int) -> int:
        return bisect_right(self._midnights, ms) - 1 + _FIRST_DAY

    def day_start_ms(self, day: int) -> int:
        """The first instant of a local day, milliseconds UTC."""
        return self._midnights[day - _FIRST_DAY]

    def date_of_day(self, day: int) -> date:
        """The date of a local day."""
        return _EPOCH + timedelta(days=day)

    def bucket_of_day(self, granularity: Granularity) -> Callable[[int], int]:
        """The function from a local day to the number of its period."""
        match granularity:
            case "day":
                return _same_day
            case "week":
                first = self._first_week_day
                return lambda day: (day - first) // 7
            case _:
                buckets = _buckets_by_day(granularity)
                return lambda day: buckets[day - _FIRST_DAY]

    def bucket_start_day(self, granularity: Granularity, bucket: int) -> int:
        """The first local day of a period."""
        match granularity:
            case "day":
                return bucket
            case "week":
                return bucket * 7 + self._first_week_day
            case "month":
                return (date(1970 + bucket // 12, bucket % 12 + 1, 1) - _EPOCH).days
            case "quarter":
                return (date(1970 + bucket // 4, bucket % 4 * 3 + 1, 1) - _EPOCH).days
            case _:
                return (date(1970 + bucket, 1, 1) - _EPOCH).days


def _utc_day(ms: int) -> int:
    return ms // DAY_MS


def _same_day(day: int) -> int:
    return day


@cache
def _midnights(zone_name: str) -> "array[int]":
    """The first instant of every local day from 1969-12-31 to 2200-01-02.

    fold=0 gives the earlier of two midnights, and the instant of the change where there is none.
    """
    local = datetime(1969, 12, 31, tzinfo=ZoneInfo(zone_name))
    starts = array("q")
    for day in range(_FIRST_DAY, _LAST_DAY + 1):
        offset = local.utcoffset() or _NOTHING
        starts.append(day * DAY_MS - (offset.days * 86_400 + offset.seconds) * 1000)
        local += _DAY  # by the clock on the wall
    return starts


@cache
def _buckets_by_day(granularity: str) -> "array[int]":
    """The number of the period of every local day; runs on to the end of the last month."""
    buckets = array("q", [_bucket_of(granularity, -1, 12)])
    for years in range(_LAST_YEAR - 1970 + 1):
        for month in range(1, 13):
            _, day_count = monthrange(1970 + years, month)
            buckets.extend([_bucket_of(granularity, years, month)] * day_count)
    return buckets


def _bucket_of(granularity: str, years: int, month: int) -> int:
    """years: since 1970."""
    match granularity:
        case "month":
            return years * 12 + month - 1
        case "quarter":
            return years * 4 + (month - 1) // 3
        case _:
            return years
