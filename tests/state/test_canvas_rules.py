"""The rules of the canvas' options one by one, each with a test that is named for it and fails when it is bent."""

from typing import Any

from msgspec.structs import replace

from state.plan import lens_of
from tests.check.batches import cells_of_oracle, sql_cells
from tests.state.cells import cells
from tests.state.test_rules import DAY0, canvas, series
from tests.state.worlds import DAY, START, definition_set, touchpoint

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


# ----------------------------------------------------------------------------------------------------------- steps


def stepping(*types: str, **options: Any) -> dict[str, Any]:
    """A canvas in a row that asks for steps by content."""
    return canvas(*types, steps={"dimension": "content"}, **options)


def test_rule_steps_are_the_touchpoints_right_beside_the_reaching_one() -> None:
    """Whatever they match, and not those of a later match of the node."""
    events = viewed(("X", "v"), ("X", "w"), ("A", "x"), ("X", "y"), ("A", "z"), ("X", "u"))
    assert of_kind(cells(stepping("A"), events), "sn", "sp") == {("sp", 0, "w", DAY0): 1, ("sn", 0, "y", DAY0): 1}


def test_rule_steps_the_first_and_the_last_have_nothing_beside_them() -> None:
    """And a touchpoint without the dimension is there, with nothing to say."""
    assert not of_kind(cells(stepping("A"), viewed(("A", "x"))), "sn", "sp")
    events = viewed(("X", None), ("A", "x"), ("X", None))
    assert of_kind(cells(stepping("A"), events), "sn", "sp") == {("sp", 0, None, DAY0): 1, ("sn", 0, None, DAY0): 1}


def test_rule_steps_follow_what_comes_late() -> None:
    """A touchpoint that comes late right behind the reaching one is the next."""
    events = viewed(("A", "x"), ("X", "late"), ("X", "y"))
    found = cells(stepping("A"), [events[0], events[2]], [events[1]])
    assert of_kind(found, "sn") == {("sn", 0, "late", DAY0): 1}


def test_rule_steps_between_are_different_items_once_per_container() -> None:
    """Behind the reach of the origin and before the first that follows; neither end, nothing behind."""
    events = viewed(("X", "o"), ("A", "a"), ("X", "x"), ("A", "y"), ("X", "x"), ("B", "b"), ("X", "z"), ("B", "c"))
    assert of_kind(cells(stepping("A", "B"), events), "sb") == {("sb", 0, "x", DAY0): 1, ("sb", 0, "y", DAY0): 1}
    assert not of_kind(cells(stepping("A", "B"), events[:5]), "sb")


def test_rule_steps_between_each_arrow_has_its_own_ends() -> None:
    """The second arrow of a node goes on collecting when the first is followed."""
    graph = stepping("A", "B", "C", arrows=[(0, 1), (0, 2)])
    events = viewed(("A", "a"), ("X", "x"), ("B", "b"), ("X", "y"), ("C", "c"))
    assert of_kind(cells(graph, events), "sb") == {
        ("sb", 0, "x", DAY0): 1, ("sb", 1, "x", DAY0): 1, ("sb", 1, "b", DAY0): 1, ("sb", 1, "y", DAY0): 1,
    }  # fmt: skip


def test_rule_steps_between_are_the_first_fifty_by_every_computation() -> None:
    """The bound of what is kept of a container, live, in SQL and by brute force."""
    asked = stepping("A", "B")
    events = viewed(("A", "a"), *(("X", f"{n:02}") for n in range(60)), ("B", "b"))
    events = [replace(each, event_id=f"{n:02}") for n, each in enumerate(events)]
    expected = {("sb", 0, f"{n:02}", DAY0): 1 for n in range(50)}
    definition = definition_set([{"name": "it", **asked}]).definitions[0]
    assert of_kind(cells(asked, events), "sb") == expected
    assert of_kind(sql_cells(events, asked), "sb") == expected
    assert of_kind(cells_of_oracle(events, definition), "sb") == expected


def test_rule_steps_leave_nothing_of_an_arrow_that_is_followed() -> None:
    """What is kept of a container does not grow behind its last arrow."""
    lens = lens_of(definition_set([{"name": "it", **stepping("A", "B")}]).definitions[0])
    state = lens.empty()
    for each in viewed(("A", "a"), ("X", "x"), ("B", "b"), ("X", "y"), ("X", "z")):
        lens.advance(state, each.event_time, lens.project(each), {})
    assert state[-1] == [["z"], 0, [[], []]]
