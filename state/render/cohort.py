"""The body of a cohort table: a row per period of inclusion, with what is certain by the committed clock."""

from collections.abc import Mapping
from typing import assert_never

from state.calendar import Calendar
from state.definitions import Cohort, Granularity
from state.render.shares import mean_share, share_of
from streams.partials import Cell
from streams.snapshot import CohortBody, CohortRow


def cohort_body(cohort: Cohort, calendar: Calendar, totals: Mapping[Cell, int], clock_ms: int) -> CohortBody:
    """The table from its totals: ("i", period) included, ("r", period, k) of these returned k periods later.

    A period is over when the clock has reached the next one; those that have not begun are null.
    """
    now = calendar.bucket_of_day(cohort.granularity)(calendar.day_of(clock_ms))
    starts = sorted(cell[1] for cell, count in totals.items() if cell[0] == "i" and count > 0)
    rows, shares, partial_from = [], [], []
    complete: list[list[tuple[int, int]]] = [[] for _ in range(cohort.period_count + 1)]
    for start in starts:
        included = totals[("i", start)]
        known = _known(cohort, totals, start, now)
        unknown = [None] * (cohort.period_count + 1 - len(known))
        rows.append(CohortRow(label_of(calendar, cohort.granularity, start), included, [*known, *unknown]))
        shares.append([*(share_of(count, included) for count in known), *unknown])
        over = max(0, now - start)  # the first k whose period is not over
        partial_from.append(over if over <= cohort.period_count else None)
        for column, count in zip(complete[:over], known, strict=False):
            column.append((count, included))
    average = [mean_share(column) for column in complete]
    return CohortBody(rows, shares, partial_from, average, cohort.granularity, cohort.mode)


def label_of(calendar: Calendar, granularity: Granularity, bucket: int) -> str:
    """A period as readers see it: "2026-01-05" (a week: its first day), "2026-01", "2026-Q1", "2026"."""
    day = calendar.date_of_day(calendar.bucket_start_day(granularity, bucket))
    match granularity:
        case "day" | "week":
            return day.isoformat()
        case "month":
            return f"{day:%Y-%m}"
        case "quarter":
            return f"{day.year}-Q{bucket % 4 + 1}"
        case "year":
            return str(day.year)
        case _ as never:
            assert_never(never)


def _known(cohort: Cohort, totals: Mapping[Cell, int], start: int, now: int) -> list[int]:
    """Counts for k = 0, 1, ... as far as they are known.

    Who has not returned in a running period may still do so: churn waits for its end.
    """
    if cohort.mode == "retention":
        return [totals.get(("r", start, k), 0) for k in range(min(cohort.period_count, now - start) + 1)]
    included = totals[("i", start)]
    return [included - totals.get(("r", start, k), 0) for k in range(min(cohort.period_count + 1, now - start))]
