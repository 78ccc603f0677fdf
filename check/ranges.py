"""The range that a definition asks for, and the batch cells in it: `last: 30 days` up to the local day of the clock."""

from datetime import timedelta

from check.calendar import DAY_MS, EPOCH, bucket_of, days_of, first_day_of
from check.cells import Cells
from state.definition_set import Definition
from state.definitions import Canvas, Cohort


def range_of(definition: Definition, clock_ms: int) -> list[str] | None:
    """The first and the last date at a clock, None for all."""
    days = _days(definition, clock_ms)
    return None if days is None else [(EPOCH + timedelta(days=day)).isoformat() for day in days]


def within_range(definition: Definition, cells: Cells, clock_ms: int) -> Cells:
    """The cells that count at a clock: by a canvas' last number, else by the first, which is a cohort's period."""
    days = _days(definition, clock_ms)
    if days is None:
        return cells
    first, last = days
    if isinstance(cohort := definition.analysis, Cohort):
        first, last = (bucket_of(cohort.granularity, day, definition.week_start) for day in days)
    place = -1 if isinstance(definition.analysis, Canvas) else 1
    return {cell: n for cell, n in cells.items() if first <= cell[place] <= last}


def _days(definition: Definition, clock_ms: int) -> tuple[int, int] | None:
    if definition.analysis.last is None:
        return None
    words, week_start = definition.analysis.last.split(), definition.week_start
    count, period = int(words[0]), words[1].rstrip("s")
    around = days_of(definition.zone, clock_ms - DAY_MS, clock_ms)
    today = max(day.number for day in around if day.starts_ms <= clock_ms)
    now = bucket_of(period, today, week_start)
    first = first_day_of(period, max(bucket_of(period, 0, week_start), now - count + 1), week_start)
    ends_with_period = isinstance(definition.analysis, Cohort)
    return first, first_day_of(period, now + 1, week_start) - 1 if ends_with_period else today
