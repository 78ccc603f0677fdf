"""A canvas in the most naive way, straight from docs/semantics.md: every path of matching positions is tried."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from state.definitions import Arrow, Canvas
from streams.touchpoint import Touchpoint
from tests.oracles.brute import Cells, LocalDay, Series, dimension_text, field_of, holds


def canvas_cells(analysis: Canvas, series_by_container: Series, local_day_of: LocalDay) -> Cells:
    """The canvas' cells over all containers; reach by trying every path of matching positions."""
    cells: Counter[tuple[Any, ...]] = Counter()
    for series in series_by_container.values():
        cells.update(_canvas_of_one(analysis, series, local_day_of))
    return {cell: count for cell, count in cells.items() if count != 0}


def arrivals_of(analysis: Canvas, series: Sequence[Touchpoint]) -> dict[str, list[int]]:
    """Per node the last positions of all paths from a start node, one touchpoint after the other within the limits of
    the arrows between them; none for a node that is not reached."""
    matching = {n.id: [p for p, each in enumerate(series) if holds(n.match, each)] for n in analysis.nodes}
    ends: set[tuple[str, int]] = set()
    walking = [(n.id, p) for n in analysis.nodes if not analysis.parents(n.id) for p in matching[n.id]]
    while walking:
        node, position = walking.pop()
        if (node, position) in ends:
            continue
        ends.add((node, position))
        for arrow in analysis.arrows:
            if arrow.from_ == node:
                walking.extend((arrow.to, p) for p in matching[arrow.to] if leads(arrow, series, position, p))
    return {node: sorted(p for n, p in ends if n == node) for node in matching}


def reach_of(analysis: Canvas, series: Sequence[Touchpoint]) -> dict[str, int]:
    """The first position of every node that is reached."""
    return {node: positions[0] for node, positions in arrivals_of(analysis, series).items() if positions}


SECONDS = {"s": 1, "m": 60, "h": 60 * 60, "d": 24 * 60 * 60, "w": 7 * 24 * 60 * 60}


def milliseconds(duration: str) -> int:
    """The length of a duration such as 30d."""
    return int(duration.rstrip("smhdw")) * SECONDS[duration[-1]] * 1000


def leads(arrow: Arrow, series: Sequence[Touchpoint], origin: int, target: int) -> bool:
    """Whether one position lies behind the other, within the limits of the arrow."""
    between = series[target].event_time - series[origin].event_time
    return (
        origin < target
        and (arrow.within is None or between <= milliseconds(arrow.within))
        and (arrow.after is None or between >= milliseconds(arrow.after))
    )


def _canvas_of_one(analysis: Canvas, series: Sequence[Touchpoint], local_day_of: LocalDay) -> Counter[tuple[Any, ...]]:
    day = local_day_of(series[0].event_time)
    arrivals = arrivals_of(analysis, series)
    reach = reach_of(analysis, series)
    cells: Counter[tuple[Any, ...]] = Counter({("t", day): 1})
    followed = set()
    match_by_id = {node.id: node.match for node in analysis.nodes}
    for a, arrow in enumerate(analysis.arrows):
        along = [
            each
            for p, each in enumerate(series)
            if holds(match_by_id[arrow.to], each) and any(leads(arrow, series, q, p) for q in arrivals[arrow.from_])
        ]
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
        else:
            limits = [arrow.within for arrow in analysis.arrows if arrow.from_ == node.id]
            if limits and None not in limits:
                over = series[arrivals[node.id][-1]].event_time + max(milliseconds(each or "") for each in limits)
                cells["x", n, over // 3_600_000 + 1, day] = 1
        counted = [each for each in series[reach[node.id] :] if holds(node.match, each)]
        cells.update({(kind, n, day): amount for kind, amount in _amounts(analysis, counted).items()})
        if node.breakdown is not None:
            cells.update(_broken_down(analysis, n, node.breakdown.dimension, series[reach[node.id]], counted, day))
    if analysis.steps is not None:
        items = [item_of(each, analysis.steps.dimension) for each in series]
        cells.update((*step, day) for step in _steps(analysis, series, items, arrivals))
    return cells


def _steps(
    analysis: Canvas, series: Sequence[Touchpoint], items: list[str | None], arrivals: dict[str, list[int]]
) -> Iterator[tuple[Any, ...]]:
    for n, node in enumerate(analysis.nodes):
        for at in arrivals[node.id][:1]:
            yield from (("sn", n, item) for item in items[at + 1 : at + 2])
            yield from (("sp", n, item) for item in (items[at - 1 : at] if at else []))
    for a, arrow in enumerate(analysis.arrows):
        origins = arrivals[arrow.from_]
        along = [p for p in arrivals[arrow.to] if any(leads(arrow, series, q, p) for q in origins)]
        if along:
            different = dict.fromkeys(items[origins[0] + 1 : along[0]])
            yield from (("sb", a, item) for item in list(different)[:50])


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
