"""Audiences in one go: who is in at given clocks and what members bring along, from the tables `touchpoint` and
`member`.

Each question gives the containers of which it holds, a container being named by its first place; what joins the
questions are unions, intersections and complements.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple, assert_never

import duckdb

from check.calendar import EPOCH, bucket_of, make_calendar
from check.canvas import make_reach
from check.cohort import cohort_cells
from check.conditions import ConditionWriter, fields_of_condition, leaves_of, millionths_of
from check.literals import Literals
from check.milestones import claims_of, fields_of_milestone, waits_for_time
from check.numbers import whole_sql
from check.touchpoints import make_members
from state.definitions import Audience, Canvas, Cohort, Milestone
from state.definitions.audience import (
    AllAudience,
    AnyAudience,
    ArrowFollowed,
    HasTouchpoints,
    InCohort,
    MilestoneReached,
    NotAudience,
    Question,
    RecentThreshold,
    Wanted,
    first_day,
    questions_of,
)
from state.definitions.milestone import ArrowNotFollowed, Graph, NodeReached
from state.definitions.segment import Last
from state.matches import Match, Operator

Containers = set[int]
Attributes = dict["Who", dict[str, str]]
Columns = Mapping[str, str]
_MS_BY_UNIT = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


class Who(NamedTuple):
    """A container: partition, account, and its id (None for an account)."""

    part: int
    account: str
    id: str | None


def members_of(
    connection: duckdb.DuckDBPyConnection, audience: Audience, columns: Columns, clocks: Mapping[int, int]
) -> set[Who]:
    """Who is in. clocks: by partition."""
    return _Members(connection, audience, columns, clocks).found()


def attributes_of(connection: duckdb.DuckDBPyConnection, audience: Audience, columns: Columns) -> Attributes:
    """What containers bring along, whether they are in or not: of each field the newest value, as text."""
    return _Members(connection, audience, columns, {}).attributes()


def fields_of_audience(audience: Audience) -> Iterator[str]:
    """The fields that it reads; some more than once."""
    yield from audience.attributes.values()
    if audience.consent is not None:
        yield audience.consent.field
    for question in questions_of(audience.wanted):
        yield from _fields_of(question, audience)


def _fields_of(question: Question, audience: Audience) -> Iterator[str]:
    match question:
        case HasTouchpoints():
            yield from fields_of_condition(question.has.match)
        case Last():
            yield question.last.field
        case NodeReached() | ArrowFollowed():
            for node in _there(question.graph).nodes:
                yield from fields_of_condition(node.match)
        case InCohort():
            cohort = _cohort_of(question, audience)
            for leaf in (*leaves_of(cohort.inclusion), *leaves_of(cohort.return_)):
                yield from fields_of_condition(leaf.match)
        case MilestoneReached():
            yield from fields_of_milestone(_milestone_of(question, audience))
        case _ as never:
            assert_never(never)


def _there(graph: Graph | None) -> Graph:
    if graph is None:
        raise ValueError("an audience on a canvas was not read from a file, so it has no canvas")
    return graph


def _cohort_of(question: InCohort, audience: Audience) -> Cohort:
    if question.row is None:
        raise ValueError(f"the audience on {question.cohort} was not read from a file, so it has no cohort")
    row = question.row
    return Cohort(
        kind="cohort",
        name=question.cohort,
        container=audience.container,
        granularity=row.granularity,
        include=row.include,
        inclusion=row.inclusion,
        return_=row.return_,
        periods=question.returned or 1,
    )


def _milestone_of(question: MilestoneReached, audience: Audience) -> Milestone:
    if question.when is None:
        raise ValueError(f"the audience on {question.milestone} was not read from a file, so it has no condition")
    return Milestone(name="asked", container=audience.container, when=question.when, each=question.each)


class _Members:
    def __init__(
        self, connection: duckdb.DuckDBPyConnection, audience: Audience, columns: Columns, clocks: Mapping[int, int]
    ) -> None:
        self._connection, self._audience, self._columns, self._clocks = connection, audience, columns, clocks
        make_members(connection, audience.container)
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE clock AS"
            " SELECT unnest(CAST($parts AS BIGINT[])) AS part, unnest(CAST($moments AS BIGINT[])) AS clock_ms",
            {"parts": list(clocks), "moments": list(clocks.values())},
        )
        id_ = "NULL" if audience.container == "account" else audience.container.value
        rows = connection.execute(
            f"SELECT container, touchpoint.part, account, {id_}"
            " FROM container JOIN touchpoint ON touchpoint.place = container.container"
        ).fetchall()
        self._names = {container: Who(*who) for container, *who in rows}
        self._numbers = {who: container for container, who in self._names.items()}

    def found(self) -> set[Who]:
        """Who is in."""
        inside = self._of(self._audience.wanted)
        if self._audience.consent is not None:
            inside &= self._newest(self._audience.consent)
        return {self._names[container] for container in inside}

    def attributes(self) -> Attributes:
        """Of each container what is known."""
        found: Attributes = {}
        for name, field in self._audience.attributes.items():
            value = ConditionWriter(self._columns, Literals()).whole_text(field)
            rows = self._connection.execute(
                f"SELECT container, arg_max({value}, place) FROM touchpoint JOIN member USING (place)"
                f" WHERE {value} IS NOT NULL GROUP BY container"
            ).fetchall()
            for container, newest in rows:
                text = format(Decimal(newest).scaleb(-6).normalize(), "f") if field == "value" else str(newest)
                found.setdefault(self._names[container], {})[name] = text
        return found

    def _of(self, wanted: Wanted) -> Containers:
        match wanted:
            case AllAudience():
                return set.intersection(*map(self._of, wanted.all))
            case AnyAudience():
                return set().union(*map(self._of, wanted.any))
            case NotAudience():
                return self._names.keys() - self._of(wanted.not_)
            case HasTouchpoints():
                return self._has(wanted.has)
            case Last():
                return self._newest(wanted.last)
            case NodeReached():
                return self._reached(_there(wanted.graph), wanted.node)
            case ArrowFollowed():
                return self._arrow(wanted)
            case InCohort():
                return self._in_cohort(wanted)
            case MilestoneReached():
                return self._milestone(_milestone_of(wanted, self._audience), wanted.within)
            case _ as never:
                assert_never(never)

    def _select(self, sql: str, literals: Literals | None = None) -> Containers:
        """The first column."""
        rows = self._connection.execute(sql, {} if literals is None else literals.values).fetchall()
        return {container for container, *_ in rows}

    def _has(self, threshold: RecentThreshold) -> Containers:
        literals = Literals()
        condition = ConditionWriter(self._columns, literals).sql(threshold.match)
        number = Fraction(threshold.number) if threshold.metric == "count" else millionths_of(threshold.number)
        amount = "count(*)" if threshold.metric == "count" else "sum(coalesce(value, 0))"
        window = "" if threshold.within is None else f"WHERE event_time >= now - {_ms(threshold.within)}"
        holds = whole_sql("coalesce(amount, 0)", threshold.op, number, literals)
        return self._select(
            f"""
            WITH mine AS (
                SELECT container, part, event_time, value FROM touchpoint JOIN member USING (place) WHERE {condition}),
            seen AS (
                SELECT mine.*, greatest(max(event_time) OVER (PARTITION BY container), coalesce(clock_ms, 0)) AS now
                FROM mine LEFT JOIN clock USING (part)),
            counted AS (SELECT container, {amount} AS amount FROM seen {window} GROUP BY container)
            SELECT container.container FROM container LEFT JOIN counted USING (container) WHERE {holds}
            """,
            literals,
        )

    def _newest(self, match: Match) -> Containers:
        literals = Literals()
        writer = ConditionWriter(self._columns, literals)
        holds, there = writer.sql(match), writer.sql(Match(field=match.field, op=Operator.EXISTS))
        rows = self._connection.execute(
            f"SELECT container, arg_max({holds}, place) FROM touchpoint JOIN member USING (place) WHERE {there}"
            " GROUP BY container",
            literals.values,
        ).fetchall()
        newest = dict(rows)
        of_none = match.op in (Operator.NOT_EQUAL, Operator.NOT_IN) or (
            match.op is Operator.EXISTS and match.value is False
        )
        return {container for container in self._names if newest.get(container, of_none)}

    def _make_reach(self, graph: Graph) -> dict[str, int]:
        """Makes the tables of `check.canvas`; gives the numbers of the nodes."""
        canvas = Canvas(
            kind="canvas", name="asked", container=self._audience.container, nodes=graph.nodes, arrows=graph.arrows
        )
        make_calendar(self._connection, "UTC", "monday")
        make_reach(self._connection, canvas, self._columns)
        return {node.id: number for number, node in enumerate(graph.nodes)}

    def _reached(self, graph: Graph, node: str) -> Containers:
        number = self._make_reach(graph)[node]
        return self._select(f"SELECT DISTINCT container FROM reach WHERE node = {number}")

    def _arrow(self, wanted: ArrowFollowed) -> Containers:
        graph = _there(wanted.graph)
        if not wanted.followed and wanted.within is not None:
            when = ArrowNotFollowed(canvas=wanted.canvas, arrow=wanted.arrow, within=wanted.within, graph=graph)
            return self._milestone(Milestone(name="asked", container=self._audience.container, when=when), None)
        reached = self._reached(graph, wanted.arrow.from_)
        followed = self._select(f"SELECT DISTINCT container FROM along WHERE number = {len(graph.arrows) - 1}")
        return followed if wanted.followed else reached - followed

    def _in_cohort(self, wanted: InCohort) -> Containers:
        cohort, row = _cohort_of(wanted, self._audience), wanted.row
        assert row is not None, "the cohort has looked"
        make_calendar(self._connection, row.zone, row.week_start)
        cohort_cells(self._connection, cohort, self._columns)
        bucket = bucket_of(row.granularity, (first_day(wanted.period) - EPOCH).days, row.week_start)
        if wanted.returned is None:
            return self._select(f"SELECT container FROM included WHERE bucket = {bucket}")
        return self._select(f"SELECT container FROM returned WHERE bucket = {bucket} AND k = {wanted.returned}")

    def _milestone(self, milestone: Milestone, within: str | None) -> Containers:
        newest: dict[int, int] = {}
        for key, moment in claims_of(self._connection, milestone, self._columns).items():
            clock_ms = self._clocks.get(key.part, 0)
            if not waits_for_time(milestone) or moment <= clock_ms:
                container = self._numbers[Who(key.part, key.account, key.id)]
                newest[container] = max(newest.get(container, 0), moment)
        if within is None:
            return set(newest)
        clocks = {container: self._clocks.get(self._names[container].part, 0) for container in newest}
        return {container for container, moment in newest.items() if moment >= clocks[container] - _ms(within)}


def _ms(duration: str) -> int:
    return int(duration[:-1]) * _MS_BY_UNIT[duration[-1]]
