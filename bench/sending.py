"""Sends a steady load when it is due, whatever became of what was sent before (open-loop).

Every batch is filled and compressed before the first is due: the sender stands for clients elsewhere, and shares the
cores with the workers that are measured.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

import msgspec
from aiokafka import AIOKafkaProducer

from bench.arena import Arena
from bench.schedule import Load
from streams.batch import Batch, one_batch
from streams.partitioning import partition_of
from streams.store import Row

TICK_S = 0.02
"""What is due within it is sent together, at its end."""

Record = Callable[[int, int], tuple[bytes, bytes]]
"""Key and value of an event, of its number and when it happened, in milliseconds."""


class Sent(NamedTuple):
    """The load with its begin, and by how much each sending was behind what was due, in seconds."""

    load: Load
    behind_s: list[float]


class _Tick(NamedTuple):
    """first: the number of its first event. at_s: when it is sent, from the begin. batches: by partition."""

    first: int
    at_s: float
    batches: dict[int, Batch]


async def send(own: Arena, load: Load, record: Record) -> Sent:
    """load: begins at 0, and now when it is sent. Events happen earlier, by as long as filling all batches takes."""
    topic = own.topic("web-events")
    async with AIOKafkaProducer(
        bootstrap_servers=own.bootstrap,
        enable_idempotence=True,
        acks="all",
    ) as producer:
        partitions = len(await producer.partitions_for(topic))
        ticks = list(_ticks(load, record, partitions))
        load = msgspec.structs.replace(load, begin_s=time.monotonic())
        behind_s: list[float] = []
        for tick in ticks:
            await asyncio.sleep(load.begin_s + tick.at_s - time.monotonic())
            sent = [await producer.send_batch(batch, topic, partition=at) for at, batch in tick.batches.items()]
            await asyncio.gather(*sent)
            if tick.first >= load.warm_up:
                behind_s.append(time.monotonic() - load.due_s(tick.first))
    return Sent(load, behind_s)


def _ticks(load: Load, record: Record, partitions: int) -> Iterator[_Tick]:
    """Of a load that begins at 0. A tick in which nothing is due is left out. Raises BatchTooLargeError where more is
    due at once than Kafka takes at once."""
    place_of = lru_cache(maxsize=None)(partition_of)
    begin_ms = time.time() * 1000
    first = number = 0
    while first < load.events:
        number += 1
        at_s = number * TICK_S
        rows: dict[int, list[Row]] = {}
        due = load.due_count(at_s)
        for event in range(first, due):
            key, value = record(event, int(begin_ms + load.due_s(event) * 1000))
            rows.setdefault(place_of(key, partitions), []).append((key, value))
        if due > first:
            batches = {place: one_batch(mine) for place, mine in rows.items()}
            for batch in batches.values():
                batch.pack()
            yield _Tick(first, at_s, batches)
        first = due
