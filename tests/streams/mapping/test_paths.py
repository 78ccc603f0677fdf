"""Compiled paths answer as JMESPath does."""

from typing import Any

import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.mapping.paths import Path, PathError

NAMES = ("a", "b", '"x y"', '"k:v"', "a.b", 'a."x y"', "b.a")
simple = st.sampled_from(NAMES)
texts = st.sampled_from(["", "x", "Won", "0"])
comparisons = st.builds(lambda name, op, text: f"{name} {op} '{text}'", simple, st.sampled_from(["==", "!="]), texts)
conditions = st.recursive(
    simple | comparisons,
    lambda inner: st.builds(
        lambda one, op, other: f"({one}) {op} ({other})", inner, st.sampled_from(["&&", "||"]), inner
    ),
    max_leaves=4,
)
leaves = st.sampled_from([None, True, False, 0, 1, 0.0, "", "x", "Won", "0", [], [0], {}])
keys = st.sampled_from(["a", "b", "x y", "k:v"])
rows = st.dictionaries(keys, leaves | st.dictionaries(keys, leaves, max_size=3), max_size=4)


@given(text=conditions, row=rows)
def test_differential_conditions_hold_as_in_jmespath(text: str, row: dict[str, Any]) -> None:
    """A condition holds exactly where JMESPath's answer is true by its own rule."""
    assert Path(text).holds(row) is bool(jmespath.search(f"!(!({text}))", row))


@given(text=simple, row=rows)
def test_differential_values_are_jmespaths(text: str, row: dict[str, Any]) -> None:
    """A plain path gives what JMESPath's interpreter gives."""
    assert Path(text).get(row) == jmespath.search(text, row)


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("a", {"a"}),
        ("a.b", {"a"}),
        ("contains(a, 'x') && b.c != d", {"a", "b", "d"}),
        ("a[?b == 'x'].c | [0]", {"a"}),
        ("[a, b][0]", {"a", "b"}),
        ("{x: a}", {"a"}),
        ("'text'", set()),
        ('"Deal Stage" == `1`', {"Deal Stage"}),
    ],
)
def test_columns_are_what_is_read_at_the_top(text: str, columns: set[str]) -> None:
    """Names inside a value are no columns."""
    assert Path(text).columns == columns


def test_other_paths_go_through_the_interpreter() -> None:
    """Functions and numbers are JMESPath's own matter, and their refusals are errors with the path."""
    assert Path("length(a) > `1`").holds({"a": "xx"})
    with pytest.raises(PathError, match="length"):
        Path("length(a)").get({"a": 1})


def test_what_is_no_path_is_refused_with_advice() -> None:
    """A text with a space is told how names and fixed texts are written."""
    with pytest.raises(PathError, match="const"):
        Path("Opportunity Created")
    with pytest.raises(PathError, match="is no JMESPath"):
        Path("(" * 10_000 + "a")
