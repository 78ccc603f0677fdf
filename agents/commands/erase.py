"""`milepost erase account|opportunity|group|person ID`."""

from datetime import UTC, datetime
from typing import get_args

import click

from agents.completion import waiting_counts
from agents.connection import connect, with_settings
from agents.erasing import Kind, touchpoints_of, withdraw
from agents.settings import Settings
from streams.errors import UsageError
from streams.shown import shown

_TEXT_MAX = 100


@click.command()
@click.argument("kind", type=click.Choice(get_args(Kind)))
@click.argument("id_", metavar="ID")
@click.option("--account", help="Only what it has in this account.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_settings
def command(settings: Settings, kind: Kind, id_: str, account: str | None, yes: bool) -> None:
    """Withdraws every touchpoint of a container: it leaves every number, story and audience within seconds.

    A withdrawal is an event with the greatest revision there is, so a source does not bring a touchpoint back unless
    it sends that one itself. The records that were sent stay in Kafka's topics for as long as these keep them, dead
    letters as well.
    """
    with connect(settings, start=False) as bootstrap:
        unread, _ = waiting_counts(bootstrap, settings, {})  # first, for what is read meanwhile may not be among those
        found = touchpoints_of(bootstrap, settings, kind, id_, account)
        whose = f"{kind} {shown(id_, _TEXT_MAX)}"
        whose += "" if account is None else f" in the account {shown(account, _TEXT_MAX)}"
        if not found:
            raise UsageError(f"there is no touchpoint of the {whose}; ids are told apart by case")
        first, last = (_day(pick(each.event_time for each in found)) for pick in (min, max))
        accounts = len({each.account for each in found})
        what = f"{len(found):,} touchpoints of the {whose}, from {first} to {last}, in {accounts:,} accounts"
        if not yes:
            click.confirm(f"Withdraw {what}?", abort=True)
        withdraw(bootstrap, settings, found)
    click.echo(f"withdrawn: {what}")
    if unread:
        click.echo(f"{unread:,} events were not read by ingest yet; erase again when they are, for they may say more")


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d")
