"""`milepost destinations`: where messages go, and which."""

import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agents.connection import connect, with_settings
from agents.ordering import configuration_in_force, configure_of, give_orders, load_delivery_file
from agents.settings import Settings
from state.delivery.configuration import Route
from streams.admin import create_topics


@click.group()
def command() -> None:
    """Where messages go: publish a delivery file, list what is in force."""


@command.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only say whether the file is right.")
@with_settings
def apply(file: Path, dry_run: bool, settings: Settings) -> None:
    """Puts the destinations and routes of FILE (YAML) in force, also while workers run.

    What was said before a route was there does not go its way. What waits for a destination that is gone waits until
    it is there again.
    """
    wanted = load_delivery_file(file)
    if not dry_run:
        with connect(settings) as bootstrap:
            create_topics(bootstrap, settings.prefix, settings.generation, settings.partitions, settings.replication)
            give_orders(bootstrap, settings, configure_of(wanted))
    what = f"{len(wanted.destinations)} destinations, {len(wanted.routes)} routes"
    click.echo(f"{file}: {what}, no mistakes" if dry_run else f"in force: {what}")


@command.command("list")
@with_settings
def list_(settings: Settings) -> None:
    """Lists the destinations and routes in force."""
    with connect(settings, start=False) as bootstrap:
        file = configuration_in_force(bootstrap, settings)
    if file is None:
        click.echo("there are none; `milepost destinations apply FILE` puts some in force")
        return
    console = Console(width=None if sys.stdout.isatty() else 140)
    table = Table("destination", "kind")
    for name, destination in file.destinations.items():
        table.add_row(name, destination.kind)
    console.print(table)
    table = Table("route", "takes", "to", "when")
    for route in file.routes:
        table.add_row(*map(Text, (route.name, _takes(route), ", ".join(route.to), _when(route))))
    console.print(table)


def _takes(route: Route) -> str:
    parts = [f"milestones {', '.join(route.milestones or ['*'])}"] if route.milestones or route.tiers else []
    parts += [f"of tier {', '.join(route.tiers)}"] if route.tiers else []
    return "; ".join([*parts, *([f"audiences {', '.join(route.audiences)}"] if route.audiences else [])])


def _when(route: Route) -> str:
    parts = []
    if route.digest is not None:
        parts.append(f"digest at {', '.join(route.digest.at)} {route.digest.zone}")
    if route.quiet is not None:
        parts.append(f"not {route.quiet.begin} to {route.quiet.end} {route.quiet.zone}")
    if route.cool_down_s:
        parts.append(f"once in {route.cool_down_s} s")
    if route.escalate is not None:
        parts.append(f"to {', '.join(route.escalate.to)} after {route.escalate.after_s} s")
    return "; ".join(parts) or "at once"
