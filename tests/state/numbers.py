"""Every number that a rendered body shows, by its address."""

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from state.render.cohort import NO_VALUE
from streams.snapshot import Body, CanvasBody, CohortBody, FlowBody


def numbers_of(body: Body) -> Iterator[tuple[str, int]]:
    """(address, number); amounts in millionths. Links and exits of what is not shown have no address, nor have numbers
    that pool periods."""
    match body:
        case CanvasBody():
            yield from _of_canvas(body)
        case CohortBody():
            yield from _of_cohort(body)
        case FlowBody():
            yield from _of_flow(body)


def _of_canvas(body: CanvasBody) -> Iterator[tuple[str, int]]:
    yield "*", body.total
    for node, figures in body.nodes.items():
        yield node, figures.count if isinstance(figures.count, int) else int(Decimal(figures.count) * 1_000_000)
        if figures.fallout is not None:
            yield f"{node}/fallout", figures.fallout
    for arrow, each in body.arrows.items():
        yield arrow, each.containers


def _of_cohort(body: CohortBody) -> Iterator[tuple[str, int]]:
    rows = body.rows if not body.more else body.rows[:-1]
    for row in rows:
        yield NO_VALUE if row.label is None else row.label, row.included
        for k, number in enumerate(row.cells, body.first_period):
            if number is not None and body.of is None:
                yield f"{row.label}+{k}", number


def _of_flow(body: FlowBody) -> Iterator[tuple[str, int]]:
    yield "*", body.total
    for column in body.columns:
        for item in column.items:
            yield f"{column.step}:{item.item}", item.count
        if column.more.count:
            yield _json("more", column.step, [item.item for item in column.items]), column.more.count
        for end in column.exits:
            if end.item is not None:
                yield f"{column.step}:{end.item}" + (">exit" if end.direction == 1 else "<entry"), end.count
                yield _json("exit", column.step, end.item, end.direction), end.count
    for link in body.links:
        if link.origin is not None and link.target is not None:
            yield f"{link.from_step}:{link.origin}>{link.to_step}:{link.target}", link.count
    for sequence in body.sequences or []:
        yield _json("path", sequence.back, sequence.fore), sequence.count


def _json(*address: object) -> str:
    return msgspec.json.encode(address).decode()
