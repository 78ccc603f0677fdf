"""Parts of a flow: the paths that its columns' filters admit, and those through one item of a column."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from check.flow_render import flow_body as checked_body
from check.flow_render import keyed_flow
from state.definitions import Flow
from state.flow_columns import lengths_of
from state.render import body_of
from state.render.days import totals_of
from state.render.flow import Place
from state.render.through import place_of, require_places
from streams.errors import UsageError
from streams.snapshot import FlowBody, FlowItem, FlowThrough
from tests.state.render.test_flow import CONDITION, CONTAINER_SUMS, ITEMS, SUMS, body, conserves, flow, worlds
from tests.state.worlds import definition_set


def through(analysis: dict[str, Any], sums: Mapping[Any, int], *places: Place) -> FlowBody:
    """The rendered paths through these items."""
    (definition,) = definition_set([analysis]).definitions
    require_places(definition, places)
    found = body_of(definition, totals_of(definition, sums, None), 0, places)
    assert isinstance(found, FlowBody)
    return found


def has(back: tuple[str, ...], fore: tuple[str | None, ...], place: Place) -> bool:
    """Whether a path has this item in this column."""
    step, item = place
    named = ["The anchor" if value is None else value for value in fore]
    values = [*reversed(back), *named]
    at = len(back) + step
    return 0 <= at < len(values) and values[at] == item


@settings(deadline=None)
@given(worlds(), st.data())
def test_differential_through_is_the_flow_of_these_paths_only(
    world: tuple[dict[str, Any], dict[Any, int]], data: st.DataObject
) -> None:
    """The batch renderer over cells picked by hand gives the same columns, links, exits, rest and sequences."""
    analysis, sums = world
    definition = definition_set([analysis]).definitions[0].analysis
    assert isinstance(definition, Flow)
    step = st.integers(definition.first_step, definition.last_step)
    place = st.tuples(step, st.sampled_from([*ITEMS, "The anchor"]))
    places = data.draw(st.lists(place, min_size=1, max_size=2))
    found = through(analysis, sums, *places)
    picked = {cell: n for cell, n in sums.items() if n and all(has(cell[2], cell[3], each) for each in places)}
    expected = keyed_flow(checked_body(definition, picked))
    part, whole = sum(picked.values()), sum(sums.values())
    assert found.through is not None
    assert (found.total, found.through.all, found.through.items) == (part, whole, places)
    if whole:
        assert found.through.share is not None
        assert abs(Fraction(found.through.share) - Fraction(100 * part, whole)) <= Fraction(5_001, 1_000_000)
    assert keyed_flow(msgspec.to_builtins(found)) | {"through": None} == expected


@settings(deadline=None)
@given(worlds(), st.lists(st.sampled_from(ITEMS), min_size=1, max_size=3), st.booleans(), st.data())
def test_filters_leave_out_whole_paths(
    world: tuple[dict[str, Any], dict[Any, int]], items: list[str], wanted: bool, data: st.DataObject
) -> None:
    """What counts is conserved in both directions, and with what is left out it is all paths."""
    analysis, sums = world
    plain = definition_set([analysis]).definitions[0].analysis
    assert isinstance(plain, Flow)
    numbers = [step for step in range(plain.first_step, plain.last_step + 1) if step]
    step = data.draw(st.sampled_from(numbers))
    filtered = {**analysis, "steps": [{"step": step, "only" if wanted else "except": items}]}
    found = body(filtered, sums)
    back, onward = lengths_of(plain)
    conserves(found, range(-back, onward), 1)
    conserves(found, range(-back, onward), -1)
    counted = {c: n for c, n in sums.items() if any(has(c[2], c[3], (step, i)) for i in items) is wanted}
    assert (found.total, found.left_out) == (sum(counted.values()), sum(sums.values()) - sum(counted.values()))
    assert msgspec.structs.replace(found, left_out=None) == body(analysis, counted)


def test_through_says_the_exact_share_of_all_paths() -> None:
    """Of 14 paths 8 have x right before the anchor; the columns are of these 8."""
    found = through(flow(ends_with=CONDITION, columns=3, top=1), SUMS, (-1, "x"))
    assert (found.total, found.through) == (8, FlowThrough([(-1, "x")], 14, 57.14))
    assert [column.items for column in found.columns] == [
        [FlowItem("y", 6)], [FlowItem("x", 8)], [FlowItem("The anchor", 8)],
    ]  # fmt: skip
    assert found.sequences is not None
    assert [each.count for each in found.sequences] == [6, 2]


def test_through_several_items_is_the_paths_that_have_them_all() -> None:
    """Places are joined by and; one that no path has gives none of all."""
    ends = flow(ends_with=CONDITION, columns=3)
    found = through(ends, SUMS, (-1, "x"), (-2, "y"))
    assert found.through == FlowThrough([(-1, "x"), (-2, "y")], 14, 42.86)
    nobody = through(ends, SUMS, (-1, "y"))
    assert (nobody.total, nobody.columns, nobody.through) == (0, [], FlowThrough([(-1, "y")], 14, 0.0))
    assert through(ends, {}, (-1, "y")).through == FlowThrough([(-1, "y")], 0, None)


def test_through_is_of_the_paths_that_filters_admit() -> None:
    """The whole is what the flow shows as its total."""
    filtered = flow(ends_with=CONDITION, columns=3, steps=[{"step": -2, "except": ["y"]}])
    found = through(filtered, SUMS, (-1, "x"))
    assert (found.total, found.left_out, found.through) == (2, 6, FlowThrough([(-1, "x")], 8, 25.0))


@pytest.mark.parametrize(
    ("analysis", "said"),
    [
        (flow(count="containers"), r"f counts distinct containers .*count: occurrences"),
        (flow(starts_with="a", columns=3), r"f has no column -1; its columns go from 0 to 2"),
        ({"name": "c", "kind": "canvas", "container": "account",
          "nodes": [{"id": "n", "match": CONDITION["match"]}]}, "c is a canvas"),
    ],
)  # fmt: skip
def test_a_part_that_can_not_be_given_is_refused(analysis: dict[str, Any], said: str) -> None:
    """The error says why, and what could be."""
    with pytest.raises(UsageError, match=said):
        require_places(definition_set([analysis]).definitions[0], [(-1, "x")])


def test_a_place_is_a_step_and_an_item() -> None:
    """The item may have an equals sign of its own."""
    assert (place_of("-2=a=b"), place_of("0=Webinar")) == ((-2, "a=b"), (0, "Webinar"))
    for text in ("Webinar", "x=Webinar", "1="):
        with pytest.raises(UsageError, match="write STEP=ITEM"):
            place_of(text)


def test_columns_say_their_own_dimension() -> None:
    """Null where it is the flow's."""
    steps = [{"step": -1, "dimension": "channel"}, {"step": -2, "only": ["y"]}]
    found = body(flow(ends_with=CONDITION, columns=3, steps=steps), SUMS)
    assert [column.dimension for column in found.columns] == [None, "channel", None]


def test_containers_left_out_are_those_without_an_admitted_path() -> None:
    """All with a path, less those that count."""
    filtered = flow(starts_with=CONDITION, count="containers", columns=3, steps=[{"step": 1, "only": ["x"]}])
    assert body(filtered, {**CONTAINER_SUMS, ("t",): 11}).left_out == 2
    assert body(filtered, {}).left_out == 0
    assert body(flow(count="containers"), CONTAINER_SUMS).left_out is None


def test_an_item_may_be_called_as_the_rest() -> None:
    """Or have no letter, or be written as a link is: each of them has a key of its own."""
    names = [None, "more", "", "'more'", "a", "b", "a (0) > b"]
    links = [[0, origin, 1, target, 1] for origin in names for target in names]
    column = {"step": 0, "items": [], "more": [0, 0], "exits": [[name, 1, 1] for name in names], "dimension": None}
    body = {
        "total": 1, "columns": [column], "links": links, "link_marks": [], "sequence_marks": [], "left_out": None,
        "sequences": [[[], ["a", "b"], 2], [[], ["a > b"], 2]], "through": None,
    }  # fmt: skip
    keyed = keyed_flow(body)
    assert len(keyed["links"]) == len(links)
    assert len(keyed["columns"][0]["exits"]) == len(names)
    assert len(keyed["sequences"]["paths"]) == 2
