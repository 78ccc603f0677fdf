"""Bodies of snapshots from batch cells, as `docs/formats.md` says them: plain JSON values, written without a look at
`state.render`. Shares are percent with two decimals, rounded half up, null where there is nothing to divide by.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, assert_never

from check.cells import Cell, Cells
from check.cohort_render import cohort_body
from check.flow_render import flow_body
from check.shares import share
from state.definition_set import Definition
from state.definitions import Canvas, Cohort, Flow
from streams.touchpoint import MILLIONTHS

Body = dict[str, Any]


def body_of(definition: Definition, cells: Cells, clock_ms: int) -> Body:
    """The body of a snapshot of these cells (summed over partitions) at this clock."""
    match definition.analysis:
        case Canvas() as canvas:
            return canvas_body(canvas, cells)
        case Cohort() as cohort:
            return cohort_body(cohort, cells, clock_ms, definition.zone, definition.week_start)
        case Flow() as flow:
            return flow_body(flow, cells)
        case _ as never:
            assert_never(never)


def canvas_body(canvas: Canvas, cells: Mapping[Cell, int]) -> Body:
    """Counts, percentages and fallout of every node, and every arrow."""
    over_days: Counter[Cell] = Counter()
    for cell, count in cells.items():
        over_days[cell[:-1]] += count
    ids = [node.id for node in canvas.nodes]
    nodes = {node: _node(canvas, n, ids, over_days) for n, node in enumerate(ids)}
    arrows = {
        f"{arrow.from_}>{arrow.to}": [
            over_days["a", a],
            share(over_days["a", a], over_days["n", ids.index(arrow.from_)]),
        ]
        for a, arrow in enumerate(canvas.arrows)
    }
    return {"total": over_days[("t",)], "nodes": nodes, "arrows": arrows}


def _node(canvas: Canvas, n: int, ids: list[str], sums: Counter[Cell]) -> list[Any]:
    node, containers = ids[n], sums["n", n]
    fallout = containers - sums["f", n] if any(arrow.from_ == node for arrow in canvas.arrows) else None
    if canvas.metric == "value":
        return [_amount(sums["v", n]), None, None, None, None, fallout, None]
    count = sums["e", n] if canvas.metric == "events" else containers
    starts = _starts_of(canvas, node)
    total = sums[("t",)]
    of_start = share(count, sums["n", ids.index(starts.pop())] if len(starts) == 1 else total)
    parents = canvas.parents(node)
    of_previous = None
    if parents:
        of_previous = share(count, sums["n", ids.index(parents[0])] if len(parents) == 1 else sums["p", n])
    return [count, None, share(count, total), of_start, of_previous, fallout, None]


def _starts_of(canvas: Canvas, node: str) -> set[str]:
    """The start nodes from which a node can be reached; a start node's own is itself."""
    before, seen = [node], {node}
    while before:
        parents = [parent for parent in canvas.parents(before.pop()) if parent not in seen]
        before += parents
        seen.update(parents)
    return {each for each in seen if not canvas.parents(each)}


def _amount(millionths: int) -> str:
    """The amount as decimal text without trailing zeros."""
    whole, rest = divmod(abs(millionths), MILLIONTHS)
    digits = f"{rest:06}".rstrip("0")
    return ("-" if millionths < 0 else "") + str(whole) + (f".{digits}" if digits else "")
