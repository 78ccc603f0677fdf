"""Where a command finds its Kafka, and the options that all commands share."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from agents.brokers import named_brokers
from agents.settings import Settings
from streams.broker import START_S, EmbeddedBroker, running_broker
from streams.errors import UnavailableError, UsageError
from streams.jars import KAFKA_VERSION

Result = TypeVar("Result")

_OPTIONS = (
    click.option("--bootstrap-servers", metavar="HOST:PORT", help="A Kafka that runs already; else the embedded one."),
    click.option("--prefix", metavar="TEXT", help="First part of every topic's name; milepost by default."),
    click.option(
        "--folder", type=click.Path(path_type=Path), help="Where data is kept; the user's data folder by default."
    ),
    click.option("--generation", type=int, help="Stands in the names of derived topics; 0 by default."),
    click.option("--partitions", type=int, help="Partitions of every source and stage; 4 by default."),
)


def with_settings(command: Callable[..., Result]) -> Callable[..., Result]:
    """Adds the shared options to a click command and passes it `settings`: an option wins over the environment."""

    @functools.wraps(command)
    def run(
        bootstrap_servers: str | None,
        prefix: str | None,
        folder: Path | None,
        generation: int | None,
        partitions: int | None,
        **own: Any,
    ) -> Result:
        settings = settings_of(
            bootstrap_servers=bootstrap_servers,
            prefix=prefix,
            folder=folder,
            generation=generation,
            partitions=partitions,
        )
        return command(settings=settings, **own)

    for option in reversed(_OPTIONS):
        option(run)
    return run


def settings_of(**options: Any) -> Settings:
    """The settings with the options that were given (not None) over the environment's.

    Raises UsageError for a value that a setting does not allow.
    """
    try:
        return Settings(**{name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        raise UsageError("; ".join(_said(str(each["loc"][0]), each) for each in error.errors())) from error


def _said(name: str, problem: Any) -> str:
    """What is wrong with a setting, and what was given unless that is a secret."""
    given = "a secret" if "SecretStr" in str(Settings.model_fields[name].annotation) else repr(problem["input"])
    return f"{_places_of(name)} is {given}: {problem['msg']}"


def _places_of(name: str) -> str:
    """Where a setting may come from: its variable, and the option of those that have one."""
    variable = f"MILEPOST_{name.upper()}"
    options = ("bootstrap_servers", "prefix", "folder", "generation", "partitions")
    return f"--{name.replace('_', '-')} or {variable}" if name in options else variable


@contextmanager
def connect(settings: Settings, *, start: bool = True) -> Iterator[str]:
    """The bootstrap servers to use: those of the settings, else a broker that runs on the folder, else one of our own.

    The own one lives as long as the context. Raises UnavailableError when there is none and `start` is False, or when
    it can not be started, and what `named_brokers` raises.
    """
    address = named_brokers(settings) or running_broker(broker_folder(settings), wait_s=START_S)
    if address is not None:
        yield address
    elif start:
        with start_broker(settings) as broker:
            click.echo(f"no Kafka runs on {broker_folder(settings)}; one was started for this command", err=True)
            yield broker.bootstrap_servers
    else:
        raise UnavailableError(
            f"No Kafka runs on {broker_folder(settings)}. Start one with `milepost broker`, or name one that runs with"
            " --bootstrap-servers HOST:PORT."
        )


def broker_folder(settings: Settings) -> Path:
    """Where the embedded broker keeps its data."""
    return settings.folder / "broker"


def start_broker(settings: Settings, *, port: int | None = None) -> EmbeddedBroker:
    """Starts the embedded broker, with a progress bar while Kafka is downloaded for the first time.

    Raises what EmbeddedBroker.start raises.
    """
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    # On standard error, so that a command's result can be piped; drawn from the first byte on, for there is often none.
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task(f"Apache Kafka {KAFKA_VERSION}, first time only")

    def show(_name: str, done_bytes: int, total_bytes: int) -> None:
        bar.start()
        bar.update(task, completed=done_bytes, total=total_bytes)

    try:
        return EmbeddedBroker.start(broker_folder(settings), settings.folder / "jars", port=port, progress=show)
    finally:
        bar.stop()
