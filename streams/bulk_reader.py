"""One partition of a topic, read in whole record batches.

aiokafka's `getmany` makes an object of eleven fields of every record: 2.8 µs each, fetching included; records as its
parser gives them take 0.5. Fetching, retrying and finding the partition's leader stay aiokafka's.

The law: reads give every batch from the offset that was sought, in order and checked; the next answer is on its way
while the last one is being worked on. Private names of aiokafka's fetcher are used here and in `streams.transport`
(`tests/streams/test_bulk_reader.py` pins them).
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, Self

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import FetchError
from aiokafka.errors import CorruptRecordException

from streams.stage import StoredRecord


class Bounds(msgspec.Struct, frozen=True):
    """A partition's first offset that is still there, and the offset that its next record will get."""

    start: int
    end: int


NEWEST_S = 1.0


class RecordBatch(Protocol):
    """One record batch, to be gone through once. Compaction may have left gaps, or nothing, between its bounds."""

    @property
    def base_offset(self) -> int: ...
    @property
    def next_offset(self) -> int: ...
    @property
    def max_timestamp(self) -> int: ...
    def __iter__(self) -> Iterator[StoredRecord]: ...


class BulkReader:
    """To be entered with `async with`; then seek, and read as often as one likes."""

    def __init__(self, consumer: AIOKafkaConsumer, topic: str, partition: int) -> None:
        """consumer: one outside of any group, not started, and used by nobody else."""
        self._consumer = consumer
        self._tp = TopicPartition(topic, partition)

    async def __aenter__(self) -> Self:
        try:
            await self._consumer.start()
        except BaseException:
            await self._consumer.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def bounds(self) -> Bounds:
        """What the broker has of the partition now."""
        starts = await self._consumer.beginning_offsets([self._tp])
        return Bounds(starts[self._tp], await self.end())

    async def end(self) -> int:
        """The offset that the next record will get."""
        ends = await self._consumer.end_offsets([self._tp])
        end: int = ends[self._tp]
        return end

    async def newest_ms(self, bounds: Bounds) -> int:
        """The broker's append time of the newest record, in milliseconds: 0 where there is none, or where compaction
        left nothing of it. Nothing is to be read before the next `seek`."""
        if bounds.start == bounds.end:
            return 0
        self.seek(bounds.end - 1)
        batches: Sequence[RecordBatch] = []
        while not batches:
            batches = await self.read(NEWEST_S)
        self.pause()
        return max(batch.max_timestamp for batch in batches)

    def seek(self, offset: int) -> None:
        """Reads begin here; nothing is fetched before."""
        if not self._consumer.assignment():
            self._consumer.assign([self._tp])
        self._consumer.seek(self._tp, offset)
        self._consumer.resume(self._tp)

    def pause(self) -> None:
        """Fetches nothing until the next `seek`."""
        self._consumer.pause(self._tp)

    async def read(self, patience_s: float) -> Sequence[RecordBatch]:
        """The batches of the next answer, or none when it takes longer. Its first batch may begin before the offset
        sought. Raises KafkaError, also for an offset that the partition does not have."""
        fetcher = self._consumer._fetcher
        if self._tp not in fetcher._records:
            waiter = fetcher._create_fetch_waiter()
            await asyncio.wait((waiter, fetcher.error_future), timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
            waiter.cancel()
            if fetcher.error_future.done():
                fetcher.error_future.result()
        answer = fetcher._records.pop(self._tp, None)
        # Asks for the next one.
        fetcher._notify(fetcher._wait_consume_future)
        if isinstance(answer, FetchError):
            answer.check_raise()
        return [] if answer is None else self._batches(answer)

    def _batches(self, answer: Any) -> list[RecordBatch]:
        """Takes an answer apart without looking into its batches, and moves the position behind it."""
        if not answer.check_assignment(self._tp):  # fetched before a seek
            return []
        records = answer._partition_records._records
        batches: list[RecordBatch] = []
        while records.has_next():
            batch = records.next_batch()
            if not batch.validate_crc():
                raise CorruptRecordException(f"{self._tp}: the batch at {batch.base_offset} is not what was written")
            # Compaction may drop the records of a batch, but its last offset stays.
            answer._partition_records.next_fetch_offset = batch.next_offset
            if not batch.is_control_batch:
                batches.append(batch)
        answer._update_position()
        return batches
