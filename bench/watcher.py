"""A consumer of `journeys` and `snapshots` in a process of its own, which notes what it saw when.

Both processes read the same monotonic clock, which is the machine's. What it saw it reads in the end only: it stands
for clients elsewhere, and shares the cores with the workers that are measured.
"""

import multiprocessing
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import NamedTuple

import msgspec
import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.schedule import Seen
from streams.consumed import lighten_records
from streams.protocol_rows import PROTOCOL_PREFIX
from streams.snapshot import decode_snapshot

LOOK_MS = 20
WAIT_S_MAX = 60.0


class Sightings(msgspec.Struct, frozen=True):
    """What was seen, in the order of arrival: by account, and by analysis and partition of touchpoints."""

    journeys: dict[str, list[Seen]]
    snapshots: dict[str, dict[int, list[Seen]]]


class Watched(NamedTuple):
    """What to read, from the beginning."""

    bootstrap: str
    journeys: str
    snapshots: str
    partitions: int


class Watcher:
    """The other process, as this one has it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def sightings(self) -> Sightings:
        """Ends the watching, behind what is there now; everything that was seen. Raises RuntimeError when the process
        does not answer."""
        self._connection.send_bytes(b"end")
        if not self._connection.poll(WAIT_S_MAX):
            raise RuntimeError("the watcher does not answer")
        return msgspec.msgpack.decode(self._connection.recv_bytes(), type=Sightings)


@contextmanager
def watching(watched: Watched) -> Iterator[Watcher]:
    """Watches from here on; entered when the process reads."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_watch, args=(watched, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(WAIT_S_MAX):
            raise RuntimeError("the watcher does not start")
        ours.recv_bytes()
        yield Watcher(ours)
    finally:
        process.kill()
        process.join()


def _watch(watched: Watched, connection: Connection) -> None:
    uvloop.run(_until_told(watched, connection))


async def _until_told(watched: Watched, connection: Connection) -> None:
    lighten_records()
    consumer = AIOKafkaConsumer(
        bootstrap_servers=watched.bootstrap, enable_auto_commit=False, fetch_max_wait_ms=LOOK_MS
    )
    await consumer.start()
    try:
        places = [TopicPartition(watched.journeys, number) for number in range(watched.partitions)]
        places.append(TopicPartition(watched.snapshots, 0))
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        connection.send_bytes(b"ready")
        notes = _Notes(watched)
        while not connection.poll():
            await notes.read_on(consumer)
        for place, end in (await consumer.end_offsets(places)).items():
            while await consumer.position(place) < end:
                await notes.read_on(consumer)
        connection.send_bytes(msgspec.msgpack.encode(notes.sightings()))
    finally:
        await consumer.stop()


class _Journey(msgspec.Struct):
    account: str
    touchpoint_count: int


_decode_journey = msgspec.json.Decoder(_Journey).decode


class _Notes:
    """What came so far: records of a place, but for those of the protocol, and when."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._seen: list[tuple[str, list[bytes], float]] = []

    async def read_on(self, consumer: AIOKafkaConsumer) -> None:
        """What has come, or nothing after a moment."""
        for place, records in (await consumer.getmany(timeout_ms=LOOK_MS)).items():
            values = [
                each.value for each in records if each.value is not None and not each.key.startswith(PROTOCOL_PREFIX)
            ]
            self._seen.append((place.topic, values, time.monotonic()))

    def sightings(self) -> Sightings:
        """What they say."""
        journeys: defaultdict[str, list[Seen]] = defaultdict(list)
        snapshots: dict[str, dict[int, list[Seen]]] = {}
        for topic, values, at_s in self._seen:
            if topic == self._watched.journeys:
                for journey in map(_decode_journey, values):
                    journeys[journey.account].append(Seen(journey.touchpoint_count, at_s))
            else:
                for snapshot in map(decode_snapshot, values):
                    by_partition = snapshots.setdefault(snapshot.analysis, defaultdict(list))
                    for partition, offset in snapshot.applied.items():
                        by_partition[int(partition)].append(Seen(offset + 1, at_s))
        return Sightings(dict(journeys), snapshots)
