"""Bodies of snapshots from batch cells, as `docs/formats.md` says them: plain JSON values, written without a look at
`state.render`. Shares are percent with two decimals, rounded half up, null where there is nothing to divide by.
"""

from collections.abc import Mapping
from datetime import timedelta
from fractions import Fraction
from typing import Any, assert_never

from check.calendar import DAY_MS, EPOCH, days_of, first_day_of
from check.canvas_render import canvas_body
from check.cells import Cell, Cells
from check.flow_render import flow_body
from check.shares import share
from state.definition_set import Definition
from state.definitions import Canvas, Cohort, Flow

Body = dict[str, Any]


def body_of(definition: Definition, cells: Cells, clock_ms: int) -> Body:
    """The body of a snapshot of these cells (summed over partitions) at this clock."""
    match definition.analysis:
        case Canvas() as canvas:
            return canvas_body(canvas, cells, clock_ms)
        case Cohort() as cohort:
            return cohort_body(cohort, cells, clock_ms, definition.zone, definition.week_start)
        case Flow() as flow:
            return flow_body(flow, cells)
        case _ as never:
            assert_never(never)


def cohort_body(cohort: Cohort, cells: Mapping[Cell, int], clock_ms: int, zone: str, week_start: str) -> Body:
    """Rows of included containers and what became of them, as far as the clock has come."""
    periods = range(cohort.period_count + 1)
    clock = _Clock(cohort.granularity, clock_ms, zone, week_start)
    rows: list[Any] = []
    shares: list[list[float | None]] = []
    partial_from: list[int | None] = []
    complete: dict[int, list[Fraction]] = {k: [] for k in periods}
    for bucket in sorted(cell[1] for cell, count in cells.items() if cell[0] == "i" and count):
        included = cells["i", bucket]
        shown: list[int | None] = []
        for k in periods:
            returned = cells.get(("r", bucket, k), 0)
            counted = included - returned if cohort.mode == "churn" else returned
            is_over = clock.has_begun(bucket + k + 1)
            is_shown = is_over if cohort.mode == "churn" else clock.has_begun(bucket + k)
            shown.append(counted if is_shown else None)
            if is_over:
                complete[k].append(Fraction(counted, included))
        rows.append([_label(cohort.granularity, bucket, week_start), included, shown])
        shares.append([None if counted is None else share(counted, included) for counted in shown])
        partial_from.append(next((k for k in periods if not clock.has_begun(bucket + k + 1)), None))
    average = [_mean(complete[k]) for k in periods]
    return {
        "rows": rows, "shares": shares, "partial_from": partial_from, "average": average,
        "granularity": cohort.granularity, "mode": cohort.mode,
    }  # fmt: skip


class _Clock:
    """Which periods have begun at a moment: those that begin on or before the local day that holds it."""

    def __init__(self, granularity: str, moment_ms: int, zone: str, week_start: str) -> None:
        self._granularity, self._week_start = granularity, week_start
        around = days_of(zone, moment_ms - DAY_MS, moment_ms)
        self._today = max(day.number for day in around if day.starts_ms <= moment_ms)

    def has_begun(self, bucket: int) -> bool:
        """Whether the period's first day is today or past."""
        return first_day_of(self._granularity, bucket, self._week_start) <= self._today


def _mean(shares: list[Fraction]) -> float | None:
    if not shares:
        return None
    mean = sum(shares, Fraction(0)) / len(shares)
    return share(mean.numerator, mean.denominator)


def _label(granularity: str, bucket: int, week_start: str) -> str:
    first = EPOCH + timedelta(days=first_day_of(granularity, bucket, week_start))
    match granularity:
        case "month":
            return f"{first:%Y-%m}"
        case "quarter":
            return f"{first:%Y}-Q{(first.month + 2) // 3}"
        case "year":
            return f"{first:%Y}"
        case _:
            return first.isoformat()
