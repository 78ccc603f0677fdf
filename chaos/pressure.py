"""`make chaos-pressure`: ten times the normal rate for minutes. Nothing is lost, memory stays flat, the lag goes away.

A real broker, two workers with the product's own settings. Events come at the normal rate, then at a multiple of it for
`--minutes`, then at the normal rate again until the workers have caught up. Then all that came must be in, and right.
"""

import argparse
import asyncio
import concurrent.futures
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import msgspec
import psutil
from rich.console import Console

from agents.checking import run_check
from agents.commands.demo import everyday_definitions
from agents.completion import Completion, waiting_counts
from agents.defining import apply_definitions, load_definitions
from agents.generating import generate_to_kafka
from agents.live_snapshots import published_snapshots
from agents.reading import read_definitions
from agents.settings import Settings
from chaos.fleet import Fleet, milepost_path
from chaos.invariants import disk_findings, findings
from chaos.run import RSS_BYTES_MAX
from chaos.world import END_MS
from generator.plan import GeneratorPlan
from generator.rhythm import DAY_MS
from streams.admin import create_topics, end_offsets
from streams.broker import EmbeddedBroker
from streams.snapshot import Snapshot
from streams.topics import topic_name

SAMPLE_S = 5.0
START_S = 180.0
NORMAL_S = 30.0
GONE_S = 5.0
"""The lag is gone when it is what comes in so many seconds at the normal rate: events are always on their way."""
COMPLETE_S = 300.0
JUDGE_BYTES_MAX = 8 * 2**30
"""Of address space, for the processes that read everything again: the machine is shared."""


class Sample(msgspec.Struct, frozen=True):
    """One look. sent: records in the sources. unread: of them, not read by ingest. behind: touchpoints that no snapshot
    contains (an analysis that does not change is published more seldom); applied: those that the newest does.
    snapshot_s: age of the newest snapshot. load: of the whole machine, over the last minute."""

    at_s: float
    phase: str
    sent: int
    unread: int
    behind: int
    applied: int
    rss_mib: dict[str, int]
    broker_mib: int
    snapshot_s: float | None
    load: float

    @property
    def lag(self) -> int:
        """Records that are not in the numbers yet, at whichever stage."""
        return self.unread + self.behind


class Report(msgspec.Struct):
    """What the run showed. violations: in words; empty when all held."""

    wanted: dict[str, Any]
    machine: str
    violations: list[str]
    samples: list[Sample]
    rate_by_phase: dict[str, float]
    lag_max: int = 0
    catch_up_s: float | None = None
    rss_mib_max: dict[str, int] = {}
    judged: dict[str, dict[str, Any]] = {}


class Feed:
    """Events at a rate that changes, each phase with a plan of its own, on a thread."""

    def __init__(self, bootstrap: str, settings: Settings, accounts: int) -> None:
        self._bootstrap, self._settings, self._accounts = bootstrap, settings, accounts
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._sending: concurrent.futures.Future[Any] | None = None
        self._seed = 0

    def begin(self, rate: float, seconds: float) -> None:
        """Sends so much at this rate, after whatever it sent before was sent or stopped."""
        self._seed += 1
        plan = GeneratorPlan(
            events=max(int(rate * seconds), 5 * self._accounts), accounts=self._accounts, seed=self._seed,
            start_ms=END_MS - 730 * DAY_MS, end_ms=END_MS,
        )  # fmt: skip
        sending = generate_to_kafka(plan, self._bootstrap, self._settings, rate=rate)
        self._sending = asyncio.run_coroutine_threadsafe(sending, self._loop)

    def check(self) -> None:
        """Raises what ended the sending before it was stopped."""
        assert self._sending is not None
        if self._sending.done():
            self._sending.result()

    def stop(self) -> None:
        """Sends nothing more. A piece on its way may be in the sources or not: what they hold is the truth."""
        if self._sending is not None:
            self._sending.cancel()
            concurrent.futures.wait([self._sending])
        # The cancellation has to go through the producer, and through nothing that comes behind it.
        asyncio.run_coroutine_threadsafe(asyncio.sleep(1.0), self._loop).result()


class Look:
    """What can be seen from outside, every SAMPLE_S; printed and kept."""

    def __init__(self, bootstrap: str, settings: Settings, fleet: Fleet, broker_pid: int, console: Console) -> None:
        self._bootstrap, self._settings, self._fleet, self._console = bootstrap, settings, fleet, console
        self._broker = psutil.Process(broker_pid)
        self._began = time.monotonic()
        self.newest: Mapping[str, Snapshot] = {}
        self._newest_at: float | None = None
        self._is_over = False
        self.samples: list[Sample] = []
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        counter = -1
        for snapshots in published_snapshots(self._bootstrap, self._settings):
            if self._is_over:
                return
            self.newest = dict(snapshots)
            last = max((each.tag.counter for each in snapshots.values() if each.tag is not None), default=-1)
            if last != counter:
                counter, self._newest_at = last, time.monotonic()

    def end(self) -> None:
        """Looks no more; the broker must still be there."""
        self._is_over = True
        self._thread.join()

    def take(self, phase: str) -> Sample:
        """A sample."""
        applied: dict[int, int] = {}
        for snapshot in self.newest.values():
            for place, offset in snapshot.applied.items():
                applied[int(place)] = max(offset, applied.get(int(place), -1))
        unread, behind = waiting_counts(self._bootstrap, self._settings, applied)
        sent = sum(source_ends(self._bootstrap, self._settings).values())
        now = time.monotonic()
        sample = Sample(
            at_s=round(now - self._began, 1),
            phase=phase,
            sent=sent,
            unread=unread,
            behind=behind,
            applied=sum(offset + 1 for offset in applied.values()),
            rss_mib={worker.name: worker.rss >> 20 for worker in self._fleet.workers.values()},
            broker_mib=self._broker.memory_info().rss >> 20,
            snapshot_s=None if self._newest_at is None else round(max(0.0, now - self._newest_at), 1),
            load=round(os.getloadavg()[0], 1),
        )
        self.samples.append(sample)
        memory = ", ".join(f"{name} {size}" for name, size in sample.rss_mib.items())
        self._console.print(
            f"{sample.at_s:7.1f} s  {phase:8} sent {sample.sent:>9,}  applied {sample.applied:>9,}  lag"
            f" {sample.lag:>9,} (ingest {unread:,}, accounts {behind:,})  MiB: {memory}, broker {sample.broker_mib}"
            f"  snapshot {sample.snapshot_s} s old  load {sample.load}",
            highlight=False,
            soft_wrap=True,
        )
        return sample


def source_ends(bootstrap: str, settings: Settings) -> dict[tuple[str, int], int]:
    """Where the sources end, by topic and partition."""
    topics = [topic_name(name, settings.prefix, settings.generation) for name in ("crm-events", "web-events")]
    return {(topic, place): end for topic in topics for place, end in end_offsets(bootstrap, topic).items()}


def main() -> int:
    """Returns 1 when anything was violated."""
    arguments = argparse.ArgumentParser(prog="python -m chaos.pressure", description=__doc__)
    arguments.add_argument("--minutes", type=float, default=10.0, help="for how long the pressure lasts")
    arguments.add_argument("--rate", type=float, default=1_000.0, help="events per second when all is normal")
    arguments.add_argument("--times", type=float, default=10.0, help="what the rate is multiplied with")
    arguments.add_argument("--accounts", type=int, default=20_000)
    arguments.add_argument("--patience", type=float, default=1_800.0, help="seconds in which the lag must go away")
    arguments.add_argument("--report", type=Path, help="a file for all samples and figures, as JSON")
    wanted = arguments.parse_args()
    console = Console(width=200)
    machine = f"{psutil.cpu_count()} cores, {psutil.virtual_memory().total >> 30} GiB"
    report = Report(vars(wanted) | {"report": str(wanted.report)}, machine, [], [], {})
    folder = Path(tempfile.mkdtemp(prefix="milepost-pressure-"))
    try:
        with EmbeddedBroker.start(folder / "broker", Settings().folder / "jars") as broker:
            _run(folder, broker, wanted, report, console)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if wanted.report:
            wanted.report.write_bytes(msgspec.json.encode(report))
    _print(report, console)
    return int(bool(report.violations))


def _run(folder: Path, broker: EmbeddedBroker, wanted: argparse.Namespace, report: Report, console: Console) -> None:
    bootstrap = broker.bootstrap_servers
    settings = Settings(folder=folder / "workers", prefix="pressure", bootstrap_servers=bootstrap)
    create_topics(bootstrap, settings.prefix, 0, settings.partitions, settings.replication)
    apply_definitions(load_definitions(everyday_definitions()), bootstrap, settings, END_MS)
    fleet = Fleet(settings, milepost_path())
    feed = Feed(bootstrap, settings, wanted.accounts)
    try:
        for number in range(2):
            fleet.add(f"w{number}").start()
        fleet.watch()
        look = Look(bootstrap, settings, fleet, broker.pid, console)
        report.samples = look.samples
        is_in = _press(feed, look, wanted, report) and _is_complete(bootstrap, settings, look, report)
        look.end()
    finally:
        feed.stop()
        report.violations += [f"{each.worker} ended with {each.code}: {each.said}" for _, each in fleet.endings]
        fleet.stop()
    report.rss_mib_max = {worker.name: worker.rss_max >> 20 for worker in fleet.workers.values()}
    for name, size in report.rss_mib_max.items():
        if size << 20 > RSS_BYTES_MAX:
            report.violations.append(f"{name} used {size} MiB")
    if is_in:
        _judge(report, console, bootstrap, settings, fleet.disks(), folder / "scratch")


def _press(feed: Feed, look: Look, wanted: argparse.Namespace, report: Report) -> bool:
    """The three phases; whether the lag went away."""
    high = wanted.rate * wanted.times
    lag_max = wanted.rate * GONE_S
    feed.begin(wanted.rate, START_S + NORMAL_S + 60)
    # Workers take a moment to start; what came meanwhile is worked off before anything is measured.
    if not _sample(feed, look, "start", START_S, lambda sample: sample.applied > 0 and sample.lag <= lag_max):
        report.violations.append(f"no result that keeps up with {wanted.rate:g} events/s after {START_S:g} s")
        return False
    _phase(feed, look, report, "normal", NORMAL_S)
    feed.stop()
    feed.begin(high, wanted.minutes * 60 + 60)
    _phase(feed, look, report, "pressure", wanted.minutes * 60)
    feed.stop()
    feed.begin(wanted.rate, wanted.patience + 60)
    began = time.monotonic()
    if not _sample(feed, look, "after", wanted.patience, lambda sample: sample.lag <= lag_max):
        report.violations.append(f"a lag of {look.samples[-1].lag:,} is left {wanted.patience:g} s after the pressure")
        return False
    report.catch_up_s = round(time.monotonic() - began, 1)
    report.lag_max = max(sample.lag for sample in look.samples)
    feed.stop()
    if report.rate_by_phase["pressure"] < 0.9 * high:
        report.violations.append(f"only {report.rate_by_phase['pressure']:,.0f} events/s were sent, not {high:,.0f}")
    return True


def _phase(feed: Feed, look: Look, report: Report, name: str, seconds: float) -> None:
    """Looks on for so long, and notes what rate was reached."""
    first, began = look.take(name), time.monotonic()
    _sample(feed, look, name, seconds, lambda _: False)
    report.rate_by_phase[name] = round((look.samples[-1].sent - first.sent) / (time.monotonic() - began), 1)


def _sample(feed: Feed, look: Look, phase: str, seconds: float, is_over: Callable[[Sample], bool]) -> bool:
    """Looks every SAMPLE_S; whether it was over before the time was."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        time.sleep(min(SAMPLE_S, left))
        feed.check()
        if is_over(look.take(phase)):
            return True
    return False


def _is_complete(bootstrap: str, settings: Settings, look: Look, report: Report) -> bool:
    """Whether all that was sent comes into the snapshots."""
    completion = Completion(bootstrap, settings, read_definitions(bootstrap, settings))
    completion.expect({place: end for place, end in source_ends(bootstrap, settings).items() if end})
    deadline = time.monotonic() + COMPLETE_S
    while not completion.is_reached(look.newest):
        if time.monotonic() > deadline:
            report.violations.append(f"not complete after {COMPLETE_S:g} s; a lag of {look.take('end').lag:,} is left")
            return False
        time.sleep(0.2)
    look.take("end")
    return True


# --- judged behind it, each in a process of its own, so that its memory can be told and bounded

Judge = Callable[[str, Settings, list[Path], Path], tuple[dict[str, int], list[str]]]


def _judge(report: Report, console: Console, *where: Any) -> None:
    began = time.monotonic()
    with concurrent.futures.ProcessPoolExecutor(3, multiprocessing.get_context("spawn")) as pool:
        judging = {pool.submit(_bounded, judge, *where): name for name, judge in JUDGES.items()}
        for judged in concurrent.futures.as_completed(judging):
            name = judging[judged]
            try:
                figures, violations = judged.result()
            except (MemoryError, BrokenProcessPool) as error:
                figures, violations = {}, [f"{name}: not judged within {JUDGE_BYTES_MAX >> 30} GiB ({error!r})"]
            report.judged[name] = figures | {"took_s": round(time.monotonic() - began, 1), "found": len(violations)}
            report.violations += violations
            console.print(f"{name}: {report.judged[name]}", highlight=False, soft_wrap=True)


def _bounded(judge: Judge, *where: Any) -> tuple[dict[str, int], list[str]]:
    resource.setrlimit(resource.RLIMIT_AS, (JUDGE_BYTES_MAX, JUDGE_BYTES_MAX))
    figures, violations = judge(*where)
    return figures | {"rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10}, violations


def _check(bootstrap: str, settings: Settings, _: list[Path], __: Path) -> tuple[dict[str, int], list[str]]:
    try:
        report = run_check(bootstrap, settings)
    except duckdb.OutOfMemoryException as error:
        raise MemoryError(str(error)) from error
    wrong = [f"check {each.analysis}: {found}" for each in report.analyses for found in each.differences[:5]]
    return {"touchpoints": report.touchpoint_count, "cells": report.cell_count}, wrong


def _topics(bootstrap: str, settings: Settings, _: list[Path], __: Path) -> tuple[dict[str, int], list[str]]:
    return {}, list(findings(bootstrap, settings))


def _disks(bootstrap: str, settings: Settings, folders: list[Path], scratch: Path) -> tuple[dict[str, int], list[str]]:
    return {}, list(disk_findings(bootstrap, settings, folders, scratch))


JUDGES: dict[str, Judge] = {"check": _check, "topics": _topics, "disks": _disks}


def _print(report: Report, console: Console) -> None:
    for text in report.violations:
        console.print(f"    VIOLATED {text[:3000]}", highlight=False, markup=False)
    rates = ", ".join(f"{phase} {rate:,.0f} events/s" for phase, rate in report.rate_by_phase.items())
    early, late = _memory(report)
    console.print(
        f"{'VIOLATED' if report.violations else 'holds'}: sent {rates}; a lag of {report.lag_max:,} at most, gone"
        f" {report.catch_up_s} s after; a worker at most {max(report.rss_mib_max.values(), default=0)} MiB,"
        f" {early:.0f} MiB at the median in the first third of the pressure, {late:.0f} in the last; {report.machine}",
        highlight=False,
        soft_wrap=True,
    )


def _memory(report: Report) -> tuple[float, float]:
    """The greater worker's memory, at the median, in the first and the last third of the pressure."""
    sizes = [max(each.rss_mib.values()) for each in report.samples if each.phase == "pressure" and each.rss_mib]
    third = max(1, len(sizes) // 3)
    return (median(sizes[:third]), median(sizes[-third:])) if sizes else (0.0, 0.0)


if __name__ == "__main__":
    sys.exit(main())
