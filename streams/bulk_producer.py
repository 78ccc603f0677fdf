"""Many records to few topics, fast: whole batches, compressed, idempotent, a bounded number on their way.

The law: `flush` returns only when every record before it is acknowledged by all in-sync replicas, once each and in the
order per partition in which `send` took them. Records with a key go where Kafka's own clients send that key; those
without go round, a batch at a time. Budget: 3 µs a record of 250 bytes.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from streams.admin import end_offsets
from streams.bootstrap import client_options
from streams.ending import abandon
from streams.errors import UnavailableError
from streams.partitioning import partition_of

BATCH_BYTES = 256 * 2**10
"""Before compression; far below what the source topics take after it."""
ON_THEIR_WAY_MAX = 32
REQUEST_TIMEOUT_MS = 40_000
SETTLE_S_MAX = 120.0
"""For a batch to be acknowledged, with brokers that come back meanwhile."""

Record = tuple[bytes | None, bytes]
Partition = tuple[str, int]


class _Lane:
    """The batch that is being filled for one partition."""

    def __init__(self, topic: str, partition: int, builder: Any) -> None:
        self.topic = topic
        self.partition = partition
        self.builder = builder


class BulkProducer:
    """An async context manager; leaving it flushes, leaving it by an error does not wait for what is unsent."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._producer = AIOKafkaProducer(
            **client_options(bootstrap),
            enable_idempotence=True,
            acks="all",
            compression_type="zstd",
            max_batch_size=BATCH_BYTES,
            max_request_size=8 * 2**20,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        )
        self._lanes_by_topic: dict[str, list[_Lane]] = {}
        self._turn_by_topic: dict[str, int] = {}
        self._on_their_way: deque[tuple[_Lane, int, asyncio.Future[Any]]] = deque()
        self._ends: dict[Partition, int] = {}
        self._unknown_ends: set[Partition] = set()

    async def __aenter__(self) -> Self:
        try:
            await self._producer.start()
        except KafkaError as error:
            await self._producer.stop()
            raise UnavailableError(f"Kafka at {self._bootstrap} does not answer: {error}") from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                await self.flush()
        finally:
            for _, _, sent in self._on_their_way:
                sent.cancel()
            await abandon(self._producer)  # nothing is left of what was flushed

    async def send(self, topic: str, records: Sequence[Record]) -> None:
        """Takes records, each (key or None, value); waits where too many are on their way.

        Raises UnavailableError when Kafka refuses, also for a batch taken earlier, or when the topic is not there.
        """
        lanes = self._lanes_by_topic.get(topic) or await self._open(topic)
        count, turn = len(lanes), self._turn_by_topic[topic]
        now_ms = int(time.time() * 1000)
        for key, value in records:
            lane = lanes[turn if key is None else _partition_of(key, count)]
            if lane.builder.append(timestamp=now_ms, key=key, value=value) is None:
                await self._ship(lane)
                if key is None:
                    self._turn_by_topic[topic] = turn = (turn + 1) % count
                    lane = lanes[turn]
                    if lane.builder.append(timestamp=now_ms, key=key, value=value) is not None:
                        continue
                    await self._ship(lane)
                lane.builder.append(timestamp=now_ms, key=key, value=value)

    async def flush(self) -> dict[Partition, int]:
        """Sends what was taken and waits for it.

        Returns the offset after the last record of this producer, per topic and partition that it wrote to.
        """
        for topic, lanes in self._lanes_by_topic.items():
            # The turn moves on, so that one who flushes often does not fill one partition.
            self._turn_by_topic[topic] = (self._turn_by_topic[topic] + 1) % len(lanes)
            for lane in lanes:
                if lane.builder.record_count():
                    await self._ship(lane)
        while self._on_their_way:
            await self._settle_oldest()
        for topic in {topic for topic, _ in self._unknown_ends}:
            await self._ask_ends(topic)
        return dict(self._ends)

    async def _open(self, topic: str) -> list[_Lane]:
        # Asked for here, because the producer waits 40 s for a topic that is not there.
        partitions = sorted(await asyncio.to_thread(end_offsets, self._bootstrap, topic))
        lanes = [_Lane(topic, partition, self._producer.create_batch()) for partition in partitions]
        self._lanes_by_topic[topic] = lanes
        self._turn_by_topic[topic] = 0
        return lanes

    async def _ship(self, lane: _Lane) -> None:
        builder, lane.builder = lane.builder, self._producer.create_batch()
        builder.close()
        while len(self._on_their_way) >= ON_THEIR_WAY_MAX:
            await self._settle_oldest()
        try:
            sent = await self._producer.send_batch(builder, lane.topic, partition=lane.partition)
        except KafkaError as error:
            raise self._refused(lane, error) from error
        self._on_their_way.append((lane, builder.record_count(), sent))

    async def _settle_oldest(self) -> None:
        lane, count, sent = self._on_their_way.popleft()
        try:
            # aiokafka sends a batch of an idempotent producer again for ever, also where no broker is left.
            async with asyncio.timeout(SETTLE_S_MAX):
                metadata = await sent
        except (KafkaError, TimeoutError) as error:
            raise self._refused(lane, error) from error
        at = lane.topic, lane.partition
        if metadata.offset < 0:  # a batch sent again that the broker had already: it does not say where
            self._unknown_ends.add(at)
        else:
            self._ends[at] = max(self._ends.get(at, 0), metadata.offset + count)
            self._unknown_ends.discard(at)

    async def _ask_ends(self, topic: str) -> None:
        ends = await asyncio.to_thread(end_offsets, self._bootstrap, topic)
        for at in [at for at in self._unknown_ends if at[0] == topic]:
            self._ends[at] = ends[at[1]]
            self._unknown_ends.discard(at)

    def _refused(self, lane: _Lane, error: KafkaError | TimeoutError) -> UnavailableError:
        why = f"nothing was answered within {SETTLE_S_MAX:g} s" if isinstance(error, TimeoutError) else error
        return UnavailableError(f"Kafka at {self._bootstrap} does not take {lane.topic}[{lane.partition}]: {why}")


# Cached, for murmur2 in Python takes 5 µs and keys repeat.
_partition_of = lru_cache(65_536)(partition_of)
