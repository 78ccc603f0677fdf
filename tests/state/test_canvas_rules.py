"""The rules of the canvas' options one by one, each with a test that is named for it and fails when it is bent."""

from typing import Any

from tests.state.cells import cells
from tests.state.test_rules import DAY0, canvas, series
from tests.state.worlds import DAY, START, touchpoint

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


def by_content(graph: dict[str, Any], *nodes: int) -> dict[str, Any]:
    """The canvas with these nodes broken down by content."""
    for node in nodes:
        graph["nodes"][node]["breakdown"] = {"dimension": "content"}
    return graph


def viewed(*steps: tuple[str, str | None], **fields: Any) -> list[Any]:
    """Touchpoints of these types and contents, a millisecond apart."""
    return [touchpoint(str(n), START + n, kind, content=content, **fields) for n, (kind, content) in enumerate(steps)]


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


# ------------------------------------------------------------------------------------------------------- breakdown


def test_rule_breakdown_of_containers_takes_the_item_of_the_reaching_touchpoint() -> None:
    """Not that of an earlier or a later match."""
    events = viewed(("B", "w"), ("A", "x"), ("B", "y"), ("B", "z"))
    assert of_kind(cells(by_content(canvas("A", "B"), 1), events), "b", "be") == {("b", 1, "y", DAY0): 1}


def test_rule_breakdown_moves_with_the_reach() -> None:
    """A late event that is reached first takes the item with it."""
    events = viewed(("A", "x"), ("A", "y"))
    found = cells(by_content(canvas("A"), 0), events[1:], events[:1])
    assert of_kind(found, "b") == {("b", 0, "x", DAY0): 1}


def test_rule_breakdown_of_events_takes_each_event_s_own_item() -> None:
    """From the reach on; value likewise."""
    events = viewed(("B", "w"), ("A", "x"), ("B", "y"), ("B", "z"), ("B", "y"), value=500_000)
    found = cells(by_content(canvas("A", "B", metric="events", secondary="value"), 1), events)
    assert of_kind(found, "b", "be", "bv") == {
        ("be", 1, "y", DAY0): 2, ("be", 1, "z", DAY0): 1,
        ("bv", 1, "y", DAY0): 1_000_000, ("bv", 1, "z", DAY0): 500_000,
    }  # fmt: skip


def test_rule_breakdown_what_has_no_item_counts_as_such() -> None:
    """Nothing is lost: a touchpoint without the dimension has the item null."""
    found = cells(by_content(canvas("A", metric="events", secondary="containers"), 0), viewed(("A", None), ("A", "x")))
    assert of_kind(found, "b", "be") == {("b", 0, None, DAY0): 1, ("be", 0, None, DAY0): 1, ("be", 0, "x", DAY0): 1}


def test_rule_breakdown_items_are_text() -> None:
    """Attributes of any kind are shown as flows show them; each node has its own dimension."""
    graph = by_content(canvas("A", "B"), 1)
    graph["nodes"][0]["breakdown"] = {"dimension": "attributes.hot"}
    events = [
        touchpoint("1", START, "A", content="x", attributes={"hot": True}),
        touchpoint("2", START + 1, "B", content="y", attributes={"hot": 2.5}),
    ]
    assert of_kind(cells(graph, events), "b") == {("b", 0, "true", DAY0): 1, ("b", 1, "y", DAY0): 1}
    events[0] = touchpoint("1", START, "A", attributes={"hot": 2.5})
    assert of_kind(cells(graph, events), "b") == {("b", 0, "2.5", DAY0): 1, ("b", 1, "y", DAY0): 1}


# ----------------------------------------------------------------------------------------------------------- trend


def test_rule_trend_is_by_the_day_of_reaching_and_of_following() -> None:
    """Beside the day of the start, by which a date range still selects."""
    found = cells(canvas("A", "B", trend=True), series("XABB", step=DAY))
    assert of_kind(found, "nd", "ad") == {
        ("nd", 0, DAY0 + 1, DAY0): 1, ("nd", 1, DAY0 + 2, DAY0): 1, ("ad", 0, DAY0 + 2, DAY0): 1,
    }  # fmt: skip


def test_rule_trend_an_arrow_is_followed_when_its_own_origin_lies_before() -> None:
    """Not when its end is reached through another parent."""
    graph = canvas("A", "B", "C", arrows=[(0, 2), (1, 2)], trend=True)
    assert of_kind(cells(graph, series("ACBCC", step=DAY)), "ad") == {
        ("ad", 0, DAY0 + 1, DAY0): 1, ("ad", 1, DAY0 + 3, DAY0): 1,
    }  # fmt: skip


def test_rule_trend_days_are_those_of_the_zone() -> None:
    """Half an hour before midnight in UTC it is tomorrow in Berlin."""
    midnight = DAY0 * DAY + DAY - 1_800_000
    found = cells(canvas("A", trend=True), [touchpoint("1", midnight, "A")], zone="Europe/Berlin")
    assert of_kind(found, "nd") == {("nd", 0, DAY0 + 1, DAY0 + 1): 1}


def test_rule_trend_moves_with_a_late_event() -> None:
    """What was counted on the later day is taken back."""
    events = series("XAA", step=DAY)
    assert of_kind(cells(canvas("A", trend=True), [events[0], events[2]], [events[1]]), "nd") == {
        ("nd", 0, DAY0 + 1, DAY0): 1
    }
