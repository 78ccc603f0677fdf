"""`milepost milestones`: which are in force, what was told of them, and what a file's would have told."""

import sys
import time
from collections import Counter
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agents.alerts import read_standing
from agents.commands.moment import Moment
from agents.connection import connect, with_settings
from agents.defining import load_definitions
from agents.milestone_trial import TrialReport, run_trial
from agents.reading import read_definitions
from agents.settings import Settings
from agents.terminal.marks import cut, json_text, number, titled
from agents.terminal.story_view import moment
from agents.trials import chosen
from state.milestone_set import MilestoneDefinition
from streams.alert import Alert
from streams.errors import UsageError

_HEADINGS = ("happened", "known", "of whom", "owner", "state", "led by")


@click.group()
def command() -> None:
    """What is told when accounts, opportunities, buying groups and people come so far."""


@command.command("list")
@with_settings
def list_(settings: Settings) -> None:
    """Lists the milestones in force: what stands of what was told, and what was taken back."""
    with connect(settings, start=False) as bootstrap:
        in_force = read_definitions(bootstrap, settings)
        if not in_force.milestones:
            click.echo("no milestone is defined; put `milestones` into a file and `milepost definitions apply FILE`")
            return
        counts = _told(bootstrap, settings)
    table = Table("name", "tier", "container", "told", "stands", "revoked", "alerts since", "version", "title")
    table.columns[0].no_wrap = True  # it must be typed
    for each in in_force.milestones:
        milestone, told = each.milestone, counts.get(each.name, Counter())
        often = "each time" if milestone.each else "once"
        standing, revoked = (number(told[state]) for state in ("asserted", "revoked"))
        said = (milestone.name, milestone.tier or "", milestone.container, often, standing, revoked)
        table.add_row(*said, moment(each.since_ms), each.version, Text(titled(milestone)))
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def _told(bootstrap: str, settings: Settings) -> dict[str, Counter[str]]:
    """By milestone how many alerts are in which state."""
    found: dict[str, Counter[str]] = {}
    for (name, _, _), alert in read_standing(bootstrap, settings).items():
        found.setdefault(name, Counter())[alert.state] += 1
    return found


@command.command()
@click.argument("name")
@click.option("--show", type=click.IntRange(0), default=20, show_default=True, help="Alerts shown, the last ones.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
@with_settings
def alerts(name: str, show: int, form: str, settings: Settings) -> None:
    """Shows what was told of the milestone NAME, as it stands, in the order of when it was known. As JSON all of it."""
    with connect(settings, start=False) as bootstrap:
        known = [each.name for each in read_definitions(bootstrap, settings).milestones]
        told = [alert for (told_of, _, _), alert in read_standing(bootstrap, settings).items() if told_of == name]
    if name not in known and not told:
        raise UsageError(f"no milestone {name!r} is in force, or was; there are: {', '.join(known) or 'none'}")
    told.sort(key=lambda alert: (alert.known_ms, alert.happened_ms, alert.id))
    if form == "json":
        click.echo(json_text(told))
        return
    click.echo(f"{name}: {number(len(told))} alerts")
    table = Table("id", *_HEADINGS)
    table.columns[0].no_wrap = True  # `deliveries acknowledge` wants it
    for each in told[max(0, len(told) - show) :]:
        table.add_row(each.id, *map(Text, _row(each)))
    Console(width=None if sys.stdout.isatty() else 180).print(table)


@command.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", help="Only this one; without it all of the file.")
@click.option("--alert-since", type=Moment(), default="1970-01-01", help="Only what happened from this moment on.")
@click.option("--show", type=click.IntRange(0), default=20, show_default=True, help="Alerts shown, the last ones.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
@with_settings
def test(file: Path, name: str | None, alert_since: int, show: int, form: str, settings: Settings) -> None:
    """Runs the milestones of FILE over all touchpoints in Kafka: what would have been told by now, of whom, and when.

    Nothing is published. An alert that was corrected is shown as it stood in the end.
    """
    milestones = chosen(load_definitions(file).milestones, name, file, "milestone")
    made = [MilestoneDefinition(f"trial{n}", alert_since, each) for n, each in enumerate(milestones)]
    status = Console(stderr=True).status("milestones: reading the touchpoints")
    with connect(settings, start=False) as bootstrap, status:
        report = run_trial(made, bootstrap, settings, int(time.time() * 1000), show)
    if form == "json":
        click.echo(json_text(report))
    else:
        _print(report)


def _print(report: TrialReport) -> None:
    console = Console(width=None if sys.stdout.isatty() else 140)
    table = Table("milestone", title=f"Over {number(report.touchpoint_count)} touchpoints", title_justify="left")
    for heading in ("would stand", "revoked", "corrections"):
        table.add_column(heading, justify="right")
    for name, counts in report.counts.items():
        table.add_row(name, *(number(counts[each]) for each in ("asserted", "revoked", "corrections")))
    console.print(table)
    if report.newest:
        last = Table("milestone", *_HEADINGS)
        for each in report.newest:
            last.add_row(*map(Text, (each.milestone, *_row(each))))
        console.print(last)


def _row(alert: Alert) -> tuple[str, ...]:
    who = alert.who
    of_whom = who.account if who.id is None else f"{who.account}, {who.kind} {who.id}"
    led_by = ", ".join(each.type for each in alert.touchpoints)
    state = alert.state if alert.revision == 1 else f"{alert.state} ({alert.revision})"
    said = (of_whom, who.owner or "", state, led_by)
    return moment(alert.happened_ms), moment(alert.known_ms), *(cut(each, 80) for each in said)
