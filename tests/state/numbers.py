"""Every number that a rendered body shows, by its address.

A number is first named by a place: what it is, then where, with `Rest` of the items that are shown in the place of an
item for what is shown as `more`. So it can be read from another body too, in which every item stands by name.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from state.definition_set import Definition
from state.definitions import Canvas, Cohort, Flow
from state.render.cohort import NO_VALUE
from streams.snapshot import Body, CanvasBody, CohortBody, FlowBody, TopItems

Place = tuple[Any, ...]


class Rest(NamedTuple):
    """All items but these."""

    shown: tuple[str | None, ...]


def numbers_of(body: Body) -> Iterator[tuple[Place, int]]:
    """(place, number); amounts in millionths."""
    match body:
        case CanvasBody():
            return _of_canvas(body)
        case CohortBody():
            return _of_cohort(body)
        case FlowBody():
            return _of_flow(body)


def number_at(place: Place, numbers: Mapping[Place, int]) -> int:
    """The number at a place in the numbers of a body in which every item stands by name."""
    if not any(isinstance(part, Rest) for part in place):
        return numbers.get(place, 0)
    return sum(number for each, number in numbers.items() if len(each) == len(place) and _is_in(each, place))


def _is_in(each: Place, place: Place) -> bool:
    pairs = zip(each, place, strict=True)
    return all(part not in wanted.shown if isinstance(wanted, Rest) else part == wanted for part, wanted in pairs)


def in_full(definition: Definition) -> Definition:
    """The definition with every item by name."""
    analysis = definition.analysis
    match analysis:
        case Flow():
            analysis = analysis.model_copy(update={"top": 100})
        case Cohort():
            analysis = analysis.model_copy(update={"top": 100} if analysis.dimension else {})
        case Canvas():
            steps = analysis.steps and analysis.steps.model_copy(update={"top": 100})
            nodes = [
                node.model_copy(update={"breakdown": node.breakdown and node.breakdown.model_copy(update={"top": 100})})
                for node in analysis.nodes
            ]
            analysis = analysis.model_copy(update={"steps": steps, "nodes": nodes})
    return msgspec.structs.replace(definition, analysis=analysis)


def addresses_of(place: Place) -> list[str]:
    """Every way in which a number is asked for."""
    what, *parts = place
    if what in ("*", "left-out"):
        return [what]
    named = [[*part.shown] if isinstance(part, Rest) else part for part in parts]
    json = msgspec.json.encode([what, *named]).decode()
    if any(isinstance(part, Rest) for part in parts):
        more = [msgspec.json.encode(["more", *named]).decode()] if what == "item" else []
        return [json, *more]
    names = [NO_VALUE if part is None else part for part in parts]
    match what:
        case "count" | "included":
            text = names[0]
        case "second" | "fallout" | "final-fallout" | "amount" | "returned":
            text = f"{names[0]}/{what}"
        case "by" | "second-by" | "next" | "previous" | "between" | "day" | "within":
            text = f"{names[0]}/{what}:{names[1]}"
        case "cell":
            text = f"{names[0]}+{names[1]}"
        case "item":
            text = f"{names[0]}:{names[1]}"
        case "link":
            text = "{}:{}>{}:{}".format(*names)
        case "exit":
            text = f"{names[0]}:{names[1]}" + (">exit" if names[2] == 1 else "<entry")
        case "of" | "path":
            return [json]
    return [text] if what in ("count", "second", "fallout", "final-fallout", "amount") else [text, json]


def _of_canvas(body: CanvasBody) -> Iterator[tuple[Place, int]]:
    yield ("*",), body.total
    for node, figures in body.nodes.items():
        yield ("count", node), _whole(figures.count)
        if figures.second is not None:
            yield ("second", node), _whole(figures.second)
        if figures.fallout is not None:
            yield ("fallout", node), figures.fallout
        if figures.final_fallout is not None:
            yield ("final-fallout", node), figures.final_fallout
    for arrow, each in body.arrows.items():
        yield ("count", arrow), each.containers
    for arrow, amounts in (body.arrow_values or {}).items():
        if amounts.amount is not None:
            yield ("amount", arrow), _whole(amounts.amount)
        if amounts.second is not None:
            yield ("second", arrow), _whole(amounts.second)
    for node, top in (body.breakdowns or {}).items():
        yield from _of_items("by", node, top)
    for days in (body.trend.nodes, body.trend.arrows) if body.trend else ():
        for place, counts in days.items():
            yield from ((("day", place, day.day), day.count) for day in counts)
    if body.steps:
        for node, steps in body.steps.nodes.items():
            yield from _of_items("next", node, steps.next)
            yield from _of_items("previous", node, steps.previous)
        for arrow, top in body.steps.arrows.items():
            yield from _of_items("between", arrow, top)


def _of_items(what: str, of: str, top: TopItems) -> Iterator[tuple[Place, int]]:
    rest = Rest(tuple(each.item for each in top.items))
    for item, figures in [*((each.item, each) for each in top.items), (rest, top.more)]:
        yield (what, of, item), _whole(figures.count)
        if figures.second is not None:
            yield (f"second-{what}", of, item), _whole(figures.second)


def _of_cohort(body: CohortBody) -> Iterator[tuple[Place, int]]:
    labels: list[Any] = [row.label for row in body.rows]
    if body.more:
        labels[-1] = Rest(tuple(labels[:-1]))
    for place, (label, row) in enumerate(zip(labels, body.rows, strict=True)):
        yield ("included", label), row.included
        for k, number in enumerate(row.cells, body.first_period):
            if number is not None:
                yield ("cell", label, k), number
                if body.of is not None:
                    yield ("of", label, k), body.of[place][k - body.first_period]
        if body.velocity is not None:
            yield ("returned", label), body.velocity[place].returned


def _of_flow(body: FlowBody) -> Iterator[tuple[Place, int]]:
    yield ("*",), body.total
    if body.left_out is not None:
        yield ("left-out",), body.left_out
    shown = {column.step: Rest(tuple(each.item for each in column.items)) for column in body.columns}
    for column in body.columns:
        for item in column.items:
            yield ("item", column.step, item.item), item.count
        if column.more.count:
            yield ("item", column.step, shown[column.step]), column.more.count
        for end in column.exits:
            item_or_rest = shown[column.step] if end.item is None else end.item
            yield ("exit", column.step, item_or_rest, end.direction), end.count
    for link in body.links:
        ends = [
            (step, shown[step] if item is None else item)
            for step, item in ((link.from_step, link.origin), (link.to_step, link.target))
        ]
        yield ("link", *ends[0], *ends[1]), link.count
    for sequence in body.sequences or []:
        yield ("path", tuple(sequence.back), tuple(sequence.fore)), sequence.count


def _whole(amount: int | str) -> int:
    return amount if isinstance(amount, int) else int(Decimal(amount) * 1_000_000)
