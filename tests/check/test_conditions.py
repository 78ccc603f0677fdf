"""Conditions in SQL: every operator, on every kind of value, against plain Python."""

from fractions import Fraction
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from check.conditions import ConditionWriter
from check.literals import Literals
from check.touchpoints import load, settle
from state.matches import All, Any_, Condition, Match, Not
from streams.touchpoint import Touchpoint
from tests.check.batches import arrivals
from tests.oracles.brute import holds
from tests.state.worlds import touchpoint

_condition: TypeAdapter[Condition] = TypeAdapter(Condition)
COLUMNS = {"a": "a0", "it's": "a1"}


def sql_holds(conditions: list[Condition], touchpoints: list[Touchpoint]) -> list[list[bool]]:
    """Per touchpoint whether each condition holds."""
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        load(connection, arrivals(touchpoints), COLUMNS)
        settle(connection, None, COLUMNS)
        literals = Literals()
        asked = ", ".join(ConditionWriter(COLUMNS, literals).sql(each) for each in conditions)
        found = connection.execute(f"SELECT {asked} FROM touchpoint ORDER BY place", literals.values)
        return [list(row) for row in found.fetchall()]


def one(found: Any, match: dict[str, Any], **fields: Any) -> bool:
    """Whether a touchpoint with this attribute `a` matches."""
    attributes = {} if found is None else {"a": found}
    return sql_holds([_condition.validate_python(match)], [touchpoint(**fields, attributes=attributes)])[0][0]


CASES: list[tuple[Any, str, Any, bool]] = [
    ("web", "=", "web", True),
    ("web", "=", "Web", False),
    (None, "=", "web", False),
    ("1", "=", 1, False),
    (1, "=", "1", False),
    (1, "=", 1, True),
    (1, "=", 1.0, True),
    (1.0, "=", 1, True),
    (1, "=", True, False),
    (True, "=", True, True),
    (True, "=", 1, False),
    (False, "=", True, False),
    ("true", "=", True, False),
    ("web", "!=", "mail", True),
    ("web", "!=", "web", False),
    (None, "!=", "web", True),
    (1, "!=", "1", True),
    ("web", "in", ["mail", "web"], True),
    (2, "in", ["2", 2], True),
    (None, "in", ["mail"], False),
    ("web", "not-in", ["mail", "web"], False),
    ("web", "not-in", ["mail"], True),
    (None, "not-in", ["mail"], True),
    ("a web", "contains", "web", True),
    ("100%", "contains", "_", False),
    (None, "contains", "web", False),
    (5, "contains", "5", False),
    ("web site", "starts-with", "web", True),
    ("a web", "starts-with", "web", False),
    ("a web", "matches", "^a .eb$", True),
    ("a web", "matches", "we", True),
    ("é", "matches", r"^\w$", False),
    (5, "matches", "5", False),
    ("web\n", "matches", "b$", False),
    ("a\x0b", "matches", r"a\s", False),
    ("é" * 2047 + "y", "matches", "y$", True),
    ("é" * 2048 + "y", "matches", "y", False),
    ("é" * 2048 + "y", "matches", "é$", True),
    ("", "exists", None, True),
    (False, "exists", True, True),
    (None, "exists", None, False),
    (None, "exists", False, True),
    (0, "exists", False, False),
    (2, ">", 1.5, True),
    (1, ">", 1.5, False),
    (1.5, ">=", 1.5, True),
    (1.5, ">", 1.5, False),
    (-1, "<", 0, True),
    (2**63, "<=", 2**63, True),
    (2**53 + 1, ">", float(2**53), True),
    (float(2**53), "<", 2**53 + 1, True),
    (float(2**53), "=", 2**53 + 1, False),
    (1e300, ">", 2**62, True),
    (5, "<", 1e300, True),
    ("5", ">", 1, False),
    (True, ">", 0, False),
    (None, "<", 1, False),
]


@pytest.mark.parametrize(("found", "op", "value", "expected"), CASES)
def test_every_operator_on_attributes(found: Any, op: str, value: Any, expected: bool) -> None:
    """Absent equals nothing and differs from everything; kinds of values never mix; numbers compare exactly."""
    match = {"field": "attributes.a", "op": op, "value": value}
    assert one(found, match) is expected
    assert one(found, {"not": match}) is not expected


@pytest.mark.parametrize(
    ("fields", "field", "op", "value", "expected"),
    [
        ({"channel": "web"}, "channel", "=", "web", True),
        ({}, "channel", "!=", "web", True),
        ({"value": 100_000}, "value", "=", 0.1, True),
        ({"value": 99_999}, "value", ">=", 0.1, False),
        ({}, "value", "<", 5, False),
        ({"event_time": 7}, "event_time", ">", 6.5, True),
        ({"source_sequence": 7}, "source_sequence", "not-in", [6.5, 7], False),
        ({"revision": 3}, "revision", "!=", 2.5, True),
    ],
)
def test_fields_of_the_event(fields: dict[str, Any], field: str, op: str, value: Any, expected: bool) -> None:
    """A value is compared in units of the currency, without rounding."""
    assert one(None, {"field": field, "op": op, "value": value}, **fields) is expected


def test_no_text_of_a_definition_becomes_sql() -> None:
    """Quotes and semicolons are just text, in values and in names of attributes."""
    evil = "'; DROP TABLE touchpoint; --"
    assert one(evil, {"field": "attributes.a", "op": "=", "value": evil})
    quoted = _condition.validate_python({"field": "attributes.it's", "op": "=", "value": evil})
    assert sql_holds([quoted], [touchpoint(attributes={"it's": evil})]) == [[True]]


scalars = st.one_of(
    st.none(), st.booleans(), st.sampled_from(["", "a", "ab", "B", "é", "1", "\n"]), st.integers(-3, 3),
    st.sampled_from([0.5, -0.0, 1.0, 2.5, 1e16, 2**53 + 1, 2**63]),
)  # fmt: skip
numbers = st.one_of(st.integers(-3, 3), st.sampled_from([0.5, 1.0, 2.5, 1e16, 2**53 + 1, 1e300]))
values = st.one_of(st.booleans(), st.sampled_from(["", "a", "ab", "1", "é"]), numbers)
ATTRIBUTE = "attributes.a"
leaves = st.one_of(
    st.builds(Match, field=st.just(ATTRIBUTE), op=st.sampled_from(["=", "!="]), value=values),
    st.builds(
        Match,
        field=st.just(ATTRIBUTE),
        op=st.sampled_from(["in", "not-in"]),
        value=st.lists(values, min_size=1, max_size=3),
    ),
    st.builds(Match, field=st.just(ATTRIBUTE), op=st.sampled_from([">", ">=", "<", "<="]), value=numbers),
    st.builds(
        Match,
        field=st.sampled_from([ATTRIBUTE, "channel"]),
        op=st.sampled_from(["contains", "starts-with", "matches"]),
        value=st.sampled_from(["a", "b", "[ab]+", "^a"]),
    ).filter(lambda match: str(match.op) == "matches" or str(match.value).isalpha()),
    st.builds(Match, field=st.sampled_from([ATTRIBUTE, "channel"]), op=st.just("exists"), value=st.booleans()),
    st.builds(
        Match, field=st.sampled_from(["value", "event_time"]), op=st.sampled_from(["=", "!=", ">", "<="]), value=numbers
    ),
)
conditions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: All(all=parts)),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: Any_(any=parts)),
        inner.map(lambda part: Not(not_=part)),
    ),
    max_leaves=5,
)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(conditions, min_size=1, max_size=6),
    st.lists(
        st.builds(
            lambda scalar, channel, value: {
                "attributes": None if scalar is None else {"a": scalar}, "channel": channel, "value": value,
            },
            scalars, st.sampled_from([None, "a", "ba"]), st.sampled_from([None, 0, 1_000_000, 2_500_000, -1]),
        ),
        min_size=1, max_size=8,
    ),
)  # fmt: skip
def test_oracle_conditions_equal_plain_python(asked: list[Condition], fields: list[dict[str, Any]]) -> None:
    """Any condition over any touchpoint: SQL and Python say the same."""
    touchpoints = [touchpoint(f"{i:03}", 0, **each) for i, each in enumerate(fields)]
    assert sql_holds(asked, touchpoints) == [[holds(condition, t) for condition in asked] for t in touchpoints]


def test_attributes_are_never_rounded() -> None:
    """The neighbours of a number that a double can not hold lie on their sides of it."""
    for number in (2**53 + 1, -(2**53) - 1, 2**60 + 1):
        near = float(number)
        sides = {op: one(near, {"field": ATTRIBUTE, "op": op, "value": number}) for op in ("<", "=", ">")}
        exact = Fraction(near)
        assert sides == {"<": exact < number, "=": exact == number, ">": exact > number}
