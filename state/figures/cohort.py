"""The numbers of a cohort table. ROW is a period, or with a dimension an item: `ROW` for those included in it, `ROW+K`
for its cell K periods later (`ROW+-K` before), `ROW/returned` and `ROW/within:SECONDS` for first returns. JSON, for
items that text could take for something else, and for the rest:

["included", row] · ["cell", row, k] · ["of", row, k], what a pooled cell's share is of · ["returned", row] ·
["within", row, seconds]. With a dimension a row may be null, or a list of the items shown: the row of all others.

With a dimension a cell pools the periods that are over, so it takes the clock of the snapshot that shows it.
"""

import re
from collections.abc import Callable
from datetime import date
from functools import lru_cache
from typing import Any, assert_never

import msgspec

from state.calendar import Calendar
from state.definitions import Cohort, Granularity
from state.durations import last_second_of
from state.figures.figure import ClockNeededError, Figure, Weight, folded, read_json, unknown_cell
from state.figures.items import Items, test_of
from state.render.cohort import NO_VALUE, current_period, label_of
from state.render.cohort_rows import Columns
from state.render.days import Fold
from state.render.ranges import EPOCH
from streams.partials import Cell

_CELL = re.compile(
    r"(?P<label>.+?)(?:\+(?P<k>-?\d{1,3})|/(?P<returned>returned)|/within:(?P<seconds>\d{1,12}))?",
    re.ASCII | re.DOTALL,
)
_NUMBERS = re.compile(r"\d{1,9}", re.ASCII)
_EXAMPLE_DAY = 20_454  # 2026-01-01


class _Included(msgspec.Struct, frozen=True, array_like=True, tag="included", forbid_unknown_fields=True):
    row: Items


class _Column(msgspec.Struct, frozen=True, array_like=True, tag="cell", forbid_unknown_fields=True):
    row: Items
    k: int


class _Of(msgspec.Struct, frozen=True, array_like=True, tag="of", forbid_unknown_fields=True):
    row: Items
    k: int


class _Returned(msgspec.Struct, frozen=True, array_like=True, tag="returned", forbid_unknown_fields=True):
    row: Items


class _Within(msgspec.Struct, frozen=True, array_like=True, tag="within", forbid_unknown_fields=True):
    row: Items
    seconds: int


_Address = _Included | _Column | _Of | _Returned | _Within
_decoder: msgspec.json.Decoder[_Address] = msgspec.json.Decoder(_Address)


def cohort_figure(cohort: Cohort, calendar: Calendar, cell: str, fold: Fold, clock_ms: int | None) -> Figure:
    """The number of a cohort table with this address. Raises UsageError where there is none, ClockNeededError."""
    address = _address_of(cell)
    if address is None or not _fits(cohort, address):
        raise unknown_cell(cohort.name, cell, _right(cohort, calendar))
    if cohort.dimension is not None:
        return _of_items(cohort, calendar, address, cell, fold, clock_ms)
    bucket = _bucket_of(calendar, cohort.granularity, address.row) if isinstance(address.row, str) else None
    if bucket is None or isinstance(address, _Of):
        raise unknown_cell(cohort.name, cell, _right(cohort, calendar))
    weigh = _weigh(cohort, address)
    may_stand = _included_in(calendar, cohort.granularity, bucket) if cohort.include == "first" else None
    return Figure(cell, folded(fold, lambda one: weigh(one) if one[1] == bucket else 0), may_stand)


def _address_of(cell: str) -> _Address | None:
    if cell.startswith("["):
        return read_json(_decoder, cell)
    found = _CELL.fullmatch(cell)
    if found is None:
        return None
    row = None if found["label"] == NO_VALUE else found["label"]
    if found["k"] is not None:
        return _Column(row, int(found["k"]))
    if found["returned"] is not None:
        return _Returned(row)
    return _Included(row) if found["seconds"] is None else _Within(row, int(found["seconds"]))


def _fits(cohort: Cohort, address: _Address) -> bool:
    """Whether a table has numbers of this kind, in these columns."""
    if isinstance(address, _Column | _Of):
        return cohort.first_period <= address.k <= cohort.period_count
    return isinstance(address, _Included) or cohort.velocity


def _right(cohort: Cohort, calendar: Calendar) -> str:
    if cohort.dimension is None:
        example = label_of(calendar, cohort.granularity, calendar.bucket_of_day(cohort.granularity)(_EXAMPLE_DAY))
        rows = f"its rows are periods such as {example}, its cells {example}+K"
    else:
        example = "ITEM"
        rows = f"its rows are items, {NO_VALUE} without one, its cells ITEM+K"
    velocity = f"; {example}/returned and {example}/within:SECONDS are first returns" if cohort.velocity else ""
    json = '["included", row], ["cell", row, k], ["of", row, k], ["returned", row], ["within", row, seconds]'
    return (
        f"{rows} with K from {cohort.first_period} to {cohort.period_count}{velocity}; as JSON {json}, where with a"
        " dimension a list of the items shown is the row of all others"
    )


# --- rows of items, which pool periods


def _of_items(
    cohort: Cohort, calendar: Calendar, address: _Address, cell: str, fold: Fold, clock_ms: int | None
) -> Figure:
    is_in_row, weigh = test_of(address.row), _weigh(cohort, address)
    is_known = _known(cohort, calendar, address, cell, clock_ms)

    def weight(one: Cell) -> int:
        return weigh(one[:-1]) if is_in_row(one[-1]) and is_known(one[1]) else 0

    return Figure(cell, folded(fold, weight), _stands_anywhere if cohort.include == "first" else None)


def _known(
    cohort: Cohort, calendar: Calendar, address: _Address, cell: str, clock_ms: int | None
) -> Callable[[int], bool]:
    """Whether the inclusions of a period count in the number."""
    if not isinstance(address, _Column | _Of):
        return lambda _: True
    if clock_ms is None:
        raise ClockNeededError(cohort.name, cell)
    columns, k = Columns(cohort, current_period(cohort, calendar, clock_ms)), address.k
    return lambda start: k < columns.known_end(start)


def _stands_anywhere(position: Any) -> bool:
    return position is not None


# --- what a number is made of


def _weigh(cohort: Cohort, address: _Address) -> Weight:
    """How often a cell, without its item, counts in the number, whatever the period of its inclusion."""
    match address:
        case _Included():
            return lambda one: int(one[0] == "i")
        case _Column(k=k):
            return _weigher(lambda start: _weights(cohort, start, k))
        case _Of(k=k):
            return _weigher(lambda start: _base(cohort, start, k))
        case _Returned():
            return lambda one: int(one[0] == "v")
        case _Within(seconds=seconds):
            return lambda one: int(one[0] == "v" and last_second_of(one[3]) <= seconds)
        case _ as never:
            assert_never(never)


def _weigher(weights_of: Callable[[int], dict[Cell, int]]) -> Weight:
    """From the weights by the period of inclusion."""
    kept = lru_cache(maxsize=None)(weights_of)
    return lambda one: kept(one[1]).get(one, 0)


def _base(cohort: Cohort, bucket: int, k: int) -> dict[Cell, int]:
    """What the share of a cell is of."""
    return _weights(cohort, bucket, k - 1) if cohort.mode == "rolling" and k > 0 else {("i", bucket): 1}


def _weights(cohort: Cohort, bucket: int, k: int) -> dict[Cell, int]:
    """What a cell of the table is made of, for the inclusions of one period."""
    included: Cell = ("i", bucket)
    match cohort.mode:
        case "retention":
            return {("r", bucket, k): 1}
        case "churn":
            return {included: 1, ("r", bucket, k): -1}
        case "rolling":
            return {("s", bucket, k): 1} if k > 0 else {included: 1}
        case "cumulative":
            return {("f", bucket, each): 1 for each in (range(k + 1) if k >= 0 else range(k, 0))}
        case _ as never:
            assert_never(never)


def _included_in(calendar: Calendar, granularity: Granularity, bucket: int) -> Any:
    first_day = calendar.date_of_day(calendar.bucket_start_day(granularity, bucket)).isoformat()
    return lambda position: position is not None and first_day in position


def _bucket_of(calendar: Calendar, granularity: Granularity, label: str) -> int | None:
    """The period that readers see under this label; None for any other text."""
    year, *rest = [int(digits) for digits in _NUMBERS.findall(label)] or [0]
    month_and_day = [3 * rest[0] - 2] if granularity == "quarter" and rest else rest
    try:
        day = (date(year, *[*month_and_day, 1, 1][:2]) - EPOCH).days
        bucket = calendar.bucket_of_day(granularity)(day)
        return bucket if label_of(calendar, granularity, bucket) == label else None
    except (ValueError, IndexError, OverflowError):
        return None
