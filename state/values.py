"""The values that a partition's touchpoints have in a dimension, with how many have each.

No row says so, and no event pays for it: every touchpoint is looked at, in the order of the accounts, until the time is
over. Budget: 2 µs a touchpoint.
"""

from collections.abc import Callable

import msgspec

from state.analyses.dimension import item_of
from state.conditions import wire_field
from state.rows import TOUCHPOINTS_PREFIX
from streams.store import Rows
from streams.touchpoint import prefix_decoder

IsDue = Callable[[], bool]
_ROWS_PER_LOOK = 256


class Values(msgspec.Struct):
    """count_by_value: how many touchpoints have each. looked_at: how many rows. is_complete: these are all."""

    count_by_value: dict[str, int]
    looked_at: int
    is_complete: bool


def values_of(rows: Rows, dimension: str, is_due: IsDue) -> Values:
    """The values, as far as was looked before it `is_due`."""
    item, decode = item_of(dimension), prefix_decoder([wire_field(dimension)])
    counts: dict[str, int] = {}
    number = 0
    for number, (_, value) in enumerate(rows.scan(TOUCHPOINTS_PREFIX), 1):
        touchpoint = decode(value)
        if not touchpoint.withdrawn and (found := item(touchpoint)) is not None:
            counts[found] = counts.get(found, 0) + 1
        if number % _ROWS_PER_LOOK == 0 and is_due():
            return Values(counts, number, is_complete=False)
    return Values(counts, number, is_complete=True)


def most_frequent(count_by_value: dict[str, int], beginning: str, count: int) -> list[tuple[str, int]]:
    """Of the values that begin with a text, whatever the case, the `count` most frequent; of equal ones the first."""
    wanted = beginning.casefold()
    found = [each for each in count_by_value.items() if each[0].casefold().startswith(wanted)]
    return sorted(found, key=lambda each: (-each[1], each[0]))[:count]
