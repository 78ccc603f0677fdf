"""Runs touchpoints and analyses through the batch computation and through the naive oracle, for tests of both."""

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from check.batch import batch_cells
from check.cells import Cells, summed
from check.conditions import attribute_columns
from check.touchpoints import load, settle
from state.definition_set import Definition, DefinitionSet
from state.definitions import Canvas, Cohort
from streams.touchpoint import Touchpoint, encode_touchpoint
from tests.oracles import brute, cohort
from tests.oracles.canvas import canvas_cells
from tests.oracles.segments import counted_containers
from tests.state.worlds import definition_set

EPOCH = date(1970, 1, 1)


def cells_of_sql(touchpoints: Iterable[Touchpoint], definitions: DefinitionSet) -> list[Cells]:
    """The cells of each definition, over all partitions."""
    columns = attribute_columns([definition.analysis for definition in definitions.definitions])
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        load(connection, arrivals(touchpoints), columns)
        settle(connection, None, columns)
        return [summed(batch_cells(connection, definition, columns)) for definition in definitions.definitions]


def sql_cells(touchpoints: Iterable[Touchpoint], analysis: dict[str, Any], zone: str = "UTC") -> Cells:
    """The cells of one analysis."""
    return cells_of_sql(touchpoints, definition_set([{"name": "it", **analysis}], zone))[0]


def arrivals(touchpoints: Iterable[Touchpoint]) -> Iterable[tuple[int, int, bytes]]:
    """The touchpoints as records of two partitions, by account."""
    return [(ord(t.account[0]) % 2, spot, encode_touchpoint(t)) for spot, t in enumerate(touchpoints)]


def cells_of_oracle(touchpoints: Iterable[Touchpoint], definition: Definition) -> Cells:
    """The cells of one definition by brute force."""
    analysis, day_of = definition.analysis, local_day_of(definition.zone)
    containers = counted_containers(touchpoints, analysis)
    if isinstance(analysis, Canvas):
        return canvas_cells(analysis, containers, day_of)
    if isinstance(analysis, Cohort):
        return cohort.cohort_cells(analysis, containers, day_of, definition.week_start)
    return brute.flow_cells(analysis, containers, day_of)


def local_day_of(zone: str) -> Callable[[int], int]:
    """The number of the date that a clock on the wall shows."""

    def day_of(moment_ms: int) -> int:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=moment_ms)
        return (moment.astimezone(ZoneInfo(zone)).date() - EPOCH).days

    return day_of
