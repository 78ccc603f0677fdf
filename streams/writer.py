"""One owner of one partition: the only thing that appends to its changelog, writes its store and publishes for it.

The law is the commit protocol (`docs/architecture.md`, "One batch of one partition"). Here is an owner's life; each
part keeps the rules that it names:

| part                 | rules                                                                                      |
|----------------------|--------------------------------------------------------------------------------------------|
| `streams.turns`      | fresh_heartbeat                                                                            |
| `streams.tenure`     | fence, claim_first, fence_outputs_before_ready, ready_behind_claim, check_base_offset,     |
|                      | renew_fence                                                                                |
| `streams.restore`    | restore_to_claim, discard_stale_disk                                                       |
| `streams.resume`     | read_from_applied                                                                          |
| `streams.commits`    | publish_after_commit, publish_again, split_input_not_rows (with `streams.computation`)     |
| `streams.commit`     | commit_is_one_batch, tag_is_commit_offset                                                  |
| `streams.standstill` | the law of `streams.poison`: what becomes of a record on which the computation fails       |

Change none without the model (`tests/model`). A writer that failed once, in whatever step, writes nothing more; its
successor restores.
"""

import time
from collections.abc import Callable, Sequence

import msgspec

from streams.commit import Committed, applied_of
from streams.commits import Commits
from streams.computing import Arrivals, Computing
from streams.crash import crash_point
from streams.poison import ComputationError, PoisonError
from streams.protocol_rows import COMMIT_KEY
from streams.restore import Changelog, CountRows, bounds_of, restore, uncounted
from streams.resume import require_next, resumed_row
from streams.stage import Record, StageFactory, Work
from streams.standstill import Standstill
from streams.store import Store
from streams.tenure import Tenure
from streams.turns import State, Turns


class WriterPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What the writers of all partitions of a stage have in common.

    name: the stage's, for messages. changelog: its topic, and the stem of its transactional ids. topic_id_by_name: of
    the changelog and of every input. compacted: the inputs whose topics are, so that offsets may be missing in them.
    """

    name: str
    bootstrap: str
    changelog: str
    inputs: tuple[str, ...]
    topic_id_by_name: dict[str, str]
    generation: int
    compacted: frozenset[str] = frozenset()
    set_aside: str | None = None
    poison_restarts_max: int = 3
    session_timeout_s: float = 10.0
    idle_commit_s: float = 3600.0
    fence_renewal_s: float = 86_400.0
    computing: Computing = msgspec.field(default_factory=Computing)

    def changelog_of(self, partition: int) -> Changelog:
        """The partition's."""
        return Changelog(self.changelog, partition, self.topic_id_by_name[self.changelog], self.generation)


CHORES_S = 0.5
"""For how long a batch may have to wait behind chores, and the tending of other partitions too."""


class Writer:
    """open, then any number of process, note, idle, renew and tend, then close. Safe to call from several tasks."""

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
        self._on_commit = on_commit
        self._count_rows = count_rows
        self._turns = Turns(str(self), heartbeat, plan.session_timeout_s)
        self._tenure = Tenure(str(self), plan.bootstrap, plan.changelog_of(partition), self._turns.check)
        self._store: Store | None = None
        self._commits: Commits
        self._standstill: Standstill

    def __str__(self) -> str:
        return f"The owner of partition {self._partition} of {self._plan.name}"

    # --- what others may know, once it is open

    @property
    def applied(self) -> dict[str, int]:
        """The last offset that is inside the state, per input."""
        return applied_of(self._commits.row)

    @property
    def epoch(self) -> int:
        """The claim's offset: of two who say that the partition is theirs, the higher one's is."""
        return self._tenure.epoch

    @property
    def now_ms(self) -> int:
        """The broker's time at least, whatever this machine's wall clock says: what is due by it is due."""
        return self._tenure.now_ms()[0]

    @property
    def now_ms_at_most(self) -> int:
        """What is to wait from now on waits from then on, or it would be cut short by how long the broker took."""
        return self._tenure.now_ms()[1]

    @property
    def store(self) -> Store:
        """For readers beside it; closed with it."""
        assert self._store is not None, "there is none before it is open"
        return self._store

    @property
    def failure(self) -> Exception | None:
        """What a step failed with, behind which nothing is written; None when all is well."""
        return self._turns.failure

    @property
    def standstill(self) -> PoisonError | None:
        """Why the partition is held and not read; None when all is well."""
        return self._standstill.reason

    def start_offset(self, topic: str) -> int | None:
        """Where the input is to be read from (rule read_from_applied), whatever its consumer group committed; None
        while the partition stands still."""
        return None if self.standstill else self._commits.next_offset(topic)

    # --- the steps

    async def open(self) -> None:
        """Takes the partition over and brings its state up to the last commit.

        Raises LostError when another owner came in between, MismatchError when going on would corrupt.
        """
        async with self._turns.take(State.NEW):
            self._turns.state = State.OPENING
            await self._take_over()
            self._turns.check()  # it may have been closed meanwhile
            self._turns.state = State.READY
            await self._commits.commit_idle()

    async def _take_over(self) -> None:
        plan, tenure = self._plan, self._tenure
        claim = await tenure.claim()
        # Kept at once, so that `close` releases it whatever becomes of the rest.
        store = self._store = self._open_store()
        position = await restore(store, plan.bootstrap, tenure.changelog, claim, self._count_rows)
        crash_point("restore")
        stage = self._make_stage(self._partition, store)
        bounds_by_topic = await bounds_of(plan.bootstrap, plan.inputs, self._partition)
        (last,) = store.get([COMMIT_KEY])
        row = resumed_row(self, last, claim.offset, bounds_by_topic, plan.topic_id_by_name, stage.definitions_hash)
        await tenure.confirm(claim, stage.outputs)
        ends = {topic: bounds.end for topic, bounds in bounds_by_topic.items()}
        self._commits = Commits(tenure, stage, store, position, row, plan.computing, self._on_commit, ends)
        self._standstill = Standstill(
            self._commits, plan.bootstrap, self._partition, plan.set_aside, plan.poison_restarts_max
        )
        if last is not None:
            await self._commits.publish_again()

    async def process(self, records: Sequence[Record]) -> None:
        """Applies records of one input, the next ones in its order: computes, commits, publishes.

        When it returns they need never be read again, nor what was added to Arrivals before it took them. Raises
        PoisonError for one on which the computation fails.
        """
        topic = records[0].topic

        def taken() -> Sequence[Record]:
            if isinstance(records, Arrivals):
                records.is_taken = True
            require_next(self, records, self._commits.next_offset(topic), topic in self._plan.compacted)
            return records

        async with self._turns.take(State.READY):
            crash_point("read")
            try:
                await self._commits.apply(taken)
            except ComputationError as failed:
                await self._standstill.blame(records, failed)

    async def note(self, compute: Callable[[int], Work]) -> None:
        """Commits what became known without a record, such as the answer to a request.

        compute: what it changes, from the rows as they are and the committed clock; called in this owner's turn. Raises
        BatchTooLargeError when it does not fit a commit. When it raises, nothing is known to be committed, and this
        owner commits nothing more.
        """
        async with self._turns.take(State.READY):
            await self._commits.commit_outside(compute)

    def check(self) -> None:
        """Before something is done outside that can not be taken back. Raises LostError when this owner may not write
        any more."""
        self._turns.check()

    async def idle(self) -> None:
        """A commit without input, so that readers get covers and the clock goes on."""
        async with self._turns.take(State.READY):
            await self._commits.commit_idle()

    async def renew(self) -> None:
        """Fences itself anew, for the broker forgets a fence in time (rule renew_fence)."""
        async with self._turns.take(State.READY):
            await self._tenure.renew(self._commits.stage.outputs)

    async def close(self, patience_s: float) -> None:
        """Lets the step in flight end within `patience_s`; afterwards nothing of this epoch is written.

        A step that takes longer fails where it would write, and the next fence covers the rest; only its computation,
        which reads the store, is waited for.
        """
        await self._turns.end(patience_s)
        await self._tenure.close()
        if self._store is not None:
            await self._plan.computing.settled()
            self._store.close()

    # --- what time makes due

    async def tend(self) -> None:
        """Does what is due, and chores for a moment; to be called about every second."""
        if self._turns.state is not State.READY or not self._tenure.is_fenced:
            return
        now = time.monotonic()
        if self._tenure.is_due(self._plan.fence_renewal_s):
            await self.renew()
        if now - self._commits.made_at > self._plan.idle_commit_s or self._commits.is_time(now):
            await self.idle()
        await self._keep_fences(now)
        await self._do_chores(now + CHORES_S)
        if self._standstill.is_due(now):
            found = await self._standstill.look(now)
            async with self._turns.take(State.READY):
                await self._standstill.go_on(found)

    async def _keep_fences(self, now: float) -> None:
        """An output that is seldom published to gets a fence record, for the broker forgets idle producers."""
        for topic in self._tenure.quiet_outputs(now, self._plan.idle_commit_s):
            async with self._turns.take(State.READY):
                await self._tenure.append_fence(topic)

    async def _do_chores(self, until: float) -> None:
        """Chore after chore until there is none; a batch that comes meanwhile has its turn between two of them."""
        while await self._do_chore() and time.monotonic() < until:
            pass

    async def _do_chore(self) -> bool:
        """Whether there was one."""
        async with self._turns.take(State.READY):
            return await self._commits.commit_chore()
