"""A flow in SQL: the spots of every container numbered, and around each anchor a walk of steps (semantics 4).

A spot is a touchpoint with the dimension set, or without repeats the first of a run of equal values. A walk begins at
step 0 with the anchor (its value, or NULL for a condition) and goes on along the spots before and behind it. Where
columns have dimensions of their own, `check.flow_dimensions` walks.
"""

from collections.abc import Mapping

import duckdb

from check.cells import CellsByPart, fetched
from check.conditions import ConditionWriter
from check.flow_dimensions import make_walk_over_dimensions
from check.flow_filters import has_filters, keep_admitted
from check.literals import Literals
from state.definitions import Anchor, AnchorMatch, Flow


def flow_cells(connection: duckdb.DuckDBPyConnection, flow: Flow, columns: Mapping[str, str]) -> CellsByPart:
    """The cells of a flow over the tables `touchpoint`, `member`, `container` and `calendar`."""
    back_max, fore_max = lengths_of(flow)
    _make_spots(connection, flow, columns)
    _make_anchors(connection, flow, columns)
    if any(step.dimension is not None for step in flow.steps or []):
        make_walk_over_dimensions(connection, flow, columns, back_max, fore_max)
    else:
        connection.execute(_WALK, {"back_max": back_max, "fore_max": fore_max})
    if flow.count == "occurrences":
        return fetched(connection, [("o", _PATHS)])
    parts = [("n", _STEPS), ("l", _LINKS), ("x", _exits(back_max, fore_max))]
    if has_filters(flow):
        keep_admitted(connection, flow)
        parts.append(("t", _ALL))
    return fetched(connection, parts)


def lengths_of(flow: Flow) -> tuple[int, int]:
    """(columns before the anchor, columns from the anchor on)."""
    if flow.ends_with is not None:
        return flow.columns - 1, 1
    if flow.contains is not None:
        back = (flow.columns - 1) // 2
        return back, flow.columns - back
    return 0, flow.columns


def anchor_of(flow: Flow) -> Anchor | None:
    """The anchor, wherever it stands."""
    return next((each for each in (flow.starts_with, flow.ends_with, flow.contains) if each is not None), None)


def _make_spots(connection: duckdb.DuckDBPyConnection, flow: Flow, columns: Mapping[str, str]) -> None:
    """`spot`: numbered from 1 in each container, with the number of the container's last one."""
    shown = ConditionWriter(columns, Literals()).shown(flow.dimension)
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE spot AS
        WITH valued AS (
            SELECT container, place, {shown} AS shown,
                   lag({shown}) OVER (PARTITION BY container ORDER BY place) AS previous
            FROM touchpoint JOIN member USING (place) WHERE {shown} IS NOT NULL)
        SELECT container, place, shown, row_number() OVER (PARTITION BY container ORDER BY place) AS number,
               count(*) OVER (PARTITION BY container) AS last_number
        FROM valued WHERE {flow.include_repeats} OR previous IS DISTINCT FROM shown
        """
    )


def _make_anchors(connection: duckdb.DuckDBPyConnection, flow: Flow, columns: Mapping[str, str]) -> None:
    """`anchor`: every occurrence with its head, and the numbers of the first spot behind it and the last before."""
    literals = Literals()
    match anchor_of(flow):
        case None:
            found = f"{_ANCHOR_AT_SPOT} WHERE number = 1"
        case AnchorMatch() as anchor:
            condition = ConditionWriter(columns, literals).sql(anchor.match)
            found = _ANCHOR_BESIDE_SPOTS.format(condition=condition)
        case value:
            found = f"{_ANCHOR_AT_SPOT} WHERE shown = {literals.text(value)}"
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE anchor AS SELECT * FROM ({found}) {_QUALIFY_BY_LIMIT[flow.limit]}",
        literals.values,
    )


_ANCHOR_AT_SPOT = """
    SELECT container, place, shown AS head, number + 1 AS behind, number - 1 AS before, last_number FROM spot
    """

# The last spot up to the anchor is its own one when the places are equal, and then belongs to neither side.
_ANCHOR_BESIDE_SPOTS = """
    SELECT here.container, here.place, CAST(NULL AS VARCHAR) AS head, coalesce(number, 0) + 1 AS behind,
           CASE WHEN spot.place = here.place THEN number - 1 ELSE coalesce(number, 0) END AS before,
           (SELECT coalesce(max(number), 0) FROM spot AS each WHERE each.container = here.container) AS last_number
    FROM (SELECT container, place FROM touchpoint JOIN member USING (place) WHERE {condition}) AS here
    ASOF LEFT JOIN spot ON spot.container = here.container AND here.place >= spot.place
    """

_QUALIFY_BY_LIMIT = {
    None: "",
    "first": "QUALIFY row_number() OVER (PARTITION BY container ORDER BY place) = 1",
    "last": "QUALIFY row_number() OVER (PARTITION BY container ORDER BY place DESC) = 1",
}

_WALK = """
    CREATE OR REPLACE TEMP TABLE walk AS
    WITH wanted AS (
        SELECT container, place, behind AS origin, unnest(range(1, least($fore_max, last_number - behind + 2))) AS step
        FROM anchor
        UNION ALL
        SELECT container, place, before, -unnest(range(1, least($back_max, before) + 1)) FROM anchor)
    SELECT container, place, 0 AS step, head AS shown FROM anchor
    UNION ALL
    SELECT wanted.container, wanted.place, step, shown
    FROM wanted JOIN spot ON spot.container = wanted.container AND spot.number = origin + step - sign(step)
    """

_PATHS = """
    WITH path AS (
        SELECT place, list(shown ORDER BY step) FILTER (step >= 0) AS fore,
               coalesce(list(shown ORDER BY step DESC) FILTER (step < 0), []) AS back
        FROM walk GROUP BY place)
    SELECT part, local_day, back, fore, count(*)
    FROM (SELECT * FROM path JOIN touchpoint USING (place)) ASOF JOIN calendar ON event_time >= starts_ms GROUP BY ALL
    """

_STEPS = "SELECT part, step, shown, count(DISTINCT container) FROM walk JOIN container USING (container) GROUP BY ALL"

_ALL = "SELECT part, count(DISTINCT container) FROM anchor JOIN container USING (container) GROUP BY ALL"

_LINKS = """
    SELECT part, here.step, here.shown, there.step, there.shown, count(DISTINCT here.container)
    FROM walk AS here JOIN walk AS there ON here.place = there.place
         AND abs(there.step) = abs(here.step) + 1 AND here.step * there.step >= 0
    JOIN container ON container.container = here.container GROUP BY ALL
    """


def _exits(back_max: int, fore_max: int) -> str:
    """Where walks end before the last column of a direction."""
    return f"""
        WITH reached AS (SELECT place, max(step) AS foremost, min(step) AS backmost FROM walk GROUP BY place),
        ended AS (
            SELECT place, foremost AS step, 1 AS direction FROM reached WHERE foremost < {fore_max - 1}
            UNION ALL
            SELECT place, backmost, -1 FROM reached WHERE backmost > {-back_max})
        SELECT part, step, shown, direction, count(DISTINCT container)
        FROM ended JOIN walk USING (place, step) JOIN container USING (container) GROUP BY ALL
        """
