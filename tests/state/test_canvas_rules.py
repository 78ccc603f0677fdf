"""The rules of the canvas' options one by one, each with a test that is named for it and fails when it is bent."""

from typing import Any

from tests.state.cells import cells
from tests.state.test_rules import DAY0, canvas, series
from tests.state.worlds import START, touchpoint

Found = dict[tuple[Any, ...], int]


def of_kind(found: Found, *kinds: str) -> Found:
    """The cells of these kinds."""
    return {cell: count for cell, count in found.items() if cell[0] in kinds}


def worth(*steps: tuple[str, int | None]) -> list[Any]:
    """Touchpoints of these types and values in whole units, a millisecond apart."""
    return [
        touchpoint(str(n), START + n, kind, value=None if value is None else value * 1_000_000)
        for n, (kind, value) in enumerate(steps)
    ]


# ------------------------------------------------------------------------------------------------ secondary metric


def test_rule_secondary_counts_beside_the_metric() -> None:
    """Both metrics from the reach on, and neither changes the other."""
    events = worth(("B", 8), ("A", 1), ("B", 2), ("B", None))
    both = cells(canvas("A", "B", metric="events", secondary="value"), events)
    assert of_kind(both, "e") == of_kind(cells(canvas("A", "B", metric="events"), events), "e")
    assert of_kind(both, "v") == {("v", 0, DAY0): 1_000_000, ("v", 1, DAY0): 2_000_000}
    assert cells(canvas("A", "B", metric="value", secondary="events"), events) == both


def test_rule_secondary_of_containers_is_the_count_that_is_there() -> None:
    """Containers are counted anyway, so nothing is added for them."""
    plain = cells(canvas("A", "B", metric="events"), series("ABB"))
    assert cells(canvas("A", "B", metric="events", secondary="containers"), series("ABB")) == plain


# ---------------------------------------------------------------------------------------------------- arrow values


def test_rule_arrow_values_take_every_event_that_comes_along() -> None:
    """All that match the end behind the reach of the origin, not only the first."""
    events = worth(("B", 8), ("A", 1), ("B", 2), ("B", 3))
    found = cells(canvas("A", "B", metric="events", secondary="value", arrow_values=True), events)
    assert of_kind(found, "ae", "av") == {("ae", 0, DAY0): 2, ("av", 0, DAY0): 5_000_000}


def test_rule_arrow_values_of_an_event_go_to_every_arrow_by_which_it_comes() -> None:
    """Into a node behind two others each arrow counts what lies behind its own origin."""
    graph = canvas("A", "B", "C", arrows=[(0, 2), (1, 2)], metric="events", arrow_values=True)
    assert of_kind(cells(graph, series("ACBC")), "ae", "e") == {
        ("ae", 0, DAY0): 2, ("ae", 1, DAY0): 1, ("e", 0, DAY0): 1, ("e", 1, DAY0): 1, ("e", 2, DAY0): 2,
    }  # fmt: skip


def test_rule_arrow_values_are_only_counted_where_asked_for() -> None:
    """A canvas without them has the cells that it always had."""
    assert not of_kind(cells(canvas("A", "B", metric="events", secondary="value"), series("AB")), "ae", "av")
