"""`milepost analyze`: files in, results out, through a Kafka and workers of its own."""

import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from agents.checking import print_report, run_check
from agents.commands.import_file import import_bar, show_import
from agents.completion import Completion, applied_count
from agents.connection import with_settings
from agents.defining import load_definitions
from agents.importing import import_file
from agents.live_snapshots import published_snapshots
from agents.pipeline import Workers, own_kafka, workers_with
from agents.reading import read_definitions
from agents.results import write_results
from agents.settings import Settings
from streams.errors import MilepostError, UsageError
from streams.snapshot import Snapshot

# The import names every bad row; stopping half-way would only hide the rest of them.
_OWN_LIMITS = {"reject_ratio_max": 1.0, "reject_run_max": 1_000_000_000}


@click.command()
@click.option(
    "--file", "paths", type=click.Path(exists=True, dir_okay=False, path_type=Path), multiple=True, required=True
)
@click.option(
    "--mapping",
    "mappings",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    required=True,
    help="How rows become events; one for all files, or one per file in their order.",
)
@click.option("--definitions", "definitions_path", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the results.")
@click.option("--check/--no-check", "checks", default=True, help="Compare with a batch computation at the end.")
@with_settings
def command(
    paths: tuple[Path, ...],
    mappings: tuple[Path, ...],
    definitions_path: Path,
    out: Path,
    checks: bool,
    settings: Settings,
) -> None:
    """Analyzes files of your own, end to end through Kafka; results as JSON and CSV in the folder OUT.

    Ends with 1 when a live number differs from a batch computation over the same touchpoints.
    """
    if len(mappings) not in (1, len(paths)):
        raise UsageError(f"{len(mappings)} mappings for {len(paths)} files; give one, or one per file")
    pairs = list(zip(paths, mappings if len(mappings) > 1 else mappings * len(paths), strict=True))
    definitions = load_definitions(definitions_path)
    console = Console()
    with _own_settings(settings) as own, own_kafka(own, settings.folder / "jars") as bootstrap:
        ends: dict[tuple[str, int], int] = {}
        with workers_with(definitions, bootstrap, own) as workers:
            for number, (path, mapping) in enumerate(pairs, 1):
                name = path.name if [p.name for p in paths].count(path.name) == 1 else f"{number}-{path.name}"
                ends |= _import(path, mapping, bootstrap, own, out / f"{name}.rejects.ndjson")
            snapshots = _wait(ends, bootstrap, own, workers, console)
            for written in write_results(snapshots, out):
                console.print(f"wrote {written}", markup=False)
            difference_count = 0
            if checks:
                checked = run_check(bootstrap, own)
                print_report(checked, console)
                difference_count = checked.difference_count
    if difference_count:
        raise MilepostError(f"{difference_count} live numbers differ from the batch computation")


def _import(
    path: Path, mapping: Path, bootstrap: str, settings: Settings, rejects_path: Path
) -> dict[tuple[str, int], int]:
    """Imports one file and says what became of its rows; gives where the topics end behind it."""
    rejects_path.parent.mkdir(parents=True, exist_ok=True)
    with import_bar(path.name) as draw:
        report = import_file(path, mapping, bootstrap, settings, progress=draw, rejects_path=rejects_path)
    show_import(report, dry_run=False)
    return report.end_offsets


@contextmanager
def _own_settings(settings: Settings) -> Iterator[Settings]:
    """A prefix and a folder of this run's own, which is removed at the end."""
    run = f"analyze-{uuid.uuid4().hex[:8]}"
    folder = settings.folder / run
    own = {"folder": folder, "prefix": run, "worker_id": run, **_OWN_LIMITS}
    try:
        yield settings.model_copy(update=own)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(
    ends: dict[tuple[str, int], int], bootstrap: str, settings: Settings, workers: Workers, console: Console
) -> dict[str, Snapshot]:
    """The snapshots that contain all of the import."""
    definitions = read_definitions(bootstrap, settings)
    completion = Completion(bootstrap, settings, definitions)
    completion.expect(ends)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("touchpoints in the results", total=None)
        for snapshots in published_snapshots(bootstrap, settings):
            workers.require_running()
            progress.update(task, completed=applied_count(snapshots), total=completion.touchpoint_count)
            if completion.is_reached(snapshots):
                # Only those: the names become those of files.
                return {each.analysis.name: snapshots[each.analysis.name] for each in definitions.definitions}
            time.sleep(0.05)
    raise AssertionError("snapshots are followed until they are there")
