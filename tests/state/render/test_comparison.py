"""Two rows of a cohort compared: over the same time, with both sizes, and never more than the numbers say."""

from typing import Any

import pytest

from state.durations import bucket_of_duration
from state.render.comparison import Comparison, comparison_of
from streams.errors import UsageError
from tests.state.render.test_cohort import JANUARY, cohort, ms
from tests.state.worlds import definition_set


def compared(
    sums: dict[Any, int], first: str, second: str, clock: str = "2027-01-01", within: int | None = None, **options: Any
) -> Comparison:
    """The comparison in a monthly table with two periods behind the inclusion."""
    definition = definition_set([{**cohort(), "velocity": True, **options}]).definitions[0]
    return comparison_of(definition, sums, ms(f"{clock}T00:00:00"), (first, second), within)


def returns(start: int, k: int, days: float, n: int, *item: Any) -> dict[Any, int]:
    """First returns in period k, after so many days."""
    return {("v", start, k, bucket_of_duration(int(days * 86_400_000)), *item): n}


ROWS = {
    ("i", JANUARY): 70, **returns(JANUARY, 0, 2, 20), **returns(JANUARY, 1, 40, 36),
    ("i", JANUARY + 1): 80, **returns(JANUARY + 1, 0, 4, 30), **returns(JANUARY + 1, 2, 61, 18),
}  # fmt: skip


def test_rows_are_compared_by_the_share_that_returned() -> None:
    """56 of 70 and 48 of 80: Newcombe's first example, in percentage points."""
    found = compared(ROWS, "2026-01", "2026-02")
    assert (found.first.included, found.first.returned, found.first.share) == (70, 56, 80.0)
    assert (found.second.included, found.second.returned, found.second.share) == (80, 48, 60.0)
    assert (found.difference, found.difference_interval) == (20.0, (5.24, 33.39))
    assert (found.periods, found.by, found.level) == (2, "month", 0.95)
    assert "correlate" in found.meaning


def test_rows_are_compared_by_who_is_sooner() -> None:
    """20 of 56 are sooner than all, 36 than 18 of 48: (20 * 48 + 36 * 18) of 56 * 48 pairs."""
    found = compared(ROWS, "2026-01", "2026-02")
    assert found.sooner == 59.82
    assert found.sooner_interval is not None
    assert found.sooner_interval[0] < 59.82 < found.sooner_interval[1]
    other = compared(ROWS, "2026-02", "2026-01")
    assert other.sooner == 40.18


def test_the_younger_row_sets_the_time() -> None:
    """In mid-March February has one period behind it: January's returns a month later do not count against it."""
    found = compared(ROWS, "2026-01", "2026-02", "2026-03-15")
    assert (found.periods, found.first.returned, found.second.returned) == (0, 20, 30)
    april = compared(ROWS, "2026-01", "2026-02", "2026-04-15")
    assert (april.periods, april.first.returned, april.second.returned) == (1, 56, 30)
    assert compared(ROWS, "2026-01", "2026-02", within=0).first.returned == 20


def test_nothing_is_compared_before_a_period_is_over() -> None:
    """And never further than both sides have come."""
    with pytest.raises(UsageError, match="the first month of one of the two is not over"):
        compared(ROWS, "2026-01", "2026-02", "2026-02-15")
    for within in (-1, 1):
        with pytest.raises(UsageError, match="both sides have inclusions with 0 to 0 periods behind them"):
            compared(ROWS, "2026-01", "2026-02", "2026-03-15", within)


ITEMS = {
    ("i", JANUARY, "x"): 10, **returns(JANUARY, 1, 40, 4, "x"), ("i", JANUARY + 1, "x"): 30,
    **returns(JANUARY + 1, 0, 3, 9, "x"), ("i", JANUARY + 1, None): 8, **returns(JANUARY + 1, 0, 1, 2, None),
}  # fmt: skip


def test_items_count_the_inclusions_whose_periods_are_over() -> None:
    """In mid-April February has 0 and 1 behind it; with --within all that are that old count."""
    found = compared(ITEMS, "x", "(none)", "2026-04-15", dimension="content_type")
    assert (found.by, found.periods) == ("content_type", 1)
    assert (found.first.included, found.first.returned) == (40, 13)
    assert (found.second.label, found.second.included, found.second.returned) == ("(none)", 8, 2)
    later = {**ITEMS, ("i", JANUARY + 2, "x"): 100}
    assert compared(later, "x", "(none)", "2026-04-15", dimension="content_type").first.included == 40
    assert compared(later, "x", "(none)", "2026-04-15", 0, dimension="content_type").first.included == 140


def test_a_side_without_returns_has_no_sooner() -> None:
    """The shares are compared all the same."""
    found = compared({**ROWS, ("i", JANUARY + 2): 5}, "2026-01", "2026-03")
    assert (found.sooner, found.sooner_interval, found.second.share) == (None, None, 0.0)


@pytest.mark.parametrize(
    ("labels", "said"),
    [(("2026-01", "2026-01"), "with itself"), (("2026-01", "2026-07"), "no row '2026-07'; there are 2026-01, 2026-02")],
)
def test_rows_must_be_there(labels: tuple[str, str], said: str) -> None:
    """And two of them."""
    with pytest.raises(UsageError, match=said):
        compared(ROWS, *labels)


def test_many_rows_are_not_all_named() -> None:
    """Twenty are, and how many more there are."""
    with pytest.raises(UsageError, match=r"2026-01, .* and 5 more"):
        compared({("i", JANUARY + n): 1 for n in range(25)}, "x", "2026-01")
    with pytest.raises(UsageError, match="none yet"):
        compared({}, "x", "y")


def test_a_comparison_takes_velocity() -> None:
    """The error says what to write."""
    with pytest.raises(UsageError, match="takes a cohort with `velocity: true`"):
        compared(ROWS, "2026-01", "2026-02", velocity=False)
