"""Canvas: how far containers come on a directed acyclic graph of nodes (`docs/semantics.md`, Journey canvas).

reach(n) is the first position that matches n behind a reach of one of n's parents, or just the first for a start
node. Positions only grow, so the set of reached nodes is all that has to be kept: a touchpoint reaches n when a parent
was in the set *before* it. Cells are by the day of the container's start: t total, n reached, e events, v value,
a arrow followed, f any arrow of the node followed, p any parent reached.
"""

from functools import lru_cache
from typing import Any

from state.analyses.gate import Gate, Level
from state.analyses.lens import Cells, Projection, State
from state.analyses.masks import mask_of
from state.calendar import Calendar
from state.conditions import fields_of
from state.definitions import Canvas
from streams.partials import Cell
from streams.touchpoint import Touchpoint

DAY, REACH, FOLLOWED = range(3)


class CanvasLens:
    """State: [day of the start or None, mask of reached nodes, mask of followed arrows]."""

    kind: str = "canvas"
    needs_first = True
    distinct = False
    gate: Gate[Cell] | None = None
    under: tuple[Level, ...] = ()

    def __init__(self, definition: Canvas, version: str, calendar: Calendar) -> None:
        self.name, self.version = definition.name, version
        self._day_of = calendar.day_of
        self._mask = mask_of([node.match for node in definition.nodes])
        self._metric = {"containers": None, "events": "e", "value": "v"}[definition.metric]
        read = {field for node in definition.nodes for field in fields_of(node.match)}
        self.fields = frozenset(read | {"type"} | ({"value"} if definition.metric == "value" else set()))
        self._lay_out(definition)
        self._standing_at = lru_cache(maxsize=1024)(self._nodes_of)

    def _lay_out(self, definition: Canvas) -> None:
        self._ids = [node.id for node in definition.nodes]
        number = {node: index for index, node in enumerate(self._ids)}
        pairs = [(number[arrow.from_], number[arrow.to]) for arrow in definition.arrows]
        nodes = range(len(self._ids))
        self._parents = [sum(1 << a for a, b in pairs if b == node) for node in nodes]
        # Per node: (bit of the arrow, its origin, the origin's bit) of each arrow into it.
        self._arrows_in = [[(1 << i, a, 1 << a) for i, (a, b) in enumerate(pairs) if b == node] for node in nodes]
        self._arrows_out = [sum(1 << i for i, (a, _) in enumerate(pairs) if a == node) for node in nodes]
        self._joins = [[b for a, b in pairs if a == node and self._parents[b].bit_count() > 1] for node in nodes]
        self._arrow_number = {1 << i: i for i in range(len(pairs))}

    def project(self, touchpoint: Touchpoint) -> Projection | None:
        mask = self._mask(touchpoint)
        if not mask:
            return None
        return (mask, touchpoint.value or 0) if self._metric == "v" else mask

    def empty(self) -> State:
        return [None, 0, 0]

    def advance(self, state: State, event_time: int, projection: Projection | None, cells: Cells) -> None:
        day = state[DAY]
        if day is None:
            day = state[DAY] = self._day_of(event_time)
            add(cells, ("t", day))
        if projection is None:
            return
        mask, amount = projection if self._metric == "v" else (projection, 1)
        before = reach = state[REACH]
        node = 0
        while mask:
            if mask & 1:
                bit, parents = 1 << node, self._parents[node]
                if before & bit or not parents or before & parents:
                    if not before & bit:
                        self._reached(node, reach, day, cells)
                        reach |= bit
                    if self._metric is not None:
                        add(cells, (self._metric, node, day), amount)
                    self._follow(node, state, before, day, cells)
            mask >>= 1
            node += 1
        state[REACH] = reach

    def _reached(self, node: int, reach: int, day: int, cells: Cells) -> None:
        add(cells, ("n", node, day))
        for child in self._joins[node]:
            if not reach & self._parents[child]:
                add(cells, ("p", child, day))

    def _follow(self, node: int, state: State, before: int, day: int, cells: Cells) -> None:
        """Marks the arrows into `node` whose origin was reached before."""
        followed = state[FOLLOWED]
        for arrow, origin, origin_bit in self._arrows_in[node]:
            if before & origin_bit and not followed & arrow:
                add(cells, ("a", self._arrow_number[arrow], day))
                if not followed & self._arrows_out[origin]:
                    add(cells, ("f", origin, day))
                followed |= arrow
        state[FOLLOWED] = followed

    def position(self, state: State) -> Any:
        return self._standing_at(state[REACH])

    def _nodes_of(self, reach: int) -> list[str] | None:
        return [node for index, node in enumerate(self._ids) if reach >> index & 1] or None


def add(cells: Cells, cell: tuple[Any, ...], amount: int = 1) -> None:
    """Adds to a cell."""
    cells[cell] = cells.get(cell, 0) + amount
