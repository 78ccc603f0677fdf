"""The owner of the snapshots topic, on a real broker: fenced, closed for good, heard of."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from agents.read_record import ReadRecord
from agents.reading import read_topic
from agents.settings import Settings
from agents.snapshots_owner import SnapshotsOwner
from streams.admin import create_topics
from streams.broker import EmbeddedBroker
from streams.errors import LostError
from streams.topics import topic_name
from tests.agents.snapshot_worlds import DEFINITIONS

Make = Callable[..., SnapshotsOwner]


@pytest.fixture
def settings(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> Settings:
    """Settings with topics."""
    made = Settings(folder=tmp_path, prefix=prefix, bootstrap_servers=kafka.bootstrap_servers, session_timeout_s=6)
    create_topics(kafka.bootstrap_servers, prefix, made.generation, made.partitions, made.replication)
    return made


def run(settings: Settings, steps: Callable[[Make], Awaitable[None]]) -> None:
    """Runs steps that make owners; closes all of them."""
    owners: list[SnapshotsOwner] = []

    def make(heartbeat: Callable[[], float] = time.monotonic, **changes: float) -> SnapshotsOwner:
        assert settings.bootstrap_servers is not None
        changed = settings.model_copy(update=changes)
        owners.append(SnapshotsOwner(changed, settings.bootstrap_servers, lambda: (0, DEFINITIONS), heartbeat))
        return owners[-1]

    async def whole() -> None:
        try:
            await steps(make)
        finally:
            await asyncio.gather(*(owner.close(1) for owner in owners))

    asyncio.run(whole())


def records(settings: Settings) -> list[ReadRecord]:
    """What stands in the topic."""
    assert settings.bootstrap_servers is not None
    topic = topic_name("snapshots", settings.prefix, settings.generation)
    return list(read_topic(settings.bootstrap_servers, topic))


def test_the_next_owner_fences_the_former_one(settings: Settings) -> None:
    """The zombie's snapshot is refused by the broker, and stands nowhere."""

    async def steps(make: Make) -> None:
        former, following = make(), make()
        await former.open()
        await following.open()
        await following._publish([(b"content", b"new")])
        with pytest.raises(LostError):
            await former._publish([(b"content", b"old")])

    run(settings, steps)
    assert [record.value for record in records(settings) if record.key == b"content"] == [b"new"]


def test_a_closed_owner_begins_nothing(settings: Settings) -> None:
    """Closed while it renews its fence, it neither claims nor follows any more."""

    async def steps(make: Make) -> None:
        owner = make(fence_renewal_s=0)
        await owner.open()
        claims = len(records(settings))
        renewal = asyncio.create_task(owner.tend())
        await asyncio.sleep(0)
        await owner.close(5)
        with pytest.raises(LostError):
            await renewal
        assert len(records(settings)) == claims

    run(settings, steps)


def test_an_owner_that_was_not_heard_of_appends_nothing(settings: Settings) -> None:
    """Neither a snapshot nor a renewal of its fence, which would evict its successor."""

    async def steps(make: Make) -> None:
        heard_at = [time.monotonic()]
        owner = make(lambda: heard_at[0], fence_renewal_s=0)
        await owner.open()
        heard_at[0] -= 60
        for step in (owner.tend(), owner._publish([(b"content", b"late")])):
            with pytest.raises(LostError, match="heartbeat"):
                await step

    run(settings, steps)


def test_a_renewed_owner_publishes_under_its_new_claim(settings: Settings) -> None:
    """The schedule goes on; its tags are those of the later claim."""

    async def steps(make: Make) -> None:
        owner = make(fence_renewal_s=0)
        await owner.open()
        first = owner._schedule.claim_offset
        await owner.tend()
        assert owner._schedule.claim_offset > first >= 0

    run(settings, steps)


def test_a_silent_owner_keeps_its_fence(settings: Settings) -> None:
    """It appends a fence record when it has said nothing for long."""

    async def steps(make: Make) -> None:
        owner = make(idle_commit_s=0.0)
        await owner.open()
        await asyncio.sleep(0.01)
        await owner.tend()

    run(settings, steps)
    assert records(settings)[-1].key == b"!fence"


def test_a_snapshot_that_is_too_large_does_not_end_the_owner(settings: Settings) -> None:
    """It is left out, and the next one is published."""

    async def steps(make: Make) -> None:
        owner = make()
        await owner.open()
        await owner._publish([(b"content", b"x" * (40 << 20))])
        await owner._publish([(b"way", b"small")])

    run(settings, steps)
    assert [record.key for record in records(settings)][-1] == b"way"
