"""A snapshot as the rows of one CSV table, the first of them its header (`docs/formats.md`).

canvas: a row per node (what = node), then per arrow (what = arrow, from `node` to `to`; share: of the origin's
containers). cohort: a row per cell whose period has begun. flow: rows of items (with the dimension where the column
has its own), of `more` (item empty, count of the paths, item_count how many items), of exits, of links, and of
sequences, whose item is the whole path in the order of time; where filters leave something out, a row left_out; and
of the paths through items a row per item and one of all paths. An empty field is what JSON has as null.
"""

from collections.abc import Iterator
from typing import assert_never

from agents.terminal.canvas_view import titles_of
from streams.snapshot import CanvasSnapshot, CohortSnapshot, FlowSnapshot, Snapshot

Row = list[str | int | float | None]


def csv_rows(snapshot: Snapshot) -> Iterator[Row]:
    """The header and the rows."""
    match snapshot:
        case CanvasSnapshot():
            return _canvas(snapshot)
        case CohortSnapshot():
            return _cohort(snapshot)
        case FlowSnapshot():
            return _flow(snapshot)
        case _ as never:
            assert_never(never)


def _canvas(snapshot: CanvasSnapshot) -> Iterator[Row]:
    yield ["what", "node", "to", "title", "count", "of_total", "of_start", "of_previous", "fallout", "share"]
    titles = titles_of(snapshot)
    for node, n in snapshot.body.nodes.items():
        yield ["node", node, None, titles[node], n.count, n.of_total, n.of_start, n.of_previous, n.fallout, None]
    for arrow, figures in snapshot.body.arrows.items():
        origin, _, target = arrow.partition(">")
        yield ["arrow", origin, target, None, figures.containers, None, None, None, None, figures.share]


def _cohort(snapshot: CohortSnapshot) -> Iterator[Row]:
    yield ["period", "included", "k", "count", "share", "partial"]
    body = snapshot.body
    for row, shares, running in zip(body.rows, body.shares, body.partial_from, strict=True):
        for k, (count, share) in enumerate(zip(row.cells, shares, strict=True)):
            if count is not None:
                partial = running is not None and k >= running
                yield [row.label, row.included, k, count, share, "yes" if partial else "no"]


def _flow(snapshot: FlowSnapshot) -> Iterator[Row]:
    yield ["what", "step", "item", "to_step", "to_item", "direction", "item_count", "count", "dimension"]
    body = snapshot.body
    for column in body.columns:
        for item in column.items:
            yield ["item", column.step, item.item, None, None, None, None, item.count, column.dimension]
        yield ["more", column.step, None, None, None, None, column.more.item_count, column.more.count, column.dimension]
        for end in column.exits:
            yield ["exit", column.step, end.item, None, None, end.direction, None, end.count, column.dimension]
    for link in body.links:
        yield ["link", link.from_step, link.origin, link.to_step, link.target, None, None, link.count, None]
    for each in body.sequences or []:
        path = " > ".join([*reversed(each.back), *each.fore])
        yield ["sequence", -len(each.back), path, None, None, None, None, each.count, None]
    if body.left_out is not None:
        yield ["left_out", None, None, None, None, None, None, body.left_out, None]
    if body.through is not None:
        for step, item_through in body.through.items:
            yield ["through", step, item_through, None, None, None, None, body.total, None]
        yield ["all", None, None, None, None, None, None, body.through.all, None]
