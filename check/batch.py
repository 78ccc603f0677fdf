"""The cells of analyses, computed in one go from the table `touchpoint`."""

from collections.abc import Mapping
from typing import assert_never

import duckdb

from check.calendar import make_calendar
from check.canvas import canvas_cells
from check.cells import CellsByPart
from check.cohort import cohort_cells
from check.flow import flow_cells
from check.segments import keep_filtered
from check.touchpoints import make_members
from state.definition_set import Definition
from state.definitions import Canvas, Cohort, Flow


def batch_cells(
    connection: duckdb.DuckDBPyConnection, definition: Definition, columns: Mapping[str, str]
) -> CellsByPart:
    """The cells of one definition per partition. `columns` names the attributes' columns (`attribute_columns`)."""
    make_calendar(connection, definition.zone, definition.week_start)
    make_members(connection, definition.analysis.container)
    if definition.analysis.filter is not None:
        keep_filtered(connection, definition.analysis.filter, definition.analysis.container, columns)
    match definition.analysis:
        case Canvas() as canvas:
            return canvas_cells(connection, canvas, columns)
        case Cohort() as cohort:
            return cohort_cells(connection, cohort, columns)
        case Flow() as flow:
            return flow_cells(connection, flow, columns)
        case _ as never:
            assert_never(never)
