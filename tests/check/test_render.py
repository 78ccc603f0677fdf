"""Bodies rendered from batch cells: those that users read, written twice."""

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from check.compare import body_differences
from check.render import body_of
from state.definition_set import DefinitionSet
from state.render import render
from streams.touchpoint import Touchpoint
from tests.check.batches import cells_of_oracle
from tests.state.worlds import DAY, START, cohorts, definition_set, definition_sets, touchpoints


@settings(deadline=None, max_examples=25)
@given(touchpoints(), definition_sets(), st.integers(-3, 800))
def test_differential_bodies_equal_the_published_ones(
    arrived: list[Touchpoint], definitions: DefinitionSet, days: int
) -> None:
    """Two renderers that share no code, over the same cells, at any clock."""
    for definition in definitions.definitions:
        cells = cells_of_oracle(arrived, definition)
        clock_ms = START + days * DAY
        published = render(definition, cells, None, clock_ms)
        assert list(body_differences(body_of(definition, cells, clock_ms), published)) == []


FIGURES = st.lists(
    st.tuples(
        st.sampled_from("irsfv"),
        st.integers(500, 520),
        st.integers(-3, 3),
        st.integers(0, 2_000),
        st.sampled_from([None, "x", "y", "more"]),
        st.integers(1, 9),
    ),
    max_size=25,
)


@settings(deadline=None, max_examples=50)
@given(cohorts(), FIGURES, st.integers(0, 600), st.sampled_from(["UTC", "Europe/Berlin", "America/Sao_Paulo"]))
def test_differential_cohorts_of_any_figures(
    cohort: dict[str, Any], figures: list[tuple[Any, ...]], day: int, zone: str
) -> None:
    """Shares, averages and percentiles that no small world would have."""
    definition = definition_set([{"name": "c", **cohort}], zone, "sunday").definitions[0]
    letters = {"i": 2, {"rolling": "s", "cumulative": "f"}.get(cohort["mode"], "r"): 3}
    letters |= {"v": 4} if cohort.get("velocity") else {}
    cells: dict[tuple[Any, ...], int] = {}
    for letter, bucket, k, took, item, count in figures:
        if letter in letters and (-cohort["periods"] if cohort.get("latency") else 0) <= k <= cohort["periods"]:
            tail = (item,) if "dimension" in cohort else ()
            place = (letter, bucket, abs(k) if letter in "sv" else k, took)
            cells[place[: letters[letter]] + tail] = count
            cells["i", bucket, *tail] = cells.get(("i", bucket, *tail), 0) + count
    clock_ms = day * DAY + 43_200_000
    published = render(definition, cells, None, clock_ms)
    assert list(body_differences(body_of(definition, cells, clock_ms), published)) == []


CANVAS: dict[str, Any] = {
    "name": "c", "kind": "canvas", "container": "account",
    "nodes": [{"id": node, "match": {"field": "type", "op": "exists"}} for node in "ab"],
    "arrows": [{"from": "a", "to": "b"}],
}  # fmt: skip


def test_a_body_in_full() -> None:
    """A third of the containers, rounded half up to two decimals; days are summed."""
    cells = {
        ("t", 1): 2, ("t", 2): 4, ("n", 0, 1): 2, ("n", 0, 2): 1, ("n", 1, 2): 2, ("a", 0, 2): 2, ("f", 0, 2): 2,
    }  # fmt: skip
    assert body_of(definition_set([CANVAS]).definitions[0], cells, 0) == {
        "total": 6,
        "nodes": {"a": [3, None, 50.0, 100.0, None, 1, None], "b": [2, None, 33.33, 66.67, 66.67, None, None]},
        "arrows": {"a>b": [2, 66.67]},
        "caption": ["a", "b", 2, 66.67],
    }


def test_a_wrong_number_in_a_body_is_found() -> None:
    """The difference names its place, what was expected and what stands there."""
    definition = definition_set([CANVAS]).definitions[0]
    cells = {("t", 1): 4, ("n", 0, 1): 2}
    published = render(definition, cells | {("n", 0, 1): 3}, None, 0)
    found = list(body_differences(body_of(definition, cells, 0), published))
    assert [(each.what, each.expected, each.found) for each in found] == [
        ("snapshot.nodes.a[0]", 2, 3),
        ("snapshot.nodes.a[2]", 50.0, 75.0),
        ("snapshot.nodes.a[5]", 2, 3),
    ]


def test_a_wrong_number_in_a_flow_is_found() -> None:
    """Links, exits and paths have no order of their own, and still a wrong one is seen."""
    flow = {"name": "f", "kind": "flow", "container": "account", "dimension": "type", "columns": 3,
            "stages": ["y", "w", "x"]}  # fmt: skip
    definition = definition_set([flow]).definitions[0]
    cells = {("o", 0, (), ("x", "y")): 2, ("o", 0, (), ("x", "z")): 2, ("o", 0, (), ("x",)): 1}
    expected = body_of(definition, cells, 0)
    published = render(definition, cells, None, 0)
    assert list(body_differences(expected, published)) == []
    for part in ("links", "sequences"):
        plain = msgspec.to_builtins(published)
        plain[part][0][-1] += 1
        wrong = msgspec.convert(plain, type(published))
        assert list(body_differences(expected, wrong)), part
    plain = msgspec.to_builtins(published)
    assert (plain["link_marks"], plain["sequence_marks"]) == ([[0, ["back"]]], [[0, 1, ["back"]]])
    for part in ("link_marks", "sequence_marks"):
        wrong = msgspec.convert({**plain, part: []}, type(published))
        assert list(body_differences(expected, wrong)), part
    plain["columns"][1]["exits"][0][2] += 1
    assert list(body_differences(expected, msgspec.convert(plain, type(published))))
