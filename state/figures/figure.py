"""One number as a sum over cells."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from state.render.days import Fold
from streams.errors import UsageError
from streams.partials import Cell
from streams.shown import shown

_SHOWN_MAX = 200


class Figure(msgspec.Struct, frozen=True):
    """cell: its address. weight: how often a cell, with its day, counts in it; 0 for most. may_stand: whether a
    container that stands at such a position (`state.analyses.lens.Placing`) can contribute; None when that does not
    tell. is_value: whether it is an amount in millionths and no count."""

    cell: str
    weight: Callable[[Cell], int]
    may_stand: Callable[[Any], bool] | None = None
    is_value: bool = False


def weigher(fold: Fold, weights: Mapping[Cell, int]) -> Callable[[Cell], int]:
    """The function from a cell to the weight of what `fold` makes of it; what is not listed counts nothing."""

    def weight(cell: Cell) -> int:
        place = fold(cell)
        return 0 if place is None else weights.get(place, 0)

    return weight


def unknown_cell(name: str, cell: str, right: str) -> UsageError:
    """The error for an address that an analysis does not have. right: what it has."""
    return UsageError(f"{name} has no number {shown(cell, _SHOWN_MAX)!r}; {right}")
