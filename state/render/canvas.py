"""The body of a canvas: counts, percentages and fallout per node, containers per arrow."""

from collections.abc import Mapping
from graphlib import TopologicalSorter

from state.definitions import Canvas, Metric
from state.render.amounts import shown_amount
from state.render.canvas_caption import caption_of
from state.render.canvas_items import breakdowns_of, steps_of
from state.render.canvas_trend import trend_of
from state.render.shares import share_of
from streams.partials import Cell
from streams.snapshot import ArrowAmounts, ArrowFigures, CanvasBody, NodeFigures

HOUR_MS = 3_600_000
CELL_BY_METRIC: dict[Metric, str] = {"containers": "n", "events": "e", "value": "v"}


def canvas_body(canvas: Canvas, totals: Mapping[Cell, int], clock_ms: int) -> CanvasBody:
    """The canvas at a clock from its totals, the cells of `docs/formats.md` without the day of the start."""
    number = {node.id: index for index, node in enumerate(canvas.nodes)}
    whole = totals.get(("t",), 0)
    reached = [totals.get(("n", node), 0) for node in number.values()]
    starts = _starts(canvas)
    origins = {arrow.from_ for arrow in canvas.arrows}
    overdue = _overdue(totals, clock_ms)

    def before(node: str) -> int:
        """Containers that reach a parent."""
        parents = canvas.parents(node)
        return reached[number[parents[0]]] if len(parents) == 1 else totals.get(("p", number[node]), 0)

    def figures(node: str) -> NodeFigures:
        place = number[node]
        count = totals.get((CELL_BY_METRIC[canvas.metric], place), 0)
        of = _no_share if canvas.metric == "value" else share_of
        start = reached[number[next(iter(starts[node]))]] if len(starts[node]) == 1 else whole
        return NodeFigures(
            count=shown_amount(canvas.metric, count),
            second=shown_amount(canvas.secondary, totals.get((CELL_BY_METRIC[canvas.secondary], place), 0))
            if canvas.secondary
            else None,
            of_total=of(count, whole),
            of_start=of(count, start),
            of_previous=of(count, before(node)) if canvas.parents(node) else None,
            fallout=reached[place] - totals.get(("f", place), 0) if node in origins else None,
            final_fallout=overdue.get(place, 0) if canvas.falls_out_after_ms(node) is not None else None,
        )

    arrows = {
        f"{arrow.from_}>{arrow.to}": _arrow(totals.get(("a", index), 0), reached[number[arrow.from_]])
        for index, arrow in enumerate(canvas.arrows)
    }
    caption = caption_of(canvas, starts, dict(zip(number, reached, strict=True)), whole)
    nodes = {node: figures(node) for node in number}
    return CanvasBody(
        whole,
        nodes,
        arrows,
        caption,
        arrow_values=_arrow_values(canvas, totals) if canvas.arrow_values else None,
        breakdowns=breakdowns_of(canvas, totals),
        trend=trend_of(canvas, totals),
        steps=steps_of(canvas, totals),
    )


def _overdue(totals: Mapping[Cell, int], clock_ms: int) -> dict[int, int]:
    """Per node, by place, the containers whose hour to have fallen out has begun."""
    found: dict[int, int] = {}
    for cell, count in totals.items():
        if cell[0] == "x" and cell[2] * HOUR_MS <= clock_ms:
            found[cell[1]] = found.get(cell[1], 0) + count
    return found


def _arrow_values(canvas: Canvas, totals: Mapping[Cell, int]) -> dict[str, ArrowAmounts]:
    def amount(metric: Metric | None, arrow: int) -> int | str | None:
        if metric is None or metric == "containers":
            return None
        return shown_amount(metric, totals.get((f"a{CELL_BY_METRIC[metric]}", arrow), 0))

    return {
        f"{arrow.from_}>{arrow.to}": ArrowAmounts(amount(canvas.metric, index), amount(canvas.secondary, index))
        for index, arrow in enumerate(canvas.arrows)
    }


def _starts(canvas: Canvas) -> dict[str, set[str]]:
    """Per node the start nodes from which it can be reached; a start node's is itself."""
    parents = {node.id: canvas.parents(node.id) for node in canvas.nodes}
    starts: dict[str, set[str]] = {}
    for node in TopologicalSorter(parents).static_order():
        starts[node] = set().union(*(starts[parent] for parent in parents[node])) if parents[node] else {node}
    return starts


def _arrow(containers: int, at_origin: int) -> ArrowFigures:
    return ArrowFigures(containers, share_of(containers, at_origin))


def _no_share(_part: int, _whole: int) -> None:
    return None
