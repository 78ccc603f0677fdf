"""Differences are found wherever they are, and say what they are about."""

from typing import Any

import pytest

from check.cells import Cells
from check.compare import cell_differences, cell_text
from state.definitions import Analysis
from tests.state.worlds import definition_set

IS_A = {"field": "type", "op": "=", "value": "A"}
CANVAS = {
    "kind": "canvas", "container": "account", "nodes": [{"id": "a", "match": IS_A}, {"id": "b", "match": IS_A}],
    "arrows": [{"from": "a", "to": "b"}],
}  # fmt: skip
COHORT = {
    "kind": "cohort", "container": "account", "granularity": "day",
    "inclusion": {"match": IS_A}, "return": {"match": IS_A},
}  # fmt: skip
FLOW = {"kind": "flow", "container": "account", "dimension": "type", "contains": "A"}


def analysis(plain: dict[str, Any]) -> Analysis:
    """The analysis, validated."""
    return definition_set([{"name": "it", **plain}]).definitions[0].analysis


def test_every_kind_of_difference_is_found() -> None:
    """Another number, one that is missing, one too many; in one partition although the sums agree."""
    expected: dict[int, Cells] = {0: {("t", 1): 5, ("n", 0, 1): 2}, 1: {("t", 1): 5}}
    found: dict[int, Cells] = {0: {("t", 1): 4, ("n", 1, 1): 1}, 1: {("t", 1): 6}, 2: {}}
    differences = list(cell_differences(analysis(CANVAS), expected, found))
    assert [(each.partition, each.expected, each.found) for each in differences] == [
        (0, 2, 0), (0, 0, 1), (0, 5, 4), (1, 5, 6),
    ]  # fmt: skip
    assert differences[0].what == "containers that reach a, started 1970-01-02"


def test_equal_cells_have_no_difference() -> None:
    """A cell of zero is as good as none."""
    assert list(cell_differences(analysis(CANVAS), {0: {("t", 1): 5}}, {0: {("t", 1): 5, ("t", 2): 0}, 1: {}})) == []


@pytest.mark.parametrize(
    ("plain", "cell", "text"),
    [
        (CANVAS, ("t", 0), "containers in all, started 1970-01-01"),
        (CANVAS, ("a", 0, 0), "containers along a > b, started 1970-01-01"),
        (CANVAS, ("av", 0, 0), "millionths of value along a > b, started 1970-01-01"),
        (CANVAS, ("b", 1, "x", 0), "containers that reach b with 'x', started 1970-01-01"),
        (CANVAS, ("be", 1, None, 0), "events at b with nothing, started 1970-01-01"),
        (CANVAS, ("nd", 1, 2, 0), "containers that reach b on 1970-01-03, started 1970-01-01"),
        (CANVAS, ("ad", 0, 2, 0), "containers along a > b first on 1970-01-03, started 1970-01-01"),
        (CANVAS, ("sn", 1, "x", 0), "containers that reach b and do 'x' next, started 1970-01-01"),
        (CANVAS, ("sp", 1, "x", 0), "containers that do 'x' and reach b next, started 1970-01-01"),
        (CANVAS, ("sb", 0, None, 0), "containers along a > b with nothing between, started 1970-01-01"),
        (CANVAS, ("x", 0, 26, 0), "containers that have fallen out of a in hour 2 of 1970-01-02, started 1970-01-01"),
        (CANVAS, ("n", 7, 0), "cell ('n', 7, 0)"),
        (COHORT, ("r", 3, 2), "included in period 3, back 2 periods later"),
        (COHORT, ("r", 3, -2), "included in period 3, back 2 periods before"),
        (COHORT, ("s", 3, 2), "included in period 3, back in each of the 2 periods after it"),
        (COHORT, ("f", 3, 2), "included in period 3, first back 2 periods later"),
        (COHORT, ("f", 3, -2), "included in period 3, nearest back 2 periods before"),
        (COHORT, ("v", 3, 2, 64), "included in period 3, first back 2 periods later, duration 64 (by its bucket)"),
        ({**COHORT, "dimension": "type"}, ("i", 3, None), "included in period 3 with no value"),
        ({**COHORT, "dimension": "type"}, ("r", 3, 2, "x"), "included in period 3 with 'x', back 2 periods later"),
        (FLOW, ("o", 0, ("x", "y"), ("A", "z")), "paths y > x > A > z (anchor 3) on 1970-01-01"),
        (FLOW, ("o", 0, (), (None,)), "paths (anchor) (anchor 1) on 1970-01-01"),
        (FLOW, ("n", 1, "x"), "containers with 'x' at step 1"),
        (FLOW, ("l", 0, None, 1, "x"), "containers from the anchor at step 0 to 'x' at step 1"),
        (FLOW, ("x", -1, "x", -1), "containers that end with 'x' at step -1, direction -1"),
    ],
)
def test_cells_are_named_in_words(plain: dict[str, Any], cell: tuple[Any, ...], text: str) -> None:
    """A reader need not know the codec; a cell that can not be is printed as it is."""
    assert cell_text(analysis(plain), cell) == text
