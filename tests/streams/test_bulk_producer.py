"""Bulk producing, on a real broker."""

import asyncio
import os
import signal
import time
from collections import defaultdict
from collections.abc import Sequence

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.partitioner.default import murmur2

from streams.admin import create_topics, end_offsets
from streams.broker import EmbeddedBroker
from streams.bulk_producer import BATCH_BYTES, BulkProducer, Partition, Record
from streams.errors import UnavailableError
from streams.topics import topic_name

pytestmark = pytest.mark.broker
PARTITIONS = 3


@pytest.fixture
def topic(kafka: EmbeddedBroker, prefix: str) -> str:
    """An empty source topic of three partitions."""
    create_topics(kafka.bootstrap_servers, prefix, 0, PARTITIONS, 1)
    return topic_name("crm-events", prefix, 0)


def produce(bootstrap: str, topic: str, *pieces: Sequence[Record]) -> list[dict[Partition, int]]:
    """Sends the pieces with a flush after each; what the flushes said."""

    async def run() -> list[dict[Partition, int]]:
        ends = []
        async with BulkProducer(bootstrap) as producer:
            for piece in pieces:
                await producer.send(topic, piece)
                ends.append(await producer.flush())
        return ends

    return asyncio.run(run())


def stored(bootstrap: str, topic: str) -> dict[int, list[Record]]:
    """Every record of a topic by partition, in its order."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    ends = end_offsets(bootstrap, topic)
    consumer.assign([TopicPartition(topic, partition) for partition in ends])
    found: dict[int, list[Record]] = defaultdict(list)
    while sum(map(len, found.values())) < sum(ends.values()):
        for at, records in consumer.poll(timeout_ms=10_000).items():
            found[at.partition] += [(record.key, record.value) for record in records]
    consumer.close()
    return found


def test_every_record_is_stored_once_and_ends_are_told(kafka: EmbeddedBroker, topic: str) -> None:
    """Records of many batches arrive once each, in order per partition, and flush tells where each partition ends."""
    records = [(None, b"%06d" % number + b"x" * 244) for number in range(20_000)]
    *_, ends = produce(kafka.bootstrap_servers, topic, records[:7], records[7:])
    found = stored(kafka.bootstrap_servers, topic)
    assert sorted(value for each in found.values() for _, value in each) == [value for _, value in records]
    assert all(each == sorted(each) for each in found.values())
    assert ends == {(topic, partition): len(each) for partition, each in found.items()}
    assert min(map(len, found.values())) > len(records) * 0.2  # those without a key go round


def test_keys_go_where_kafkas_clients_send_them(kafka: EmbeddedBroker, topic: str) -> None:
    """A key's partition is murmur2's, as another client computes it."""
    records = [(b"account-%d" % (number % 50), b"%d" % number) for number in range(500)]
    produce(kafka.bootstrap_servers, topic, records)
    for partition, each in stored(kafka.bootstrap_servers, topic).items():
        assert {(murmur2(key) & 0x7FFFFFFF) % PARTITIONS for key, _ in each} == {partition}
        by_key = defaultdict(list)
        for key, value in each:
            by_key[key].append(int(value))
        assert all(values == sorted(values) for values in by_key.values())


def test_small_pieces_do_not_fill_one_partition(kafka: EmbeddedBroker, topic: str) -> None:
    """One who flushes often reaches every partition."""
    *_, ends = produce(kafka.bootstrap_servers, topic, *([(None, b"x")] for _ in range(PARTITIONS)))
    assert ends == {(topic, partition): 1 for partition in range(PARTITIONS)}


def test_ends_are_those_of_this_producers_partitions(kafka: EmbeddedBroker, topic: str) -> None:
    """A partition that this producer did not write to is not among its ends."""
    produce(kafka.bootstrap_servers, topic, [(b"account-1", b"x")], [(b"account-1", b"x")])
    ((ends),) = produce(kafka.bootstrap_servers, topic, [(b"account-1", b"y")])
    (end,) = ends.values()
    assert end == 3


def test_record_that_is_larger_than_a_batch_is_sent(kafka: EmbeddedBroker, topic: str) -> None:
    """A batch's size bounds no single record."""
    large = b"x" * (BATCH_BYTES * 2)
    produce(kafka.bootstrap_servers, topic, [(None, b"a"), (None, large), (None, b"b")])
    found = stored(kafka.bootstrap_servers, topic)
    assert {value for each in found.values() for _, value in each} == {b"a", large, b"b"}


def test_leaving_flushes_and_an_error_does_not(kafka: EmbeddedBroker, topic: str) -> None:
    """What was taken is stored when the context ends well; an error that ends it is what the caller sees."""

    async def leave(*, well: bool) -> None:
        async with BulkProducer(kafka.bootstrap_servers) as producer:
            await producer.send(topic, [(None, b"x")])
            if not well:
                raise ValueError("mine")

    asyncio.run(leave(well=True))
    assert sum(end_offsets(kafka.bootstrap_servers, topic).values()) == 1
    with pytest.raises(ValueError, match="mine"):
        asyncio.run(leave(well=False))


def test_a_broker_that_is_gone_is_told(kafka: EmbeddedBroker, topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """aiokafka would wait for it for ever, and go on doing so when the producer is left."""
    monkeypatch.setattr("streams.bulk_producer.SETTLE_S_MAX", 1.0)

    async def run() -> None:
        async with BulkProducer(kafka.bootstrap_servers) as producer:
            await producer.send(topic, [(None, b"x")])
            await producer.flush()
            os.kill(kafka.pid, signal.SIGSTOP)
            await producer.send(topic, [(None, b"y")])
            await producer.flush()

    begun = time.monotonic()
    try:
        with pytest.raises(UnavailableError, match="nothing was answered within 1 s"):
            asyncio.run(run())
    finally:
        os.kill(kafka.pid, signal.SIGCONT)
    assert time.monotonic() - begun < 15


def test_what_the_broker_refuses_is_told(kafka: EmbeddedBroker, topic: str) -> None:
    """A record above the topic's limit is an error that names the topic."""
    with pytest.raises(UnavailableError, match=topic):
        produce(kafka.bootstrap_servers, topic, [(None, os.urandom(2 * 2**20))])


def test_absent_topic_and_broker_are_told_soon(kafka: EmbeddedBroker, prefix: str) -> None:
    """Neither waits for what is not there."""
    with pytest.raises(UnavailableError, match="is not on"):
        produce(kafka.bootstrap_servers, f"{prefix}.absent", [(None, b"x")])
    with pytest.raises(UnavailableError, match="does not answer"):
        produce("127.0.0.1:9", "any", [(None, b"x")])
