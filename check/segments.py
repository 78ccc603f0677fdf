"""The filter of an analysis in SQL: only containers whose touchpoints, all together, have the property stay, and of
their touchpoints those that match."""

from collections.abc import Mapping
from fractions import Fraction

import duckdb

from check.conditions import ConditionWriter, millionths_of
from check.literals import Literals
from check.numbers import whole_sql
from state.definitions import (
    AllSegments,
    AnySegment,
    Filter,
    Has,
    Last,
    NotSegment,
    Segment,
    Threshold,
    Touchpoints,
    UnderAccount,
)
from state.matches import Condition, Match, Operator


def keep_filtered(connection: duckdb.DuckDBPyConnection, wanted: Filter, columns: Mapping[str, str]) -> None:
    """Takes the containers and touchpoints that do not count out of the tables `member` and `container`."""
    match wanted:
        case UnderAccount():
            _keep(connection, wanted.account, columns, _ACCOUNTS)
            if wanted.then is not None:
                keep_filtered(connection, wanted.then, columns)
        case Touchpoints():
            if wanted.of is not None:
                _keep(connection, wanted.of, columns, _CONTAINERS)
            _keep_matching(connection, wanted.touchpoints, columns)
        case _:
            _keep(connection, wanted, columns, _CONTAINERS)


_CONTAINERS = "SELECT container FROM member JOIN touchpoint USING (place) GROUP BY container HAVING {having}"
_ACCOUNTS = """
    SELECT container FROM member JOIN touchpoint USING (place)
    WHERE account IN (SELECT account FROM touchpoint GROUP BY account HAVING {having})
    """


def _keep(connection: duckdb.DuckDBPyConnection, segment: Segment, columns: Mapping[str, str], containers: str) -> None:
    literals = Literals()
    having = _sql(segment, ConditionWriter(columns, literals), literals)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE chosen AS {containers.format(having=having)}", literals.values)
    for table in ("member", "container"):
        connection.execute(f"DELETE FROM {table} WHERE container NOT IN (SELECT container FROM chosen)")


def _keep_matching(connection: duckdb.DuckDBPyConnection, condition: Condition, columns: Mapping[str, str]) -> None:
    """A container then begins with the first of its places that is left."""
    literals = Literals()
    matching = f"SELECT place FROM touchpoint WHERE {ConditionWriter(columns, literals).sql(condition)}"
    connection.execute(f"DELETE FROM member WHERE place NOT IN ({matching})", literals.values)
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE container AS
        SELECT first.container, part, event_time
        FROM (SELECT container, min(place) AS place FROM member GROUP BY container) AS first
        JOIN touchpoint USING (place)
        """
    )


def _sql(segment: Segment, writer: ConditionWriter, literals: Literals) -> str:
    match segment:
        case Has():
            return _threshold_sql(segment.has, writer, literals)
        case Last():
            return _last_sql(segment.last, writer)
        case NotSegment():
            return f"(NOT {_sql(segment.not_, writer, literals)})"
        case AllSegments():
            return "(" + " AND ".join(_sql(each, writer, literals) for each in segment.all) + ")"
        case _:
            assert isinstance(segment, AnySegment), "names are resolved when a file is read"
            return "(" + " OR ".join(_sql(each, writer, literals) for each in segment.any) + ")"


def _last_sql(match: Match, writer: ConditionWriter) -> str:
    # What no touchpoint has differs from everything, and equals nothing.
    without = match.op in (Operator.NOT_EQUAL, Operator.NOT_IN) or (
        match.op is Operator.EXISTS and match.value is False
    )
    newest = f"arg_max({writer.sql(match)}, place) FILTER ({writer.shown(match.field)} IS NOT NULL)"
    return f"coalesce({newest}, {str(without).upper()})"


def _threshold_sql(threshold: Threshold, writer: ConditionWriter, literals: Literals) -> str:
    matching = f"FILTER ({writer.sql(threshold.match)})"
    if threshold.metric == "count":
        return whole_sql(f"count(*) {matching}", threshold.op, Fraction(threshold.number), literals)
    return whole_sql(f"coalesce(sum(value) {matching}, 0)", threshold.op, millionths_of(threshold.number), literals)
