"""The numbers of a flow. Text: `*` in all, `STEP:ITEM`, `STEP:ITEM>STEP:ITEM` for a link, `STEP:ITEM>exit`, and
`STEP:ITEM<entry` where paths begin. JSON, for items that text could take for something else, and for the rest:

["item", step, item] · ["link", step, item, step, item] · ["exit", step, item, direction] · ["path", [values before],
[values from the anchor on]] · ["more", step, [items shown]], the paths through any other item of the column
"""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from state.definitions import AnchorMatch, Flow
from state.figures.figure import Figure, unknown_cell
from state.flow_columns import admission_of, lengths_of
from state.render.days import Fold
from state.render.flow import BACK, ONWARD
from streams.partials import Cell

_LINK = re.compile(r"(-?\d{1,3}):(.+)>(-?\d{1,3}):(.+)", re.ASCII | re.DOTALL)
_END = re.compile(r"(-?\d{1,3}):(.+)(>exit|<entry)", re.ASCII | re.DOTALL)
_ITEM = re.compile(r"(-?\d{1,3}):(.+)", re.ASCII | re.DOTALL)
_RIGHT = (
    "a flow has * for all, STEP:ITEM, STEP:ITEM>STEP:ITEM, STEP:ITEM>exit and STEP:ITEM<entry, and as JSON"
    ' ["item", step, item], ["link", step, item, step, item], ["exit", step, item, direction],'
    ' ["more", step, [items]], ["path", [values before], [values from the anchor on]]'
)

Address = tuple[Any, ...]
Weight = Callable[[Cell], int]
Values = tuple[str, ...]


def flow_figure(flow: Flow, cell: str, fold: Fold) -> Figure:
    """The number of a flow with this address. Raises UsageError where there is none."""
    address = _address_of(cell)
    weigh = None if address is None else (_of_nodes if flow.count == "containers" else _of_paths)(flow, address)
    if weigh is None:
        raise unknown_cell(flow.name, cell, _RIGHT)

    def weight(one: Cell) -> int:
        place = fold(one)
        return 0 if place is None else weigh(place)

    return Figure(cell, weight)


def _address_of(cell: str) -> Address | None:
    if cell == "*":
        return ("total",)
    if cell.startswith("["):
        return _read_json(cell)
    if (found := _LINK.fullmatch(cell)) and abs(int(found[3]) - int(found[1])) == 1:
        return ("link", int(found[1]), found[2], int(found[3]), found[4])
    if found := _END.fullmatch(cell):
        return ("exit", int(found[1]), found[2], ONWARD if found[3] == ">exit" else BACK)
    if found := _ITEM.fullmatch(cell):
        return ("item", int(found[1]), found[2])
    return None


class _Item(msgspec.Struct, frozen=True, array_like=True, tag="item", forbid_unknown_fields=True):
    step: int
    item: str


class _Link(msgspec.Struct, frozen=True, array_like=True, tag="link", forbid_unknown_fields=True):
    from_step: int
    origin: str
    to_step: int
    target: str


class _Exit(msgspec.Struct, frozen=True, array_like=True, tag="exit", forbid_unknown_fields=True):
    step: int
    item: str
    direction: int


class _More(msgspec.Struct, frozen=True, array_like=True, tag="more", forbid_unknown_fields=True):
    step: int
    shown: tuple[str, ...]


class _Path(msgspec.Struct, frozen=True, array_like=True, tag="path", forbid_unknown_fields=True):
    back: tuple[str, ...]
    fore: tuple[str, ...]


_decode = msgspec.json.Decoder(_Item | _Link | _Exit | _More | _Path).decode


def _read_json(cell: str) -> Address | None:
    try:
        found = _decode(cell)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None
    return (str(type(found).__struct_config__.tag), *msgspec.structs.astuple(found))


def _title_of(flow: Flow) -> str | None:
    """What stands for an anchor that is a condition."""
    anchor = flow.starts_with or flow.ends_with
    return anchor.title if isinstance(anchor, AnchorMatch) else None


# --- distinct containers: a cell is a number


def _of_nodes(flow: Flow, address: Address) -> Weight | None:
    title = _title_of(flow)
    match address:
        case ("total",):
            return lambda cell: int(cell[:2] == ("n", 0))
        case ("item", step, item):
            wanted: Cell = ("n", step, item)
        case ("link", *link):
            wanted = ("l", *link)
        case ("exit", *end):
            wanted = ("x", *end)
        case _:
            return None
    return lambda cell: int(tuple(title if part is None else part for part in cell) == wanted)


# --- occurrences: a cell is (values before the anchor, nearest first; values from it on)


def _of_paths(flow: Flow, address: Address) -> Weight | None:
    title = _title_of(flow)
    holds = _test_of(flow, address)
    if holds is None:
        return None

    admits = admission_of(flow)

    def weight(cell: Cell) -> int:
        back, fore = cell
        if fore[0] is None:
            fore = (str(title), *fore[1:])
        return int((admits is None or admits(back, fore)) and holds(back, fore))

    return weight


def _test_of(flow: Flow, address: Address) -> Callable[[Values, Values], bool] | None:
    """Whether a path counts in the number."""
    back_most, onward_most = lengths_of(flow)
    match address:
        case ("total",):
            return lambda *_: True
        case ("item", step, item):
            return lambda back, fore: _at(step, back, fore) == item
        case ("more", step, shown):
            return lambda back, fore: (item := _at(step, back, fore)) is not None and item not in shown
        case ("link", step, item, to_step, target) if to_step - step == (ONWARD if to_step > 0 else BACK):
            return lambda back, fore: _at(step, back, fore) == item and _at(to_step, back, fore) == target
        case ("exit", step, item, 1):
            return lambda _, fore: len(fore) == step + 1 < onward_most and fore[-1] == item
        case ("exit", step, item, -1):
            return lambda back, fore: len(back) == -step < back_most and _at(step, back, fore) == item
        case ("path", before, values):
            return lambda back, fore: (back, fore) == (before, values)
        case _:
            return None


def _at(step: int, back: Values, fore: Values) -> str | None:
    """The value that many steps from the anchor; None behind either end."""
    values, place = (fore, step) if step >= 0 else (back, -step - 1)
    return values[place] if place < len(values) else None
