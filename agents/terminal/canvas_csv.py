"""A canvas as the rows of a CSV table.

A row per node (what = node), then per arrow (what = arrow, from `node` to `to`; share: of the origin's containers),
then the best conversion (what = best, from `node`, empty for all containers, `to` its end).
"""

from collections.abc import Iterator

from agents.terminal.canvas_view import titles_of
from streams.snapshot import CanvasSnapshot

Row = list[str | int | float | None]


def canvas_rows(snapshot: CanvasSnapshot) -> Iterator[Row]:
    """The header and the rows."""
    yield ["what", "node", "to", "title", "count", "of_total", "of_start", "of_previous", "fallout", "share"]
    titles = titles_of(snapshot)
    for node, n in snapshot.body.nodes.items():
        yield ["node", node, None, titles[node], n.count, n.of_total, n.of_start, n.of_previous, n.fallout, None]
    for arrow, figures in snapshot.body.arrows.items():
        origin, _, target = arrow.partition(">")
        yield ["arrow", origin, target, None, figures.containers, None, None, None, None, figures.share]
    if best := snapshot.body.caption:
        yield ["best", best.start, best.end, None, best.containers, None, None, None, None, best.share]
