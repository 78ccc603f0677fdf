"""The rules of a flow's columns one by one: dimensions and filters of their own."""

from typing import Any

import pytest
from pydantic import ValidationError

from state.plan import lens_of
from state.rows import pack
from tests.check.batches import sql_cells
from tests.state.cells import cells
from tests.state.test_rules import DAY0, flow, is_
from tests.state.worlds import START, definition_set, touchpoint

CHANNEL_NEXT = [{"step": 1, "dimension": "channel"}]


def visits(*pairs: tuple[str | None, str | None], **fields: Any) -> list[Any]:
    """Touchpoints with (content type, channel), a minute apart."""
    return [
        touchpoint(str(i), START + i * 60_000, content_type=content, channel=channel, **fields)
        for i, (content, channel) in enumerate(pairs)
    ]


def paths(analysis: dict[str, Any], events: list[Any]) -> dict[Any, int]:
    """(before, from the anchor on) → paths; live and in SQL the same."""
    found = {(back, fore): count for (_, _, back, fore), count in cells(analysis, events).items()}
    assert found == {(back, fore): count for (_, _, back, fore), count in sql_cells(events, analysis).items()}
    return found


def by_content(**options: Any) -> dict[str, Any]:
    """A flow over content types."""
    return flow(**{"dimension": "content_type", "columns": 3, **options})


def test_rule_dimensions_each_column_takes_the_next_touchpoint_with_a_value_of_its_own() -> None:
    """Content type, then channel, then content type again; what has no channel is passed over."""
    events = visits(("blog", None), ("webinar", None), (None, "email"), (None, "ads"), ("pricing", None))
    assert paths(by_content(starts_with="blog", steps=CHANNEL_NEXT), events) == {((), ("blog", "email", "pricing")): 1}


def test_rule_dimensions_one_touchpoint_is_in_one_column() -> None:
    """The anchor's own channel is not the next one, nor is that touchpoint's content type the one behind it."""
    events = visits(("blog", "email"), ("webinar", "ads"), ("pricing", "direct"))
    assert paths(by_content(starts_with="blog", steps=CHANNEL_NEXT), events) == {((), ("blog", "ads", "pricing")): 1}


def test_rule_dimensions_a_run_of_equal_values_is_one_in_each_dimension() -> None:
    """The channel that goes on over the anchor is no next one; with repeats it is."""
    events = visits(("blog", "email"), ("webinar", "email"), ("pricing", "ads"), ("demo", "ads"))
    assert paths(by_content(starts_with="blog", steps=CHANNEL_NEXT), events) == {((), ("blog", "ads", "demo")): 1}
    repeating = by_content(starts_with="blog", steps=CHANNEL_NEXT, include_repeats=True)
    assert paths(repeating, events) == {((), ("blog", "email", "pricing")): 1}


def test_rule_dimensions_before_the_anchor_each_column_takes_the_last_one() -> None:
    """Going back, the nearest touchpoint of the column's dimension before that of the column behind it."""
    events = visits(("blog", "email"), ("webinar", None), (None, "ads"), ("pricing", None), ("demo", "direct"))
    ends = by_content(ends_with="demo", steps=[{"step": -1, "dimension": "channel"}])
    assert paths(ends, events) == {(("ads", "webinar"), ("demo",)): 1}
    further = by_content(ends_with="demo", steps=[{"step": -2, "dimension": "channel"}])
    assert paths(further, events) == {(("pricing", "ads"), ("demo",)): 1}


def test_rule_dimensions_stand_beside_a_condition() -> None:
    """A condition needs no value of any dimension, and columns lie on both sides of a value in the middle."""
    events = [*visits(("blog", "email"), ("webinar", "ads")), touchpoint("m", START + 90_000, "M")]
    events.append(touchpoint("n", START + 120_000, channel="direct", content_type="demo"))
    ends = by_content(ends_with={"match": is_("M")}, steps=[{"step": -2, "dimension": "channel"}])
    assert paths(ends, events) == {(("webinar", "email"), (None,)): 1}
    middle = by_content(contains="webinar", steps=[{"step": -1, "dimension": "channel"}, *CHANNEL_NEXT])
    assert paths(middle, events) == {(("email",), ("webinar", "direct")): 1}


def test_rule_dimensions_may_be_attributes() -> None:
    """As the flow's own dimension, attributes that are no text are shown as text."""
    events = [touchpoint("1", START, content_type="blog"), touchpoint("2", START + 1, attributes={"hot": True})]
    steps = [{"step": 1, "dimension": "attributes.hot"}]
    assert paths(by_content(starts_with="blog", steps=steps), events) == {((), ("blog", "true")): 1}


def both(analysis: dict[str, Any], *batches: list[Any]) -> dict[Any, int]:
    """The cells, live and in SQL the same."""
    found = cells(analysis, *batches)
    assert found == sql_cells([event for batch in batches for event in batch], analysis)
    return found


def test_rule_filters_leave_the_cells_of_paths_as_they_are() -> None:
    """What is left out is said at rendering, so the cells hold every path."""
    events = visits(("blog", None), ("webinar", None), ("blog", None), ("demo", None))
    filtered = by_content(starts_with="blog", columns=2, steps=[{"step": 1, "only": ["demo"]}])
    assert both(filtered, events) == {
        ("o", DAY0, (), ("blog", "webinar")): 1, ("o", DAY0, (), ("blog", "demo")): 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("filter_", "counted"),
    [({"only": ["demo"]}, {"brit"}), ({"only": ["demo", "webinar"]}, {"acme", "brit"}),
     ({"except": ["demo"]}, {"acme", "cook"}), ({"except": ["demo", "webinar"]}, {"cook"})],
)  # fmt: skip
def test_rule_filters_containers_count_where_a_path_is_admitted(filter_: dict[str, Any], counted: set[str]) -> None:
    """`only` wants one of its items there, so a path that ends before is left out; `except` wants none of them."""
    events = [
        *visits(("blog", None), ("webinar", None)),
        *visits(("blog", None), ("demo", None), account="brit"),
        *visits(("blog", None), account="cook"),
    ]
    found = both(by_content(starts_with="blog", count="containers", steps=[{"step": 1, **filter_}]), events)
    assert found[("t",)] == 3
    assert found["n", 0, "blog"] == len(counted)
    assert found.get(("n", 1, "webinar"), 0) == ("acme" in counted)
    assert found.get(("n", 1, "demo"), 0) == ("brit" in counted)
    assert found.get(("x", 0, "blog", 1), 0) == ("cook" in counted)


def test_rule_filters_a_path_that_gets_there_later_counts_then() -> None:
    """While it is short of the column it is left out; the container is one with a path all the same."""
    analysis = by_content(starts_with="blog", count="containers", steps=[{"step": 2, "only": ["demo"]}])
    events = visits(("blog", None), ("webinar", None), ("demo", None))
    assert both(analysis, events[:2]) == {("t",): 1}
    assert both(analysis, events[:2], events[2:])["n", 2, "demo"] == 1


def test_rule_filters_a_container_without_a_path_is_none_any_more() -> None:
    """However often its path grew, it goes with the anchor that is taken back."""
    analysis = by_content(starts_with="blog", count="containers", steps=[{"step": 2, "only": ["demo"]}])
    events = visits(("blog", None), ("webinar", None), ("demo", None))
    gone = [touchpoint("0", START, withdrawn=True, revision=1)]
    assert both(analysis, events, gone) == {}


def test_rule_filters_come_behind_the_limit() -> None:
    """The first anchor's path is the one, whether or not it is admitted."""
    events = visits(("blog", None), ("webinar", None), ("blog", None), ("demo", None))
    analysis = by_content(starts_with="blog", limit="first", count="containers", steps=[{"step": 1, "only": ["demo"]}])
    assert both(analysis, events) == {("t",): 1}


def test_rule_filters_of_the_first_column_without_an_anchor() -> None:
    """Paths that begin with something else are left out."""
    analysis = by_content(count="containers", steps=[{"step": 0, "except": ["blog"]}])
    events = [*visits(("blog", None)), *visits(("demo", None), account="brit")]
    assert both(analysis, events) == {("t",): 2, ("n", 0, "demo"): 1, ("x", 0, "demo", 1): 1}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"steps": [{"step": 3, "dimension": "channel"}]}, "step 3: there is no such column; they go from 0 to 2"),
    ({"ends_with": "a", "steps": [{"step": 1, "only": ["x"]}]}, "they go from -2 to 0"),
    ({"contains": "a", "steps": [{"step": -2, "only": ["x"]}]}, "they go from -1 to 1"),
    ({"steps": CHANNEL_NEXT * 2}, "step 1: stands there more than once"),
    ({"steps": [{"step": 1}]}, "step 1: give a dimension, only or except"),
    ({"steps": [{"step": 1, "only": ["a"], "except": ["b"]}]}, "step 1: only or except, not both"),
    ({"steps": [{"step": 1, "only": []}]}, "at least 1"),
    ({"steps": [{"step": 0, "dimension": "channel"}]}, "step 0: its dimension is that of the flow"),
    ({"starts_with": "a", "steps": [{"step": 0, "only": ["a"]}]}, "the anchor says which items it has"),
    ({"steps": CHANNEL_NEXT, "columns": 21}, "at most 20 with several dimensions"),
    ({"steps": [{"step": 1, "dimension": "account"}]}, "'account' is no dimension"),
]


@pytest.mark.parametrize(("options", "said"), WRONG)
def test_a_wrong_column_says_what_would_be_right(options: dict[str, Any], said: str) -> None:
    """The column is named, and what it may have."""
    with pytest.raises(ValidationError, match=said):
        definition_set([{"name": "f", **by_content(**options)}])


def test_a_flow_whose_columns_all_have_its_own_dimension_is_a_plain_one() -> None:
    """As many columns as any other flow."""
    steps = [{"step": 1, "dimension": "content_type"}, {"step": 2, "only": ["x"]}]
    assert definition_set([{"name": "f", **by_content(columns=300, steps=steps)}]).definitions


@pytest.mark.parametrize(
    "analysis",
    [
        by_content(starts_with={"match": is_("A")}),
        by_content(contains="blog", include_repeats=True, steps=CHANNEL_NEXT),
        by_content(starts_with={"match": is_("A")}, count="containers"),
        by_content(starts_with="blog", include_repeats=True, steps=CHANNEL_NEXT),
    ],
    ids=["condition", "both sides", "containers", "a column of its own"],
)
def test_rule_anchors_that_wait_for_the_same_step_are_one(analysis: dict[str, Any]) -> None:
    """However many come before it, the state stays small; all of them take the step."""
    lens = lens_of(definition_set([{"name": "a", **analysis}]).definitions[0])
    many = [touchpoint(str(n), START + n * 3_600_000, "A", content_type="blog") for n in range(100)]
    steps = [
        touchpoint(f"step{n}", START + (100 + n) * 3_600_000, "B", content_type=content, channel=channel)
        for n, (content, channel) in enumerate([("webinar", "email"), ("pricing", "ads")])
    ]
    state = lens.empty()
    halfway = [touchpoint(f"half{n}", each.event_time + 1, "C", channel="email") for n, each in enumerate(many)]
    alternating = [each for pair in zip(many, halfway, strict=True) for each in pair]
    for number, each in enumerate(alternating if "steps" in analysis else many):
        lens.advance(state, each.event_time, lens.project(each), {})
        assert len(pack(state)) < 200, number
    live = cells(analysis, [*many, *steps])
    assert live == sql_cells([*many, *steps], analysis)
    if analysis.get("count") != "containers":
        assert sum(live.values()) == 100
