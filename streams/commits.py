"""The commits of one owner, one behind the other: computed, appended to the changelog, written to the store, published.

The law: in this order, each step only when the one before it is known to have happened. Then a store is never ahead of
its changelog, readers never see what a crash takes back, and what a crash swallowed can be published again.

Rules kept here: publish_after_commit, publish_again, and split_input_not_rows, as far as it says what is cut.
commit_is_one_batch and tag_is_commit_offset are kept in `streams.commit`, check_base_offset in `streams.tenure`.
"""

import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from streams.batch import BatchTooLargeError
from streams.beside import beside
from streams.commit import Committed, Prepared, outputs_of
from streams.computation import (
    Standing,
    chore_commit_of,
    commit_of,
    idle_commit_of,
    outside_commit_of,
    slice_commit_of,
)
from streams.computing import Computing
from streams.crash import crash_point
from streams.errors import MilepostError
from streams.fence import Appended
from streams.partials import Tag
from streams.protocol_rows import CommitRow, Input, Poison
from streams.stage import Record, Stage, Work
from streams.store import Position, Store
from streams.tenure import Tenure

log = logging.getLogger(__name__)

_T = TypeVar("_T")


class Commits:
    """What the commits of a partition left, and the next ones. One call at a time.

    row: what the last commit says of itself. made_at: when (time.monotonic) it was made; 0 before the first. Each
    method that commits raises LostError when the owner may not write, and is the owner's last one then.
    """

    def __init__(
        self,
        tenure: Tenure,
        stage: Stage,
        store: Store,
        position: Position,
        row: CommitRow,
        computing: Computing,
        on_commit: Callable[[Committed], None] | None,
        end_by_topic: Mapping[str, int],
    ) -> None:
        """position: where the store stands. row: the last commit's, or what stands for it before there is one.
        computing: what the owners of the stage share. end_by_topic: where the inputs ended when the owner came."""
        self.row = row
        self.stage = stage
        self.made_at = 0.0
        self._tenure = tenure
        self._store = store
        self._position = position
        self._computing = computing
        self._on_commit = on_commit
        self._end_by_topic = end_by_topic

    def next_offset(self, topic: str) -> int:
        """Of an input, behind what is applied."""
        return self.row.input_by_topic[topic].applied + 1

    def is_time(self, now: float) -> bool:
        """Whether a chore may be due by now (time.monotonic), and only another commit can say so: the broker alone
        knows the time."""
        due_ms = self.stage.due_ms()
        if due_ms is None:
            return False
        known_ms = max(self.row.clock_ms, self._tenure.acknowledged_ms)
        return 0 < due_ms - known_ms <= (now - self.made_at) * 1000

    async def apply(self, take: Callable[[], Sequence[Record]]) -> None:
        """Commits the next records of one input. take: gives them when their computation begins, at least one. Raises
        ComputationError; those before the record may be applied."""
        async with self._turn():
            begun, records = time.perf_counter(), take()
            commit = await self._computed(commit_of, records)
        if commit is not None:
            await self._commit(commit, len(records), time.perf_counter() - begun)
        # Rule split_input_not_rows: a commit is never cut; half of its input is computed instead.
        elif len(records) == 1:
            await self._apply_in_slices(records[0])
        else:
            middle = len(records) // 2
            await self.apply(lambda: records[:middle])
            await self.apply(lambda: records[middle:])

    async def _apply_in_slices(self, record: Record) -> None:
        """One record that is too large alone: slice after slice, each a commit. Only the last one moves the input
        position and what readers see, so whoever comes after a crash reads the record again and goes on from the
        rows."""
        is_last = False
        while not is_last:
            async with self._turn():
                begun = time.perf_counter()
                commit, is_last = await self._computed(slice_commit_of, record)
            await self._commit(commit, int(is_last), time.perf_counter() - begun)
            if not is_last:
                crash_point("slice")

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        async with self._computing.turn():
            # Behind a close the store can not be read any more, and the turn or the second half of a batch may come
            # only then.
            self._tenure.check()
            yield

    async def _computed(self, commit_of: Callable[..., _T], *args: Any) -> _T:
        """A commit on top of the last one; in a turn."""
        return await self._computing.run(partial(commit_of, self.stage, self._standing(), *args))

    async def commit_idle(self, inputs: dict[str, Input] | None = None, poison: Poison | None = None) -> None:
        """A commit without input. inputs: where they stand, when something was passed over. poison: the record behind
        them, when it failed just now."""
        async with self._turn():
            commit = await self._computed(idle_commit_of, inputs, poison)
        await self._commit(commit)

    async def commit_chore(self) -> bool:
        """The stage's next chore; False when there was none, or none that can be done.

        One that can not be computed is told, and input goes on without it; the stage knows what to do instead.
        """
        try:
            async with self._turn():
                commit = await self._computed(chore_commit_of)
        except Exception as error:
            if isinstance(error, MilepostError) and not isinstance(error, BatchTooLargeError):
                raise
            self.stage.chore_failed()
            log.exception(
                "partition %d: what is to be done without input can not be computed, so definitions that changed take"
                " no effect here, or what time brings about is not told; events go on. Apply definitions without the"
                " one that fails, or mend what fails and start again.",
                self._tenure.changelog.partition,
            )
            return False
        if commit is not None:
            await self._commit(commit)
            crash_point("chore")
        return commit is not None

    async def commit_outside(self, compute: Callable[[int], Work]) -> None:
        """What became known without a record; see `Writer.note`."""
        async with self._turn():
            commit = await self._computed(outside_commit_of, compute)
        await self._commit(commit)
        crash_point("note")

    async def publish_again(self) -> None:
        """Rule publish_again: a crash may have swallowed what the last commit had to publish."""
        tag = self._tag(self._position.commit_offset)
        again = partial(self.stage.again, self.row.pending)
        async with self._turn():
            outputs = await self._computing.run(lambda: outputs_of(self.stage, again(), self.row, tag))
        await self._tenure.publish(outputs)
        crash_point("again")

    async def _commit(self, commit: Prepared, record_count: int = 0, compute_s: float = 0.0) -> None:
        begun = time.perf_counter()
        await beside(commit.pack, len(commit.rows))
        appended = await self._tenure.append_commit(commit.changelog, len(commit.rows))
        crash_point("changelog")
        self._tenure.check()
        logged = time.perf_counter()
        await self._write(commit, appended)
        crash_point("store")
        written = time.perf_counter()
        # Rule publish_after_commit: what readers see can not be taken back, and the next commit begins only after all
        # of it is acknowledged.
        await self._tenure.publish(commit.outputs)
        crash_point("publish")
        if self._on_commit is not None:
            times = logged - begun, written - logged, time.perf_counter() - written
            self._on_commit(Committed(record_count, len(commit.rows), compute_s, *times))

    async def _write(self, commit: Prepared, appended: Appended) -> None:
        """Rows and position in one step, on top of the position that this owner left."""
        next_offset, changelog = self._tenure.next_offset, self._tenure.changelog
        position = Position(next_offset, appended.offset, appended.written_at, changelog.topic_id, changelog.generation)
        await beside(partial(self._store.write, commit.rows, position, self._position), len(commit.rows))
        self._position, self.row, self.made_at = position, commit.row, time.monotonic()

    def _standing(self) -> Standing:
        tenure = self._tenure
        is_behind = any(self.next_offset(topic) < end for topic, end in self._end_by_topic.items())
        return Standing(self.row, tenure.epoch, self._tag(tenure.next_offset), tenure.acknowledged_ms, is_behind)

    def _tag(self, offset: int) -> Tag:
        return Tag(self._tenure.changelog.generation, offset)
