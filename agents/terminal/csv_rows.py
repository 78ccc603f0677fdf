"""A snapshot as the rows of one CSV table, the first of them its header (`docs/formats.md`).

canvas: see `agents.terminal.canvas_csv`. cohort: a row per cell whose period has begun. flow: rows of items, of `more`
(item empty, count of the paths, item_count how many items), of exits, of links, and of sequences, whose item is the
whole path in the order of time. An empty field is what JSON has as null.
"""

from collections.abc import Iterator
from typing import assert_never

from agents.terminal.canvas_csv import Row, canvas_rows
from streams.snapshot import CanvasSnapshot, CohortSnapshot, FlowSnapshot, Snapshot


def csv_rows(snapshot: Snapshot) -> Iterator[Row]:
    """The header and the rows."""
    match snapshot:
        case CanvasSnapshot():
            return canvas_rows(snapshot)
        case CohortSnapshot():
            return _cohort(snapshot)
        case FlowSnapshot():
            return _flow(snapshot)
        case _ as never:
            assert_never(never)


def _cohort(snapshot: CohortSnapshot) -> Iterator[Row]:
    yield ["period", "included", "k", "count", "share", "partial"]
    body = snapshot.body
    for row, shares, running in zip(body.rows, body.shares, body.partial_from, strict=True):
        for k, (count, share) in enumerate(zip(row.cells, shares, strict=True)):
            if count is not None:
                partial = running is not None and k >= running
                yield [row.label, row.included, k, count, share, "yes" if partial else "no"]


def _flow(snapshot: FlowSnapshot) -> Iterator[Row]:
    yield ["what", "step", "item", "to_step", "to_item", "direction", "item_count", "count"]
    for column in snapshot.body.columns:
        for item in column.items:
            yield ["item", column.step, item.item, None, None, None, None, item.count]
        yield ["more", column.step, None, None, None, None, column.more.item_count, column.more.count]
        for end in column.exits:
            yield ["exit", column.step, end.item, None, None, end.direction, None, end.count]
    for link in snapshot.body.links:
        yield ["link", link.from_step, link.origin, link.to_step, link.target, None, None, link.count]
    for each in snapshot.body.sequences or []:
        path = " > ".join([*reversed(each.back), *each.fore])
        yield ["sequence", -len(each.back), path, None, None, None, None, each.count]
