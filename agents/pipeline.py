"""A pipeline of one's own for `demo` and `analyze`: a Kafka, the topics, the definitions, and workers as children."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from agents.connection import connect
from agents.defining import apply_definitions
from agents.settings import Settings
from state.definitions import DefinitionFile
from streams.admin import create_topics, delete_topics
from streams.errors import MilepostError

# accounts computes without pause, so it has a process, and with two cores a core, of its own.
PROCESSES = (("accounts",), ("ingest", "snapshots"))
_STOP_S_MAX = 40.0
_LINES_SHOWN = 12
_SAID = "milepost: "  # what an error of ours begins with, in the last lines of a log


class WorkerError(MilepostError):
    """A worker ended although nobody told it to."""


class Workers:
    """Worker processes that end with this one, however it ends: they watch their standard input."""

    def __init__(self, settings: Settings, bootstrap: str, processes: Sequence[Sequence[str]] = PROCESSES) -> None:
        """processes: the roles of each."""
        self._processes = processes
        self._settings = settings.model_copy(update={"bootstrap_servers": bootstrap})
        self._running: list[tuple[subprocess.Popen[bytes], Path]] = []

    def start(self) -> None:
        """Starts a process per set of roles; each writes a log into the settings' folder."""
        logs = self._settings.folder / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        for roles in self._processes:
            log = logs / f"{'-'.join(roles)}.log"
            with log.open("wb") as out:
                self._running.append((self._spawn(roles, out), log))

    def _spawn(self, roles: Sequence[str], out: IO[bytes]) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "agents.main", "worker", "--roles", ",".join(roles), "--while-stdin"]
        environment = self._settings.as_environment()
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT, env=environment)

    @property
    def pids(self) -> list[int]:
        """The process ids, in the order of the processes."""
        return [process.pid for process, _ in self._running]

    def require_running(self) -> None:
        """Raises WorkerError with the end of the log of one that ended."""
        for process, log in self._running:
            code = process.poll()
            if code is not None:
                lines = log.read_text(errors="replace").strip().splitlines()
                said = [number for number, line in enumerate(lines) if line.startswith(_SAID)]
                raise WorkerError(
                    "\n".join(lines[said[-1] :]).removeprefix(_SAID)
                    if said
                    else f"a worker ended with code {code}; the end of {log}:\n" + "\n".join(lines[-_LINES_SHOWN:])
                )

    def stop(self) -> None:
        """Ends them in order: what is in hand is finished first."""
        for process, _ in self._running:
            process.terminate()
        deadline = time.monotonic() + _STOP_S_MAX
        for process, _ in self._running:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin is not None:
                process.stdin.close()
        self._running.clear()


@contextmanager
def own_kafka(settings: Settings, jars: Path) -> Iterator[str]:
    """The Kafka that the settings name, or one on the settings' own folder, with all topics.

    Of a Kafka that was named the topics are deleted in the end; the prefix is one that nobody else has.
    """
    (settings.folder).mkdir(parents=True, exist_ok=True)
    if settings.bootstrap_servers is None and not (settings.folder / "jars").exists():
        # A folder of its own for data; the download is shared.
        jars.mkdir(parents=True, exist_ok=True)
        (settings.folder / "jars").symlink_to(jars, target_is_directory=True)
    with connect(settings) as bootstrap:
        create_topics(bootstrap, settings.prefix, settings.generation, settings.partitions, settings.replication)
        try:
            yield bootstrap
        finally:
            if settings.bootstrap_servers is not None:
                delete_topics(bootstrap, settings.prefix, settings.generation)


@contextmanager
def workers_with(definitions: DefinitionFile, bootstrap: str, settings: Settings) -> Iterator[Workers]:
    """Workers that compute `definitions`, which are published first."""
    apply_definitions(definitions, bootstrap, settings, int(time.time() * 1000))
    workers = Workers(settings, bootstrap)
    workers.start()
    try:
        yield workers
    finally:
        workers.stop()
