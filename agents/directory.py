"""The `workers` topic: where each worker answers questions, and for which partitions. Key: the worker's id;
behind it `/` and the role where that is not accounts.

A worker says so when it changes, and takes it back when it ends in order. One that was killed still stands there, and
two may name a partition for a moment: the one with the higher epoch, the offset of its claim, has it.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping

import msgspec
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from agents.reading import read_topic
from agents.settings import Settings
from streams.bootstrap import client_options
from streams.errors import UnavailableError
from streams.topics import topic_name

LOOK_S = 0.5
KEPT_S = 2.0
"""A directory that was read is believed for so long."""
_LAST_WORD_S = 2.0
FORMAT = 1

log = structlog.get_logger(__name__)


ACCOUNTS, SNAPSHOTS = "accounts", "snapshots"


class Announcement(msgspec.Struct, frozen=True):
    """partitions: the epoch under which the worker owns each, by its number; of the role accounts those of
    `touchpoints`, of the role snapshots the one of `snapshots`."""

    format: int
    url: str
    role: str
    partitions: dict[str, int]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Announcement).decode


class Directory(msgspec.Struct, frozen=True):
    """What stands on the topic, by worker."""

    announcements: Mapping[str, Announcement]

    def owner_of(self, partition: int, role: str = ACCOUNTS) -> str | None:
        """The URL of a partition's owner; None where nobody says that it is theirs."""
        name = str(partition)
        owners = [each for each in self.announcements.values() if each.role == role and name in each.partitions]
        return max(owners, key=lambda each: each.partitions[name]).url if owners else None

    def urls(self, partition_count: int) -> dict[str, list[int]]:
        """The partitions by the URL of their owner; those that nobody has are left out."""
        found: dict[str, list[int]] = {}
        for partition in range(partition_count):
            if (url := self.owner_of(partition)) is not None:
                found.setdefault(url, []).append(partition)
        return found


def read_directory(bootstrap: str, settings: Settings) -> Directory:
    """What stands on the topic now. Raises UnavailableError when it can not be read."""
    newest: dict[str, Announcement] = {}
    for record in read_topic(bootstrap, _topic(settings), patience_s=10):
        newest.pop(record.key.decode(), None)
        if record.value is not None:
            try:
                announcement = _decode(record.value)
            except msgspec.DecodeError as error:
                raise UnavailableError(f"{_topic(settings)} holds what this milepost can not read: {error}") from error
            newest[record.key.decode()] = announcement
    return Directory(newest)


class CachedDirectory:
    """The directory for a worker's threads, read again at most every KEPT_S."""

    def __init__(self, bootstrap: str, settings: Settings) -> None:
        self._bootstrap = bootstrap
        self._settings = settings
        self._lock = threading.Lock()
        self._read_at = -KEPT_S
        self._directory = Directory({})

    def owner_of(self, partition: int, role: str = ACCOUNTS) -> str | None:
        """Where a partition's owner answers, None where nobody is known. Raises UnavailableError."""
        with self._lock:
            if time.monotonic() - self._read_at >= KEPT_S:
                self._directory = read_directory(self._bootstrap, self._settings)
                self._read_at = time.monotonic()
            return self._directory.owner_of(partition, role)


async def announce(
    bootstrap: str, settings: Settings, url: str, role: str, epochs: Callable[[], Mapping[int, int]]
) -> None:
    """Keeps the worker's word on the topic until it is cancelled, then takes it back. epochs: of what it owns now.

    While Kafka does not take it, it is tried again: whoever asks the former owner hears that it is not one.
    """
    said: Announcement | None = None
    producer = AIOKafkaProducer(**client_options(bootstrap), acks="all")
    topic = _topic(settings)
    key = (settings.worker_id if role == ACCOUNTS else f"{settings.worker_id}/{role}").encode()
    try:
        await _started(producer)
        while True:
            now = Announcement(FORMAT, url, role, {str(p): epoch for p, epoch in sorted(epochs().items())})
            if now != said:
                try:
                    await producer.send_and_wait(topic, _encode(now), key)
                    said = now
                except KafkaError as error:
                    log.warning("could not announce where this worker answers", why=repr(error))
            await asyncio.sleep(LOOK_S)
    finally:
        try:
            async with asyncio.timeout(_LAST_WORD_S):
                if said is not None:
                    await producer.send_and_wait(topic, None, key)
                await producer.stop()
        except (KafkaError, TimeoutError) as error:
            log.info("could not take back where this worker answered", why=repr(error))


async def _started(producer: AIOKafkaProducer) -> None:
    while True:
        try:
            await producer.start()
            return
        except KafkaError as error:
            log.warning("could not announce where this worker answers", why=repr(error))
            await asyncio.sleep(LOOK_S)


def _topic(settings: Settings) -> str:
    return topic_name("workers", settings.prefix, settings.generation)
