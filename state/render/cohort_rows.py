"""The rows of a cohort table, summed from its totals cell by cell.

The law: a column is known for an inclusion when its period has begun; when it is over, where it must not change any
more: with churn, and where inclusions of several periods are pooled. What is not known adds neither to a count nor to
what its share is of, so a share's denominator are those that could have returned.
"""

from collections.abc import Mapping
from itertools import accumulate

from state.definitions import Cohort
from streams.partials import Cell

Heading = int | str | None  # what a row is of: a period or an item


class Row:
    """One row: the containers included; per column how many of them count, and of how many that is a share; the columns
    known; first returns by their duration's bucket."""

    def __init__(self, columns: range) -> None:
        self.included = 0
        self.known_end = columns.start
        self.took: dict[int, int] = {}
        self._first = columns.start
        # What a column has more than the one before it, so that any stretch of columns is two additions.
        self._counts, self._wholes = [0] * (len(columns) + 1), [0] * (len(columns) + 1)

    def count(self, first: int, end: int, n: int) -> None:
        """Adds to the counts of the columns from `first` up to `end`, if there are any."""
        if first < end:
            self._counts[first - self._first] += n
            self._counts[end - self._first] -= n

    def compare_with(self, first: int, end: int, n: int) -> None:
        """Adds to what the shares of these columns are of."""
        if first < end:
            self._wholes[first - self._first] += n
            self._wholes[end - self._first] -= n

    @property
    def figures(self) -> list[tuple[int, int]]:
        """(count, of how many) of every column."""
        return list(zip(accumulate(self._counts[:-1]), accumulate(self._wholes[:-1]), strict=True))


class Columns:
    """The columns k of a cohort, and which of them are known at the period `now`."""

    def __init__(self, cohort: Cohort, now: int) -> None:
        self.all = range(cohort.first_period, cohort.period_count + 1)
        self._cohort, self._now = cohort, now
        self._waits = cohort.mode == "churn" or cohort.dimension is not None

    def over_end(self, start: int) -> int:
        """The first column that is not over for what was included in period `start`."""
        return self._end(self._now - start)

    def known_end(self, start: int) -> int:
        """The first column that is not known for what was included in period `start`."""
        return self._end(self._now - start + (0 if self._waits else 1))

    def _end(self, k: int) -> int:
        if self._cohort.mode == "cumulative" and k < 0:
            return self.all.start  # all columns before the inclusion end with the period just before it
        return max(self.all.start, min(k, self.all.stop))


def rows_of(cohort: Cohort, columns: Columns, totals: Mapping[Cell, int], row_by: Mapping[Heading, int]) -> list[Row]:
    """The rows from the totals, in the order of `row_by`, which gives the row of each period or item; what it lacks is
    left out."""
    rows = {key: Row(columns.all) for key in row_by.values()}
    place = 1 if cohort.dimension is None else -1
    ends: dict[int, int] = {}
    for cell, n in totals.items():
        key = row_by.get(cell[place])
        if key is not None and n:
            start = cell[1]
            if start not in ends:
                ends[start] = columns.known_end(start)
            _take(rows[key], cohort.mode, columns.all.start, ends[start], cell, n)
    return list(rows.values())


def _take(row: Row, mode: str, first: int, end: int, cell: Cell, n: int) -> None:
    """Adds a cell to its row. first, end: the columns known for its inclusion."""
    match cell[0]:
        case "i":
            row.included += n
            row.known_end = max(row.known_end, end)
            if mode == "rolling":
                row.count(0, min(1, end), n)
                row.compare_with(0, min(2, end), n)
            else:
                row.compare_with(first, end, n)
                if mode == "churn":
                    row.count(first, end, n)
        case "r":
            row.count(cell[2], min(cell[2] + 1, end), -n if mode == "churn" else n)
        case "s":
            row.count(cell[2], min(cell[2] + 1, end), n)
            row.compare_with(cell[2] + 1, min(cell[2] + 2, end), n)
        case "f":
            if cell[2] >= 0:
                row.count(cell[2], end, n)
            else:
                row.count(first, min(cell[2] + 1, end), n)
        case _:
            row.took[cell[3]] = row.took.get(cell[3], 0) + n
