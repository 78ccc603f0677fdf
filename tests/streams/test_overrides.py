"""What each override of Faust and aiokafka relies on, in a running application inside the test.

A new version of either that changes one of these fails here, and not in a number weeks later.
"""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.consumer.fetcher import FetchError
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import CommitFailedError
from faust.transport.consumer import Consumer as StockConsumer
from faust.types import TP

from agents.app import make_app
from agents.settings import Settings
from streams.admin import create_topics, delete_topics, topic_ids
from streams.batch_event import BatchMessage, batch_topic, owned
from streams.broker import EmbeddedBroker
from streams.consumer_thread import FETCH_WAIT_MS
from streams.errors import LostError, MismatchError
from streams.lanes import process_side_by_side
from streams.ownership import Heartbeat, Partition, Phase
from streams.topics import topic_name
from streams.transport import PENDING_MAX
from tests.streams.toy import create_again, produce

pytestmark = pytest.mark.broker

PARTITIONS = 2
COUNT = 100  # records per partition


class Probe:
    """An owner whose opening waits for a gate, and which notes what it is given."""

    def __init__(self, partition: Partition, heartbeat: Heartbeat, gate: asyncio.Event, first: int) -> None:
        self.partition = partition
        self.heartbeat = heartbeat
        self.batches: list[tuple[int, int]] = []
        self.closed_after_s: float | None = None
        self.hold: asyncio.Event | None = None
        self.fails: Exception | None = None
        self.keeps_cancellation = False
        self._gate = gate
        self._first = first

    async def open(self) -> None:
        try:
            await self._gate.wait()
        except asyncio.CancelledError:
            if not self.keeps_cancellation:
                raise

    def start_offset(self, topic: str) -> int | None:
        return self._first

    async def tend(self) -> None:
        pass

    async def close(self, patience_s: float) -> None:
        self.closed_after_s = patience_s

    async def process(self, records: Any) -> None:
        records.is_taken = True
        if self.hold is not None:
            await self.hold.wait()
        if self.fails is not None:
            raise self.fails
        self.batches.append((records[0].offset, records[-1].offset))


class Running:
    """An application with one stage, its owners, and its consumer."""

    def __init__(self, app: Any, topic: str, gate: asyncio.Event) -> None:
        self.app = app
        self.topic = topic
        self.gate = gate
        self.probes: list[Probe] = []

    @property
    def consumer(self) -> Any:
        return self.app.consumer

    @property
    def kafka(self) -> AIOKafkaConsumer:
        return self.app.consumer._thread._consumer

    def places(self) -> set[TP]:
        return {TP(self.topic, number) for number in range(PARTITIONS)}

    async def ready(self) -> None:
        self.gate.set()
        await until(lambda: bool(self.probes) and self.consumer.ownership.is_ready())

    @asynccontextmanager
    async def nothing_asked(self) -> AsyncIterator[None]:
        """Nobody waits for records meanwhile, and no fetch is under way."""
        async with self.consumer._fetch_turn:
            await until(lambda: not self.kafka._fetcher._in_flight)
            yield

    async def rebalance(self) -> None:
        """As if another worker had joined."""
        generation = self.app.consumer_generation_id
        self.kafka._coordinator.request_rejoin()
        await until(lambda: self.app.consumer_generation_id > generation)


async def until(holds: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass"
        await asyncio.sleep(0.02)


@asynccontextmanager
async def running(
    kafka: EmbeddedBroker, prefix: str, folder: Path, *, first: int = 40, knows: bool = True
) -> AsyncIterator[Running]:
    settings = Settings(prefix=prefix, folder=folder, session_timeout_s=3, batch_records_max=10)
    topic, gate = topic_name("touchpoints", prefix, 0), asyncio.Event()
    held: list[Running] = []

    def own(partition: Partition, heartbeat: Heartbeat) -> Probe:
        held[0].probes.append(Probe(partition, heartbeat, gate, first))
        return held[0].probes[-1]

    ids = topic_ids(kafka.bootstrap_servers, [topic]) if knows else {}
    app = make_app(settings, "probe", kafka.bootstrap_servers, {topic: own}, id_by_topic=ids)
    held.append(Running(app, topic, gate))

    @app.agent(batch_topic(app, topic), name="probe")
    async def probe(stream: Any) -> None:
        await process_side_by_side(stream, process)

    async def process(event: Any) -> None:
        async with owned(event) as owner:
            await owner.process(event.value)

    app.finalize()
    await app.start()
    try:
        await until(lambda: len(held[0].probes) == PARTITIONS)
        yield held[0]
    finally:
        await asyncio.wait_for(app.stop(), 20)
        gc.unfreeze()
        gc.set_threshold(700, 10, 10)


@pytest.fixture(autouse=True)
def _world(kafka: EmbeddedBroker, prefix: str) -> None:
    create_topics(kafka.bootstrap_servers, prefix, 0, PARTITIONS, 1)
    topic = topic_name("touchpoints", prefix, 0)
    produce(kafka.bootstrap_servers, topic, [b"%d" % n for n in range(COUNT * PARTITIONS)], PARTITIONS)


def run(
    kafka: EmbeddedBroker, prefix: str, folder: Path, steps: Callable[[Running], Awaitable[None]], **how: Any
) -> None:
    async def whole() -> None:
        async with running(kafka, prefix, folder, **how) as world:
            await steps(world)

    asyncio.run(asyncio.wait_for(whole(), 60))


def test_nothing_is_fetched_while_an_owner_opens(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> None:
    """`on_partitions_assigned` of the listener: a real pause. The group goes on hearing from us meanwhile, and the call
    with nothing active keeps the member alive."""

    async def steps(world: Running) -> None:
        await asyncio.sleep(1.5)
        assert {TP(*place) for place in world.kafka.paused()} == world.places()
        # That the group never committed here is all that aiokafka has to say; `start_at` forgets it.
        assert all(isinstance(each, FetchError) for each in world.kafka._fetcher._records.values())
        assert world.consumer._get_active_partitions() == set()
        assert not world.consumer.ownership.is_ready()
        state = world.kafka._subscription.subscription.assignment
        assert state is not None
        assert world.kafka._subscription.fetcher_idle_time < 1.0
        assert all(probe.batches == [] for probe in world.probes)

    run(kafka, prefix, tmp_path, steps)


def test_nothing_is_fetched_before_somebody_waits_for_it(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> None:
    """`_fetch_records`: what stock fetches ahead is as old as the pause when it is taken."""

    async def steps(world: Running) -> None:
        await world.ready()
        await until(lambda: all(probe.batches and probe.batches[-1][1] == COUNT - 1 for probe in world.probes))
        async with world.nothing_asked():
            fetched = dict(world.kafka._fetcher._records)
            more = [b"more"] * PARTITIONS
            await asyncio.to_thread(produce, kafka.bootstrap_servers, world.topic, more, PARTITIONS)
            await asyncio.sleep(2 * FETCH_WAIT_MS / 1000)
            assert world.kafka._fetcher._records == fetched
        await until(lambda: all(probe.batches[-1] == (COUNT, COUNT) for probe in world.probes), 0.5)

    run(kafka, prefix, tmp_path, steps)


def test_a_source_is_read_from_where_its_owner_says(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> None:
    """`start_at`, `perform_seek`, `_drain_messages`: every record from the start offset, once, in order, in batches of
    at most the setting, whatever the group committed."""

    async def steps(world: Running) -> None:
        await world.ready()
        await until(lambda: all(probe.batches and probe.batches[-1][1] == COUNT - 1 for probe in world.probes))
        for probe in world.probes:
            assert probe.batches[0][0] == 40
            assert all(last - first < 10 for first, last in probe.batches)
            ends = [last + 1 for _, last in probe.batches]
            assert [first for first, _ in probe.batches] == [40, *ends[:-1]]

    run(kafka, prefix, tmp_path, steps)


def test_acknowledged_batches_are_committed_and_no_others(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> None:
    """`ack`, `_new_offset`, `drop`: the committed offset stands behind the last acknowledged batch; a dropped one does
    not count."""

    async def steps(world: Running) -> None:
        await world.ready()
        await until(lambda: all(probe.batches and probe.batches[-1][1] == COUNT - 1 for probe in world.probes))
        await until(lambda: all(world.consumer._committed_offset[tp] == COUNT for tp in world.places()))
        await asyncio.sleep(0.1)
        consumer, tp = world.consumer, TP(world.topic, 0)
        records = [type("R", (), {"offset": 7, "timestamp": 0, "timestamp_type": 1})()]
        holding = consumer.ownership.holding(tuple(tp))
        message = BatchMessage(tp, records, holding, 1)
        assert consumer.ack(message)
        assert not consumer.ack(message)
        assert consumer._new_offset(tp) == 8
        assert consumer._new_offset(tp) is None
        dropped = BatchMessage(tp, records, holding, 1)
        consumer.track_message(dropped)
        consumer.drop(dropped)
        assert dropped not in consumer._unacked_messages
        assert not consumer.ack(dropped)
        assert consumer._new_offset(tp) is None

    run(kafka, prefix, tmp_path, steps)


def test_the_consumer_is_made_as_we_want_it(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> None:
    """`_create_worker_consumer`: aiokafka reads these when it starts, which is behind our change of them."""

    async def steps(world: Running) -> None:
        (assignor,) = world.kafka._coordinator._assignors
        assert assignor.name == "sticky"
        assert assignor.__name__ == "Sticky"
        assert world.kafka._fetcher._fetch_max_wait_ms == FETCH_WAIT_MS
        assert world.kafka._fetcher._default_reset_strategy == 0  # none
        assert world.kafka._group_instance_id == f"{prefix}-probe-0-0"

    run(kafka, prefix, tmp_path, steps)


def test_heartbeats_are_noted(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> None:
    """`on_start`: the coordinator calls `_do_heartbeat` on the instance, and a success moves the owner's clock."""

    async def steps(world: Running) -> None:
        for _ in range(2):
            heard = world.probes[0].heartbeat()
            await until(lambda h=heard: world.probes[0].heartbeat() > h, 2)  # type: ignore[misc]
            assert time.monotonic() - world.probes[0].heartbeat() < 1

    run(kafka, prefix, tmp_path, steps)


def test_only_ready_partitions_become_active(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> None:
    """`_set_active_tps`, `resume_partitions`, `on_buffer_drop`: what stock calls after a rebalance starts nothing."""

    async def steps(world: Running) -> None:
        consumer = world.consumer
        consumer._set_active_tps(world.places())
        consumer.resume_partitions(world.places())
        consumer._buffered_partitions.update(world.places())
        for tp in world.places():
            consumer.on_buffer_drop(tp)
        assert consumer._get_active_partitions() == set()
        await world.ready()
        assert consumer._get_active_partitions() == world.places()
        consumer.on_buffer_full(TP(world.topic, 0))
        assert consumer._get_active_partitions() == {TP(world.topic, 1)}
        consumer.on_buffer_drop(TP(world.topic, 0))
        assert consumer._get_active_partitions() == world.places()

    run(kafka, prefix, tmp_path, steps)


def test_an_empty_set_is_every_partition_to_aiokafka(kafka: EmbeddedBroker, prefix: str) -> None:
    """Why `_deliver_next` never asks for the empty set: it would get everything."""

    async def steps() -> None:
        consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap_servers)
        await consumer.start()
        place = TopicPartition(topic_name("touchpoints", prefix, 0), 0)
        consumer.assign([place])
        consumer.seek(place, 0)
        await until(lambda: place in consumer._fetcher._records)
        assert await consumer._fetcher.fetched_records(frozenset((TP("nobody", 0),)), 0, 1) == {}
        assert place in await consumer._fetcher.fetched_records(frozenset(), 0, 1)
        await consumer.stop()

    asyncio.run(asyncio.wait_for(steps(), 30))


def test_a_rebalance_closes_the_owners_and_opens_others(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> None:
    """`on_partitions_revoked`, `on_partitions_assigned`: the former owners are closed first, also for partitions that
    stay; queued batches of theirs reach nobody."""

    async def steps(world: Running) -> None:
        world.probes[0].hold = world.probes[1].hold = asyncio.Event()
        await world.ready()
        await until(lambda: world.consumer.oldest_in_hand_s() > 0.2)
        former = list(world.probes)
        rebalance = asyncio.create_task(world.rebalance())
        await asyncio.sleep(0.3)
        former[0].hold.set()  # type: ignore[union-attr]
        await rebalance
        await until(lambda: len(world.probes) == 2 * PARTITIONS and world.consumer.ownership.is_ready())
        assert [probe.closed_after_s for probe in former] == [1.0, 1.0]
        await until(lambda: [len(probe.batches) for probe in former] == [1, 1])
        await until(lambda: all(p.batches and p.batches[-1][1] == COUNT - 1 for p in world.probes[PARTITIONS:]))
        assert all(probe.batches[0][0] == 40 for probe in world.probes[PARTITIONS:])

    run(kafka, prefix, tmp_path, steps)


def test_a_partition_that_takes_long_keeps_no_other_waiting(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> None:
    """`_held_back`: one batch of it is processed, the next ones are there, and others come all the same."""

    async def steps(world: Running) -> None:
        slow, other = sorted(world.probes, key=lambda probe: probe.partition)
        slow.hold = asyncio.Event()
        await world.ready()
        await until(lambda: bool(other.batches) and other.batches[-1][1] == COUNT - 1)
        await until(lambda: len(world.consumer._unacked_messages) == PENDING_MAX)
        await asyncio.to_thread(produce, kafka.bootstrap_servers, world.topic, [b"more"] * 20, PARTITIONS)
        await until(lambda: other.batches[-1][1] == COUNT + 9)
        assert len(world.consumer._unacked_messages) == PENDING_MAX
        assert slow.batches == []
        slow.hold.set()
        await until(lambda: bool(slow.batches) and slow.batches[-1][1] == COUNT + 9)
        assert [first for first, _ in slow.batches] == [40, *(last + 1 for _, last in slow.batches[:-1])]

    run(kafka, prefix, tmp_path, steps)


def test_what_comes_goes_with_the_batch_that_waits(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> None:
    """`_deliver`, `BatchMessage.add`: until it is taken, and as many as a batch may have; all are acknowledged."""

    async def steps(world: Running) -> None:
        last = world.consumer._last
        world.kafka._max_poll_records = PARTITIONS * 10  # so that a fetch brings what comes to all of them
        await world.ready()
        await until(lambda: all(probe.batches and probe.batches[-1][1] == COUNT - 1 for probe in world.probes))
        for probe in world.probes:
            probe.batches.clear()
            probe.hold = asyncio.Event()
        await until(lambda: not world.consumer._unacked_messages)
        for count, size in ((2, 2), (3, 3), (2, 5), (6, 6)):
            values = [b"more"] * PARTITIONS * count
            await asyncio.to_thread(produce, kafka.bootstrap_servers, world.topic, values, PARTITIONS)
            await until(lambda s=size: [len(each.value) for each in last.values()] == [s] * PARTITIONS)  # type: ignore[misc]
        for probe in world.probes:
            probe.hold.set()  # type: ignore[union-attr]
        end = COUNT + 13
        await until(lambda: all(world.consumer._committed_offset[tp] == end for tp in world.places()))
        for probe in world.probes:
            assert probe.batches == [(COUNT, COUNT + 1), (COUNT + 2, COUNT + 6), (COUNT + 7, end - 1)]

    run(kafka, prefix, tmp_path, steps)


def test_a_stop_does_not_wait_for_a_batch_that_is_not_begun(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> None:
    """The one in hand ends; the next one of its partition is there, is not processed any more, and is waited for by
    nobody."""

    async def steps(world: Running) -> None:
        # Of both, for Faust keeps the last one that it gave to the agent, and forgets others by itself.
        hold = world.probes[0].hold = world.probes[1].hold = asyncio.Event()
        await world.ready()
        await until(lambda: len(world.consumer._unacked_messages) == PARTITIONS * PENDING_MAX)
        stopping = asyncio.create_task(world.app.stop())
        await asyncio.sleep(0.3)
        hold.set()
        await asyncio.wait_for(stopping, 5)
        assert [len(probe.batches) for probe in world.probes] == [1, 1]
        assert world.consumer._last == {}

    run(kafka, prefix, tmp_path, steps)


def test_a_fetch_that_a_rebalance_overtakes_takes_nothing_along(
    kafka: EmbeddedBroker, prefix: str, tmp_path: Path
) -> None:
    """`_start`: a fetch that waits while partitions are assigned anew gets nothing from behind the seek, where it
    would be dropped as the former assignment's."""

    async def steps(world: Running) -> None:
        getmany, waits = world.consumer._getmany, asyncio.Event()

        async def patient(active: Any, _: float) -> Any:
            waits.set()
            return await getmany(active, 2.0)

        await world.ready()
        await until(lambda: all(p.batches and p.batches[-1][1] == COUNT - 1 for p in world.probes))
        world.consumer._getmany = patient
        waits.clear()
        await asyncio.wait_for(waits.wait(), 5)
        await world.rebalance()
        later = lambda: world.probes[PARTITIONS:]  # noqa: E731
        await until(lambda: len(later()) == PARTITIONS and all(p.batches for p in later()))
        assert [probe.batches[0][0] for probe in later()] == [40, 40]

    run(kafka, prefix, tmp_path, steps)


def test_an_opening_that_keeps_its_cancellation_does_not_stop_a_rebalance(
    kafka: EmbeddedBroker, prefix: str, tmp_path: Path
) -> None:
    """`cancelled`: as a client of aiokafka does when it is cancelled while it closes; it is cancelled once more."""

    async def steps(world: Running) -> None:
        for probe in world.probes:
            probe.keeps_cancellation = True
        await world.rebalance()
        # The former ones are given up by then, and with none at all everything is ready.
        await until(lambda: len(world.probes) == 2 * PARTITIONS)
        await world.ready()

    run(kafka, prefix, tmp_path, steps)


def test_a_batch_that_never_ends_does_not_stop_a_rebalance(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> None:
    """`_give_up`: the group waits for a third of the session, then the partitions go without the batch."""

    async def steps(world: Running) -> None:
        former = list(world.probes)
        hold = former[0].hold = former[1].hold = asyncio.Event()
        await world.ready()
        await until(lambda: world.consumer.oldest_in_hand_s() > 0.2)
        begun, generation = time.monotonic(), world.app.consumer_generation_id
        await world.rebalance()
        assert time.monotonic() - begun < 5
        assert all(message.generation_id > generation for message in world.consumer._unacked_messages)
        hold.set()
        await until(lambda: all(p.batches and p.batches[-1][1] == COUNT - 1 for p in world.probes[PARTITIONS:]))
        await until(lambda: [len(probe.batches) for probe in former] == [1, 1])

    run(kafka, prefix, tmp_path, steps)


def test_an_assignment_while_it_stops_leaves_the_client_to_its_thread(
    kafka: EmbeddedBroker, prefix: str, tmp_path: Path
) -> None:
    """`close`: stock closes the client's sockets from another thread than their loop's, which crashes the process."""

    async def steps(world: Running) -> None:
        await world.ready()
        client = world.kafka._client
        connections = list(client._conns.values())
        assert connections
        world.app._on_rebalance_when_stopped()
        await asyncio.sleep(0.5)
        assert all(connection.connected() for connection in connections)
        await world.app.stop()
        assert not any(connection.connected() for connection in connections)
        assert not world.consumer._thread._thread.is_alive()

    run(kafka, prefix, tmp_path, steps)


def test_a_former_owner_s_loss_does_not_stop_its_successor(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> None:
    """`lose`: a batch that outlived its owner may fail late; the same partition's new owner goes on reading."""

    async def steps(world: Running) -> None:
        world.gate.set()
        await world.ready()
        former = [world.consumer.ownership.holding(probe.partition) for probe in world.probes]
        await world.rebalance()
        await until(lambda: len(world.probes) == 2 * PARTITIONS and world.consumer.ownership.is_ready())
        for holding in former:
            world.consumer.lose(holding, LostError("too late"))
        assert world.consumer._reading == {TP(*probe.partition) for probe in world.probes[PARTITIONS:]}

    run(kafka, prefix, tmp_path, steps)


def test_a_lost_partition_is_not_read_any_more(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> None:
    """`lose`: the batch is dropped, the partition paused, the other goes on; without a revocation the worker ends."""

    async def steps(world: Running) -> None:
        bad, good = sorted(world.probes, key=lambda probe: probe.partition)
        bad.fails = LostError("another owner")
        world.gate.set()
        await until(lambda: bool(good.batches) and good.batches[-1][1] == COUNT - 1)
        await until(lambda: world.consumer.ownership.phases()[bad.partition] is Phase.LOST)
        assert world.consumer._get_active_partitions() == {TP(*good.partition)}
        assert bad.batches == []
        assert not world.app.crashed
        await until(lambda: bool(world.app.crashed), 8)

    run(kafka, prefix, tmp_path, steps)


def test_an_error_of_a_stage_ends_the_application_unacknowledged(
    kafka: EmbeddedBroker, prefix: str, tmp_path: Path
) -> None:
    """An agent that fails never goes on with the next batch, and its own stays unacknowledged."""

    async def steps(world: Running) -> None:
        bad, _ = sorted(world.probes, key=lambda probe: probe.partition)
        bad.fails = MismatchError("never mind")
        world.gate.set()
        await until(lambda: bool(world.app.crashed))
        assert isinstance(world.app.crash_reason, MismatchError)
        assert world.consumer._acked[TP(*bad.partition)] == []
        assert world.consumer._committed_offset[TP(*bad.partition)] is None

    run(kafka, prefix, tmp_path, steps)


def test_a_commit_that_fails_does_not_end_the_worker(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> None:
    """`_commit` of the thread: stock crashes; here a failed commit costs duplicates at most."""

    async def steps(world: Running) -> None:
        await world.ready()

        async def refuse(_: Any) -> None:
            raise CommitFailedError("no")

        world.kafka.commit = refuse
        assert await world.consumer._thread.commit({TP(world.topic, 0): 50}) is False
        assert not world.app.crashed

    run(kafka, prefix, tmp_path, steps)


def test_records_that_expired_under_the_reader_are_an_error(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> None:
    """The consumer never jumps to what is left: an offset out of range ends the worker."""

    async def steps(world: Running) -> None:
        world.gate.set()
        await until(lambda: bool(world.app.crashed))
        assert isinstance(world.consumer.failure, MismatchError)
        assert f"offset {COUNT + 50}: not in the topic any more" in str(world.consumer.failure)

    run(kafka, prefix, tmp_path, steps, first=COUNT + 50)


def test_a_group_that_stands_outside_of_its_topic_is_refused(
    kafka: EmbeddedBroker, prefix: str, tmp_path: Path
) -> None:
    """`committed_offset`, for agents without state: never a silent gap there either."""

    async def steps(world: Running) -> None:
        await world.ready()
        thread, tp = world.consumer._thread, TP(world.topic, 0)
        place = TopicPartition(*tp)
        await thread.call_thread(world.kafka.commit, {place: 70})
        assert await thread.call_thread(thread.committed_offset, tp, None) == 70
        await thread.call_thread(world.kafka.commit, {place: COUNT + 1})
        with pytest.raises(MismatchError, match=f"holds 0 to {COUNT - 1}"):
            await thread.call_thread(thread.committed_offset, tp, None)

    run(kafka, prefix, tmp_path, steps)


def test_what_is_overridden_is_there() -> None:
    """Pins the names: an override of something that is gone would do nothing, in silence."""
    for name in ("_drain_messages", "_set_active_tps", "_new_offset", "_get_active_partitions", "_unacked_messages"):
        assert name in dir(StockConsumer) or name in StockConsumer.__annotations__
    for name in ("perform_seek", "resume_partitions", "on_buffer_drop", "ack", "wait_first", "on_partitions_revoked"):
        assert name in dir(StockConsumer)
    assert hasattr(SubscriptionState, "fetch_context")


def make_again(kafka: EmbeddedBroker, prefix: str, count: int) -> None:
    """The topics are deleted and made again, with `count` records in each partition of the source."""
    delete_topics(kafka.bootstrap_servers, prefix, 0)
    create_again(kafka.bootstrap_servers, prefix, PARTITIONS)
    if count:
        topic = topic_name("touchpoints", prefix, 0)
        produce(kafka.bootstrap_servers, topic, [b"%d" % n for n in range(count * PARTITIONS)], PARTITIONS)


@pytest.mark.parametrize("count", [COUNT + 50, 10, 0])
def test_a_topic_made_again_under_a_running_group_is_an_error(
    kafka: EmbeddedBroker, prefix: str, tmp_path: Path, count: int
) -> None:
    """`require_same`, asked behind each fetch and now and then: whether the new topic is longer than the old one, where
    reading would just go on, or shorter, nothing of it reaches an owner."""

    async def steps(world: Running) -> None:
        await world.ready()
        await until(lambda: all(p.batches and p.batches[-1][1] == COUNT - 1 for p in world.probes))
        await asyncio.to_thread(make_again, kafka, prefix, count)
        await until(lambda: world.consumer.failure is not None, 25)
        assert isinstance(world.consumer.failure, MismatchError)
        assert "made again" in str(world.consumer.failure)
        assert [probe.batches[-1][1] for probe in world.probes[:PARTITIONS]] == [COUNT - 1] * PARTITIONS
        assert not any(probe.batches for probe in world.probes[PARTITIONS:])

    run(kafka, prefix, tmp_path, steps)


def test_what_was_fetched_of_another_topic_reaches_nobody(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> None:
    """`require_same` is asked behind the fetch: looking after the topics now and then is too late for what comes at
    once."""

    async def steps(world: Running) -> None:
        await world.ready()
        await until(lambda: all(world.consumer._committed_offset[tp] == COUNT for tp in world.places()))
        world.consumer.transport.id_by_topic = {world.topic: "of one that was deleted"}
        more = [b"%d" % n for n in range(PARTITIONS)]
        await asyncio.to_thread(produce, kafka.bootstrap_servers, world.topic, more, PARTITIONS)
        await until(lambda: world.consumer.failure is not None)
        assert isinstance(world.consumer.failure, MismatchError)
        assert [probe.batches[-1][1] for probe in world.probes] == [COUNT - 1] * PARTITIONS

    run(kafka, prefix, tmp_path, steps)


def test_a_topic_that_the_group_was_told_nothing_of_is_assigned_soon(
    kafka: EmbeddedBroker, prefix: str, tmp_path: Path
) -> None:
    """`missing_topics`: a broker that just came up may know less than there is. aiokafka then assigns nothing of it,
    and asks again after five minutes."""

    async def steps(world: Running) -> None:
        await world.ready()
        cluster = world.kafka._client.cluster
        update = cluster.update_metadata

        def know_less(metadata: Any) -> None:
            metadata.topics = [each for each in metadata.topics if world.topic not in each]
            update(metadata)

        cluster.update_metadata = know_less
        world.kafka._client.force_metadata_update()
        await until(lambda: not world.kafka.assignment())
        cluster.update_metadata = update
        await until(lambda: len(world.probes) == 2 * PARTITIONS and world.consumer.ownership.is_ready())

    run(kafka, prefix, tmp_path, steps)


def test_a_topic_that_is_gone_is_an_error(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> None:
    """Nothing comes from it, so only asking tells."""

    async def steps(world: Running) -> None:
        await world.ready()
        # Else the commit of what was acknowledged is tried again until the worker ends.
        await until(lambda: all(world.consumer._committed_offset[tp] == COUNT for tp in world.places()))
        await asyncio.to_thread(delete_topics, kafka.bootstrap_servers, prefix, 0)
        await until(lambda: world.consumer.failure is not None, 30)
        assert "not on the brokers any more" in str(world.consumer.failure)

    run(kafka, prefix, tmp_path, steps)


def test_a_group_does_not_go_on_in_another_topic_of_the_name(
    kafka: EmbeddedBroker, prefix: str, tmp_path: Path
) -> None:
    """`_commit` notes the topic's id beside the offset, for agents without state have no other place for it."""

    async def steps(world: Running) -> None:
        await world.ready()
        tp = min(world.places())
        await until(lambda: world.consumer._committed_offset[tp] == COUNT)
        thread, id_ = world.consumer._thread, world.consumer.transport.id_by_topic[world.topic]
        assert await thread.call_thread(thread.committed_offset, tp, id_) == COUNT
        with pytest.raises(MismatchError, match="made again"):
            await thread.call_thread(thread.committed_offset, tp, "another")

    run(kafka, prefix, tmp_path, steps)


async def send_packed(bootstrap: str, topic: str, partition: int, value: bytes) -> None:
    room = {"max_request_size": 2 * len(value), "max_batch_size": 2 * len(value)}
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, compression_type="zstd", **room)
    await producer.start()
    await producer.send_and_wait(topic, value, partition=partition)
    await producer.stop()


def test_a_batch_that_unpacks_to_too_much_is_refused_and_named(
    kafka: EmbeddedBroker, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`_fetch_records`: the worker says where it is, before it has it in memory; what lies before it is taken."""
    monkeypatch.setattr("streams.unpacking.UNPACKED_BYTES_MAX", 1 << 20)

    async def steps(world: Running) -> None:
        await world.ready()
        await until(lambda: all(world.consumer._committed_offset[tp] == COUNT for tp in world.places()))
        await send_packed(kafka.bootstrap_servers, world.topic, 1, b"x" * (4 << 20))
        await until(lambda: world.consumer.failure is not None)
        assert isinstance(world.consumer.failure, MismatchError)
        place = f"{world.topic}/1 offset {COUNT}"
        assert f"{place} is refused: it unpacks to more than 1 MiB" in str(world.consumer.failure)
        assert [probe.batches[-1][1] for probe in world.probes] == [COUNT - 1] * PARTITIONS

    run(kafka, prefix, tmp_path, steps)
