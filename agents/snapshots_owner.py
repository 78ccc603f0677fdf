"""The snapshots agent's ownership: one active instance, which holds the one partition of `snapshots`, is fenced like
any writer, and publishes under the offset of its claim.

Rules kept here as in `streams.writer`: fence, claim_first, renew_fence, fresh_heartbeat, and that a closed owner
appends nothing, whatever it was doing when it was closed.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import structlog

from agents.app import make_app
from agents.definitions_follower import DefinitionsFollower
from agents.definitions_writer import add_definition_records
from agents.reading import read_topic
from agents.settings import Settings
from agents.snapshots import Schedule, follow_partials
from state.definition_set import RETIREMENT_VALUE, Retirement
from state.layers import Current
from state.sums import PartialSums
from streams.batch import BatchTooLargeError, one_batch
from streams.batch_event import batch_topic
from streams.errors import LostError
from streams.fence import FencedProducer
from streams.ownership import Heartbeat, Partition
from streams.protocol_rows import CLAIM_KEY, FENCE_KEY, PROTOCOL_PREFIX
from streams.store import Row
from streams.topics import topic_name

log = structlog.get_logger(__name__)


class SnapshotsOwner:
    """Publishes snapshots while it owns the partition."""

    def __init__(self, settings: Settings, bootstrap: str, current: Current, heartbeat: Heartbeat) -> None:
        self._settings = settings
        self._bootstrap = bootstrap
        self._heartbeat = heartbeat
        self._snapshots = self._name("snapshots")
        self._schedule = Schedule(
            current,
            touchpoints=self._name("touchpoints"),
            claim_offset=-1,
            interval_s=settings.snapshot_interval_s,
            lateness_ms=settings.lateness_s * 1000,
        )
        self._turn = asyncio.Lock()
        self._is_closed = False
        self._fence: FencedProducer | None = None
        self._following: asyncio.Task[None] | None = None
        self._appended_at = 0.0
        self._retired: set[Retirement] = set()

    @property
    def epoch(self) -> int:
        """The offset of its claim, -1 before the first."""
        return self._schedule.claim_offset

    def standing(self) -> AbstractContextManager[PartialSums]:
        """The sums, for a thread of its own; see `Schedule.standing`."""
        return self._schedule.standing()

    def _name(self, topic: str) -> str:
        return topic_name(topic, self._settings.prefix, self._settings.generation)

    async def open(self) -> None:
        """Fences the former owner, claims the topic, and begins to follow `partials`."""
        async with self._turn:
            await self._claim()
        self._schedule.note_published(await asyncio.to_thread(self._published_names))
        following = follow_partials(
            self._bootstrap,
            self._name("partials"),
            self._settings.partitions,
            self._schedule,
            self._publish,
            self._retire,
        )
        self._following = asyncio.create_task(following)

    def _published_names(self) -> set[str]:
        """The analyses that have a snapshot on the topic, whoever published it."""
        names: set[str] = set()
        for record in read_topic(self._bootstrap, self._snapshots):
            if not record.key.startswith(PROTOCOL_PREFIX):
                (names.discard if record.value is None else names.add)(record.key.decode())
        return names

    async def _claim(self) -> None:
        self._check()
        transactional_id = f"{self._snapshots}-snapshots-{self._settings.generation}"
        former, self._fence = self._fence, None
        if former is not None:
            await former.close()
        fence = await FencedProducer.start(self._bootstrap, transactional_id)
        if self._is_closed:
            await fence.close()
        self._fence = fence
        self._schedule.claim_offset = await self._append([(CLAIM_KEY, transactional_id.encode())])

    async def _append(self, records: list[Row]) -> int:
        self._check()
        assert self._fence is not None
        appended = await self._fence.append(self._snapshots, 0, one_batch(records))
        self._appended_at = time.monotonic()
        return appended.offset

    def _check(self) -> None:
        """Rule fresh_heartbeat: whoever was not heard of for a session timeout may have a successor by now."""
        if self._is_closed:
            raise LostError("the snapshots owner is closed")
        age_s = time.monotonic() - self._heartbeat()
        if age_s > self._settings.session_timeout_s:
            raise LostError(f"the last group heartbeat of the snapshots owner is {age_s:.1f} s old")

    def start_offset(self, topic: str) -> None:
        """It holds the partition and reads nothing of it."""

    async def _retire(self, retirements: Sequence[Retirement]) -> None:
        """Says on the definitions topic that nobody sees these versions any more; who computes them stops.

        Not fenced, and said as often as anybody sees it: it is true once and for all of the pair that it names.
        """
        if new := [each for each in retirements if each not in self._retired]:
            records = {each.key: RETIREMENT_VALUE for each in new}
            await asyncio.to_thread(add_definition_records, self._bootstrap, self._settings, records)
            self._retired.update(new)

    async def _publish(self, records: list[Row]) -> bool:
        """Whether they are on the topic now."""
        async with self._turn:
            try:
                await self._append(records)
                return True
            except BatchTooLargeError as error:
                # The other analyses go on; this one's numbers stay in `partials`.
                names = ", ".join(key.decode() for key, _ in records)
                log.error(
                    "a snapshot is too large to publish; define fewer periods or columns", analysis=names, why=error
                )
                return False

    async def tend(self) -> None:
        """Raises what ended the following. Renews the fence before the broker forgets it, and says something at least
        every idle_commit_s, for the broker forgets idle producers too."""
        if self._following is None or self._fence is None:
            return
        if self._following.done():
            await self._following
        async with self._turn:
            if self._fence.is_due(self._settings.fence_renewal_s):
                await self._claim()
            elif time.monotonic() - self._appended_at > self._settings.idle_commit_s:
                await self._append([(FENCE_KEY, b"%d" % self._schedule.claim_offset)])

    async def close(self, patience_s: float) -> None:
        """Publishes nothing any more; what is under way gets `patience_s` and may not begin anything else."""
        self._is_closed = True
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._turn.acquire()
        if self._fence is not None:
            await self._fence.close()


def make_snapshots(settings: Settings, bootstrap: str, definitions: DefinitionsFollower) -> Any:
    """The application of the role snapshots."""
    snapshots = topic_name("snapshots", settings.prefix, settings.generation)

    def owner(_: Partition, heartbeat: Heartbeat) -> SnapshotsOwner:
        return SnapshotsOwner(settings, bootstrap, definitions.current, heartbeat)

    app = make_app(settings, "snapshots", bootstrap, {snapshots: owner})

    @app.agent(batch_topic(app, snapshots), name="snapshots")  # type: ignore[untyped-decorator]
    async def hold(stream: Any) -> None:
        async for event in stream.noack().events():
            raise AssertionError(f"the snapshots topic is held and never read, but {event} came")

    return app
