"""What a terminal and a CSV file show of a canvas that asks for more than counts."""

from typing import Any

import pytest

from agents.terminal.csv_rows import csv_rows
from streams.partials import Cell
from streams.snapshot import Snapshot
from tests.agents.snapshot_worlds import match, snapshots
from tests.agents.test_terminal import line_of, shown
from tests.state.worlds import definition_set

DAY = 20_000


def snapshot(cells: dict[Cell, int], **options: Any) -> Snapshot:
    """A canvas of two nodes and an arrow between them, with these cells of one day."""
    canvas = {
        "name": "way", "kind": "canvas", "container": "account",
        "nodes": [{"id": "form", "title": "Lead form", "match": match("A")}, {"id": "deal", "match": match("B")}],
        "arrows": [{"from": "form", "to": "deal"}], **options,
    }  # fmt: skip
    all_cells = {("t", DAY): 10, ("n", 0, DAY): 8, ("n", 1, DAY): 2, ("a", 0, DAY): 2, ("f", 0, DAY): 2, **cells}
    return snapshots(definition_set([canvas]), {("way", cell): count for cell, count in all_cells.items()})["way"]


def csv_of(made: Snapshot, what: str, *columns: str) -> list[list[Any]]:
    """These columns of the rows of a kind."""
    header, *rows = csv_rows(made)
    found = [dict(zip(header, row, strict=True)) for row in rows]
    return [[row[column] for column in columns] for row in found if row["what"] == what]


AMOUNTS = snapshot(
    {("e", 0, DAY): 1_200, ("v", 0, DAY): 2_500_000, ("ae", 0, DAY): 34, ("av", 0, DAY): 1_500_000_000},
    metric="events", secondary="value", arrow_values=True,
)  # fmt: skip


def test_second_metric_and_arrow_values_are_shown() -> None:
    """The second metric is a column by its name; arrows with their events and value have a table."""
    text = shown(AMOUNTS)
    assert line_of(text, "of total").split()[:2] == ["count", "value"]
    assert line_of(text, "█").split()[3:5] == ["1,200", "2.5"]
    assert line_of(text, "along arrows").split() == ["along", "arrows", "events", "value"]
    assert line_of(text, "Lead form → deal").split() == ["Lead", "form", "→", "deal", "34", "1,500"]


def test_second_metric_and_arrow_values_are_rows() -> None:
    """In a file every figure as it is."""
    assert csv_of(AMOUNTS, "node", "count", "second") == [[1_200, "2.5"], [0, "0"]]
    assert csv_of(AMOUNTS, "along", "node", "to", "count", "second") == [["form", "deal", 34, "1500"]]


@pytest.mark.parametrize("width", [40, 80, 160])
@pytest.mark.parametrize("made", [AMOUNTS], ids=["amounts"])
def test_no_line_is_wider_than_the_terminal(made: Snapshot, width: int) -> None:
    """A wrapped table can not be read."""
    assert max(len(line) for line in shown(made, width).splitlines()) <= width
