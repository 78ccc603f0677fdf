"""Whole record batches of a partition: the same records as aiokafka's own reading gives, in order, none twice."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from aiokafka.errors import CorruptRecordException, OffsetOutOfRangeError
from aiokafka.record.memory_records import MemoryRecords

from streams.batch import one_batch
from streams.broker import EmbeddedBroker
from streams.bulk_reader import Bounds, BulkReader
from streams.fence import FencedProducer
from streams.restore import reader_of
from streams.stage import StoredRecord
from tests.streams.toy import make_topics, read_all

pytestmark = pytest.mark.broker

Result = TypeVar("Result")
BATCHES = [[(b"k%d" % number, b"%d" % batch)] * number for batch, number in enumerate((1, 5, 300, 2), 1)]
END = 308


def run(steps: Coroutine[Any, Any, Result]) -> Result:
    return asyncio.run(asyncio.wait_for(steps, 30))


@pytest.fixture
def topic(kafka: EmbeddedBroker, prefix: str) -> str:
    """A partition with four batches."""
    name = make_topics(kafka.bootstrap_servers, prefix).changelog
    run(append(kafka, name, *BATCHES))
    return name


async def append(kafka: EmbeddedBroker, topic: str, *batches: list[tuple[bytes, bytes]]) -> None:
    producer = await FencedProducer.start(kafka.bootstrap_servers, f"{topic}-0")
    for batch in batches:
        await producer.append(topic, 0, one_batch([*batch]))
    await producer.close()


def reader(kafka: EmbeddedBroker, topic: str) -> BulkReader:
    return BulkReader(reader_of(kafka.bootstrap_servers), topic, 0)


async def records_from(reader: BulkReader, offset: int, end: int) -> list[StoredRecord]:
    found: list[StoredRecord] = []
    reader.seek(offset)
    while not found or found[-1].offset < end - 1:
        found += [record for batch in await reader.read(1.0) for record in batch]
    return found


def test_differential_batches_hold_what_getmany_gives(kafka: EmbeddedBroker, topic: str) -> None:
    """Offsets, times, keys and values are the same, whatever the size of an answer."""

    async def steps() -> None:
        expected = [(r.offset, r.timestamp, r.key, r.value) for r in await read_all(kafka.bootstrap_servers, topic)]
        async with reader(kafka, topic) as bulk:
            assert await bulk.bounds() == Bounds(0, END)
            found = await records_from(bulk, 0, END)
        assert [(r.offset, r.timestamp, r.key, r.value) for r in found] == expected

    run(steps())


def test_answers_follow_each_other_without_gap_or_repetition(
    kafka: EmbeddedBroker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With answers of one batch each, the next one is asked for behind the last."""
    monkeypatch.setattr("streams.restore.MESSAGE_BYTES_MAX", 100)

    async def steps() -> None:
        async with reader(kafka, topic) as bulk:
            bulk.seek(0)
            bounds: list[tuple[int, int]] = []
            while not bounds or bounds[-1][1] < END:
                answer = await bulk.read(1.0)
                bounds += [(batch.base_offset, batch.next_offset) for batch in answer]
                assert len(answer) <= 1
            assert bounds == [(0, 1), (1, 6), (6, 306), (306, 308)]

    run(steps())


def test_a_batch_that_holds_the_offset_comes_whole(kafka: EmbeddedBroker, topic: str) -> None:
    """Whoever seeks into a batch gets what lies before as well, and may seek again."""

    async def steps() -> None:
        async with reader(kafka, topic) as bulk:
            for _ in range(2):
                assert [r.offset for r in await records_from(bulk, 3, END)] == list(range(1, END))

    run(steps())


def test_what_comes_later_is_read_and_a_pause_ends_with_a_seek(kafka: EmbeddedBroker, topic: str) -> None:
    """At the end a read gives nothing within its patience; paused it gives nothing at all."""

    async def steps() -> None:
        async with reader(kafka, topic) as bulk:
            await records_from(bulk, 0, END)
            assert await bulk.read(0.2) == []
            bulk.pause()
            await append(kafka, topic, BATCHES[1])
            assert await bulk.read(0.5) == []
            assert await bulk.end() == END + 5
            assert [r.offset for r in await records_from(bulk, END, END + 5)] == list(range(END, END + 5))

    run(steps())


def test_an_offset_that_is_not_there_is_an_error(kafka: EmbeddedBroker, topic: str) -> None:
    """Never a jump to another one."""

    async def steps() -> None:
        async with reader(kafka, topic) as bulk:
            with pytest.raises(OffsetOutOfRangeError):
                await records_from(bulk, END + 1, END + 2)

    run(steps())


def test_a_batch_that_was_damaged_is_an_error(
    kafka: EmbeddedBroker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its checksum is compared, as aiokafka's own reading does."""

    def damaged(stored: bytes) -> MemoryRecords:
        return MemoryRecords(stored[:-1] + bytes([stored[-1] ^ 1]))

    monkeypatch.setattr("aiokafka.consumer.fetcher.MemoryRecords", damaged)

    async def steps() -> None:
        async with reader(kafka, topic) as bulk:
            bulk.seek(0)
            with pytest.raises(CorruptRecordException, match=topic):
                await bulk.read(10.0)

    run(steps())
