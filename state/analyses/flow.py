"""Flow: which values of a dimension lead to, from, or through an anchor (`docs/semantics.md`, Flow).

Of every anchor occurrence the path is kept while it can still grow: the values before it (nearest first) and those
from it on. A cell counts the occurrences whose path is exactly that, by the day of the anchor; columns, links and
exits are sums over paths at rendering. With distinct containers the cells are nodes, links and exits instead, and
where columns have filters also all containers with a path, admitted or not.
"""

from typing import Any

from state.analyses.dimension import item_of
from state.analyses.gate import Gate, Level
from state.analyses.lens import Cells, Project, Projection, State
from state.analyses.masks import matcher_of
from state.calendar import Calendar
from state.conditions import fields_of, given_type, wire_field
from state.definitions import AnchorMatch, Flow
from state.flow_columns import admission_of, lengths_of
from streams.partials import Cell
from streams.touchpoint import Touchpoint

Path = tuple[int, list[str], list[str | None]]
_LAST, _TAIL, _OPEN, _KEPT = range(4)
_ALL = ("t",)


class FlowLens:
    """State: [last value of the series, the values before (nearest first), growing paths, kept path].

    A path is [day, values before, values from the anchor on]; of growing ones that are equal, and so grow alike, there
    is one with their number behind it. Kept: with `limit: last` the last path; with `limit: first` or without an anchor
    whatever shows that there was one.
    """

    kind: str = "flow"
    needs_first = False
    gate: Gate[Cell] | None = None
    under: tuple[Level, ...] = ()

    def __init__(self, definition: Flow, version: str, calendar: Calendar) -> None:
        self.name, self.version = definition.name, version
        self.distinct = definition.count == "containers"
        self._day_of = calendar.day_of
        self._item = item_of(definition.dimension)
        self._repeats = definition.include_repeats
        anchor = definition.starts_with or definition.ends_with or definition.contains
        matched = anchor if isinstance(anchor, AnchorMatch) else None
        self._value = anchor if isinstance(anchor, str) else None
        self._match = matched.match if matched else None
        self._anchored = matcher_of(self._match) if self._match else None
        self._unanchored = anchor is None
        self._back_max, self._fore_max = lengths_of(definition)
        # Of whole paths, rendering leaves out what a filter does not admit; nodes and links are of no path any more.
        self._admits = admission_of(definition) if self.distinct else None
        self._only_first = self._unanchored or definition.limit == "first"
        self._only_last = definition.limit == "last"
        read = {"type", *fields_of(self._match)} if self._match else set()
        self.fields = frozenset(read | {wire_field(definition.dimension)})

    def project(self, touchpoint: Touchpoint) -> Projection | None:
        item = self._item(touchpoint)
        if self._anchored is not None and self._anchored(touchpoint):
            return (item, True)
        return item

    def project_of(self, type_: str) -> Project | None:
        never = self._match is None or given_type(self._match, type_) is False
        return self._item if never else self.project

    def empty(self) -> State:
        return [None, [], [], None]

    def advance(self, state: State, event_time: int, projection: Projection, cells: Cells) -> None:
        value, anchored = (projection, False) if isinstance(projection, str) else projection
        is_step = value is not None and (self._repeats or value != state[_LAST])
        if is_step and state[_OPEN]:
            self._grow(state, value, cells)
        if self._anchored is None:
            anchored = is_step and (self._unanchored or value == self._value)
        if anchored:
            anchor = None if self._anchored is not None else value
            self._begin(state, (self._day_of(event_time), list(state[_TAIL]), [anchor]), cells)
        if is_step:
            state[_LAST] = value
            if self._back_max:
                state[_TAIL] = [value, *state[_TAIL][: self._back_max - 1]]

    def _grow(self, state: State, value: str, cells: Cells) -> None:
        growing = []
        for day, back, fore, *number in state[_OPEN]:
            longer = [*fore, value]
            count = number[0] if number else 1
            self._emit(cells, (day, back, fore), -count)
            self._emit(cells, (day, back, longer), count)
            if len(longer) < self._fore_max:
                growing.append((day, back, longer, *number))
        state[_OPEN] = growing

    def _begin(self, state: State, path: Path, cells: Cells) -> None:
        if self._only_first:
            if state[_KEPT] is not None:
                return
            state[_KEPT] = True
        if self._only_last:
            if state[_KEPT] is not None:
                self._emit(cells, state[_KEPT], -1)
            state[_KEPT] = path
        self._emit(cells, path, 1)
        if self._fore_max > 1:
            state[_OPEN] = with_path(state[_OPEN], path)

    def _emit(self, cells: Cells, path: Path, count: int) -> None:
        day, back, fore = path
        if self.distinct:
            if self._admits is not None:
                cells[_ALL] = cells.get(_ALL, 0) + count
                if not self._admits(back, fore):
                    return
            for cell in self._parts(back, fore):
                cells[cell] = cells.get(cell, 0) + count
        else:
            whole = ("o", day, tuple(back), tuple(fore))
            cells[whole] = cells.get(whole, 0) + count

    def _parts(self, back: list[str], fore: list[str | None]) -> list[tuple[Any, ...]]:
        """Nodes, links and exits of a path."""
        cells: list[tuple[Any, ...]] = [("n", 0, fore[0])]
        for direction, items, longest in ((1, fore[1:], self._fore_max - 1), (-1, back, self._back_max)):
            step, item = 0, fore[0]
            for following in items:
                cells.append(("n", step + direction, following))
                cells.append(("l", step, item, step + direction, following))
                step, item = step + direction, following
            if len(items) < longest:
                cells.append(("x", step, item, direction))
        return cells


def with_path(paths: list[Any], path: Path, count: int = 1) -> list[Any]:
    """Growing paths with one more, or so many. Anchors that are no step themselves may come without end before the next
    step; the paths of a day's are equal."""
    for place, other in enumerate(paths):
        if path == tuple(other[:3]):
            count += other[3] if len(other) > 3 else 1
            return [*paths[:place], *paths[place + 1 :], (*path, count)]
    return [*paths, path if count == 1 else (*path, count)]
