"""A canvas in SQL: reach node by node, parents first, over all containers at once (semantics 2).

reach(n) is the first place of a container that matches n and, unless n is a start node, lies behind the least reach of
its parents.
"""

from collections.abc import Mapping
from graphlib import TopologicalSorter

import duckdb

from check.cells import CellsByPart, fetched
from check.conditions import ConditionWriter
from check.literals import Literals
from state.definitions import Canvas


def canvas_cells(connection: duckdb.DuckDBPyConnection, canvas: Canvas, columns: Mapping[str, str]) -> CellsByPart:
    """The cells of a canvas over the tables `touchpoint`, `member`, `container` and `calendar`."""
    _make_graph(connection, canvas)
    _make_matching(connection, canvas, columns)
    _make_reach(connection, canvas)
    return fetched(connection, [*_CELLS, *_CELLS_BY_METRIC[canvas.metric]])


def _make_graph(connection: duckdb.DuckDBPyConnection, canvas: Canvas) -> None:
    """`arrow`: number, origin and target by position; `born`: each container with the local day of its start."""
    number = {node.id: n for n, node in enumerate(canvas.nodes)}
    connection.execute("CREATE OR REPLACE TEMP TABLE arrow (number INTEGER, origin INTEGER, target INTEGER)")
    for a, arrow in enumerate(canvas.arrows):
        connection.execute("INSERT INTO arrow VALUES (?, ?, ?)", [a, number[arrow.from_], number[arrow.to]])
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE born AS
        SELECT container, part, local_day AS day FROM container ASOF JOIN calendar ON event_time >= starts_ms
        """
    )


def _make_matching(connection: duckdb.DuckDBPyConnection, canvas: Canvas, columns: Mapping[str, str]) -> None:
    """`matching`: every place that matches a node."""
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE matching (container BIGINT, node INTEGER, place BIGINT, value BIGINT)"
    )
    for n, node in enumerate(canvas.nodes):
        literals = Literals()
        condition = ConditionWriter(columns, literals).sql(node.match)
        connection.execute(
            f"INSERT INTO matching SELECT container, {n}, place, coalesce(value, 0)"
            f" FROM touchpoint JOIN member USING (place) WHERE {condition}",
            literals.values,
        )


def _make_reach(connection: duckdb.DuckDBPyConnection, canvas: Canvas) -> None:
    """`reach`: the place at which a container reaches a node; `followed`: the arrows it follows."""
    connection.execute("CREATE OR REPLACE TEMP TABLE reach (container BIGINT, node INTEGER, place BIGINT)")
    parents = {node.id: canvas.parents(node.id) for node in canvas.nodes}
    number = {node.id: n for n, node in enumerate(canvas.nodes)}
    for node in TopologicalSorter(parents).static_order():
        connection.execute(_REACH if parents[node] else _REACH_OF_START, {"node": number[node]})
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE followed AS
        SELECT DISTINCT reach.container, arrow.number, arrow.origin
        FROM reach JOIN arrow ON arrow.origin = reach.node
        JOIN matching ON matching.container = reach.container AND matching.node = arrow.target
             AND matching.place > reach.place
        """
    )


_REACH_OF_START = """
    INSERT INTO reach SELECT container, node, min(place) FROM matching WHERE node = $node GROUP BY container, node
    """

_REACH = """
    INSERT INTO reach
    WITH allowed AS (
        SELECT container, min(place) AS behind FROM reach
        WHERE node IN (SELECT origin FROM arrow WHERE target = $node) GROUP BY container)
    SELECT container, node, min(place) FROM matching JOIN allowed USING (container)
    WHERE node = $node AND place > behind GROUP BY container, node
    """

_CELLS = [
    ("t", "SELECT part, day, count(*) FROM born GROUP BY ALL"),
    ("n", "SELECT part, node, day, count(*) FROM reach JOIN born USING (container) GROUP BY ALL"),
    ("a", "SELECT part, number, day, count(*) FROM followed JOIN born USING (container) GROUP BY ALL"),
    ("f", "SELECT part, origin, day, count(DISTINCT container) FROM followed JOIN born USING (container) GROUP BY ALL"),
    (
        "p",
        """
        SELECT part, target, day, count(DISTINCT container)
        FROM arrow JOIN reach ON reach.node = arrow.origin JOIN born USING (container)
        WHERE target IN (SELECT target FROM arrow GROUP BY target HAVING count(*) >= 2) GROUP BY ALL
        """,
    ),
]

_FROM_REACH_ON = """
    FROM reach JOIN matching ON matching.container = reach.container AND matching.node = reach.node
         AND matching.place >= reach.place
    JOIN born ON born.container = reach.container GROUP BY ALL
    """

_CELLS_BY_METRIC: dict[str, list[tuple[str, str]]] = {
    "containers": [],
    "events": [("e", f"SELECT part, reach.node, day, count(*) {_FROM_REACH_ON}")],
    "value": [("v", f"SELECT part, reach.node, day, sum(value) {_FROM_REACH_ON}")],
}
