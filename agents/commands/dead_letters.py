"""`milepost dead-letters`: what was rejected and why, sending it again, and the record that stops a partition."""

import time
from collections import Counter, deque

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agents.connection import connect, with_settings
from agents.dead_letters import letters, send_again, set_aside
from agents.settings import Settings
from streams.errors import UsageError


@click.group(name="dead-letters")
def command() -> None:
    """Records that were not taken: what is wrong with them, and what becomes of them."""


@command.command(name="list")
@click.option("--reason", help="Only those of this reason.")
@click.option("--newest", type=click.IntRange(1), default=20, show_default=True, help="How many are shown.")
@with_settings
def list_(reason: str | None, newest: int, settings: Settings) -> None:
    """Counts dead letters by reason and shows the newest."""
    console = Console()
    counts: Counter[str] = Counter()
    shown: deque[tuple[str, ...]] = deque(maxlen=newest)
    with connect(settings, start=False) as bootstrap:
        for letter in letters(bootstrap, settings, reason):
            counts[letter.reason] += 1
            place = f"{letter.topic}/{letter.partition} offset {letter.offset}"
            shown.append((letter.reason, place, letter.detail, f"{len(letter.value or b''):,}"))
    table = Table("reason", "where it stood", "what is wrong", "bytes")
    for row in shown:
        # As Text, so that what came from outside is not taken for markup.
        table.add_row(*map(Text, row))
    console.print(table)
    console.print(", ".join(f"{count:,} {name}" for name, count in counts.most_common()) or "no dead letters")


@command.command(name="replay")
@click.option("--reason", required=True, help="Those of this reason are sent to the topics they came from.")
@with_settings
def replay(reason: str, settings: Settings) -> None:
    """Sends dead letters again, as they came: for when what rejected them was mended.

    What is wrong still becomes a dead letter again, under a new id; of those that say the same one is sent. What was
    taken once is not counted twice.
    """
    with connect(settings, start=False) as bootstrap:
        counts = send_again(bootstrap, settings, letters(bootstrap, settings, reason))
    if not counts:
        raise UsageError(f"there is no dead letter of the reason {reason!r}; `milepost dead-letters list` shows them")
    for topic, count in counts.items():
        click.echo(f"{count:,} to {topic}")


@command.command(name="set-aside")
@click.option("--topic", required=True, help="As the message of the worker names it.")
@click.option("--partition", type=click.IntRange(0), required=True)
@click.option("--offset", type=click.IntRange(0), required=True)
@click.option("--why", default="set aside by hand", show_default=True, help="Kept with the record.")
@with_settings
def set_aside_(topic: str, partition: int, offset: int, why: str, settings: Settings) -> None:
    """Has a partition go on without the record on which its computation fails.

    The record becomes a dead letter and is left out of every number, and of `milepost check`. A worker that holds the
    partition goes on within seconds.
    """
    with connect(settings, start=False) as bootstrap:
        set_aside(bootstrap, settings, topic, partition, offset, why, int(time.time() * 1000))
    click.echo(f"{topic}/{partition} offset {offset} is set aside; it is in the dead letters")
