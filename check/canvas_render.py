"""The body of a canvas from batch cells, as `docs/formats.md` says it: plain JSON values."""

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from fractions import Fraction
from typing import Any

from check.calendar import EPOCH
from check.cells import Cell
from check.shares import share
from state.definitions import Canvas
from streams.touchpoint import MILLIONTHS

Body = dict[str, Any]
Amounts = Mapping[str | None, int]


def canvas_body(canvas: Canvas, cells: Mapping[Cell, int], clock_ms: int) -> Body:
    """Counts, percentages and fallout of every node, and every arrow."""
    over_days: Counter[Cell] = Counter()
    for cell, count in cells.items():
        over_days[cell[:-1]] += count
    ids = [node.id for node in canvas.nodes]
    nodes = {node: _node(canvas, n, ids, over_days, clock_ms) for n, node in enumerate(ids)}
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
    if any(node.breakdown for node in canvas.nodes):
        body["breakdowns"] = {
            node.id: _broken_down(canvas, n, node.breakdown.top, over_days)
            for n, node in enumerate(canvas.nodes)
            if node.breakdown
        }
    if canvas.trend:
        arrows_by_name = {f"{arrow.from_}>{arrow.to}": a for a, arrow in enumerate(canvas.arrows)}
        body["trend"] = {
            "nodes": {node: _per_day(over_days, "nd", n) for n, node in enumerate(ids)},
            "arrows": {name: _per_day(over_days, "ad", a) for name, a in arrows_by_name.items()},
        }
    if canvas.steps is not None:
        kinds = {"next": "sn", "previous": "sp"}
        arrows_by_name = {f"{arrow.from_}>{arrow.to}": a for a, arrow in enumerate(canvas.arrows)}
        body["steps"] = {
            "nodes": {
                node: {way: _steps(canvas.steps.top, over_days, kind, n) for way, kind in kinds.items()}
                for n, node in enumerate(ids)
            },
            "arrows": {name: _steps(canvas.steps.top, over_days, "sb", a) for name, a in arrows_by_name.items()},
        }
    return body


def _steps(top: int, sums: Counter[Cell], kind: str, place: int) -> Body:
    found = {cell[2]: count for cell, count in sums.items() if cell[:2] == (kind, place)}
    return top_items(("containers", None), found, {}, top)


def _per_day(sums: Counter[Cell], kind: str, place: int) -> list[list[Any]]:
    """[day, containers] in order."""
    days = sorted((cell[2], count) for cell, count in sums.items() if cell[:2] == (kind, place) and count)
    return [[(EPOCH + timedelta(days=day)).isoformat(), count] for day, count in days]


def _broken_down(canvas: Canvas, n: int, top: int, sums: Counter[Cell]) -> Body:
    """A node's items: the greatest, and the rest as how many and how much."""
    kinds = {"containers": "b", "events": "be", "value": "bv", None: None}
    first, second = ({c[2]: x for c, x in sums.items() if c[:2] == (kinds[metric], n)} for metric in _metrics(canvas))
    return top_items(_metrics(canvas), first, second, top)


def _metrics(canvas: Canvas) -> tuple[str, str | None]:
    return canvas.metric, canvas.secondary


def top_items(metrics: tuple[str, str | None], first: Amounts, second: Amounts, top: int) -> Body:
    """The greatest items by the first metric (of equals by name, null last), and of the rest how many and how much."""
    items = [item for item in {*first, *second} if first.get(item) or second.get(item)]
    items.sort(key=lambda item: (item is None, item))
    items.sort(key=lambda item: first.get(item, 0), reverse=True)

    def shown(some: list[str | None]) -> list[Any]:
        return [
            None if metric is None else _in(metric, sum(amounts.get(item, 0) for item in some))
            for metric, amounts in zip(metrics, (first, second), strict=True)
        ]

    return {
        "items": [[item, *shown([item])] for item in items[:top]],
        "more": [len(items[top:]), *shown(items[top:])],
    }


def _in(metric: str, amount: int) -> int | str:
    return _amount(amount) if metric == "value" else amount


def _along(metric: str | None, a: int, sums: Counter[Cell]) -> Any:
    """The events along an arrow, or their value as text; null for containers, which stand elsewhere."""
    match metric:
        case "events":
            return sums["ae", a]
        case "value":
            return _amount(sums["av", a])
        case _:
            return None


def _node(canvas: Canvas, n: int, ids: list[str], sums: Counter[Cell], clock_ms: int) -> list[Any]:
    node, containers = ids[n], sums["n", n]
    fallout = containers - sums["f", n] if any(arrow.from_ == node for arrow in canvas.arrows) else None
    hour = clock_ms // 3_600_000
    overdue = sum(count for cell, count in sums.items() if cell[:2] == ("x", n) and cell[2] <= hour)
    final = None if canvas.falls_out_after_ms(node) is None else overdue
    by_metric = {"containers": containers, "events": sums["e", n], "value": _amount(sums["v", n]), None: None}
    second = by_metric[canvas.secondary]
    if canvas.metric == "value":
        return [by_metric["value"], second, None, None, None, fallout, final]
    count = sums["e", n] if canvas.metric == "events" else containers
    starts = _starts_of(canvas, node)
    total = sums[("t",)]
    of_start = share(count, sums["n", ids.index(starts.pop())] if len(starts) == 1 else total)
    parents = canvas.parents(node)
    of_previous = None
    if parents:
        of_previous = share(count, sums["n", ids.index(parents[0])] if len(parents) == 1 else sums["p", n])
    return [count, second, share(count, total), of_start, of_previous, fallout, final]


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
