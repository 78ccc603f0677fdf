"""The filter of an analysis in SQL: only containers whose touchpoints, all together, have the property stay, and of
their touchpoints those that match."""

from collections.abc import Mapping
from fractions import Fraction

import duckdb

from check.conditions import ConditionWriter, millionths_of
from check.literals import Literals
from check.numbers import whole_sql
from check.touchpoints import members_sql
from state.definitions import (
    AllSegments,
    AnySegment,
    ContainerKind,
    Filter,
    Has,
    Last,
    NotSegment,
    Segment,
    Some,
    Threshold,
    Touchpoints,
    UnderAccount,
    UnderPerson,
)
from state.matches import Condition, Match, Operator


def keep_filtered(
    connection: duckdb.DuckDBPyConnection, wanted: Filter, container: ContainerKind, columns: Mapping[str, str]
) -> None:
    """Takes the containers and touchpoints that do not count out of the tables `member` and `container`."""
    match wanted:
        case UnderAccount() | UnderPerson():
            outer, asked = (_ACCOUNT, wanted.account) if isinstance(wanted, UnderAccount) else (_PERSON, wanted.person)
            _keep(connection, asked, columns, container, outer)
            if wanted.then is not None:
                keep_filtered(connection, wanted.then, container, columns)
        case Touchpoints():
            if wanted.of is not None:
                _keep(connection, wanted.of, columns, container, container)
            _keep_matching(connection, wanted.touchpoints, columns)
        case _:
            _keep(connection, wanted, columns, container, container)


_ACCOUNT, _PERSON = ContainerKind.ACCOUNT, ContainerKind.PERSON


def _keep(
    connection: duckdb.DuckDBPyConnection,
    segment: Segment,
    columns: Mapping[str, str],
    container: ContainerKind,
    asked: ContainerKind,
) -> None:
    """Keeps the containers that have the segment, or that lie under one of the kind `asked` that has it."""
    literals = Literals()
    having = _sql(segment, asked, ConditionWriter(columns, literals), literals)
    chosen = _having_sql("SELECT * FROM member" if asked is container else members_sql(asked), having)
    if asked is not container:
        chosen = f"SELECT container FROM ({_under_sql(container, asked)}) WHERE outer_one IN ({chosen})"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE chosen AS {chosen}", literals.values)
    for table in ("member", "container"):
        connection.execute(f"DELETE FROM {table} WHERE container NOT IN (SELECT container FROM chosen)")


def _having_sql(members: str, having: str) -> str:
    """The query of the containers whose touchpoints, grouped, have something."""
    return f"SELECT container FROM ({members}) JOIN touchpoint USING (place) GROUP BY container HAVING {having}"


def _under_sql(kind: ContainerKind, outer: ContainerKind) -> str:
    """The query of the (container, outer_one) of a kind and an outer one. A container's person is the newest that its
    touchpoints name."""
    same = "inner_one.account = named.account"
    if outer is _PERSON:
        same += " AND inner_one.person = named.person"
    return f"""
        SELECT inner_one.container, named.container AS outer_one
        FROM (
            SELECT container, any_value(account) AS account,
                   arg_max(person, place) FILTER (person IS NOT NULL) AS person
            FROM ({members_sql(kind)}) JOIN touchpoint USING (place) GROUP BY container) AS inner_one
        JOIN (
            SELECT container, account, person FROM ({members_sql(outer)}) JOIN touchpoint USING (place)
            WHERE place = container) AS named ON {same}
        """


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


def _sql(segment: Segment, kind: ContainerKind, writer: ConditionWriter, literals: Literals) -> str:
    """Whether the touchpoints of a container of a kind, grouped, have a segment."""
    match segment:
        case Has():
            return _threshold_sql(segment.has, writer, literals)
        case Last():
            return _last_sql(segment.last, writer)
        case NotSegment():
            return f"(NOT {_sql(segment.not_, kind, writer, literals)})"
        case Some():
            having = _having_sql(members_sql(segment.some), _sql(segment.that, segment.some, writer, literals))
            under = f"SELECT outer_one FROM ({_under_sql(segment.some, kind)}) WHERE container IN ({having})"
            return f"(container IN ({under}))"
        case AllSegments():
            return "(" + " AND ".join(_sql(each, kind, writer, literals) for each in segment.all) + ")"
        case _:
            assert isinstance(segment, AnySegment), "names are resolved when a file is read"
            return "(" + " OR ".join(_sql(each, kind, writer, literals) for each in segment.any) + ")"


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
