"""What comes while ingest writes is written next, all of it at once; on a real broker."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents.ingest import Ingest
from agents.reading import read_topic
from agents.settings import Settings
from streams.admin import create_topics
from streams.broker import EmbeddedBroker
from streams.topics import topic_name
from streams.touchpoint import decode_touchpoint
from tests.streams.toy import Stored

pytestmark = pytest.mark.broker

EVENT = {"version": 1, "event_time": 1_700_000_000_000, "source": "s", "type": "A"}


class World:
    """Ingest, and how often it sent something."""

    def __init__(self, settings: Settings) -> None:
        assert settings.bootstrap_servers is not None
        self.settings = settings
        self.ingest = Ingest(settings, settings.bootstrap_servers)
        self.sent_counts: list[int] = []
        send_all = self.ingest._send_all

        async def counted(gathered: Any) -> None:
            self.sent_counts.append(sum(map(len, gathered.touchpoints.values())) + len(gathered.dead_letters))
            await send_all(gathered)

        self.ingest._send_all = counted  # type: ignore[method-assign]

    def begin(self, partition: int, *ids: str) -> asyncio.Task[None]:
        """Has a batch of a source partition processed; an event without an id is none."""
        topic = topic_name("crm-events", self.settings.prefix, 0)
        payloads = [
            msgspec.json.encode({**EVENT, "account": f"a{id_}", **({"event_id": id_} if id_ else {})}) for id_ in ids
        ]
        records = [Stored(partition, n, 1_700_000_000_000, b"k", each, topic) for n, each in enumerate(payloads)]
        return asyncio.create_task(self.ingest.process(topic, partition, records))

    def found(self) -> list[str]:
        """The ids of the touchpoints that are there."""
        records = read_topic(self.settings.bootstrap_servers or "", topic_name("touchpoints", self.settings.prefix, 0))
        return sorted(decode_touchpoint(each.value or b"").event_id for each in records)


def run(kafka: EmbeddedBroker, prefix: str, folder: Path, steps: Callable[[World], Awaitable[None]]) -> World:
    settings = Settings(folder=folder, prefix=prefix, bootstrap_servers=kafka.bootstrap_servers)
    create_topics(kafka.bootstrap_servers, prefix, settings.generation, settings.partitions, settings.replication)
    world = World(settings)

    async def whole() -> None:
        try:
            await steps(world)
        finally:
            if world.ingest._producer is not None:
                await world.ingest._producer.stop()

    asyncio.run(asyncio.wait_for(whole(), 30))
    return world


def test_what_waits_is_written_at_once(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> None:
    """Of all source partitions, dead letters too; each batch ends when it is there."""

    async def steps(world: World) -> None:
        async with world.ingest._turn:
            begun = [world.begin(0, "1", "2"), world.begin(1, "3", ""), world.begin(2, "4")]
            await asyncio.sleep(0.1)
            assert not any(each.done() for each in begun)
        await asyncio.gather(*begun)
        await world.begin(0, "5")

    world = run(kafka, prefix, tmp_path, steps)
    assert world.found() == ["1", "2", "3", "4", "5"]
    assert world.sent_counts == [5, 1]
    dead = list(read_topic(kafka.bootstrap_servers, topic_name("dead-letters", prefix, 0)))
    assert [each.partition for each in dead] == [1]


def test_what_was_not_written_for_one_is_written_for_the_others(
    kafka: EmbeddedBroker, prefix: str, tmp_path: Path
) -> None:
    """The one that had the turn is cancelled while it writes, for its partition is given up: nobody else's is lost, and
    what is there twice is the same."""

    async def steps(world: World) -> None:
        send, going = world.ingest._send_all, asyncio.Event()

        async def slow(gathered: Any) -> None:
            if not going.is_set():
                going.set()
                await asyncio.sleep(60)
            await send(gathered)

        async with world.ingest._turn:
            first, second = world.begin(0, "1"), world.begin(1, "2")
            await asyncio.sleep(0.1)
            world.ingest._send_all = slow  # type: ignore[method-assign]
        await going.wait()
        first.cancel()
        await second
        assert first.cancelled()

    world = run(kafka, prefix, tmp_path, steps)
    assert world.found() == ["1", "2"]
    assert world.sent_counts == [2]
