"""One number as a sum over cells."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from state.render.days import Fold
from streams.errors import UsageError
from streams.partials import Cell
from streams.shown import shown

_SHOWN_MAX = 200
Weight = Callable[[Cell], int]
Address = TypeVar("Address")


class Figure(msgspec.Struct, frozen=True):
    """cell: its address. weight: how often a cell, with its day, counts in it; 0 for most. may_stand: whether a
    container that stands at such a position (`state.analyses.lens.Placing`) can contribute; None when that does not
    tell. is_value: whether it is an amount in millionths and no count."""

    cell: str
    weight: Weight
    may_stand: Callable[[Any], bool] | None = None
    is_value: bool = False


class ClockNeededError(UsageError):
    """The number depends on what is over by the clock, and none was given."""

    def __init__(self, name: str, cell: str) -> None:
        super().__init__(
            f"{name}: the number {shown(cell, _SHOWN_MAX)!r} is of what is over by the clock, so it is one of a"
            " snapshot: give clock_ms, as the snapshot has it"
        )


def read_json(decoder: "msgspec.json.Decoder[Address]", cell: str) -> Address | None:
    """The address that JSON holds; None when it holds none."""
    try:
        return decoder.decode(cell)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None


def weigher(fold: Fold, weights: Mapping[Cell, int]) -> Weight:
    """The function from a cell to the weight of what `fold` makes of it; what is not listed counts nothing."""
    return folded(fold, lambda place: weights.get(place, 0))


def folded(fold: Fold, weigh: Weight) -> Weight:
    """The function from a cell to what `weigh` says of what `fold` makes of it."""

    def weight(cell: Cell) -> int:
        place = fold(cell)
        return 0 if place is None else weigh(place)

    return weight


def unknown_cell(name: str, cell: str, right: str) -> UsageError:
    """The error for an address that an analysis does not have. right: what it has."""
    return UsageError(f"{name} has no number {shown(cell, _SHOWN_MAX)!r}; {right}")
