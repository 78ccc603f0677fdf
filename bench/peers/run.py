"""One run of one contender: started on a topic that is full, watched until everything is visible, ended, compared."""

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import IO, Any

import msgspec
from kafka import KafkaAdminClient

from bench.peers.contenders import ROOT, Contender
from bench.peers.expected import Result
from bench.peers.job import PARTITIONS, Place
from bench.peers.observer import LOOK_S, Look, Looks, Output
from streams.broker import EmbeddedBroker

QUIET_S = 3.0
"""The output is read when it stood still for so long; until then nobody but the contender works."""
SILENCE_S_MAX = 90.0
END_S_MAX = 30.0
MEASURED_S_MIN = 2.0
"""Less is no rate: commits and batches are a part of it that is not small."""
_LINES_SHOWN = 30
TOPIC_CONFIG = {"retention.ms": "-1", "message.timestamp.type": "LogAppendTime"}


class RunError(Exception):
    """A contender ended by itself, stood still, or had another result than was expected: it has no rate."""


class Run(msgspec.Struct, frozen=True):
    """What one run took. Rate and processors' time are those from the end of the warm-up to the last event visible;
    None where that was less than MEASURED_S_MIN.

    start_s: from the start of the process to the first output visible.
    """

    contender: str
    repeat: int
    rate: float | None
    measured_events: int
    measured_s: float
    start_s: float
    cpu_us: float | None
    broker_cpu_us: float | None
    rss_mib: int
    output_records: int


class World(msgspec.Struct, frozen=True):
    """What all runs share: the broker, the topic of events and what must come of them. warm_up: share of the events
    before measuring."""

    broker: EmbeddedBroker
    folder: Path
    source: str
    events: int
    expected: Result
    warm_up: float


def make_topics(bootstrap: str, config_by_topic: dict[str, dict[str, str]]) -> None:
    """Makes topics of PARTITIONS partitions."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        admin.create_topics(
            {
                topic: {"num_partitions": PARTITIONS, "replication_factor": 1, "configs": config}
                for topic, config in config_by_topic.items()
            }
        )
        admin.wait_for_topics(list(config_by_topic))
    finally:
        admin.close()


def measured(world: World, contender: Contender, repeat: int) -> Run:
    """Runs it. Raises RunError."""
    bootstrap = world.broker.bootstrap_servers
    name = f"{contender.name}-{repeat}"
    folder = world.folder / name
    folder.mkdir()
    place = Place(bootstrap, world.source, f"{name}-output", name, str(folder))
    make_topics(bootstrap, {place.output: TOPIC_CONFIG, **contender.topics(place)})
    output = Output(bootstrap, place.output)
    try:
        began_s, looks = _watched(world, contender, place, output)
        require_equal(world.expected, output.newest, contender.title)
    finally:
        _clear(bootstrap, name)
        shutil.rmtree(folder)
    marks = world.warm_up * world.events, world.events
    return run_of(contender.name, repeat, marks, began_s, looks, output)


def _watched(world: World, contender: Contender, place: Place, output: Output) -> tuple[float, list[Look]]:
    log = world.folder / f"{place.name}.log"
    with log.open("wb") as out:
        began_s = time.monotonic()
        workers = [_started(contender.command(place), number, out) for number in range(contender.workers)]
    try:
        pids = [worker.pid for worker in workers]
        with closing(Looks(place.bootstrap, place.output, pids, world.broker.pid)) as looks:
            _watch(world, looks, output, workers)
    except RunError as error:
        lines = log.read_text(errors="replace").splitlines()[-_LINES_SHOWN:]
        raise RunError(f"{contender.title}: {error}; its log ends with:\n" + "\n".join(lines)) from error
    finally:
        _end(workers)
    return began_s, looks.all


def _started(command: Sequence[str], number: int, out: IO[bytes]) -> subprocess.Popen[bytes]:
    environment = os.environ | {"MILEPOST_WORKER_ID": str(number)}
    return subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, env=environment)


def _watch(world: World, looks: Looks, output: Output, workers: Sequence[subprocess.Popen[bytes]]) -> None:
    """Returns when all events are visible. Raises RunError."""
    read_s = moved_s = time.monotonic()
    ends: tuple[int, ...] = ()
    while True:
        for worker in workers:
            if worker.poll() is not None:
                raise RunError(f"it ended with code {worker.returncode}")
        look = looks.look()
        if look.ends != ends:
            ends, moved_s = look.ends, look.at_s
        elif any(ends) and read_s < moved_s < look.at_s - QUIET_S:
            output.read(ends)
            read_s = time.monotonic()
            # Whoever goes on meanwhile may be read further than it was looked at; when it was done says the next look.
            if output.event_count_at(ends) >= world.events:
                return
        elif look.at_s - moved_s > SILENCE_S_MAX:
            raise RunError(f"{output.event_count:,} of {world.events:,} events are visible, and nothing moves")
        time.sleep(LOOK_S)


def _end(workers: Sequence[subprocess.Popen[bytes]]) -> None:
    for worker in workers:
        worker.terminate()
    for worker in workers:
        try:
            worker.wait(END_S_MAX)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()


def _clear(bootstrap: str, name: str) -> None:
    """Deletes the topics of a run, so that the next one has the page cache and the disk for itself."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        admin.delete_topics([topic for topic in admin.list_topics() if name in topic])
    finally:
        admin.close()


def require_equal(expected: Result, newest: dict[bytes, bytes], who: str) -> None:
    """Raises RunError unless the newest states are the expected ones; a tag beside one is not looked at."""
    found: Result = {key.decode(): _without_tag(msgspec.json.decode(value)) for key, value in newest.items()}
    if found != expected:
        wrong = [account for account in expected.keys() | found if expected.get(account) != found.get(account)]
        shown = min(wrong)
        raise RunError(
            f"{who}: {len(wrong):,} of {len(expected):,} accounts are not as expected; {shown} is {found.get(shown)},"
            f" expected is {expected.get(shown)}"
        )


def _without_tag(state: dict[str, Any]) -> dict[str, Any]:
    state.pop("tag", None)
    return state


def run_of(
    contender: str, repeat: int, marks: tuple[float, int], began_s: float, looks: Sequence[Look], output: Output
) -> Run:
    """What the looks say, now that it is known what lay behind them. marks: the events from which on and to which is
    measured."""
    counts = [output.event_count_at(look.ends) for look in looks]
    first = next(look for look, count in zip(looks, counts, strict=True) if count > 0)
    begin, end = (next(number for number, count in enumerate(counts) if count >= mark) for mark in marks)
    events, took_s = counts[end] - counts[begin], looks[end].at_s - looks[begin].at_s
    is_long = took_s >= MEASURED_S_MIN

    def us_per_event(begin_s: float, end_s: float) -> float | None:
        return 1e6 * (end_s - begin_s) / events if is_long else None

    return Run(
        contender=contender,
        repeat=repeat,
        rate=events / took_s if is_long else None,
        measured_events=events,
        measured_s=took_s,
        start_s=first.at_s - began_s,
        cpu_us=us_per_event(looks[begin].cpu_s, looks[end].cpu_s),
        broker_cpu_us=us_per_event(looks[begin].broker_cpu_s, looks[end].broker_cpu_s),
        rss_mib=max(look.rss_bytes for look in looks) >> 20,
        output_records=output.record_count,
    )
