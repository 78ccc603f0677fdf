"""The numbers of a canvas: `*` containers in all, and PLACE or PLACE/PART, where a place is `NODE` or `NODE>NODE` for
an arrow. Of parts with items PLACE/PART:ITEM, or for any item and for `more` as JSON [PART, PLACE, ITEM].
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Literal, NamedTuple

import msgspec

from state.definitions import Canvas, Metric, Node
from state.figures.figure import ClockNeededError, Figure, Weight, folded, read_json, unknown_cell, weigher
from state.figures.items import Items, test_of
from state.render.canvas import CELL_BY_METRIC, HOUR_MS
from state.render.canvas_items import BREAKDOWN_CELL
from state.render.cohort import NO_VALUE
from state.render.days import Fold
from state.render.ranges import EPOCH
from streams.partials import Cell

_TEXT = re.compile(r"(?P<place>[^/]+)(?:/(?P<part>[a-z-]+)(?::(?P<item>.+))?)?", re.ASCII | re.DOTALL)
_RIGHT = (
    "a canvas has * for all, NODE, NODE>NODE and NODE/fallout, and as far as it asks for them NODE/second,"
    " NODE/final-fallout, NODE>NODE/amount, NODE>NODE/second, NODE/by:ITEM, NODE/second-by:ITEM, NODE/next:ITEM,"
    " NODE/previous:ITEM, NODE>NODE/between:ITEM, and /day:2026-03-01 behind either; as JSON"
    ' ["by", "NODE", item or [items shown]]; of the nodes '
)

NO_ITEMS: Any = object()


class _Address(NamedTuple):
    """A place of the canvas, which of its numbers (None: the first), and its items, NO_ITEMS for one without."""

    place: str
    part: str | None
    items: Any


class _OfItem(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    part: Literal["by", "second-by", "next", "previous", "between", "day"]
    place: str
    items: Items


_decoder = msgspec.json.Decoder(_OfItem)


class _Number(NamedTuple):
    """weigh: of a cell without its day. node: which every contributing container has reached."""

    weigh: Weight
    node: str
    is_value: bool = False


def canvas_figure(canvas: Canvas, cell: str, fold: Fold, clock_ms: int | None) -> Figure:
    """The number of a canvas with this address. Raises UsageError where there is none, ClockNeededError."""
    if cell == "*":
        return Figure(cell, weigher(fold, {("t",): 1}))
    address = _address_of(cell)
    number = None
    if address is not None:
        number = _of_node(canvas, address, cell, clock_ms) or _of_arrow(canvas, address)
    if number is None:
        raise unknown_cell(canvas.name, cell, _RIGHT + ", ".join(node.id for node in canvas.nodes))
    return Figure(cell, folded(fold, number.weigh), _stands_at(number.node), number.is_value)


def _address_of(cell: str) -> _Address | None:
    if cell.startswith("["):
        found = read_json(_decoder, cell)
        return None if found is None else _Address(found.place, found.part, found.items)
    text = _TEXT.fullmatch(cell)
    if text is None:
        return None
    item = None if text["item"] == NO_VALUE else text["item"]
    return _Address(text["place"], text["part"], NO_ITEMS if text["item"] is None else item)


def _of_node(canvas: Canvas, address: _Address, cell: str, clock_ms: int | None) -> _Number | None:
    place, part, items = address
    found = {each.id: (number, each) for number, each in enumerate(canvas.nodes)}.get(place)
    if found is None:
        return None
    number, node = found
    if items is not NO_ITEMS:
        return _of_items(_item_cells_of_node(canvas, node).get(part), number, items, place)
    match part:
        case None:
            return _of_metric(canvas.metric, CELL_BY_METRIC[canvas.metric], number, place)
        case "second" if canvas.secondary:
            return _of_metric(canvas.secondary, CELL_BY_METRIC[canvas.secondary], number, place)
        case "fallout" if any(arrow.from_ == place for arrow in canvas.arrows):
            weights: dict[Cell, int] = {("n", number): 1, ("f", number): -1}
            return _Number(lambda one: weights.get(one, 0), place)
        case "final-fallout" if canvas.falls_out_after_ms(place) is not None:
            if clock_ms is None:
                raise ClockNeededError(canvas.name, cell)
            hour = clock_ms // HOUR_MS
            return _Number(lambda one: int(one[:2] == ("x", number) and one[2] <= hour), place)
    return None


def _item_cells_of_node(canvas: Canvas, node: Node) -> Mapping[str | None, str]:
    """By part with items the cells that it is made of."""
    cells: dict[str | None, str] = {"day": "nd"} if canvas.trend else {}
    if canvas.steps:
        cells |= {"next": "sn", "previous": "sp"}
    if node.breakdown:
        cells["by"] = BREAKDOWN_CELL[canvas.metric]
        if canvas.secondary:
            cells["second-by"] = BREAKDOWN_CELL[canvas.secondary]
    return cells


def _of_arrow(canvas: Canvas, address: _Address) -> _Number | None:
    place, part, items = address
    found = {f"{each.from_}>{each.to}": (number, each.to) for number, each in enumerate(canvas.arrows)}.get(place)
    if found is None:
        return None
    number, end = found
    if items is not NO_ITEMS:
        cells: dict[str | None, str] = {"day": "ad"} if canvas.trend else {}
        cells |= {"between": "sb"} if canvas.steps else {}
        return _of_items(cells.get(part), number, items, end)
    if part is None:
        return _of_metric("containers", "a", number, end)
    metric = {"amount": canvas.metric, "second": canvas.secondary}.get(part)
    if not canvas.arrow_values or metric is None or metric == "containers":
        return None
    return _of_metric(metric, f"a{CELL_BY_METRIC[metric]}", number, end)


def _of_metric(metric: Metric, kind: str, number: int, node: str) -> _Number:
    return _Number(lambda one: int(one == (kind, number)), node, metric == "value")


def _of_items(kind: str | None, number: int, items: Items, node: str) -> _Number | None:
    """The cells of a kind (None: the canvas has no such part) at these items; a day's item is its number."""
    if kind is None:
        return None
    if kind in ("nd", "ad"):
        day = _day_of(items)
        return None if day is None else _Number(lambda one: int(one == (kind, number, day)), node)
    holds = test_of(items)
    metric = {cell: metric for metric, cell in BREAKDOWN_CELL.items()}.get(kind)
    return _Number(lambda one: int(one[:2] == (kind, number) and holds(one[2])), node, metric == "value")


def _day_of(items: Items) -> int | None:
    """The number of a day such as 2026-03-01; None for any other text."""
    try:
        day = date.fromisoformat(items) if isinstance(items, str) else None
    except ValueError:
        return None
    return (day - EPOCH).days if day is not None and day.isoformat() == items else None


def _stands_at(node: str) -> Callable[[Any], bool]:
    return lambda position: position is not None and node in position
