"""Cohorts in the most naive way, straight from docs/semantics.md: every period's touchpoints, prefix by prefix."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from state.definitions import AllThresholds, AnyThreshold, Cohort, Threshold
from streams.touchpoint import Touchpoint
from tests.oracles.brute import Cells, LocalDay, Series, dimension_text, field_of, holds


def bucket_of(day: int, granularity: str, week_start: str) -> int:
    """The calendar period that a local day belongs to."""
    that = date(1970, 1, 1) + timedelta(days=day)
    if granularity == "day":
        return day
    if granularity == "week":
        names = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
        first = next(d for d in range(7) if (date(1970, 1, 1) + timedelta(days=d)).weekday() == names.index(week_start))
        return (day - first) // 7
    if granularity == "month":
        return (that.year - 1970) * 12 + that.month - 1
    if granularity == "quarter":
        return (that.year - 1970) * 4 + (that.month - 1) // 3
    return that.year - 1970


def cohort_cells(
    analysis: Cohort, series_by_container: Series, local_day_of: LocalDay, week_start: str = "monday"
) -> Cells:
    """The cohort's cells over all containers."""
    cells: Counter[tuple[Any, ...]] = Counter()
    for series in series_by_container.values():
        buckets: dict[int, list[Touchpoint]] = {}
        for touchpoint in series:
            day = local_day_of(touchpoint.event_time)
            buckets.setdefault(bucket_of(day, analysis.granularity, week_start), []).append(touchpoint)
        included = sorted(b for b, inside in buckets.items() if thresholds_hold(analysis.inclusion, inside))
        if analysis.include == "first":
            included = included[:1]
        for bucket in included:
            cells.update(_cells_of_inclusion(analysis, buckets, bucket))
    return dict(cells)


def _cells_of_inclusion(analysis: Cohort, buckets: dict[int, list[Touchpoint]], start: int) -> list[tuple[Any, ...]]:
    """What one included period of one container adds to."""
    before = -analysis.period_count if analysis.latency else 0
    returns = [
        k
        for k in range(before, analysis.period_count + 1)
        if start + k in buckets and _returned(analysis, buckets[start + k], k)
    ]
    since = _last_became_true(buckets[start], lambda seen: thresholds_hold(analysis.inclusion, seen))
    cells: list[tuple[Any, ...]] = [("i", start)]
    later, earlier = [k for k in returns if k >= 0], [k for k in returns if k < 0]
    if analysis.mode in ("retention", "churn"):
        cells += [("r", start, k) for k in returns]
    if analysis.mode == "rolling":
        cells += [("s", start, k) for k in returns if all(j in returns for j in range(1, k)) and k >= 1]
    if analysis.mode == "cumulative":
        cells += [("f", start, k) for k in [*later[:1], *earlier[-1:]]]
    if analysis.velocity and later:
        back = _moment_of_return(analysis, buckets[start + later[0]], later[0])
        cells.append(("v", start, later[0], _duration_bucket(back - since.event_time)))
    if analysis.dimension is not None:
        item = dimension_text(field_of(since, analysis.dimension))
        cells = [(*cell, item) for cell in cells]
    return cells


def _duration_bucket(duration_ms: int) -> int:
    """Found by counting: seconds one by one up to 63, then 32 buckets for each doubling."""
    seconds = duration_ms // 1000
    if seconds < 64:
        return seconds
    bucket, low, width = 64, 64, 2
    while seconds >= low + 32 * width:
        bucket, low, width = bucket + 32, low + 32 * width, width * 2
    return bucket + (seconds - low) // width


def _last_became_true(inside: Sequence[Touchpoint], test: Callable[[Sequence[Touchpoint]], bool]) -> Touchpoint:
    """The touchpoint up to which the test holds although it did not up to the one before; the last such one."""
    held = [False, *(test(inside[: p + 1]) for p in range(len(inside)))]
    return [each for p, each in enumerate(inside) if held[p + 1] and not held[p]][-1]


def _moment_of_return(analysis: Cohort, inside: list[Touchpoint], k: int) -> int:
    if k > 0:
        return _last_became_true(inside, lambda seen: thresholds_hold(analysis.return_, seen)).event_time

    def both(seen: Sequence[Touchpoint]) -> bool:
        return thresholds_hold(analysis.inclusion, seen) and _returned(analysis, list(seen), 0)

    return _last_became_true(inside, both).event_time


def _returned(analysis: Cohort, inside: list[Touchpoint], k: int) -> bool:
    if k == 0 and not can_revert(analysis.inclusion):
        became = next(p for p in range(len(inside)) if thresholds_hold(analysis.inclusion, inside[: p + 1]))
        inside = inside[became + 1 :]
    return thresholds_hold(analysis.return_, inside)


def can_revert(thresholds: Any) -> bool:
    """Whether one more event could make thresholds that hold fail."""
    if isinstance(thresholds, Threshold):
        return not (thresholds.metric == "count" and thresholds.op in (">=", ">"))
    inner = thresholds.all if isinstance(thresholds, AllThresholds) else thresholds.any
    return any(can_revert(each) for each in inner)


def thresholds_hold(thresholds: Any, inside: Sequence[Touchpoint]) -> bool:
    """Whether the thresholds hold over these touchpoints."""
    if isinstance(thresholds, AllThresholds):
        return all(thresholds_hold(each, inside) for each in thresholds.all)
    if isinstance(thresholds, AnyThreshold):
        return any(thresholds_hold(each, inside) for each in thresholds.any)
    matching = [each for each in inside if holds(thresholds.match, each)]
    found, wanted = len(matching), Decimal(str(thresholds.number))
    if thresholds.metric == "value":
        found, wanted = sum(each.value or 0 for each in matching), wanted * 1_000_000
    return {
        ">=": found >= wanted,
        ">": found > wanted,
        "=": found == wanted,
        "!=": found != wanted,
        "<=": found <= wanted,
        "<": found < wanted,
    }[thresholds.op]
