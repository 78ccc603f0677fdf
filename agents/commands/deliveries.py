"""`milepost deliveries`: where each delivery stands, and what people may do about it."""

import sys
import time
from collections import Counter
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import get_args

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agents.alerts import read_standing
from agents.connection import connect, with_settings
from agents.dry_run import dry_run_of
from agents.ordering import (
    configuration_in_force,
    delivery_states,
    give_orders,
    load_delivery_file,
    read_deliveries,
)
from agents.settings import Settings
from agents.terminal.marks import json_text
from state.delivery.message import ESCALATION, ID_PREFIX
from streams.delivery import Acknowledge, DeliveryStatus, Held, Order, Pause, Resume, Retry, State
from streams.errors import UsageError
from streams.shown import shown

_TEXT_MAX = 200


@click.group()
def command() -> None:
    """What was sent, what waits and what is dead, with the reason."""


@command.command("list")
@click.option("--state", type=click.Choice(get_args(State)), help="Only those in this state.")
@click.option("--destination", help="Only those for this one.")
@click.option("--newest", type=click.IntRange(1), default=20, show_default=True, help="How many are shown.")
@with_settings
def list_(state: str | None, destination: str | None, newest: int, settings: Settings) -> None:
    """Counts deliveries by destination and state, shows the newest, and says where nothing is sent to for now."""
    with connect(settings, start=False) as bootstrap:
        states, held = read_deliveries(bootstrap, settings)
    found = [each for each in states if state in (None, each.state) and destination in (None, each.destination)]
    table = Table("id", "destination", "what", "whose", "state", "tries", "since", "why")
    table.columns[0].no_wrap = True  # it must be typed
    for each in islice(sorted(found, key=lambda each: each.changed_ms, reverse=True), newest):
        what, when = f"{each.kind} {each.name}".strip(), _time(each.changed_ms)
        row = (each.id, each.destination, what, each.whose, each.state, str(each.attempts), when, each.why or "")
        table.add_row(*(Text(shown(cell, _TEXT_MAX)) for cell in row))
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    counts = Counter((each.destination, each.state) for each in found)
    said = ", ".join(f"{name}: {count:,} {state}" for (name, state), count in sorted(counts.items()))
    click.echo(said or "no deliveries")
    for name, why in sorted(held.items()):
        if destination in (None, name):
            click.echo(f"nothing is sent to {name} until it is resumed: {shown(_words(why), _TEXT_MAX)}")


@command.command()
@click.argument("id_", metavar="ID")
@with_settings
def show(id_: str, settings: Settings) -> None:
    """Shows where one delivery stands, as JSON."""
    with connect(settings, start=False) as bootstrap:
        found = _delivery(bootstrap, settings, id_)
    click.echo(json_text(found))


@command.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--destination", help="All dead ones of this destination instead.")
@with_settings
def retry(ids: tuple[str, ...], destination: str | None, settings: Settings) -> None:
    """Tries dead deliveries anew, under their ids.

    Of what a newer message was sent since nothing is sent; its state says so.
    """
    if bool(ids) == bool(destination):
        raise UsageError("name ids, or --destination NAME for all of its dead ones")
    with connect(settings, start=False) as bootstrap:
        states = delivery_states(bootstrap, settings)
        if destination is not None and all(each.destination != destination for each in states):
            _require_destination(bootstrap, settings, destination)  # another one that is gone may have dead ones
        dead = [each for each in states if each.state == "dead"]
        wanted = [each for each in dead if each.id in ids or each.destination == destination]
        if missing := set(ids) - {each.id for each in wanted}:
            raise UsageError(
                f"{shown(sorted(missing)[0], 100)} is no dead delivery; `milepost deliveries list` shows them"
            )
        wanted.sort(key=lambda each: each.created_ms)
        give_orders(bootstrap, settings, *(Retry(each.id) for each in wanted))
    click.echo(f"{len(wanted):,} are tried anew")


@command.command()
@click.argument("destination")
@with_settings
def pause(destination: str, settings: Settings) -> None:
    """Sends nothing to DESTINATION any more; what comes for it waits."""
    _order_about(destination, Pause(destination), settings)
    click.echo(f"{destination} is paused; `milepost deliveries resume {destination}` goes on")


@command.command()
@click.argument("destination")
@with_settings
def resume(destination: str, settings: Settings) -> None:
    """Sends to DESTINATION again, whether it was paused, or disabled because it answered 410."""
    _order_about(destination, Resume(destination), settings)
    click.echo(f"{destination} is sent to")


@command.command()
@click.argument("alert", metavar="ID")
@with_settings
def acknowledge(alert: str, settings: Settings) -> None:
    """Says that somebody looks after an alert, so that it is not escalated. ID: its, or a message's about it."""
    with connect(settings, start=False) as bootstrap:
        give_orders(bootstrap, settings, Acknowledge(_alert_id(bootstrap, settings, alert)))
    click.echo(f"{shown(alert, _TEXT_MAX)} is acknowledged")


@command.command("dry-run")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--newest", type=click.IntRange(1), default=20, show_default=True, help="How many are shown.")
@with_settings
def dry_run(file: Path, newest: int, settings: Settings) -> None:
    """Says what the delivery file FILE would have sent of all alerts and changes so far; sends nothing."""
    wanted = load_delivery_file(file)
    with connect(settings, start=False) as bootstrap:
        found = dry_run_of(wanted, bootstrap, settings, time.time_ns() // 1_000_000)
    table = Table("at", "destination", "route", "what", "whose")
    for each in found[-newest:]:
        row = (_time(each.due_ms), each.destination, each.route, f"{each.kind} {each.operation}", each.whose)
        table.add_row(*(Text(shown(cell, _TEXT_MAX)) for cell in row))
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    counts = Counter(each.destination for each in found)
    click.echo(", ".join(f"{name}: {count:,}" for name, count in sorted(counts.items())) or "nothing would be sent")


def _words(held: Held) -> str:
    return "paused" if held.disabled is None else f"it disabled itself, {held.disabled}"


def _order_about(destination: str, order: Order, settings: Settings) -> None:
    with connect(settings, start=False) as bootstrap:
        _require_destination(bootstrap, settings, destination)
        give_orders(bootstrap, settings, order)


def _require_destination(bootstrap: str, settings: Settings, destination: str) -> None:
    file = configuration_in_force(bootstrap, settings)
    if file is None or destination not in file.destinations:
        known = "none" if file is None else ", ".join(file.destinations)
        raise UsageError(f"{shown(destination, 100)!r} is no destination; there are: {known}")


def _delivery(bootstrap: str, settings: Settings, id_: str) -> DeliveryStatus:
    for each in delivery_states(bootstrap, settings):
        if each.id == id_:
            return each
    raise UsageError(f"there is no delivery {shown(id_, 100)}; `milepost deliveries list` shows them")


def _alert_id(bootstrap: str, settings: Settings, said: str) -> str:
    """Of what people have before them: a mail or a message in Slack shows the delivery's id and not the alert's."""
    if not said.startswith(ID_PREFIX):
        if all(each.id != said for each in read_standing(bootstrap, settings).values()):
            raise UsageError(
                f"{shown(said, 100)} is no alert; its id stands in each message about it, beginning with msg_"
            )
        return said
    found = _delivery(bootstrap, settings, said)
    if found.kind not in ("alert", "escalation"):
        raise UsageError(f"{said} is about no single alert but a {found.kind}; name an alert's id")
    return found.subject.removeprefix(ESCALATION)


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
