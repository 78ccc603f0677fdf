"""`milepost audiences`: which are in force and who is in them; and who would be in a file's."""

import sys
import time
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agents.audience_preview import Preview, PreviewReport, run_preview
from agents.audience_topics import Counts, in_order, read_counts, read_members
from agents.connection import connect, with_settings
from agents.defining import load_definitions
from agents.reading import read_definitions
from agents.settings import Settings
from agents.terminal.marks import cut, json_text, number, titled
from agents.terminal.story_view import moment
from agents.trials import chosen
from state.audience_set import AudienceDefinition
from streams.errors import UsageError
from streams.membership import MembershipChange

SHOWN_MAX = 80


@click.group()
def command() -> None:
    """Who is in which audience: accounts, opportunities, buying groups and people."""


@command.command("list")
@with_settings
def list_(settings: Settings) -> None:
    """Lists the audiences in force: how many are in, and how many entered and exited."""
    with connect(settings, start=False) as bootstrap:
        in_force = read_definitions(bootstrap, settings)
        if not in_force.audiences:
            click.echo("no audience is defined; put `audiences` into a file and `milepost definitions apply FILE`")
            return
        counts = read_counts(bootstrap, settings)
    table = Table("name", "container", "members", "entered", "exited", "version", "title")
    table.columns[0].no_wrap = True  # it must be typed
    for each in in_force.audiences:
        found = counts.get(each.name, Counts())
        told = (number(count) for count in (found.size, found.entered, found.exited))
        table.add_row(each.name, each.audience.container, *told, each.version, Text(titled(each.audience)))
    Console(width=None if sys.stdout.isatty() else 140).print(table)


@command.command()
@click.argument("name")
@click.option("--show", type=click.IntRange(0), default=100, show_default=True, help="Members shown.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
@with_settings
def members(name: str, show: int, form: str, settings: Settings) -> None:
    """Shows who is in the audience NAME now, by account. As JSON all of them."""
    with connect(settings, start=False) as bootstrap:
        known = [each.name for each in read_definitions(bootstrap, settings).audiences]
        if name not in known:
            raise UsageError(f"no audience {name!r} is in force; there are: {', '.join(known) or 'none'}")
        found = list(in_order(read_members(bootstrap, settings, name)))
    if form == "json":
        click.echo(json_text(found))
        return
    click.echo(f"{name}: {number(len(found))} members")
    table = Table("account", "container", "since", "reason", "attributes")
    for each in found[:show]:
        table.add_row(*map(Text, _member_row(each)))
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def _member_row(each: MembershipChange) -> tuple[str, ...]:
    container = "" if each.container is None else f"{each.kind} {each.container}"
    said = (
        each.account,
        container,
        moment(each.since_ms or each.happened_ms),
        each.reason,
        _attributes(each.attributes),
    )
    return tuple(cut(text, SHOWN_MAX) for text in said)


def _attributes(attributes: dict[str, str]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in attributes.items())


@command.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", help="Only this one; without it all of the file.")
@click.option("--days", type=click.IntRange(1, 366), default=7, show_default=True, help="Days of changes shown.")
@click.option("--show", type=click.IntRange(0), default=10, show_default=True, help="Members shown of each.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
@with_settings
def preview(file: Path, name: str | None, days: int, show: int, form: str, settings: Settings) -> None:
    """Runs the audiences of FILE over all touchpoints in Kafka: who would be in now, and who came and went of late.

    Nothing is published.
    """
    audiences = chosen(load_definitions(file).audiences, name, file, "audience")
    made = [AudienceDefinition(f"preview{n}", "", each) for n, each in enumerate(audiences)]
    status = Console(stderr=True).status("audiences: reading the touchpoints")
    with connect(settings, start=False) as bootstrap, status:
        now_ms = int(time.time() * 1000)
        report = run_preview(made, bootstrap, settings, now_ms, sample_count=show, day_count=days)
    if form == "json":
        click.echo(json_text(report))
    else:
        _print(report)


def _print(report: PreviewReport) -> None:
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(f"Over {number(report.touchpoint_count)} touchpoints, at {moment(report.clock_ms)}", highlight=False)
    for name, preview in report.audiences.items():
        console.print(f"{name}: {number(preview.size)} members would be in", highlight=False)
        console.print(_changes(preview))
        if preview.samples:
            table = Table("account", "container", "since", "attributes")
            for each in preview.samples:
                container = "" if each.container is None else f"{each.kind} {each.container}"
                said = (each.account, container, moment(each.since_ms), _attributes(each.attributes))
                table.add_row(*(Text(cut(text, SHOWN_MAX)) for text in said))
            console.print(table)


def _changes(preview: Preview) -> Table:
    table = Table("day", "entered", "exited")
    for day, count in preview.entered.items():
        table.add_row(day, number(count), number(preview.exited[day]))
    return table
