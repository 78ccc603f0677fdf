"""What can be seen of a run from outside: how far the output is visible, what its records say, what the processes take.

A record counts as visible from the first look on at which it lies below the last stable offset, which is what a reader
of committed records may read to; without transactions that is the end of the log. Which events it contains says
its state's count, so the progress of every contender is measured alike, however many outputs it makes of them.
"""

import asyncio
import time
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition
from kafka import KafkaAdminClient
from kafka.admin import OffsetSpec
from kafka.structs import TopicPartition as AdminPartition

from bench.peers.job import PARTITIONS

LOOK_S = 0.2
"""A look takes 2 to 7 ms of the processors, of the broker's the most, which all contenders pay alike."""
READ_S_MAX = 120.0


class Look(NamedTuple):
    """at_s: time.monotonic. ends: up to which offset each partition of the output may be read. The processors' seconds
    and the resident bytes of the contender, and the processors' seconds of the broker."""

    at_s: float
    ends: tuple[int, ...]
    cpu_s: float
    rss_bytes: int
    broker_cpu_s: float


class Looks:
    """Looks at an output, at the processes of a contender and at the broker, again and again."""

    def __init__(self, bootstrap: str, output: str, pids: Sequence[int], broker_pid: int) -> None:
        self._admin = KafkaAdminClient(bootstrap_servers=bootstrap)
        self._places = {AdminPartition(output, number): OffsetSpec.LATEST for number in range(PARTITIONS)}
        self._processes, self._broker = list(map(psutil.Process, pids)), psutil.Process(broker_pid)
        self.all: list[Look] = []

    def look(self) -> Look:
        """The newest. Raises psutil.NoSuchProcess when one of them has ended."""
        found = self._admin.list_partition_offsets(self._places, isolation_level="read_committed")
        ends = tuple(int(found[place].offset) for place in self._places)
        cpu_s = sum(map(_cpu_s, self._processes))
        rss_bytes = sum(int(process.memory_info().rss) for process in self._processes)
        self.all.append(Look(time.monotonic(), ends, cpu_s, rss_bytes, _cpu_s(self._broker)))
        return self.all[-1]

    def close(self) -> None:
        """Ends the connection."""
        self._admin.close()


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


class _Counted(msgspec.Struct):
    count: int


_decode_count = msgspec.json.Decoder(_Counted).decode


class Output:
    """What was read of an output: of each partition where its records lie and how many events are in them until there;
    of each account the newest record."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._bootstrap, self._topic = bootstrap, topic
        self._offsets = [array("q") for _ in range(PARTITIONS)]
        self._sums = [array("q", [0]) for _ in range(PARTITIONS)]
        self._count_by_account: dict[bytes, int] = {}
        self.newest: dict[bytes, bytes] = {}

    @property
    def record_count(self) -> int:
        """How many records were read; those that the commit protocol adds are not counted."""
        return sum(map(len, self._offsets))

    @property
    def event_count(self) -> int:
        """How many events are in the states that were read."""
        return sum(sums[-1] for sums in self._sums)

    def event_count_at(self, ends: Sequence[int]) -> int:
        """How many events are in the states that lie below these offsets."""
        return sum(
            sums[bisect_left(offsets, end)] for offsets, sums, end in zip(self._offsets, self._sums, ends, strict=True)
        )

    def read(self, ends: Sequence[int]) -> None:
        """Reads on, as one who reads committed records does, up to these offsets."""
        asyncio.run(asyncio.wait_for(self._read(ends), READ_S_MAX))

    async def _read(self, ends: Sequence[int]) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap, enable_auto_commit=False, isolation_level="read_committed"
        )
        await consumer.start()
        try:
            places = [TopicPartition(self._topic, number) for number in range(PARTITIONS)]
            consumer.assign(places)
            for place, offsets in zip(places, self._offsets, strict=True):
                consumer.seek(place, offsets[-1] + 1 if offsets else 0)
            found = True
            # What lies between the last record and the end may be marks of transactions, which nobody gets to see.
            while found or not await self._is_read(consumer, places, ends):
                found = False
                for place, records in (await consumer.getmany(timeout_ms=1_000, max_records=10_000)).items():
                    found = True
                    for record in records:
                        self.take(place.partition, record.offset, record.key, record.value)
        finally:
            await consumer.stop()

    async def _is_read(self, consumer: AIOKafkaConsumer, places: Sequence[TopicPartition], ends: Sequence[int]) -> bool:
        return all([await consumer.position(place) >= end for place, end in zip(places, ends, strict=True)])

    def take(self, partition: int, offset: int, key: bytes, value: bytes) -> None:
        """The next record of a partition."""
        if key.startswith(b"!"):  # the commit protocol's
            return
        count = _decode_count(value).count
        sums = self._sums[partition]
        self._offsets[partition].append(offset)
        sums.append(sums[-1] + count - self._count_by_account.get(key, 0))
        self._count_by_account[key] = count
        self.newest[key] = value
