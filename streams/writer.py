"""One owner of one partition: the only thing that appends to its changelog, writes its store and publishes for it.

The law is the commit protocol (`docs/architecture.md`, "One batch of one partition"), whose rules are named where the
code keeps them: claim_first, fence, fence_outputs_before_ready, restore_to_claim, discard_stale_disk,
ready_behind_claim, publish_again, read_from_applied, commit_is_one_batch, check_base_offset, publish_after_commit,
tag_is_commit_offset, renew_fence, fresh_heartbeat, split_input_not_rows. Change none without the model
(`tests/model`).

A writer that failed once, in whatever step, writes nothing more; its successor restores.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import Enum
from operator import attrgetter

import msgspec

from streams.batch import Batch, BatchTooLargeError, one_batch
from streams.commit import Committed, Outputs, Prepared, applied_of, outputs_of, prepared
from streams.crash import crash_point
from streams.errors import LostError, MilepostError, UsageError
from streams.fence import Appended, FencedProducer
from streams.partials import Tag
from streams.poison import (
    ComputationError,
    PoisonError,
    blamed,
    counted,
    fetch_one,
    is_set_aside,
    poison_error,
    record_id,
)
from streams.protocol_rows import (
    CLAIM_KEY,
    COMMIT_KEY,
    FENCE_KEY,
    READY_KEY,
    CommitRow,
    Input,
    Poison,
    decode_commit,
)
from streams.restore import Changelog, CountRows, bounds_of, reader_of, restore, uncounted
from streams.resume import first_row, require_next, require_resumable
from streams.stage import Record, Stage, StageFactory, Work
from streams.store import Position, Store

log = logging.getLogger(__name__)


class WriterPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What the writers of all partitions of a stage have in common.

    name: the stage's, for messages. changelog: its topic, and the stem of its transactional ids. topic_id_by_name: of
    the changelog and of every input.
    """

    name: str
    bootstrap: str
    changelog: str
    inputs: tuple[str, ...]
    topic_id_by_name: dict[str, str]
    generation: int
    set_aside: str | None = None
    poison_restarts_max: int = 3
    session_timeout_s: float = 10.0
    idle_commit_s: float = 3600.0
    fence_renewal_s: float = 86_400.0

    def changelog_of(self, partition: int) -> Changelog:
        """The partition's."""
        return Changelog(self.changelog, partition, self.topic_id_by_name[self.changelog], self.generation)


LOOK_S = 5.0
"""How often a partition that stands still asks whether its record was set aside."""
CHORES_S = 0.5
"""For how long a batch may have to wait behind chores, and the tending of other partitions too."""


class _State(Enum):
    NEW = "not opened yet"
    OPENING = "being opened"
    READY = "ready"
    FAILED = "failed before"
    CLOSED = "closed"


_timestamp = attrgetter("timestamp")


class Writer:
    """open, then any number of process, idle, renew and tend, then close. Safe to call from several tasks."""

    def __init__(
        self,
        plan: WriterPlan,
        partition: int,
        open_store: Callable[[], Store],
        make_stage: StageFactory,
        heartbeat: Callable[[], float],
        on_commit: Callable[[Committed], None] | None = None,
        count_rows: CountRows = uncounted,
    ) -> None:
        """heartbeat: when (time.monotonic) the group was last heard to know us as a member."""
        self._plan = plan
        self._partition = partition
        self._open_store = open_store
        self._make_stage = make_stage
        self._heartbeat = heartbeat
        self._on_commit = on_commit
        self._count_rows = count_rows
        self._state = _State.NEW
        self._turn = asyncio.Lock()
        self._fence: FencedProducer | None = None
        self._store: Store | None = None
        self._stage: Stage
        self._position: Position | None = None
        self._row: CommitRow
        self._epoch = self._expected = -1
        self._acknowledged_ms = 0
        self._committed_at = 0.0
        self._appended_at_by_output: dict[str, float] = {}
        self._looked_at = 0.0

    # --- what others may know

    @property
    def applied(self) -> dict[str, int]:
        """The last offset that is inside the state, per input."""
        return applied_of(self._row)

    @property
    def stage(self) -> Stage:
        """The stage of the partition; for reading."""
        return self._stage

    @property
    def standstill(self) -> PoisonError | None:
        """Why the partition is held and not read; None when all is well."""
        poison, restarts_max = self._row.poison, self._plan.poison_restarts_max
        if poison is None or poison.count <= restarts_max:
            return None
        return poison_error(self._partition, poison, restarts_max)

    def start_offset(self, topic: str) -> int | None:
        """Where the input is to be read from (rule read_from_applied), whatever its consumer group committed; None
        while the partition stands still."""
        return None if self.standstill else self._next_offset(topic)

    def _next_offset(self, topic: str) -> int:
        return self._row.input_by_topic[topic].applied + 1

    # --- the steps

    async def open(self) -> None:
        """Takes the partition over and brings its state up to the last commit.

        Raises LostError when another owner came in between, MismatchError when going on would corrupt.
        """
        async with self._turn:
            with self._step(_State.NEW):
                self._state = _State.OPENING
                await self._take_over()
                self._state = _State.READY
                await self._commit(self._prepare_idle())

    async def process(self, records: Sequence[Record]) -> None:
        """Applies records of one input, the next ones in its order: computes, commits, publishes.

        When it returns they need never be read again.
        """
        async with self._turn:
            with self._step(_State.READY):
                crash_point("read")
                require_next(self, records, self._next_offset(records[0].topic))
                try:
                    await self._apply(records)
                except ComputationError as failed:
                    await self._blame(records, failed)

    async def idle(self) -> None:
        """A commit without input, so that readers get covers and the clock goes on."""
        async with self._turn:
            with self._step(_State.READY):
                await self._commit(self._prepare_idle())

    async def renew(self) -> None:
        """Fences itself anew, for the broker forgets a fence in time (rule renew_fence)."""
        async with self._turn:
            with self._step(_State.READY):
                self._check()
                former, self._fence = self._fence, None
                if former is not None:
                    await former.close()
                claim = await self._claim()
                if claim.offset != self._expected:
                    raise LostError(f"{self}: the new claim stands at {claim.offset}, expected {self._expected}")
                await self._confirm(claim)

    async def tend(self) -> None:
        """Does what is due, and chores for a moment; to be called about every second."""
        if self._state is not _State.READY or self._fence is None:
            return
        now = time.monotonic()
        if self._fence.is_due(self._plan.fence_renewal_s):
            await self.renew()
        if now - self._committed_at > self._plan.idle_commit_s:
            await self.idle()
        await self._keep_fences(now)
        await self._do_chores(now + CHORES_S)
        if self.standstill is not None and now - self._looked_at > LOOK_S:
            log.error("%s", self.standstill)
            await self._try_to_go_on(is_first=self._looked_at == 0.0)
            self._looked_at = now

    async def close(self, patience_s: float) -> None:
        """Lets the step in flight end within `patience_s`; afterwards nothing of this epoch is written.

        A step that takes longer goes on computing, and fails where it would write; the next fence covers the rest.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s), self._turn:
                pass
        self._state = _State.CLOSED
        if self._fence is not None:
            await self._fence.close()
        if self._store is not None:
            self._store.close()

    # --- taking over

    async def _take_over(self) -> None:
        claim = await self._claim()
        self._store = self._open_store()
        changelog = self._plan.changelog_of(self._partition)
        self._position = await restore(self._store, self._plan.bootstrap, changelog, claim, self._count_rows)
        crash_point("restore")
        self._stage = self._make_stage(self._partition, self._store)
        is_first = await self._resume()
        await self._confirm(claim)
        if not is_first:
            await self._publish_again()

    async def _resume(self) -> bool:
        """Rule read_from_applied; returns whether nothing was ever committed."""
        assert self._store is not None
        ids, definitions = self._plan.topic_id_by_name, self._stage.definitions_hash
        bounds_by_topic = await bounds_of(self._plan.bootstrap, self._plan.inputs, self._partition)
        (stored,) = self._store.get([COMMIT_KEY])
        if stored is None:
            self._row = first_row(self._epoch, bounds_by_topic, ids, definitions)
        else:
            self._row = decode_commit(stored)
            require_resumable(self, self._row, bounds_by_topic, ids, definitions)
        return stored is None

    async def _claim(self) -> Appended:
        """Rules fence and claim_first: from here on no former owner can append to the changelog, and what it did
        append stands before the claim."""
        transactional_id = f"{self._plan.changelog}-{self._partition}"
        self._fence = await FencedProducer.start(self._plan.bootstrap, transactional_id)
        crash_point("fence")
        claim = await self._append(self._plan.changelog, one_batch([(CLAIM_KEY, transactional_id.encode())]))
        self._epoch = claim.offset
        crash_point("claim")
        return claim

    async def _confirm(self, claim: Appended) -> None:
        """Rules fence_outputs_before_ready and ready_behind_claim."""
        for topic in self._stage.outputs:
            # A partition of an output that has not seen the new epoch still takes the former owner's word.
            await self._append_fence(topic)
        crash_point("outputs")
        ready = await self._append(self._plan.changelog, one_batch([(READY_KEY, b"%d" % claim.offset)]))
        if ready.offset != claim.offset + 1:
            raise LostError(
                f"{self}: ready stands at {ready.offset}, the claim at {claim.offset}; something else was appended"
            )
        self._expected = ready.offset + 1
        self._acknowledged_ms = ready.written_at
        crash_point("ready")

    async def _publish_again(self) -> None:
        """Rule publish_again: a crash may have swallowed what the last commit had to publish."""
        assert self._position is not None
        tag = self._tag(self._position.commit_offset)
        await self._publish(outputs_of(self._stage, self._stage.again(self._row.pending), self._row, tag))
        crash_point("again")

    # --- one commit

    async def _apply(self, records: Sequence[Record]) -> None:
        begun = time.perf_counter()
        commit = self._fitting(records)
        if commit is not None:
            await self._commit(commit, len(records), time.perf_counter() - begun)
            return
        if len(records) == 1:
            await self._apply_in_slices(records[0])
            return
        middle = len(records) // 2
        await self._apply(records[:middle])
        await self._apply(records[middle:])

    def _fitting(self, records: Sequence[Record]) -> Prepared | None:
        """The commit of these records, or None when it is too large and half of its input must be computed instead
        (rule split_input_not_rows: a commit is never cut)."""
        # Behind a close the store can not be read any more, and the second half of a batch may be due only then.
        self._check()
        try:
            return self._prepare(records)
        except BatchTooLargeError:
            return None
        except MilepostError:
            raise
        except Exception as error:
            raise ComputationError(blamed(records, error, self._prepare), error) from error

    async def _apply_in_slices(self, record: Record) -> None:
        """One record that is too large alone: slice after slice, each a commit. Only the last one moves the input
        position and what readers see, so whoever comes after a crash reads the record again and goes on from the
        rows."""
        is_last = False
        while not is_last:
            begun = time.perf_counter()
            self._check()
            commit, is_last = self._prepare_slice(record)
            await self._commit(commit, int(is_last), time.perf_counter() - begun)
            if not is_last:
                crash_point("slice")

    def _prepare_slice(self, record: Record) -> tuple[Prepared, bool]:
        clock_ms = max(self._row.clock_ms, record.timestamp)
        try:
            cut = self._stage.slice(record, clock_ms)
            if cut is None:
                raise BatchTooLargeError("it can not be applied in slices")
            if cut.is_last:
                return self._prepared(cut.work, self._inputs_behind(record), clock_ms), True
            # As if nothing had happened yet: nor does the clock go on.
            return self._prepared(cut.work, self._row.input_by_topic, self._row.clock_ms), False
        except BatchTooLargeError as error:
            too_large = UsageError(
                f"it changes more than one commit can hold ({error}). Simplify the definitions that it matches, or"
                " correct it at its source."
            )
            raise ComputationError(record, too_large) from error
        except MilepostError:
            raise
        except Exception as error:
            raise ComputationError(record, error) from error

    def _prepare(self, records: Sequence[Record]) -> Prepared:
        clock_ms = max(self._row.clock_ms, max(map(_timestamp, records)))
        work = self._stage.compute(records, clock_ms)
        return self._prepared(work, self._inputs_behind(records[-1]), clock_ms)

    def _inputs_behind(self, record: Record) -> dict[str, Input]:
        was, topic = self._row.input_by_topic, record.topic
        return was | {topic: Input(record.offset, was[topic].topic_id)}

    def _prepare_idle(self, inputs: dict[str, Input] | None = None, poison: Poison | None = None) -> Prepared:
        clock_ms = self._clock_without_input()
        return self._prepared(self._stage.idle(clock_ms), inputs or self._row.input_by_topic, clock_ms, poison)

    def _prepare_chore(self) -> Prepared | None:
        clock_ms = self._clock_without_input()
        work = self._stage.chore(clock_ms)
        return None if work is None else self._prepared(work, self._row.input_by_topic, clock_ms)

    def _clock_without_input(self) -> int:
        """Without input the clock learns the time from the broker's word on the previous append."""
        return max(self._row.clock_ms, self._acknowledged_ms)

    def _prepared(self, work: Work, inputs: dict[str, Input], clock_ms: int, poison: Poison | None = None) -> Prepared:
        known = self._row.poison
        if poison is None and known is not None and inputs[known.topic].applied < known.offset:
            poison = known
        row = CommitRow(self._epoch, inputs, clock_ms, self._stage.definitions_hash, work.pending, poison)
        return prepared(self._stage, work, row, self._tag(self._expected))

    async def _commit(self, commit: Prepared, record_count: int = 0, compute_s: float = 0.0) -> None:
        begun = time.perf_counter()
        # Rule commit_is_one_batch: Kafka appends it whole or not at all.
        appended = await self._append(self._plan.changelog, commit.changelog)
        # Rule check_base_offset: anything else in the log means another owner, and a restore would count it.
        if appended.offset != self._expected:
            raise LostError(f"{self}: the commit stands at {appended.offset}, expected {self._expected}")
        crash_point("changelog")
        self._check()
        logged = time.perf_counter()
        self._write(commit, appended)
        crash_point("store")
        written = time.perf_counter()
        # Rule publish_after_commit: what readers see can not be taken back.
        await self._publish(commit.outputs)
        crash_point("publish")
        if self._on_commit is not None:
            times = logged - begun, written - logged, time.perf_counter() - written
            self._on_commit(Committed(record_count, len(commit.rows), compute_s, *times))

    def _write(self, commit: Prepared, appended: Appended) -> None:
        """Rows and position in one step, on top of the position that this writer left."""
        assert self._store is not None
        next_offset = appended.offset + len(commit.rows)
        changelog = self._plan.changelog_of(self._partition)
        position = Position(next_offset, appended.offset, appended.written_at, changelog.topic_id, changelog.generation)
        self._store.write(commit.rows, position, self._position)
        self._position, self._row, self._expected = position, commit.row, next_offset
        self._acknowledged_ms, self._committed_at = appended.written_at, time.monotonic()

    async def _publish(self, outputs: Outputs) -> None:
        """Commit n + 1 begins only after all of these are acknowledged."""
        await asyncio.gather(*(self._append(topic, batch) for topic, batch in outputs))
        now = time.monotonic()
        self._appended_at_by_output.update((topic, now) for topic, _ in outputs)

    # --- a record on which the computation fails

    async def _blame(self, records: Sequence[Record], failed: ComputationError) -> None:
        """Applies what lies before the record, says in a commit which one it is, and ends the worker."""
        topic, last = failed.record.topic, failed.record.offset - 1
        before = [record for record in records if self._next_offset(topic) <= record.offset <= last]
        if before:
            await self._apply(before)
        poison = counted(self._row.poison, failed)
        await self._commit(self._prepare_idle(poison=poison))
        raise poison_error(self._partition, poison, self._plan.poison_restarts_max) from failed.cause

    async def _try_to_go_on(self, *, is_first: bool) -> None:
        """Passes over the record that the partition stands at when it was set aside; the first time it also looks
        whether it computes now."""
        poison = self._row.poison
        assert poison is not None
        known_as = self._row.input_by_topic[poison.topic].topic_id
        reader = reader_of(self._plan.bootstrap)
        await reader.start()
        try:
            id_ = record_id(known_as, self._partition, poison.offset)
            passes = self._plan.set_aside is not None and await is_set_aside(reader, self._plan.set_aside, id_)
            tries = is_first and not passes
            record = await fetch_one(reader, poison.topic, self._partition, poison.offset) if tries else None
        finally:
            await reader.stop()
        async with self._turn:
            with self._step(_State.READY):
                if passes:
                    inputs = self._row.input_by_topic | {poison.topic: Input(poison.offset, known_as)}
                    await self._commit(self._prepare_idle(inputs))
                elif record is not None:
                    with suppress(ComputationError):
                        await self._apply([record])

    async def _keep_fences(self, now: float) -> None:
        """An output that is seldom published to gets a fence record, for the broker forgets idle producers."""
        for topic, appended_at in list(self._appended_at_by_output.items()):
            if now - appended_at > self._plan.idle_commit_s:
                async with self._turn:
                    with self._step(_State.READY):
                        await self._append_fence(topic)

    async def _do_chores(self, until: float) -> None:
        """Chore after chore until there is none; a batch that comes meanwhile has its turn between two of them."""
        while await self._do_chore() and time.monotonic() < until:
            pass

    async def _do_chore(self) -> bool:
        """Whether there was one."""
        async with self._turn:
            with self._step(_State.READY):
                commit = self._prepare_chore()
                if commit is not None:
                    await self._commit(commit)
                return commit is not None

    async def _append_fence(self, topic: str) -> None:
        await self._append(topic, one_batch([(FENCE_KEY, b"%d" % self._epoch)]))
        self._appended_at_by_output[topic] = time.monotonic()

    # --- what every step needs

    @contextmanager
    def _step(self, allowed: _State) -> Iterator[None]:
        """Only from the state that allows it; whatever goes wrong inside, nothing more is written."""
        if self._state is not allowed:
            raise LostError(f"{self} is {self._state.value}")
        try:
            yield
        except BaseException:
            if self._state is not _State.CLOSED:
                self._state = _State.FAILED
            raise

    def _check(self) -> None:
        """Rule fresh_heartbeat: whoever was not heard of for a session timeout may have a successor by now. A second
        line of defence, for pauses longer than the broker remembers a fence."""
        if self._state not in (_State.OPENING, _State.READY):
            raise LostError(f"{self} is {self._state.value}")
        age_s = time.monotonic() - self._heartbeat()
        if age_s > self._plan.session_timeout_s:
            raise LostError(f"{self}: the last group heartbeat is {age_s:.1f} s old")

    async def _append(self, topic: str, batch: Batch) -> Appended:
        assert self._fence is not None
        self._check()
        return await self._fence.append(topic, self._partition, batch)

    def _tag(self, offset: int) -> Tag:
        return Tag(self._plan.generation, offset)

    def __str__(self) -> str:
        return f"The owner of partition {self._partition} of {self._plan.name}"
