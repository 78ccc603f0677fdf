"""`milepost definitions`: publish, list and show the analyses in force."""

import sys
import time
from collections.abc import Callable, Sized
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agents.commands.moment import Moment
from agents.connection import connect, with_settings
from agents.defining import apply_definitions, load_definitions
from agents.live_snapshots import partial_sums
from agents.plausibility import implausible
from agents.reading import read_definitions
from agents.settings import Settings
from agents.terminal.marks import json_text, titled
from state.definition_set import DefinitionSet
from state.definitions import Analysis, Audience, Milestone
from streams.admin import create_topics
from streams.errors import UnavailableError, UsageError


@click.group()
def command() -> None:
    """What is analysed: publish a definition file, list and show what is in force."""


@command.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only say whether the file is right.")
@click.option("--new-tzdata", is_flag=True, help="Count all anew with this machine's tzdata, which all workers have.")
@click.option(
    "--alert-since",
    type=Moment(),
    help="Tell also what happened from this moment on (2026-01-31, or 2026-01-31T08:00:00+01:00) of the milestones that"
    " are new or changed.",
)
@with_settings
def apply(file: Path, dry_run: bool, new_tzdata: bool, alert_since: int | None, settings: Settings) -> None:
    """Makes the analyses, milestones and audiences of FILE (YAML) the ones in force, also while workers run.

    Warns of types, values and attributes that no touchpoint of late has.
    """
    definitions = load_definitions(file)
    if dry_run:
        counted = _counted(definitions.analyses, definitions.milestones, definitions.audiences)
        click.echo(f"{file}: {counted}, no mistakes")
        return
    with connect(settings) as bootstrap:
        create_topics(bootstrap, settings.prefix, settings.generation, settings.partitions, settings.replication)
        done = apply_definitions(
            definitions,
            bootstrap,
            settings,
            int(time.time() * 1000),
            new_tzdata=new_tzdata,
            alert_since_ms=alert_since,
        )
        everything = [*definitions.analyses, *definitions.milestones, *definitions.audiences]
        warnings = implausible(everything, bootstrap, settings)
    for what, names in (("published", done.published), ("removed", done.removed), ("unchanged", done.unchanged)):
        if names:
            click.echo(f"{what}: {', '.join(names)}")
    counted = _counted(done.in_force.definitions, done.in_force.milestones, done.in_force.audiences)
    click.echo(f"in force: {counted}, set {done.in_force.hash}")
    unchanged = [each.name for each in done.in_force.milestones if f"milestone {each.name}" in done.unchanged]
    if alert_since is not None and unchanged:
        warnings.append(
            f"--alert-since is for milestones that are new or changed, and {', '.join(unchanged)} went on as before;"
            " `milepost milestones list` says what is told of these since when"
        )
    for text in warnings:
        click.echo(f"warning: {text}", err=True)


def _counted(analyses: Sized, milestones: Sized, audiences: Sized) -> str:
    """In words; milestones and audiences only where there are some."""
    counts = ("milestones", milestones), ("audiences", audiences)
    return ", ".join([f"{len(analyses)} analyses", *(f"{len(each)} {word}" for word, each in counts if each)])


@command.command("list")
@with_settings
def list_(settings: Settings) -> None:
    """Lists the analyses in force, and how much of the past each counts."""
    with connect(settings, start=False) as bootstrap:
        in_force = read_definitions(bootstrap, settings)
        if not in_force.definitions:
            click.echo("nothing is defined; `milepost definitions apply FILE` defines some")
            return
        progress = _progress(bootstrap, settings, in_force)
    table = Table("name", "kind", "container", "counts", "version", "zone", "title")
    table.columns[0].no_wrap = True  # it must be typed
    for each in in_force.definitions:
        analysis, counts = each.analysis, progress(each.version)
        title = Text(titled(analysis))
        table.add_row(analysis.name, analysis.kind, analysis.container, counts, each.version, each.zone, title)
    Console(width=None if sys.stdout.isatty() else 140).print(table)
    if in_force.milestones:
        click.echo(f"and {len(in_force.milestones)} milestones; `milepost milestones list` shows them")
    if in_force.audiences:
        click.echo(f"and {len(in_force.audiences)} audiences; `milepost audiences list` shows them")
    click.echo(f"set {in_force.hash}")


def _progress(bootstrap: str, settings: Settings, in_force: DefinitionSet) -> Callable[[str], str]:
    """How much of the past a version counts, in words."""
    try:
        sums = next(partial_sums(bootstrap, settings, in_force.every, None))
    except UnavailableError:
        return lambda _: "nothing yet"
    return lambda version: "all" if sums.is_complete(version) else f"{sums.moved_percent(version)} %"


@command.command()
@click.argument("name")
@with_settings
def show(name: str, settings: Settings) -> None:
    """Shows one analysis in force, or milestone where no analysis is called so, or audience, as JSON."""
    with connect(settings, start=False) as bootstrap:
        in_force = read_definitions(bootstrap, settings)
    found = in_force.named(name)
    milestone = next((each for each in in_force.milestones if each.name == name), None)
    audience = next((each for each in in_force.audiences if each.name == name), None)
    if found is not None:
        shown = {"version": found.version, "zone": found.zone, "week_start": found.week_start, "tzdata": found.tzdata}
        _echo(shown, found.analysis)
    elif milestone is not None:
        _echo({"version": milestone.version, "since_ms": milestone.since_ms}, milestone.milestone)
    elif audience is not None:
        _echo({"version": audience.version}, audience.audience)
    else:
        names = [each.analysis.name for each in in_force.definitions]
        names += [each.name for each in in_force.milestones] + [each.name for each in in_force.audiences]
        raise UsageError(f"nothing called {name!r} is in force; there are: {', '.join(names) or 'none'}")


def _echo(version: dict[str, Any], definition: Analysis | Milestone | Audience) -> None:
    body = msgspec.json.decode(definition.model_dump_json(by_alias=True, exclude_none=True))
    click.echo(json_text({**version, "definition": body}))
