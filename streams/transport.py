"""Faust, with one fetched list of records of one partition as one event, and owners that open and close with it.

The law: a source is read only while its owner is ready, from where the owner says; a batch is acknowledged after it
was processed, never before; after a revocation nothing of the old assignment goes on.
Stock Faust spends 80-100 µs per event on asyncio; this spends 1.5 µs, once per batch what stock does per event.

This file and `streams.consumer_thread` are the only ones with private names of Faust, and of aiokafka's consumer beside
`streams.bulk_reader` and `streams.consumed`. Each override says why it is there, and `tests/streams/test_overrides.py`
pins what it relies on. Agents use `streams.batch_event`.
"""

import asyncio
import gc
import logging
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode import Service
from mode.utils.futures import notify

from streams.batch_event import BatchMessage
from streams.cancelling import cancelled
from streams.consumed import lighten_records
from streams.consumer_thread import FORGOTTEN_MAX, FORGOTTEN_S, ConsumerThread, Listener
from streams.ending import cut_connections
from streams.errors import LostError, MilepostError, MismatchError, UnavailableError
from streams.ownership import Followers, Holding, OwnerFactory, Ownership, Phase
from streams.unpacking import bound_unpacking

log = logging.getLogger(__name__)

TEND_S = 1.0
LOOK_S = 3.0
LOOKS_MAX = 4
PENDING_MAX = 2
"""Batches of one partition: one to be processed, and one that is there when it is done. That takes what comes as well,
and only what does not fit into it makes a third."""
PACE_S = 0.025
"""Between two fetches, unless a batch that ends lets a partition be read again: what a batch takes whatever is in it is
then less by the event, and so is the wait."""
ADDED_BYTES_MAX = 8 * 2**20
"""What a batch may have once something was added to it; as much as a fetch that is well compressed."""
_NOBODY = frozenset((TP("nobody", 0),))


class BatchConsumer(driver.Consumer):  # type: ignore[misc]  # Faust ships no types
    """Delivers batches, and opens and closes owners with the assignment."""

    RebalanceListener = Listener

    def __init__(self, *args: Any, **options: Any) -> None:
        self._wake = asyncio.Event()
        self._fetch_turn = asyncio.Lock()
        self._starting_count = 0
        self._reading: set[TP] = set()
        self._opening: list[asyncio.Task[None]] = []
        self._last: dict[TP, BatchMessage] = {}
        """Of each partition; what comes may be added to it until its computation begins."""
        self._in_hand: dict[int, float] = {}
        self._hands_free = asyncio.Event()
        self._hands_free.set()
        self.failure: BaseException | None = None
        super().__init__(*args, **options)
        self.patience_s = self.app.conf.broker_session_timeout / 3
        transport = self.transport
        self.ownership = Ownership(transport.factory_by_topic, lambda: self._thread.heard_at, transport.followers)

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    # --- ownership

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        # No heartbeat is sent while this runs, so it only notes the assignment; opening happens beside it.
        await super().on_partitions_assigned(assigned, generation_id)
        if generation_id != self.app.consumer_generation_id:
            return
        for holding in self.ownership.assign(sorted(assigned)):
            self._opening.append(self.add_future(self._own(holding)))

    async def _own(self, holding: Holding) -> None:
        """Opens the owner, then lets its source be read. What fails here ends the worker."""
        try:
            await self._open(holding)
        except MilepostError as error:
            # A message for the user; mode would log a traceback with anything that leaves a task.
            await self.crash(error)
        except KafkaError as error:
            topic, number = holding.partition
            why = f"Kafka did not do what is needed to take over {topic}/{number} ({error!r})"
            await self.crash(UnavailableError(why))

    async def crash(self, reason: BaseException) -> None:
        self.note_failure(reason)
        await super().crash(reason)

    def note_failure(self, reason: BaseException) -> None:
        """Keeps what failed first. What Faust keeps is often how another service or agent was stopped for it."""
        if self.failure is None and not isinstance(reason, asyncio.CancelledError):
            self.failure = reason

    async def _open(self, holding: Holding) -> None:
        if not await self.ownership.open(holding):
            if self.ownership.is_held(holding):
                self.expect_revocation(holding)
            return
        tp = TP(*holding.partition)
        if holding.owner is None:
            known_as = self.transport.id_by_topic.get(tp.topic)
            offset = await self._thread.call_thread(self._thread.committed_offset, tp, known_as)
        else:
            offset = holding.owner.start_offset(tp.topic)
        # Faust's resume empties the queues: only behind it may a record be fetched.
        await self.can_resume_flow.wait()
        if not self.ownership.is_held(holding):
            return
        if offset is not None and not await self._start(holding, tp, offset):
            return
        holding.move(Phase.READY)
        if self.ownership.is_ready():
            _settle()

    async def _start(self, holding: Holding, tp: TP, offset: int) -> bool:
        """Lets a partition be read from `offset` on; False when it was given up meanwhile.

        No fetch may be under way: one that began for the former assignment would take the first records from behind
        the seek, and they would be dropped with it.
        """
        self._starting_count += 1
        try:
            async with self._fetch_turn:
                if not self.ownership.is_held(holding):
                    return False
                await self._thread.call_thread(self._thread.start_at, tp, offset)
                if not self.ownership.is_held(holding):
                    return False
                self._reading.add(tp)
        finally:
            self._starting_count -= 1
        super().resume_partitions({tp})
        self._wake.set()
        return True

    def _explained(self, error: KafkaError) -> MilepostError:
        """What an error of aiokafka's consumer means to whoever runs the worker."""
        return UnavailableError(f"Kafka does not let this worker read on ({error!r})")

    def lose(self, holding: Holding, why: LostError) -> None:
        """Stops reading for an owner that may not write any more."""
        # A batch may outlive its owner; what it says is then not about the partition's present owner.
        if self.ownership.lose(holding, why):
            self._reading.discard(TP(*holding.partition))
            self.pause_partitions({TP(*holding.partition)})
            self.expect_revocation(holding)

    def expect_revocation(self, holding: Holding) -> None:
        """The group will soon tell that the partition is another's. If it does not, something is wrong: a new start
        of the worker takes the partition over in an orderly way."""

        async def wait() -> None:
            await self.sleep(2 * self.app.conf.broker_session_timeout)
            if self.ownership.is_held(holding) and not self.should_stop:
                topic, number = holding.partition
                await self.crash(
                    LostError(
                        f"{topic}/{number} is this worker's to the group, but was lost: {holding.why_lost}. When it is"
                        " started again it takes it over from the last commit; look whether Kafka answers, and whether"
                        f" another process runs as {self.app.conf.consumer_group_instance_id}"
                    )
                )

        self.add_future(wait())

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        self.stop_flow()
        self.app.flow_control.suspend()
        self.app.flow_control.clear()
        # It survives a rebalance in stock, and would start a partition that is being restored.
        self._buffered_partitions.clear()
        try:
            await self._give_up()
        except Exception as error:
            await self.crash(error)  # aiokafka would log it, and join the group again
            raise
        # Stock forgets what was acknowledged before it commits.
        await self.commit()
        await super().on_partitions_revoked(revoked)

    async def on_stop(self) -> None:
        # aiokafka calls no revocation on shutdown.
        await super().on_stop()
        await self._give_up()

    async def _give_up(self) -> None:
        """Lets the batch in hand end within the patience, closes the owners, forgets what was not begun."""
        self._reading.clear()
        opening, self._opening = self._opening, []
        await cancelled(opening)
        try:
            await asyncio.wait_for(self._hands_free.wait(), self.patience_s)
        except TimeoutError:
            log.warning("a batch did not end within %.1f s; its partition is given up without it", self.patience_s)
        await self.ownership.give_up(self.patience_s)
        # Else stock's wait_empty waits for a batch that never ends.
        for message in list(self._unacked_messages):
            self.drop(message)
        # What no agent was given yet is not among those.
        self._last.clear()

    @Service.task  # type: ignore[untyped-decorator]  # mode ships no types
    async def _tend(self) -> None:
        """Idle commits and renewals of the fence."""
        while not self.should_stop:
            await self.sleep(TEND_S)
            if self._thread.is_displaced():
                await self.crash(
                    MismatchError(
                        f"the group forgot this worker {FORGOTTEN_MAX} times within {FORGOTTEN_S:g} s: most likely"
                        f" another process runs as {self.app.conf.consumer_group_instance_id}. Each worker needs an id"
                        " of its own: --worker-id or MILEPOST_WORKER_ID."
                    )
                )
                return
            for holding, why in await self.ownership.tend():
                self.lose(holding, why)
            for holding, offset in self.ownership.readable():
                tp = TP(*holding.partition)
                if tp not in self._reading:
                    await self._start(holding, tp, offset)

    @Service.task  # type: ignore[untyped-decorator]  # mode ships no types
    async def _look_after_topics(self) -> None:
        """A topic that is gone sends nothing, and the group takes its partitions away without a word."""
        missing_count = 0
        while not self.should_stop:
            await self.sleep(LOOK_S)
            try:
                missing = await self._thread.call_thread(self._thread.missing_topics, self.transport.id_by_topic)
            except KafkaError as error:
                log.info("could not ask for the topics: %r", error)
                continue
            except MismatchError as error:
                await self.crash(error)
                return
            # A young broker, or one that leads nothing yet, may not know it either.
            missing_count = missing_count + 1 if missing else 0
            if missing_count >= LOOKS_MAX:
                await self.crash(MismatchError(f"the topic {missing[0]} is not on the brokers any more"))
                return

    # --- what agents hold

    def pick_up(self, message: BatchMessage) -> None:
        self._in_hand[id(message)] = time.monotonic()
        self._hands_free.clear()

    def is_current(self, message: BatchMessage) -> bool:
        """Whether it is of an assignment that is not over, nor about to be."""
        return bool(self.flow_active) and message.generation_id == self.app.consumer_generation_id

    def put_down(self, message: BatchMessage) -> None:
        self._in_hand.pop(id(message), None)
        self._wake.set()
        if not self._in_hand:
            self._hands_free.set()

    def oldest_in_hand_s(self) -> float:
        """For how long the batch that takes longest has been worked on."""
        return time.monotonic() - min(self._in_hand.values(), default=time.monotonic())

    # --- pause, seek, resume: only `_own` starts a partition

    def _set_active_tps(self, tps: Iterable[TP]) -> Any:
        return super()._set_active_tps(set(tps) & self._reading)

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        super().resume_partitions(set(tps) & self._reading)

    def on_buffer_drop(self, tp: TP) -> None:
        # The callbacks of a full queue survive a rebalance.
        if tp in self._reading:
            super().on_buffer_drop(tp)
            self._wake.set()

    async def perform_seek(self) -> None:
        """Stock seeks to the committed offset after a rebalance; `_own` seeks to where the state ends."""

    # --- one event per fetched list

    async def _drain_messages(self, fetcher: Any) -> None:
        try:
            while not (self._stopped.is_set() or fetcher._stopped.is_set()):
                if self.flow_active:
                    await self._deliver_next()
                else:
                    await self.wait(self.can_resume_flow)
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                raise
        except MilepostError as error:
            self.note_failure(error)
            raise
        except KafkaError as error:
            why = self._explained(error)
            self.note_failure(why)
            raise why from error

    async def _deliver_next(self) -> None:
        # Cleared before the look, or a wake-up in between is lost. The generation as it was when the fetch began.
        self._wake.clear()
        async with self._fetch_turn:
            generation = self.app.consumer_generation_id
            # A copy, and never empty: aiokafka reads an empty set as every partition. The call also tells the group
            # that we live, through a long restore.
            active = frozenset(self._get_active_partitions() - self._held_back())
            try:
                found = await self._getmany(active or _NOBODY, self._fetch_patience_s(active))
            except KafkaError as error:
                # That the group never committed is an error to aiokafka, for one of the former or the next assignment's
                # partitions; none is read before its seek.
                is_stale = not self.flow_active or generation != self.app.consumer_generation_id
                if is_stale or isinstance(error, NoOffsetForPartitionError):
                    return
                if isinstance(error, OffsetOutOfRangeError):
                    raise _out_of_range(error) from error
                raise
        records = {TP(*place): batch for place, batch in (found or {}).items()}
        for tp, batch in records.items():
            if not self.flow_active or generation != self.app.consumer_generation_id:
                return
            await self._deliver(tp, batch, generation)
        await self._pause(active, is_empty=not records)

    async def _pause(self, active: frozenset[TP], is_empty: bool) -> None:
        """Between two fetches. Where a partition is held back, until a batch has ended."""
        if not active:
            await self.wait(self._wake, timeout=0.2)
        elif active != self._reading:
            await self.wait(self._wake, timeout=PACE_S)
        elif not is_empty:
            await self.sleep(PACE_S)

    def _held_back(self) -> set[TP]:
        """Partitions of which enough is delivered and not processed yet, so that no others' memory goes to them."""
        counts = Counter(message.tp for message in self._unacked_messages)
        return {tp for tp, count in counts.items() if count + self._is_full(tp) > PENDING_MAX}

    def _is_full(self, tp: TP) -> bool:
        """Whether what comes makes another batch, or may not fit into the last one."""
        last = self._last.get(tp)
        return (
            last is None
            or last.arrivals.is_taken
            or 2 * len(last.arrivals) > self.app.conf.broker_max_poll_records
            or 2 * last.byte_count() > ADDED_BYTES_MAX
        )

    def _fetch_patience_s(self, active: frozenset[TP]) -> float:
        """aiokafka fetches no next page from a node while another partition's page is unread, and a waiting call does
        not notice that a partition became active again: so it does not wait while one is held back, or waits to be
        started."""
        return 0.5 if active and active == self._reading and not self._starting_count else 0

    async def _deliver(self, tp: TP, records: list[Any], generation: int) -> None:
        holding = self.ownership.holding((tp.topic, tp.partition))
        if holding is None or holding.phase is not Phase.READY:
            return
        self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
        last = self._last.get(tp)
        # The fuller a batch is the less an event takes, and what is in the one that waits comes up soonest.
        records_max = self.app.conf.broker_max_poll_records
        if last is not None and last.holding is holding and last.add(records, records_max, ADDED_BYTES_MAX):
            return
        self._last[tp] = message = BatchMessage(tp, records, holding, generation)
        # A rebalance may interrupt the wait for a place in the queue.
        await self.wait_first(self.callback(message), self.suspend_flow.wait())

    def ack(self, message: BatchMessage) -> bool:
        """An offset is acknowledged in order, one batch at a time; stock keeps and sorts every single one, and its
        commit skips a record that is still unprocessed."""
        if message.acked:
            return False
        self.drop(message)
        self._acked[message.tp] = [message.offset]
        self._n_acked += 1
        return True

    def _new_offset(self, tp: TP) -> int | None:
        acked, self._acked[tp] = self._acked[tp], []
        return acked[-1] + 1 if acked else None

    def drop(self, message: BatchMessage) -> None:
        """Nobody waits for it any more; it is not acknowledged."""
        message.acked = True
        self._unacked_messages.discard(message)
        if self._last.get(message.tp) is message:
            del self._last[message.tp]
        notify(self._waiting_for_ack)


class BatchTransport(driver.Transport):  # type: ignore[misc]  # Faust ships no types
    """To be set as `app.transport`. Topics without a factory have agents without state."""

    Consumer = BatchConsumer

    def __init__(
        self,
        app: Any,
        factory_by_topic: Mapping[str, OwnerFactory],
        followers: Followers | None = None,
        id_by_topic: Mapping[str, str] | None = None,
    ) -> None:
        """id_by_topic: what the topics that are read must be; without an id one is not looked after."""
        bound_unpacking()
        cut_connections()
        lighten_records()
        self.factory_by_topic = factory_by_topic
        self.followers = followers
        self.id_by_topic = id_by_topic or {}
        super().__init__(app.conf.broker_consumer, app)


def _out_of_range(error: OffsetOutOfRangeError) -> MismatchError:
    places = ", ".join(f"{tp.topic}/{tp.partition} offset {offset}" for tp, offset in error.args[0].items())
    return MismatchError(
        f"{places}: not in the topic any more. Records expired or were deleted before they were read, or the topic was"
        " made again; the numbers would be wrong. Restore the topic; or, when that is meant, compute anew under another"
        " --generation or --prefix."
    )


def _settle() -> None:
    """What is there after a restore stays: the collector need not look at it again. And it looks for cycles only when
    more objects live than batches make, most of which are gone before (default: 14 % of the time)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(500_000, 20, 20)
