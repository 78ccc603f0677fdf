"""The body of a flow: nothing is lost between columns, and what is shown is the most frequent."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.flow_columns import lengths_of
from state.render import render
from state.render.flow import SEQUENCE_COUNT_MAX
from streams.errors import UsageError
from streams.snapshot import FlowBody, FlowExit, FlowItem, FlowLink, FlowMore, FlowSequence
from tests.state.worlds import definition_set

ITEMS = "abcdefg"
CONDITION = {"match": {"field": "type", "op": "=", "value": "A"}, "title": "The anchor"}


def flow(**changes: Any) -> dict[str, Any]:
    """A flow over content types."""
    return {"name": "f", "kind": "flow", "container": "account", "dimension": "content_type", "top": 2} | changes


def body(analysis: dict[str, Any], sums: dict[Any, int], days: tuple[int, int] | None = None) -> FlowBody:
    """The rendered flow."""
    found = render(definition_set([analysis]).definitions[0], sums, days, 0)
    assert isinstance(found, FlowBody)
    return found


@st.composite
def worlds(draw: st.DrawFn) -> tuple[dict[str, Any], dict[Any, int]]:
    """A flow with any anchor, and paths that it could have, by day."""
    anchor = draw(st.sampled_from([{}, {"starts_with": "a"}, {"ends_with": "a"}, {"ends_with": CONDITION},
                                   {"starts_with": CONDITION}, {"contains": "a"}]))  # fmt: skip
    stages = draw(st.none() | st.lists(st.sampled_from(ITEMS), unique=True, min_size=2))
    analysis = flow(columns=draw(st.integers(3, 6)), top=draw(st.integers(1, 3)), stages=stages, **anchor)
    back, onward = lengths_of(definition_set([analysis]).definitions[0].analysis)  # type: ignore[arg-type]
    value = next(iter(anchor.values()), None)
    first = st.sampled_from(ITEMS) if value is None else st.just(value if isinstance(value, str) else None)
    item = st.sampled_from(ITEMS)
    path = st.tuples(
        st.just("o"),
        st.integers(0, 3),
        st.lists(item, max_size=back).map(tuple),
        st.tuples(first, st.lists(item, max_size=onward - 1)).map(lambda parts: (parts[0], *parts[1])),
    )
    return analysis, draw(st.dictionaries(path, st.integers(0, 9), max_size=40))


def conserves(found: FlowBody, columns: range, direction: int) -> None:
    """Of every shown item and of `more`: links away from the anchor + exits = what is there = links towards it."""
    for column in found.columns:
        step = column.step
        counts: dict[str | None, int | None] = {each.item: each.count for each in column.items}
        counts[None] = column.more.count
        for item, count in counts.items():
            away = sum(link.count for link in found.links if (link.from_step, link.origin) == (step, item)
                       and link.to_step == step + direction)  # fmt: skip
            ends = sum(e.count for e in column.exits if (e.item, e.direction) == (item, direction))
            if step * direction >= 0 and step + direction in columns:
                assert away + ends == count, (step, item)
            else:
                assert away + ends == 0
            if step * direction > 0:
                into = [link for link in found.links if (link.to_step, link.target) == (step, item)]
                assert sum(link.count for link in into) == count
                assert all(link.from_step == step - direction for link in into)


@settings(deadline=None)
@given(worlds())
def test_flow_conserves_in_both_directions(world: tuple[dict[str, Any], dict[Any, int]]) -> None:
    """Shown + more + exits is the inflow at every node, onward from the anchor and back."""
    analysis, sums = world
    found = body(analysis, sums)
    back, onward = lengths_of(definition_set([analysis]).definitions[0].analysis)  # type: ignore[arg-type]
    columns = range(-back, onward)
    conserves(found, columns, 1)
    conserves(found, columns, -1)
    assert found.total == sum(sums.values())
    assert len(columns) == analysis["columns"]
    for column in found.columns:
        if column.step == 0:
            assert sum(each.count for each in column.items) + (column.more.count or 0) == found.total


@settings(deadline=None)
@given(worlds())
def test_columns_show_the_most_frequent(world: tuple[dict[str, Any], dict[Any, int]]) -> None:
    """Against a plain count of every path's item at every step; ties go by the item."""
    analysis, sums = world
    counts: dict[int, Counter[str]] = {}
    for (_, _, back, fore), count in sums.items():
        named = ["The anchor" if item is None else item for item in fore]
        for step, item in [*enumerate(named), *((-1 - i, item) for i, item in enumerate(back))]:
            if count:
                counts.setdefault(step, Counter())[item] += count
    found = body(analysis, sums)
    assert [column.step for column in found.columns] == sorted(counts)
    for column in found.columns:
        ranked = sorted(counts[column.step].items(), key=lambda pair: (-pair[1], pair[0]))
        top = analysis["top"]
        assert column.items == [FlowItem(*pair) for pair in ranked[:top]]
        assert column.more == FlowMore(len(ranked[top:]), sum(count for _, count in ranked[top:]))


SUMS = {
    ("o", 1, ("x", "y"), (None,)): 5,
    ("o", 2, ("x", "y"), (None,)): 1,
    ("o", 1, ("x",), (None,)): 2,
    ("o", 1, ("z", "x"), (None,)): 2,
    ("o", 1, ("w",), (None,)): 1,
    ("o", 1, (), (None,)): 3,
}


def test_ends_with_a_condition_has_its_title_as_anchor() -> None:
    """What is not shown goes on as one; an end before the first column is an entry, direction -1."""
    found = body(flow(ends_with=CONDITION, columns=3, top=1), SUMS)
    before, between, anchor = found.columns
    assert (before.step, before.items, before.more) == (-2, [FlowItem("y", 6)], FlowMore(1, 2))
    assert (between.items, between.more) == ([FlowItem("x", 8)], FlowMore(2, 3))
    assert (anchor.items, anchor.more) == ([FlowItem("The anchor", 14)], FlowMore(0, 0))
    assert (before.exits, between.exits) == ([], [FlowExit("x", -1, 2), FlowExit(None, -1, 1)])
    assert anchor.exits == [FlowExit("The anchor", -1, 3)]
    assert found.links == [
        FlowLink(0, "The anchor", -1, "x", 8),
        FlowLink(0, "The anchor", -1, None, 3),
        FlowLink(-1, "x", -2, "y", 6),
        FlowLink(-1, None, -2, None, 2),
    ]
    assert found.sequences is not None
    assert found.sequences[:2] == [
        FlowSequence(["x", "y"], ["The anchor"], 6),
        FlowSequence([], ["The anchor"], 3),
    ]


def test_range_takes_the_anchors_of_its_days() -> None:
    """The day of a path is that of its anchor occurrence."""
    assert body(flow(ends_with=CONDITION), SUMS, (2, 5)).total == 1
    assert body(flow(ends_with=CONDITION), SUMS, (1, 1)).total == 13


def test_sequences_are_the_most_frequent_paths() -> None:
    """No more than are read by people."""
    sums = {("o", 0, (), (str(n), "b")): n for n in range(1, SEQUENCE_COUNT_MAX + 10)}
    found = body(flow(), sums).sequences
    assert found is not None
    assert [each.count for each in found] == list(range(SEQUENCE_COUNT_MAX + 9, 9, -1))


CONTAINER_SUMS = {
    ("n", 0, None): 9, ("n", 1, "x"): 5, ("n", 1, "y"): 4, ("n", 1, "z"): 4, ("n", 2, "x"): 3, ("n", 2, "gone"): 0,
    ("l", 0, None, 1, "x"): 5, ("l", 0, None, 1, "y"): 4, ("l", 0, None, 1, "z"): 4, ("l", 1, "x", 2, "x"): 2,
    ("l", 1, "z", 2, "x"): 3, ("x", 0, None, 1): 1, ("x", 1, "y", 1): 2, ("x", 1, "z", 1): 4,
}  # fmt: skip


def test_distinct_containers_are_shown_as_they_are() -> None:
    """They do not add up: no count for the rest, links and exits only at shown items, no sequences."""
    found = body(flow(starts_with=CONDITION, count="containers", columns=3), CONTAINER_SUMS)
    assert (found.total, found.sequences) == (9, None)
    assert [column.items for column in found.columns] == [
        [FlowItem("The anchor", 9)],
        [FlowItem("x", 5), FlowItem("y", 4)],
        [FlowItem("x", 3)],
    ]
    assert [column.more for column in found.columns] == [FlowMore(0, None), FlowMore(1, None), FlowMore(0, None)]
    assert [column.exits for column in found.columns] == [[FlowExit("The anchor", 1, 1)], [FlowExit("y", 1, 2)], []]
    assert found.links == [
        FlowLink(0, "The anchor", 1, "x", 5),
        FlowLink(0, "The anchor", 1, "y", 4),
        FlowLink(1, "x", 2, "x", 2),
    ]


def test_distinct_containers_have_no_ranges() -> None:
    """A container may stand in several days, so days can not be summed: the error says what to do."""
    with pytest.raises(UsageError, match="count: occurrences"):
        body(flow(count="containers"), CONTAINER_SUMS, (0, 1))


def test_nothing_is_an_empty_flow() -> None:
    """Before the first path there are no columns."""
    assert body(flow(), {}) == FlowBody(0, [], [], [])
    assert body(flow(count="containers"), {}) == FlowBody(0, [], [], None)
