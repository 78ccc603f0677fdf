"""Milestones in one go: what every container claims, from the tables `touchpoint` and `member`.

Each condition gives its happenings, as the place of the touchpoint that began it and the moment of the milestone. Of a
milestone that is told once the first of a container counts.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import NamedTuple, assert_never

import duckdb

from check.calendar import make_calendar
from check.canvas import make_reach
from check.conditions import ConditionWriter, fields_of_condition
from check.literals import Literals
from check.touchpoints import make_members
from state.definitions import Canvas, Milestone
from state.definitions.milestone import (
    Amount,
    ArrowNotFollowed,
    Graph,
    Happens,
    Missing,
    NodeReached,
    Score,
    Unchanged,
)
from streams.touchpoint import MILLIONTHS

Happening = tuple[int, int, int]  # container, place that began it, moment
_MS_BY_UNIT = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_FETCHED = 10_000


class Key(NamedTuple):
    """Which alert it is: partition, account, the container's id (None for an account) and the episode (None where it is
    told once)."""

    part: int
    account: str
    id: str | None
    episode: str | None


def claims_of(
    connection: duckdb.DuckDBPyConnection, milestone: Milestone, columns: Mapping[str, str]
) -> dict[Key, int]:
    """When each milestone happened; or, where time alone brings it about, will have happened if nothing more comes."""
    make_members(connection, milestone.container)
    _make_happening(connection, milestone, columns)
    first = "" if milestone.each else "QUALIFY row_number() OVER (PARTITION BY happening.container ORDER BY place) = 1"
    id_ = "NULL" if milestone.container == "account" else milestone.container.value
    episode = "source || '/' || event_id" if milestone.each else "NULL"
    found = connection.execute(
        f"SELECT part, account, {id_}, {episode}, moment FROM happening JOIN touchpoint USING (place) {first}"
    ).fetchall()
    return {Key(*key): moment for *key, moment in found}


def waits_for_time(milestone: Milestone) -> bool:
    """Whether time alone brings it about."""
    return isinstance(milestone.when, ArrowNotFollowed | Missing | Unchanged)


def fields_of_milestone(milestone: Milestone) -> Iterator[str]:
    """The fields that it reads in conditions; some more than once."""
    match milestone.when:
        case Happens() | Amount() as when:
            yield from fields_of_condition(when.match)
        case Score() as when:
            for rule in when.points:
                yield from fields_of_condition(rule.match)
        case NodeReached() | ArrowNotFollowed() as when:
            for node in _graph(when).nodes:
                yield from fields_of_condition(node.match)
        case Missing() as when:
            yield from fields_of_condition(when.after)
            yield from fields_of_condition(when.without)
        case Unchanged() as when:
            yield when.field
        case _ as never:
            assert_never(never)


def _graph(when: NodeReached | ArrowNotFollowed) -> Graph:
    if when.graph is None:
        raise ValueError(f"the milestone on {when.canvas} was not read from a file, so it has no canvas")
    return when.graph


def _make_happening(connection: duckdb.DuckDBPyConnection, milestone: Milestone, columns: Mapping[str, str]) -> None:
    """`happening`: container, place that began it, moment."""
    connection.execute("CREATE OR REPLACE TEMP TABLE happening (container BIGINT, place BIGINT, moment BIGINT)")
    literals = Literals()
    writer = ConditionWriter(columns, literals)
    match milestone.when:
        case Happens() as when:
            sql = f"SELECT container, place, event_time FROM {_INSIDE} WHERE {writer.sql(when.match)}"
            connection.execute(f"INSERT INTO happening {sql}", literals.values)
        case Amount() as when:
            amount = "1" if when.metric == "count" else "coalesce(value, 0)"
            bound = int(Decimal(str(when.at_least)) * (1 if when.metric == "count" else MILLIONTHS))
            amount = f"CASE WHEN {writer.sql(when.match)} THEN {amount} ELSE 0 END"
            _add_crossings(connection, amount, bound, when.within, literals)
        case Score() as when:
            rules = [f"CASE WHEN {writer.sql(each.match)} THEN {each.points} ELSE 0 END" for each in when.points]
            _add_crossings(connection, " + ".join(rules), when.at_least, when.within, literals)
        case NodeReached() as when:
            node = _reach(connection, milestone, _graph(when), columns)[when.node]
            connection.execute(_REACHED, {"node": node})
        case ArrowNotFollowed() as when:
            graph = _graph(when)
            node = _reach(connection, milestone, graph, columns)[when.arrow.from_]
            ends = [(each.from_, each.to) for each in graph.arrows]
            arrow = ends.index((when.arrow.from_, when.arrow.to))
            connection.execute(_NOT_FOLLOWED, {"node": node, "arrow": arrow, "within": _ms(when.within)})
        case Missing() as when:
            _add_missing(connection, writer.sql(when.after), writer.sql(when.without), _ms(when.within), literals)
        case Unchanged() as when:
            _add_unchanged(connection, when, writer.shown(when.field), literals)
        case _ as never:
            assert_never(never)


_INSIDE = "(SELECT * FROM touchpoint JOIN member USING (place))"


def _ms(duration: str) -> int:
    return int(duration[:-1]) * _MS_BY_UNIT[duration[-1]]


def _add_crossings(
    connection: duckdb.DuckDBPyConnection, amount: str, bound: int, within: str | None, literals: Literals
) -> None:
    """By running sums: what lies before a window is the running sum at the last moment before it."""
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE running AS
        SELECT container, place, event_time, amount,
               sum(amount) OVER (PARTITION BY container ORDER BY place) AS until
        FROM (SELECT container, place, event_time, CAST({amount} AS HUGEINT) AS amount FROM {_INSIDE})
        """,
        literals.values,
    )
    before = "0"
    joined = "running"
    if within is not None:
        before = "coalesce(earlier.until, 0)"
        joined = f"""running ASOF LEFT JOIN (
            SELECT container, event_time, arg_max(until, place) AS until FROM running GROUP BY ALL) AS earlier
            ON earlier.container = running.container AND running.event_time - {_ms(within)} > earlier.event_time"""
    connection.execute(
        f"""
        INSERT INTO happening SELECT running.container, running.place, running.event_time FROM {joined}
        WHERE running.until - {before} >= $bound AND running.until - running.amount - {before} < $bound
        """,
        {"bound": bound},
    )


def _reach(
    connection: duckdb.DuckDBPyConnection, milestone: Milestone, graph: Graph, columns: Mapping[str, str]
) -> dict[str, int]:
    """Makes the tables of `check.canvas` for the graph; gives the numbers of its nodes."""
    canvas = Canvas(
        kind="canvas", name=milestone.name, container=milestone.container, nodes=graph.nodes, arrows=graph.arrows
    )
    make_calendar(connection, "UTC", "monday")
    make_reach(connection, canvas, columns)
    return {node.id: number for number, node in enumerate(graph.nodes)}


_REACHED = """
    INSERT INTO happening
    SELECT container, place, event_time FROM reach JOIN touchpoint USING (place) WHERE node = $node
    """
_NOT_FOLLOWED = """
    INSERT INTO happening
    SELECT reach.container, place, event_time + $within FROM reach JOIN touchpoint USING (place)
    WHERE node = $node AND NOT EXISTS (
        FROM along WHERE along.container = reach.container AND along.number = $arrow
        AND along.event_time <= touchpoint.event_time + $within)
    """


def _add_missing(
    connection: duckdb.DuckDBPyConnection, after: str, without: str, within_ms: int, literals: Literals
) -> None:
    """One walk over the touchpoints that matter, container by container: which beginning counts follows from what came
    of the one before."""
    result = connection.execute(
        f"""
        SELECT container, place, event_time, {after} AS begins, {without} AS follows FROM {_INSIDE}
        WHERE begins OR follows ORDER BY container, place
        """,
        literals.values,
    )
    found: list[Happening] = []
    opened: Happening | None = None
    while rows := result.fetchmany(_FETCHED):
        for container, place, moment, begins, follows in rows:
            if opened is not None and (opened[0] != container or moment > opened[2]):
                found.append(opened)
                opened = None
            if follows:
                opened = None
            if begins and opened is None:
                opened = (container, place, moment + within_ms)
    found += [] if opened is None else [opened]
    if found:
        # As columns: row by row takes a millisecond each.
        connection.execute(
            f"INSERT INTO happening SELECT {', '.join(['unnest(CAST(? AS BIGINT[]))'] * 3)}",
            [list(column) for column in zip(*found, strict=True)],
        )


def _add_unchanged(connection: duckdb.DuckDBPyConnection, when: Unchanged, shown: str, literals: Literals) -> None:
    """By the touchpoints that bring another value than the one before."""
    wanted = "TRUE"
    for items, op in ((when.only, "IN"), (when.except_, "NOT IN")):
        if items is not None:
            wanted = f"item {op} ({', '.join(map(literals.text, items))})"
    connection.execute(
        f"""
        INSERT INTO happening
        WITH valued AS (SELECT container, place, event_time, {shown} AS item FROM {_INSIDE} WHERE {shown} IS NOT NULL),
        stay AS (
            SELECT * FROM valued
            QUALIFY lag(item) OVER (PARTITION BY container ORDER BY place) IS DISTINCT FROM item),
        bounded AS (
            SELECT *, lead(event_time) OVER (PARTITION BY container ORDER BY place) AS ends FROM stay)
        SELECT container, place, event_time + {_ms(when.for_)} FROM bounded
        WHERE {wanted} AND (ends IS NULL OR ends > event_time + {_ms(when.for_)})
        """,
        literals.values,
    )
