"""The numbers of a cohort table: `PERIOD` for those included in it, `PERIOD+K` for its cell K periods later, and
`PERIOD+-K` before. With a dimension `ITEM` for those included with it; the other cells of such a row pool periods as
far as these are over, which a container alone does not tell.
"""

import re
from datetime import date
from typing import Any, assert_never

from state.calendar import Calendar
from state.definitions import Cohort, Granularity
from state.figures.figure import Figure, unknown_cell, weigher
from state.render.cohort import NO_VALUE, label_of
from state.render.days import Fold
from streams.partials import Cell

_CELL = re.compile(r"(?P<label>.+?)(?:\+(?P<k>-?\d{1,3}))?", re.ASCII)
_NUMBERS = re.compile(r"\d{1,9}", re.ASCII)
_EPOCH = date(1970, 1, 1)
_EXAMPLE_DAY = 20_454  # 2026-01-01


def cohort_figure(cohort: Cohort, calendar: Calendar, cell: str, fold: Fold) -> Figure:
    """The number of a cohort table with this address. Raises UsageError where there is none."""
    if cohort.dimension is not None:
        item = None if cell == NO_VALUE else cell
        return Figure(cell, lambda one: int((place := fold(one)) is not None and place[0] == "i" and place[2] == item))
    found = _CELL.fullmatch(cell)
    bucket = None if found is None else _bucket_of(calendar, cohort.granularity, found["label"])
    if found is None or bucket is None or not cohort.first_period <= int(found["k"] or 0) <= cohort.period_count:
        example = label_of(calendar, cohort.granularity, calendar.bucket_of_day(cohort.granularity)(_EXAMPLE_DAY))
        right = (
            f"its rows are periods such as {example}, its cells {example}+K with K from {cohort.first_period} to"
            f" {cohort.period_count}"
        )
        raise unknown_cell(cohort.name, cell, right)
    may_stand = _included_in(calendar, cohort.granularity, bucket) if cohort.include == "first" else None
    return Figure(cell, weigher(fold, _weights(cohort, bucket, found["k"])), may_stand)


def _weights(cohort: Cohort, bucket: int, text: str | None) -> dict[Cell, int]:
    included: Cell = ("i", bucket)
    if text is None:
        return {included: 1}
    k = int(text)
    match cohort.mode:
        case "retention":
            return {("r", bucket, k): 1}
        case "churn":
            return {included: 1, ("r", bucket, k): -1}
        case "rolling":
            return {("s", bucket, k): 1} if k > 0 else {included: 1}
        case "cumulative":
            return {("f", bucket, each): 1 for each in (range(k + 1) if k >= 0 else range(k, 0))}
        case _ as never:
            assert_never(never)


def _included_in(calendar: Calendar, granularity: Granularity, bucket: int) -> Any:
    first_day = calendar.date_of_day(calendar.bucket_start_day(granularity, bucket)).isoformat()
    return lambda position: position is not None and first_day in position


def _bucket_of(calendar: Calendar, granularity: Granularity, label: str) -> int | None:
    """The period that readers see under this label; None for any other text."""
    year, *rest = [int(digits) for digits in _NUMBERS.findall(label)] or [0]
    month_and_day = [3 * rest[0] - 2] if granularity == "quarter" and rest else rest
    try:
        day = (date(year, *[*month_and_day, 1, 1][:2]) - _EPOCH).days
        bucket = calendar.bucket_of_day(granularity)(day)
        return bucket if label_of(calendar, granularity, bucket) == label else None
    except (ValueError, IndexError, OverflowError):
        return None
