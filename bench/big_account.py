"""`make bench-big-account`: an account of a million touchpoints among others, and how long the others wait meanwhile.

Others send at a steady rate all the time. Beside them the account's touchpoints come in order, at a higher one; then
some that are late, anywhere in its past; then one before its first day, which changes all of its past. How long a
touchpoint waited is read from the topics afterwards: from its append to that of the partials which contain it.
"""

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
from rich.console import Console
from rich.table import Table

from agents.checking import run_check
from agents.commands.demo import everyday_definitions
from agents.completion import committed_offsets
from agents.defining import apply_definitions, load_definitions
from agents.pipeline import Workers
from agents.reading import read_topic
from agents.settings import Settings
from bench.events import DAY_MS, END_MS
from bench.world import settings_of
from streams.admin import create_topics, end_offsets
from streams.broker import EmbeddedBroker
from streams.bulk_producer import BulkProducer
from streams.partials import COVERS_KEY, decode_covers
from streams.partitioning import partition_of
from streams.topics import topic_name
from streams.touchpoint import Touchpoint, encode_touchpoint

GIANT = "giant"
TYPES = (
    "Page View",
    "Page View",
    "Page View",
    "Lead Form Step 1",
    "MQL Qualified",
    "Opportunity Created",
    "Closed-Won",
)
CONTENT_TYPES = ("blog", "webinar", "case study", "pricing")
ALONE_S = 20.0
PIECE = 500
STEP_S = 0.05
LATE_COUNT = 200
SETTLE_S_MAX = 900.0


class Phase(msgspec.Struct):
    """From when to when something came, as append times in milliseconds."""

    name: str
    from_ms: int
    to_ms: int = 0


def main() -> int:
    """Measures and prints; returns 1 when a number is not right in the end."""
    arguments = argparse.ArgumentParser(prog="python -m bench.big_account", description=__doc__)
    arguments.add_argument("--touchpoints", type=int, default=1_000_000)
    arguments.add_argument("--rate", type=float, default=2_000.0, help="touchpoints per second of the others")
    arguments.add_argument("--giant-rate", type=float, default=15_000.0, help="of the account's, while in order")
    wanted = arguments.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="milepost-big-") as folder,
        EmbeddedBroker.start(Path(folder) / "broker", Settings().folder / "jars") as broker,
    ):
        settings = settings_of(Path(folder), "big", broker.bootstrap_servers)
        create_topics(broker.bootstrap_servers, settings.prefix, 0, settings.partitions, settings.replication)
        apply_definitions(load_definitions(everyday_definitions()), broker.bootstrap_servers, settings, END_MS)
        return _measure(settings, broker.bootstrap_servers, wanted)


def _measure(settings: Settings, bootstrap: str, wanted: argparse.Namespace) -> int:
    workers = Workers(settings, bootstrap, [["accounts"]])
    workers.start()
    try:
        phases = asyncio.run(_send(settings, bootstrap, workers, wanted))
        rss = psutil.Process(workers.pids[0]).memory_info().rss
    finally:
        workers.stop()
    _print(settings, bootstrap, phases, rss)
    checked = run_check(bootstrap, settings)
    differences = [f"{each.analysis}: {found}" for each in checked.analyses for found in each.differences]
    print(f"check: {checked.touchpoint_count:,} touchpoints, {len(differences)} differences")
    print("\n".join(differences[:10]))
    return int(bool(differences))


async def _send(settings: Settings, bootstrap: str, workers: Workers, wanted: argparse.Namespace) -> list[Phase]:
    topic = topic_name("touchpoints", settings.prefix, settings.generation)
    phases: list[Phase] = []

    def begin(name: str) -> None:
        now = int(time.time() * 1000)
        if phases:
            phases[-1].to_ms = now
        phases.append(Phase(name, now))
        workers.require_running()
        print(f"  ({name})", flush=True)

    async with BulkProducer(bootstrap) as producer:
        await producer.send(topic, [_of_other(random.Random(0), -1 - number) for number in range(100)])
        await producer.flush()
        await _until_applied(settings, bootstrap, topic, workers)
        others = asyncio.create_task(_others(bootstrap, topic, wanted.rate))
        try:
            begin("others alone")
            await asyncio.sleep(ALONE_S)
            begin(f"{wanted.touchpoints:,} in order")
            began = time.monotonic()
            for number, piece in enumerate(_giant(wanted.touchpoints), 1):
                await producer.send(topic, piece)
                await producer.flush()
                await asyncio.sleep(began + number * PIECE / wanted.giant_rate - time.monotonic())
            await _until_applied(settings, bootstrap, topic, workers)
            begin(f"{LATE_COUNT} late")
            for number in range(LATE_COUNT):
                await producer.send(topic, [_late(number)])
                await producer.flush()
                await asyncio.sleep(STEP_S)
            await _until_applied(settings, bootstrap, topic, workers)
            begin("one before the first day")
            await producer.send(topic, [_of_giant("first", END_MS - 800 * DAY_MS, "Lead Form Step 1", "blog")])
            await producer.flush()
            await _until_applied(settings, bootstrap, topic, workers)
            begin("end")
        finally:
            others.cancel()
            await asyncio.wait([others])
        await _until_applied(settings, bootstrap, topic, workers)
    return phases


async def _others(bootstrap: str, topic: str, rate: float) -> None:
    """Touchpoints of a thousand accounts, evenly over time, for ever."""
    rng, number, began = random.Random(1), 0, time.monotonic()
    async with BulkProducer(bootstrap) as producer:
        while True:
            due = int((time.monotonic() - began) * rate)
            await producer.send(topic, [_of_other(rng, each) for each in range(number, due)])
            await producer.flush()
            number = due
            await asyncio.sleep(STEP_S)


def _of_other(rng: random.Random, number: int) -> tuple[bytes, bytes]:
    account = f"other-{rng.randrange(1_000)}"
    return _record(account, f"o{number}", END_MS + number, rng.choice(TYPES), rng.choice(CONTENT_TYPES))


def _giant(count: int) -> Iterator[list[tuple[bytes, bytes]]]:
    rng, begin = random.Random(2), END_MS - 700 * DAY_MS
    step = 700 * DAY_MS // count
    for start in range(0, count, PIECE):
        yield [
            _of_giant(f"g{number}", begin + number * step, rng.choice(TYPES), rng.choice(CONTENT_TYPES))
            for number in range(start, min(start + PIECE, count))
        ]


def _late(number: int) -> tuple[bytes, bytes]:
    rng = random.Random(f"late {number}")
    at = END_MS - rng.randrange(1, 700 * DAY_MS)
    return _of_giant(f"late{number}", at, rng.choice(TYPES), rng.choice(CONTENT_TYPES))


def _of_giant(event_id: str, event_time: int, type_: str, content_type: str) -> tuple[bytes, bytes]:
    return _record(GIANT, event_id, event_time, type_, content_type)


def _record(account: str, event_id: str, event_time: int, type_: str, content_type: str) -> tuple[bytes, bytes]:
    nothing = dict.fromkeys(
        ("buying_group", "session", "channel", "content", "campaign", "marketing_event", "value", "attributes")
    )
    touchpoint = Touchpoint(
        event_id=event_id, source="bench", event_time=event_time, source_sequence=0, withdrawn=False, type=type_,
        opportunity=f"{account}-deal" if type_ in ("Opportunity Created", "Closed-Won") else None,
        content_type=content_type if type_ == "Page View" else None, person=f"{account}-person", stream="web",
        account=account, global_account=None, revision=0, ingest_time=END_MS, origin=None, **nothing,
    )  # fmt: skip
    return account.encode(), encode_touchpoint(touchpoint)


async def _until_applied(settings: Settings, bootstrap: str, topic: str, workers: Workers) -> None:
    """Until what is in the topic now is committed."""
    ends = {place: end for place, end in (await asyncio.to_thread(end_offsets, bootstrap, topic)).items() if end}
    places = [(topic, partition) for partition in ends]
    deadline = time.monotonic() + SETTLE_S_MAX
    while time.monotonic() < deadline:
        workers.require_running()
        done = await asyncio.to_thread(committed_offsets, bootstrap, settings, "accounts", places)
        if all(done.get((topic, partition), 0) >= end for partition, end in ends.items()):
            return
        await asyncio.sleep(0.5)
    raise RuntimeError(f"not applied within {SETTLE_S_MAX:g} s")


def _print(settings: Settings, bootstrap: str, phases: list[Phase], rss: int) -> None:
    waits = _waits(settings, bootstrap, phases[:-1])
    table = Table(
        "while", "s", "of the others", "touchpoints", "p50 ms", "p99 ms", "max ms",
        title=f"append to partials; {psutil.cpu_count()} cores; accounts worker {rss >> 20:,} MiB resident",
    )  # fmt: skip
    for phase in phases[:-1]:
        for where in ("its partition", "other partitions"):
            found = sorted(waits[phase.name, where])
            cuts = statistics.quantiles(found, n=100, method="inclusive")
            table.add_row(
                phase.name, f"{(phase.to_ms - phase.from_ms) / 1000:.1f}", where, f"{len(found):,}",
                f"{cuts[49]:,.0f}", f"{cuts[98]:,.0f}", f"{found[-1]:,.0f}",
            )  # fmt: skip
    Console(width=120).print(table)


def _waits(settings: Settings, bootstrap: str, phases: list[Phase]) -> dict[tuple[str, str], list[int]]:
    """Milliseconds that each touchpoint of the others waited, by phase and by whether it shared the partition."""
    touchpoints = topic_name("touchpoints", settings.prefix, settings.generation)
    covered: dict[int, tuple[list[int], list[int]]] = {}
    for record in read_topic(bootstrap, topic_name("partials", settings.prefix, settings.generation)):
        if record.key == COVERS_KEY and record.value is not None:
            offsets, times = covered.setdefault(record.partition, ([], []))
            offsets.append(decode_covers(record.value).applied.get(touchpoints, -1))
            times.append(record.append_time)
    waits: dict[tuple[str, str], list[int]] = {}
    giant, starts = partition_of(GIANT.encode(), settings.partitions), [phase.from_ms for phase in phases]
    for record in read_topic(bootstrap, touchpoints):
        place = bisect_left(starts, record.append_time) - 1
        if record.key == GIANT.encode() or place < 0 or record.append_time >= phases[place].to_ms:
            continue
        offsets, times = covered[record.partition]
        where = "its partition" if record.partition == giant else "other partitions"
        wait = times[bisect_left(offsets, record.offset)] - record.append_time
        waits.setdefault((phases[place].name, where), []).append(wait)
    return waits


if __name__ == "__main__":
    sys.exit(main())
