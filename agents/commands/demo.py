"""`milepost demo`: the whole of it, live, in a minute."""

import asyncio
import datetime
import fcntl
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from agents.checking import print_report, run_check
from agents.completion import Completion, applied_count
from agents.connection import with_settings
from agents.defining import load_definitions
from agents.generating import generate_to_kafka
from agents.live_snapshots import published_snapshots
from agents.pipeline import Workers, own_kafka, workers_with
from agents.reading import read_definitions
from agents.settings import Settings
from agents.terminal.view import view_of
from generator.plan import GeneratorPlan
from streams.errors import MilepostError, UsageError
from streams.snapshot import Snapshot

DAY_MS = 86_400_000
_ROWS_MAX = 8


@click.command()
@click.option("--events", type=click.IntRange(1_000), default=150_000, show_default=True)
@click.option("--accounts", type=click.IntRange(10), default=3_000, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--keep", is_flag=True, help="Leave Kafka and the workers running until Ctrl-C, to look around.")
@with_settings
def command(events: int, accounts: int, seed: int, keep: bool, settings: Settings) -> None:
    """Starts a Kafka, generates a B2B company's events, processes them live and checks the result.

    Ends with 1 when a live number differs from a batch computation over the same touchpoints.
    """
    console = Console()
    definitions = load_definitions(everyday_definitions())
    today_ms = int(time.time() * 1000) // DAY_MS * DAY_MS
    plan = GeneratorPlan(events=events, accounts=accounts, seed=seed, start_ms=today_ms - 365 * DAY_MS, end_ms=today_ms)
    with (
        _own_settings(settings) as own,
        own_kafka(own, settings.folder / "jars") as bootstrap,
        workers_with(definitions, bootstrap, own) as workers,
    ):
        console.print(f"Kafka at {bootstrap}; {events:,} events of {accounts:,} accounts, seed {seed}")
        _process(plan, bootstrap, own, workers, console)
        report = run_check(bootstrap, own)
        print_report(report, console)
        if keep:
            _stay(bootstrap, own, workers, console)
    if report.difference_count:
        raise MilepostError(f"{report.difference_count} live numbers differ from the batch computation")


def everyday_definitions() -> Path:
    """The three everyday examples that come with milepost."""
    return Path(str(files("agents"))).parent / "examples" / "definitions" / "everyday.yaml"


@contextmanager
def _own_settings(settings: Settings) -> Iterator[Settings]:
    """A prefix and a folder of the demo's own, empty; under a Kafka that was named a prefix never used.

    Raises UsageError while another demo has the folder.
    """
    folder = settings.folder / "demo"
    settings.folder.mkdir(parents=True, exist_ok=True)
    with (settings.folder / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                f"a demo is running already on {folder}; end it first, or take another --folder"
            ) from error
        shutil.rmtree(folder, ignore_errors=True)
        prefix = "demo" if settings.bootstrap_servers is None else f"demo-{int(time.time())}"
        yield settings.model_copy(update={"folder": folder, "prefix": prefix, "worker_id": "demo"})


def _process(plan: GeneratorPlan, bootstrap: str, settings: Settings, workers: Workers, console: Console) -> None:
    """Sends the events from a thread and draws what the workers make of them until all are in."""
    completion = Completion(bootstrap, settings, read_definitions(bootstrap, settings))
    sending = _Sending(plan, bootstrap, settings)
    sending.start()
    began = time.monotonic()
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        for snapshots in published_snapshots(bootstrap, settings):
            workers.require_running()
            if sending.ends_when_done() is not None:
                completion.expect(sending.ends_when_done() or {})
            done = completion.is_reached(snapshots)
            live.update(_picture(snapshots, sending, completion, time.monotonic() - began), refresh=True)
            if done:
                return


class _Sending:
    """Generates and sends in a thread of its own."""

    def __init__(self, plan: GeneratorPlan, bootstrap: str, settings: Settings) -> None:
        self.total = plan.events
        self.sent = 0
        self._ends: dict[tuple[str, int], int] | None = None
        self._error: BaseException | None = None
        self._arguments = (plan, bootstrap, settings)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def _run(self) -> None:
        try:
            report = asyncio.run(generate_to_kafka(*self._arguments, progress=self._note))
            self._ends = report.end_offsets
        except BaseException as error:  # noqa: BLE001  (it is raised where the result is asked for)
            self._error = error

    def _note(self, sent: int) -> None:
        self.sent = sent

    def ends_when_done(self) -> dict[tuple[str, int], int] | None:
        """Where the sources end, once all is sent; None before. Raises what went wrong."""
        if self._error is not None:
            raise self._error
        return self._ends


def _picture(
    snapshots: dict[str, Snapshot], sending: _Sending, completion: Completion, elapsed_s: float
) -> RenderableType:
    applied = applied_count(snapshots)
    total = completion.touchpoint_count
    of_total = "" if total is None else f" of {total:,}"
    elapsed = datetime.timedelta(seconds=int(elapsed_s))
    line = Text.assemble(
        (f"{elapsed}  ", "dim"),
        f"sent {sending.sent:,} of {sending.total:,} events · ",
        (f"{applied:,}{of_total} touchpoints in the numbers below", "bold"),
        f" · {applied / max(elapsed_s, 0.1):,.0f}/s",
    )
    views = [view_of(snapshots[name], _ROWS_MAX) for name in sorted(snapshots, reverse=True)]
    return Group(line, Text(), *(part for view in views for part in (view, Text())))


def _stay(bootstrap: str, settings: Settings, workers: Workers, console: Console) -> None:
    click.echo("\nStill running. In another terminal:")
    click.echo(f"  {sys.argv[0]} snapshot --watch --bootstrap-servers {bootstrap} --prefix {settings.prefix}")
    click.echo("Ctrl-C ends it.")
    try:
        while True:
            workers.require_running()
            time.sleep(1)
    except KeyboardInterrupt:
        console.print("Stopping.")
