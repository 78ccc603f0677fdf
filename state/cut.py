"""A story before or after a milestone: nodes of a canvas, one after the other.

"Before" is everything up to the first touchpoint of the milestone's last occurrence, "after" everything from the last
touchpoint of its first occurrence, both included. Several nodes occur wherever touchpoints that match them lie one
behind the other, whatever lies between. One node occurs where it counts an event: at its reach and every match behind.
What never occurs has nothing before or after it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from state.analyses.lens import Projection
from state.analyses.masks import mask_of
from state.conditions import predicate_of
from state.definition_set import Definition, DefinitionSet
from state.definitions import Canvas
from state.matches import Condition
from state.plan import lens_of
from state.rows import event_time_of
from streams.errors import UsageError
from streams.partials import Cell
from streams.touchpoint import Touchpoint


class Cut(msgspec.Struct, frozen=True):
    """A milestone. read: what it reads of a touchpoint, None where that is nothing. bounds: where it occurs among what
    was read, as (order key, that) in their order."""

    read: Callable[[Touchpoint], Any]
    bounds: Callable[[Sequence[tuple[bytes, Any]]], "Bounds | None"]


class Bounds(msgspec.Struct, frozen=True):
    """Order keys: the first touchpoint of the milestone's last occurrence, the last of its first one."""

    last_begin: bytes
    first_end: bytes


def cut_of(definitions: DefinitionSet, text: str) -> Cut:
    """The milestone `CANVAS:NODE` or `CANVAS:NODE>NODE>...`. Raises UsageError for what is none."""
    name, _, path = text.partition(":")
    definition = definitions.named(name)
    if definition is None or not isinstance(definition.analysis, Canvas):
        known = [d.analysis.name for d in definitions.definitions if isinstance(d.analysis, Canvas)]
        raise UsageError(f"{name!r} is no canvas; a milestone is CANVAS:NODE or CANVAS:NODE>NODE, of {known}")
    places = {node.id: place for place, node in enumerate(definition.analysis.nodes)}
    nodes = path.split(">")
    if unknown := [node for node in nodes if node not in places]:
        raise UsageError(f"{name} has no node {unknown[0]!r}; its nodes are {', '.join(places)}")
    if len(nodes) == 1:
        return _cut_at_node(definition, places[nodes[0]])
    return _cut_at_sequence([definition.analysis.nodes[places[node]].match for node in nodes])


def _cut_at_sequence(conditions: Sequence[Condition]) -> Cut:
    mask = mask_of(conditions)

    def bounds(series: Sequence[tuple[bytes, int]]) -> Bounds | None:
        # Per length: the latest beginning of the first nodes, among their occurrences that have ended so far.
        begins: list[bytes | None] = [None] * len(conditions)
        first_end = None
        for order, matched in series:
            # From the longest on, for one touchpoint never stands for two nodes.
            for place in reversed(range(len(begins))):
                if matched >> place & 1:
                    begins[place] = order if place == 0 else begins[place - 1]
            if first_end is None and begins[-1] is not None:
                first_end = order
        return None if begins[-1] is None or first_end is None else Bounds(begins[-1], first_end)

    return Cut(lambda touchpoint: mask(touchpoint) or None, bounds)


def _cut_at_node(definition: Definition, place: int) -> Cut:
    lens = lens_of(definition)
    assert isinstance(definition.analysis, Canvas)
    matches = predicate_of(definition.analysis.nodes[place].match)

    def read(touchpoint: Touchpoint) -> tuple[Projection, bool] | None:
        projection = lens.project(touchpoint)
        return None if projection is None else (projection, matches(touchpoint))

    def bounds(series: Sequence[tuple[bytes, tuple[Projection, bool]]]) -> Bounds | None:
        state = lens.empty()
        first = last = None
        for order, (projection, is_match) in series:
            cells: dict[Cell, int] = {}
            lens.advance(state, event_time_of(order), projection, cells)
            if first is None and any(cell[:2] == ("n", place) and change > 0 for cell, change in cells.items()):
                first = order
            if first is not None and is_match:
                last = order
        return None if first is None or last is None else Bounds(last, first)

    return Cut(read, bounds)
