"""The view of any snapshot."""

from typing import assert_never

from rich.console import RenderableType

from agents.terminal.canvas_view import CanvasView
from agents.terminal.cohort_view import CohortView
from agents.terminal.flow_view import FlowView
from streams.snapshot import CanvasSnapshot, CohortSnapshot, FlowSnapshot, Snapshot


def view_of(snapshot: Snapshot, rows_max: int | None = None) -> RenderableType:
    """What a terminal shows; `rows_max` bounds the rows of a table that would outgrow the screen."""
    match snapshot:
        case CanvasSnapshot():
            return CanvasView(snapshot)
        case CohortSnapshot():
            return CohortView(snapshot, rows_max)
        case FlowSnapshot():
            return FlowView(snapshot)
        case _ as never:
            assert_never(never)
