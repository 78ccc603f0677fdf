"""A canvas in SQL: reach node by node, parents first, over all containers at once (semantics 2).

A place that matches n comes along an arrow into n when it lies behind the reach of the arrow's origin, or with time
limits (`check.canvas_limits`) within them behind an arrival there. A place arrives at n when it comes along some arrow,
or n is a start node and it matches. reach(n) is the first arrival.
"""

from collections.abc import Mapping
from graphlib import TopologicalSorter

import duckdb

from check.canvas_items import breakdown_queries
from check.canvas_limits import limited_sql, overdue_queries
from check.canvas_steps import step_queries
from check.cells import CellsByPart, fetched
from check.conditions import ConditionWriter
from check.literals import Literals
from state.definitions import Canvas


def canvas_cells(connection: duckdb.DuckDBPyConnection, canvas: Canvas, columns: Mapping[str, str]) -> CellsByPart:
    """The cells of a canvas over the tables `touchpoint`, `member`, `container` and `calendar`."""
    make_reach(connection, canvas, columns)
    return fetched(
        connection,
        [
            *_CELLS,
            *_amount_queries(canvas),
            *breakdown_queries(canvas, columns),
            *(_TREND if canvas.trend else []),
            *overdue_queries(canvas),
            *step_queries(connection, canvas, columns),
        ],
    )


def make_reach(connection: duckdb.DuckDBPyConnection, canvas: Canvas, columns: Mapping[str, str]) -> None:
    """The tables of the functions below."""
    _make_graph(connection, canvas)
    _make_matching(connection, canvas, columns)
    _make_reach(connection, canvas)


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
        "CREATE OR REPLACE TEMP TABLE matching (container BIGINT, node INTEGER, place BIGINT,"
        " event_time BIGINT, value BIGINT)"
    )
    for n, node in enumerate(canvas.nodes):
        literals = Literals()
        condition = ConditionWriter(columns, literals).sql(node.match)
        connection.execute(
            f"INSERT INTO matching SELECT container, {n}, place, event_time, coalesce(value, 0)"
            f" FROM touchpoint JOIN member USING (place) WHERE {condition}",
            literals.values,
        )


def _make_reach(connection: duckdb.DuckDBPyConnection, canvas: Canvas) -> None:
    """`along`: every place at which a container comes along an arrow; `reach`: the first at which it arrives at a node;
    `followed`: the first along an arrow; `arrival`: every place of arrival at a node that arrows with limits leave."""
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE along (
            container BIGINT, number INTEGER, place BIGINT, event_time BIGINT, value BIGINT);
        CREATE OR REPLACE TEMP TABLE reach (container BIGINT, node INTEGER, place BIGINT);
        CREATE OR REPLACE TEMP TABLE arrival (container BIGINT, node INTEGER, place BIGINT, event_time BIGINT);
        """
    )
    parents = {node.id: canvas.parents(node.id) for node in canvas.nodes}
    number = {node.id: n for n, node in enumerate(canvas.nodes)}
    for node in TopologicalSorter(parents).static_order():
        for a, arrow in enumerate(canvas.arrows):
            if arrow.to == node:
                connection.execute(limited_sql(arrow) if arrow.is_limited else _ALONG, {"number": a})
        came = _ALONG_TO if parents[node] else _MATCHING_START
        connection.execute(f"INSERT INTO reach SELECT container, $node, min(place) FROM ({came}) GROUP BY container",
                           {"node": number[node]})  # fmt: skip
        if any(arrow.is_limited for arrow in canvas.arrows if arrow.from_ == node):
            connection.execute(f"INSERT INTO arrival SELECT DISTINCT container, $node, place, event_time FROM ({came})",
                               {"node": number[node]})  # fmt: skip
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE followed AS
        SELECT container, number, origin, min(place) AS place FROM along JOIN arrow USING (number) GROUP BY ALL
        """
    )


_MATCHING_START = "SELECT container, place, event_time FROM matching WHERE node = $node"
_ALONG_TO = "SELECT container, place, event_time FROM along JOIN arrow USING (number) WHERE target = $node"

_ALONG = """
    INSERT INTO along
    SELECT matching.container, arrow.number, matching.place, matching.event_time, matching.value
    FROM arrow JOIN reach ON reach.node = arrow.origin
    JOIN matching ON matching.container = reach.container AND matching.node = arrow.target
         AND matching.place > reach.place
    WHERE arrow.number = $number
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


def _per_day(table: str, column: str) -> str:
    """Containers of `reach` or `followed` by the local day of the place."""
    return f"""
        SELECT part, {column}, local_day, born.day, count(*)
        FROM (SELECT {column}, container, event_time FROM {table} JOIN touchpoint USING (place))
        ASOF JOIN calendar ON event_time >= starts_ms JOIN born USING (container) GROUP BY ALL
        """


_TREND = [("nd", _per_day("reach", "node")), ("ad", _per_day("followed", "number"))]

_FROM_REACH_ON = """
    FROM reach JOIN matching ON matching.container = reach.container AND matching.node = reach.node
         AND matching.place >= reach.place
    JOIN born ON born.container = reach.container GROUP BY ALL
    """

_AMOUNTS = {"events": ("e", "count(*)"), "value": ("v", "sum(value)")}


def _amount_queries(canvas: Canvas) -> list[tuple[str, str]]:
    """Events and value at nodes and, where asked for, along arrows."""
    queries = []
    for metric in (canvas.metric, canvas.secondary):
        if metric in _AMOUNTS:
            kind, amount = _AMOUNTS[metric]
            queries.append((kind, f"SELECT part, reach.node, day, {amount} {_FROM_REACH_ON}"))
            if canvas.arrow_values:
                along = f"SELECT part, number, day, {amount} FROM along JOIN born USING (container) GROUP BY ALL"
                queries.append((f"a{kind}", along))
    return queries
