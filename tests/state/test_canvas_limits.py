"""The rules of time limits one by one, each with a test that is named for it and fails when it is bent."""

from typing import Any

from tests.state.cells import cells
from tests.state.test_canvas_rules import of_kind
from tests.state.test_rules import DAY0, canvas
from tests.state.worlds import START, touchpoint

HOUR0 = START // 3_600_000


def timed(*steps: tuple[str, int]) -> list[Any]:
    """Touchpoints of these types at these minutes."""
    return [touchpoint(f"{n:02}", START + minute * 60_000, kind) for n, (kind, minute) in enumerate(steps)]


def limited(*types: str, limits: list[dict[str, str]], **options: Any) -> dict[str, Any]:
    """A canvas in a row whose arrows have these limits."""
    graph = canvas(*types, **options)
    for arrow, each in zip(graph["arrows"], limits, strict=True):
        arrow.update(each)
    return graph


def comes(limit: dict[str, str], *steps: tuple[str, int]) -> bool:
    """Whether A → B is followed under the limit, and so B reached."""
    found = cells(limited("A", "B", limits=[limit]), timed(*steps))
    assert (("a", 0, DAY0) in found) == (("f", 0, DAY0) in found) == (("n", 1, DAY0) in found)
    return ("n", 1, DAY0) in found


def test_rule_limits_are_inclusive() -> None:
    """Exactly as long is within, and exactly as long is after."""
    assert comes({"within": "10m"}, ("A", 0), ("B", 10))
    assert not comes({"within": "10m"}, ("A", 0), ("B", 11))
    assert comes({"after": "10m"}, ("A", 0), ("B", 10))
    assert not comes({"after": "10m"}, ("A", 0), ("B", 9))


def test_rule_limits_within_may_start_from_a_later_arrival() -> None:
    """The first A is too far back, the second is not; the reach of A stays the first."""
    graph = limited("A", "B", limits=[{"within": "10m"}], trend=True)
    found = cells(graph, timed(("A", 0), ("A", 1_000), ("B", 1_005)))
    assert of_kind(found, "n", "a", "f") == {("n", 0, DAY0): 1, ("n", 1, DAY0): 1, ("a", 0, DAY0): 1, ("f", 0, DAY0): 1}
    assert of_kind(found, "nd") == {("nd", 0, DAY0, DAY0): 1, ("nd", 1, DAY0 + 1, DAY0): 1}


def test_rule_limits_after_may_start_from_an_earlier_arrival() -> None:
    """The last A is too near, the first is not."""
    assert comes({"after": "10m"}, ("A", 0), ("A", 9), ("B", 12))


def test_rule_limits_of_both_take_an_arrival_between_them() -> None:
    """Neither the earliest nor the latest arrival need be the one."""
    limit = {"after": "10m", "within": "12m"}
    assert comes(limit, ("A", 0), ("A", 20), ("A", 28), ("B", 31))
    assert not comes(limit, ("A", 0), ("A", 28), ("B", 31))
    assert not comes(limit, ("A", 18), ("A", 22), ("B", 31))


def test_rule_limits_want_a_later_touchpoint() -> None:
    """Of the same moment is within, when it stands behind; one event is never both ends."""
    same = limited("A", "A", limits=[{"within": "1s"}])
    assert ("n", 1, DAY0) not in cells(same, timed(("A", 0)))
    assert cells(same, timed(("A", 0), ("A", 0)))["n", 1, DAY0] == 1
    assert not comes({"within": "1s"}, ("B", 0), ("A", 0))


def test_rule_limits_an_arrival_lies_on_a_path() -> None:
    """C wants a B that itself came within the limit: the B at minute 30 matches, and is no arrival."""
    graph = limited("A", "B", "C", limits=[{"within": "10m"}, {"within": "10m"}])
    assert ("n", 2, DAY0) not in cells(graph, timed(("A", 0), ("B", 5), ("B", 30), ("C", 35)))
    assert cells(graph, timed(("A", 0), ("B", 5), ("A", 25), ("B", 30), ("C", 35)))["n", 2, DAY0] == 1


def test_rule_limits_events_count_from_the_reach_on_and_arrows_only_what_comes_along() -> None:
    """A later match outside of the limits counts at the node and not along the arrow."""
    graph = limited("A", "B", limits=[{"within": "10m"}], metric="events", arrow_values=True)
    found = cells(graph, timed(("A", 0), ("B", 5), ("B", 50)))
    assert of_kind(found, "e", "ae") == {("e", 0, DAY0): 1, ("e", 1, DAY0): 2, ("ae", 0, DAY0): 1}


def test_rule_limits_of_one_arrow_leave_the_other() -> None:
    """Arrows into a node are ORed, each with its own limit."""
    graph = canvas("A", "B", "C", arrows=[(0, 2), (1, 2)])
    graph["arrows"][0]["within"] = "10m"
    found = cells(graph, timed(("A", 0), ("B", 1), ("C", 50)))
    assert of_kind(found, "a") == {("a", 1, DAY0): 1}
    assert found["n", 2, DAY0] == 1


def test_rule_final_fallout_is_the_hour_behind_the_longest_limit() -> None:
    """START lies 13 minutes into its hour: with two hours more it is over by the third hour."""
    graph = canvas("A", "B", "C", arrows=[(0, 1), (0, 2)])
    graph["arrows"][0]["within"], graph["arrows"][1]["within"] = "5m", "2h"
    assert of_kind(cells(graph, timed(("A", 0))), "x") == {("x", 0, HOUR0 + 3, DAY0): 1}


def test_rule_final_fallout_counts_from_the_last_arrival() -> None:
    """Who arrives again has time again, whatever the order in which events come."""
    graph = limited("A", "B", limits=[{"within": "1h"}])
    first, again = timed(("A", 0), ("A", 600))
    for batches in ([[first], [again]], [[again], [first]], [[again, first]]):
        assert of_kind(cells(graph, *batches), "x") == {("x", 0, HOUR0 + 12, DAY0): 1}


def test_rule_final_fallout_ends_with_any_arrow() -> None:
    """Who follows one arrow has not fallen out, and does not when it arrives again."""
    graph = canvas("A", "B", "C", arrows=[(0, 1), (0, 2)])
    graph["arrows"][0]["within"], graph["arrows"][1]["within"] = "5m", "2h"
    assert not of_kind(cells(graph, timed(("A", 0), ("B", 5), ("A", 10))), "x")
    assert of_kind(cells(graph, timed(("A", 0), ("B", 6))), "x")


def test_rule_final_fallout_wants_a_limit_on_every_arrow() -> None:
    """Without one there is always time; `after` alone never closes."""
    graph = canvas("A", "B", "C", arrows=[(0, 1), (0, 2)])
    graph["arrows"][0]["within"], graph["arrows"][1]["after"] = "5m", "2h"
    assert not of_kind(cells(graph, timed(("A", 0))), "x")


def test_rule_final_fallout_an_hour_is_whole() -> None:
    """An event exactly at the limit still follows, so at the limit nothing is over."""
    graph = limited("A", "B", limits=[{"within": "1h"}])
    whole = [touchpoint("1", HOUR0 * 3_600_000, "A")]
    assert of_kind(cells(graph, whole), "x") == {("x", 0, HOUR0 + 2, DAY0): 1}
