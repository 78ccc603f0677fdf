"""A canvas in the most naive way, straight from docs/semantics.md: every path of matching positions is tried."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from state.definitions import Canvas
from streams.touchpoint import Touchpoint
from tests.oracles.brute import Cells, LocalDay, Series, dimension_text, field_of, holds


def canvas_cells(analysis: Canvas, series_by_container: Series, local_day_of: LocalDay) -> Cells:
    """The canvas' cells over all containers; reach by trying every path of matching positions."""
    cells: Counter[tuple[Any, ...]] = Counter()
    for series in series_by_container.values():
        cells.update(_canvas_of_one(analysis, series, local_day_of))
    return {cell: count for cell, count in cells.items() if count != 0}


def reach_of(analysis: Canvas, series: Sequence[Touchpoint]) -> dict[str, int]:
    """Per reached node the least last position over all paths from a start node, one touchpoint after the other."""
    matching = {n.id: [p for p, each in enumerate(series) if holds(n.match, each)] for n in analysis.nodes}
    children = {n.id: [arrow.to for arrow in analysis.arrows if arrow.from_ == n.id] for n in analysis.nodes}
    ends: set[tuple[str, int]] = set()
    walking = [(n.id, p) for n in analysis.nodes if not analysis.parents(n.id) for p in matching[n.id]]
    while walking:
        node, position = walking.pop()
        if (node, position) in ends:
            continue
        ends.add((node, position))
        walking.extend((child, p) for child in children[node] for p in matching[child] if p > position)
    return {node: min(p for n, p in ends if n == node) for node in {n for n, _ in ends}}


def _canvas_of_one(analysis: Canvas, series: Sequence[Touchpoint], local_day_of: LocalDay) -> Counter[tuple[Any, ...]]:
    day = local_day_of(series[0].event_time)
    reach = reach_of(analysis, series)
    cells: Counter[tuple[Any, ...]] = Counter({("t", day): 1})
    followed = set()
    match_by_id = {node.id: node.match for node in analysis.nodes}
    for a, arrow in enumerate(analysis.arrows):
        behind = series[reach[arrow.from_] + 1 :] if arrow.from_ in reach else []
        along = [each for each in behind if holds(match_by_id[arrow.to], each)]
        if along:
            cells["a", a, day] = 1
            if analysis.trend:
                cells["ad", a, local_day_of(along[0].event_time), day] = 1
            followed.add(arrow.from_)
        if analysis.arrow_values:
            cells.update({(f"a{kind}", a, day): amount for kind, amount in _amounts(analysis, along).items()})
    for n, node in enumerate(analysis.nodes):
        parents = analysis.parents(node.id)
        if len(parents) >= 2 and any(parent in reach for parent in parents):
            cells["p", n, day] = 1
        if node.id not in reach:
            continue
        cells["n", n, day] = 1
        if analysis.trend:
            cells["nd", n, local_day_of(series[reach[node.id]].event_time), day] = 1
        if node.id in followed:
            cells["f", n, day] = 1
        counted = [each for each in series[reach[node.id] :] if holds(node.match, each)]
        cells.update({(kind, n, day): amount for kind, amount in _amounts(analysis, counted).items()})
        if node.breakdown is not None:
            cells.update(_broken_down(analysis, n, node.breakdown.dimension, series[reach[node.id]], counted, day))
    return cells


def _broken_down(
    analysis: Canvas, n: int, dimension: str, at: Touchpoint, counted: Sequence[Touchpoint], day: int
) -> Cells:
    cells = {}
    if "containers" in (analysis.metric, analysis.secondary):
        cells["b", n, item_of(at, dimension), day] = 1
    for item in {item_of(each, dimension) for each in counted}:
        inside = [each for each in counted if item_of(each, dimension) == item]
        cells.update({(f"b{kind}", n, item, day): amount for kind, amount in _amounts(analysis, inside).items()})
    return cells


def item_of(touchpoint: Touchpoint, dimension: str) -> str | None:
    """A dimension's item as it is shown."""
    return dimension_text(field_of(touchpoint, dimension))


def _amounts(analysis: Canvas, counted: Sequence[Touchpoint]) -> dict[str, int]:
    """The touchpoints in each metric that the canvas asks for, beside containers."""
    metrics = (analysis.metric, analysis.secondary)
    amounts = {}
    if "events" in metrics:
        amounts["e"] = len(counted)
    if "value" in metrics:
        amounts["v"] = sum(each.value or 0 for each in counted)
    return amounts
