"""Audiences in SQL are those of brute force."""

from collections.abc import Iterable

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from check.audiences import Who, fields_of_audience, members_of
from check.conditions import attribute_columns
from check.members import member_differences
from check.touchpoints import load, settle
from state.audience_set import AudienceDefinition
from state.definitions import Audience
from streams.touchpoint import Touchpoint
from tests.check.batches import arrivals
from tests.state.audience_worlds import QUESTIONS, audience_definition, audiences, expected_of
from tests.state.test_accounts import WORLDS
from tests.state.test_milestones_any_order import CLOCKS, dense


def members_by_sql(made: AudienceDefinition, touchpoints: Iterable[Touchpoint], clock_ms: int) -> set[Who]:
    """Who is in, by SQL."""
    columns = attribute_columns([], fields_of_audience(made.audience))
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        load(connection, arrivals(touchpoints), columns)
        settle(connection, None, columns)
        return members_of(connection, made.audience, columns, {0: clock_ms, 1: clock_ms})


@pytest.mark.parametrize("question", QUESTIONS)
@settings(max_examples=40)
@given(st.data(), WORLDS, st.booleans(), CLOCKS)
def test_oracle_audiences_in_sql_equal_brute_force(
    question: str, data: st.DataObject, arrived: list[Touchpoint], is_dense: bool, clock_ms: int
) -> None:
    """Whatever is asked, of any container, at any clock."""
    made = audience_definition(data.draw(audiences(question)))
    arrived = dense(arrived) if is_dense else arrived
    found = members_by_sql(made, arrived, clock_ms)
    assert all(who.part == ord(who.account[0]) % 2 for who in found)
    assert {(who.account, who.id) for who in found} == set(expected_of(made, arrived, clock_ms))


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
    count, found = member_differences({ACME}, {ACME}, {BRIT}, ())
    assert count == 2
    assert [(each.what, each.expected, each.found, each.partition) for each in found] == [
        ("account acme", "in", "out", 1),
        ("account brit, p", "out", "in", 1),
    ]
    assert member_differences({ACME}, set(), set(), ()) == (1, [])
    assert member_differences({ACME}, {ACME}, set(), {ACME}) == (0, [])
