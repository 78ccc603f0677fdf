"""Two rows or items of a cohort side by side: how many returned, how soon, and how sure the difference is.

The law: both sides get the same time. Only inclusions whose periods 0..K are over count, and of their first returns
only those within 0..K, so neither a younger row nor one with more recent inclusions looks worse for it.
"""

from collections.abc import Callable, Mapping

import msgspec

from state.calendar import Calendar
from state.definition_set import Definition
from state.definitions import Cohort
from state.intervals import LEVEL, Interval, difference_interval, less_interval, less_share
from state.render.cohort import NO_VALUE, current_period, label_of, velocity_of
from state.render.shares import share_of
from streams.errors import UsageError
from streams.partials import Cell
from streams.snapshot import Share, VelocityFigures

DIFFERENCE_METHOD = "hybrid score interval, Newcombe 1998 (method 10)"
SOONER_METHOD = "Brunner and Munzel 2000"
MEANING = "how the rows correlate with returning; why they do is not in these numbers"
_LABELS_SAID = 20


class Side(msgspec.Struct, frozen=True):
    """One of the two: its included containers whose periods are over, those that returned in these, and how soon."""

    label: str
    included: int
    returned: int
    share: Share
    velocity: VelocityFigures


class Comparison(msgspec.Struct, frozen=True):
    """first and second: over the periods 0..`periods`. by: the dimension, or the granularity of the rows.

    difference: percentage points that the first side's share lies above the second's. sooner: percent of the pairs of a
    return of either side in which the first side's was the sooner one, ties halved; null where a side has none. Each
    has its interval at `level` (null: the method gives none), which takes inclusions as independent, and the method's
    name.
    """

    analysis: str
    by: str
    granularity: str
    periods: int
    first: Side
    second: Side
    level: float
    difference: float
    difference_interval: Interval
    difference_method: str
    sooner: Share
    sooner_interval: Interval | None
    sooner_method: str
    meaning: str = MEANING


def comparison_of(
    definition: Definition,
    totals: Mapping[Cell, int],
    clock_ms: int,
    labels: tuple[str, str],
    within: int | None = None,
) -> Comparison:
    """The rows that these labels name, compared over the periods 0..`within`, by default as many as both sides have.

    Raises UsageError for what can not be compared, or not yet.
    """
    cohort = definition.analysis
    if not isinstance(cohort, Cohort) or not cohort.velocity:
        raise UsageError(f"{cohort.name} can not be compared: that takes a cohort with `velocity: true`")
    if labels[0] == labels[1]:
        raise UsageError(f"--compare {labels[0]!r} with itself: name two rows")
    calendar = Calendar(definition.zone, definition.week_start)
    now = current_period(cohort, calendar, clock_ms)
    first, second = (_cells_of(cohort, calendar, totals, label) for label in labels)
    periods = _periods(cohort, now, (first, second), within)
    sides = [_side(label, cells, now, periods) for label, cells in zip(labels, (first, second), strict=True)]
    return _compared(cohort, periods, *sides)


Cells = list[tuple[Cell, int]]
_Counted = tuple[Side, dict[int, int]]


def _cells_of(cohort: Cohort, calendar: Calendar, totals: Mapping[Cell, int], label: str) -> Cells:
    """The cells of inclusions and first returns of one row."""
    label_by_cell = _labelling(cohort, calendar)
    cells = [(cell, n) for cell, n in totals.items() if cell[0] in ("i", "v") and n > 0]
    found = [(cell, n) for cell, n in cells if label_by_cell(cell) == label]
    if not found:
        known = sorted({label_by_cell(cell) for cell, _ in cells})
        said = ", ".join(known[:_LABELS_SAID]) + (
            f" and {len(known) - _LABELS_SAID} more" * (len(known) > _LABELS_SAID)
        )
        raise UsageError(f"{cohort.name} has no row {label!r}; there are {said or 'none yet'}")
    return found


def _labelling(cohort: Cohort, calendar: Calendar) -> Callable[[Cell], str]:
    """The function from a cell to the name of its row."""
    if cohort.dimension is None:
        return lambda cell: label_of(calendar, cohort.granularity, cell[1])
    return lambda cell: NO_VALUE if cell[-1] is None else str(cell[-1])


def _periods(cohort: Cohort, now: int, sides: tuple[Cells, Cells], within: int | None) -> int:
    """K: the periods 0..K that are over for somebody on either side."""
    oldest = max(min(cell[1] for cell, _ in cells) for cells in sides)
    most = min(cohort.period_count, now - oldest - 1)
    if most < 0:
        raise UsageError(f"{cohort.name}: the first {cohort.granularity} of one of the two is not over; compare later")
    if within is not None and not 0 <= within <= most:
        raise UsageError(f"--within {within}: both sides have inclusions with 0 to {most} periods behind them")
    return most if within is None else within


def _side(label: str, cells: Cells, now: int, periods: int) -> _Counted:
    included, took = 0, dict[int, int]()
    for cell, n in cells:
        if cell[1] + periods < now:
            if cell[0] == "i":
                included += n
            elif cell[2] <= periods:
                took[cell[3]] = took.get(cell[3], 0) + n
    returned = sum(took.values())
    return Side(label, included, returned, share_of(returned, included), velocity_of(took)), took


def _compared(cohort: Cohort, periods: int, first: _Counted, second: _Counted) -> Comparison:
    (a, a_took), (b, b_took) = first, second
    sooner = less_share(a_took, b_took) if a_took and b_took else None
    interval = less_interval(a_took, b_took) if a_took and b_took else None
    return Comparison(
        analysis=cohort.name,
        by=cohort.dimension or cohort.granularity,
        granularity=cohort.granularity,
        periods=periods,
        first=a,
        second=b,
        level=LEVEL,
        difference=_percent(a.returned / a.included - b.returned / b.included),
        difference_interval=_percents(difference_interval(a.returned, a.included, b.returned, b.included)),
        difference_method=DIFFERENCE_METHOD,
        sooner=None if sooner is None else _percent(sooner),
        sooner_interval=None if interval is None else _percents(interval),
        sooner_method=SOONER_METHOD,
    )


def _percent(share: float) -> float:
    return round(100 * share, 2)


def _percents(interval: Interval) -> Interval:
    return _percent(interval[0]), _percent(interval[1])
