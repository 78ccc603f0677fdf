"""What containers do around the nodes and arrows of a canvas, in SQL over `reach` and `followed` (`check.canvas`)."""

from collections.abc import Mapping

import duckdb

from check.conditions import ConditionWriter
from check.literals import Literals
from state.definitions import Canvas
from state.definitions.canvas_options import BETWEEN_COUNT_MAX


def step_queries(
    connection: duckdb.DuckDBPyConnection, canvas: Canvas, columns: Mapping[str, str]
) -> list[tuple[str, str]]:
    """The cells of steps, none where they are not asked for. Makes `step`: every place of a container with its item
    and those beside it."""
    if canvas.steps is None:
        return []
    item = ConditionWriter(columns, Literals()).shown(canvas.steps.dimension)
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE step AS
        SELECT container, place, {item} AS item,
               lead(place) OVER walk AS place_behind, lead({item}) OVER walk AS behind,
               lag(place) OVER walk AS place_before, lag({item}) OVER walk AS before
        FROM touchpoint JOIN member USING (place) WINDOW walk AS (PARTITION BY container ORDER BY place)
        """
    )
    return [("sn", _beside("behind")), ("sp", _beside("before")), ("sb", _BETWEEN)]


def _beside(side: str) -> str:
    return f"""
        SELECT part, node, {side}, day, count(*)
        FROM reach JOIN step USING (container, place) JOIN born USING (container)
        WHERE place_{side} IS NOT NULL GROUP BY ALL
        """


_BETWEEN = f"""
    WITH between_ends AS (
        SELECT followed.container, number, item, min(step.place) AS place
        FROM followed JOIN reach ON reach.container = followed.container AND reach.node = followed.origin
        JOIN step ON step.container = followed.container
             AND step.place > reach.place AND step.place < followed.place
        GROUP BY ALL),
    kept AS (
        SELECT * FROM between_ends
        QUALIFY row_number() OVER (PARTITION BY container, number ORDER BY place) <= {BETWEEN_COUNT_MAX})
    SELECT part, number, item, day, count(*) FROM kept JOIN born USING (container) GROUP BY ALL
    """
