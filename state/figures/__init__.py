"""The numbers that users see, by address, as sums over cells: what stands behind a number is what changes that sum.

An address is short text (`docs/formats.md`, Drill-down), or where names are ambiguous a JSON array.
"""

from typing import assert_never

from state.calendar import Calendar
from state.definition_set import Definition
from state.definitions import Canvas, Cohort, Flow
from state.figures.canvas import canvas_figure
from state.figures.cohort import cohort_figure
from state.figures.figure import ClockNeededError, Figure
from state.figures.flow import flow_figure
from state.render.days import Days, fold_of
from streams.errors import UsageError


def figure_of(definition: Definition, cell: str, range_days: Days | None, clock_ms: int | None = None) -> Figure:
    """The number of an analysis with this address, over the days (first and last, local day numbers), None for all.

    clock_ms: that of the snapshot that shows it; few numbers depend on it. Raises UsageError for an address that the
    analysis does not have, and for a range that it can not give, ClockNeededError where it takes a clock.
    """
    fold = fold_of(definition, range_days)
    match definition.analysis:
        case Canvas() as canvas:
            return canvas_figure(canvas, cell, fold, clock_ms)
        case Cohort() as cohort:
            return cohort_figure(cohort, Calendar(definition.zone, definition.week_start), cell, fold, clock_ms)
        case Flow() as flow:
            return flow_figure(flow, cell, fold)
        case _ as never:
            assert_never(never)


def needs_clock(definition: Definition, cell: str) -> bool:
    """Whether the number with this address depends on the clock."""
    try:
        figure_of(definition, cell, None)
    except ClockNeededError:
        return True
    except UsageError:
        return False
    return False
