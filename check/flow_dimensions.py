"""The walks of a flow whose columns have dimensions of their own: column by column, each the nearest further spot.

The spots of a dimension are its touchpoints with a value, without repeats the first of a run of equal values.
"""

from collections.abc import Mapping

import duckdb

from check.conditions import ConditionWriter
from check.literals import Literals
from state.definitions import Flow


def make_walk_over_dimensions(
    connection: duckdb.DuckDBPyConnection, flow: Flow, columns: Mapping[str, str], back_max: int, fore_max: int
) -> None:
    """Makes the table `walk` (container, place of the anchor, step, shown) from the table `anchor`."""
    dimension_by_step = {step.step: step.dimension for step in flow.steps or [] if step.dimension is not None}
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE walk AS"
        " SELECT container, place, 0 AS step, head AS shown, place AS at_place FROM anchor"
    )
    for step in (*range(1, fore_max), *range(-1, -back_max - 1, -1)):
        dimension = dimension_by_step.get(step, flow.dimension)
        _make_spots(connection, ConditionWriter(columns, Literals()).shown(dimension), repeats=flow.include_repeats)
        came_from, is_further = (step - 1, "<") if step > 0 else (step + 1, ">")
        connection.execute(
            f"""
            INSERT INTO walk
            SELECT here.container, here.place, {step}, dimension_spot.shown, dimension_spot.place
            FROM (SELECT * FROM walk WHERE step = {came_from}) AS here
            ASOF JOIN dimension_spot
            ON here.container = dimension_spot.container AND here.at_place {is_further} dimension_spot.place
            """
        )


def _make_spots(connection: duckdb.DuckDBPyConnection, shown: str, *, repeats: bool) -> None:
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE dimension_spot AS
        SELECT container, place, {shown} AS shown FROM touchpoint JOIN member USING (place) WHERE {shown} IS NOT NULL
        QUALIFY {repeats} OR lag({shown}) OVER (PARTITION BY container ORDER BY place) IS DISTINCT FROM {shown}
        """
    )
