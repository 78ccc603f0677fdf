"""Loops, skipped stages and ways back in the paths and links of a flow."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.snapshot import FlowBody, LinkMarks, SequenceMarks
from tests.state.render.test_flow import CONDITION, body, flow

STAGES = ["a", "b", "c", "d"]


def of_path(path: str, back: str = "", **options: Any) -> list[tuple[int, str]]:
    """Steps and marks of one path, as text; `back` is what lies before the anchor, nearest first."""
    options = {"columns": 10, "stages": STAGES, **options}
    found = body(flow(**options), {("o", 0, tuple(back), tuple(path)): 1})
    assert {each.sequence for each in found.sequence_marks} <= {0}
    return [(each.step, " ".join(each.marks)) for each in found.sequence_marks]


@pytest.mark.parametrize(
    ("path", "marks"),
    [
        ("abcd", []),
        ("aca", [(1, "skip"), (2, "loop back")]),
        ("dcba", [(1, "back"), (2, "back"), (3, "back")]),
        ("acbd", [(1, "skip"), (2, "back"), (3, "skip")]),
        ("cd", []),  # where it begins it comes from no stage
        ("axd", [(2, "skip")]),  # x is no stage, and passed over
        ("bxaxb", [(2, "back"), (3, "loop"), (4, "loop")]),
        ("axa", [(2, "loop")]),  # the same stage is neither behind nor before itself
    ],
)
def test_a_step_is_judged_by_the_stage_before_it(path: str, marks: list[tuple[int, str]]) -> None:
    """And by all items before it, whether it comes again."""
    assert of_path(path) == marks


def test_without_stages_only_loops_are_marked() -> None:
    """There is no order to skip in."""
    assert of_path("acbad", stages=None) == [(3, "loop")]


def test_before_an_anchor_time_goes_towards_it() -> None:
    """c, a, d: the way back is at a, and the skip at the anchor; the links lead away from it."""
    options = {"contains": "d", "columns": 5, "stages": STAGES}
    assert of_path("d", back="ac", **options) == [(-1, "back"), (0, "skip")]
    found = body(flow(**options), {("o", 0, ("a", "c"), ("d",)): 1})
    assert [(link.from_step, link.to_step) for link in found.links] == [(0, -1), (-1, -2)]
    assert found.link_marks == [LinkMarks(0, ["skip"]), LinkMarks(1, ["back"])]


def test_a_condition_is_no_item() -> None:
    """Its title is not that of a stage, nor does a value repeat it."""
    titled = {"starts_with": {**CONDITION, "title": "d"}, "stages": STAGES, "columns": 4}
    found = body(flow(**titled), {("o", 0, (), (None, "d", "a")): 1})
    assert found.sequence_marks == [SequenceMarks(0, 2, ["back"])]
    assert found.link_marks == [LinkMarks(1, ["back"])]


def test_another_dimension_has_no_stages() -> None:
    """The same text there is another item, and the stages on both sides of it follow each other."""
    steps = [{"step": 1, "dimension": "type"}]
    assert of_path("aac", steps=steps) == [(2, "skip")]
    assert of_path("dda", steps=[{"step": 1, "dimension": "content_type"}]) == [(1, "loop"), (2, "back")]
    found = body(flow(columns=3, stages=STAGES, steps=steps), {("o", 0, (), ("a", "a", "c")): 1})
    assert found.link_marks == []


def test_what_is_not_shown_has_no_marks() -> None:
    """It is several items; a link that leads there is none of two stages."""
    sums = {("o", 0, (), ("a", "c")): 3, ("o", 0, (), ("a", "d")): 2, ("o", 0, (), ("b", "a")): 1}
    found = body(flow(columns=2, top=1, stages=STAGES), sums)
    assert [(link.origin, link.target) for link in found.links] == [("a", "c"), ("a", None), (None, None)]
    assert found.link_marks == [LinkMarks(0, ["skip"])]


def test_repeats_are_loops() -> None:
    """A link to its own item is one, and no move from a stage to another."""
    found = body(flow(columns=3, include_repeats=True, stages=STAGES), {("o", 0, (), ("b", "b")): 1})
    assert (found.link_marks, found.sequence_marks) == (
        [LinkMarks(0, ["loop"])], [SequenceMarks(0, 1, ["loop"])],
    )  # fmt: skip


def test_links_of_distinct_containers_are_marked() -> None:
    """There are no whole paths, and so no marks of any."""
    sums = {("n", 0, "c"): 2, ("n", 1, "a"): 2, ("l", 0, "c", 1, "a"): 2}
    found = body(flow(count="containers", stages=STAGES), sums)
    assert (found.link_marks, found.sequence_marks) == ([LinkMarks(0, ["back"])], [])


@settings(deadline=None)
@given(st.lists(st.sampled_from("abcdx"), min_size=1, max_size=8), st.permutations(STAGES))
def test_oracle_moves_from_stage_to_stage(path: list[str], order: list[str]) -> None:
    """With only stages left in the path, each is compared with its neighbour; loops with everything before."""
    found = dict(of_path("".join(path), stages=order))
    moves = [step for step, item in enumerate(path) if item in order]
    numbers = {step: order.index(path[step]) for step in moves}
    expected = {step: ["loop"] * (path.index(item) < step) for step, item in enumerate(path)}
    for before, step in pairwise(moves):
        jump = numbers[step] - numbers[before]
        expected[step] += ["back"] * (jump < 0) + ["skip"] * (jump > 1)
    assert found == {step: " ".join(marks) for step, marks in expected.items() if marks}


def test_of_a_path_and_its_links_the_moves_are_the_same() -> None:
    """Where only stages follow each other, a link is marked as the step it leads to, but for loops from afar."""
    found: FlowBody = body(flow(columns=10, stages=STAGES), {("o", 0, (), tuple("acbdab")): 1})
    moves = [[mark for mark in each.marks if mark != "loop"] for each in found.sequence_marks]
    assert [each.marks for each in found.link_marks] == [marks for marks in moves if marks]
