"""The lines of a report as tables: for a terminal, and in Markdown."""

from collections.abc import Callable, Sequence

import msgspec
from rich.table import Table

from bench.measured import Check, Measured
from bench.scenarios import SCENARIOS

Cell = Callable[[Measured], str]


class Grid(msgspec.Struct, frozen=True):
    """A table as text: rows as wide as the header."""

    title: str
    header: list[str]
    rows: list[list[str]]


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _verdict(check: Check | None) -> str:
    if check is None:
        return ""
    return "equal" if not check.differences else f"{check.differences:,} DIFFERENT"


_COLUMNS: tuple[tuple[str, Cell], ...] = (
    ("events/s", lambda line: _number(line.rate, ",.0f")),
    ("times the floor's time", lambda line: _number(line.times_floor, ".1f")),
    ("processor, µs an event", lambda line: _number(line.cpu_us, ".1f")),
    ("times the floor's processor", lambda line: _number(line.times_floor_cpu, ".1f")),
    ("broker, µs", lambda line: _number(line.broker_us, ".1f")),
    ("compute / append / store / publish, µs", lambda line: " / ".join(f"{us:.1f}" for us in line.step_us.values())),
    ("changelog, B an event", lambda line: _number(line.topic_bytes.get("accounts-changelog"), ",.0f")),
    ("resident, MiB", lambda line: _number(line.rss_mib, ",.0f")),
)


def grids(lines: Sequence[Measured]) -> list[Grid]:
    """A table per section that has lines, in the order of the table of scenarios."""
    sections = dict.fromkeys(scenario.section for scenario in SCENARIOS)
    found = {section: [line for line in lines if _section(line) == section] for section in sections}
    return [grid_of(section, its) for section, its in found.items() if its]


def _section(line: Measured) -> str:
    """Of the scenario whose name the line's begins with; of several the longest."""
    names = [each for each in SCENARIOS if f"{line.scenario}-".startswith(f"{each.name}-")]
    return max(names, key=lambda each: len(each.name)).section


def grid_of(title: str, lines: Sequence[Measured]) -> Grid:
    """Columns in which no line says anything are left out."""
    figures = dict.fromkeys(name for line in lines for name in line.figures)
    columns = [
        ("", [line.title for line in lines]),
        *((name, [cell(line) for line in lines]) for name, cell in _COLUMNS),
        *((name, [_figure(line.figures.get(name)) for line in lines]) for name in figures),
        ("against the batch computation", [_verdict(line.check) for line in lines]),
    ]
    kept = [(name, cells) for name, cells in columns if any(cells)]
    return Grid(
        title, [name for name, _ in kept], [list(row) for row in zip(*(cells for _, cells in kept), strict=True)]
    )


def _figure(value: float | None) -> str:
    """Three digits at least, and no more than say something."""
    return _number(value, ",.0f" if value is not None and value >= 100 else ".3g")


def rich_of(grid: Grid) -> Table:
    """For a terminal."""
    table = Table(title=grid.title)
    for number, name in enumerate(grid.header):
        table.add_column(name, justify="right" if number else "left")
    for row in grid.rows:
        table.add_row(*row)
    return table


def markdown_of(grid: Grid) -> str:
    """For a document; the section is a heading."""
    lines = [f"| {' | '.join(row)} |" for row in (grid.header, ["---"] * len(grid.header), *grid.rows)]
    return f"### {grid.title}\n\n" + "\n".join(lines)
