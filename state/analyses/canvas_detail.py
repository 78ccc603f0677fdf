"""A canvas that says more than how many containers come where, for definitions that ask for it.

Nodes are reached and arrows followed as in `CanvasLens`, whose cells these are too. Further cells, by the day of the
container's start: e and v beside each other; ae and av the events along an arrow and their value; b, be and bv what a
node counts by the items of a dimension; nd reached and ad followed, by the day of that before the day of the start.

With time limits a touchpoint comes along an arrow when some arrival at its origin lies within them; which one that was
does not matter, so of each such arrow the windows in which it is open are kept (`state.analyses.limits`). A container
that follows no arrow of a node, all of which close, stands in a cell x of the hour in which the last one has closed.

Steps (`state.analyses.steps`) want every touchpoint of a container. Their cells are sn, sp and sb: next, previous and
between, by item.
"""

from typing import Any

import msgspec

from state.analyses.canvas import DAY, FOLLOWED, REACH, CanvasLens, add
from state.analyses.dimension import item_of
from state.analyses.lens import Cells, Projection, State
from state.analyses.limits import Limits, Windows
from state.analyses.steps import Steps
from state.calendar import Calendar
from state.conditions import wire_field
from state.definitions import Canvas
from streams.touchpoint import Touchpoint

WINDOWS, STEPS = 3, 4
HOUR_MS = 3_600_000


def needs_detail(definition: Canvas) -> bool:
    """Whether a canvas asks for more than `CanvasLens` gives."""
    return (
        definition.secondary in ("events", "value")
        or definition.arrow_values
        or definition.trend
        or any(arrow.is_limited for arrow in definition.arrows)
        or definition.steps is not None
        or any(node.breakdown for node in definition.nodes)
    )


class _Touch(msgspec.Struct, gc=False):
    """One touchpoint being taken: its moment, value, items and own day, the day of its container's start, and where
    changes go."""

    moment: int
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
    """State as that of `CanvasLens`, then the windows of each arrow that has time limits, then the steps where they are
    asked for."""

    def __init__(self, definition: Canvas, version: str, calendar: Calendar) -> None:
        super().__init__(definition, version, calendar)
        self._trend = definition.trend
        metrics = {definition.metric, definition.secondary}
        self._sums_value = "value" in metrics
        self.fields |= {"value"} if self._sums_value else set()
        self._lay_out_items(definition)
        self._lay_out_limits(definition)
        # Per metric that is no count of containers: the kind of its cells, and whether it sums values.
        kinds = [(kind, kind == "v") for kind, metric in (("e", "events"), ("v", "value")) if metric in metrics]
        self._node_kinds = kinds
        self._arrow_kinds = [(f"a{kind}", sums) for kind, sums in kinds] if definition.arrow_values else []
        self._item_kinds = [(f"b{kind}", sums) for kind, sums in kinds]
        self._breaks_containers = "containers" in metrics

    def _lay_out_items(self, definition: Canvas) -> None:
        """Which dimensions are read, and per node the place of its own among them."""
        asked = [node.breakdown.dimension if node.breakdown else None for node in definition.nodes]
        stepping = definition.steps.dimension if definition.steps else None
        dimensions = sorted({each for each in (*asked, stepping) if each is not None})
        self._items = [item_of(each) for each in dimensions]
        self._item_place = [None if each is None else dimensions.index(each) for each in asked]
        self._step_place = 0 if stepping is None else dimensions.index(stepping)
        self._steps = None if stepping is None else Steps(self._arrows_out)
        self.fields |= {wire_field(each) for each in dimensions}

    def _lay_out_limits(self, definition: Canvas) -> None:
        """Per arrow its limits and the place of its windows, None without; per node those of its arrows, and which of
        them closes last, None where not all of them close."""
        limited = [number for number, arrow in enumerate(definition.arrows) if arrow.is_limited]
        self._limits = [Limits(each.after_ms, each.within_ms) for each in map(definition.arrows.__getitem__, limited)]
        self._limit_place = [limited.index(n) if n in limited else None for n in range(len(definition.arrows))]
        self._opens: list[list[int]] = []
        self._closes_last: list[int | None] = []
        for node in self._ids:
            leaving = [(n, place) for place, n in enumerate(limited) if definition.arrows[n].from_ == node]
            self._opens.append([place for _, place in leaving])
            longest = definition.falls_out_after_ms(node)
            closing = (place for n, place in leaving if definition.arrows[n].within_ms == longest)
            self._closes_last.append(None if longest is None else next(closing))

    def empty(self) -> State:
        windows: list[Windows] = [[] for _ in self._limits]
        return [*super().empty(), windows, *([self._steps.empty()] if self._steps else [])]

    def project(self, touchpoint: Touchpoint) -> Projection | None:
        mask = self._mask(touchpoint)
        if not mask and self._steps is None:
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
        touch = _Touch(event_time, value, items, self._day_of(event_time) if self._trend else 0, day, cells)
        if self._steps is not None:
            for node in self._steps.just_reached(state[STEPS]):
                touch.count("sn", node, items[self._step_place])
        before = reach = state[REACH]
        arrived = []
        node = 0
        while mask:
            if mask & 1:
                came = self._come_along(node, state, before, touch) or not self._parents[node]
                if came and self._opens[node]:
                    arrived.append(node)
                if came and not before >> node & 1:
                    self._reached(node, reach, day, cells)
                    self._detail_reach(node, state, touch)
                    reach |= 1 << node
                if reach >> node & 1:
                    touch.count_amounts(self._node_kinds, node)
                    self._break_event_down(node, touch)
            mask >>= 1
            node += 1
        state[REACH] = reach
        for node in arrived:
            self._open(node, state, touch)
        if self._steps is not None:
            self._steps.move(state[STEPS], items[self._step_place], before, reach, state[FOLLOWED])

    def _detail_reach(self, node: int, state: State, touch: _Touch) -> None:
        if self._steps is not None:
            for item in self._steps.previous(state[STEPS]):
                touch.count("sp", node, item)
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
            number = self._arrow_number[arrow]
            if before & origin_bit and self._is_open(number, state, touch.moment):
                came = True
                touch.count_amounts(self._arrow_kinds, number)
                if not state[FOLLOWED] & arrow:
                    self._followed(arrow, origin, state, touch)
        return came

    def _is_open(self, arrow: int, state: State, moment: int) -> bool:
        place = self._limit_place[arrow]
        return place is None or self._limits[place].is_open(state[WINDOWS][place], moment)

    def _open(self, node: int, state: State, touch: _Touch) -> None:
        """Opens the limited arrows of a node at which the touchpoint arrived."""
        windows = state[WINDOWS]
        if not state[FOLLOWED] & self._arrows_out[node]:
            self._count_overdue(node, windows, touch, -1)
        for place in self._opens[node]:
            windows[place] = self._limits[place].opened(windows[place], touch.moment)
        if not state[FOLLOWED] & self._arrows_out[node]:
            self._count_overdue(node, windows, touch, 1)

    def _count_overdue(self, node: int, windows: list[Windows], touch: _Touch, amount: int) -> None:
        """Adds to the cell of the hour at which the last arrow of a node has closed, if it was ever open and closes."""
        place = self._closes_last[node]
        if place is not None and windows[place]:
            over = windows[place][-1][1]
            assert over is not None, "an arrow with `within` closes"
            add(touch.cells, ("x", node, over // HOUR_MS + 1, touch.day), amount)

    def _followed(self, arrow: int, origin: int, state: State, touch: _Touch) -> None:
        number = self._arrow_number[arrow]
        touch.count("a", number)
        if self._trend:
            touch.count("ad", number, touch.own_day)
        if self._steps is not None:
            for item in self._steps.since(state[STEPS], origin):
                touch.count("sb", number, item)
        if not state[FOLLOWED] & self._arrows_out[origin]:
            touch.count("f", origin)
            if self._limits:
                self._count_overdue(origin, state[WINDOWS], touch, -1)
        state[FOLLOWED] |= arrow
