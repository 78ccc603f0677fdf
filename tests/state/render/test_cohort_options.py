"""The body of a cohort table with modes and options: what a share is of, what is not known yet, what is pooled."""

from typing import Any

from state.durations import bucket_of_duration
from streams.snapshot import CohortBody, CohortRow, VelocityFigures
from tests.state.render.test_cohort import JANUARY, body, cohort


def table(sums: dict[Any, int], clock: str = "2027-01-01", **options: Any) -> CohortBody:
    """A monthly table with two periods behind the inclusion."""
    return body({**cohort(), **options}, sums, f"{clock}T00:00:00")


def cells(found: CohortBody) -> list[list[int | None]]:
    """The counts row by row."""
    return [row.cells for row in found.rows]


ROLLING = {("i", JANUARY): 8, ("s", JANUARY, 1): 4, ("s", JANUARY, 2): 1, ("i", JANUARY + 1): 3}


def test_rolling_is_in_percent_of_the_column_before() -> None:
    """Half of all came back in the first month, a quarter of those in the second too; nothing of nothing is null."""
    found = table(ROLLING, mode="rolling")
    assert cells(found) == [[8, 4, 1], [3, 0, 0]]
    assert found.shares == [[100.0, 50.0, 25.0], [100.0, 0.0, None]]
    assert found.average == [100.0, 25.0, 25.0]


def test_rolling_marks_the_running_period() -> None:
    """As retention does."""
    found = table(ROLLING, "2026-03-15", mode="rolling")
    assert (cells(found), found.partial_from) == ([[8, 4, 1], [3, 0, None]], [2, 1])
    assert found.average == [100.0, 50.0, None]


FIRSTS = {
    ("i", JANUARY): 10, ("f", JANUARY, 0): 2, ("f", JANUARY, 2): 3, ("f", JANUARY, -1): 1, ("f", JANUARY, -2): 4,
}  # fmt: skip


def test_cumulative_adds_up() -> None:
    """Each column holds the ones between it and the inclusion, in both directions."""
    found = table(FIRSTS, mode="cumulative", latency=True)
    assert (found.first_period, cells(found)) == (-2, [[5, 1, 2, 2, 5]])
    assert found.shares == [[50.0, 10.0, 20.0, 20.0, 50.0]]


def test_what_lies_before_the_inclusion_is_over_with_it() -> None:
    """In the month of inclusion only its own column is partial, and later ones are null; with churn it is null too."""
    found = table(FIRSTS, "2026-01-15", mode="cumulative", latency=True)
    assert (cells(found), found.partial_from) == ([[5, 1, 2, None, None]], [0])
    assert found.average == [50.0, 10.0, None, None, None]
    churn = table({("i", JANUARY): 10, ("r", JANUARY, -1): 4}, "2026-01-15", mode="churn", latency=True)
    assert cells(churn) == [[10, 6, None, None, None]]


def test_columns_before_an_inclusion_ahead_of_the_clock() -> None:
    """Events may be minutes ahead: any of k..-1 is known when the last of them has begun, the others one by one."""
    ahead = {("i", JANUARY): 2, ("f", JANUARY, -2): 1}
    assert cells(table(ahead, "2025-11-30", mode="cumulative", latency=True)) == [[None] * 5]
    found = table(ahead, "2025-12-31", mode="cumulative", latency=True)
    assert (cells(found), found.partial_from) == ([[1, 0, None, None, None]], [-2])
    alone = table({("i", JANUARY): 2, ("r", JANUARY, -2): 1}, "2025-12-31", latency=True)
    assert (cells(alone), alone.partial_from) == ([[1, 0, None, None, None]], [-1])


BY_ITEM = {
    ("i", JANUARY, "x"): 8, ("i", JANUARY + 1, "x"): 2, ("r", JANUARY, 1, "x"): 4, ("r", JANUARY + 1, 1, "x"): 1,
    ("r", JANUARY, 0, "x"): 6, ("i", JANUARY, None): 5, ("i", JANUARY, "y"): 5, ("r", JANUARY, 0, "y"): 1,
}  # fmt: skip


def test_items_are_pooled_over_their_periods() -> None:
    """By k, whatever month they were included in; the largest first, and what has no value has a row."""
    found = table(BY_ITEM, dimension="content_type")
    assert found.rows == [CohortRow("x", 10, [6, 5, 0]), CohortRow("y", 5, [1, 0, 0]), CohortRow(None, 5, [0, 0, 0])]
    assert (found.of, found.shares[0]) == ([[10] * 3, [5] * 3, [5] * 3], [60.0, 50.0, 0.0])
    assert (found.partial_from, found.more) == ([None] * 3, 0)


def test_a_pooled_cell_is_of_those_whose_period_is_over() -> None:
    """In March, January's inclusions alone can say who came back a month later: 4 of 8; nobody can say k = 2."""
    found = table(BY_ITEM, "2026-03-15", dimension="content_type")
    assert found.rows[0] == CohortRow("x", 10, [6, 4, None])
    assert (found.of or [])[0] == [10, 8, 0]
    assert (found.shares[0], found.average) == ([60.0, 50.0, None], [26.67, 16.67, None])


def test_pooled_rolling_is_of_those_of_the_column_before_whose_period_is_over() -> None:
    """February's 3 that came back once can not have come back twice yet: the 1 is of January's 4."""
    sums = {
        ("i", JANUARY, "x"): 8, ("s", JANUARY, 1, "x"): 4, ("s", JANUARY, 2, "x"): 1,
        ("i", JANUARY + 1, "x"): 5, ("s", JANUARY + 1, 1, "x"): 3,
    }  # fmt: skip
    found = table(sums, "2026-04-01", dimension="content_type", mode="rolling")
    assert (found.rows[0].cells, found.of) == ([13, 7, 1], [[13, 13, 4]])


def test_pooled_churn_and_cumulative() -> None:
    """Who did not return, and who did in any period, of those whose period is over."""
    churn = table(BY_ITEM, "2026-03-15", dimension="content_type", mode="churn")
    assert (churn.rows[0].cells, churn.shares[0]) == ([4, 4, None], [40.0, 50.0, None])
    sums = {("i", JANUARY, "x"): 8, ("f", JANUARY, 0, "x"): 2, ("f", JANUARY, 1, "x"): 2,
            ("i", JANUARY + 1, "x"): 2, ("f", JANUARY + 1, 0, "x"): 1}  # fmt: skip
    found = table(sums, "2026-03-15", dimension="content_type", mode="cumulative")
    assert (found.rows[0].cells, found.of) == ([3, 4, None], [[10, 8, 0]])


def test_items_beyond_the_top_are_one_row() -> None:
    """The last row says how many items it pools; an item that is called more is another one."""
    sums = {("i", JANUARY, "more"): 9, ("i", JANUARY, "b"): 3, ("i", JANUARY, None): 2, ("r", JANUARY, 1, "b"): 1,
            ("r", JANUARY, 1, None): 1}  # fmt: skip
    found = table(sums, dimension="content_type", top=1)
    assert found.rows == [CohortRow("more", 9, [0, 0, 0]), CohortRow("more", 5, [0, 2, 0])]
    assert found.more == 2


def test_velocity_is_that_of_the_first_returns() -> None:
    """The figures of each row, from its counts per bucket; none where nobody returned."""
    hour = bucket_of_duration(3_600_000)
    sums = {("i", JANUARY): 9, ("v", JANUARY, 0, 5): 2, ("v", JANUARY, 0, 7): 1, ("v", JANUARY, 1, hour): 1,
            ("i", JANUARY + 1): 1}  # fmt: skip
    found = table(sums, velocity=True)
    assert found.velocity == [VelocityFigures(4, 5, 5, 7, 3647), VelocityFigures(0, None, None, None, None)]
    assert table(sums).velocity is None


def test_ranges_select_pooled_inclusions_by_their_period() -> None:
    """The bucket of inclusion stays in the cell."""
    days = (20_454, 20_484)  # January 2026
    found = body({**cohort(), "dimension": "content_type"}, BY_ITEM, "2027-01-01T00:00:00", days)
    assert found.rows[0] == CohortRow("x", 8, [6, 4, 0])
