"""Canvases alone, with all that they may ask for: SQL against brute force, and their bodies written twice."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from check.compare import body_differences
from check.render import body_of
from state.render import render
from streams.touchpoint import Touchpoint
from tests.check.batches import cells_of_oracle, cells_of_sql
from tests.state.worlds import DAY, START, canvases, definition_set, touchpoints


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(touchpoints(), st.lists(canvases(), min_size=1, max_size=2), st.integers(-1, 120))
def test_oracle_canvases_and_their_bodies(arrived: list[Touchpoint], asked: list[dict[str, Any]], days: int) -> None:
    """Every cell is brute force's, and every figure that is made of them is so by two renderers, at any clock."""
    definitions = definition_set([{"name": f"c{n}", **each} for n, each in enumerate(asked)], "Europe/Berlin")
    clock_ms = START + days * DAY
    for definition, cells in zip(definitions.definitions, cells_of_sql(arrived, definitions), strict=True):
        assert cells == cells_of_oracle(arrived, definition)
        published = render(definition, cells, None, clock_ms)
        assert list(body_differences(body_of(definition, cells, clock_ms), published)) == []
