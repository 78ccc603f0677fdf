"""Flow whose columns have dimensions of their own (`docs/semantics.md`, Flow): the same cells from another walk.

Each dimension has a series of its own. From the anchor on, a column takes the next touchpoint behind the one of the
column before it that is in the series of its dimension; before the anchor, the last one before that of the column
behind it. One touchpoint is in one column of a path at most.
"""

from typing import Any

from state.analyses.dimension import item_of
from state.analyses.flow import FlowLens, with_path
from state.analyses.lens import Cells, Project, Projection, State
from state.calendar import Calendar
from state.conditions import wire_field
from state.definitions import Flow
from state.flow_columns import dimension_by_step
from streams.touchpoint import Touchpoint

_LASTS, _CHAINS, _OPEN, _KEPT = range(4)


class DimensionsFlowLens(FlowLens):
    """State: [last value per dimension, chains, growing paths, kept path].

    A chain per column before the anchor: the values of that column and of those further from the anchor, nearest
    first, as they would be if the column behind it took the touchpoint to come. The first chain is what lies before
    an anchor to come. A projection is [value per dimension (None: absent), whether the anchor's condition holds].
    """

    def __init__(self, definition: Flow, version: str, calendar: Calendar) -> None:
        super().__init__(definition, version, calendar)
        own = dimension_by_step(definition)
        names = list(dict.fromkeys([definition.dimension, *own.values()]))
        self._items = [item_of(name) for name in names]
        self._fore = [names.index(own.get(step, definition.dimension)) for step in range(self._fore_max)]
        self._back = [names.index(own.get(-1 - k, definition.dimension)) for k in range(self._back_max)]
        self.fields |= {wire_field(name) for name in names}

    def project(self, touchpoint: Touchpoint) -> Projection | None:
        values = [item(touchpoint) for item in self._items]
        anchored = self._anchored is not None and self._anchored(touchpoint)
        return [values, anchored] if anchored or any(value is not None for value in values) else None

    def project_of(self, type_: str) -> Project | None:
        return self.project

    def empty(self) -> State:
        return [[None] * len(self._items), [[] for _ in self._back], [], None]

    def advance(self, state: State, event_time: int, projection: Projection, cells: Cells) -> None:
        values, anchored = projection
        fresh = [
            value if self._repeats or value != last else None for value, last in zip(values, state[_LASTS], strict=True)
        ]
        if state[_OPEN]:
            self._grow_by(state, fresh, cells)
        if self._anchored is None:
            anchored = fresh[0] is not None and (self._unanchored or fresh[0] == self._value)
        if anchored:
            anchor = fresh[0] if self._anchored is None else None
            back = list(state[_CHAINS][0]) if self._back else []
            self._begin(state, (self._day_of(event_time), back, [anchor]), cells)
        if self._back:
            state[_CHAINS] = self._chained(state[_CHAINS], fresh)
        state[_LASTS] = [last if value is None else value for value, last in zip(values, state[_LASTS], strict=True)]

    def _grow_by(self, state: State, fresh: list[str | None], cells: Cells) -> None:
        growing: list[Any] = []
        for path in state[_OPEN]:
            day, back, fore, *number = path
            count = number[0] if number else 1
            value = fresh[self._fore[len(fore)]]
            if value is not None:
                self._emit(cells, (day, back, fore), -count)
                fore = [*fore, value]
                self._emit(cells, (day, back, fore), count)
            if len(fore) < self._fore_max:
                growing = with_path(growing, (day, back, fore), count)  # it may be equal now to one that waits
        state[_OPEN] = growing

    def _chained(self, chains: list[list[str]], fresh: list[str | None]) -> list[list[str]]:
        """The chains behind a touchpoint: each takes its value and goes on with what the next one was before it."""
        values = [fresh[dimension] for dimension in self._back]
        return [
            chain if value is None else [value, *further]
            for value, chain, further in zip(values, chains, [*chains[1:], []], strict=True)
        ]
