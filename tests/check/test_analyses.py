"""Canvas, cohort and flow in SQL, on examples that are counted by hand."""

from datetime import UTC, datetime
from typing import Any

import pytest

from streams.touchpoint import Touchpoint
from tests.check.batches import sql_cells
from tests.state.worlds import DAY, touchpoint

PAGES = ("Home", "Products", "Add", "Products", "Add", "Billing", "Confirm")


def walk(account: str, types: str, **fields: Any) -> list[Touchpoint]:
    """A touchpoint per letter, a millisecond apart."""
    return [touchpoint(f"{account}{n}", n, each, account=account, **fields) for n, each in enumerate(types)]


def is_type(value: str) -> dict[str, str]:
    """A condition on the type."""
    return {"field": "type", "op": "=", "value": value}


def canvas(nodes: str, arrows: list[str], metric: str = "containers") -> dict[str, Any]:
    """A canvas with one node per letter and arrows as `ab`."""
    return {
        "kind": "canvas",
        "container": "account",
        "metric": metric,
        "nodes": [{"id": node.lower(), "match": is_type(node)} for node in nodes],
        "arrows": [{"from": arrow[0].lower(), "to": arrow[1].lower()} for arrow in arrows],
    }


def test_later_nodes_may_count_more_events() -> None:
    """Series 1, 2, 3, 3 along 1 -> 2 -> 3 counts 1, 1 and 2 events; a series that skips 2 counts at node 1 only."""
    cells = sql_cells(walk("acme", "1233") + walk("brit", "133"), canvas("123", ["12", "23"], "events"))
    assert cells == {
        ("t", 0): 2, ("n", 0, 0): 2, ("n", 1, 0): 1, ("n", 2, 0): 1, ("e", 0, 0): 2, ("e", 1, 0): 1, ("e", 2, 0): 2,
        ("a", 0, 0): 1, ("a", 1, 0): 1, ("f", 0, 0): 1, ("f", 1, 0): 1,
    }  # fmt: skip


def test_one_event_is_not_two_nodes() -> None:
    """Nodes with the same condition take events one after the other."""
    steps = canvas("AB", ["AB"])
    steps["nodes"][1]["match"] = is_type("A")
    assert ("n", 1, 0) not in sql_cells(walk("acme", "A"), steps)
    assert sql_cells(walk("acme", "AA"), steps)["n", 1, 0] == 1


def test_arrows_into_a_node_are_either_or() -> None:
    """d is reached by b or c; both arrows are followed when it comes behind both; p counts the union of the parents."""
    cells = sql_cells(
        walk("acme", "ABCD") + walk("brit", "ACD") + walk("cook", "ADB"), canvas("ABCD", ["AB", "AC", "BD", "CD"])
    )
    assert (cells["n", 3, 0], cells["a", 2, 0], cells["a", 3, 0], cells["p", 3, 0]) == (2, 1, 2, 3)
    assert (cells["f", 0, 0], cells["f", 1, 0], cells["f", 2, 0]) == (3, 1, 2)


def test_value_is_summed_from_reach_on() -> None:
    """What matches before the node is reached does not count; without a value it is 0."""
    series = [
        touchpoint("1", 1, "B", value=5_000_000), touchpoint("2", 2, "A"), touchpoint("3", 3, "B", value=1_500_000),
        touchpoint("4", 4, "B"), touchpoint("5", 5, "B", value=-500_000),
    ]  # fmt: skip
    assert sql_cells(series, canvas("AB", ["AB"], "value"))["v", 1, 0] == 1_000_000


def test_the_day_is_that_of_the_containers_first_touchpoint() -> None:
    """Also when that one matches no node; in the zone of the definition."""
    midnight = int(datetime(2026, 3, 1, 23, 30, tzinfo=UTC).timestamp() * 1000)
    series = [touchpoint("1", midnight, "Z"), touchpoint("2", midnight + 9 * DAY, "A")]
    assert set(sql_cells(series, canvas("A", []), "Europe/Berlin")) == {("t", 20514), ("n", 0, 20514)}


def cohort(inclusion: dict[str, Any], returned: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A cohort by day over accounts."""
    return {
        "kind": "cohort", "container": "account", "granularity": "day", "periods": 2,
        "inclusion": inclusion, "return": returned, **changes,
    }  # fmt: skip


ONE_A = {"match": is_type("A")}
ONE_B = {"match": is_type("B")}


def days(*types: str) -> list[Touchpoint]:
    """One account; the letters of each text on a day of their own, from day 0."""
    return [
        touchpoint(f"{day}-{n}", day * DAY + n, each) for day, text in enumerate(types) for n, each in enumerate(text)
    ]


@pytest.mark.parametrize(("text", "at_once"), [("AB", True), ("BA", False), ("BAB", True), ("A", False)])
def test_return_at_once_comes_behind_the_inclusion(text: str, at_once: bool) -> None:
    """In the inclusion's own period only what comes after the event that included."""
    assert (("r", 0, 0) in sql_cells(days(text), cohort(ONE_A, ONE_B))) is at_once


def test_the_event_that_includes_is_no_return() -> None:
    """With one condition for both, a second A is the return."""
    assert ("r", 0, 0) not in sql_cells(days("A"), cohort(ONE_A, ONE_A))
    assert ("r", 0, 0) in sql_cells(days("AA"), cohort(ONE_A, ONE_A))


def test_inclusion_that_can_revert_takes_the_whole_period() -> None:
    """Exactly one A may become two, so no event made it final."""
    assert ("r", 0, 0) in sql_cells(days("BA"), cohort(ONE_A | {"op": "="}, ONE_B))


def test_first_and_every() -> None:
    """A on days 0 and 1, B on day 1 and 3: the first inclusion returns after 1 day, the second at once and after 2."""
    series = days("A", "AB", "C", "B")
    assert sql_cells(series, cohort(ONE_A, ONE_B)) == {("i", 0): 1, ("r", 0, 1): 1}
    assert sql_cells(series, cohort(ONE_A, ONE_B, include="every")) == {
        ("i", 0): 1, ("r", 0, 1): 1, ("i", 1): 1, ("r", 1, 0): 1, ("r", 1, 2): 1,
    }  # fmt: skip


def test_a_period_without_touchpoints_never_qualifies() -> None:
    """No B holds on every day with any event, and on no day without one."""
    none = {"match": is_type("B"), "op": "=", "number": 0}
    assert sql_cells(days("A", "", "C"), cohort(ONE_A, none)) == {("i", 0): 1, ("r", 0, 0): 1, ("r", 0, 2): 1}


def test_thresholds_are_joined() -> None:
    """Two A and a sum of at least 3.5, or any B."""
    both = {"all": [ONE_A | {"number": 2}, {"match": is_type("A"), "metric": "value", "number": 3.5}]}
    joined = cohort({"any": [both, ONE_B]}, ONE_B)
    two = [touchpoint("1", 0, value=3_000_000), touchpoint("2", 1, value=500_000)]
    assert ("i", 0) in sql_cells(two, joined)
    assert ("i", 0) not in sql_cells(two[:1], joined)
    assert ("i", 0) in sql_cells([*two[:1], touchpoint("3", 2, "B")], joined)


def test_rolling_and_cumulative() -> None:
    """A on day 0, B on days 1, 2 and 4: in each of 1 and 2, and first after one."""
    series = days("A", "B", "B", "", "B")
    assert sql_cells(series, cohort(ONE_A, ONE_B, mode="rolling", periods=9)) == {
        ("i", 0): 1, ("s", 0, 1): 1, ("s", 0, 2): 1,
    }  # fmt: skip
    assert sql_cells(series, cohort(ONE_A, ONE_B, mode="cumulative", periods=9)) == {("i", 0): 1, ("f", 0, 1): 1}


def test_latency_looks_back() -> None:
    """B on days 0, 1 and 2, A on day 3: two periods are looked back, of which the nearest is the last."""
    series = days("B", "B", "B", "A")
    assert sql_cells(series, cohort(ONE_A, ONE_B, latency=True)) == {("i", 3): 1, ("r", 3, -1): 1, ("r", 3, -2): 1}
    assert sql_cells(series, cohort(ONE_A, ONE_B, latency=True, mode="cumulative")) == {("i", 3): 1, ("f", 3, -1): 1}


def test_items_and_durations_are_those_of_the_event_that_makes_it_true() -> None:
    """The second A includes, with z, and the B 100 s later is the first return: bucket 64 + (100 - 64) / 2."""
    series = [
        touchpoint("1", 0, "A", content="y"), touchpoint("2", 5_000, "A", content="z"), touchpoint("3", 6_000, "C"),
        touchpoint("4", 105_999, "B", content="w"), touchpoint("5", DAY, "B"),
    ]  # fmt: skip
    twice = ONE_A | {"number": 2}
    assert sql_cells(series, cohort(twice, ONE_B, dimension="content", velocity=True)) == {
        ("i", 0, "z"): 1, ("r", 0, 0, "z"): 1, ("r", 0, 1, "z"): 1, ("v", 0, 0, 82, "z"): 1,
    }  # fmt: skip
    assert sql_cells(series[2:4], cohort({"match": is_type("C")}, ONE_B, dimension="content")) == {
        ("i", 0, None): 1, ("r", 0, 0, None): 1,
    }  # fmt: skip


def flow(**changes: Any) -> dict[str, Any]:
    """A flow over pages."""
    return {"kind": "flow", "container": "account", "dimension": "content", "columns": 2, **changes}


VISITS = [touchpoint(str(n), n, content=page) for n, page in enumerate(PAGES)]


@pytest.mark.parametrize(
    ("anchor", "paths"),
    [
        ({"starts_with": "Add"}, {((), ("Add", "Products")): 1, ((), ("Add", "Billing")): 1}),
        ({"starts_with": "Add", "limit": "first"}, {((), ("Add", "Products")): 1}),
        ({"ends_with": "Add"}, {(("Products",), ("Add",)): 2}),
        ({"ends_with": "Add", "limit": "last"}, {(("Products",), ("Add",)): 1}),
        ({"ends_with": "Products", "limit": "last"}, {(("Add",), ("Products",)): 1}),
        ({}, {((), ("Home", "Products")): 1}),
        ({"contains": "Billing", "columns": 5}, {(("Add", "Products"), ("Billing", "Confirm")): 1}),
        ({"contains": "Home", "columns": 4}, {((), ("Home", "Products", "Add")): 1}),
    ],
)
def test_the_shop_of_the_semantics(anchor: dict[str, Any], paths: dict[Any, int]) -> None:
    """Home>Products>Add>Products>Add>Billing>Confirm gives the paths that the semantics print."""
    assert sql_cells(VISITS, flow(**anchor)) == {("o", 0, back, fore): count for (back, fore), count in paths.items()}


def test_repeats_collapse_to_the_first_of_a_run() -> None:
    """x x y x is x y x; with repeats all four count. What has no value is not there."""
    values = ["x", None, "x", "y", "x"]
    series = [touchpoint(str(n), n, content=value) for n, value in enumerate(values)]
    assert sql_cells(series, flow(columns=9)) == {("o", 0, (), ("x", "y", "x")): 1}
    assert sql_cells(series, flow(columns=9, include_repeats=True)) == {("o", 0, (), ("x", "x", "y", "x")): 1}


def test_an_anchor_that_is_a_condition_lies_beside_the_values() -> None:
    """Its own value belongs to neither side, and it needs none."""
    values = [("Z", "x"), ("A", None), ("Z", "y"), ("A", "w"), ("Z", "v")]
    series = [touchpoint(str(n), n, kind, content=value) for n, (kind, value) in enumerate(values)]
    anchor = {"match": is_type("A")}
    assert sql_cells(series, flow(starts_with=anchor, columns=3)) == {
        ("o", 0, (), (None, "y", "w")): 1, ("o", 0, (), (None, "v")): 1,
    }  # fmt: skip
    assert sql_cells(series, flow(ends_with=anchor, columns=3)) == {
        ("o", 0, ("x",), (None,)): 1, ("o", 0, ("y", "x"), (None,)): 1,
    }  # fmt: skip


def test_containers_are_counted_once_at_every_place() -> None:
    """Add comes twice; each node, link and exit counts the container once."""
    assert sql_cells(VISITS, flow(starts_with="Add", columns=5, count="containers")) == {
        ("n", 0, "Add"): 1, ("n", 1, "Products"): 1, ("n", 1, "Billing"): 1, ("n", 2, "Add"): 1, ("n", 2, "Confirm"): 1,
        ("n", 3, "Billing"): 1, ("n", 4, "Confirm"): 1,
        ("l", 0, "Add", 1, "Products"): 1, ("l", 0, "Add", 1, "Billing"): 1, ("l", 1, "Products", 2, "Add"): 1,
        ("l", 1, "Billing", 2, "Confirm"): 1, ("l", 2, "Add", 3, "Billing"): 1, ("l", 3, "Billing", 4, "Confirm"): 1,
        ("x", 2, "Confirm", 1): 1,
    }  # fmt: skip


def test_values_of_attributes_are_shown_as_text() -> None:
    """Booleans in small letters, whole numbers in decimal, others as Python writes them."""
    values = [True, 5, 2.50, 1e16, "x"]
    series = [touchpoint(str(n), n, attributes={"a": value}) for n, value in enumerate(values)]
    assert sql_cells(series, flow(dimension="attributes.a", columns=9)) == {
        ("o", 0, (), ("true", "5", "2.5", "1e+16", "x")): 1
    }
