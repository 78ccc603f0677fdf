"""A stage that counts records per key, and the means to run it, kill it and see whether its counts are exact.

It publishes to two outputs: absolute counts with covers in one batch, and the same counts in batches that may be split.
A key that begins with `big` has more rows than a commit holds: they are written in slices, and taken away by chores.
As a program: `python -m tests.streams.toy plain|worker ...` (see `main`).
"""

import asyncio
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from state.store import RocksStore
from streams.admin import create_topics, topic_ids
from streams.batch import BatchTooLargeError, some_batches
from streams.commit import Committed
from streams.fence import FencedProducer
from streams.partials import COVERS_KEY, Tag
from streams.protocol_rows import PROTOCOL_PREFIX
from streams.restore import CountRows, reader_of, uncounted
from streams.stage import Applied, Publication, Publish, Record, Slice, Work
from streams.store import Row, Store
from streams.topics import topic_name
from streams.writer import Writer, WriterPlan

GENERATION = 0
POISON = b"poison"
"""The key of a record on which the computation fails."""
BIG = b"big"
PIECE_BYTES, PIECE_COUNT = 3 << 20, 4
JOB_KEY, SWEEP_KEY, NOTE_KEY = b"j", b"w", b"t"
pack, unpack = msgspec.msgpack.encode, msgspec.msgpack.decode
decode_count = msgspec.msgpack.Decoder(tuple[Tag, int]).decode
decode_covers = msgspec.msgpack.Decoder(tuple[Tag, dict[str, int], int]).decode


class Names(msgspec.Struct, frozen=True):
    """The toy's topics, borrowed from the table."""

    source: str
    changelog: str
    counts: str
    copies: str


def names_of(prefix: str) -> Names:
    wanted = ("touchpoints", "accounts-changelog", "partials", "journeys")
    return Names(*(topic_name(name, prefix, GENERATION) for name in wanted))


class ToyStage:
    """How often each key was seen."""

    def __init__(self, names: Names, store: Store, definitions_hash: str = "toy", ballast: int = 0) -> None:
        """ballast: bytes of noise in each row, to make batches too large."""
        self._names = names
        self._store = store
        self._ballast = ballast
        self.outputs = (names.counts, names.copies)
        self.definitions_hash = definitions_hash
        self.batch_sizes: list[int] = []

    def compute(self, records: Sequence[Record], clock_ms: int) -> Work:
        self.batch_sizes.append(len(records))
        if any(record.key == POISON for record in records):
            raise ValueError("it can not be counted")
        if self.is_halfway():
            raise BatchTooLargeError("the record before these is half applied")
        work = self._count(records)
        big = [record.key for record in records if record.key.startswith(BIG)]
        return work._replace(rows=work.rows + [_piece(key, number) for key in big for number in range(PIECE_COUNT)])

    def slice(self, record: Record, clock_ms: int) -> Slice | None:
        if not record.key.startswith(BIG):
            return None
        (stored,) = self._store.get([JOB_KEY])
        offset, done_count = unpack(stored, type=tuple[int, int]) if stored else (record.offset, 0)
        assert offset == record.offset
        if done_count < PIECE_COUNT:
            job = (JOB_KEY, pack((offset, done_count + 1)))
            return Slice(Work([_piece(record.key, done_count), job], pack([]), self._publish({})), False)
        work = self._count([record])
        return Slice(work._replace(rows=[*work.rows, (JOB_KEY, None), (SWEEP_KEY, record.key)]), True)

    def is_halfway(self) -> bool:
        return self._store.get([JOB_KEY]) != [None]

    def chore(self, clock_ms: int, parts: int) -> Work | None:
        (key,) = self._store.get([SWEEP_KEY])
        if key is None:
            return None
        row = next(iter(self._store.scan(b"n" + key)), (SWEEP_KEY, b""))
        return Work([(row[0], None)], pack([]), self._publish({}))

    def noted(self, clock_ms: int) -> Work:
        """What became known without a record: that it is so late."""
        return Work([(NOTE_KEY, b"%d" % clock_ms)], pack([]), self._publish({}))

    def chore_failed(self) -> None:
        raise AssertionError("a row to take away fits a commit")

    def due_ms(self) -> int | None:
        return None

    def _count(self, records: Sequence[Record]) -> Work:
        delta = Counter(record.key for record in records)
        keys = [b"k" + key for key in delta]
        before = self._store.get(keys)
        counts = {
            key: count + (0 if value is None else int(value.split(b" ")[0]))
            for (key, count), value in zip(delta.items(), before, strict=True)
        }
        rows: list[Row] = [(b"k" + key, b"%d %b" % (count, self._noise())) for key, count in counts.items()]
        return Work(rows, pack(list(counts)), self._publish(counts))

    def again(self, pending: bytes) -> Publish:
        keys: list[bytes] = unpack(pending, type=list[bytes])
        values = self._store.get([b"k" + key for key in keys])
        return self._publish({k: int(v.split(b" ")[0]) for k, v in zip(keys, values, strict=True) if v is not None})

    def idle(self, clock_ms: int) -> Work:
        return Work([], pack([]), self._publish({}))

    def _publish(self, counts: dict[bytes, int]) -> Publish:
        def publish(covered: Applied) -> list[Publication]:
            records: list[Row] = [(key, pack((covered.tag, count))) for key, count in counts.items()]
            covers = (COVERS_KEY, pack((covered.tag, covered.applied, covered.clock_ms)))
            return [
                Publication(self._names.counts, [*records, covers], True),
                Publication(self._names.copies, records, False),
            ]

        return publish

    def _noise(self) -> bytes:
        return os.urandom(self._ballast)


def _piece(key: bytes, number: int) -> Row:
    return b"n%b%d" % (key, number), os.urandom(PIECE_BYTES)


def plan_of(bootstrap: str, prefix: str, **changes: Any) -> WriterPlan:
    names = names_of(prefix)
    ids = topic_ids(bootstrap, [names.source, names.changelog])
    plan = WriterPlan(
        name="toy",
        bootstrap=bootstrap,
        changelog=names.changelog,
        inputs=(names.source,),
        topic_id_by_name=ids,
        generation=GENERATION,
    )
    return msgspec.structs.replace(plan, **changes)


def writer_of(
    plan: WriterPlan,
    prefix: str,
    store: Callable[[], Store],
    *,
    partition: int = 0,
    heartbeat: Callable[[], float] = time.monotonic,
    definitions_hash: str = "toy",
    ballast: int = 0,
    on_commit: Callable[[Committed], None] | None = None,
    count_rows: CountRows = uncounted,
) -> Writer:
    names = names_of(prefix)

    def stage(_: int, rows: Store) -> ToyStage:
        return ToyStage(names, rows, definitions_hash, ballast)

    return Writer(plan, partition, store, stage, heartbeat, on_commit, count_rows)


# --- a world: topics, input, what came out


def make_topics(bootstrap: str, prefix: str, partitions: int = 1) -> Names:
    create_topics(bootstrap, prefix, GENERATION, partitions, 1)
    return names_of(prefix)


def create_again(bootstrap: str, prefix: str, partitions: int) -> None:
    """Makes topics that were just deleted, which the broker may not know yet."""
    deadline = time.monotonic() + 20
    while not create_topics(bootstrap, prefix, 0, partitions, 1):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def produce(bootstrap: str, topic: str, keys: Sequence[bytes], partitions: int = 1) -> None:
    """Puts one record per key into the topic, spread evenly and in order."""

    async def send() -> None:
        producer = await FencedProducer.start(bootstrap, f"{topic}-source")
        for partition in range(partitions):
            for batch in some_batches([(key, b"x") for key in keys[partition::partitions]]):
                await producer.append(topic, partition, batch)
        await producer.close()

    asyncio.run(send())


class Stored(msgspec.Struct, frozen=True):
    """One record of a topic, as it lies there."""

    partition: int
    offset: int
    timestamp: int
    key: bytes
    value: bytes | None
    topic: str


async def read_all(bootstrap: str, topic: str) -> list[Stored]:
    """Every record of the topic, per partition in the order of offsets."""
    reader: AIOKafkaConsumer = reader_of(bootstrap)
    await reader.start()
    try:
        await reader._client._wait_on_metadata(topic)
        tps = [TopicPartition(topic, partition) for partition in reader.partitions_for_topic(topic)]
        starts, ends = await reader.beginning_offsets(tps), await reader.end_offsets(tps)
        reader.assign(tps)
        for tp in tps:
            reader.seek(tp, starts[tp])
        found: list[Stored] = []
        while any([await reader.position(tp) < ends[tp] for tp in tps]):
            for records in (await reader.getmany(timeout_ms=200)).values():
                found += [Stored(r.partition, r.offset, r.timestamp, r.key, r.value, topic) for r in records]
        return found
    finally:
        await reader.stop()


def read(bootstrap: str, topic: str) -> list[Stored]:
    return asyncio.run(read_all(bootstrap, topic))


def folded(records: Sequence[Stored]) -> dict[bytes, int]:
    """What a reader of an output holds: per partition and key the count with the highest tag."""
    newest: dict[tuple[int, bytes], tuple[Tag, int]] = {}
    for record in records:
        if record.key.startswith(PROTOCOL_PREFIX) or record.key == COVERS_KEY:
            continue
        assert record.value is not None
        tagged = decode_count(record.value)
        place = record.partition, record.key
        newest[place] = max(newest.get(place, tagged), tagged, key=lambda each: each[0])
    sums: Counter[bytes] = Counter()
    for (_, key), (_, count) in newest.items():
        sums[key] += count
    return dict(sums)


def logged(records: Sequence[Stored]) -> dict[bytes, int]:
    """What an empty disk would hold after a restore: the changelog folded by offset."""
    rows = {(record.partition, record.key): record.value for record in records}
    sums: Counter[bytes] = Counter()
    for (_, key), value in rows.items():
        if key.startswith(b"k") and value is not None:
            sums[key[1:]] += int(value.split(b" ")[0])
    return dict(sums)


def assert_exact(bootstrap: str, prefix: str) -> None:
    """Changelog and both outputs say what the source says; every tag is the offset of a commit."""
    names = names_of(prefix)
    truth = dict(Counter(record.key for record in read(bootstrap, names.source)))
    changelog = read(bootstrap, names.changelog)
    commits = {(record.partition, record.offset) for record in changelog if record.key == b"!commit"}
    assert logged(changelog) == truth
    for topic in (names.counts, names.copies):
        records = read(bootstrap, topic)
        assert folded(records) == truth
        tags = {(r.partition, decode_count(r.value)[0].offset) for r in records if r.value and r.key in truth}
        assert tags <= commits


# --- as a program


# A static member that is gone is missed after its session, and tests wait for that.
_QUICK = {"MILEPOST_SESSION_TIMEOUT_S": "4"}


def start(mode: str, *arguments: object, crash_at: str = "") -> subprocess.Popen[bytes]:
    """The toy in a process of its own, which can be killed."""
    command = [sys.executable, "-m", "tests.streams.toy", mode, *map(str, arguments)]
    return subprocess.Popen(command, env=os.environ | _QUICK | {"MILEPOST_CRASH_AT": crash_at})


async def run_plain(bootstrap: str, prefix: str, folder: str, total: str, step: str) -> None:
    """Counts partition 0 up to `total` records without Faust, `step` records a batch."""
    names = names_of(prefix)
    writer = writer_of(plan_of(bootstrap, prefix), prefix, lambda: RocksStore(Path(folder) / "0"))
    await writer.open()
    noted = ToyStage(names, writer.store).noted
    reader = reader_of(bootstrap)
    await reader.start()
    await asyncio.sleep(0)  # stopped before its tasks ran once, aiokafka's consumer raises CancelledError
    tp = TopicPartition(names.source, 0)
    reader.assign([tp])
    reader.seek(tp, writer.start_offset(names.source))
    while writer.applied[names.source] < int(total) - 1:
        for records in (await reader.getmany(tp, timeout_ms=500, max_records=int(step))).values():
            await writer.process(records)
            await writer.note(noted)
        await writer.tend()
    await reader.stop()
    await writer.close(1.0)


def main(mode: str, *arguments: str) -> None:
    """plain BOOTSTRAP PREFIX FOLDER TOTAL STEP · worker BOOTSTRAP PREFIX FOLDER WORKER"""
    if mode == "plain":
        asyncio.run(run_plain(*arguments))
    else:
        from tests.streams.toy_worker import run

        run(*arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
