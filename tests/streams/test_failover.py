"""Three brokers with every record on all of them: the fence holds when the leader of a partition dies."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaAdminClient

from chaos.brokers import Brokers
from streams.admin import create_topics, require_topics
from streams.errors import LostError, MilepostError, UnavailableError
from streams.writer import Writer
from tests.state.memory_store import MemoryStore
from tests.streams.toy import GENERATION, Names, assert_exact, names_of, plan_of, produce, read_all, writer_of

pytestmark = pytest.mark.broker

KEYS = [b"%d" % (number % 7) for number in range(60)]


@pytest.fixture
def brokers(tmp_path: Path, jars: Path) -> Iterator[Brokers]:
    cluster = Brokers(tmp_path, jars, 3)
    cluster.start()
    yield cluster
    cluster.stop()


def leader_of(bootstrap: str, topic: str) -> int:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap.split(","))
    try:
        (found,) = admin.describe_topics([topic])
    finally:
        admin.close()
    return int(found["partitions"][0]["leader_id"])


def start_checks(bootstrap: str, prefix: str) -> None:
    """What a worker asks first, as often as it is started again."""
    for _ in range(5):
        try:
            return require_topics(bootstrap, prefix, GENERATION, 1, 3)
        except UnavailableError as error:
            last = error
            time.sleep(1)
    raise last


async def opened(bootstrap: str, prefix: str, store: MemoryStore) -> Writer:
    """An owner; taken over again where the brokers were not ready for it."""
    for _ in range(10):
        writer = writer_of(plan_of(bootstrap, prefix), prefix, lambda: store)
        try:
            await writer.open()
        except MilepostError:
            await writer.close(1)
            await asyncio.sleep(1)
        else:
            return writer
    raise AssertionError("nobody could take the partition over")


def test_a_fence_holds_when_the_leader_dies(brokers: Brokers, prefix: str) -> None:
    """The owner was fenced on a leader that is gone; the next one knows from its log, refuses the former owner, and
    what was committed is there."""
    create_topics(brokers.bootstrap, prefix, GENERATION, 1, 3)
    names: Names = names_of(prefix)
    produce(brokers.bootstrap, names.source, KEYS)

    async def steps() -> None:
        records = await read_all(brokers.bootstrap, names.source)
        former_store, store = MemoryStore(), MemoryStore()
        former = await opened(brokers.bootstrap, prefix, former_store)
        await former.process(records[:10])
        owner = await opened(brokers.bootstrap, prefix, store)
        await owner.process(records[10:20])
        number = await asyncio.to_thread(leader_of, brokers.bootstrap, names.changelog)
        await asyncio.to_thread(brokers.nodes[number - 1].kill)
        # A worker may start now: a broker that is down is asked for nothing that it alone knows.
        await asyncio.to_thread(start_checks, brokers.bootstrap, prefix)
        before = dict(former_store.rows)
        with pytest.raises(LostError):
            await former.process(records[10:20])
        assert former_store.rows == before
        try:
            await owner.process(records[20:30])
        except LostError:
            # What came of an append to a leader that died is not always known; then another owner finds out.
            await owner.close(1)
            owner = await opened(brokers.bootstrap, prefix, store)
        start = owner.start_offset(names.source)
        assert start in (20, 30)
        await owner.process(records[start:])
        for writer in (former, owner):
            await writer.close(1)

    asyncio.run(asyncio.wait_for(steps(), 150))
    assert_exact(brokers.bootstrap, prefix)
