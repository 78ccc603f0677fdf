"""Match conditions: every operator, on fields that are there and that are not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from state.analyses.lens import TypeCache
from state.analyses.masks import mask_of, matcher_of
from state.conditions import fields_of, given_type, predicate_of
from state.matches import Condition
from tests.state.worlds import TYPES, matches, touchpoint

_condition: TypeAdapter[Condition] = TypeAdapter(Condition)


def holds(condition: dict[str, Any], **fields: Any) -> bool:
    """Whether a touchpoint with these fields matches."""
    return predicate_of(_condition.validate_python(condition))(touchpoint(**fields))


CASES: list[tuple[str, str, Any, Any, bool]] = [
    ("channel", "=", "web", "web", True),
    ("channel", "=", "web", None, False),
    ("channel", "!=", "web", "mail", True),
    ("channel", "!=", "web", None, True),
    ("channel", "in", ["web", "mail"], "mail", True),
    ("channel", "in", ["web"], None, False),
    ("channel", "not-in", ["web"], "mail", True),
    ("channel", "not-in", ["web"], None, True),
    ("channel", "not-in", ["web"], "web", False),
    ("channel", "contains", "eb", "web", True),
    ("channel", "contains", "eb", None, False),
    ("channel", "starts-with", "we", "web", True),
    ("channel", "starts-with", "eb", "web", False),
    ("channel", "matches", "^w.b$", "web", True),
    ("channel", "matches", "e", "web", True),
    ("channel", "matches", "^e", "web", False),
    ("channel", "matches", "e", None, False),
    ("channel", "matches", "b$", "web\n", False),
    ("channel", "matches", "^x{1000}$", "x" * 1000, True),
    ("channel", "matches", "y", "x" * 2047 + "y", True),
    ("channel", "matches", "y", "x" * 2048 + "y", False),
    ("channel", "matches", "x$", "x" * 2048 + "y", True),
    ("channel", "exists", None, "web", True),
    ("channel", "exists", None, None, False),
    ("channel", "exists", False, None, True),
    ("value", ">", 1.5, 1_500_000, False),
    ("value", ">=", 1.5, 1_500_000, True),
    ("value", "<", 1.5, 1_499_999, True),
    ("value", "<=", 1.5, None, False),
    ("value", "=", 2, 2_000_000, True),
]


@pytest.mark.parametrize(("field", "op", "value", "found", "expected"), CASES)
def test_every_operator(field: str, op: str, value: Any, found: Any, expected: bool) -> None:
    """Absent equals nothing and differs from everything."""
    assert holds({"field": field, "op": op, "value": value}, **{field: found}) is expected


@pytest.mark.parametrize(
    ("value", "found", "expected"),
    [(1, 1, True), (1, 1.0, True), (1, True, False), (True, True, True), ("1", 1, False), (1, "1", False)],
)
def test_kinds_of_attributes_never_equal_each_other(value: Any, found: Any, expected: bool) -> None:
    """Text, numbers and booleans are three things."""
    assert holds({"field": "attributes.a", "value": value}, attributes={"a": found}) is expected


def test_an_attribute_that_is_no_number_is_neither_more_nor_less() -> None:
    """Ordering compares numbers with numbers."""
    for found in ("5", True, None):
        attributes = None if found is None else {"a": found}
        assert not holds({"field": "attributes.a", "op": ">", "value": 1}, attributes=attributes)
    assert holds({"field": "attributes.a", "op": ">", "value": 1}, attributes={"a": 1.5})


def test_conditions_are_joined_and_the_type_may_decide() -> None:
    """All, any and not, one in the other: what a touchpoint is, and what all of a type are."""
    web, is_a = {"field": "channel", "value": "web"}, {"field": "type", "value": "A"}
    both, either = {"all": [is_a, web]}, {"any": [is_a, web]}
    same = {"any": [both, {"not": either}]}
    assert [holds(same, type=type_, channel=channel) for type_ in "AB" for channel in ("web", "mail")] == [
        True, False, False, True,
    ]  # fmt: skip
    assert set(fields_of(_condition.validate_python(same))) == {"type", "channel"}
    for condition, of_a, of_b in [
        (is_a, True, False), (web, None, None), (both, None, False), (either, True, None), (same, None, None),
        ({"not": either}, False, None), ({"all": [is_a, is_a]}, True, False), ({"any": [both, is_a]}, True, False),
    ]:  # fmt: skip
        checked = _condition.validate_python(condition)
        assert (given_type(checked, "A"), given_type(checked, "B")) == (of_a, of_b)


@given(matches(), st.sampled_from(TYPES), st.sampled_from([None, "x", "z"]), st.sampled_from([None, 1_000_000]))
def test_differential_what_the_type_decides_agrees_with_the_whole(
    condition: dict[str, Any], type_: str, content_type: str | None, value: int | None
) -> None:
    """given_type never says what a touchpoint of that type contradicts, and masks are the same as predicates."""
    checked = _condition.validate_python(condition)
    event = touchpoint(type=type_, content_type=content_type, value=value)
    whole = predicate_of(checked)(event)
    assert given_type(checked, type_) in (None, whole)
    assert mask_of([checked])(event) == int(whole)
    assert matcher_of(checked)(event) is whole
    assert set(fields_of(checked)) <= {"type", "content_type", "value", "attributes"}


def test_a_type_cache_stays_small() -> None:
    """Types come from events, so the cache forgets when it is full."""
    asked: list[str] = []
    cache = TypeCache(lambda t: asked.append(t) or t, size_max=2)
    assert [cache[t] for t in "aabca"] == ["a", "a", "b", "c", "a"]
    assert asked == ["a", "b", "c", "a"]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"field": "nothing", "value": "a"}, "is no field of a touchpoint"),
    ({"field": "attributes.", "value": "a"}, "is no field of a touchpoint"),
    ({"field": "type", "op": "in", "value": "a"}, "takes a list"),
    ({"field": "type", "op": "in", "value": []}, "takes a list"),
    ({"field": "type", "op": "="}, "takes one value"),
    ({"field": "type", "op": "=", "value": ["a"]}, "takes one value"),
    ({"field": "type", "op": "exists", "value": "a"}, "exists takes no value"),
    ({"field": "type", "op": "contains", "value": 1}, "compares text"),
    ({"field": "value", "op": "contains", "value": "1"}, "is a number"),
    ({"field": "type", "op": ">", "value": 1}, "compares numbers"),
    ({"field": "value", "op": ">", "value": "1"}, "compares numbers"),
    ({"field": "type", "value": 1}, "is text"),
    ({"field": "value", "value": "1"}, "is a number"),
    ({"field": "type", "op": "matches", "value": "(?=a)"}, "Python and RE2 share"),
    ({"field": "value", "op": ">", "value": 0.1234567}, "at most six decimals"),
    ({"field": "type", "op": "matches", "value": "a{,3}"}, "Python and RE2 share"),
    ({"field": "type", "op": "matches", "value": "(a+)+"}, "Python and RE2 share"),
    ({"field": "type", "op": "matches", "value": "("}, "is no regular expression"),
    ({"field": "type", "op": "matches", "value": "a{1001}"}, "is no regular expression"),
    ({"field": "type", "op": "matches", "value": "[a-z]{1000}" * 180}, "too large"),
    ({"field": "type", "value": "a", "segment": "x"}, "Extra inputs are not permitted"),
    ({"all": []}, "at least 1"),
]


@pytest.mark.parametrize(("condition", "said"), WRONG)
def test_a_wrong_condition_says_what_would_be_right(condition: dict[str, Any], said: str) -> None:
    """Every mistake has words of its own."""
    with pytest.raises(ValidationError, match=said):
        _condition.validate_python(condition)


@pytest.mark.parametrize("pattern", ["(?:a|a)*b", "(?:a|aa)*$b", "a*a*a*a*a*a*a*a*b", "(?:a?){0}a*$^"])
@pytest.mark.timeout(20)
def test_no_expression_hangs(pattern: str) -> None:
    """Patterns that take a backtracking engine for ever on the longest text that is looked at, many times."""
    found = predicate_of(_condition.validate_python({"field": "content", "op": "matches", "value": pattern}))
    text = touchpoint(content="a" * 2_047 + "c")
    assert [found(text) for _ in range(100)] == [found(text)] * 100
