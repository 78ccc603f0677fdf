"""The numbers of a canvas: `*` containers in all, `NODE`, `NODE/fallout`, and `NODE>NODE` for an arrow."""

from typing import Any

from state.definitions import Canvas
from state.figures.figure import Figure, unknown_cell, weigher
from state.render.canvas import CELL_BY_METRIC
from state.render.days import Fold

_FALLOUT = "/fallout"


def canvas_figure(canvas: Canvas, cell: str, fold: Fold) -> Figure:
    """The number of a canvas with this address. Raises UsageError where there is none."""
    number = {node.id: index for index, node in enumerate(canvas.nodes)}
    arrows = {f"{arrow.from_}>{arrow.to}": index for index, arrow in enumerate(canvas.arrows)}
    origin = cell.removesuffix(_FALLOUT)
    if cell == "*":
        return Figure(cell, weigher(fold, {("t",): 1}))
    if cell in number:
        weights = {(CELL_BY_METRIC[canvas.metric], number[cell]): 1}
        return Figure(cell, weigher(fold, weights), _stands_at(cell), is_value=canvas.metric == "value")
    if cell in arrows:
        return Figure(cell, weigher(fold, {("a", arrows[cell]): 1}), _stands_at(canvas.arrows[arrows[cell]].to))
    if origin != cell and any(arrow.from_ == origin for arrow in canvas.arrows):
        weights = {("n", number[origin]): 1, ("f", number[origin]): -1}
        return Figure(cell, weigher(fold, weights), _stands_at(origin))
    nodes = ", ".join(number)
    raise unknown_cell(
        canvas.name, cell, f"a canvas has * for all, NODE, NODE>NODE and NODE/fallout, of the nodes {nodes}"
    )


def _stands_at(node: str) -> Any:
    return lambda position: position is not None and node in position
