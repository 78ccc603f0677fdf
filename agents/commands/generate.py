"""`milepost generate`: the events of a B2B company that does not exist, to Kafka or to a file."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from agents.connection import connect, with_settings
from agents.generating import generate_to_kafka
from agents.settings import Settings
from generator.plan import GeneratorPlan, GroundTruth
from generator.stream import generate
from streams.admin import create_topics
from streams.errors import UsageError

Result = TypeVar("Result")
Draw = Callable[[int], None]

_DAY_MS = 86_400_000
_DAYS = 365
_EVENTS_PER_ACCOUNT = 50
_SHARES = {
    "ties": "Share of a visit's events that take the time of the one before.",
    "no_account": "Share of events that name no account.",
    "late": "Share of events that arrive an hour to weeks late.",
    "duplicates": "Events delivered again, as a share of all.",
    "corrections": "Events sent again with another value or time, as a share of all.",
    "withdrawals": "Events taken back, as a share of all.",
    "bad": "Records that are no events, as a share of all.",
}


def _share_options(run: Callable[..., Result]) -> Callable[..., Result]:
    """An option for each rate of a plan, with the plan's default."""
    for name, text in reversed(_SHARES.items()):
        default = getattr(GeneratorPlan, name)
        option = f"--{name.replace('_', '-')}"
        run = click.option(option, name, type=float, default=default, show_default=True, help=text)(run)
    return run


@click.command()
@click.option("--events", type=click.IntRange(1), default=100_000, show_default=True, help="How many events happen.")
@click.option("--accounts", type=int, help="How many customers there are; one for each 50 events by default.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed and options give the same bytes.")
@click.option("--start", type=click.DateTime(["%Y-%m-%d"]), help="First day, UTC.")
@click.option("--end", type=click.DateTime(["%Y-%m-%d"]), help="The day behind the last, UTC; today by default.")
@click.option("--days", type=int, default=_DAYS, show_default=True, help="Length of the window.")
@_share_options
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Records per second; no limit by default.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="A line per record, not to Kafka.")
@with_settings
def command(
    settings: Settings,
    events: int,
    accounts: int | None,
    seed: int,
    start: datetime | None,
    end: datetime | None,
    days: int,
    rate: float | None,
    out: Path | None,
    **shares: float,
) -> None:
    """Generate a B2B company's events, with late ones, duplicates and bad records at stated rates."""
    start_ms, end_ms = window_ms(start, end, days, datetime.now(UTC).date())
    plan = GeneratorPlan(
        events=events,
        accounts=max(1, events // _EVENTS_PER_ACCOUNT) if accounts is None else accounts,
        seed=seed,
        start_ms=start_ms,
        end_ms=end_ms,
        **shares,
    )
    if out is not None and rate is not None:
        raise UsageError("--rate paces what goes to Kafka; a file is written at once. Leave out --rate or --out.")
    with _progress(events) as draw:
        truth = _to_file(plan, out, draw) if out is not None else _to_kafka(plan, settings, rate, draw)
    click.echo(said(truth, "Kafka" if out is None else str(out)))


def window_ms(start: date | None, end: date | None, days: int, today: date) -> tuple[int, int]:
    """The first midnight UTC and the one behind the last day, in milliseconds.

    `days` from `start` on, or before `end`, or before `today` without either. Raises UsageError for both, and for a
    window with days to come: ingest would reject their events.
    """
    if start is not None and end is not None:
        raise UsageError("--start and --end are both given; the window is --days long, so give one of them.")
    first = _midnight_ms(end or today) - days * _DAY_MS if start is None else _midnight_ms(start)
    last = first + days * _DAY_MS
    if days < 1 or last > _midnight_ms(today):
        raise UsageError(
            f"The window is {days} days long and would end {(last - _midnight_ms(today)) // _DAY_MS} days behind today"
            f" ({today}); it must have a day at least and end today or earlier. Change --days, --start or --end."
        )
    return first, last


def _midnight_ms(day: date) -> int:
    return (date(day.year, day.month, day.day) - date(1970, 1, 1)) // timedelta(milliseconds=1)


@contextmanager
def _progress(events: int) -> Iterator[Draw]:
    """A bar on standard error while events are generated."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("events", total=events)
        yield lambda done: bar.update(task, completed=done)


def _to_file(plan: GeneratorPlan, out: Path, draw: Draw) -> GroundTruth:
    """The records in order of arrival, a line each; an event's `source` tells which topic it is for."""
    truth = GroundTruth()
    with out.open("wb") as file:
        for batch in generate(plan, truth):
            file.write(b"".join(payload + b"\n" for _, payload in batch))
            draw(truth.events)
    return truth


def _to_kafka(plan: GeneratorPlan, settings: Settings, rate: float | None, draw: Draw) -> GroundTruth:
    with connect(settings) as bootstrap:
        create_topics(bootstrap, settings.prefix, settings.generation, settings.partitions, settings.replication)
        return asyncio.run(generate_to_kafka(plan, bootstrap, settings, rate=rate, progress=draw)).truth


def said(truth: GroundTruth, where: str) -> str:
    """What was generated, so that a user can account for every record."""
    bad = ", ".join(f"{count} {kind}" for kind, count in sorted(truth.bad_by_kind.items())) or "none"
    return (
        f"{truth.events:,} events in {truth.records:,} records to {where}: {truth.duplicates:,} duplicates,"
        f" {truth.corrections:,} corrections, {truth.withdrawals:,} withdrawals, {truth.bad:,} bad ({bad}).\n"
        f"{truth.late:,} arrive late, {truth.no_account:,} name no account; ingest accepts {truth.accepted:,} records."
    )
