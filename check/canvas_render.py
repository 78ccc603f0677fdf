"""The body of a canvas from batch cells, as `docs/formats.md` says it: plain JSON values."""

from collections import Counter
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from check.cells import Cell
from check.shares import share
from state.definitions import Canvas
from streams.touchpoint import MILLIONTHS

Body = dict[str, Any]


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
    body = {
        "total": over_days[("t",)], "nodes": nodes, "arrows": arrows, "caption": canvas_caption(canvas, over_days),
    }  # fmt: skip
    if canvas.arrow_values:
        body["arrow_values"] = {
            f"{arrow.from_}>{arrow.to}": [_along(each, a, over_days) for each in (canvas.metric, canvas.secondary)]
            for a, arrow in enumerate(canvas.arrows)
        }
    return body


def _along(metric: str | None, a: int, sums: Counter[Cell]) -> Any:
    """The events along an arrow, or their value as text; null for containers, which stand elsewhere."""
    match metric:
        case "events":
            return sums["ae", a]
        case "value":
            return _amount(sums["av", a])
        case _:
            return None


def _node(canvas: Canvas, n: int, ids: list[str], sums: Counter[Cell]) -> list[Any]:
    node, containers = ids[n], sums["n", n]
    fallout = containers - sums["f", n] if any(arrow.from_ == node for arrow in canvas.arrows) else None
    by_metric = {"containers": containers, "events": sums["e", n], "value": _amount(sums["v", n]), None: None}
    second = by_metric[canvas.secondary]
    if canvas.metric == "value":
        return [by_metric["value"], second, None, None, None, fallout, None]
    count = sums["e", n] if canvas.metric == "events" else containers
    starts = _starts_of(canvas, node)
    total = sums[("t",)]
    of_start = share(count, sums["n", ids.index(starts.pop())] if len(starts) == 1 else total)
    parents = canvas.parents(node)
    of_previous = None
    if parents:
        of_previous = share(count, sums["n", ids.index(parents[0])] if len(parents) == 1 else sums["p", n])
    return [count, second, share(count, total), of_start, of_previous, fallout, None]


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


def canvas_caption(canvas: Canvas, sums: Counter[Cell]) -> list[Any] | None:
    """[start, end, containers, percent] of the end that the greatest part of its start's containers reach; null when
    none is reached. The start is null, and the part one of all containers, where several starts lead to the end."""
    found = []
    for n, node in enumerate(canvas.nodes):
        if canvas.parents(node.id) and not any(arrow.from_ == node.id for arrow in canvas.arrows) and sums["n", n]:
            starts = _starts_of(canvas, node.id)
            start = starts.pop() if len(starts) == 1 else None
            base = sums[("t",)] if start is None else sums["n", [each.id for each in canvas.nodes].index(start)]
            found.append((Fraction(-sums["n", n], base), n, [start, node.id, sums["n", n], share(sums["n", n], base)]))
    return min(found)[-1] if found else None
