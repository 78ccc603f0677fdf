"""The numbers of a flow. Text: `*` in all, `left-out`, `STEP:ITEM`, `STEP:ITEM>STEP:ITEM` for a link,
`STEP:ITEM>exit`, and `STEP:ITEM<entry` where paths begin. JSON, for items that text could take for something else, and
for the rest:

["item", step, item] · ["link", step, item, step, item] · ["exit", step, item, direction] · ["path", [values before],
[values from the anchor on]] · ["more", step, [items shown]], the paths through any other item of the column ·
["through", [[step, item]], ADDRESS], the number where only the paths through these items are shown

Of paths an item may also be a list of the items shown: all others, which are shown as `more`.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from state.definitions import AnchorMatch, Flow
from state.figures.figure import Figure, Weight, folded, read_json, unknown_cell
from state.figures.items import test_of
from state.flow_columns import admission_of, item_at, lengths_of
from state.render.days import Fold
from state.render.flow import BACK, ONWARD, Place
from streams.partials import Cell

_LINK = re.compile(r"(-?\d{1,3}):(.+)>(-?\d{1,3}):(.+)", re.ASCII | re.DOTALL)
_END = re.compile(r"(-?\d{1,3}):(.+)(>exit|<entry)", re.ASCII | re.DOTALL)
_ITEM = re.compile(r"(-?\d{1,3}):(.+)", re.ASCII | re.DOTALL)
LEFT_OUT = "left-out"
_RIGHT = (
    "a flow has * for all, STEP:ITEM, STEP:ITEM>STEP:ITEM, STEP:ITEM>exit and STEP:ITEM<entry, left-out where columns"
    ' have filters; as JSON ["item", step, item], ["link", step, item, step, item], ["exit", step, item, direction]'
    ' and, of paths, ["more", step, [items]], ["path", [values before], [values from the anchor on]],'
    ' ["through", [[step, item]], ADDRESS], and a list of the items shown in the place of an item for all others'
)

Address = tuple[Any, ...]
Values = tuple[str, ...]
Items = str | tuple[str, ...]
Holds = Callable[[Values, Values], bool]


def flow_figure(flow: Flow, cell: str, fold: Fold) -> Figure:
    """The number of a flow with this address. Raises UsageError where there is none."""
    address = _address_of(cell)
    weigh = None
    if address is not None and _fits(flow, address):
        weigh = (_of_nodes if flow.count == "containers" else _of_paths)(flow, address)
    if weigh is None:
        columns = f"; its columns go from {flow.first_step} to {flow.last_step}, where 0 is the anchor"
        raise unknown_cell(flow.name, cell, _RIGHT + columns)
    return Figure(cell, folded(fold, weigh))


def address_through(places: Sequence[Place], cell: str) -> str:
    """The address of a number where only the paths through these items are shown."""
    of = msgspec.Raw(cell.encode()) if cell.startswith("[") else cell
    return msgspec.json.encode(("through", places, of)).decode()


def _address_of(cell: str) -> Address | None:
    if cell in ("*", LEFT_OUT):
        return (cell,)
    if cell.startswith("["):
        return _read_json(cell)
    if (found := _LINK.fullmatch(cell)) and abs(int(found[3]) - int(found[1])) == 1:
        return ("link", int(found[1]), found[2], int(found[3]), found[4])
    if found := _END.fullmatch(cell):
        return ("exit", int(found[1]), found[2], ONWARD if found[3] == ">exit" else BACK)
    if found := _ITEM.fullmatch(cell):
        return ("item", int(found[1]), found[2])
    return None


def _fits(flow: Flow, address: Address) -> bool:
    """Whether the flow has these columns, and ways between them."""
    columns = range(flow.first_step, flow.last_step + 1)
    match address:
        case ("left-out",):
            return admission_of(flow) is not None
        case ("item" | "more", step, _):
            return step in columns
        case ("link", step, _, to_step, _):
            leads_away = step * to_step >= 0 and abs(to_step) == abs(step) + 1
            return to_step in columns and leads_away
        case ("exit", step, _, direction):
            return step in columns and direction in (ONWARD, BACK) and step * direction >= 0
        case ("through", places, of):
            return all(step in columns for step, _ in places) and of != ("left-out",) and _fits(flow, of)
    return True


class _Item(msgspec.Struct, frozen=True, array_like=True, tag="item", forbid_unknown_fields=True):
    step: int
    item: Items


class _Link(msgspec.Struct, frozen=True, array_like=True, tag="link", forbid_unknown_fields=True):
    from_step: int
    origin: Items
    to_step: int
    target: Items


class _Exit(msgspec.Struct, frozen=True, array_like=True, tag="exit", forbid_unknown_fields=True):
    step: int
    item: Items
    direction: int


class _More(msgspec.Struct, frozen=True, array_like=True, tag="more", forbid_unknown_fields=True):
    step: int
    shown: tuple[str, ...]


class _Path(msgspec.Struct, frozen=True, array_like=True, tag="path", forbid_unknown_fields=True):
    back: tuple[str, ...]
    fore: tuple[str, ...]


_Plain = _Item | _Link | _Exit | _More | _Path


class _Through(msgspec.Struct, frozen=True, array_like=True, tag="through", forbid_unknown_fields=True):
    places: tuple[tuple[int, str], ...]
    of: _Plain | str


_decoder: msgspec.json.Decoder[_Plain | _Through] = msgspec.json.Decoder(_Plain | _Through)


def _read_json(cell: str) -> Address | None:
    found = read_json(_decoder, cell)
    if found is None:
        return None
    if not isinstance(found, _Through):
        return _parts_of(found)
    of = _address_of(found.of) if isinstance(found.of, str) else _parts_of(found.of)
    return None if of is None or not found.places else ("through", found.places, of)


def _parts_of(found: _Plain) -> Address:
    return (str(type(found).__struct_config__.tag), *msgspec.structs.astuple(found))


def _title_of(flow: Flow) -> str | None:
    """What stands for an anchor that is a condition."""
    anchor = flow.starts_with or flow.ends_with
    return anchor.title if isinstance(anchor, AnchorMatch) else None


# --- distinct containers: a cell is a number


def _of_nodes(flow: Flow, address: Address) -> Weight | None:
    title = _title_of(flow)
    match address:
        case ("*",):
            return lambda cell: int(cell[:2] == ("n", 0))
        case ("left-out",):
            return lambda cell: int(cell[0] == "t") - int(cell[:2] == ("n", 0))
        case ("item", step, str(item)):
            wanted: Cell = ("n", step, item)
        case ("link", step, str(item), to_step, str(target)):
            wanted = ("l", step, item, to_step, target)
        case ("exit", step, str(item), direction):
            wanted = ("x", step, item, direction)
        case _:
            return None
    return lambda cell: int(tuple(title if part is None else part for part in cell) == wanted)


# --- occurrences: a cell is (values before the anchor, nearest first; values from it on)


def _of_paths(flow: Flow, address: Address) -> Weight:
    title, admits = _title_of(flow), admission_of(flow)
    holds = None if address == ("left-out",) else _test_of(flow, address)

    def weight(cell: Cell) -> int:
        back, fore = cell
        if fore[0] is None:
            fore = (str(title), *fore[1:])
        if admits is not None and not admits(back, fore):
            return int(holds is None)
        return int(holds is not None and holds(back, fore))

    return weight


def _test_of(flow: Flow, address: Address) -> Holds:
    """Whether a path that counts does so in the number."""
    back_most, onward_most = lengths_of(flow)
    match address:
        case ("item" | "more", step, items):
            return _through(step, items)
        case ("link", step, items, to_step, targets):
            origin, end = _through(step, items), _through(to_step, targets)
            return lambda back, fore: origin(back, fore) and end(back, fore)
        case ("exit", step, items, direction):
            ends, longest = _through(step, items), onward_most if direction == ONWARD else back_most + 1
            length = abs(step) + 1
            if direction == ONWARD:
                return lambda back, fore: len(fore) == length < longest and ends(back, fore)
            return lambda back, fore: len(back) + 1 == length < longest and ends(back, fore)
        case ("path", before, values):
            return lambda back, fore: (back, fore) == (before, values)
        case ("through", places, of):
            holds, tests = _test_of(flow, of), [_through(*place) for place in places]
            return lambda back, fore: all(test(back, fore) for test in tests) and holds(back, fore)
    return lambda *_: True


def _through(step: int, items: Items) -> Holds:
    """Whether a path has one of these items in a column, in which it may have none."""
    holds = test_of(items)
    return lambda back, fore: (item := item_at(back, fore, step)) is not None and holds(item)
