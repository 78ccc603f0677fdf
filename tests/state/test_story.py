"""The story of a container: nothing is missing, in order, whatever the pages; marks are those of a naive reading."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.accounts import Accounts
from state.containers import Containers
from state.cut import cut_of
from state.definition_set import DefinitionSet
from state.story import Wanted, cursor_of, key_of_cursor, story_page
from state.story_marks import StoryMarks
from state.telling import is_online
from streams.answers import Milestone, Told
from streams.errors import UsageError
from streams.touchpoint import Touchpoint, order_of
from tests.oracles.brute import containers_of, surviving
from tests.oracles.canvas import reach_of
from tests.state.layers_of import layers_of
from tests.state.memory_store import MemoryStore
from tests.state.small import make_chunks_small, make_timelines_small
from tests.state.worlds import (
    CONTAINERS,
    DAY,
    START,
    VALUES,
    Record,
    canvases,
    definition_set,
    restless_touchpoints,
    touchpoint,
    touchpoints,
)


@pytest.fixture(autouse=True)
def _short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks, timelines and pools so short that small worlds have many, and jumps between them."""
    make_chunks_small(monkeypatch)
    monkeypatch.setattr("state.story_marks.JUMP_ENTRIES", 5)
    monkeypatch.setattr("state.story.POOL_COUNT", 4)
    make_timelines_small(monkeypatch)


class World:
    """A partition that has applied touchpoints, and its stories."""

    def __init__(self, definitions: DefinitionSet, arrived: list[Touchpoint]) -> None:
        self.definitions, self.layers, self.store = definitions, layers_of(definitions), MemoryStore()
        for each in arrived:
            self.store.apply(Accounts(self.layers, self.store).compute([Record(each)]).rows)

    def story(self, wanted: dict[str, Any] | None = None, count: int = 500) -> list[Told]:
        """All pages of acme's story, newest first."""
        milestones = StoryMarks(self.definitions, self.layers, Containers(self.layers, self.store))
        found: list[Told] = []
        before = None
        while True:
            page = story_page(self.store, milestones, b"acme", Wanted(before=before, **(wanted or {})), count)
            assert len(page.touchpoints) == count or page.before is None
            found += page.touchpoints
            if page.before is None:
                return found
            before = key_of_cursor(cursor_of(page.before) or "")


NOTHING: dict[str, Any] = {
    "name": "c", "kind": "canvas", "container": "account",
    "nodes": [{"id": t.lower(), "match": {"field": "type", "op": "=", "value": t}} for t in "ABCDEF"],
    "arrows": [{"from": "b", "to": "d"}],
}  # fmt: skip
# Four at once, for a list of hypothesis' has five elements most of the time.
WORLDS = st.lists(st.one_of(touchpoints(), restless_touchpoints()), min_size=4, max_size=4).map(
    lambda worlds: [each for world in worlds for each in world]
)
FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sets(st.sampled_from("ABCD"), min_size=1),
        "person": st.just({"p1"}),
        "channel": st.sets(st.sampled_from(VALUES), min_size=1),
    },
)


@settings(max_examples=20)
@given(
    WORLDS, FILTERS, st.sampled_from([{}, {"opportunity": {"o1"}}, {"buying_group": {"g1"}}]),
    st.integers(1, 7), st.sampled_from([0, 5, 1_000]),
)  # fmt: skip
def test_oracle_a_story_is_the_sorted_series(
    arrived: list[Touchpoint], filters: dict[str, set[str]], container: dict[str, set[str]], count: int, vain_max: int
) -> None:
    """Every touchpoint that counts and is wanted, newest first, over pages of any size, along the timeline, without it
    and where it is given up; late ones are marked."""
    world = World(definition_set([NOTHING]), arrived)
    mine = [each for each in surviving(arrived) if each.account == "acme"]
    wanted = [
        each
        for each in sorted(mine, key=order_of, reverse=True)
        if all(getattr(each, name) in values for name, values in {**filters, **container}.items())
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("state.story.VAIN_COUNT_MAX", vain_max)
        found = world.story({"filters": filters, "container": container}, count)
    assert [(t.event_time, t.source_sequence, t.event_id, t.source) for t in found] == [order_of(t) for t in wanted]
    for shown, each in zip(found, wanted, strict=True):
        later = [other for other in mine if other.event_time > each.event_time]
        assert shown.is_late == any(other.ingest_time < each.ingest_time for other in later)
        assert shown.is_corrected == (each.revision > 0)


@st.composite
def chains(draw: st.DrawFn) -> dict[str, Any]:
    """A canvas that goes a long way: one type after the other."""
    types = draw(st.permutations("ABCD"))
    return {
        "kind": "canvas",
        "container": draw(st.sampled_from(CONTAINERS)),
        "nodes": [{"id": f"n{n}", "match": {"field": "type", "op": "=", "value": t}} for n, t in enumerate(types)],
        "arrows": [{"from": f"n{n}", "to": f"n{n + 1}"} for n in range(3)],
    }


@st.composite
def walks(draw: st.DrawFn) -> list[Touchpoint]:
    """Many touchpoints of few containers, most of which no analysis reads, in any order of arrival."""
    types = draw(st.lists(st.sampled_from("ABCDXXXX"), min_size=12, max_size=40))
    made = [
        touchpoint(
            str(n), START + n * DAY // 40, type_, opportunity=f"o{n % 2}", person=f"p{n % 2}", buying_group="g",
            session=None if n % 3 else "s",
        )
        for n, type_ in enumerate(types)
    ]  # fmt: skip
    return draw(st.permutations(made))


@settings(max_examples=20)
@given(st.one_of(canvases(), chains()), st.one_of(WORLDS, walks()), st.integers(1, 50))
def test_oracle_milestones_are_where_nodes_are_reached(
    canvas: dict[str, Any], arrived: list[Touchpoint], count: int
) -> None:
    """The first touchpoint at which each container stands at each node, by trying every path."""
    definitions = definition_set([{"name": "c", **canvas}])
    kind = canvas["container"]
    expected = set()
    for key, walk in containers_of(arrived, kind).items():
        (account, *_), id_ = (walk[0].account, key), None if kind == "account" else key[-1]
        if kind == "session":
            id_ = key[2]
        reached = reach_of(definitions.definitions[0].analysis, walk)  # type: ignore[arg-type]
        if account == "acme":
            expected |= {(order_of(walk[place]), kind, id_, node) for node, place in reached.items()}
    found = {
        ((t.event_time, t.source_sequence, t.event_id, t.source), m.kind, m.id, m.node)
        for t in World(definitions, arrived).story(count=count)
        for m in t.milestones
    }
    assert found == expected


def letters(text: str) -> list[Touchpoint]:
    """A touchpoint a day, whose types are the letters."""
    return [touchpoint(f"{n:02}", START + n * DAY, letter, opportunity="o1") for n, letter in enumerate(text)]


@pytest.mark.parametrize(
    ("text", "milestone", "before", "after"),
    [
        ("ABCDEF", "c:b>d", "AB", "DEF"),
        ("ABCDBCDE", "c:b>d", "ABCDB", "DBCDE"),
        ("ABCDBE", "c:b>d", "AB", "DBE"),
        ("DCBA", "c:b>d", "", ""),
        ("BBDD", "c:b>d", "BB", "DD"),
        ("ABAB", "c:a>b>a", "A", "AB"),
        ("AAA", "c:a>a", "AA", "AA"),
        ("AXBXDXD", "c:d", "AXBXDXD", "DXD"),
        ("DXBXDXBX", "c:d", "DXBXD", "DXBX"),
        ("DDD", "c:d", "", ""),
        ("XBXBX", "c:b", "XBXB", "BXBX"),
        ("", "c:b", "", ""),
    ],
)
def test_before_and_after_a_milestone(text: str, milestone: str, before: str, after: str) -> None:
    """Before ends with the first of the last occurrence, after begins with the last of the first one; a node occurs
    where it counts an event."""
    world = World(definition_set([NOTHING]), letters(text))
    cut = cut_of(world.definitions, milestone)
    for side, expected in (("before", before), ("after", after)):
        found = world.story({"cut": cut, "side": side}, 2)
        assert "".join(reversed([each.type for each in found])) == expected


def test_a_milestone_lies_in_the_story_of_the_container_that_is_asked_for() -> None:
    """What other containers of the account did neither makes it nor moves it; filters do not move it either."""
    other = [touchpoint("x", START - DAY, "B", opportunity="o2"), touchpoint("y", START + 9 * DAY, "D")]
    world = World(definition_set([NOTHING]), [*letters("ABCD"), *other])
    wanted = {
        "cut": cut_of(world.definitions, "c:b>d"), "side": "after", "container": {"opportunity": {"o1"}},
    }  # fmt: skip
    assert [each.type for each in world.story(wanted)] == ["D"]
    assert [each.type for each in world.story({**wanted, "side": "before"})] == ["B", "A"]
    assert [each.type for each in world.story({**wanted, "side": "before", "filters": {"type": {"A"}}})] == ["A"]


@pytest.mark.parametrize("text", ["x:a", "c", "c:", "c:x", "c:a>x", "k:a"])
def test_a_milestone_that_there_is_not_is_refused(text: str) -> None:
    """With the canvases and nodes that there are."""
    with pytest.raises(UsageError, match=r"is no canvas|has no node"):
        cut_of(definition_set([NOTHING, COHORT]), text)


COHORT: dict[str, Any] = {
    "name": "k", "kind": "cohort", "container": "opportunity", "granularity": "month", "periods": 3,
    "inclusion": {"match": {"field": "type", "op": "=", "value": "A"}, "op": "=", "number": 1},
    "return": {"match": {"field": "type", "op": "=", "value": "B"}},
}  # fmt: skip
FLOW: dict[str, Any] = {"name": "f", "kind": "flow", "container": "person", "dimension": "type"}


def test_a_cohort_s_inclusion_is_a_milestone_and_so_is_its_end() -> None:
    """Thresholds that revert take back what they said; flows have no milestones."""
    definitions = definition_set([COHORT, FLOW])
    found = World(definitions, letters("BAXA")).story()
    assert [each.milestones for each in reversed(found)] == [
        [],
        [Milestone("k", "opportunity", "o1", period="2023-11")],
        [],
        [Milestone("k", "opportunity", "o1", period="2023-11", is_left=True)],
    ]


def test_what_interests_no_analysis_has_no_milestones() -> None:
    """Its opportunity has no row."""
    (found,) = World(definition_set([COHORT]), letters("X")).story()
    assert found.milestones == []


@pytest.mark.parametrize("touchpoints_min", [3, 1_000])
def test_at_one_moment_the_source_s_own_order_counts(touchpoints_min: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the order in which the rows lie; also where a page is full of one moment."""
    make_timelines_small(monkeypatch, touchpoints_min)
    arrived = [touchpoint(str(n), START, "A", source_sequence=9 - n) for n in range(5)]
    found = World(definition_set([FLOW]), arrived).story(count=1)
    assert [each.source_sequence for each in found] == [9, 8, 7, 6, 5]


def test_a_scan_finds_the_newest_wherever_they_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a pool of older ones too."""
    make_timelines_small(monkeypatch, 1_000)
    found = World(definition_set([FLOW]), letters("ABCDABCDAB")).story(count=2)
    assert [each.event_id for each in found] == [f"{n:02}" for n in reversed(range(10))]


def test_a_touchpoint_is_told_whole() -> None:
    """Everything of it but what only milepost needs; amounts as text."""
    full = touchpoint(
        "1", START, "A", opportunity="o1", value=-1_500_000, attributes={"tier": 1}, revision=2, ingest_time=7,
        channel="Trade-Show", person="p1",
    )  # fmt: skip
    (found,) = World(definition_set([FLOW]), [full]).story()
    assert (found.value, found.attributes, found.revision, found.ingest_time) == ("-1.5", {"tier": 1}, 2, 7)
    assert (found.opportunity, found.is_corrected, found.is_online, found.is_late) == ("o1", True, False, False)


@pytest.mark.parametrize(
    ("stream", "channel", "expected"),
    [
        ("web", None, True), ("crm", None, False), ("crm", "email", True), ("crm", "Paid Search", True),
        ("web", "trade_show", False), ("web", "carrier pigeon", True), ("crm", "carrier pigeon", False),
    ],
)  # fmt: skip
def test_online_is_what_the_channel_says_and_else_the_stream(stream: str, channel: str | None, expected: bool) -> None:
    """However the channel is written."""
    assert is_online(touchpoint(stream=stream, channel=channel)) == expected


@pytest.mark.parametrize("text", ["*", "a", "\u00e9", "a b"])
def test_a_cursor_that_is_none_is_refused(text: str) -> None:
    """It comes from outside."""
    with pytest.raises(UsageError, match="no cursor"):
        key_of_cursor(text)
    assert cursor_of(None) is None


def has(letter: str) -> dict[str, Any]:
    """The filter for what has a touchpoint of this type."""
    return {"has": {"match": {"field": "type", "op": "=", "value": letter}}}


@pytest.mark.parametrize(
    ("text", "wanted", "marked"),
    [
        ("ABX", has("X"), "AB"),
        ("AB", has("X"), ""),
        ("ABX", {"account": has("X")}, "AB"),
        ("AB", {"account": has("X")}, ""),
        ("ABX", {"account": has("X"), "then": has("Y")}, ""),
    ],
)
def test_a_story_marks_what_moved_the_containers_that_count(text: str, wanted: dict[str, Any], marked: str) -> None:
    """At the touchpoints that did, however much later the container came to count; nothing where it does not."""
    filtered = {**NOTHING, "container": "opportunity", "filter": wanted}
    told = World(definition_set([filtered]), letters(text)).story()
    assert "".join(sorted(each.type for each in told if each.milestones)) == marked


@pytest.mark.parametrize(
    ("wanted", "marked"), [({"account": has("X")}, "AB"), ({"person": has("X")}, "AB"), ({"person": has("Y")}, ""),
                           (has("X"), "")],
)  # fmt: skip
def test_a_derived_session_has_no_marks_of_what_it_must_have_itself(wanted: dict[str, Any], marked: str) -> None:
    """For its state is gone when the next one begins; what its account must have is known."""
    visits = [touchpoint(str(n), START + n, letter, person="p1", session=None) for n, letter in enumerate("ABX")]
    told = World(definition_set([{**NOTHING, "container": "session", "filter": wanted}]), visits).story()
    assert "".join(sorted(each.type for each in told if each.milestones)) == marked


@pytest.mark.parametrize(
    ("wanted", "marked"),
    [
        ({"person": has("X")}, "AB"),
        ({"person": has("Y")}, ""),
        ({"account": {"some": "person", "that": has("X")}}, "AB"),
    ],
)
def test_a_named_session_has_marks_while_its_person_lets_it_count(wanted: dict[str, Any], marked: str) -> None:
    """And none where it lies under nobody."""
    named = [touchpoint(str(n), START + n, letter, person="p1", session="s1") for n, letter in enumerate("ABX")]
    anonymous = touchpoint("9", START, "A", session="s2")
    told = World(definition_set([{**NOTHING, "container": "session", "filter": wanted}]), [*named, anonymous]).story()
    marks = [each for each in told if each.milestones and (each.session == "s1" or "person" in wanted)]
    assert "".join(sorted(each.type for each in marks)) == marked


@pytest.mark.parametrize(("text", "marked"), [("ABX", "AB"), ("AB", "")])
def test_an_account_has_marks_while_some_of_its_own_have_it(text: str, marked: str) -> None:
    """They are asked as they are now."""
    filtered = {**NOTHING, "container": "account", "filter": {"some": "opportunity", "that": has("X")}}
    told = World(definition_set([filtered]), letters(text)).story()
    assert "".join(sorted(each.type for each in told if each.milestones)) == marked
