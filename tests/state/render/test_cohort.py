"""The body of a cohort table: what is certain at which moment, and how periods are named."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.calendar import Calendar
from state.render import render
from state.render.cohort import label_of
from streams.errors import UsageError
from streams.snapshot import CohortBody, CohortRow
from tests.state.worlds import definition_set

ONE = {"match": {"field": "type", "op": "=", "value": "A"}}


def ms(text: str) -> int:
    """A moment in UTC as milliseconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def cohort(granularity: str = "month", mode: str = "retention", periods: int = 2) -> dict[str, Any]:
    """A cohort of anything."""
    return {
        "name": "c", "kind": "cohort", "container": "account", "granularity": granularity, "mode": mode,
        "periods": periods, "inclusion": ONE, "return": ONE,
    }  # fmt: skip


def body(
    analysis: dict[str, Any], sums: dict[Any, int], clock: str, days: tuple[int, int] | None = None, zone: str = "UTC"
) -> CohortBody:
    """The rendered table."""
    found = render(definition_set([analysis], zone).definitions[0], sums, days, ms(clock))
    assert isinstance(found, CohortBody)
    return found


JANUARY = 56 * 12  # 2026-01
SUMS = {
    ("i", JANUARY): 8, ("r", JANUARY, 0): 4, ("r", JANUARY, 1): 2, ("r", JANUARY, 2): 1,
    ("i", JANUARY + 1): 4, ("r", JANUARY + 1, 1): 3,
    ("r", JANUARY + 3, 0): 0, ("i", JANUARY + 3): 0,
}  # fmt: skip


def test_past_periods_are_complete() -> None:
    """Long after, every cell is a number, shares are of the included, and the average takes all rows."""
    found = body(cohort(), SUMS, "2027-01-01T00:00:00")
    assert found.rows == [CohortRow("2026-01", 8, [4, 2, 1]), CohortRow("2026-02", 4, [0, 3, 0])]
    assert found.shares == [[50.0, 25.0, 12.5], [0.0, 75.0, 0.0]]
    assert found.partial_from == [None, None]
    assert found.average == [25.0, 50.0, 6.25]


def test_running_period_is_partial_and_later_ones_are_null() -> None:
    """In March, January's k=2 and February's k=1 are running; February's k=2 has not begun."""
    found = body(cohort(), SUMS, "2026-03-15T00:00:00")
    assert [row.cells for row in found.rows] == [[4, 2, 1], [0, 3, None]]
    assert found.shares[1] == [0.0, 75.0, None]
    assert found.partial_from == [2, 1]
    assert found.average == [25.0, 25.0, None]


@pytest.mark.parametrize(
    ("clock", "partial_from", "cells"),
    [
        ("2026-02-28T23:59:59.999", 1, [4, 2, None]),
        ("2026-03-01T00:00:00", 2, [4, 2, 1]),
        ("2026-03-31T23:59:59.999", 2, [4, 2, 1]),
        ("2026-04-01T00:00:00", None, [4, 2, 1]),
        ("2025-12-31T23:59:59.999", 0, [None, None, None]),
    ],
)
def test_period_ends_with_its_last_millisecond(clock: str, partial_from: int | None, cells: list[int | None]) -> None:
    """At the next period's first instant, and not a millisecond before, a period is over and the next has begun."""
    found = body(cohort(), SUMS, clock)
    assert (found.partial_from[0], found.rows[0].cells) == (partial_from, cells)


def test_period_ends_at_midnight_of_the_zone() -> None:
    """In Berlin March begins an hour before UTC's."""
    assert body(cohort(), SUMS, "2026-02-28T23:00:00", zone="Europe/Berlin").partial_from[0] == 2
    assert body(cohort(), SUMS, "2026-02-28T22:59:59", zone="Europe/Berlin").partial_from[0] == 1


def test_churn_waits_for_the_end_of_the_period() -> None:
    """Who has not returned yet may still do so: a running period has no churn."""
    found = body(cohort(mode="churn"), SUMS, "2026-03-15T00:00:00")
    assert [row.cells for row in found.rows] == [[4, 6, None], [4, None, None]]
    assert found.shares == [[50.0, 75.0, None], [100.0, None, None]]
    assert found.partial_from == [2, 1]
    assert found.average == [75.0, 75.0, None]


def test_range_takes_whole_periods() -> None:
    """A range selects the containers included in it; one that cuts a period is refused with the nearest edges."""
    january = (datetime(2026, 1, 1) - datetime(1970, 1, 1)).days
    assert [row.label for row in body(cohort(), SUMS, "2027-01-01", (january, january + 30)).rows] == ["2026-01"]
    for days in ((january + 1, january + 30), (january, january + 31)):
        with pytest.raises(UsageError, match=r"not 2026-01-0[12]\.\.2026-0[12]-\d\d but 2026-01-01\.\.2026-0"):
            body(cohort(), SUMS, "2027-01-01", days)


@pytest.mark.parametrize(
    ("granularity", "label"),
    [("day", "2026-05-20"), ("week", "2026-05-18"), ("month", "2026-05"), ("quarter", "2026-Q2"), ("year", "2026")],
)
def test_periods_have_names(granularity: Any, label: str) -> None:
    """A week is named by its first day."""
    calendar = Calendar("UTC", "monday")
    bucket = calendar.bucket_of_day(granularity)(calendar.day_of(ms("2026-05-20T12:00:00")))
    assert label_of(calendar, granularity, bucket) == label


@settings(deadline=None)
@given(st.sampled_from(["day", "week", "month", "quarter", "year"]), st.integers(0, 80_000), st.integers(0, 400))
def test_null_exactly_where_the_period_has_not_begun(granularity: Any, day: int, later: int) -> None:
    """Against the calendar's own instants: null from the first period that starts behind the clock, partial from the
    first that has not ended."""
    calendar = Calendar("UTC", "monday")
    bucket = calendar.bucket_of_day(granularity)(day)
    clock = calendar.day_start_ms(min(day + later, 83_000)) + 1
    definition = definition_set([cohort(granularity, periods=5)]).definitions[0]
    found = render(definition, {("i", bucket): 1}, None, clock)
    assert isinstance(found, CohortBody)
    starts = [calendar.bucket_start_day(granularity, bucket + k) * 86_400_000 for k in range(7)]
    assert [cell is None for cell in found.rows[0].cells] == [start > clock for start in starts[:6]]
    running = [k for k in range(6) if starts[k + 1] > clock]
    assert found.partial_from == [running[0] if running else None]
