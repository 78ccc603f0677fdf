"""A snapshot as the rows of one CSV table, the first of them its header (`docs/formats.md`).

canvas: see `agents.terminal.canvas_csv`. cohort: a row per cell that is known; with velocity one more per period or
item, whose k is empty, with the first returns and the seconds within which so many percent of them came; an empty item
has no value. flow: rows of items (with the dimension where the column has its own), of `more` (item empty, count of the
paths, item_count how many items), of exits, of links, and of sequences, whose item is the whole path in the order of
time; where filters leave something out, a row left_out; and of the paths through items a row per item and one of all
paths. An empty field is what JSON has as null.
"""

from collections.abc import Iterator
from typing import assert_never

from agents.terminal.canvas_csv import Row, canvas_rows
from streams.snapshot import CanvasSnapshot, CohortBody, CohortSnapshot, FlowSnapshot, Snapshot


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
    body = snapshot.body
    yield [
        "period" if body.of is None else "item",
        *("included", "k", "count", "share", "partial", "of", "p25_s", "p50_s", "p75_s", "p90_s"),
    ]
    for place, row in enumerate(body.rows):
        running = body.partial_from[place]
        for column, (count, share) in enumerate(zip(row.cells, body.shares[place], strict=True)):
            if count is not None:
                k = body.first_period + column
                partial = "yes" if running is not None and k >= running else "no"
                of = _whole(body, place, column)
                yield [row.label, row.included, k, count, share, partial, of, None, None, None, None]
        if body.velocity is not None:
            v = body.velocity[place]
            head: Row = [row.label, row.included, None, v.returned, None, None, None]
            yield [*head, v.p25_s, v.p50_s, v.p75_s, v.p90_s]


def _whole(body: CohortBody, place: int, column: int) -> int | None:
    """The containers that a cell's share is of."""
    if body.of is not None:
        return body.of[place][column]
    k = body.first_period + column
    row = body.rows[place]
    return row.cells[column - 1] if body.mode == "rolling" and k > 0 else row.included


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
