"""A cohort table in SQL: thresholds over sums per container and calendar bucket (semantics 3).

Only buckets in which the container has a touchpoint are there at all, so only these can qualify. Moments and items are
those of the touchpoint at which thresholds last became true, by running sums over a bucket.
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
    if cohort.velocity or cohort.dimension is not None:
        _make_running(connection, cohort)
    _make_entry(connection, cohort)
    _make_returned(connection, cohort)
    queries = [("i", _INCLUDED), _CELLS_BY_MODE[cohort.mode]]
    if cohort.velocity:
        _make_first_return(connection, cohort)
        queries.append(("v", _VELOCITY))
    item = "" if cohort.dimension is None else ", item"
    return fetched(connection, [(kind, sql.format(item=item)) for kind, sql in queries])


def _leaf_columns(cohort: Cohort) -> list[tuple[str, Threshold]]:
    """Every threshold with the column that holds what an event adds to it: i0, i1, ... and r0, r1, ..."""
    return [
        *((f"i{n}", leaf) for n, leaf in enumerate(leaves_of(cohort.inclusion))),
        *((f"r{n}", leaf) for n, leaf in enumerate(leaves_of(cohort.return_))),
    ]


def _make_inside(connection: duckdb.DuckDBPyConnection, cohort: Cohort, columns: Mapping[str, str]) -> None:
    """`inside`: every place with its bucket, its item and what it adds to each threshold; `bucket`: the sums."""
    literals = Literals()
    writer = ConditionWriter(columns, literals)
    shown = "NULL" if cohort.dimension is None else writer.shown(cohort.dimension)
    leaves = _leaf_columns(cohort)
    added = [f"CASE WHEN {writer.sql(leaf.match)} THEN {_unit(leaf)} ELSE 0 END AS {name}" for name, leaf in leaves]
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE inside AS
        SELECT container, place, event_time, {cohort.granularity} AS bucket, {shown} AS item, {", ".join(added)}
        FROM (SELECT * FROM touchpoint JOIN member USING (place)) ASOF JOIN calendar ON event_time >= starts_ms
        """,
        literals.values,
    )
    sums = ", ".join(f"sum({name}) AS {name}" for name, _ in leaves)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE bucket AS SELECT container, bucket, {sums} FROM inside"
        " GROUP BY container, bucket"
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


def _make_running(connection: duckdb.DuckDBPyConnection, cohort: Cohort) -> None:
    """`running`: every place with the sums so far in its bucket, and whether either thresholds hold over them."""
    literals = Literals()
    sums = ", ".join(f"sum({name}) OVER so_far AS {name}" for name, _ in _leaf_columns(cohort))
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE running AS
        WITH sums AS (
            SELECT container, bucket, place, event_time, item, {sums} FROM inside
            WINDOW so_far AS (PARTITION BY container, bucket ORDER BY place))
        SELECT *, {_holds(cohort.inclusion, "i", literals)} AS includes, {_holds(cohort.return_, "r", literals)} AS back
        FROM sums
        """,
        literals.values,
    )


def _last_turn(condition: str, source: str = "running") -> str:
    """Per container and bucket the last place at which the condition became true, where there is one."""
    return f"""
        SELECT container, bucket, max(place) AS place FROM (
            SELECT container, bucket, place, {condition} AS now,
                   lag({condition}, 1, FALSE) OVER (PARTITION BY container, bucket ORDER BY place) AS before
            FROM {source})
        WHERE now AND NOT before GROUP BY container, bucket
        """


def _make_entry(connection: duckdb.DuckDBPyConnection, cohort: Cohort) -> None:
    """`entry`: each inclusion with the partition and, where they are asked for, place, moment and item."""
    if cohort.velocity or cohort.dimension is not None:
        sql = f"""
            SELECT included.container, included.bucket, part, place, running.event_time, item
            FROM included JOIN ({_last_turn("includes")}) AS turn USING (container, bucket)
            JOIN running USING (container, bucket, place) JOIN container ON container.container = included.container
            """
    else:
        sql = "SELECT container, bucket, part FROM included JOIN container USING (container)"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE entry AS {sql}")


def _can_revert(cohort: Cohort) -> bool:
    return any(leaf.metric != "count" or leaf.op not in (">=", ">") for leaf in leaves_of(cohort.inclusion))


def _make_returned(connection: duckdb.DuckDBPyConnection, cohort: Cohort) -> None:
    """`returned`: containers, the bucket of their inclusion, and k periods later (k < 0: before) a return."""
    literals = Literals()
    at_once = "TRUE" if _can_revert(cohort) else "k <> 0"
    first = -cohort.period_count if cohort.latency else 0
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE returned AS
        SELECT container, included.bucket, bucket.bucket - included.bucket AS k
        FROM included JOIN bucket USING (container)
        WHERE k BETWEEN {first} AND {cohort.period_count} AND {at_once} AND {_holds(cohort.return_, "r", literals)}
        """,
        literals.values,
    )
    if not _can_revert(cohort):
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


def _make_first_return(connection: duckdb.DuckDBPyConnection, cohort: Cohort) -> None:
    """`first_return`: each inclusion's first return: how many periods later, and the place that made it true."""
    literals = Literals()
    at_once = _last_turn("includes AND back")
    if not _can_revert(cohort):
        at_once = _last_turn(_holds(cohort.return_, "r", literals, lambda name: f"({name} - {name}_then)"), "behind")
    then = ", ".join(f"entered.{name} AS {name}_then" for name, _ in _leaf_columns(cohort) if name.startswith("r"))
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE first_return AS
        WITH first AS (SELECT container, bucket, min(k) AS k FROM returned WHERE k >= 0 GROUP BY container, bucket),
        behind AS (
            SELECT running.*, {then}
            FROM running JOIN entry ON running.container = entry.container AND running.bucket = entry.bucket
                 AND running.place >= entry.place
            JOIN running AS entered ON entered.container = entry.container AND entered.place = entry.place),
        at_once AS ({at_once}),
        later AS ({_last_turn("back")})
        SELECT first.container, first.bucket, k, coalesce(at_once.place, later.place) AS place
        FROM first
        LEFT JOIN at_once ON k = 0 AND at_once.container = first.container AND at_once.bucket = first.bucket
        LEFT JOIN later ON k > 0 AND later.container = first.container AND later.bucket = first.bucket + k
        """,
        literals.values,
    )


def _sum_behind(column: str) -> str:
    return f"coalesce(sum({column}) FILTER (inside.place > became.place), 0)"


_INCLUDED = "SELECT part, bucket{item}, count(*) FROM entry GROUP BY ALL"

_RETURNED = "SELECT part, bucket, k{item}, count(*) FROM returned JOIN entry USING (container, bucket) GROUP BY ALL"

# The n-th return is that of the n-th period as long as none was left out.
_UNBROKEN = """
    SELECT part, bucket, k{item}, count(*) FROM (
        SELECT *, row_number() OVER (PARTITION BY container, bucket ORDER BY k) AS n FROM returned WHERE k >= 1)
    JOIN entry USING (container, bucket) WHERE n = k GROUP BY ALL
    """

_NEAREST = """
    SELECT part, bucket, k{item}, count(*) FROM (
        SELECT container, bucket, min(k) AS k FROM returned WHERE k >= 0 GROUP BY container, bucket
        UNION ALL
        SELECT container, bucket, max(k) FROM returned WHERE k < 0 GROUP BY container, bucket)
    JOIN entry USING (container, bucket) GROUP BY ALL
    """

_CELLS_BY_MODE = {
    "retention": ("r", _RETURNED),
    "churn": ("r", _RETURNED),
    "rolling": ("s", _UNBROKEN),
    "cumulative": ("f", _NEAREST),
}

# Seconds up to 63 as they are; then by their six leading binary digits: 32 buckets for each further digit.
_VELOCITY = """
    WITH timed AS (
        SELECT entry.part, entry.bucket, k, item, (touchpoint.event_time - entry.event_time) // 1000 AS seconds
        FROM first_return JOIN entry ON entry.container = first_return.container AND entry.bucket = first_return.bucket
        JOIN touchpoint ON touchpoint.place = first_return.place),
    digits AS (SELECT *, greatest(length(bin(seconds)) - 6, 0) AS shift FROM timed)
    SELECT part, bucket, k, shift * 32 + (seconds >> shift) AS took{item}, count(*) FROM digits GROUP BY ALL
    """
