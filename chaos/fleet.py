"""The workers under test: each in a process and a folder of its own, started again whenever it ends by itself."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import psutil

from agents.settings import Settings
from chaos import worker as worker_program

RESTART_S = 0.5
# What a worker may say when it ends by itself: messages of ours, and the watchdog's. Anything else is a defect.
_OURS = re.compile(r"^milepost: ", re.MULTILINE)
CRASHED = 137
"""The code of a process that ended at a crash point, or by kill -9 as a shell tells it."""


class Ended(msgspec.Struct, frozen=True):
    """A worker that ended although nobody told it to: its code, and the last that it said."""

    worker: str
    code: int
    said: str
    is_explained: bool


class Worker:
    """One worker, over all its processes."""

    def __init__(self, name: str, settings: Settings, environment: dict[str, str]) -> None:
        self.name = name
        self.folder = settings.folder
        self.disk = settings.worker_folder("accounts").parent
        self.is_wanted = False
        self.is_stopped = False  # by SIGSTOP
        self.rss = self.rss_max = 0
        self._settings = settings
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._began_at = 0
        self.log = settings.folder.with_suffix(".log")
        self.clock = settings.folder.with_suffix(".clock")

    def start(self, **more: str) -> None:
        """Starts a process unless one lives; `more` goes into its environment."""
        self.is_wanted = True
        if self.lives():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self._began_at = self.log.stat().st_size if self.log.exists() else 0
        environment = self._settings.as_environment() | self._environment | {"CHAOS_CLOCK": str(self.clock)} | more
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, worker_program.__file__, "worker"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
            )

    @property
    def pid(self) -> int:
        """Of its process, or of its last one; -1 before the first."""
        return -1 if self._process is None else self._process.pid

    def lives(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def send(self, number: int) -> None:
        """A signal to the process, if it lives."""
        if self.lives():
            assert self._process is not None
            self._process.send_signal(number)

    def kill(self) -> None:
        """kill -9, and waits for the end."""
        self.is_stopped = False
        self.send(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def terminate(self, patience_s: float) -> bool:
        """SIGTERM; whether it ended within the patience. Otherwise it is killed."""
        self.send(signal.SIGCONT)
        self.is_stopped = False
        self.send(signal.SIGTERM)
        if self._process is None:
            return True
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        return True

    def ended(self) -> Ended | None:
        """How the process ended by itself; None while it lives or is not wanted."""
        if self._process is None or not self.is_wanted or (code := self._process.poll()) is None:
            return None
        with self.log.open("rb") as log:
            log.seek(self._began_at)
            text = log.read().decode(errors="replace")
        ours = [line for line in text.splitlines() if _OURS.match(line)]
        last = ours[-1] if ours and code != 0 else "\n".join(text.strip().splitlines()[-12:])
        is_explained = bool(ours) or code in (0, -signal.SIGKILL, CRASHED)
        return Ended(self.name, code, last, is_explained)

    def note_memory(self) -> None:
        """Keeps the resident size, and the greatest seen, in bytes."""
        if self._process is not None and self.lives():
            try:
                self.rss = psutil.Process(self._process.pid).memory_info().rss
            except psutil.NoSuchProcess:
                return
            self.rss_max = max(self.rss_max, self.rss)


class Fleet:
    """All workers, and a thread that starts those again that ended by themselves."""

    def __init__(self, settings: Settings, environment: dict[str, str]) -> None:
        self._settings = settings
        self._environment = environment
        self.workers: dict[str, Worker] = {}
        self.endings: list[tuple[float, Ended]] = []
        self._is_over = threading.Event()
        self.turn = threading.RLock()  # held while processes are started, ended, or their folders changed
        self._thread = threading.Thread(target=self._look_after, daemon=True)

    def add(self, name: str) -> Worker:
        """A worker with a folder and an id of its own; not started."""
        own = self._settings.model_copy(update={"folder": self._settings.folder / name, "worker_id": name})
        worker = self.workers[name] = Worker(name, own, self._environment)
        return worker

    def watch(self) -> None:
        """Begins to look after them."""
        self._thread.start()

    def _look_after(self) -> None:
        while not self._is_over.wait(RESTART_S):
            for worker in list(self.workers.values()):
                with self.turn:
                    worker.note_memory()
                    ended = worker.ended()
                    if ended is not None and not self._is_over.is_set():
                        self.endings.append((time.monotonic(), ended))
                        worker.start()

    def living(self) -> list[Worker]:
        return [worker for worker in self.workers.values() if worker.lives() and not worker.is_stopped]

    def wanted(self) -> list[Worker]:
        return [worker for worker in self.workers.values() if worker.is_wanted]

    def disks(self) -> list[Path]:
        """Of each worker the folder that holds the state of its roles."""
        return [worker.disk for worker in self.workers.values()]

    def stop(self) -> None:
        """Ends all in an orderly way and stops looking after them."""
        self._is_over.set()
        self._thread.join()
        for worker in self.workers.values():
            worker.is_wanted = False
        for worker in self.workers.values():
            worker.terminate(40)


def copy_folder(source: Path, target: Path) -> None:
    """A copy of a worker's folder as it lies there, in place of what `target` was."""
    shutil.rmtree(target, ignore_errors=True)
    if source.exists():
        shutil.copytree(source, target, symlinks=True)


def milepost_path() -> dict[str, str]:
    """What a worker's process needs to find the sources."""
    return {"PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONUNBUFFERED": "1", "PATH": os.environ["PATH"]}
