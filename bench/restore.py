"""`make bench-restore`: how fast a partition comes back, with and without what was there before; against stock Faust.

All in one run on one machine with the broker beside it. A takeover is counted from the assignment to ready; before it
the group must notice that a worker is gone, which is its session timeout.
"""

import argparse
import asyncio
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import psutil
import uvloop
from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from rich.console import Console
from rich.table import Table

from agents.settings import Settings
from bench.small_stage import SmallStage
from bench.world import timed
from state.store import RocksStore
from streams.admin import create_topics, topic_ids
from streams.batch import some_batches
from streams.broker import EmbeddedBroker
from streams.fence import Appended, FencedProducer
from streams.restore import bounds_of, next_offset, restore
from streams.stage import Applied, Publication, Publish, Record, Work
from streams.standby import Standby, Standbys
from streams.store import Row, Store
from streams.topics import topic_name
from streams.writer import Writer, WriterPlan

COMMIT_ROWS = 10_000
KEY_BYTES, VALUE_BYTES = 20, 180
RUNS = 3
PREFIX = "restore"


class Filling(SmallStage):
    """A stage that makes COMMIT_ROWS new rows of each record, half of every value noise, and publishes nothing."""

    outputs: tuple[str, ...] = ()
    definitions_hash = "bench"

    def compute(self, records: Sequence[Record], clock_ms: int) -> Work:
        return Work([row for record in records for row in _rows(record.offset, COMMIT_ROWS)], b"", self._publish)

    def again(self, pending: bytes) -> Publish:
        return self._publish

    def idle(self, clock_ms: int) -> Work:
        return Work([], b"", self._publish)

    def _publish(self, covered: Applied) -> list[Publication]:
        return []


def _rows(seed: int, count: int) -> list[Row]:
    chance = random.Random(seed)
    half = VALUE_BYTES // 2
    return [
        (b"%0*d" % (KEY_BYTES, chance.randrange(10**KEY_BYTES)), chance.randbytes(half) + bytes(VALUE_BYTES - half))
        for _ in range(count)
    ]


class Spent(NamedTuple):
    """What a step took; cpu_s is this process's, which the machine's other work changes little."""

    wall_s: float
    cpu_s: float


class Clock:
    """Runs from where it is made."""

    def __init__(self) -> None:
        self._wall_s, self._cpu_s = time.monotonic(), time.process_time()

    def spent(self) -> Spent:
        return Spent(time.monotonic() - self._wall_s, time.process_time() - self._cpu_s)


class World:
    """A changelog of one partition with `row_count` rows, and the folder that its owner left."""

    def __init__(self, folder: Path, bootstrap: str, row_count: int) -> None:
        self.folder, self.bootstrap, self.row_count = folder, bootstrap, row_count
        create_topics(bootstrap, PREFIX, 0, 1, 1)
        source, changelog = topic_name("touchpoints", PREFIX, 0), topic_name("accounts-changelog", PREFIX, 0)
        self.source = source
        ids = topic_ids(bootstrap, [source, changelog])
        self.plan = WriterPlan(
            name="bench", bootstrap=bootstrap, changelog=changelog, inputs=(source,), topic_id_by_name=ids, generation=0
        )
        self.changelog = self.plan.changelog_of(0)

    def store(self, name: str) -> RocksStore:
        return RocksStore(self.folder / name)

    def writer(self, name: str) -> Writer:
        return Writer(self.plan, 0, partial(self.store, name), lambda _, __: Filling(), time.monotonic)

    async def fill(self) -> None:
        """Commits all rows; their owner's folder is `owner`."""
        writer = self.writer("owner")
        await writer.open()
        for offset in range(self.row_count // COMMIT_ROWS):
            producer = await FencedProducer.start(self.bootstrap, f"{PREFIX}-source")
            await producer.append(self.source, 0, next(iter(some_batches([(b"k", b"v")]))))
            await producer.close()
            await writer.process([_Record(self.source, offset)])
        await writer.close(1.0)

    async def restore(self) -> Spent:
        """The reading alone, into an empty folder."""
        end, store = await self._end(), self.store("restored")
        clock = Clock()
        await restore(store, self.bootstrap, self.changelog, Appended(end - 1, int(time.time() * 1000)))
        spent = clock.spent()
        store.close()
        shutil.rmtree(self.folder / "restored")
        return spent

    async def open(self, name: str) -> Spent:
        """From the assignment to ready, on this folder."""
        writer = self.writer(name)
        clock = Clock()
        await writer.open()
        spent = clock.spent()
        await writer.close(1.0)
        return spent

    async def open_followed(self) -> Spent:
        """The same while a standby follows, its end included."""
        end, stores = await self._end(), list[Store]()

        def open_store() -> Store:
            stores.append(self.store("followed"))
            return stores[0]

        standbys = Standbys([(self.source, 0)], lambda _: Standby(self.bootstrap, self.changelog, open_store))
        standbys.start([])
        while not stores or next_offset(stores[0]) < end:
            standbys.check()
            await asyncio.sleep(0.1)
        clock = Clock()
        await standbys.close()
        closing = clock.spent()
        opening = await self._open_once("followed")
        return Spent(closing.wall_s + opening.wall_s, closing.cpu_s + opening.cpu_s)

    async def open_empty(self) -> Spent:
        return await self._open_once("empty")

    async def _open_once(self, name: str) -> Spent:
        spent = await self.open(name)
        shutil.rmtree(self.folder / name)
        return spent

    async def _end(self) -> int:
        return (await bounds_of(self.bootstrap, [self.changelog.topic], 0))[self.changelog.topic].end


class _Record:
    """A record of the source, as a writer takes it."""

    key, value = b"k", b"v"

    def __init__(self, topic: str, offset: int) -> None:
        self.topic, self.offset, self.timestamp = topic, offset, int(time.time() * 1000)


async def _several(measure: Callable[[], Awaitable[Spent]]) -> list[Spent]:
    return [await measure() for _ in range(RUNS)]


async def _measure(world: World) -> dict[str, list[Spent]]:
    with timed(f"{world.row_count:,} rows committed"):
        await world.fill()
    return {
        "restore into an empty folder": await _several(world.restore),
        "takeover, empty folder": await _several(world.open_empty),
        "takeover, standby": await _several(world.open_followed),
        "start on the intact folder": await _several(partial(world.open, "owner")),
    }


class Stock(NamedTuple):
    """Rows a second, and microseconds of the processor a row."""

    rate: float
    cpu_us: float


def _stock(folder: Path, bootstrap: str, row_count: int) -> Stock:
    """Stock Faust's own recovery, of such rows in a changelog of its own."""
    app = "stock-restore"
    changelog, source = f"{app}-rows-changelog", f"{app}-source"
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics(
        [NewTopic(changelog, 1, 1, topic_configs={"cleanup.policy": "compact"}), NewTopic(source, 1, 1)]
    )
    admin.close()
    asyncio.run(_fill_stock(bootstrap, changelog, row_count))
    (folder / "stock").mkdir()
    command = [
        sys.executable,
        "-m",
        "bench.stock_restore",
        bootstrap,
        app,
        source,
        str(row_count),
        str(folder / "stock"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    rate = next((line for line in done.stdout.splitlines() if line.startswith("RATE ")), None)
    if rate is None:
        raise RuntimeError(f"stock Faust gave no rate:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return Stock(*map(float, rate.split()[1:]))


async def _fill_stock(bootstrap: str, changelog: str, row_count: int) -> None:
    producer = await FencedProducer.start(bootstrap, changelog)
    for seed in range(row_count // COMMIT_ROWS):
        for batch in some_batches(_rows(seed, COMMIT_ROWS)):
            await producer.append(changelog, 0, batch)
    await producer.close()


def _print(spent: dict[str, list[Spent]], row_count: int, stock: Stock) -> None:
    cores, memory = psutil.cpu_count(), psutil.virtual_memory().total >> 30
    machine = f"{cores} cores, {memory} GiB, Python {platform.python_version()}"
    title = f"{row_count:,} rows of {KEY_BYTES + VALUE_BYTES} bytes in one partition; {machine}"
    steps = Table("", "seconds, median", "best", "of the processor", title=title)
    for name, runs in spent.items():
        walls = [run.wall_s for run in runs]
        cpu_s = statistics.median(run.cpu_s for run in runs)
        steps.add_row(name, f"{statistics.median(walls):.2f}", f"{min(walls):.2f}", f"{cpu_s:.2f}")
    rates = Table("restore", "rows/s", "times stock", "µs of the processor a row", "times less")
    ours = spent["restore into an empty folder"]
    cpu_us = statistics.median(run.cpu_s for run in ours) / row_count * 1e6
    for name, wall_s in (("median", statistics.median(run.wall_s for run in ours)), ("best", min(ours).wall_s)):
        rate = row_count / wall_s
        rates.add_row(name, f"{rate:,.0f}", f"{rate / stock.rate:.1f}", f"{cpu_us:.1f}", f"{stock.cpu_us / cpu_us:.1f}")
    rates.add_row("stock Faust", f"{stock.rate:,.0f}", "1.0", f"{stock.cpu_us:.1f}", "1.0")
    console = Console(width=120)
    console.print(steps)
    console.print(rates)


def main() -> None:
    """Measures and prints."""
    arguments = argparse.ArgumentParser(prog="python -m bench.restore", description=__doc__)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--stock-rows", type=int, default=150_000)
    wanted = arguments.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="milepost-bench-") as name,
        EmbeddedBroker.start(Path(name) / "broker", Settings().folder / "jars") as broker,
    ):
        folder, bootstrap = Path(name), broker.bootstrap_servers
        with timed("stock Faust"):
            stock = _stock(folder, bootstrap, wanted.stock_rows)
        spent = uvloop.run(_measure(World(folder, bootstrap, wanted.rows)))
        _print(spent, wanted.rows, stock)


if __name__ == "__main__":
    main()
