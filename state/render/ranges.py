"""Date ranges as readers ask for them: between two days, or moving with the clock.

The clock is that of the input which the numbers contain (the newest of the partitions', a broker's append time), so a
moving range is a function of the input, like everything else, and a reader's own computer has no say in it. Its last
day is the clock's local day in the definition's zone, included. A cohort takes whole periods: the last is that of this
day.
"""

import re
from datetime import date, timedelta
from typing import cast

import msgspec

from state.calendar import Calendar
from state.definition_set import Definition
from state.definitions import LAST_PATTERN, Cohort, Granularity
from state.render.days import Days, fold_of
from streams.errors import UsageError

EPOCH = date(1970, 1, 1)
DATE_MAX = date(2199, 12, 31)
_LAST = re.compile(f"last {LAST_PATTERN}")
_FIXED = "2026-01-01..2026-03-31"
_MOVING_TOO = f"{_FIXED}, 2026-01-01.. or 'last 30 days'"


class LastPeriods(msgspec.Struct, frozen=True):
    """The last `count` calendar periods; the one that the clock is in is the last of them."""

    count: int
    granularity: Granularity


class Since(msgspec.Struct, frozen=True):
    """From the day of this number on, to the clock."""

    first_day: int


Range = Days | LastPeriods | Since


def range_of(text: str) -> Range:
    """The range that `FROM..TO`, `FROM..` or `last N days` (weeks, months ...) says. Raises UsageError."""
    words = text.split()
    if _LAST.fullmatch(" ".join(words)):
        return LastPeriods(int(words[1]), cast(Granularity, words[2].removesuffix("s")))
    if text.endswith(".."):
        return Since(days_of(_dates(text, f"{text}{DATE_MAX}", _MOVING_TOO))[0])
    return days_of(_dates(text, text, _MOVING_TOO))


def dates_of(text: str) -> tuple[date, date]:
    """The first and the last day of `FROM..TO`. Raises UsageError for anything else."""
    return _dates(text, text, _FIXED)


def _dates(said: str, text: str, forms: str) -> tuple[date, date]:
    """The same, of what was written as `said`; `forms` are those that would be right."""
    first, dots, last = text.partition("..")
    try:
        if not dots:
            raise ValueError("there is no '..'")
        dates = date.fromisoformat(first), date.fromisoformat(last)
    except ValueError as error:
        raise UsageError(f"--range {said!r}: {error}; write it as {forms}") from error
    if not EPOCH <= dates[0] <= dates[1] <= DATE_MAX:
        raise UsageError(
            f"--range {said!r}: the first day must not be after the last, and both lie from {EPOCH} to {DATE_MAX}"
        )
    return dates


def days_of(dates: tuple[date, date]) -> Days:
    """The numbers of the first and the last day."""
    return (dates[0] - EPOCH).days, (dates[1] - EPOCH).days


def own_range(definition: Definition) -> LastPeriods | None:
    """The range that the definition itself asks for."""
    last = definition.analysis.last_periods
    return None if last is None else LastPeriods(*last)


def require_range(definition: Definition, wanted: Range | None) -> None:
    """Raises UsageError for a range that the analysis can not give, whatever the clock."""
    cohort = definition.analysis if isinstance(definition.analysis, Cohort) else None
    if wanted is None or isinstance(wanted, tuple):
        fold_of(definition, wanted)
    elif cohort is None:
        fold_of(definition, (0, 0))
    elif isinstance(wanted, LastPeriods) and wanted.granularity != cohort.granularity:
        raise UsageError(
            f"{cohort.name} is a cohort by {cohort.granularity}, and a range takes whole periods: not the last"
            f" {wanted.count} {wanted.granularity}s; write it as 'last 6 {cohort.granularity}s'"
        )


def days_at(definition: Definition, wanted: Range | None, clock_ms: int) -> Days | None:
    """The days of the range when the clock stands there; None for all.

    Raises UsageError for a range that has not begun then, or that cuts a cohort's period.
    """
    if wanted is None or isinstance(wanted, tuple):
        return wanted
    calendar = Calendar(definition.zone, definition.week_start)
    today = calendar.day_of(clock_ms)
    last = _last_day(definition, calendar, today)
    if isinstance(wanted, LastPeriods):
        bucket_of = calendar.bucket_of_day(wanted.granularity)
        # No range begins before 1970, nor does any event.
        bucket = max(bucket_of(today) - wanted.count + 1, bucket_of(0))
        return calendar.bucket_start_day(wanted.granularity, bucket), last
    if wanted.first_day > today:
        raise UsageError(
            f"{definition.analysis.name}: the clock of Kafka's records stands at {calendar.date_of_day(today)}, before"
            f" {calendar.date_of_day(wanted.first_day)}; the range has not begun"
        )
    return wanted.first_day, last


def _last_day(definition: Definition, calendar: Calendar, today: int) -> int:
    """The clock's day, for a cohort the last day of its period."""
    if not isinstance(cohort := definition.analysis, Cohort):
        return today
    bucket = calendar.bucket_of_day(cohort.granularity)(today)
    return calendar.bucket_start_day(cohort.granularity, bucket + 1) - 1


def dates_text(days: Days) -> tuple[str, str]:
    """The first and the last day as a snapshot has them."""
    first, last = (EPOCH + timedelta(days=day) for day in days)
    return first.isoformat(), last.isoformat()
