"""The snapshots agent's ownership: one active instance, which holds the one partition of `snapshots`, is fenced like
any writer, and publishes under the offset of its claim."""

import asyncio
import time
from typing import Any

from agents.app import make_app
from agents.reading import read_definitions
from agents.settings import Settings
from agents.snapshots import Schedule, follow_partials
from state.definition_set import DefinitionSet
from streams.batch import one_batch
from streams.batch_event import batch_topic
from streams.errors import LostError
from streams.fence import FencedProducer
from streams.ownership import Heartbeat, Partition
from streams.protocol_rows import CLAIM_KEY
from streams.topics import topic_name


class SnapshotsOwner:
    """Publishes snapshots while it owns the partition."""

    def __init__(self, settings: Settings, bootstrap: str, definitions: DefinitionSet, heartbeat: Heartbeat) -> None:
        self._settings = settings
        self._bootstrap = bootstrap
        self._definitions = definitions
        self._heartbeat = heartbeat
        self._snapshots = self._name("snapshots")
        self._fence: FencedProducer | None = None
        self._following: asyncio.Task[None] | None = None

    def _name(self, topic: str) -> str:
        return topic_name(topic, self._settings.prefix, self._settings.generation)

    async def open(self) -> None:
        """Fences the former owner, claims the topic, and begins to follow `partials`."""
        transactional_id = f"{self._snapshots}-snapshots-{self._settings.generation}"
        self._fence = await FencedProducer.start(self._bootstrap, transactional_id)
        claim = await self._fence.append(self._snapshots, 0, one_batch([(CLAIM_KEY, transactional_id.encode())]))
        schedule = Schedule(
            self._definitions,
            touchpoints=self._name("touchpoints"),
            claim_offset=claim.offset,
            interval_s=self._settings.snapshot_interval_s,
            lateness_ms=self._settings.lateness_s * 1000,
        )
        following = follow_partials(
            self._bootstrap, self._name("partials"), self._settings.partitions, schedule, self._publish
        )
        self._following = asyncio.create_task(following)

    def start_offset(self, topic: str) -> None:
        """It holds the partition and reads nothing of it."""

    async def _publish(self, records: list[tuple[bytes, bytes]]) -> None:
        assert self._fence is not None
        age_s = time.monotonic() - self._heartbeat()
        if age_s > self._settings.session_timeout_s:
            raise LostError(f"the last group heartbeat of the snapshots owner is {age_s:.1f} s old")
        await self._fence.append(self._snapshots, 0, one_batch(records))

    async def tend(self) -> None:
        """Raises what ended the following; takes the partition over anew before the broker forgets the fence."""
        assert self._fence is not None
        assert self._following is not None
        if self._following.done():
            await self._following
        if self._fence.is_due(self._settings.fence_renewal_s):
            await self.close(0)
            await self.open()

    async def close(self, patience_s: float) -> None:
        """Publishes nothing any more."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        if self._fence is not None:
            await self._fence.close()


def make_snapshots(settings: Settings, bootstrap: str) -> Any:
    """The application of the role snapshots."""
    definitions = read_definitions(bootstrap, settings)
    snapshots = topic_name("snapshots", settings.prefix, settings.generation)

    def owner(_: Partition, heartbeat: Heartbeat) -> SnapshotsOwner:
        return SnapshotsOwner(settings, bootstrap, definitions, heartbeat)

    app = make_app(settings, "snapshots", bootstrap, {snapshots: owner})

    @app.agent(batch_topic(app, snapshots), name="snapshots")  # type: ignore[untyped-decorator]
    async def hold(stream: Any) -> None:
        async for event in stream.noack().events():
            raise AssertionError(f"the snapshots topic is held and never read, but {event} came")

    return app
