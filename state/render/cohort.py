"""The body of a cohort table: a row per period of inclusion, with what is certain by the committed clock."""

from collections.abc import Mapping

from state.calendar import Calendar
from state.definitions import Cohort, Granularity
from state.render.shares import mean_share, share_of
from streams.partials import Cell
from streams.snapshot import CohortBody, CohortRow, Share


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
        cells = _cells(cohort, totals, start, now)
        rows.append(CohortRow(label_of(calendar, cohort.granularity, start), included, cells))
        shares.append(_shares(cells, included))
        over = max(0, now - start)  # the first k whose period is not over
        partial_from.append(over if over <= cohort.period_count else None)
        for column, count in zip(complete[:over], cells, strict=False):
            if count is not None:
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


def _cells(cohort: Cohort, totals: Mapping[Cell, int], start: int, now: int) -> list[int | None]:
    """Counts for k = 0, 1, ...; whoever has not returned yet may still do so, so churn waits for the period's end."""
    periods = cohort.period_count + 1
    returned = [totals.get(("r", start, k), 0) for k in range(min(periods, max(0, now - start + 1)))]
    if cohort.mode == "retention":
        known: list[int | None] = [*returned]
    else:
        included = totals[("i", start)]
        known = [included - count if start + k < now else None for k, count in enumerate(returned)]
    return known + [None] * (periods - len(known))


def _shares(cells: list[int | None], included: int) -> list[Share]:
    return [None if count is None else share_of(count, included) for count in cells]
