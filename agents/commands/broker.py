"""`milepost broker`: the embedded Kafka in the foreground, until it is told to stop."""

import signal
import threading
from types import FrameType

import click

from agents.connection import broker_folder, start_broker, with_settings
from agents.settings import Settings
from streams.errors import UnavailableError


@click.command()
@with_settings
@click.option("--port", type=click.IntRange(1, 65535), help="Where it listens; a free port, or that of its last run.")
def command(settings: Settings, port: int | None) -> None:
    """Run a real Kafka on this machine, its data in FOLDER/broker, until Ctrl-C or SIGTERM."""
    ended = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        ended.set()

    with start_broker(settings, port=port) as broker:
        for ending in (signal.SIGINT, signal.SIGTERM):
            signal.signal(ending, end)
        click.echo(f"Kafka runs at {broker.bootstrap_servers} (pid {broker.pid}, data in {broker_folder(settings)}).")
        click.echo(
            "Next, in another terminal: milepost topics create. Commands on the same folder find it by themselves."
        )
        click.echo(f"Other programs: --bootstrap-servers {broker.bootstrap_servers}. Ctrl-C stops it.")
        while broker.is_running() and not ended.wait(0.2):
            pass
        if not ended.is_set():
            raise UnavailableError(
                f"The embedded Kafka ended by itself; {broker_folder(settings)}/broker.log says why."
            )
    click.echo("Kafka has stopped; its data is kept.")
