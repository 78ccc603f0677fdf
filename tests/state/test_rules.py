"""The rules of the semantics one by one, each with a test that is named for it and fails when it is bent."""

from typing import Any

import pytest

from tests.check.batches import sql_cells
from tests.state.cells import cells
from tests.state.worlds import DAY, START, touchpoint

DAY0 = START // DAY
HOUR = 3_600_000


def is_(type_: str) -> dict[str, Any]:
    """The condition that the type is this."""
    return {"field": "type", "op": "=", "value": type_}


def canvas(*types: str, arrows: list[tuple[int, int]] | None = None, **options: Any) -> dict[str, Any]:
    """A canvas with one node per type, in a row unless arrows are given."""
    pairs = [(i, i + 1) for i in range(len(types) - 1)] if arrows is None else arrows
    return {
        "kind": "canvas",
        "container": "account",
        "nodes": [{"id": f"n{i}", "match": is_(t)} for i, t in enumerate(types)],
        "arrows": [{"from": f"n{a}", "to": f"n{b}"} for a, b in pairs],
        **options,
    }


def cohort(**options: Any) -> dict[str, Any]:
    """A daily cohort of A, returning with B."""
    return {
        "kind": "cohort",
        "container": "account",
        "granularity": "day",
        "inclusion": {"match": is_("A")},
        "return": {"match": is_("B")},
        "periods": 5,
        **options,
    }


def flow(**options: Any) -> dict[str, Any]:
    """A flow over types."""
    return {"kind": "flow", "container": "account", "dimension": "type", **options}


def series(types: str, step: int = 60_000, **fields: Any) -> list[Any]:
    """Touchpoints of these one-letter types, a minute apart."""
    return [touchpoint(str(i), START + i * step, t, **fields) for i, t in enumerate(types)]


SHOP = ["Home", "Products", "Add", "Products", "Add", "Billing", "Confirm"]
SHOPPING = [touchpoint(str(i), START + i, t) for i, t in enumerate(SHOP)]


# ---------------------------------------------------------------------------------------------------- touchpoints


def test_rule_dedupe_the_same_event_counts_once() -> None:
    """A repeated event changes nothing, in one batch or in two."""
    events = series("AB")
    once = cells(canvas("A", "B", metric="events"), events)
    assert cells(canvas("A", "B", metric="events"), events + events) == once
    assert cells(canvas("A", "B", metric="events"), events, events) == once


def test_rule_dedupe_events_of_two_sources_are_two() -> None:
    """The same id from another source is another event."""
    events = [touchpoint("1", START, "A"), touchpoint("1", START, "A", source="t")]
    assert cells(canvas("A", metric="events"), events)["e", 0, DAY0] == 2


def test_rule_revision_the_higher_one_wins_whatever_comes_first() -> None:
    """A correction counts instead of what it corrects, also when it arrives first."""
    old, new = touchpoint("1", START, "A"), touchpoint("1", START, "B", revision=1)
    for order in ([old, new], [new, old]):
        assert ("n", 0, DAY0) not in cells(canvas("A"), *[[t] for t in order])
        assert cells(canvas("B"), *[[t] for t in order])["n", 0, DAY0] == 1


def test_rule_revision_without_one_the_greater_hash_wins() -> None:
    """Two payloads of one event without revisions give the same result in either order."""
    a, b = touchpoint("1", START, "A"), touchpoint("1", START, "B")
    assert cells(canvas("A"), [a], [b]) == cells(canvas("A"), [b], [a])


def test_rule_retraction_a_withdrawn_event_is_gone() -> None:
    """What an event said is taken back when it is withdrawn, and the container with its last event."""
    withdrawal = touchpoint("0", START, "A", withdrawn=True, revision=1)
    assert cells(canvas("A", "B"), series("AB"), [withdrawal]) == {("t", DAY0): 1}
    assert cells(canvas("A"), series("A"), [withdrawal]) == {}


def test_rule_retraction_a_withdrawal_that_comes_first_still_holds() -> None:
    """The withdrawal stays as {absent, revision}, so an older version that comes later does not count."""
    assert cells(canvas("A"), [touchpoint("0", START, "A", withdrawn=True, revision=1)], series("A")) == {}


def test_rule_revision_a_withdrawn_event_may_come_back() -> None:
    """A revision behind the withdrawal counts again."""
    versions = [touchpoint("1", START, "A", withdrawn=n == 1, revision=n) for n in range(3)]
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        assert cells(canvas("A"), *[[versions[i]] for i in order])["n", 0, DAY0] == 1


def test_rule_tie_break_source_sequence_then_event_id_then_source() -> None:
    """At the same time the source's order decides, then the id, then the source; never the arrival."""
    first = touchpoint("9", START, "A", source_sequence=1)
    then = touchpoint("1", START, "B", source_sequence=2)
    assert cells(canvas("A", "B"), [then, first])["n", 1, DAY0] == 1
    assert ("n", 1, DAY0) not in cells(canvas("B", "A"), [first, then])
    assert cells(canvas("A", "B"), [touchpoint("2", START, "B"), touchpoint("1", START, "A")])["n", 1, DAY0] == 1
    tied = [touchpoint("1", START, "B", source="t"), touchpoint("1", START, "A", source="s")]
    assert cells(canvas("A", "B"), tied)["n", 1, DAY0] == 1


# --------------------------------------------------------------------------------------------------------- canvas


def test_rule_canvas_one_event_never_satisfies_two_nodes_in_a_row() -> None:
    """The second node wants a later event."""
    assert ("n", 1, DAY0) not in cells(canvas("A", "A"), series("A"))
    assert cells(canvas("A", "A"), series("AA"))["n", 1, DAY0] == 1


def test_rule_canvas_scenario_events_count_from_reach_on() -> None:
    """Series 1,2,3,3 over 1→2→3 counts events 1, 1, 2; who skips 2 counts at 1 only."""
    counted = cells(canvas("A", "B", "C", metric="events"), series("ABCC"))
    assert [counted["e", node, DAY0] for node in range(3)] == [1, 1, 2]
    skipped = cells(canvas("A", "B", "C", metric="events"), series("ACC"))
    assert {cell: n for cell, n in skipped.items() if cell[0] == "e"} == {("e", 0, DAY0): 1}


def test_rule_canvas_value_is_summed_from_reach_on() -> None:
    """The value of matching events before the node is reached does not count."""
    events = [
        touchpoint("1", START, "B", value=5_000_000),
        touchpoint("2", START + 1, "A"),
        touchpoint("3", START + 2, "B", value=2_000_000),
        touchpoint("4", START + 3, "B", value=-500_000),
        touchpoint("5", START + 4, "B"),
    ]
    assert cells(canvas("A", "B", metric="value"), events)["v", 1, DAY0] == 1_500_000


def test_rule_canvas_parents_are_ored_and_their_union_is_counted_once() -> None:
    """A node behind two others is reached through either; the union of its parents counts a container once."""
    graph = canvas("A", "B", "C", arrows=[(0, 2), (1, 2)])
    counted = cells(graph, series("BAC"))
    assert counted["n", 2, DAY0] == 1
    assert counted["p", 2, DAY0] == 1
    assert counted["a", 0, DAY0] == counted["a", 1, DAY0] == 1


def test_rule_canvas_fallout_follows_any_arrow_once() -> None:
    """A container that follows two arrows of a node followed one in the count behind fallout."""
    graph = canvas("A", "B", "C", arrows=[(0, 1), (0, 2)])
    assert cells(graph, series("ABC"))["f", 0, DAY0] == 1
    assert ("f", 0, DAY0) not in cells(graph, series("A"))


def test_rule_canvas_an_arrow_wants_its_own_origin_before() -> None:
    """a→b counts containers that match b behind reach(a), although b was reached through another parent."""
    graph = canvas("A", "B", "C", arrows=[(0, 2), (1, 2)])
    counted = cells(graph, series("ACB"))
    assert counted["a", 0, DAY0] == 1
    assert ("a", 1, DAY0) not in counted
    assert cells(graph, series("ACBC"))["a", 1, DAY0] == 1


def test_rule_canvas_the_start_is_the_first_touchpoint_of_any_kind() -> None:
    """A container belongs to the day of its first touchpoint, whether or not that matches a node."""
    events = [touchpoint("0", START, "X"), touchpoint("1", START + 3 * DAY, "A")]
    assert cells(canvas("A"), events) == {("t", DAY0): 1, ("n", 0, DAY0): 1}
    assert cells(canvas("A"), events[1:], events[:1]) == {("t", DAY0): 1, ("n", 0, DAY0): 1}


def test_rule_canvas_withdrawing_the_first_touchpoint_moves_the_start() -> None:
    """The start moves to what is the first now, also when that interests no node."""
    events = [touchpoint("0", START, "X"), touchpoint("1", START + DAY, "Y"), touchpoint("2", START + 3 * DAY, "A")]
    gone = touchpoint("0", START, "X", withdrawn=True, revision=1)
    assert cells(canvas("A"), events, [gone]) == {("t", DAY0 + 1): 1, ("n", 0, DAY0 + 1): 1}


def test_rule_canvas_withdrawing_what_was_the_first_for_a_while_leaves_nothing_of_it() -> None:
    """An event that interests no node counts while it is the first, and later is in nobody's way when it goes."""
    events = [touchpoint("0", START, "X"), touchpoint("1", START + DAY, "Y"), touchpoint("2", START + 3 * DAY, "A")]
    gone = [touchpoint(str(n), START + n * DAY, t, withdrawn=True, revision=1) for n, t in enumerate("XY")]
    expected = {("t", DAY0 + 3): 1, ("n", 0, DAY0 + 3): 1}
    assert cells(canvas("A"), events[1:], events[:1], gone[1:], gone[:1]) == expected
    assert cells(canvas("A"), events[1:], events[:1], gone[:1], gone[1:]) == expected


# --------------------------------------------------------------------------------------------------------- cohort


def test_rule_cohort_first_includes_once_and_every_each_time() -> None:
    """Mode first keeps the first qualifying period only; every keeps all of them."""
    events = series("AAB", step=DAY)
    assert cells(cohort(), events) == {("i", DAY0): 1, ("r", DAY0, 2): 1}
    assert cells(cohort(include="every"), events) == {
        ("i", DAY0): 1, ("i", DAY0 + 1): 1, ("r", DAY0, 2): 1, ("r", DAY0 + 1, 1): 1,
    }  # fmt: skip


def test_rule_cohort_the_period_of_inclusion_counts_what_comes_after_it() -> None:
    """k=0 wants the return behind the event that includes, for thresholds that can not revert."""
    assert ("r", DAY0, 0) not in cells(cohort(), series("BA"))
    assert cells(cohort(), series("BAB"))["r", DAY0, 0] == 1


def test_rule_cohort_thresholds_that_revert_count_the_whole_period() -> None:
    """With `=` the inclusion can revert, so k=0 counts the whole period; and it is taken back when it reverts."""
    exactly_one = {"match": is_("A"), "op": "=", "number": 1}
    assert cells(cohort(inclusion=exactly_one), series("BA"))["r", DAY0, 0] == 1
    assert cells(cohort(inclusion=exactly_one), series("BAA")) == {}


def test_rule_cohort_retraction_of_the_inclusion_moves_it() -> None:
    """A late first inclusion takes the later one's place."""
    late = touchpoint("9", START - DAY, "A")
    assert cells(cohort(), series("AB", step=DAY), [late]) == {("i", DAY0 - 1): 1, ("r", DAY0 - 1, 2): 1}


def test_rule_cohort_thresholds_join_counts_and_values() -> None:
    """AND and OR over counts and sums of value, in units of the currency."""
    worth = {"match": is_("A"), "metric": "value", "op": ">=", "number": 1.5}
    twice = {"match": is_("A"), "op": ">", "number": 1}
    events = [touchpoint("0", START, "A", value=1_000_000), touchpoint("1", START + 1, "A", value=500_000)]
    assert cells(cohort(inclusion={"all": [worth, twice]}), events) == {("i", DAY0): 1}
    assert cells(cohort(inclusion={"all": [worth, twice]}), events[:1]) == {}
    assert cells(cohort(inclusion={"any": [twice, {"all": [worth]}]}), events[:1]) == {}


def test_rule_cohort_sums_of_value_have_no_limit() -> None:
    """Beyond 64 bits in both directions, and back."""
    huge = 999_999_999_999_999_999
    worth = {"match": is_("A"), "metric": "value", "op": ">=", "number": 11_000_000_000_000}
    events = [touchpoint(str(i), START + i, "A", value=huge) for i in range(12)]
    lost = [touchpoint(f"x{i}", START + 100 + i, "A", value=-huge) for i in range(25)]
    assert cells(cohort(inclusion=worth), *[[event] for event in events]) == {("i", DAY0): 1}
    assert cells(cohort(inclusion=worth), *[[event] for event in events + lost]) == {}


def test_rule_canvas_the_largest_one_works() -> None:
    """As many nodes and arrows as a definition may have, all of them followed."""
    arrows = [(0, node) for node in range(1, 60)] + [(1, node) for node in range(2, 7)]
    graph = canvas(*["A"] * 60, arrows=arrows)
    counted = cells(graph, series("AAAA"))
    assert sum(cell[0] == "a" for cell in counted) == 64
    assert sum(cell[0] == "n" for cell in counted) == 60


def test_rule_cohort_only_periods_with_a_touchpoint_qualify() -> None:
    """`= 0` holds in periods that have a touchpoint, and in no other."""
    no_a = {"match": is_("A"), "op": "=", "number": 0}
    counted = cells(cohort(inclusion=no_a, include="every"), series("BAB", step=DAY))
    assert {cell for cell in counted if cell[0] == "i"} == {("i", DAY0), ("i", DAY0 + 2)}


def test_rule_cohort_periods_end_the_row() -> None:
    """A return behind the last column is not kept."""
    events = [touchpoint("0", START, "A"), touchpoint("1", START + 6 * DAY, "B")]
    assert cells(cohort(), events) == {("i", DAY0): 1}
    assert cells(cohort(include="every"), events) == {("i", DAY0): 1}


@pytest.mark.parametrize(
    ("granularity", "bucket"), [("day", 19675), ("week", 2810), ("month", 646), ("quarter", 215), ("year", 53)]
)
def test_rule_cohort_granularities(granularity: str, bucket: int) -> None:
    """2023-11-14 in each granularity; weeks begin on Monday, the first on 1970-01-05."""
    assert cells(cohort(granularity=granularity), series("A")) == {("i", bucket): 1}


def test_rule_cohort_periods_are_those_of_the_zone() -> None:
    """An event at 23:30 UTC lies in the next day in Berlin."""
    late_evening = touchpoint("0", DAY0 * DAY + 23 * HOUR + 1_800_000, "A")
    assert cells(cohort(), [late_evening], zone="Europe/Berlin") == {("i", DAY0 + 1): 1}


# ----------------------------------------------------------------------------------------------------------- flow


def steps(counted: dict[tuple[Any, ...], int], step: int, *, back: bool = False) -> dict[Any, int]:
    """Item → paths that have it so many steps from the anchor."""
    found: dict[Any, int] = {}
    for (_, _, before, fore), count in counted.items():
        path = [fore[0], *before] if back else fore
        if len(path) > step:
            found[path[step]] = found.get(path[step], 0) + count
    return found


def test_rule_flow_worked_example_starts_with() -> None:
    """Starts with Add: Add 2 → Products 1, Billing 1; limit first: Add 1 → Products 1."""
    every = cells(flow(starts_with="Add"), SHOPPING)
    assert (steps(every, 0), steps(every, 1)) == ({"Add": 2}, {"Products": 1, "Billing": 1})
    first = cells(flow(starts_with="Add", limit="first"), SHOPPING)
    assert (steps(first, 0), steps(first, 1)) == ({"Add": 1}, {"Products": 1})


def test_rule_flow_worked_example_ends_with() -> None:
    """Ends with Add: Products 2 → Add 2; limit last: Products 1 → Add 1."""
    every = cells(flow(ends_with="Add"), SHOPPING)
    assert (steps(every, 0, back=True), steps(every, 1, back=True)) == ({"Add": 2}, {"Products": 2})
    last = cells(flow(ends_with="Add", limit="last"), SHOPPING)
    assert steps(last, 1, back=True) == {"Products": 1}
    assert list(last) == [("o", DAY0, ("Products", "Add", "Products", "Home"), ("Add",))]


def test_rule_flow_contains_has_the_anchor_in_the_middle() -> None:
    """Five columns: two before, the anchor, two behind."""
    assert cells(flow(contains="Billing"), SHOPPING) == {
        ("o", DAY0, ("Add", "Products"), ("Billing", "Confirm")): 1,
    }


def test_rule_flow_runs_collapse_unless_repeats_are_wanted() -> None:
    """AABB is A, B; with repeats it is A, A, B, B."""
    assert list(cells(flow(), series("AABB"))) == [("o", DAY0, (), ("A", "B"))]
    assert list(cells(flow(include_repeats=True), series("AABB"))) == [("o", DAY0, (), ("A", "A", "B", "B"))]


def test_rule_flow_a_condition_is_a_column_of_its_own() -> None:
    """The values lie beside the anchor; its own belongs to neither side, and touchpoints without a value to none."""
    events = [
        touchpoint("0", START, "V", content_type="x"),
        touchpoint("1", START + 1, "M", content_type="y"),
        touchpoint("2", START + 2, "V", content_type="z"),
        touchpoint("3", START + 3, "M"),
    ]
    matched = {"match": is_("M"), "title": "MQL"}
    ends = cells(flow(dimension="content_type", ends_with=matched), events)
    assert ends == {("o", DAY0, ("x",), (None,)): 1, ("o", DAY0, ("z", "y", "x"), (None,)): 1}
    starts = cells(flow(dimension="content_type", starts_with=matched), events)
    assert starts == {("o", DAY0, (), (None, "z")): 1, ("o", DAY0, (), (None,)): 1}


def test_rule_flow_distinct_containers_count_once() -> None:
    """Two occurrences in one account are one container at every node; two accounts are two."""
    counted = cells(flow(starts_with="A", columns=3, count="containers"), series("ABAB"), series("AB", account="brit"))
    assert counted["n", 0, "A"] == 2
    assert counted["l", 0, "A", 1, "B"] == 2
    assert counted["n", 2, "A"] == 1
    assert counted["x", 1, "B", 1] == 2


def test_rule_flow_a_long_text_is_cut_as_an_item() -> None:
    """Of what is within 2,048 characters nothing; what differs behind that stays different."""
    texts = ["ü" * 2_048, "x" * 3_000 + "a", "x" * 3_000 + "b", "x" * 3_000 + "a"]
    events = [touchpoint(str(i), START + i, attributes={"text": text}) for i, text in enumerate(texts)]
    analysis = flow(starts_with={"match": is_("A")}, dimension="attributes.text", columns=4)
    live = cells(analysis, events)
    assert live == sql_cells(events, analysis)
    (longest,) = (fore for _, _, _, fore in live if len(fore) == 4)
    _, first, second, third = longest
    assert first == third != second
    assert {len(item) for item in longest[1:]} == {2_017}


def test_rule_flow_dimension_values_are_text() -> None:
    """Attributes that are no text are shown as text."""
    events = [touchpoint(str(i), START + i, "A", attributes={"tier": v}) for i, v in enumerate([1, True, 2.5, "x"])]
    assert list(cells(flow(dimension="attributes.tier"), events)) == [("o", DAY0, (), ("1", "true", "2.5", "x"))]


# ----------------------------------------------------------------------------------------------------- containers


@pytest.mark.parametrize("container", ["opportunity", "buying_group", "person", "session"])
def test_rule_containers_are_counted_within_their_account(container: str) -> None:
    """A container's identity is (account, kind, id): the same id in two accounts is two containers."""
    events = [touchpoint(a, START, "A", account=a, **{container: "it"}) for a in ("acme", "brit")]
    assert cells(canvas("A", container=container), [*events, touchpoint("9", START, "A")])["t", DAY0] == 2


def test_rule_containers_a_correction_moves_a_touchpoint_to_another_one() -> None:
    """Also where both versions come together: the former one never had it."""
    versions = [touchpoint("1", START, "A", opportunity=f"o{n}", revision=n) for n in range(3)]
    for batches in ([versions], [[each] for each in versions], [versions[:1], versions[1:]]):
        assert cells(canvas("A", container="opportunity"), *batches) == {("t", DAY0): 1, ("n", 0, DAY0): 1}


def test_rule_session_a_gap_of_more_than_thirty_minutes_ends_it() -> None:
    """Derived sessions: 30 minutes keep one going, a millisecond more begins another, a late event joins two."""
    gap = 1_800_000
    events = [touchpoint(str(i), START + i * gap, "A", person="p") for i in range(3)]
    sessions = canvas("A", container="session")
    assert cells(sessions, events)["t", DAY0] == 1
    apart = [events[0], touchpoint("7", START + gap + 1, "A", person="p")]
    assert cells(sessions, apart)["t", DAY0] == 2
    assert cells(sessions, apart, [touchpoint("8", START + 60_000, "A", person="p")])["t", DAY0] == 1


def test_rule_session_counts_once_and_a_person_s_next_one_again() -> None:
    """Distinct sessions, not persons: a value twice in a session is one, in two sessions two; joined they are one."""
    first = [touchpoint(str(i), START + i * 60_000, t, person="p") for i, t in enumerate("ABAC")]
    second = [touchpoint(str(i + 9), START + 5_400_000 + i * 60_000, t, person="p") for i, t in enumerate("AB")]
    sessions = flow(container="session", count="containers", starts_with="A", columns=3)
    found = cells(sessions, first, second)
    assert (found["n", 0, "A"], found["n", 1, "B"], found["n", 1, "C"]) == (2, 2, 1)
    between = [touchpoint(str(i + 20), START + i * 1_500_000, "X", person="p") for i in range(1, 4)]
    assert cells(sessions, first, second, between)["n", 0, "A"] == 1


def test_rule_session_is_derived_for_web_touchpoints_of_a_person_without_session_id() -> None:
    """CRM touchpoints, nobody's touchpoints and those with a session id make no derived session."""
    events = [
        touchpoint("0", START, "A", person="p", stream="crm"),
        touchpoint("1", START, "A"),
        touchpoint("2", START, "A", person="p", session="s1"),
    ]
    assert cells(canvas("A", container="session"), events)["t", DAY0] == 1
