"""Cells as the batch computation gives them: per partition, each cell as a tuple, lists inside as tuples."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import duckdb

Cell = tuple[Any, ...]
Cells = dict[Cell, int]
CellsByPart = dict[int, Cells]
_ROWS_PER_FETCH = 10_000


def fetched(
    connection: duckdb.DuckDBPyConnection, queries: Iterable[tuple[str, str]], values: Mapping[str, Any] | None = None
) -> CellsByPart:
    """The cells that queries give by kind: each row is a partition, what follows the kind in the cell, and the count.
    Counts of zero are no cells."""
    cells: CellsByPart = {}
    for kind, sql in queries:
        found = connection.execute(sql, values)
        while rows := found.fetchmany(_ROWS_PER_FETCH):
            for part, *place, count in rows:
                if count:
                    cells.setdefault(part, {})[(kind, *map(frozen, place))] = int(count)
    return cells


def frozen(value: Any) -> Any:
    """Lists as tuples, at every depth."""
    return tuple(map(frozen, value)) if isinstance(value, list | tuple) else value


def summed(cells_by_part: Mapping[int, Mapping[Cell, int]]) -> Cells:
    """The cells over all partitions, without those that come to zero."""
    total: Counter[Cell] = Counter()
    for cells in cells_by_part.values():
        total.update(cells)
    return {cell: count for cell, count in total.items() if count}
