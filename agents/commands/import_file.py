"""`milepost import`: a file of another system, by a mapping, to events."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from agents.connection import connect, with_settings
from agents.importing import IDS_LOOKED_AT, ImportReport, Progress, import_file
from agents.settings import Settings
from agents.terminal.marks import TEXT_MAX, cut
from streams.shown import shown

_SAMPLE_CHARACTERS_MAX = 2_000
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("file", type=_FILE)
@click.option("--mapping", "-m", "mapping_path", type=_FILE, required=True, help="How its rows become events, as YAML.")
@click.option("--dry-run", is_flag=True, help="Read and check everything, send nothing; needs no Kafka.")
@click.option("--limit", type=click.IntRange(min=1), help="Read at most this many rows.")
@click.option("--rejects", "rejects_path", type=_FILE, help="Where rejected rows go, as NDJSON with their reason.")
@click.option("--restart", is_flag=True, help="Forget how far an earlier import of this file came.")
@with_settings
def command(
    settings: Settings,
    file: Path,
    mapping_path: Path,
    dry_run: bool,
    limit: int | None,
    rejects_path: Path | None,
    restart: bool,
) -> None:
    """Bring the rows of FILE (CSV, NDJSON or XES, plain or .gz, or Parquet) to Kafka as events.

    An import that is cut off goes on where it was when it is started again. Exits with 1 when rows were read and none
    of them gave an event.
    """

    def run(bootstrap: str | None) -> ImportReport:
        with import_bar(file.name) as draw:
            return import_file(
                file,
                mapping_path,
                bootstrap,
                settings,
                progress=draw,
                rejects_path=rejects_path,
                restart=restart,
                limit=limit,
            )

    try:
        if dry_run:
            report = run(None)
        else:
            with connect(settings) as bootstrap:
                report = run(bootstrap)
    except KeyboardInterrupt:
        click.echo("Interrupted. The same command goes on after the last row that Kafka acknowledged.", err=True)
        sys.exit(130)
    show_import(report, dry_run=dry_run)
    if report.tally.rows and not report.tally.events:
        click.echo("milepost: not one event came of this file; see the reasons above.", err=True)
        sys.exit(1)


@contextmanager
def import_bar(name: str) -> Iterator[Callable[[Progress], None]]:
    """A progress bar by bytes, with rows per second, on standard error."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[rows]:,} rows, {task.fields[rate]:,.0f}/s"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, rows=0, rate=0.0)
        first: list[int] = []

        def draw(progress: Progress) -> None:
            first[:] = first or [progress.rows]  # an import that goes on did not read those now
            elapsed = bar.tasks[0].elapsed or 1.0
            rate = (progress.rows - first[0]) / elapsed
            bar.update(task, completed=progress.bytes_done, total=progress.bytes_total, rows=progress.rows, rate=rate)

        yield draw


def show_import(report: ImportReport, *, dry_run: bool) -> None:
    """The report as a user reads it."""
    tally = report.tally
    if report.rows_before:
        done = "nothing was left to do" if report.rows_before == tally.rows else "this one went on from there"
        click.echo(f"{report.rows_before:,} rows were imported before and {done}; --restart sends them again.")
    Console(width=None if sys.stdout.isatty() else 100).print(_table(report))
    if dry_run:
        click.echo("Nothing was sent. The first events would be:")
        for sample in report.samples:
            click.echo(f"  {shown(sample.decode(), _SAMPLE_CHARACTERS_MAX)}")
    if tally.rows_rejected:
        where = f"{report.rejects_path} has" if report.rejects_path else "--rejects FILE gives"
        click.echo(f"{where} the rejected rows, and why.")
    if tally.repeated_ids:
        click.echo(
            f"{tally.repeated_ids:,} of the first {IDS_LOOKED_AT:,} events have the id of another one and will count as"
            " its corrections. If they are events of their own, make event_id unique, for example with {row: number}."
        )
    if tally.events_without_account:
        click.echo("Events without an account become dead letters with the reason no-account.")
    read = tally.rows - report.rows_before
    if read or not report.rows_before:
        click.echo(f"{read:,} rows in {report.duration_s:.1f} s, {read / max(report.duration_s, 1e-3):,.0f} a second.")


def _table(report: ImportReport) -> Table:
    tally = report.tally
    table = Table("what", "count", title="Import" if report.finished else "Import, as far as --limit")
    table.columns[0].overflow = "fold"
    table.columns[1].justify = "right"
    table.add_row("rows", f"{tally.rows:,}")
    table.add_row("  without an account", f"{tally.rows_without_account:,}")
    table.add_row("  that are no event of the mapping", f"{tally.rows_without_event:,}")
    table.add_row("  rejected", f"{tally.rows_rejected:,}")
    for reason, count in sorted(tally.rejects_by_reason.items(), key=lambda pair: -pair[1]):
        table.add_row(Text(f"    {reason}"), f"{count:,}")
    table.add_section()
    table.add_row("events", f"{tally.events:,}")
    for kind, count in sorted(tally.events_by_type.items(), key=lambda pair: -pair[1]):
        # As Text, so that brackets in a name are not taken for markup.
        table.add_row(Text(f"  {cut(kind, TEXT_MAX)}"), f"{count:,}")
    table.add_row("  without an account", f"{tally.events_without_account:,}")
    return table
