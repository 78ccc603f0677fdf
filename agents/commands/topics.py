"""`milepost topics create|check`: the topics of a prefix and generation, made and compared with the table."""

import sys
from typing import NoReturn

import click
from rich.console import Console
from rich.table import Table

from agents.connection import connect, with_settings
from agents.settings import Settings
from streams.admin import Difference, check_topics, create_topics
from streams.topics import TOPICS


@click.group()
def command() -> None:
    """Make the topics, or check what is there."""


@command.command()
@with_settings
def create(settings: Settings) -> None:
    """Make the topics that are missing; what exists is never changed."""
    with connect(settings) as bootstrap:
        made = create_topics(bootstrap, *_layout(settings))
        differences = check_topics(bootstrap, *_layout(settings))
    for name in made:
        click.echo(f"made {name}")
    click.echo(f"{len(made)} topics made, {len(TOPICS) - len(made)} were there.")
    if differences:
        _show(differences)


@command.command()
@with_settings
def check(settings: Settings) -> None:
    """Compare the topics with what milepost promises; exits with 1 when something differs."""
    with connect(settings, start=False) as bootstrap:
        differences = check_topics(bootstrap, *_layout(settings))
    if not differences:
        click.echo(f"All {len(TOPICS)} topics are as promised.")
        return
    _show(differences)


def _show(differences: list[Difference]) -> NoReturn:
    """Prints the differences and ends with 1."""
    # A pipe has no width; a log gets whole words.
    Console(width=None if sys.stdout.isatty() else 140).print(_table(differences))
    if any(difference.corrupts for difference in differences):
        click.echo(
            "A worker will not start on these. `milepost topics create` makes what is missing; what is there must be"
            " changed with Kafka's own tools, or take another --prefix or --partitions.",
            err=True,
        )
    sys.exit(1)


def _layout(settings: Settings) -> tuple[str, int, int, int]:
    """What the table of topics depends on."""
    return settings.prefix, settings.generation, settings.partitions, settings.replication


def _table(differences: list[Difference]) -> Table:
    """The differences as a user reads them."""
    table = Table("topic", "what", "found", "promised", "a worker")
    table.columns[0].no_wrap = True  # a name must be readable to the end: the generation stands there
    for column in table.columns[1:]:
        column.overflow = "fold"
    for each in differences:
        table.add_row(each.topic, each.what, each.found, each.promised, "refuses" if each.corrupts else "starts")
    return table
