"""Where live numbers and the batch computation differ, in words that name the analysis' own parts."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, assert_never

import msgspec

from check.calendar import EPOCH
from check.cells import Cell, Cells
from check.flow_render import keyed_flow
from state.definitions import Analysis, Canvas, Cohort, Flow
from streams.snapshot import Body


class Difference(msgspec.Struct, frozen=True):
    """One number: what it counts, what the batch computation gives, what was found live (null: nothing is there), and
    in which partition (null for a snapshot, which is over all)."""

    what: str
    expected: Any
    found: Any
    partition: int | None


def cell_differences(
    analysis: Analysis, expected: Mapping[int, Cells], found: Mapping[int, Cells]
) -> Iterator[Difference]:
    """The cells that differ, partition by partition; an absent cell counts as 0."""
    for partition in sorted({*expected, *found}):
        here, there = expected.get(partition, {}), found.get(partition, {})
        for cell in sorted(here.keys() | there.keys(), key=repr):
            if here.get(cell, 0) != there.get(cell, 0):
                yield Difference(cell_text(analysis, cell), here.get(cell, 0), there.get(cell, 0), partition)


def body_differences(expected: Mapping[str, Any], found: Body) -> Iterator[Difference]:
    """Where the body of a snapshot is not the expected one, by its path in the body."""
    published: Any = msgspec.to_builtins(found)
    if "sequences" in expected:
        expected, published = keyed_flow(expected), keyed_flow(published)
    yield from _differences("snapshot", expected, published)


def range_differences(expected: Sequence[str] | None, found: Sequence[str] | None) -> Iterator[Difference]:
    """Where the dates of a snapshot are not the expected ones."""
    yield from _differences("snapshot.range", *(None if each is None else list(each) for each in (expected, found)))


def _differences(path: str, expected: Any, found: Any) -> Iterator[Difference]:
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        for key in [*expected, *(key for key in found if key not in expected)]:
            yield from _differences(f"{path}.{key}", expected.get(key), found.get(key))
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for i, (one, other) in enumerate(zip(expected, found, strict=True)):
            yield from _differences(f"{path}[{i}]", one, other)
    elif expected != found:
        yield Difference(path, expected, found, None)


def cell_text(analysis: Analysis, cell: Cell) -> str:
    """What a cell counts; the cell itself when it is none that the analysis could have."""
    try:
        return _text_of(analysis, cell)
    except (LookupError, ValueError, TypeError, OverflowError):
        return f"cell {cell!r}"


def _text_of(analysis: Analysis, cell: Cell) -> str:
    match analysis:
        case Canvas():
            return _canvas_text(analysis, cell)
        case Cohort():
            return _cohort_text(analysis, cell)
        case Flow():
            return _flow_text(cell)
        case _ as never:
            assert_never(never)


_CANVAS_WORDS = {
    "n": "containers that reach {}",
    "e": "events at {}",
    "v": "millionths of value at {}",
    "a": "containers along {}",
    "ae": "events along {}",
    "av": "millionths of value along {}",
    "f": "containers that go on from {}",
    "p": "containers that reach a parent of {}",
    "b": "containers that reach {} with {}",
    "be": "events at {} with {}",
    "bv": "millionths of value at {} with {}",
    "nd": "containers that reach {} on {}",
    "ad": "containers along {} first on {}",
    "sn": "containers that reach {} and do {} next",
    "sp": "containers that do {1} and reach {0} next",
    "sb": "containers along {} with {} between",
    "x": "containers that have fallen out of {} in hour {}",
}
_OF_ARROWS = ("a", "ae", "av", "ad", "sb")


def _canvas_text(canvas: Canvas, cell: Cell) -> str:
    if cell[0] == "t":
        return f"containers in all, started {_date(cell[1])}"
    kind, at, *more, day = cell
    place = f"{canvas.arrows[at].from_} > {canvas.arrows[at].to}" if kind in _OF_ARROWS else canvas.nodes[at].id
    parts = [f"{each % 24} of {_date(each // 24)}" for each in more] if kind == "x" else map(_shown, more)
    words = _CANVAS_WORDS[kind].format(place, *parts)
    return f"{words}, started {_date(day)}"


def _shown(part: str | int | None) -> str:
    """An item, or the day on which something is counted."""
    return "nothing" if part is None else _date(part) if isinstance(part, int) else repr(part)


def _cohort_text(cohort: Cohort, cell: Cell) -> str:
    kind, bucket, *rest = cell
    included = f"included in period {bucket}"
    if cohort.dimension is not None:
        included += f" with {'no value' if rest[-1] is None else repr(rest[-1])}"
    match kind:
        case "i":
            return included
        case "s":
            return f"{included}, back in each of the {rest[0]} periods after it"
        case "v":
            return f"{included}, first back {rest[0]} periods later, duration {rest[1]} (by its bucket)"
        case _:
            first = "" if kind == "r" else "nearest " if rest[0] < 0 else "first "
            later = f"{rest[0]} periods later" if rest[0] >= 0 else f"{-rest[0]} periods before"
            return f"{included}, {first}back {later}"


def _flow_text(cell: Cell) -> str:
    kind, *rest = cell
    match kind:
        case "o":
            day, back, fore = rest
            walk = [*reversed(back), *("(anchor)" if value is None else value for value in fore)]
            return f"paths {' > '.join(walk)} (anchor {len(back) + 1}) on {_date(day)}"
        case "t":
            return "containers with a path, whether or not filters admit it"
        case "n":
            return f"containers with {_value(rest[1])} at step {rest[0]}"
        case "l":
            return f"containers from {_value(rest[1])} at step {rest[0]} to {_value(rest[3])} at step {rest[2]}"
        case _:
            return f"containers that end with {_value(rest[1])} at step {rest[0]}, direction {rest[2]}"


def _value(value: str | None) -> str:
    return "the anchor" if value is None else repr(value)


def _date(day: int) -> str:
    return (EPOCH + timedelta(days=day)).isoformat()
