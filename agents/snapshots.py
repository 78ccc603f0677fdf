"""The snapshots agent: follows `partials` and publishes each analysis as its numbers change.

It renders only at covers, and only past the ends of `partials` seen at its start: before, compaction may have taken
cells away whose newer value it has not read yet. Ownership and fencing are those of any writer; `publish` stands for
them and raises when the writer may not write any more.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition

from agents.definitions_writer import APPLY_S_MAX, DELIVERY_S_MAX
from state.definition_set import Definition, DefinitionSet, Retirement
from state.layers import Current
from state.render.ranges import dates_text
from state.render.snapshot import snapshot_of
from state.sums import PartialSums
from streams.bootstrap import client_options
from streams.errors import UnavailableError
from streams.snapshot import Snapshot, SnapshotTag, encode_snapshot
from streams.store import Row

RECORDS_MAX = 5_000
REST_FACTOR = 4
"""Rendering rests for four times as long as it took, so that it never takes more than a fifth of the worker's time."""
UNCHANGED_FACTOR = 10
"""An analysis that did not change is published for its newer covers after this many intervals of traffic."""

RETIRE_AFTER_S = APPLY_S_MAX + DELIVERY_S_MAX + 5
"""For how long a version must have been on the screens before the former one is retired. Whoever applies a definition
that takes the former one along has seen it before that, and its record stands on the topic before the retirement."""

Publish = Callable[[list[Row]], Awaitable[bool]]
"""Appends records; says whether they are on the topic."""
Retire = Callable[[Sequence[Retirement]], Awaitable[None]]


class Schedule:
    """Which snapshots are due, and the snapshots. Times are seconds of a monotonic clock.

    An analysis whose totals changed is due `interval_s` after its last snapshot. One that did not change still has to
    say that it contains more input: it is due when the covers have stood still for an interval, or at the latest
    after UNCHANGED_FACTOR intervals. Of an analysis that was changed the former version is shown until every
    partition has the new one complete.
    """

    def __init__(
        self,
        current: Current,
        *,
        touchpoints: str,
        claim_offset: int,
        interval_s: float,
        lateness_ms: int,
    ) -> None:
        self.sums = PartialSums()
        self.is_caught_up = False  # whether what stood on `partials` at the start has been read
        self._applying = threading.Lock()
        self._current = current
        self._definitions = DefinitionSet(())
        self._touchpoints = touchpoints
        self.claim_offset = claim_offset  # rises when the owner claims the topic anew
        self._interval_s = interval_s
        self._lateness_ms = lateness_ms
        self._counter = 0
        self._moved_at = 0.0
        self._changed: set[str] = set()
        self._behind: set[str] = set()
        self._published_at: dict[str, float] = {}
        self._published: set[str] = set()
        self._shown_since: dict[str, float] = {}  # by version
        self._follow_definitions()

    def note_published(self, names: Iterable[str]) -> None:
        """Names whose snapshots are on the topic already."""
        self._published.update(names)

    def note_shown(self, version: str, now_s: float) -> None:
        """A snapshot of this version is on the topic."""
        self._shown_since.setdefault(version, now_s)

    def apply(self, partition: int, records: list[tuple[bytes, bytes | None]], now_s: float) -> None:
        """Takes the next records of a partition of `partials`."""
        with self._applying:
            has_moved = self.sums.apply(partition, records)
        if has_moved:
            self._moved_at = now_s
            self._behind.update(definition.version for definition in self._definitions.every)

    @contextmanager
    def standing(self) -> Iterator[PartialSums]:
        """The sums for a thread of its own, which nothing is applied to meanwhile: be brief. Raises UnavailableError
        where not everything has been read."""
        with self._applying:
            if not self.is_caught_up or not self.sums.covers:
                raise UnavailableError("the results are being read, or there are none yet; ask again in a moment")
            yield self.sums

    def due(self, now_s: float) -> Iterator[Snapshot]:
        """The snapshots to publish now."""
        self._follow_definitions()
        self._changed |= self.sums.take_changed()
        for definition in self._definitions.definitions:
            shown = self._definitions.shown(definition.analysis.name, self.sums.is_complete)
            if shown is not None and self._is_due(shown.version, now_s):
                yield self._snapshot(shown, definition, now_s)

    def gone(self) -> list[str]:
        """Names that were published and are not defined any more; each is told once."""
        gone = sorted(self._published - {each.analysis.name for each in self._definitions.definitions})
        self._published.difference_update(gone)
        return gone

    def retired(self, now_s: float) -> list[Retirement]:
        """Former versions that are not shown any more, for what replaces them has been shown for RETIRE_AFTER_S."""
        found = []
        for former in self._definitions.replaced:
            new = self._definitions.named(former.analysis.name)
            since_s = None if new is None else self._shown_since.get(new.version)
            if new is not None and since_s is not None and now_s - since_s >= RETIRE_AFTER_S:
                found.append(Retirement(former.version, new.version))
        return found

    def _follow_definitions(self) -> None:
        found = self._current()[1]
        if found != self._definitions:
            self._definitions = found
            self.sums.define(found.every)
            self._behind = {each.version for each in found.every}

    def _is_due(self, version: str, now_s: float) -> bool:
        published_at = self._published_at.get(version)
        if published_at is None:
            return True
        waited_s = now_s - published_at
        if version in self._changed:
            return waited_s >= self._interval_s
        is_quiet = now_s - self._moved_at >= self._interval_s
        return version in self._behind and (is_quiet or waited_s >= self._interval_s * UNCHANGED_FACTOR)

    def _snapshot(self, shown: Definition, newest: Definition, now_s: float) -> Snapshot:
        version = shown.version
        self._counter += 1
        self._changed.discard(version)
        self._behind.discard(version)
        self._published_at[version] = now_s
        self._published.add(shown.analysis.name)
        return snapshot_of(
            shown,
            self.sums.totals(version),
            self.sums.covers,
            touchpoints=self._touchpoints,
            lateness_ms=self._lateness_ms,
            tag=SnapshotTag(self.claim_offset, self._counter),
            range_dates=None if (days := self.sums.days(version)) is None else dates_text(days),
            backfill=None if shown is newest else self.sums.moved_percent(newest.version),
        )


async def follow_partials(
    bootstrap: str, topic: str, partition_count: int, schedule: Schedule, publish: Publish, retire: Retire
) -> None:
    """Runs until it is cancelled: reads all partitions of `topic`, publishes what is due, and says which versions are
    not shown any more.

    Ends by what `publish`, `retire` or the reading of the definitions raises.
    """
    consumer = AIOKafkaConsumer(
        **client_options(bootstrap), group_id=None, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        places = [TopicPartition(topic, partition) for partition in range(partition_count)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        behind = await consumer.end_offsets(places)
        rest_until = 0.0
        while True:
            await _read(consumer, schedule)
            behind = {place: end for place, end in behind.items() if await consumer.position(place) < end}
            schedule.is_caught_up = not behind
            if not behind and time.monotonic() >= rest_until:
                took_s = await _publish_due(schedule, publish)
                await retire(schedule.retired(time.monotonic()))
                rest_until = time.monotonic() + REST_FACTOR * took_s
    finally:
        await consumer.stop()


async def _read(consumer: AIOKafkaConsumer, schedule: Schedule) -> None:
    """Applies what has come, at most RECORDS_MAX records, or waits a moment."""
    fetched = await consumer.getmany(timeout_ms=50, max_records=RECORDS_MAX)
    now_s = time.monotonic()
    for place, records in fetched.items():
        schedule.apply(place.partition, [(each.key, each.value) for each in records], now_s)
    # What is buffered comes without waiting; heartbeats of the process must get their turn.
    await asyncio.sleep(0)


async def _publish_due(schedule: Schedule, publish: Publish) -> float:
    """Publishes what is due, one snapshot at a time; returns the seconds that rendering took."""
    took_s = 0.0
    started_s = time.monotonic()
    for snapshot in schedule.due(started_s):
        record: Row = (snapshot.analysis.encode(), encode_snapshot(snapshot))
        took_s += time.monotonic() - started_s
        is_shown = await publish([record])
        started_s = time.monotonic()
        if is_shown:  # else readers have the former version's, which is computed on
            schedule.note_shown(snapshot.version, started_s)
    if gone := schedule.gone():
        await publish([(name.encode(), None) for name in gone])
    return took_s
