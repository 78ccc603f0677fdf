"""The batch computation in SQL against the naive oracle: all analyses, over worlds in which everything collides."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from state.definition_set import DefinitionSet
from streams.touchpoint import Touchpoint
from tests.check.batches import cells_of_oracle, cells_of_sql
from tests.state.worlds import definition_sets, touchpoints

SQL = settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])


@SQL
@given(st.lists(touchpoints(), min_size=1, max_size=3), definition_sets(count_max=4))
def test_oracle_every_analysis_equals_brute_force(worlds: list[list[Touchpoint]], definitions: DefinitionSet) -> None:
    """Ties, duplicates, corrections, withdrawals, sessions and zones: every cell is that of the naive computation."""
    arrived = [each for world in worlds for each in world]
    for definition, cells in zip(definitions.definitions, cells_of_sql(arrived, definitions), strict=True):
        assert cells == cells_of_oracle(arrived, definition)
