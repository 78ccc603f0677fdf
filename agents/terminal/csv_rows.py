"""A snapshot as the rows of one CSV table, the first of them its header (`docs/formats.md`).

canvas: see `agents.terminal.canvas_csv`. cohort: a row per cell that is known; with velocity one more per period or
item, whose k is empty, with the first returns and the seconds within which so many percent of them came; an empty item
has no value. flow: rows of items (with the dimension where the column has its own), of `more` (item empty, count of the
paths, item_count how many items), of exits, of links, and of sequences, whose item is the whole path in the order of
time; where filters leave something out, a row left_out; and of the paths through items a row per item and one of all
paths. `marks` are those of a link (`back`), or of a path's steps (`2:loop 2:back 3:skip`). An empty field is what JSON
has as null.
"""

from collections.abc import Iterator
from typing import assert_never

from agents.terminal.canvas_csv import Row, canvas_rows
from streams.snapshot import CanvasSnapshot, CohortBody, CohortSnapshot, FlowBody, FlowSnapshot, Snapshot


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
    columns = ("what", "step", "item", "to_step", "to_item", "direction", "item_count", "count", "dimension", "marks")
    yield [*columns]
    for fields in _flow_rows(snapshot.body):
        yield [fields.get(column) for column in columns]


def _flow_rows(body: FlowBody) -> Iterator[dict[str, str | int | None]]:
    """Rows by their columns; one that is absent is empty."""
    for column in body.columns:
        head = {"step": column.step, "dimension": column.dimension}
        for item in column.items:
            yield {"what": "item", **head, "item": item.item, "count": item.count}
        yield {"what": "more", **head, "item_count": column.more.item_count, "count": column.more.count}
        for end in column.exits:
            yield {"what": "exit", **head, "item": end.item, "direction": end.direction, "count": end.count}
    marked = {each.link: " ".join(each.marks) for each in body.link_marks}
    for place, link in enumerate(body.links):
        ends = {"step": link.from_step, "item": link.origin, "to_step": link.to_step, "to_item": link.target}
        yield {"what": "link", **ends, "count": link.count, "marks": marked.get(place)}
    yield from _sequence_rows(body)
    if body.left_out is not None:
        yield {"what": "left_out", "count": body.left_out}
    if body.through is not None:
        for step, item_through in body.through.items:
            yield {"what": "through", "step": step, "item": item_through, "count": body.total}
        yield {"what": "all", "count": body.through.all}


def _sequence_rows(body: FlowBody) -> Iterator[dict[str, str | int | None]]:
    marked: dict[int, list[str]] = {}
    for each in body.sequence_marks:
        marked.setdefault(each.sequence, []).extend(f"{each.step}:{mark}" for mark in each.marks)
    for place, sequence in enumerate(body.sequences or []):
        path = " > ".join([*reversed(sequence.back), *sequence.fore])
        marks = " ".join(marked.get(place, [])) or None
        yield {"what": "sequence", "step": -len(sequence.back), "item": path, "count": sequence.count, "marks": marks}
