"""A cohort table in SQL: thresholds over sums per container and calendar bucket (semantics 3).

Only buckets in which the container has a touchpoint are there at all, so only these can qualify.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction

import duckdb

from check.cells import CellsByPart, fetched
from check.conditions import ConditionWriter, leaves_of, millionths_of, thresholds_sql
from check.literals import Literals
from check.numbers import whole_sql
from state.definitions import Cohort, Threshold, Thresholds


def cohort_cells(connection: duckdb.DuckDBPyConnection, cohort: Cohort, columns: Mapping[str, str]) -> CellsByPart:
    """The cells of a cohort over the tables `touchpoint`, `member`, `container` and `calendar`."""
    _make_inside(connection, cohort, columns)
    _make_included(connection, cohort)
    _make_returned(connection, cohort)
    return fetched(connection, _CELLS)


def _leaf_columns(cohort: Cohort) -> list[tuple[str, Threshold]]:
    """Every threshold with the column that holds what an event adds to it: i0, i1, ... and r0, r1, ..."""
    return [
        *((f"i{n}", leaf) for n, leaf in enumerate(leaves_of(cohort.inclusion))),
        *((f"r{n}", leaf) for n, leaf in enumerate(leaves_of(cohort.return_))),
    ]


def _make_inside(connection: duckdb.DuckDBPyConnection, cohort: Cohort, columns: Mapping[str, str]) -> None:
    """`inside`: every place with its bucket and what it adds to each threshold; `bucket`: the sums."""
    literals = Literals()
    writer = ConditionWriter(columns, literals)
    leaves = _leaf_columns(cohort)
    added = [f"CASE WHEN {writer.sql(leaf.match)} THEN {_unit(leaf)} ELSE 0 END AS {name}" for name, leaf in leaves]
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE inside AS
        SELECT container, place, {cohort.granularity} AS bucket, {", ".join(added)}
        FROM (SELECT * FROM touchpoint JOIN member USING (place)) ASOF JOIN calendar ON event_time >= starts_ms
        """,
        literals.values,
    )
    sums = ", ".join(f"sum({name}) AS {name}" for name, _ in leaves)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE bucket AS SELECT container, bucket, {sums} FROM inside GROUP BY ALL"
    )


def _unit(leaf: Threshold) -> str:
    return "1" if leaf.metric == "count" else "coalesce(value, 0)"


def _holds(thresholds: Thresholds, stem: str, literals: Literals, column: Callable[[str], str] = str) -> str:
    """The thresholds over sums that stand in stem0, stem1, ...; `column` may wrap their names."""
    names = iter(range(len(list(leaves_of(thresholds)))))

    def one(leaf: Threshold) -> str:
        number = Fraction(leaf.number) if leaf.metric == "count" else millionths_of(leaf.number)
        return whole_sql(column(f"{stem}{next(names)}"), leaf.op, number, literals)

    return thresholds_sql(thresholds, one)


def _make_included(connection: duckdb.DuckDBPyConnection, cohort: Cohort) -> None:
    """`included`: containers and the buckets that include them."""
    literals = Literals()
    chosen = "min(bucket)" if cohort.include == "first" else "unnest(list(bucket))"
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE included AS
        SELECT container, {chosen} AS bucket FROM bucket WHERE {_holds(cohort.inclusion, "i", literals)}
        GROUP BY container
        """,
        literals.values,
    )


def _make_returned(connection: duckdb.DuckDBPyConnection, cohort: Cohort) -> None:
    """`returned`: containers, the bucket of their inclusion, and k periods later a return."""
    literals = Literals()
    can_revert = any(leaf.metric != "count" or leaf.op not in (">=", ">") for leaf in leaves_of(cohort.inclusion))
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE returned AS
        SELECT container, included.bucket, bucket.bucket - included.bucket AS k
        FROM included JOIN bucket USING (container)
        WHERE k BETWEEN {0 if can_revert else 1} AND {cohort.period_count} AND {_holds(cohort.return_, "r", literals)}
        """,
        literals.values,
    )
    if not can_revert:
        _add_returned_at_once(connection, cohort)


def _add_returned_at_once(connection: duckdb.DuckDBPyConnection, cohort: Cohort) -> None:
    """k = 0 where inclusion stays true: the return has to hold over what comes behind the event that made it true."""
    literals = Literals()
    included_by = [name for name, _ in _leaf_columns(cohort) if name.startswith("i")]
    running = ", ".join(f"sum({name}) OVER so_far AS {name}" for name in included_by)
    connection.execute(
        f"""
        INSERT INTO returned
        WITH running AS (
            SELECT container, bucket, place, {running} FROM inside JOIN included USING (container, bucket)
            WINDOW so_far AS (PARTITION BY container, bucket ORDER BY place)),
        became AS (
            SELECT container, bucket, min(place) AS place FROM running
            WHERE {_holds(cohort.inclusion, "i", literals)} GROUP BY container, bucket)
        SELECT inside.container, inside.bucket, 0
        FROM inside JOIN became USING (container, bucket) GROUP BY inside.container, inside.bucket
        HAVING {_holds(cohort.return_, "r", literals, _sum_behind)}
        """,
        literals.values,
    )


def _sum_behind(column: str) -> str:
    return f"coalesce(sum({column}) FILTER (inside.place > became.place), 0)"


_CELLS = [
    ("i", "SELECT part, bucket, count(*) FROM included JOIN container USING (container) GROUP BY ALL"),
    ("r", "SELECT part, bucket, k, count(*) FROM returned JOIN container USING (container) GROUP BY ALL"),
]
