"""When things happen: office hours, working weeks and a company that grows.

The window is cut into slices, each a day or an equal share of a day's activity, of about SLICE_EVENTS events; what is
in memory is one slice, however many events there are. Times are milliseconds UTC.
"""

from bisect import bisect
from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
SLICE_EVENTS = 8_000

# Activity by hour of the day, UTC: Europe's morning and afternoon, then America's on top, and little at night.
_HOURS = (2, 2, 2, 2, 3, 5, 12, 34, 62, 74, 72, 58, 60, 82, 96, 94, 84, 66, 48, 40, 32, 20, 10, 5)
# Monday to Sunday, and what a year adds from its first to its last day.
_WEEKDAYS = (1.0, 1.08, 1.1, 1.04, 0.84, 0.14, 0.12)
_GROWTH_PER_YEAR = 0.4
_THURSDAY = 3  # 1970-01-01
_QUANTILES = 1_024


def weekday_of(day: int) -> int:
    """0 for Monday to 6 for Sunday; `day` counts from 1970-01-01."""
    return (day + _THURSDAY) % 7


def _quantile_table() -> tuple[int, ...]:
    """The time of day (ms) before which each 1,024th of a day's activity lies."""
    sums = [0, *accumulate(_HOURS)]
    table = []
    for step in range(_QUANTILES):
        wanted = sums[-1] * step / _QUANTILES
        hour = bisect(sums, wanted) - 1
        table.append(int((hour + (wanted - sums[hour]) / _HOURS[hour]) * HOUR_MS))
    return (*table, DAY_MS)


_TABLE = _quantile_table()


def time_of_day(share: float) -> int:
    """The milliseconds since midnight before which `share` (0 to 1) of a day's activity lies."""
    if share >= 1:
        return DAY_MS
    place = share * _QUANTILES
    step = int(place)
    return _TABLE[step] + int((_TABLE[step + 1] - _TABLE[step]) * (place - step))


def office_time(earliest_ms: int, share: float) -> int:
    """A working time at or after `earliest_ms`: that day, or the Monday behind a weekend, at the time of `share`."""
    day = earliest_ms // DAY_MS
    day += max(0, 7 - weekday_of(day)) if weekday_of(day) >= 5 else 0
    # Behind closing time nobody waits for the next day; the one who works late does it at once.
    return max(earliest_ms, day * DAY_MS + time_of_day(share))


class Slice(NamedTuple):
    """A piece of the window: between two shares of a day's activity; `events_until` counts from the window's start."""

    day_ms: int
    low: float
    high: float
    events_until: int

    @property
    def end_ms(self) -> int:
        """The first millisecond behind the slice."""
        return self.day_ms + time_of_day(self.high)


def slices(events: int, start_ms: int, end_ms: int) -> Iterator[Slice]:
    """The window's slices in order of time; the last one's `events_until` is `events`."""
    days = range(start_ms // DAY_MS, end_ms // DAY_MS)
    weight = [_WEEKDAYS[weekday_of(day)] * (1 + _GROWTH_PER_YEAR * place / 365) for place, day in enumerate(days)]
    total, before = sum(weight), 0.0
    for day, own in zip(days, weight, strict=True):
        parts = max(1, round(events * own / total / SLICE_EVENTS))
        for part in range(parts):
            last = day == days[-1] and part == parts - 1
            until = events if last else round(events * (before + own * (part + 1) / parts) / total)
            yield Slice(day * DAY_MS, part / parts, (part + 1) / parts, until)
        before += own
