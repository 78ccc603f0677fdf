"""The tables of `make bench`, and where they are put."""

import msgspec
import pytest

from bench.document import put_between
from bench.measured import Check, Floor, Measured
from bench.tables import grid_of, grids, markdown_of

LINE = Measured(
    scenario="accounts", title="in order", events=1_000, rate=40_000.0, cpu_us=20.0,
    step_us={"compute": 15.0, "append": 3.0}, topic_bytes={"accounts-changelog": 80.0},
    floor=Floor(rate=160_000.0, cpu_us=5.0, rss_mib=90.0), check=Check(1_000, 50, 0),
)  # fmt: skip


def test_ratio_to_the_floor() -> None:
    """By the clock as the rates are, by the processor as its time is; None without a floor."""
    assert (LINE.times_floor, LINE.times_floor_cpu) == (4.0, 4.0)
    assert msgspec.structs.replace(LINE, floor=None).times_floor is None


def test_grid() -> None:
    """A column in which nobody says anything is left out; a figure that one line has is empty in the other."""
    other = Measured(
        scenario="late-5", title="late", rate=1.0, figures={"out of order, %": 2.345}, check=Check(9, 9, 3)
    )
    grid = grid_of("Accounts", [LINE, other])
    assert grid.header == [
        "", "events/s", "times the floor's time", "processor, µs an event", "times the floor's processor",
        "compute / append / store / publish, µs", "changelog, B an event", "out of order, %",
        "against the batch computation",
    ]  # fmt: skip
    assert grid.rows == [
        ["in order", "40,000", "4.0", "20.0", "4.0", "15.0 / 3.0", "80", "", "equal"],
        ["late", "1", "", "", "", "", "", "2.35", "3 DIFFERENT"],
    ]


def test_markdown() -> None:
    """A heading and a table."""
    text = markdown_of(grid_of("Accounts", [Measured(scenario="accounts", title="in order", rate=1234.5)]))
    assert text == "### Accounts\n\n|  | events/s |\n| --- | --- |\n| in order | 1,234 |"


def test_sections_in_order() -> None:
    """A scenario's several lines are in its section, also where another name is the beginning of its own."""
    names = ("latency-10-journeys", "accounts-1m", "accounts", "company-accounts", "questions-why")
    found = grids([Measured(scenario=name, title=name, rate=1.0) for name in names])
    assert [(grid.title, [row[0] for row in grid.rows]) for grid in found] == [
        ("Ingest and all roles", ["company-accounts"]),
        ("Accounts", ["accounts"]),
        ("How cost grows", ["accounts-1m"]),
        ("Snapshots, questions, restore, back-fill", ["questions-why"]),
        ("Latency", ["latency-10-journeys"]),
    ]


def test_put_between() -> None:
    """Only what lies between the marks is replaced; marks that are not there are an error."""
    document = "a\n<!-- bench: x -->\nold\n<!-- end of bench: x -->\nb\n"
    assert put_between(document, "bench: x", "new") == ("a\n<!-- bench: x -->\n\nnew\n\n<!-- end of bench: x -->\nb\n")
    with pytest.raises(ValueError, match="bench: y"):
        put_between(document, "bench: y", "new")
