"""`milepost snapshot [NAME]`: the results, as a picture in the terminal, as JSON or as CSV; once or live."""

import contextlib
import csv
import sys
from collections.abc import Generator, Iterator
from typing import Any

import click
import msgspec
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from agents.comparing import compare
from agents.connection import connect, with_settings
from agents.live_snapshots import part_snapshots, published_snapshots
from agents.reading import read_definitions
from agents.settings import Settings
from agents.terminal.comparison_view import ComparisonView
from agents.terminal.csv_rows import csv_rows
from agents.terminal.marks import TEXT_MAX, json_text
from agents.terminal.view import view_of
from state.definition_set import DefinitionSet
from state.render.flow import Place
from state.render.ranges import range_of
from state.render.through import place_of
from streams.errors import UnavailableError, UsageError
from streams.shown import shown, shown_json
from streams.snapshot import Snapshot

PIPE_WIDTH = 140
_LINES_AROUND_ROWS = 10
Snapshots = dict[str, Snapshot]


@click.command()
@click.argument("name", required=False)
@click.option(
    "--range",
    "range_text",
    metavar="RANGE",
    help="Only these days, in the definition's zone: FROM..TO, both included; FROM.. up to the clock's day; 'last N"
    " days' (weeks, months, quarters, years) up to the clock's, included.",
)
@click.option(
    "--through",
    "through_texts",
    metavar="STEP=ITEM",
    multiple=True,
    help="Of the flow NAME only the paths that have ITEM in that column (0: the anchor, 1: the next, -1: the one before"
    " it), and their share of all paths; given again, the paths through all of them.",
)
@click.option("--watch", is_flag=True, help="Redraw as results change, until Ctrl-C.")
@click.option("--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
@click.option("--compare", "labels", nargs=2, metavar="A B", help="Two rows of the cohort NAME, or two items.")
@click.option("--within", type=int, metavar="K", help="With --compare: returns within the periods 0 to K.")
@with_settings
def command(
    settings: Settings,
    name: str | None,
    range_text: str | None,
    through_texts: tuple[str, ...],
    watch: bool,
    form: str,
    labels: tuple[str, str] | None,
    within: int | None,
) -> None:
    """Show the result of the analysis NAME, or of all.

    The days of a range are: for a canvas those on which its containers start, for a flow those of the anchor, for a
    cohort (whole periods only) those of the inclusion, and the last N are of its own granularity. The clock is Kafka's
    time of the newest record that the result contains, and no computer's own; with --watch the days move on with it.
    """
    if watch and form != "table":
        raise UsageError(f"--watch draws on the terminal; it does not go with --format {form}")
    if labels is not None:
        if name is None or watch or through_texts or form == "csv":
            raise UsageError(
                "--compare takes the NAME of a cohort, and does not go with --watch, --through or --format csv"
            )
        _compare(settings, name, labels, within, range_text, form)
        return
    if within is not None:
        raise UsageError("--within says how far --compare looks; it does not go without it")
    if through_texts and name is None:
        raise UsageError("--through goes with one flow; name it: `milepost snapshot NAME --through STEP=ITEM`")
    through = [place_of(text) for text in through_texts]
    with (
        connect(settings, start=False) as bootstrap,
        contextlib.closing(_results(bootstrap, settings, name, range_text, through)) as results,
    ):
        if watch:
            _watch(results)
        else:
            _print(next(results), form, is_one=name is not None)


def _compare(
    settings: Settings, name: str, labels: tuple[str, str], within: int | None, range_text: str | None, form: str
) -> None:
    wanted_range = None if range_text is None else range_of(range_text)
    with connect(settings, start=False) as bootstrap:
        definitions = read_definitions(bootstrap, settings)
        _names(definitions, name)
        comparison = compare(bootstrap, settings, definitions, name, labels, within=within, wanted_range=wanted_range)
    if form == "json":
        click.echo(json_text(comparison))
    else:
        _console().print(ComparisonView(comparison))


def _console() -> Console:
    """Standard output. A pipe has no width; a file gets whole lines."""
    return Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)


def _results(
    bootstrap: str, settings: Settings, name: str | None, range_text: str | None, through: list[Place]
) -> Generator[Snapshots, None, None]:
    """What is asked for, by name, whenever something may have changed. Raises UsageError for an unknown name."""
    definitions = read_definitions(bootstrap, settings)
    names = _names(definitions, name)
    if range_text is None and not through:
        for newest in published_snapshots(bootstrap, settings):
            yield {each: newest[each] for each in names if each in newest}
    else:
        wanted_range = None if range_text is None else range_of(range_text)
        yield from part_snapshots(bootstrap, settings, definitions, names, wanted_range, through)


def _names(definitions: DefinitionSet, name: str | None) -> list[str]:
    known = [definition.analysis.name for definition in definitions.definitions]
    if not known:
        raise UnavailableError("no analysis is defined; `milepost definitions apply FILE` defines some")
    if name is not None and name not in known:
        raise UsageError(f"there is no analysis {name!r}; there are {', '.join(known)}")
    return known if name is None else [name]


def _print(snapshots: Snapshots, form: str, *, is_one: bool) -> None:
    """Writes the results to standard output. Raises UnavailableError when there are none yet."""
    if not snapshots:
        raise UnavailableError(
            "no snapshot is published yet; run a worker: `milepost worker`. "
            "Where one runs, `milepost definitions list` says how much of the past it has counted"
        )
    match form:
        case "json":
            _print_json(snapshots, is_one=is_one)
        case "csv":
            _print_csv(snapshots)
        case _:
            _console().print(_picture(snapshots, None))


def _print_json(snapshots: Snapshots, *, is_one: bool) -> None:
    """The analysis that was named as an object; without a name all of them as a list."""
    found: Any = list(snapshots.values())
    text = msgspec.json.encode(found[0] if is_one else found)
    click.echo(shown_json(msgspec.json.format(text, indent=2)))


def _print_csv(snapshots: Snapshots) -> None:
    if len(snapshots) > 1:
        raise UsageError(f"--format csv writes one table: name one of {', '.join(snapshots)}")
    (snapshot,) = snapshots.values()
    rows = csv_rows(snapshot)
    if sys.stdout.isatty():
        # A file gets every value as it is; a terminal would obey some.
        rows = ([shown(each, TEXT_MAX) if isinstance(each, str) else each for each in row] for row in rows)
    csv.writer(sys.stdout, lineterminator="\n").writerows(rows)


def _picture(snapshots: Snapshots, rows_max: int | None) -> RenderableType:
    views = [view_of(snapshot, rows_max) for snapshot in snapshots.values()]
    return Group(*(part for view in views for part in (view, Text())))


def _watch(results: Iterator[Snapshots]) -> None:
    console = Console()
    rows_max = max(3, console.height - _LINES_AROUND_ROWS)
    picture: RenderableType = Text("Waiting for the first snapshot; a worker publishes it.", "dim")
    # Ctrl-C is how one leaves; what was last seen stays on the terminal.
    with (
        contextlib.suppress(KeyboardInterrupt),
        Live(picture, console=console, auto_refresh=False, screen=True) as live,
    ):
        for snapshots in results:
            if snapshots:
                picture = _picture(snapshots, rows_max)
            live.update(picture, refresh=True)
    console.print(picture)
