"""Which cells a date range selects, and their sums over days: what a body is made from.

A canvas cell lies on the day of its container's start, a flow cell on that of its anchor, a cohort cell in the period
of its inclusion. Without its day a cell is a total, so a reader that never asks for a range need not keep the days.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import assert_never

from state.calendar import Calendar
from state.definition_set import Definition
from state.definitions import Canvas, Cohort, Flow
from streams.errors import UsageError
from streams.partials import Cell

Days = tuple[int, int]
Fold = Callable[[Cell], Cell | None]


def totals_of(definition: Definition, sums: Mapping[Cell, int], range_days: Days | None) -> dict[Cell, int]:
    """The sums over the selected days, by cell without its day; cells of no day stay as they are.

    Raises UsageError for a range that the analysis can not give.
    """
    return total(fold_of(definition, range_days), sums.items())


def total(fold: Fold, sums: Iterable[tuple[Cell, int]]) -> dict[Cell, int]:
    """The sums by what `fold` makes of their cells; what it makes None is left out."""
    totals: dict[Cell, int] = {}
    for cell, amount in sums:
        place = fold(cell)
        if place is not None:
            totals[place] = totals.get(place, 0) + amount
    return totals


def fold_of(definition: Definition, range_days: Days | None) -> Fold:
    """The function from a cell to what it adds to, None when it lies outside the days (both included).

    Raises UsageError for a range that the analysis can not give.
    """
    first, last = range_days or (None, None)
    match definition.analysis:
        case Canvas():
            return _canvas_cell if first is None or last is None else _within(_canvas_cell, -1, first, last)
        case Flow(count="occurrences"):
            return _path if first is None or last is None else _within(_path, 1, first, last)
        case Flow():
            if range_days is not None:
                raise UsageError(
                    f"{definition.analysis.name} counts distinct containers, and those of several days do not add up:"
                    " it has no date ranges. Leave the range out, or define a flow with count: occurrences"
                )
            return tuple
        case Cohort() as cohort:
            if range_days is None:
                return tuple
            first, last = _buckets(definition, cohort, range_days)
            return _within(tuple, 1, first, last)
        case _ as never:
            assert_never(never)


def _canvas_cell(cell: Cell) -> Cell:
    return tuple(cell[:-1])


def _path(cell: Cell) -> Cell:
    return (tuple(cell[2]), tuple(cell[3]))


def _within(fold: Fold, place: int, first: int, last: int) -> Fold:
    """`fold` for the cells whose number at `place` lies from `first` to `last`."""
    return lambda cell: fold(cell) if first <= cell[place] <= last else None


def _buckets(definition: Definition, cohort: Cohort, range_days: Days) -> Days:
    """The first and the last period of a range. Raises UsageError when it cuts one."""
    calendar = Calendar(definition.zone, definition.week_start)
    bucket_of = calendar.bucket_of_day(cohort.granularity)
    first, last = (bucket_of(day) for day in range_days)

    def edge(bucket: int) -> int:
        return calendar.bucket_start_day(cohort.granularity, bucket)

    if (edge(first), edge(last + 1) - 1) != range_days:
        day = calendar.date_of_day
        raise UsageError(
            f"{cohort.name} is a cohort by {cohort.granularity}, and a range takes whole periods: not"
            f" {day(range_days[0])}..{day(range_days[1])} but {day(edge(first))}..{day(edge(last + 1) - 1)}"
        )
    return first, last
