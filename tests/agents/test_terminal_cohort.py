"""What a terminal and a CSV file show of cohorts with options, and of two rows compared."""

import csv
import io
from typing import Any

import msgspec
import pytest
from rich.console import Console

from agents.terminal.comparison_view import ComparisonView
from agents.terminal.csv_rows import csv_rows
from agents.terminal.marks import duration
from state.durations import bucket_of_duration
from state.render.comparison import Comparison, comparison_of
from streams.partials import Cell
from streams.snapshot import Snapshot
from tests.agents.snapshot_worlds import CLOCK_MS, MARCH, match, snapshots
from tests.agents.test_terminal import line_of, shown
from tests.state.worlds import definition_set

HOUR = bucket_of_duration(3_600_000)


def cohort(**options: Any) -> dict[str, Any]:
    """A monthly cohort of two periods."""
    return {
        "name": "it", "title": "Who returns", "kind": "cohort", "container": "person", "granularity": "month",
        "inclusion": {"match": match("a")}, "return": {"match": match("b")}, "periods": 2, **options,
    }  # fmt: skip


def snapshot(cells: dict[Cell, int], **options: Any) -> Snapshot:
    """Its snapshot on 20 March."""
    return snapshots(definition_set([cohort(**options)]), {("it", cell): n for cell, n in cells.items()})["it"]


ITEMS: dict[Cell, int] = {
    ("i", MARCH - 2, "webinar"): 100, ("r", MARCH - 2, 0, "webinar"): 50, ("r", MARCH - 2, 1, "webinar"): 20,
    ("i", MARCH - 1, "webinar"): 20, ("r", MARCH - 1, 0, "webinar"): 10, ("i", MARCH - 1, None): 40,
    ("i", MARCH - 1, "fair"): 3, ("i", MARCH, "blog"): 2, ("v", MARCH - 2, 0, HOUR, "webinar"): 50,
}  # fmt: skip


def test_items_are_rows() -> None:
    """By size; what has no value, and the rest, are named; what is not over for anybody is a dot."""
    text = shown(snapshot(ITEMS, dimension="channel", top=2))
    assert "cohort · people · retention in percent by month, by channel at the inclusion" in text
    assert line_of(text, "webinar").split() == ["webinar", "120", "50.0", "█", "20.0", "▄", "·"]
    assert line_of(text, "(none)").split() == ["(none)", "40", "0.0", "▁", "·", "·"]
    assert line_of(text, "more (2 items)").split() == ["more", "(2", "items)", "5", "0.0", "▁", "·", "·"]
    assert "A cell is of those only whose period is over" in text
    fewer = shown(snapshot(ITEMS, dimension="channel"), rows_max=1)
    assert "webinar" in fewer
    assert "Smaller rows that are not shown: 3." in fewer


def test_velocity_stands_below() -> None:
    """How many returned, and in what time so many percent of them did."""
    text = shown(snapshot(ITEMS, dimension="channel", velocity=True))
    assert "From the inclusion to the first return" in text
    lines = [line.split() for line in text.splitlines() if line.startswith(("webinar", "(none)"))]
    assert lines[2:] == [["webinar", "120", "50", *(["1.0", "h"] * 4)], ["(none)", "40", "0", "–", "–", "–", "–"]]
    by_month = shown(snapshot({("i", MARCH): 2, ("v", MARCH, 0, 30): 1}, velocity=True))
    assert line_of(by_month[by_month.index("From the") :], "2026-03").split() == [
        "2026-03",
        "2",
        "1",
        *(["30", "s"] * 4),
    ]
    assert "Rows with a running period have only their quick returns so far." in by_month


def test_columns_before_the_inclusion_have_their_sign() -> None:
    """Where not all fit, those nearest to the inclusion do."""
    cells: dict[Cell, int] = {("i", MARCH - 4): 4, ("r", MARCH - 4, -1): 1, ("r", MARCH - 4, 1): 2}
    text = shown(snapshot(cells, latency=True))
    assert line_of(text, "included").split() == ["month", "included", "-2", "-1", "+0", "+1", "+2"]
    assert line_of(text, "2025-11").split()[2:] == ["0.0", "▁", "25.0", "▅", "0.0", "▁", "50.0", "█", "0.0", "▁"]
    narrow = shown(snapshot(cells, latency=True), width=50)
    assert line_of(narrow, "included").split() == ["month", "included", "-1", "+0", "+1"]
    assert "Periods that do not fit: 2;" in narrow


def test_rolling_says_what_its_percentages_are_of() -> None:
    """Of the column before."""
    text = shown(snapshot({("i", MARCH - 4): 4, ("s", MARCH - 4, 1): 2, ("s", MARCH - 4, 2): 1}, mode="rolling"))
    assert "rolling in percent of the column before by month" in text
    assert line_of(text, "2025-11").split()[2:] == ["100.0", "█", "50.0", "▅", "50.0", "▅"]


@pytest.mark.parametrize("width", [40, 80, 160])
def test_no_line_of_a_cohort_is_wider_than_the_terminal(width: int) -> None:
    """Also with long items and velocity."""
    cells = {("i", MARCH - 2, "an item of a rather long name"): 10**9, ("i", MARCH - 2, "\x1b[2J"): 1}
    text = shown(snapshot(cells, dimension="content", velocity=True), width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "\x1b" not in text


def table(made: Snapshot) -> list[dict[str, str]]:
    """The CSV, read back."""
    text = io.StringIO()
    csv.writer(text).writerows(csv_rows(made))
    return list(csv.DictReader(io.StringIO(text.getvalue())))


def test_csv_says_what_each_share_is_of() -> None:
    """With a dimension those whose period is over, with rolling the column before."""
    found = table(snapshot(ITEMS, dimension="channel", velocity=True))
    first = [tuple(row.values()) for row in found if row["item"] == "webinar"]
    assert first == [
        ("webinar", "120", "0", "60", "50.0", "no", "120", "", "", "", ""),
        ("webinar", "120", "1", "20", "20.0", "no", "100", "", "", "", ""),
        ("webinar", "120", "", "50", "", "", "", "3647", "3647", "3647", "3647"),
    ]
    assert [row["count"] for row in found if not row["item"]] == ["0", "0"]
    rolling = table(snapshot({("i", MARCH - 4): 4, ("s", MARCH - 4, 1): 2, ("s", MARCH - 4, 2): 1}, mode="rolling"))
    assert [(row["k"], row["count"], row["of"]) for row in rolling] == [
        ("0", "4", "4"),
        ("1", "2", "4"),
        ("2", "1", "2"),
    ]


def test_durations_have_their_natural_unit() -> None:
    """Seconds, minutes, hours up to two days, days."""
    assert [duration(each) for each in (0, 59, 60, 90, 3_600, 172_799, 172_800)] == [
        "0 s", "59 s", "1.0 min", "1.5 min", "1.0 h", "48.0 h", "2.0 d",
    ]  # fmt: skip


def compared(cells: dict[Cell, int], first: str, second: str, width: int = 140) -> str:
    """Two rows of a cohort compared, as text."""
    (definition,) = definition_set([cohort(velocity=True)]).definitions
    return drawn(comparison_of(definition, cells, CLOCK_MS, (first, second)), width)


def drawn(comparison: Comparison, width: int = 140) -> str:
    """The view as text."""
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(ComparisonView(comparison))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert isinstance(text, str)
    return text


TWO: dict[Cell, int] = {
    ("i", MARCH - 6): 70, ("v", MARCH - 6, 0, 30): 46, ("v", MARCH - 6, 0, 32): 10,
    ("i", MARCH - 5): 80, ("v", MARCH - 5, 1, HOUR): 47, ("v", MARCH - 5, 1, 31): 1,
}  # fmt: skip


def test_comparison_says_both_sizes_and_intervals() -> None:
    """And that it is a correlation; the word for more than that is not there."""
    text = compared(TWO, "2025-09", "2025-10")
    assert line_of(text, "80.0%").split()[:4] == ["2025-09", "70", "56", "80.0%"]
    text = " ".join(text.split())
    assert "first returns within months 0 to 2, of those for whom these are over" in text
    assert "20.00 percentage points more returned than of 2025-10 (95% interval 5.24 to 33.39; hybrid score" in text
    assert "that of 2025-09 is the sooner one in 99.63% of pairs, ties halved (95% interval" in text
    assert "The month of inclusion correlates with whether they return and how soon; why is not" in text
    assert "cause" not in text
    assert "20.00 percentage points fewer" in " ".join(compared(TWO, "2025-10", "2025-09").split())


def test_comparison_says_when_it_may_be_chance() -> None:
    """Intervals that hold what equal rows would give; durations that can not be compared, or have no interval."""
    few = {("i", MARCH - 6): 4, ("v", MARCH - 6, 0, 30): 2, ("i", MARCH - 5): 4, ("v", MARCH - 5, 0, 40): 1}
    text = " ".join(compared(few, "2025-09", "2025-10").split())
    assert "It may all be chance" in text
    assert "give no interval where durations do not overlap" in text
    none = {("i", MARCH - 6): 4, ("i", MARCH - 5): 4}
    assert "How soon they return can not be compared" in compared(none, "2025-09", "2025-10")


def test_a_terminal_obeys_no_name_of_a_comparison() -> None:
    """Names of items come from events."""
    (definition,) = definition_set([cohort(velocity=True)]).definitions
    found = comparison_of(definition, TWO, CLOCK_MS, ("2025-09", "2025-10"))
    hostile = msgspec.structs.replace(found, first=msgspec.structs.replace(found.first, label="\x1b[2J[bold]"))
    text = drawn(hostile)
    assert "\x1b" not in text
    assert "[bold]" in text
    closing = msgspec.structs.replace(found, first=msgspec.structs.replace(found.first, label="a [/b] :smile:"))
    assert line_of(drawn(closing), "80.0%").startswith("a [/b] :smile: ")
