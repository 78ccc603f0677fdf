"""What a terminal and a CSV file show of a canvas that asks for more than counts."""

from typing import Any

import pytest

from agents.terminal.csv_rows import csv_rows
from streams.partials import Cell
from streams.snapshot import Snapshot
from tests.agents.snapshot_worlds import CLOCK_MS, match, snapshots
from tests.agents.test_terminal import HOSTILE, line_of, shown
from tests.state.worlds import definition_set

DAY = 20_000


def snapshot(cells: dict[Cell, int], form: dict[str, Any] | None = None, **options: Any) -> Snapshot:
    """A canvas of two nodes and an arrow between them, with these cells of one day."""
    canvas = {
        "name": "way", "kind": "canvas", "container": "account",
        "nodes": [
            {"id": "form", "title": "Lead form", "match": match("A"), **(form or {})},
            {"id": "deal", "match": match("B")},
        ],
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


ITEMS = snapshot(
    {("b", 0, "ads", DAY): 5, ("b", 0, None, DAY): 2, ("b", 0, "fair", DAY): 1},
    form={"breakdown": {"dimension": "channel", "top": 2}},
)  # fmt: skip


def test_breakdown_is_shown() -> None:
    """The items by name, what has none, and the rest with how many it is."""
    lines = [line.split() for line in shown(ITEMS).splitlines()]
    place = lines.index(["Lead", "form", "by", "channel", "containers"])
    assert lines[place + 1 : place + 4] == [["ads", "5"], ["(none)", "2"], ["more", "(1", "item)", "1"]]


def test_breakdown_is_rows() -> None:
    """One per item, and one for the rest."""
    assert csv_of(ITEMS, "breakdown", "node", "item", "count") == [["form", "ads", 5], ["form", None, 2]]
    assert csv_of(ITEMS, "breakdown_more", "node", "item_count", "count") == [["form", 1, 1]]


TREND = snapshot(
    {("nd", 0, DAY, DAY): 8, ("nd", 0, DAY + 2, DAY): 1, ("nd", 1, DAY + 99, DAY): 2, ("ad", 0, DAY + 99, DAY): 2},
    trend=True,
)  # fmt: skip


def test_trend_is_a_line_per_node_and_arrow() -> None:
    """Bars from the first day to the last, whatever is above 0 visible; without any day there is nothing to draw."""
    text = shown(TREND)
    assert line_of(text, "2024-10-04 to").split() == ["2024-10-04", "to", "2025-01-11", "most", "on", "a", "day"]
    after = text[text.index("2024-10-04 to") :]
    assert line_of(after, "Lead form ").split() == ["Lead", "form", "█", "8"]
    assert line_of(after, "deal ").split() == ["deal", "█", "2"]
    assert line_of(after, "Lead form → deal").split()[-2:] == ["█", "2"]
    week = shown(snapshot({("nd", 0, DAY, DAY): 8, ("nd", 0, DAY + 2, DAY): 1, ("nd", 0, DAY + 3, DAY): 4}, trend=True))
    assert "█ ▁▄" in week
    assert "most on a day" not in shown(snapshot({}, trend=True))


def test_trend_is_rows() -> None:
    """One per day on which somebody came."""
    assert csv_of(TREND, "day", "node", "to", "day", "count") == [
        ["form", None, "2024-10-04", 8], ["form", None, "2024-10-06", 1], ["deal", None, "2025-01-11", 2],
        ["form", "deal", "2025-01-11", 2],
    ]  # fmt: skip


STEPS = snapshot(
    {("sn", 0, "Demo", DAY): 5, ("sn", 0, None, DAY): 2, ("sn", 0, "Fair", DAY): 1, ("sp", 0, "Ad", DAY): 3,
     ("sb", 0, "Call", DAY): 2},
    steps={"dimension": "type", "top": 2},
)  # fmt: skip


def test_steps_are_lines() -> None:
    """What comes next and before at nodes, and between at arrows; nothing where nobody does anything."""
    text = shown(STEPS)
    lines = [" ".join(line.split()) for line in text[text.index("around") :].splitlines()]
    assert lines[1:4] == [
        "Lead form before Ad 3",
        "Lead form next Demo 5 · (none) 2 · more (1 item) 1",
        "Lead form → deal between Call 2",
    ]  # fmt: skip
    assert not any(line.startswith("deal") for line in lines)


def test_steps_are_rows() -> None:
    """One per item, and one for the rest of each."""
    assert csv_of(STEPS, "next", "node", "item", "count") == [["form", "Demo", 5], ["form", None, 2]]
    assert csv_of(STEPS, "next_more", "node", "item_count", "count") == [["form", 1, 1], ["deal", 0, 0]]
    assert csv_of(STEPS, "previous", "node", "item", "count") == [["form", "Ad", 3]]
    assert csv_of(STEPS, "between", "node", "to", "item", "count") == [["form", "deal", "Call", 2]]


def test_final_fallout_is_shown_where_arrows_have_limits() -> None:
    """In a column of its own, and in the file; without limits there is none."""
    limits = [{"from": "form", "to": "deal", "within": "2h"}]
    limited = snapshot({("x", 0, CLOCK_MS // 3_600_000, DAY): 4, ("x", 0, CLOCK_MS, DAY): 2}, arrows=limits)
    text = shown(limited)
    assert line_of(text, "of total").endswith("time is over")
    assert line_of(text, "█").split()[-3:] == ["6", "75.0%", "4"]
    assert csv_of(limited, "node", "final_fallout") == [[4], [None]]
    assert "time is over" not in shown(TREND)


def test_a_terminal_obeys_nothing_of_an_item() -> None:
    """Items come from events: escape sequences and markup among them are shown."""
    hostile = snapshot({("b", 0, HOSTILE, DAY): 5}, form={"breakdown": {"dimension": "channel"}, "title": HOSTILE})
    text = shown(hostile, width=200)
    assert text.count("\\x1b[2J\\x9b1m[bold]") >= 3
    assert all(sign == "\n" or sign.isprintable() for sign in text)


@pytest.mark.parametrize("width", [40, 80, 160])
@pytest.mark.parametrize("made", [AMOUNTS, ITEMS, TREND, STEPS], ids=["amounts", "items", "trend", "steps"])
def test_no_line_is_wider_than_the_terminal(made: Snapshot, width: int) -> None:
    """A wrapped table can not be read."""
    assert max(len(line) for line in shown(made, width).splitlines()) <= width
