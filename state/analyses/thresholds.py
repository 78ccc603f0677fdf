"""Thresholds as functions of sums, and the sums, which may be larger than msgpack's integers."""

import operator
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from state.definitions import AllThresholds, Threshold, Thresholds
from streams.touchpoint import MILLIONTHS

Sums = list[int | str]  # beyond 64 bits, which msgpack lacks, as decimal text
Test = Callable[[Sums], bool]
_INT64 = range(-(2**63), 2**63)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge, ">": operator.gt, "=": operator.eq, "!=": operator.ne, "<=": operator.le, "<": operator.lt,
}  # fmt: skip


def holding(thresholds: Thresholds, places: Iterator[int]) -> Test:
    """The function from the sums to whether the thresholds hold. places: of the sums, in the order of the leaves."""
    if isinstance(thresholds, Threshold):
        return comparing(thresholds, next(places))
    joined = all if isinstance(thresholds, AllThresholds) else any
    parts = thresholds.all if isinstance(thresholds, AllThresholds) else thresholds.any
    tests = [holding(part, places) for part in parts]
    return lambda sums: joined(test(sums) for test in tests)


def comparing(threshold: Threshold, place: int) -> Test:
    """The function from the sums to whether the one at a place is as the threshold wants it."""
    compare = _COMPARE[threshold.op]
    unit = MILLIONTHS if threshold.metric == "value" else 1
    limit = Decimal(str(threshold.number)) * unit
    bound: int | Decimal = int(limit) if limit == int(limit) else limit
    return lambda sums: compare(int(sums[place]), bound)


def increase(sums: Sums, place: int, amount: int) -> None:
    """Adds to the sum at a place."""
    total = int(sums[place]) + amount
    sums[place] = total if total in _INT64 else str(total)
