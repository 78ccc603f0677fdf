"""`milepost account|opportunity|group|person ID`: the story of one container, newest first."""

import sys
from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console

from agents.commands.snapshot import PIPE_WIDTH
from agents.connection import connect, with_settings
from agents.query_client import QueryClient
from agents.settings import Settings
from agents.terminal.marks import cut, json_text
from agents.terminal.story_view import StoryView
from streams.errors import UsageError

_ACCOUNTS_SHOWN = 20


def _story_command(name: str, kind: str) -> click.Command:
    """The command for one kind of container."""

    @click.command(name=name, help=_HELP.format(what=name, more="" if kind == "account" else _LOOK_UP))
    @click.argument("id_", metavar="ID")
    @click.option("--account", help="Whose it is; without it all workers are asked.", hidden=kind == "account")
    @click.option("--before", metavar="CURSOR", help="Go on behind the page that named this.")
    @click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Touchpoints of a page.")
    @click.option("--type", "types", multiple=True, help="Only touchpoints of this type; may be repeated.")
    @click.option("--person", "people", multiple=True, help="Only those of this person; may be repeated.")
    @click.option("--channel", "channels", multiple=True, help="Only those of this channel; may be repeated.")
    @click.option("--opportunity", "opportunities", multiple=True, help="Only those of this opportunity.")
    @click.option("--group", "groups", multiple=True, help="Only those of this buying group.")
    @click.option("--before-milestone", metavar="CANVAS:NODE", help="Up to its last occurrence; also NODE>NODE.")
    @click.option("--after-milestone", metavar="CANVAS:NODE", help="From its first occurrence on; also NODE>NODE.")
    @click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
    @with_settings
    def command(
        settings: Settings,
        id_: str,
        account: str | None,
        before_milestone: str | None,
        after_milestone: str | None,
        form: str,
        **query: Any,
    ) -> None:
        if before_milestone is not None and after_milestone is not None:
            raise UsageError("--before-milestone and --after-milestone are two stories; take one")
        if before_milestone is not None or after_milestone is not None:
            side = "after" if before_milestone is None else "before"
            query |= {"milestone": before_milestone or after_milestone, "side": side}
        with connect(settings, start=False) as bootstrap:
            client = QueryClient(bootstrap, settings)
            owner = id_ if kind == "account" else account or account_of(client, kind, id_)
            story = client.story(kind, id_, owner, **query)
        print_answer(story, StoryView(story), form)

    return command


_HELP = """Tell the story of the {what} ID: every touchpoint, newest first, online and offline, with what each moved.

Late ones came when a later one of the account was there already; corrected ones have a revision above 0.{more}"""
_LOOK_UP = """

Without --account all workers look for it, for about a second; it says when that was not enough."""


def account_of(client: QueryClient, kind: str, id_: str) -> str:
    """The one account that has a container of this id. Raises UsageError where there is none or several."""
    answer = client.search(kind=kind, q=id_)
    accounts = [found.account for found in answer.found]
    bound = "" if answer.is_complete else _bound_words(answer.missing)
    what = f"{kind.replace('_', ' ')} {id_!r}"
    if not accounts:
        raise UsageError(f"no account has the {what}{bound or '; ids are told apart by case'}")
    if len(accounts) > 1:
        listed = ", ".join(cut(each, 100) for each in accounts[:_ACCOUNTS_SHOWN])
        raise UsageError(f"{len(accounts)} accounts have the {what}: {listed}. Name one with --account{bound}")
    if bound:
        click.echo(f"{what} is of {cut(accounts[0], 100)}{bound}", err=True)
    return accounts[0]


def _bound_words(missing: Sequence[int]) -> str:
    if missing:
        return f"; partitions {', '.join(map(str, missing))} were not asked, for no worker answered for them"
    return "; the time was over before everything was looked at, so there may be others. --account finds it at once"


def print_answer(answer: Any, view: Any, form: str) -> None:
    """Writes an answer to standard output, as a picture or as JSON."""
    if form == "json":
        click.echo(json_text(answer))
    else:
        Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(view)


account = _story_command("account", "account")
opportunity = _story_command("opportunity", "opportunity")
group = _story_command("group", "buying_group")
person = _story_command("person", "person")
