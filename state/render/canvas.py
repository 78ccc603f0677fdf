"""The body of a canvas: counts, percentages and fallout per node, containers per arrow."""

from collections.abc import Mapping
from graphlib import TopologicalSorter

from state.definitions import Canvas
from state.render.shares import share_of
from streams.partials import Cell
from streams.snapshot import ArrowFigures, CanvasBody, NodeFigures
from streams.touchpoint import MILLIONTHS

CELL_BY_METRIC = {"containers": "n", "events": "e", "value": "v"}


def canvas_body(canvas: Canvas, totals: Mapping[Cell, int]) -> CanvasBody:
    """The canvas from its totals: ("t",) containers in all, ("n", node), ("e" | "v", node), ("a", arrow),
    ("f", node), ("p", node); positions in the definition's lists."""
    number = {node.id: index for index, node in enumerate(canvas.nodes)}
    whole = totals.get(("t",), 0)
    reached = [totals.get(("n", node), 0) for node in number.values()]
    starts = _starts(canvas)
    origins = {arrow.from_ for arrow in canvas.arrows}

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
            count=decimal_text(count) if canvas.metric == "value" else count,
            second=None,
            of_total=of(count, whole),
            of_start=of(count, start),
            of_previous=of(count, before(node)) if canvas.parents(node) else None,
            fallout=reached[place] - totals.get(("f", place), 0) if node in origins else None,
            final_fallout=None,
        )

    arrows = {
        f"{arrow.from_}>{arrow.to}": _arrow(totals.get(("a", index), 0), reached[number[arrow.from_]])
        for index, arrow in enumerate(canvas.arrows)
    }
    return CanvasBody(whole, {node: figures(node) for node in number}, arrows)


def decimal_text(millionths: int) -> str:
    """An amount in units of its currency, without trailing zeros: "1234.5"."""
    units, rest = divmod(abs(millionths), MILLIONTHS)
    sign = "-" if millionths < 0 else ""
    return f"{sign}{units}.{rest:06}".rstrip("0").rstrip(".")


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
