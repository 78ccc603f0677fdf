"""Workers that work off what is in their topics, and what it takes them, read from their metrics and their processes.

What is counted is the middle of a run: from the last look at which at most a tenth was done, to the first at which all
was. Start and assignment are not in it.
"""

import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import msgspec
import psutil
from prometheus_client.parser import text_string_to_metric_families

from agents.pipeline import Workers
from agents.settings import Settings
from bench.arena import Arena
from streams.broker import free_ports

APPLIED = "milepost_applied_records_total"
INGESTED = "milepost_ingested_records_total"
READY = "milepost_ready"
STEPS = ("compute", "append", "store", "publish")
LOOK_S = 0.1
SILENCE_S_MAX = 90.0
WARM_UP = 0.1

Metrics = dict[str, float]


class Look(NamedTuple):
    """at_s: time.monotonic. done: events so far. Seconds of the processor: the workers', the broker's."""

    at_s: float
    done: float
    cpu_s: float
    broker_cpu_s: float


class Run(msgspec.Struct, frozen=True):
    """A run from `begin` to `end`. metrics: sums over all workers at the end. rss_bytes: of all together, at most."""

    begin: Look
    end: Look
    metrics: Metrics
    rss_bytes: int

    @property
    def events(self) -> float:
        """How many are counted."""
        return max(1.0, self.end.done - self.begin.done)

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / max(1e-9, self.end.at_s - self.begin.at_s)

    @property
    def cpu_us(self) -> float:
        """Microseconds of the workers' processor time an event."""
        return 1e6 * (self.end.cpu_s - self.begin.cpu_s) / self.events

    @property
    def broker_us(self) -> float:
        """The same of the broker."""
        return 1e6 * (self.end.broker_cpu_s - self.begin.broker_cpu_s) / self.events

    @property
    def step_us(self) -> dict[str, float]:
        """Microseconds by the clock an event by step of the commits; nothing for a role without commits."""
        sums = {step: self.metrics.get(f'milepost_commit_seconds_sum{{step="{step}"}}', 0.0) for step in STEPS}
        if not any(sums.values()):
            return {}
        return {step: 1e6 * seconds / max(1.0, self.end.done) for step, seconds in sums.items()}


def run_of(looks: Sequence[Look], total: float, metrics: Metrics, rss_bytes: int) -> Run:
    """The run that the looks saw, the last of which saw the end."""
    begin = [look for look in looks if look.done <= WARM_UP * total][-1]
    return Run(begin, looks[-1], metrics, rss_bytes)


class Team:
    """Workers of one set of roles each, as processes of their own with a folder, id and metrics of their own."""

    def __init__(self, arena: Arena, roles: Sequence[Sequence[str]], settings: Settings) -> None:
        """settings: of all, but for what is a worker's own."""
        self._arena = arena
        self.settings = [
            settings.model_copy(
                update={"worker_id": str(n), "metrics_port": port, "folder": settings.folder / f"worker-{n}"}
            )
            for n, port in enumerate(free_ports(len(roles)))
        ]
        self._workers = [Workers(own, arena.bootstrap, [each]) for own, each in zip(self.settings, roles, strict=True)]
        self._metrics: list[Metrics] = [{} for _ in roles]
        self.rss_bytes = 0

    @property
    def pids(self) -> list[int]:
        return [pid for workers in self._workers for pid in workers.pids]

    @contextmanager
    def running(self) -> Iterator[None]:
        """From start to an orderly end."""
        try:
            for workers in self._workers:
                workers.start()
            yield
        finally:
            for workers in self._workers:
                workers.stop()

    def require_running(self) -> None:
        """Raises WorkerError when one has ended."""
        for workers in self._workers:
            workers.require_running()

    def metrics(self) -> Metrics:
        """The sums over all workers; of one that does not answer now, what it said last."""
        self._metrics = [_metrics(own) or before for own, before in zip(self.settings, self._metrics, strict=True)]
        found: Metrics = {}
        for each in self._metrics:
            for name, value in each.items():
                found[name] = found.get(name, 0.0) + value
        return found

    def look(self, counter: str) -> tuple[Look, Metrics]:
        """How far they are by a counter, now."""
        self.require_running()
        metrics = self.metrics()
        done = sum(value for name, value in metrics.items() if name.startswith(counter))
        processes = [psutil.Process(pid) for pid in self.pids]
        self.rss_bytes = max(self.rss_bytes, sum(int(process.memory_info().rss) for process in processes))
        times = [process.cpu_times() for process in processes]
        cpu_s = sum(each.user + each.system for each in times)
        return Look(time.monotonic(), done, cpu_s, self._arena.broker_cpu_s), metrics

    def await_done(self, counter: str, total: int, begin: Look | None = None) -> Run:
        """Waits until the counter says that all is done. Raises RuntimeError when it stands still.

        begin: a look from before, where they began at once.
        """
        seen, moved_at = [] if begin is None else [begin], time.monotonic()
        while True:
            look, metrics = self.look(counter)
            if not seen or look.done > seen[-1].done:
                moved_at = look.at_s
            seen.append(look)
            if look.done >= total:
                return run_of(seen, total, metrics, self.rss_bytes)
            if look.at_s - moved_at > SILENCE_S_MAX:
                raise RuntimeError(f"{counter} stands at {look.done:,.0f} of {total:,} for {SILENCE_S_MAX:.0f} s")
            time.sleep(LOOK_S)

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Stops them where they are; nobody else notices for as long as the session lasts."""
        processes = [psutil.Process(pid) for pid in self.pids]
        try:
            for process in processes:
                process.suspend()
            yield
        finally:
            for process in processes:
                process.resume()


def work_off(arena: Arena, role: str, counter: str, total: int) -> Run:
    """One worker, on topics that are full, until its counter says that all is done."""
    team = Team(arena, [[role]], arena.settings)
    with team.running():
        return team.await_done(counter, total)


def _metrics(settings: Settings) -> Metrics:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{settings.metrics_port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        return {}
    return {
        sample.name + "".join(f'{{{key}="{value}"}}' for key, value in sample.labels.items()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
