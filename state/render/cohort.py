"""The body of a cohort table: a row per period of inclusion or per item of a dimension, with what is certain by the
committed clock."""

from collections.abc import Mapping
from typing import assert_never

from state.calendar import Calendar
from state.definitions import Cohort, Granularity
from state.durations import percentile_s
from state.render.cohort_rows import Columns, Heading, Row, rows_of
from state.render.shares import mean_share, share_of
from streams.partials import Cell
from streams.snapshot import CohortBody, CohortRow, Share, VelocityFigures

MORE = "more"
NO_VALUE = "(none)"
"""How readers see and name what has no value of a dimension."""


def cohort_body(cohort: Cohort, calendar: Calendar, totals: Mapping[Cell, int], clock_ms: int) -> CohortBody:
    """The table from its totals, which are the cells of the analysis (`state.analyses.cohort_tracked`).

    A period is over when the clock has reached the next one.
    """
    columns = Columns(cohort, current_period(cohort, calendar, clock_ms))
    if cohort.dimension is None:
        return _body_by_period(cohort, calendar, columns, totals)
    return _body_by_item(cohort, columns, totals)


def current_period(cohort: Cohort, calendar: Calendar, clock_ms: int) -> int:
    """The number of the period that the clock is in."""
    return calendar.bucket_of_day(cohort.granularity)(calendar.day_of(clock_ms))


def _body_by_period(cohort: Cohort, calendar: Calendar, columns: Columns, totals: Mapping[Cell, int]) -> CohortBody:
    starts = sorted(cell[1] for cell, n in totals.items() if cell[0] == "i" and n > 0)
    rows = rows_of(cohort, columns, totals, {start: start for start in starts})
    over_ends = [columns.over_end(start) for start in starts]
    return _body(
        cohort,
        columns,
        [label_of(calendar, cohort.granularity, start) for start in starts],
        rows,
        over_ends,
        partial_from=[end if end in columns.all else None for end in over_ends],
    )


def _body_by_item(cohort: Cohort, columns: Columns, totals: Mapping[Cell, int]) -> CohortBody:
    included: dict[str | None, int] = {}
    for cell, n in totals.items():
        if cell[0] == "i" and n > 0:
            included[cell[2]] = included.get(cell[2], 0) + n
    items = sorted(included, key=lambda item: (-included[item], item is None, item or ""))
    shown, rest = items[: cohort.item_count_max], items[cohort.item_count_max :]
    # By their places, for an item may be called anything.
    row_by_item: dict[Heading, int] = {item: min(place, len(shown)) for place, item in enumerate(items)}
    rows = rows_of(cohort, columns, totals, row_by_item)
    return _body(
        cohort,
        columns,
        [*shown, *([MORE] if rest else [])],
        rows,
        [row.known_end for row in rows],
        partial_from=[None] * len(rows),
        of=[[whole for _, whole in row.figures] for row in rows],
        more=len(rest),
    )


def _body(
    cohort: Cohort,
    columns: Columns,
    labels: list[str | None] | list[str],
    rows: list[Row],
    over_ends: list[int],
    *,
    partial_from: list[int | None],
    of: list[list[int]] | None = None,
    more: int | None = None,
) -> CohortBody:
    """over_ends: per row the first column that is not over."""
    counts: list[list[int | None]] = []
    shares: list[list[Share]] = []
    over: list[list[tuple[int, int]]] = [[] for _ in columns.all]
    for row, over_end in zip(rows, over_ends, strict=True):
        known = row.figures[: row.known_end - columns.all.start]
        unknown = [None] * (len(columns.all) - len(known))
        counts.append([*(count for count, _ in known), *unknown])
        shares.append([*(share_of(count, whole) for count, whole in known), *unknown])
        for column, (count, whole) in zip(over, known[: over_end - columns.all.start], strict=False):
            if whole:
                column.append((count, whole))
    return CohortBody(
        rows=[CohortRow(label, row.included, cells) for label, row, cells in zip(labels, rows, counts, strict=True)],
        shares=shares,
        partial_from=partial_from,
        average=[mean_share(column) for column in over],
        granularity=cohort.granularity,
        mode=cohort.mode,
        first_period=columns.all.start,
        of=of,
        more=more,
        velocity=[velocity_of(row.took) for row in rows] if cohort.velocity else None,
    )


def velocity_of(took: Mapping[int, int]) -> VelocityFigures:
    """The figures of first returns by their duration's bucket."""
    return VelocityFigures(sum(took.values()), *(percentile_s(took, percent) for percent in (25, 50, 75, 90)))


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
