"""`milepost worker`: runs agents until it is told to stop."""

import os
import signal
import sys
import threading
from functools import partial
from typing import Any

import click

from agents.connection import connect, with_settings
from agents.definitions_follower import DefinitionsFollower
from agents.directory import ACCOUNTS, SNAPSHOTS
from agents.metrics import READY, STANDING
from agents.metrics_server import Listening, listening_of, serve_metrics
from agents.settings import Settings
from streams.admin import require_topics
from streams.errors import UsageError

ROLES = ("ingest", "accounts", "snapshots", "deliver")


@click.command()
@click.option("--roles", default=",".join(ROLES), show_default=True, help="Comma-separated; one group per role.")
@click.option("--worker-id", help="Unique per worker of a group; names its folder and its membership.")
@click.option("--while-stdin", is_flag=True, hidden=True, help="Stop when standard input closes: with the parent.")
@with_settings
def command(roles: str, worker_id: str | None, while_stdin: bool, settings: Settings) -> None:
    """Runs agents in this process: by default all of them.

    Start as many workers as there are partitions to share, each with an id of its own. The topics and definitions
    must be there: `milepost topics create`, `milepost definitions apply FILE`.
    """
    wanted = [role.strip() for role in roles.split(",") if role.strip()]
    if unknown := sorted(set(wanted) - set(ROLES)) or not wanted:
        raise UsageError(
            f"--roles {roles}: {unknown if wanted else 'nothing'} is no role; there are {', '.join(ROLES)}"
        )
    if worker_id is not None:
        settings = settings.model_copy(update={"worker_id": worker_id})
    if _answers(wanted, settings) and settings.metrics_port is None:
        settings = settings.model_copy(update={"metrics_port": 0})
    listening = listening_of(settings)
    if while_stdin:
        threading.Thread(target=_stop_with_parent, daemon=True).start()
    with connect(settings) as bootstrap:
        require_topics(bootstrap, settings.prefix, settings.generation, settings.partitions, settings.replication)
        _run(wanted, settings, bootstrap, listening)


def _answers(roles: list[str], settings: Settings) -> bool:
    return settings.queries and not {ACCOUNTS, SNAPSHOTS}.isdisjoint(roles)


def _stop_with_parent() -> None:
    """The parent holds the other end of standard input, and whatever ends the parent closes it."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _run(roles: list[str], settings: Settings, bootstrap: str, listening: Listening | None) -> None:
    # Faust is imported here, so that a mistake in the options is told at once.
    from agents.app import is_ready, run_apps, standing_count

    what = f"{', '.join(roles)}; Kafka at {bootstrap}, prefix {settings.prefix}"
    click.echo(f"milepost worker {settings.worker_id}: {what}")
    definitions = DefinitionsFollower(bootstrap, settings)
    app_by_role = {role: _made(role, settings, bootstrap, definitions) for role in roles}
    for role, app in app_by_role.items():
        READY.labels(role).set_function(partial(is_ready, app))
        STANDING.labels(role).set_function(partial(standing_count, app))
    if listening is not None:
        if _answers(roles, settings):
            from agents.answers.answering import answer_questions

            answering = {role: app for role, app in app_by_role.items() if role in (ACCOUNTS, SNAPSHOTS)}
            answer_questions(answering, settings, bootstrap, definitions, listening)
        else:
            serve_metrics(listening)
    run_apps(list(app_by_role.values()), settings)


def _made(role: str, settings: Settings, bootstrap: str, definitions: DefinitionsFollower) -> Any:
    """The role's application. Only what it needs is imported: ingest and deliver start in four fifths of the time."""
    match role:
        case "ingest":
            from agents.ingest import make_ingest

            return make_ingest(settings, bootstrap)
        case "accounts":
            from agents.accounts import make_accounts

            return make_accounts(settings, bootstrap, definitions)
        case "snapshots":
            from agents.snapshots_owner import make_snapshots

            return make_snapshots(settings, bootstrap, definitions)
        case "deliver":
            from agents.deliver import make_deliver

            return make_deliver(settings, bootstrap)
    raise ValueError(role)
