"""Audiences in SQL are those of brute force."""

from collections.abc import Iterable

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from check.audiences import Who, attributes_of, fields_of_audience, members_of
from check.conditions import attribute_columns
from check.members import member_differences
from check.touchpoints import load, settle
from state.audience_set import AudienceDefinition
from state.definitions import Audience
from streams.touchpoint import Touchpoint
from tests.check.batches import arrivals
from tests.oracles.audiences import attributes_of as newest_of
from tests.state.audience_worlds import QUESTIONS, audience_definition, audiences, expected_of
from tests.state.test_accounts import WORLDS
from tests.state.test_audience_definitions import CANVAS, HAS, audience
from tests.state.test_milestones_any_order import CLOCKS, dense
from tests.state.worlds import touchpoint


def by_sql(
    made: AudienceDefinition, touchpoints: Iterable[Touchpoint], clock_ms: int
) -> tuple[set[Who], dict[Who, dict[str, str]]]:
    """Who is in, and the attributes of all, by SQL."""
    columns = attribute_columns([], fields_of_audience(made.audience))
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        load(connection, arrivals(touchpoints), columns)
        settle(connection, None, columns)
        members = members_of(connection, made.audience, columns, {0: clock_ms, 1: clock_ms})
        return members, attributes_of(connection, made.audience, columns)


@pytest.mark.parametrize("question", QUESTIONS)
@settings(max_examples=20)
@given(st.data(), WORLDS, st.booleans(), CLOCKS)
def test_oracle_audiences_in_sql_equal_brute_force(
    question: str, data: st.DataObject, arrived: list[Touchpoint], is_dense: bool, clock_ms: int
) -> None:
    """Whatever is asked, of any container, at any clock."""
    made = audience_definition(data.draw(audiences(question)))
    arrived = dense(arrived) if is_dense else arrived
    found, attributes = by_sql(made, arrived, clock_ms)
    assert all(who.part == ord(who.account[0]) % 2 for who in found)
    assert {(who.account, who.id) for who in found} == set(expected_of(made, arrived, clock_ms))
    known = {(who.account, who.id): each for who, each in newest_of(made.audience, arrived).items() if each}
    assert {(who.account, who.id): each for who, each in attributes.items()} == known


def test_attributes_in_sql_are_text_whatever_the_field_is() -> None:
    """As changes of members bring them along."""
    fields = {
        "amount": "value",
        "moment": "event_time",
        "who": "person",
        "hot": "attributes.hot",
        "url": "attributes.u",
    }
    file = {"version": 1, "analyses": [CANVAS], "audiences": [audience(HAS, attributes=fields)]}
    made = audience_definition(file)
    arrived = [
        touchpoint(value=-1_500_000, person="jo", attributes={"hot": True}), touchpoint(event_id="2", value=40_000_000),
        touchpoint(event_id="3", account="brit", value=0, attributes={"hot": 2.5, "u": "x" * 3_000}),
    ]  # fmt: skip
    _, found = by_sql(made, arrived, 0)
    assert {who.account: each for who, each in found.items()} == {
        "acme": {"amount": "40", "moment": "0", "who": "jo", "hot": "true"},
        "brit": {"amount": "0", "moment": "0", "hot": "2.5", "url": "x" * 3_000},
    }


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"canvas": "c", "node": "n"}, "has no canvas"),
        ({"cohort": "c", "period": "2026"}, "has no cohort"),
        ({"milestone": "m"}, "has no condition"),
    ],
)
def test_what_was_not_read_from_a_file_can_not_be_checked(asked: dict[str, str], words: str) -> None:
    """For what it asks is not in it."""
    audience = Audience.model_validate({"name": "it", "container": "account", "when": asked})
    with pytest.raises(ValueError, match=words):
        list(fields_of_audience(audience))


ACME, BRIT = Who(1, "acme", None), Who(1, "brit", "p")


def test_who_is_wrongly_in_or_out_is_a_difference() -> None:
    """But for whom time moved within the last minute, and who came or went meanwhile."""
    count, found = member_differences({ACME: {}}, {ACME}, {BRIT: {}}, ())
    assert count == 2
    assert [(each.what, each.expected, each.found, each.partition) for each in found] == [
        ("account acme", "in", "out", 1),
        ("account brit, p", "out", "in", 1),
    ]
    assert member_differences({ACME: {}}, set(), {}, ()) == (1, [])
    assert member_differences({ACME: {}}, {ACME}, {}, {ACME}) == (0, [])
    _, (other,) = member_differences({ACME: {"tier": "2"}}, {ACME}, {ACME: {"tier": "1"}}, ())
    assert (other.what, other.expected, other.found) == ("account acme: attributes", {"tier": "2"}, {"tier": "1"})
