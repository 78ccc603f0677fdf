"""The body of a cohort table from batch cells, column by column, inclusion by inclusion, as `docs/formats.md` says."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from fractions import Fraction
from typing import Any

from check.calendar import DAY_MS, EPOCH, days_of, first_day_of
from check.cells import Cells
from check.shares import mean, share
from state.definitions import Cohort

Body = dict[str, Any]
Inclusion = tuple[int, Any]  # the bucket, and the item or None
_PERCENTS = (25, 50, 75, 90)


def cohort_body(cohort: Cohort, cells: Cells, clock_ms: int, zone: str, week_start: str) -> Body:
    """Rows of included containers and what became of them, as far as the clock has come."""
    table = _Table(cohort, cells, _Clock(cohort.granularity, clock_ms, zone, week_start))
    pooled = cohort.dimension is not None
    columns = [[table.column(row, k) for k in table.columns] for row in table.rows]
    averages = [
        [Fraction(count, whole) for count, whole, is_over in column if count is not None and is_over and whole]
        for column in zip(*columns, strict=True)
    ]
    labels = table.labels if pooled else [_label(cohort.granularity, row[0][0], week_start) for row in table.rows]
    return {
        "rows": [
            [label, table.included(row), [count for count, _, _ in figures]]
            for label, row, figures in zip(labels, table.rows, columns, strict=True)
        ],
        "shares": [[None if n is None else share(n, whole) for n, whole, _ in figures] for figures in columns],
        "partial_from": [None if pooled else table.partial_from(row[0][0]) for row in table.rows],
        "average": [mean(column) for column in averages] if averages else [None for _ in table.columns],
        "granularity": cohort.granularity,
        "mode": cohort.mode,
        "first_period": table.columns[0],
        "of": [[whole for _, whole, _ in figures] for figures in columns] if pooled else None,
        "more": table.more if pooled else None,
        "velocity": [_velocity(table.first_returns(row)) for row in table.rows] if cohort.velocity else None,
    }


class _Table:
    """rows: the inclusions that each row pools. labels, more: of a dimension."""

    def __init__(self, cohort: Cohort, cells: Cells, clock: "_Clock") -> None:
        self._cohort, self._cells, self._clock = cohort, cells, clock
        self.columns = range(-cohort.period_count if cohort.latency else 0, cohort.period_count + 1)
        self._pooled = cohort.dimension is not None
        self._count_by: dict[Inclusion, Counter[tuple[Any, ...]]] = {}
        for cell, n in cells.items():
            letter, bucket, *rest = cell
            item = rest.pop() if self._pooled else None
            self._count_by.setdefault((bucket, item), Counter())[(letter, *rest)] += n
        inclusions = sorted((each for each in self._count_by if self._of(each, "i")), key=lambda each: each[0])
        self.rows, self.labels, self.more = self._by_item(inclusions) if self._pooled else ([], [], 0)
        if not self._pooled:
            self.rows = [[each] for each in inclusions]

    def _by_item(self, inclusions: list[Inclusion]) -> tuple[list[list[Inclusion]], list[Any], int]:
        sizes: Counter[Any] = Counter()
        for each in inclusions:
            sizes[each[1]] += self._of(each, "i")
        # The largest first, then by name, and last what has no value.
        items = sorted((item for item in sizes if item is not None), key=lambda item: (-sizes[item], item))
        if None in sizes:
            items.insert(sum(sizes[item] >= sizes[None] for item in items), None)
        most = 20 if self._cohort.top is None else self._cohort.top
        rows = [[each for each in inclusions if each[1] == item] for item in items[:most]]
        rest = items[most:]
        if rest:
            rows.append([each for each in inclusions if each[1] in rest])
        return rows, [*items[:most], *(["more"] if rest else [])], len(rest)

    def _of(self, inclusion: Inclusion, *what: Any) -> int:
        return self._count_by[inclusion][what]

    def included(self, row: list[Inclusion]) -> int:
        """The containers of a row."""
        return sum(self._of(each, "i") for each in row)

    def column(self, row: list[Inclusion], k: int) -> tuple[int | None, int, bool]:
        """How many count, of how many, and whether that is final."""
        is_over = {each: self._is_over(each[0], k) for each in row}
        if self._pooled or self._cohort.mode == "churn":
            known = [each for each in row if is_over[each]]
        else:
            known = [each for each in row if self._clock.has_begun(each[0] + self._decisive(k))]
        if not known:
            return None, 0, False
        count = sum(self._counted(each, k) for each in known)
        return count, sum(self._base(each, k) for each in known), all(is_over[each] for each in known)

    def _decisive(self, k: int) -> int:
        """The last of the periods that a column looks at."""
        return -1 if k < 0 and self._cohort.mode == "cumulative" else k

    def _is_over(self, bucket: int, k: int) -> bool:
        return self._clock.has_begun(bucket + self._decisive(k) + 1)

    def _counted(self, inclusion: Inclusion, k: int) -> int:
        match self._cohort.mode:
            case "retention":
                return self._of(inclusion, "r", k)
            case "churn":
                return self._of(inclusion, "i") - self._of(inclusion, "r", k)
            case "rolling":
                return self._of(inclusion, "i") if k == 0 else self._of(inclusion, "s", k)
            case _:
                periods = range(k + 1) if k >= 0 else range(k, 0)
                return sum(self._of(inclusion, "f", each) for each in periods)

    def _base(self, inclusion: Inclusion, k: int) -> int:
        if self._cohort.mode == "rolling" and k > 0:
            return self._counted(inclusion, k - 1)
        return self._of(inclusion, "i")

    def partial_from(self, bucket: int) -> int | None:
        """The first column that is not over."""
        return next((k for k in self.columns if not self._is_over(bucket, k)), None)

    def first_returns(self, row: list[Inclusion]) -> Iterator[tuple[int, int]]:
        """(duration's bucket, how many) of a row's first returns."""
        for each in row:
            for what, n in self._count_by[each].items():
                if what[0] == "v":
                    yield what[2], n


def _velocity(first_returns: Iterator[tuple[int, int]]) -> list[int | None]:
    """How many, and the last second of the bucket in which the least one lies that so many percent do not exceed."""
    durations = sorted(bucket for bucket, n in first_returns for _ in range(n))
    if not durations:
        return [0, None, None, None, None]
    ranks = [-(-len(durations) * percent // 100) for percent in _PERCENTS]
    return [len(durations), *(_first_second(durations[rank - 1] + 1) - 1 for rank in ranks)]


def _first_second(bucket: int) -> int:
    """Buckets are seconds up to 64; each further power of two has 32."""
    if bucket < 64:
        return bucket
    power, place = divmod(bucket, 32)
    return int((32 + place) * 2 ** (power - 1))


class _Clock:
    """Which periods have begun at a moment: those that begin on or before the local day that holds it."""

    def __init__(self, granularity: str, moment_ms: int, zone: str, week_start: str) -> None:
        self._granularity, self._week_start = granularity, week_start
        around = days_of(zone, moment_ms - DAY_MS, moment_ms)
        self._today = max(day.number for day in around if day.starts_ms <= moment_ms)

    def has_begun(self, bucket: int) -> bool:
        """Whether the period's first day is today or past."""
        return first_day_of(self._granularity, bucket, self._week_start) <= self._today


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
