"""What a canvas counts by the items of a dimension."""

from collections.abc import Mapping
from typing import Any

from state.definitions import Canvas, Metric
from state.render.items import Amounts, top_items
from streams.partials import Cell
from streams.snapshot import CanvasSteps, NodeSteps, TopItems

BREAKDOWN_CELL: dict[Metric, str] = {"containers": "b", "events": "be", "value": "bv"}


def breakdowns_of(canvas: Canvas, totals: Mapping[Cell, int]) -> dict[str, TopItems] | None:
    """The items of each node that asks for them; None where none does."""
    asked = [(place, node.id, node.breakdown) for place, node in enumerate(canvas.nodes) if node.breakdown]
    if not asked:
        return None
    amounts = _by_place(totals, set(BREAKDOWN_CELL.values()))
    secondary = canvas.secondary

    def of(metric: Metric, place: int) -> Amounts:
        return amounts.get((BREAKDOWN_CELL[metric], place), {})

    return {
        node: top_items(
            breakdown.top, canvas.metric, of(canvas.metric, place), secondary, of(secondary, place) if secondary else {}
        )
        for place, node, breakdown in asked
    }


def steps_of(canvas: Canvas, totals: Mapping[Cell, int]) -> CanvasSteps | None:
    """What containers do around every node and arrow; None where the canvas does not ask for it."""
    if canvas.steps is None:
        return None
    top = canvas.steps.top
    amounts = _by_place(totals, {"sn", "sp", "sb"})

    def items(kind: str, place: int) -> TopItems:
        return top_items(top, "containers", amounts.get((kind, place), {}))

    return CanvasSteps(
        {node.id: NodeSteps(items("sn", place), items("sp", place)) for place, node in enumerate(canvas.nodes)},
        {f"{arrow.from_}>{arrow.to}": items("sb", place) for place, arrow in enumerate(canvas.arrows)},
    )


def _by_place(totals: Mapping[Cell, int], kinds: set[str]) -> dict[tuple[str, int], dict[str | None, int]]:
    """The amounts by item of cells (kind, place, item), by kind and place."""
    amounts: dict[tuple[str, int], dict[Any, int]] = {}
    for cell, amount in totals.items():
        if cell[0] in kinds:
            amounts.setdefault((cell[0], cell[1]), {})[cell[2]] = amount
    return amounts
