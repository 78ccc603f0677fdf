"""Bodies of snapshots from batch cells, as `docs/formats.md` says them: plain JSON values, written without a look at
`state.render`. Shares are percent with two decimals, rounded half up, null where there is nothing to divide by.
"""

from typing import Any, assert_never

from check.canvas_render import canvas_body
from check.cells import Cells
from check.cohort_render import cohort_body
from check.flow_render import flow_body
from check.ranges import within_range
from state.definition_set import Definition
from state.definitions import Canvas, Cohort, Flow

Body = dict[str, Any]


def body_of(definition: Definition, cells: Cells, clock_ms: int) -> Body:
    """The body of a snapshot of these cells (summed over partitions) at this clock."""
    cells = within_range(definition, cells, clock_ms)
    match definition.analysis:
        case Canvas() as canvas:
            return canvas_body(canvas, cells, clock_ms)
        case Cohort() as cohort:
            return cohort_body(cohort, cells, clock_ms, definition.zone, definition.week_start)
        case Flow() as flow:
            return flow_body(flow, cells)
        case _ as never:
            assert_never(never)
