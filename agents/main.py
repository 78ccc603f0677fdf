"""The command line: `milepost COMMAND`. Each command has a file of its own, imported when it is asked for."""

import importlib
import os
import sys
import threading
from typing import NoReturn

import click

from streams.errors import MilepostError
from streams.shown import shown_lines

MESSAGE_CHARACTERS_MAX = 20_000

# A file may hold several: `module:name`.
MODULE_BY_COMMAND = {
    "broker": "agents.commands.broker",
    "topics": "agents.commands.topics",
    "definitions": "agents.commands.definitions",
    "destinations": "agents.commands.destinations",
    "deliveries": "agents.commands.deliveries",
    "worker": "agents.commands.worker",
    "import": "agents.commands.import_file",
    "generate": "agents.commands.generate",
    "dead-letters": "agents.commands.dead_letters",
    "analyze": "agents.commands.analyze",
    "snapshot": "agents.commands.snapshot",
    "milestones": "agents.commands.milestones",
    "audiences": "agents.commands.audiences",
    "why": "agents.commands.why",
    "account": "agents.commands.story:account",
    "opportunity": "agents.commands.story:opportunity",
    "group": "agents.commands.story:group",
    "person": "agents.commands.story:person",
    "erase": "agents.commands.erase",
    "check": "agents.commands.check",
    "demo": "agents.commands.demo",
    "schemas": "agents.commands.schemas",
}


class LazyGroup(click.Group):
    """Imports a command's module when it runs, so that `milepost --help` answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(MODULE_BY_COMMAND)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        module = MODULE_BY_COMMAND.get(name)
        if module is None:
            return None
        path, _, name = module.partition(":")
        command = getattr(importlib.import_module(path), name or "command")
        assert isinstance(command, click.Command)
        return command


@click.group(cls=LazyGroup)
@click.version_option(package_name="milepost")
def cli() -> None:
    """Exact, live B2B journey analytics on Kafka."""


def main() -> None:
    """Runs a command; an error of ours is printed in one line, any other with its traceback, and exits with 1."""
    try:
        cli()
    except MilepostError as error:
        _fail(shown_lines(str(error), MESSAGE_CHARACTERS_MAX))
    except SystemExit as ended:
        _exit(ended.code if isinstance(ended.code, int) else int(ended.code is not None))
    except Exception as error:  # noqa: BLE001  (it ends the process)
        if isinstance(error, OSError) and error.filename is not None:
            _fail(f"{error.filename}: {error.strerror}")
        sys.excepthook(*sys.exc_info())
        _exit(1)


def _fail(text: str) -> NoReturn:
    click.echo(f"milepost: {text}", err=True)
    _exit(1)


def _exit(code: int) -> NoReturn:
    """Ends the process. Threads of Kafka's clients may be anywhere in C code: where some are left, the interpreter does
    not take itself apart under them."""
    if any(thread.daemon for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
