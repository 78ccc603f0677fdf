"""An output that is slow, dead or refuses: its source waits, memory does not grow with what waits there, nothing is
acknowledged, the worker says what is wrong, and afterwards everything is exact."""

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from agents.ingest import Ingest
from agents.settings import Settings
from chaos.brokers import Brokers
from streams.admin import create_topics
from streams.batch import one_batch, some_batches
from streams.broker import EmbeddedBroker
from streams.errors import UnavailableError
from streams.fence import REQUEST_TIMEOUT_S, FencedProducer
from streams.poison import PoisonError
from streams.protocol_rows import COMMIT_KEY
from streams.stage import Publish
from streams.topics import MESSAGE_BYTES_MAX, topic_name
from tests.state.memory_store import MemoryStore
from tests.streams.test_transport import PARTITIONS, Worker, committed_offsets, keys, wait_for
from tests.streams.toy import (
    GENERATION,
    Names,
    Stored,
    ToyStage,
    assert_exact,
    folded,
    make_topics,
    names_of,
    plan_of,
    produce,
    read,
    read_all,
    start,
    writer_of,
)

pytestmark = pytest.mark.broker

MIB = 2**20
STEP = 250
EVENT = {"version": 1, "event_id": "1", "event_time": 1_700_000_000_000, "source": "s", "type": "A", "account": "acme"}
PREFIX = "degraded"
GROWTH_BYTES_MAX = 64 * MIB
"""Of a worker while it waits: what Kafka hands out at once, of each partition, and four batches; some for the heap."""
Launch = Callable[..., Worker]


@pytest.fixture(scope="module")
def degraded(tmp_path_factory: pytest.TempPathFactory, jars: Path) -> Iterator[str]:
    """Three brokers, of which one is dead; each topic of PREFIX has replicas on all. A lone broker refuses nobody, for
    Kafka never asks for more replicas than a topic has."""
    brokers = Brokers(tmp_path_factory.mktemp("cluster"), jars, 3)
    brokers.start()
    create_topics(brokers.bootstrap, PREFIX, GENERATION, PARTITIONS, 3)
    brokers.nodes[-1].kill()
    yield ",".join(brokers.bootstrap.split(",")[:-1])
    brokers.stop()


@pytest.fixture
def names(kafka: EmbeddedBroker, prefix: str) -> Names:
    return make_topics(kafka.bootstrap_servers, prefix, PARTITIONS)


@pytest.fixture
def launch(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> Iterator[Launch]:
    """Starts workers on one disk, and ends those that still live."""
    workers: list[Worker] = []

    def one(bootstrap: str = kafka.bootstrap_servers, prefix: str = prefix) -> Worker:
        (progress := tmp_path / "progress.w").unlink(missing_ok=True)
        process = start("worker", bootstrap, prefix, tmp_path, "w", "counts", STEP)
        workers.append(Worker(process, progress))
        return workers[-1]

    yield one
    for worker in workers:
        if worker.process.poll() is None:
            worker.process.kill()
            worker.process.wait()


class Memory:
    """How much a process grew, at most, since this was made; watched on a thread."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = psutil.Process(process.pid)
        self._before = self._max = self._process.memory_info().rss
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            while self._process.status() != psutil.STATUS_ZOMBIE:
                self._max = max(self._max, self._process.memory_info().rss)
                time.sleep(0.05)

    def growth_bytes(self) -> int:
        return self._max - self._before


def alter(bootstrap: str, topic: str, name: str, value: int) -> None:
    """Gives the topic a setting; a broker that took it obeys it."""
    with KafkaAdminClient(bootstrap_servers=bootstrap) as admin:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {name: str(value)})])


def fill(bootstrap: str, topic: str, count: int, record_bytes: int) -> None:
    """Puts so many records into each partition whose bytes nothing compresses."""

    async def send() -> None:
        producer = await FencedProducer.start(bootstrap, f"{topic}-source")
        for partition in range(PARTITIONS):
            rows = [(key, os.urandom(record_bytes)) for key in keys(count)]
            for batch in some_batches(rows):
                await producer.append(topic, partition, batch)
        await producer.close()

    asyncio.run(send())


def commit_counts(bootstrap: str, names: Names) -> Counter[int]:
    return Counter(record.partition for record in read(bootstrap, names.changelog) if record.key == COMMIT_KEY)


def test_an_output_that_refuses_holds_its_source_back(
    degraded: str, launch: Launch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Too few replicas in sync: no commit follows the one that can not be published, 96 MiB wait in the source and not
    in memory, and the worker ends in time and says why."""
    names, group = names_of(PREFIX), f"{PREFIX}-toy-0"
    fill(degraded, names.source, 500, 10)
    worker = launch(degraded, PREFIX)
    wait_for(lambda: worker.applied_count() == 500 * PARTITIONS)
    wait_for(lambda: sum(committed_offsets(degraded, group).values()) == 500 * PARTITIONS)
    commits = commit_counts(degraded, names)
    alter(degraded, names.copies, "min.insync.replicas", 3)
    memory, began = Memory(worker.process), time.monotonic()
    fill(degraded, names.source, 24_000, 1024)
    assert worker.process.wait(60) == 1
    assert REQUEST_TIMEOUT_S < time.monotonic() - began < 3 * REQUEST_TIMEOUT_S
    assert f"{names.copies}/" in (said := capfd.readouterr().err)
    assert "fewer replicas are in sync than min.insync.replicas asks for" in said
    assert memory.growth_bytes() < GROWTH_BYTES_MAX
    assert sum(committed_offsets(degraded, group).values()) == 500 * PARTITIONS
    assert max((commit_counts(degraded, names) - commits).values()) == 1
    alter(degraded, names.copies, "min.insync.replicas", 2)
    successor = launch(degraded, PREFIX)
    wait_for(lambda: successor.applied_count() == 24_500 * PARTITIONS, 90)
    assert successor.end(signal.SIGTERM) == 0
    assert_exact(degraded, PREFIX)


@pytest.mark.parametrize("which", ["changelog", "counts"])
def test_a_topic_that_takes_too_little_ends_the_worker(
    kafka: EmbeddedBroker, prefix: str, names: Names, launch: Launch, capfd: pytest.CaptureFixture[str], which: str
) -> None:
    """A smaller max.message.bytes than the table of topics says is named, at every start, and mended it is exact."""
    bootstrap, topic = kafka.bootstrap_servers, str(getattr(names, which))
    alter(bootstrap, topic, "max.message.bytes", 1_000)
    fill(bootstrap, names.source, 2_000, 10)
    for _ in range(2):
        assert launch().process.wait(40) == 1
        said = capfd.readouterr().err
        assert topic in said
        assert "max.message.bytes" in said
    assert not committed_offsets(bootstrap, f"{prefix}-toy-0")
    alter(bootstrap, topic, "max.message.bytes", MESSAGE_BYTES_MAX)
    worker = launch()
    wait_for(lambda: worker.applied_count() == 2_000 * PARTITIONS)
    assert worker.end(signal.SIGTERM) == 0
    assert_exact(bootstrap, prefix)


def test_a_broker_that_pauses_is_waited_for(kafka: EmbeddedBroker, prefix: str, names: Names, launch: Launch) -> None:
    """It stops in the middle of the work for longer than a group's session: the worker, which has all its partitions by
    then, neither ends nor grows, and the counts are exact."""
    fill(kafka.bootstrap_servers, names.source, 24_000, 1024)
    worker = launch()
    wait_for(lambda: sum(offset >= 0 for offset in worker.state()["applied"].values()) == PARTITIONS)
    memory = Memory(worker.process)
    for seconds in (1, 6):
        os.kill(kafka.pid, signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            os.kill(kafka.pid, signal.SIGCONT)
    wait_for(lambda: worker.applied_count() == 24_000 * PARTITIONS, 90)
    assert memory.growth_bytes() < GROWTH_BYTES_MAX / 2  # what its first fetches and batches take is there already
    assert worker.end(signal.SIGTERM) == 0
    assert_exact(kafka.bootstrap_servers, prefix)


@pytest.mark.parametrize("which", ["changelog", "copies"])
def test_a_start_without_enough_replicas_ends_in_time(
    degraded: str, launch: Launch, capfd: pytest.CaptureFixture[str], which: str
) -> None:
    """Whether it is the claim or a fence that can not be appended: the worker says so, and the next one is well."""
    topic = str(getattr(names_of(PREFIX), which))
    alter(degraded, topic, "min.insync.replicas", 3)
    began = time.monotonic()
    assert launch(degraded, PREFIX).process.wait(60) == 1
    assert time.monotonic() - began < 3 * REQUEST_TIMEOUT_S
    assert f"{topic}/" in (said := capfd.readouterr().err)
    assert "fewer replicas are in sync than min.insync.replicas asks for" in said
    alter(degraded, topic, "min.insync.replicas", 2)
    worker = launch(degraded, PREFIX)
    wait_for(lambda: bool(worker.state()["ready"]))
    assert worker.end(signal.SIGTERM) == 0


def test_an_append_says_that_replicas_are_missing(degraded: str) -> None:
    """aiokafka tries for ever and only logs why; the owner stops in time, and knows."""
    topic = topic_name("snapshots", PREFIX, GENERATION)
    alter(degraded, topic, "min.insync.replicas", 3)

    async def steps() -> None:
        producer = await FencedProducer.start(degraded, "an append", request_timeout_s=1.0)
        with pytest.raises(UnavailableError, match=r"fewer replicas are in sync than min\.insync\.replicas"):
            await producer.append(topic, 0, one_batch([(b"k", b"1")]))
        await producer.close()

    asyncio.run(asyncio.wait_for(steps(), 30))
    assert not read(degraded, topic)


def test_ingest_says_that_its_output_takes_nothing(degraded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits in time, and raises before anything is acknowledged."""
    monkeypatch.setattr("agents.ingest.WRITE_S_MAX", 2.0)
    touchpoints = topic_name("touchpoints", PREFIX, GENERATION)
    alter(degraded, touchpoints, "min.insync.replicas", 3)
    source, payload = topic_name("crm-events", PREFIX, GENERATION), msgspec.json.encode(EVENT)

    async def steps() -> None:
        ingest = Ingest(Settings(prefix=PREFIX), degraded)
        with pytest.raises(UnavailableError, match="Kafka did not take what ingest made of partition 0"):
            await ingest.process(source, 0, [Stored(0, 0, 1_700_000_000_000, b"k", payload, source)])

    asyncio.run(asyncio.wait_for(steps(), 30))
    alter(degraded, touchpoints, "min.insync.replicas", 2)


@pytest.mark.parametrize("which", ["counts", "copies"])
def test_a_publication_that_is_too_large_names_its_record(
    kafka: EmbeddedBroker, prefix: str, names: Names, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    """A message or a cell that no record batch holds: what lies before its record is committed, nothing of it is, and
    the owner says which record it is."""
    topic, stock = getattr(names, which), ToyStage._publish

    def publish_more(stage: ToyStage, counts: dict[bytes, int]) -> Publish:
        wide = [(b"wide", os.urandom(MESSAGE_BYTES_MAX))] if b"wide" in counts else []
        return lambda covered: [
            each._replace(records=[*each.records, *wide]) if each.topic == topic else each
            for each in stock(stage, counts)(covered)
        ]

    monkeypatch.setattr(ToyStage, "_publish", publish_more)
    produce(kafka.bootstrap_servers, names.source, [b"a", b"b", b"wide", b"c"])

    async def steps() -> None:
        records: Any = await read_all(kafka.bootstrap_servers, names.source)
        writer = writer_of(plan_of(kafka.bootstrap_servers, prefix), prefix, MemoryStore)
        await writer.open()
        with pytest.raises(PoisonError, match=r"offset 2 .*more than one commit can hold"):
            await writer.process(records)
        assert writer.applied == {names.source: 1}
        await writer.close(1)

    asyncio.run(asyncio.wait_for(steps(), 60))
    assert folded(read(kafka.bootstrap_servers, names.counts)) == {b"a": 1, b"b": 1}
