"""What readers see of an analysis, from its cells' sums: pure, the same for live snapshots and for a date range."""

from collections.abc import Mapping, Sequence
from typing import assert_never

from state.calendar import Calendar
from state.definition_set import Definition
from state.definitions import Canvas, Cohort, Flow
from state.render.canvas import canvas_body
from state.render.cohort import cohort_body
from state.render.days import Days, totals_of
from state.render.flow import Place, flow_body
from state.render.ranges import days_at, own_range
from streams.partials import Cell
from streams.snapshot import Body


def render(definition: Definition, sums: Mapping[Cell, int], range_days: Days | None, clock_ms: int) -> Body:
    """The body of a snapshot over the days `range_days` (first and last, local day numbers), None for those that the
    definition asks for.

    Raises UsageError for a range that the analysis can not give.
    """
    days = days_at(definition, range_days or own_range(definition), clock_ms)
    return body_of(definition, totals_of(definition, sums, days), clock_ms)


def body_of(definition: Definition, totals: Mapping[Cell, int], clock_ms: int, through: Sequence[Place] = ()) -> Body:
    """The body from sums that `state.render.days` has taken over the days already.

    through: of a flow only the paths that have these items (`state.render.through`).
    """
    match definition.analysis:
        case Canvas() as canvas:
            return canvas_body(canvas, totals, clock_ms)
        case Cohort() as cohort:
            return cohort_body(cohort, Calendar(definition.zone, definition.week_start), totals, clock_ms)
        case Flow() as flow:
            return flow_body(flow, totals, through)
        case _ as never:
            assert_never(never)
