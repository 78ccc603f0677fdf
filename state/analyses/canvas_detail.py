"""A canvas that says more than how many containers come where, for definitions that ask for it.

Nodes are reached and arrows followed as in `CanvasLens`, whose cells these are too. Further cells, by the day of the
container's start: e and v beside each other; ae and av the events along an arrow and their value; b, be and bv what a
node counts by the items of a dimension; nd reached and ad followed, by the day of that before the day of the start.
"""

from typing import Any

import msgspec

from state.analyses.canvas import DAY, FOLLOWED, REACH, CanvasLens, add
from state.analyses.lens import Cells, Projection, State
from state.calendar import Calendar
from state.conditions import wire_field
from state.definitions import Canvas
from state.dimensions import item_getter_of
from streams.touchpoint import Touchpoint


def needs_detail(definition: Canvas) -> bool:
    """Whether a canvas asks for more than `CanvasLens` gives."""
    return (
        definition.secondary in ("events", "value")
        or definition.arrow_values
        or definition.trend
        or any(node.breakdown for node in definition.nodes)
    )


class _Touch(msgspec.Struct, gc=False):
    """One touchpoint being taken: its value, items and own day, the day of its container's start, where changes go."""

    value: int
    items: list[str | None]
    own_day: int
    day: int
    cells: Cells

    def count(self, *cell: Any) -> None:
        """Adds one to a cell of the day."""
        add(self.cells, (*cell, self.day))

    def count_amounts(self, kinds: list[tuple[str, bool]], *place: Any) -> None:
        """Adds the touchpoint to the cells of these kinds: its value where the kind sums that, else one."""
        for kind, sums_value in kinds:
            add(self.cells, (kind, *place, self.day), self.value if sums_value else 1)


class CanvasDetailLens(CanvasLens):
    """State as that of `CanvasLens`."""

    def __init__(self, definition: Canvas, version: str, calendar: Calendar) -> None:
        super().__init__(definition, version, calendar)
        self._trend = definition.trend
        metrics = {definition.metric, definition.secondary}
        self._sums_value = "value" in metrics
        self.fields |= {"value"} if self._sums_value else set()
        self._lay_out_items(definition)
        # Per metric that is no count of containers: the kind of its cells, and whether it sums values.
        kinds = [(kind, kind == "v") for kind, metric in (("e", "events"), ("v", "value")) if metric in metrics]
        self._node_kinds = kinds
        self._arrow_kinds = [(f"a{kind}", sums) for kind, sums in kinds] if definition.arrow_values else []
        self._item_kinds = [(f"b{kind}", sums) for kind, sums in kinds]
        self._breaks_containers = "containers" in metrics

    def _lay_out_items(self, definition: Canvas) -> None:
        """Which dimensions are read, and per node the place of its own among them."""
        asked = [node.breakdown.dimension if node.breakdown else None for node in definition.nodes]
        dimensions = sorted({each for each in asked if each is not None})
        self._items = [item_getter_of(each) for each in dimensions]
        self._item_place = [None if each is None else dimensions.index(each) for each in asked]
        self.fields |= {wire_field(each) for each in dimensions}

    def project(self, touchpoint: Touchpoint) -> Projection | None:
        mask = self._mask(touchpoint)
        if not mask:
            return None
        value = touchpoint.value if self._sums_value else None
        return mask, value or 0, [item(touchpoint) for item in self._items]

    def advance(self, state: State, event_time: int, projection: Projection | None, cells: Cells) -> None:
        day = state[DAY]
        if day is None:
            day = state[DAY] = self._day_of(event_time)
            add(cells, ("t", day))
        if projection is None:
            return
        mask, value, items = projection
        touch = _Touch(value, items, self._day_of(event_time) if self._trend else 0, day, cells)
        before = reach = state[REACH]
        node = 0
        while mask:
            if mask & 1:
                came = self._come_along(node, state, before, touch) or not self._parents[node]
                if came and not before >> node & 1:
                    self._reached(node, reach, day, cells)
                    self._detail_reach(node, touch)
                    reach |= 1 << node
                if reach >> node & 1:
                    touch.count_amounts(self._node_kinds, node)
                    self._break_event_down(node, touch)
            mask >>= 1
            node += 1
        state[REACH] = reach

    def _detail_reach(self, node: int, touch: _Touch) -> None:
        if self._trend:
            touch.count("nd", node, touch.own_day)
        place = self._item_place[node]
        if place is not None and self._breaks_containers:
            touch.count("b", node, touch.items[place])

    def _break_event_down(self, node: int, touch: _Touch) -> None:
        place = self._item_place[node]
        if place is not None:
            touch.count_amounts(self._item_kinds, node, touch.items[place])

    def _come_along(self, node: int, state: State, before: int, touch: _Touch) -> bool:
        """Follows the arrows into `node` by which the touchpoint can come; says whether there is one."""
        came = False
        for arrow, origin, origin_bit in self._arrows_in[node]:
            if before & origin_bit:
                came = True
                touch.count_amounts(self._arrow_kinds, self._arrow_number[arrow])
                if not state[FOLLOWED] & arrow:
                    self._followed(arrow, origin, state, touch)
        return came

    def _followed(self, arrow: int, origin: int, state: State, touch: _Touch) -> None:
        number = self._arrow_number[arrow]
        touch.count("a", number)
        if self._trend:
            touch.count("ad", number, touch.own_day)
        if not state[FOLLOWED] & self._arrows_out[origin]:
            touch.count("f", origin)
        state[FOLLOWED] |= arrow
