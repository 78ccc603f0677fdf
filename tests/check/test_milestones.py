"""Milestones in SQL are those of brute force."""

from collections.abc import Iterable

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from check.conditions import attribute_columns
from check.milestones import claims_of, fields_of_milestone
from check.touchpoints import load, settle
from state.milestone_set import MilestoneDefinition
from streams.touchpoint import Touchpoint
from tests.check.batches import arrivals
from tests.oracles.milestones import Found
from tests.state.milestone_worlds import CONDITIONS, milestone_sets, truth_of
from tests.state.test_accounts import WORLDS
from tests.state.test_milestones_any_order import dense


def found_by_sql(made: MilestoneDefinition, touchpoints: Iterable[Touchpoint]) -> set[Found]:
    """What happened, by SQL."""
    columns = attribute_columns([], fields_of_milestone(made.milestone))
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        load(connection, arrivals(touchpoints), columns)
        settle(connection, None, columns)
        found = claims_of(connection, made.milestone, columns)
    assert all(key.part == ord(key.account[0]) % 2 for key in found)
    return {Found(key.account, key.id, key.episode, moment) for key, moment in found.items()}


@pytest.mark.parametrize("condition", CONDITIONS)
@settings(max_examples=30)
@given(st.data(), WORLDS, st.booleans())
def test_oracle_milestones_in_sql_equal_brute_force(
    condition: str, data: st.DataObject, arrived: list[Touchpoint], is_dense: bool
) -> None:
    """Whatever the condition, the container, and the touchpoints."""
    made = data.draw(milestone_sets(count_max=1, condition=condition)).milestones[0]
    arrived = dense(arrived) if is_dense else arrived
    assert found_by_sql(made, arrived) == truth_of(made, arrived)
