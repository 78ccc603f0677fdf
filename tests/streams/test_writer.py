"""The commit protocol on a real broker, without Faust: each rule, each crash."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from state.store import RocksStore
from streams.admin import topic_ids
from streams.batch import BatchTooLargeError, one_batch
from streams.broker import EmbeddedBroker
from streams.commit import Committed
from streams.computation import CHORE_PARTS
from streams.computing import Arrivals
from streams.crash import CRASH_POINTS
from streams.errors import LostError, MismatchError
from streams.fence import FencedProducer
from streams.partials import COVERS_KEY
from streams.poison import PoisonError
from streams.protocol_rows import CLAIM_KEY, COMMIT_KEY, FENCE_KEY, READY_KEY, decode_commit
from streams.stage import Work
from streams.store import Store
from streams.writer import Writer
from tests.state.memory_store import MemoryStore
from tests.streams.toy import (
    BIG,
    PIECE_COUNT,
    Names,
    Stored,
    ToyStage,
    assert_exact,
    decode_covers,
    folded,
    make_topics,
    pack,
    plan_of,
    produce,
    read,
    read_all,
    start,
    writer_of,
)

pytestmark = pytest.mark.broker

KEYS = [b"%d" % (number % 7) for number in range(60)]


@pytest.fixture
def names(kafka: EmbeddedBroker, prefix: str) -> Names:
    """Topics with one partition and 60 records of 7 keys."""
    made = make_topics(kafka.bootstrap_servers, prefix)
    produce(kafka.bootstrap_servers, made.source, KEYS)
    return made


def run(steps: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(steps, 60))


async def source_of(kafka: EmbeddedBroker, names: Names) -> list[Stored]:
    return await read_all(kafka.bootstrap_servers, names.source)


def test_batches_are_committed_and_published(kafka: EmbeddedBroker, prefix: str, names: Names) -> None:
    """Two batches and a restart on the same disk count everything once."""
    plan, store = plan_of(kafka.bootstrap_servers, prefix), MemoryStore()
    seen: list[Committed] = []

    async def steps() -> None:
        records = await source_of(kafka, names)
        for part in (records[:40], records[40:]):
            writer = writer_of(plan, prefix, lambda: store, on_commit=seen.append)
            await writer.open()
            assert writer.start_offset(names.source) == part[0].offset
            await writer.process(part)
            assert writer.applied == {names.source: part[-1].offset}
            await writer.close(1)

    run(steps())
    assert_exact(kafka.bootstrap_servers, prefix)
    assert [each.record_count for each in seen] == [0, 40, 0, 20]


def test_what_comes_before_its_turn_is_in_the_commit(kafka: EmbeddedBroker, prefix: str, names: Names) -> None:
    """While another owner of the stage computes; all of it is looked at before it is computed."""
    plan = plan_of(kafka.bootstrap_servers, prefix)
    seen: list[Committed] = []

    async def steps() -> None:
        records, let = await source_of(kafka, names), threading.Event()
        writer = writer_of(plan, prefix, MemoryStore, on_commit=seen.append)
        await writer.open()
        arrivals = Arrivals(records[:10])

        async def compute() -> None:
            async with plan.computing.turn():
                await plan.computing.run(partial(let.wait, 10))

        other = asyncio.ensure_future(compute())
        await asyncio.sleep(0)
        processing = asyncio.ensure_future(writer.process(arrivals))
        await asyncio.sleep(0.05)
        assert not arrivals.is_taken
        arrivals += records[10:25]
        let.set()
        await asyncio.gather(other, processing)
        assert arrivals.is_taken
        assert writer.applied == {names.source: records[24].offset}
        with pytest.raises(MismatchError, match="without a gap"):
            await writer.process(Arrivals([*records[25:30], *records[31:]]))

    run(steps())
    assert [each.record_count for each in seen] == [0, 25]


def test_an_owner_closes_behind_its_computation(kafka: EmbeddedBroker, prefix: str, names: Names) -> None:
    """However long it takes: it reads the store. What comes of it is not written."""
    plan, store, let = plan_of(kafka.bootstrap_servers, prefix), MemoryStore(), threading.Event()

    async def steps() -> None:
        records = await source_of(kafka, names)
        writer = writer_of(plan, prefix, lambda: store)
        await writer.open()
        before, get, closed = dict(store.rows), store.get, list[bool]()

        def slow(keys: Sequence[bytes]) -> list[bytes | None]:
            assert let.wait(10)
            closed.append(closing.done())
            return get(keys)

        store.get = slow  # type: ignore[method-assign]
        processing = asyncio.ensure_future(writer.process(records))
        await asyncio.sleep(0.05)
        closing = asyncio.ensure_future(writer.close(0.1))
        await asyncio.sleep(0.3)
        assert not closing.done()
        let.set()
        await closing
        with pytest.raises(LostError):
            await processing
        assert closed[0] is False
        assert store.rows == before

    run(steps())


def test_the_changelog_is_claimed_confirmed_and_committed_in_order(
    kafka: EmbeddedBroker, prefix: str, names: Names
) -> None:
    """claim_first, ready_behind_claim, commit_is_one_batch, tag_is_commit_offset: the log shows all of them."""
    plan = plan_of(kafka.bootstrap_servers, prefix)

    async def steps() -> None:
        writer = writer_of(plan, prefix, MemoryStore)
        await writer.open()
        await writer.process(await source_of(kafka, names))
        await writer.close(1)

    run(steps())
    log = read(kafka.bootstrap_servers, names.changelog)
    assert [record.key for record in log[:4]] == [CLAIM_KEY, READY_KEY, COMMIT_KEY, COMMIT_KEY]
    assert [record.offset for record in log] == list(range(len(log)))
    row = decode_commit(log[3].value or b"")
    assert (row.epoch, row.input_by_topic[names.source].applied) == (0, 59)
    covers = [decode_covers(r.value or b"") for r in read(kafka.bootstrap_servers, names.counts) if r.key == COVERS_KEY]
    assert [(tag.offset, applied) for tag, applied, _ in covers] == [
        (2, {names.source: -1}),
        (3, {names.source: 59}),
    ]


def test_every_output_is_fenced_before_ready(kafka: EmbeddedBroker, prefix: str, names: Names) -> None:
    """A fence record with the epoch stands first in each output."""
    plan = plan_of(kafka.bootstrap_servers, prefix)

    async def steps() -> None:
        writer = writer_of(plan, prefix, MemoryStore)
        await writer.open()
        await writer.close(1)

    run(steps())
    for topic in (names.counts, names.copies):
        first = read(kafka.bootstrap_servers, topic)[0]
        assert (first.key, first.value) == (FENCE_KEY, b"0")


def test_the_clock_is_the_broker_s(kafka: EmbeddedBroker, prefix: str, names: Names) -> None:
    """A commit takes the greatest append time of its records; an idle one that of the previous append, but for input
    that came before and is still unread."""
    plan = plan_of(kafka.bootstrap_servers, prefix)
    clocks: list[int] = []

    async def steps() -> None:
        records = await source_of(kafka, names)
        writer = writer_of(plan, prefix, MemoryStore)
        await writer.open()
        await writer.process(records)
        await asyncio.sleep(0.05)
        await writer.idle()
        await writer.idle()
        await writer.close(1)

    run(steps())
    log = read(kafka.bootstrap_servers, names.changelog)
    commits = [record for record in log if record.key == COMMIT_KEY]
    clocks = [decode_commit(record.value or b"").clock_ms for record in commits]
    arrived = max(each.timestamp for each in read(kafka.bootstrap_servers, names.source))
    assert clocks[:2] == [0, arrived]
    assert clocks[2] == commits[1].timestamp > arrived
    assert clocks[3] == commits[2].timestamp > clocks[2]


def test_the_time_now_is_known_but_for_what_the_broker_took(
    kafka: EmbeddedBroker, prefix: str, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is between the two that the owner says, however long an append is on its way there and back."""
    plan, append = plan_of(kafka.bootstrap_servers, prefix), FencedProducer.append

    async def slow(*args: Any) -> Any:
        await asyncio.sleep(0.2)
        appended = await append(*args)
        await asyncio.sleep(0.2)
        return appended

    async def steps() -> None:
        monkeypatch.setattr(FencedProducer, "append", slow)
        writer = writer_of(plan, prefix, MemoryStore)
        await writer.open()
        now_ms = time.time_ns() // 1_000_000
        assert writer.now_ms <= now_ms - 200
        assert now_ms + 200 <= writer.now_ms_at_most <= writer.now_ms + 1_000
        await writer.close(1)

    run(steps())


def test_a_new_owner_ends_the_old_one(kafka: EmbeddedBroker, prefix: str, names: Names) -> None:
    """fence: the broker refuses the old owner's next commit, and its store and outputs stay as they were."""
    plan, old_store = plan_of(kafka.bootstrap_servers, prefix), MemoryStore()

    async def steps() -> None:
        records = await source_of(kafka, names)
        old = writer_of(plan, prefix, lambda: old_store)
        new = writer_of(plan, prefix, MemoryStore)
        await old.open()
        await old.process(records[:10])
        await new.open()
        before = dict(old_store.rows)
        with pytest.raises(LostError, match="another owner"):
            await old.process(records[10:20])
        assert old_store.rows == before
        with pytest.raises(LostError, match="failed before"):
            await old.idle()
        await new.process(records[10:])
        await new.close(1)
        await old.close(1)

    run(steps())
    assert_exact(kafka.bootstrap_servers, prefix)


async def append_foreign(kafka: EmbeddedBroker, topic: str) -> None:
    other = await FencedProducer.start(kafka.bootstrap_servers, f"foreign-{topic}")
    await other.append(topic, 0, one_batch([(b"foreign", b"x")]))
    await other.close()


class SlowStore(MemoryStore):
    """Lets something happen while the restore runs: `position` is asked by it first."""

    def __init__(self, happens: Callable[[], None]) -> None:
        super().__init__()
        self._happens = happens
        self._did = False

    def position(self) -> Any:
        if not self._did:
            self._did = True
            self._happens()
        return super().position()


def test_a_foreign_record_between_claim_and_ready_stops(kafka: EmbeddedBroker, prefix: str, names: Names) -> None:
    """ready_behind_claim: whatever was appended after the claim was not restored, so the owner gives up."""
    plan = plan_of(kafka.bootstrap_servers, prefix)

    async def steps() -> None:
        loop = asyncio.get_running_loop()
        foreign: list[asyncio.Task[None]] = []

        def make(_: int, store: Any) -> Any:
            foreign.append(loop.create_task(append_foreign(kafka, names.changelog)))
            return original(_, store)

        writer = writer_of(plan, prefix, MemoryStore)
        original, writer._make_stage = writer._make_stage, make
        append = writer._tenure.append_fence

        async def after_the_foreign(topic: str) -> None:
            await foreign[0]
            await append(topic)

        writer._tenure.append_fence = after_the_foreign  # type: ignore[method-assign]
        with pytest.raises(LostError, match="something else was appended"):
            await writer.open()
        await writer.close(1)

    run(steps())


def test_a_foreign_record_before_a_commit_stops(kafka: EmbeddedBroker, prefix: str, names: Names) -> None:
    """check_base_offset: a commit that stands elsewhere than expected is neither stored nor published."""
    plan, store = plan_of(kafka.bootstrap_servers, prefix), MemoryStore()

    async def steps() -> None:
        writer = writer_of(plan, prefix, lambda: store)
        await writer.open()
        await append_foreign(kafka, names.changelog)
        before = dict(store.rows)
        with pytest.raises(LostError, match="expected"):
            await writer.process(await source_of(kafka, names))
        assert store.rows == before
        await writer.close(1)

    run(steps())
    assert folded(read(kafka.bootstrap_servers, names.counts)) == {}


def test_an_old_heartbeat_sends_nothing(kafka: EmbeddedBroker, prefix: str, names: Names) -> None:
    """fresh_heartbeat: a worker that the group may have given up appends nothing, whatever the broker remembers."""
    plan = plan_of(kafka.bootstrap_servers, prefix)
    heard = [time.monotonic()]

    async def steps() -> None:
        writer = writer_of(plan, prefix, MemoryStore, heartbeat=lambda: heard[0])
        await writer.open()
        heard[0] -= plan.session_timeout_s + 1
        with pytest.raises(LostError, match="heartbeat"):
            await writer.process(await source_of(kafka, names))
        await writer.close(1)

    run(steps())
    assert len(read(kafka.bootstrap_servers, names.changelog)) == 3


def test_too_large_a_batch_halves_its_input(kafka: EmbeddedBroker, prefix: str, names: Names) -> None:
    """split_input_not_rows: rows that do not fit one record batch are computed again from fewer records."""
    plan = plan_of(kafka.bootstrap_servers, prefix)
    seen: list[Committed] = []

    async def steps() -> None:
        writer = writer_of(plan, prefix, MemoryStore, ballast=3 << 20, on_commit=seen.append)
        await writer.open()
        await writer.process((await source_of(kafka, names))[:7])
        await writer.close(1)

    run(steps())
    assert [each.record_count for each in seen] == [0, 1, 2, 2, 2]


def test_one_record_that_is_too_large_alone_is_named(kafka: EmbeddedBroker, prefix: str, names: Names) -> None:
    """The message says which record it is; nothing of it is committed."""
    plan = plan_of(kafka.bootstrap_servers, prefix)

    async def steps() -> None:
        writer = writer_of(plan, prefix, MemoryStore, ballast=9 << 20)
        await writer.open()
        with pytest.raises(PoisonError, match=f"{names.source}/0 offset 0.*more than one commit can hold"):
            await writer.process((await source_of(kafka, names))[:2])
        await writer.close(1)

    run(steps())


def test_one_record_too_large_alone_is_applied_in_slices(kafka: EmbeddedBroker, prefix: str) -> None:
    """Each slice is a commit; only the last one moves the input position, the clock and what readers see."""
    names = make_topics(kafka.bootstrap_servers, prefix)
    produce(kafka.bootstrap_servers, names.source, [b"1", BIG, b"2"])
    plan = plan_of(kafka.bootstrap_servers, prefix)
    seen: list[Committed] = []

    async def steps() -> None:
        writer = writer_of(plan, prefix, MemoryStore, on_commit=seen.append)
        await writer.open()
        await writer.process(await source_of(kafka, names))
        await writer.close(1)

    run(steps())
    assert_exact(kafka.bootstrap_servers, prefix)
    assert [each.record_count for each in seen] == [0, 1, *[0] * PIECE_COUNT, 1, 1]
    log = read(kafka.bootstrap_servers, names.changelog)
    rows = [decode_commit(record.value or b"") for record in log if record.key == COMMIT_KEY]
    before, *slices, last = rows[1:-1]
    assert {(row.input_by_topic[names.source].applied, row.clock_ms) for row in slices} == {(0, before.clock_ms)}
    assert last.input_by_topic[names.source].applied == 1
    covers = [decode_covers(r.value or b"") for r in read(kafka.bootstrap_servers, names.counts) if r.key == COVERS_KEY]
    assert [applied[names.source] for _, applied, _ in covers] == [-1, 0, *[0] * PIECE_COUNT, 1, 2]


def test_chores_are_done_when_it_is_tended(kafka: EmbeddedBroker, prefix: str) -> None:
    """What needs no input follows piece by piece, each a commit that moves no input position."""
    names = make_topics(kafka.bootstrap_servers, prefix)
    produce(kafka.bootstrap_servers, names.source, [BIG])
    plan, store = plan_of(kafka.bootstrap_servers, prefix), MemoryStore()

    async def steps() -> None:
        writer = writer_of(plan, prefix, lambda: store)
        await writer.open()
        await writer.tend()
        await writer.process(await source_of(kafka, names))
        assert len(list(store.scan(b"n"))) == PIECE_COUNT
        while list(store.scan(b"w")):
            await writer.tend()
        assert writer.applied == {names.source: 0}
        await writer.close(1)

    run(steps())
    assert list(store.scan(b"n")) == []
    assert_exact(kafka.bootstrap_servers, prefix)


@pytest.mark.parametrize("error", [ValueError("it can not be computed"), BatchTooLargeError("however it is cut")])
def test_a_chore_that_can_not_be_computed_is_held_and_told(
    kafka: EmbeddedBroker,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    """Once, and input goes on; what is too large is tried in smaller parts before."""
    names = make_topics(kafka.bootstrap_servers, prefix)
    produce(kafka.bootstrap_servers, names.source, [b"1", b"2"])
    asked: list[int] = []
    has_failed: list[bool] = []

    def chore(_: ToyStage, __: int, parts: int) -> None:
        if not has_failed:
            asked.append(parts)
            raise error

    monkeypatch.setattr(ToyStage, "chore", chore)
    monkeypatch.setattr(ToyStage, "chore_failed", lambda _: has_failed.append(True))

    async def steps() -> None:
        writer = writer_of(plan_of(kafka.bootstrap_servers, prefix), prefix, MemoryStore)
        await writer.open()
        await writer.tend()
        await writer.tend()
        await writer.process(await source_of(kafka, names))
        assert writer.applied == {names.source: 1}
        await writer.close(1)

    run(steps())
    assert asked == ([1] if isinstance(error, ValueError) else list(CHORE_PARTS))
    assert sum("can not be computed, so definitions" in record.message for record in caplog.records) == 1
    assert_exact(kafka.bootstrap_servers, prefix)


def test_an_idle_owner_asks_the_broker_for_the_time_when_a_chore_may_be_due(
    kafka: EmbeddedBroker, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not before, and not more often than it has to: what counts is the clock that the broker gave."""
    make_topics(kafka.bootstrap_servers, prefix)
    due_ms = int(time.time() * 1000) + 4_000
    clocks: list[int] = []
    done: list[int] = []

    def idle(_: ToyStage, clock_ms: int) -> Work:
        clocks.append(clock_ms)
        return Work([], b"", lambda _: [])

    def chore(_: ToyStage, clock_ms: int, __: int) -> None:
        done.extend([clock_ms] if clock_ms >= due_ms else [])

    monkeypatch.setattr(ToyStage, "due_ms", lambda _: None if done else due_ms)
    monkeypatch.setattr(ToyStage, "idle", idle)
    monkeypatch.setattr(ToyStage, "chore", chore)

    async def steps() -> None:
        writer = writer_of(plan_of(kafka.bootstrap_servers, prefix), prefix, MemoryStore)
        await writer.open()
        until = time.monotonic() + 60
        while not done:
            assert time.monotonic() < until
            await writer.tend()
            await asyncio.sleep(0.05)
        await writer.close(1)

    run(steps())
    assert 2 <= len(clocks) <= 4


def test_nothing_is_due_before_what_came_meanwhile_is_read(
    kafka: EmbeddedBroker, prefix: str, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for its time, and what keeps it from coming about, may both lie behind an owner that was away."""
    plan, clocks = plan_of(kafka.bootstrap_servers, prefix), list[int]()

    def chore(_: ToyStage, clock_ms: int, __: int) -> None:
        clocks.append(clock_ms)

    monkeypatch.setattr(ToyStage, "chore", chore)

    async def steps() -> None:
        records = await source_of(kafka, names)
        writer = writer_of(plan, prefix, MemoryStore)
        await writer.open()
        for part in (records[:40], records[40:]):
            await writer.tend()
            await writer.process(part)
        await writer.tend()
        await writer.close(1)

    run(steps())
    source = read(kafka.bootstrap_servers, names.source)
    log = read(kafka.bootstrap_servers, names.changelog)
    assert clocks[:2] == [0, max(each.timestamp for each in source[:40])]
    assert clocks[2] == log[-1].timestamp


@pytest.mark.parametrize("keeps_disk", [True, False])
def test_a_crash_between_chores_goes_on_from_the_rows(
    kafka: EmbeddedBroker, prefix: str, tmp_path: Path, keeps_disk: bool
) -> None:
    """The next owner, also on an empty disk, does what is left of them."""
    names = make_topics(kafka.bootstrap_servers, prefix)
    produce(kafka.bootstrap_servers, names.source, [BIG, b"1"])
    plan = plan_of(kafka.bootstrap_servers, prefix)
    process = start("plain", kafka.bootstrap_servers, prefix, tmp_path, 2, 1, crash_at="chore:2")
    assert process.wait(60) == 137
    store: Store = RocksStore(tmp_path / "0") if keeps_disk else MemoryStore()

    async def steps() -> None:
        writer = writer_of(plan, prefix, lambda: store)
        await writer.open()
        if writer.applied[names.source] == 0:
            await writer.process((await source_of(kafka, names))[1:])
        assert 0 < len(list(store.scan(b"n"))) < PIECE_COUNT
        while list(store.scan(b"w")):
            await writer.tend()
        assert list(store.scan(b"n")) == []
        await writer.close(1)

    run(steps())
    assert_exact(kafka.bootstrap_servers, prefix)


@pytest.mark.parametrize("slices_done", [1, PIECE_COUNT])
@pytest.mark.parametrize("keeps_disk", [True, False])
def test_a_crash_between_slices_goes_on_from_the_job_s_row(
    kafka: EmbeddedBroker, prefix: str, tmp_path: Path, slices_done: int, keeps_disk: bool
) -> None:
    """The next owner, also on an empty disk, reads the record again and writes what is left, nothing twice."""
    names = make_topics(kafka.bootstrap_servers, prefix)
    produce(kafka.bootstrap_servers, names.source, [b"1", b"2", BIG, b"1", b"3"])
    plan = plan_of(kafka.bootstrap_servers, prefix)
    process = start("plain", kafka.bootstrap_servers, prefix, tmp_path, 5, 5, crash_at=f"slice:{slices_done}")
    assert process.wait(60) == 137

    async def steps() -> None:
        writer = writer_of(plan, prefix, lambda: RocksStore(tmp_path / "0") if keeps_disk else MemoryStore())
        await writer.open()
        assert writer.start_offset(names.source) == 2
        await writer.process((await source_of(kafka, names))[2:])
        await writer.close(1)

    run(steps())
    assert_exact(kafka.bootstrap_servers, prefix)
    pieces = [record.key for record in read(kafka.bootstrap_servers, names.changelog) if record.key.startswith(b"n")]
    assert pieces == [b"n%b%d" % (BIG, number) for number in range(PIECE_COUNT)]


def test_a_gap_in_the_input_is_loud(kafka: EmbeddedBroker, prefix: str, names: Names) -> None:
    """read_from_applied: records are applied once, in order and without a gap, or not at all."""
    plan = plan_of(kafka.bootstrap_servers, prefix)

    async def steps() -> None:
        records = await source_of(kafka, names)
        for wrong in (records[1:], records[:2] + records[3:]):
            writer = writer_of(plan, prefix, MemoryStore)
            await writer.open()
            with pytest.raises(MismatchError, match="without a gap"):
                await writer.process(wrong)
            await writer.close(1)

    run(steps())


def test_other_definitions_are_refused(kafka: EmbeddedBroker, prefix: str, names: Names) -> None:
    """A worker with another definition set than the partition's last commit says what to do."""
    plan = plan_of(kafka.bootstrap_servers, prefix)

    async def steps() -> None:
        first = writer_of(plan, prefix, MemoryStore)
        await first.open()
        await first.close(1)
        second = writer_of(plan, prefix, MemoryStore, definitions_hash="other")
        with pytest.raises(MismatchError, match="definition set toy, this worker has other"):
            await second.open()
        await second.close(1)

    run(steps())


def test_an_input_made_again_is_refused(kafka: EmbeddedBroker, prefix: str, names: Names) -> None:
    """Another topic id, or fewer records than were applied, is an error and never a silent gap."""
    plan = plan_of(kafka.bootstrap_servers, prefix)
    renamed = plan_of(kafka.bootstrap_servers, prefix)
    renamed.topic_id_by_name[names.source] = "another"

    async def steps() -> None:
        first = writer_of(plan, prefix, MemoryStore)
        await first.open()
        await first.process(await source_of(kafka, names))
        await first.close(1)
        second = writer_of(renamed, prefix, MemoryStore)
        with pytest.raises(MismatchError, match="made again"):
            await second.open()
        await second.close(1)

    run(steps())


def test_input_that_expired_unread_is_refused(kafka: EmbeddedBroker, prefix: str, names: Names) -> None:
    """Applied before the log's start means that records are gone which nobody has counted."""
    from kafka import KafkaAdminClient, TopicPartition

    plan = plan_of(kafka.bootstrap_servers, prefix)

    async def steps() -> None:
        first = writer_of(plan, prefix, MemoryStore)
        await first.open()
        await first.process((await source_of(kafka, names))[:10])
        await first.close(1)
        with KafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers) as admin:
            admin.delete_records({TopicPartition(names.source, 0): 20})
        second = writer_of(plan, prefix, MemoryStore)
        with pytest.raises(MismatchError, match="holds 20 to 59"):
            await second.open()
        await second.close(1)

    run(steps())


def test_renewal_goes_on_without_a_restore(kafka: EmbeddedBroker, prefix: str, names: Names) -> None:
    """renew_fence: a new epoch, claim and ready where they are expected, fences in the outputs, and work goes on."""
    plan = plan_of(kafka.bootstrap_servers, prefix)

    async def steps() -> None:
        records = await source_of(kafka, names)
        writer = writer_of(plan, prefix, MemoryStore)
        await writer.open()
        await writer.process(records[:30])
        await writer.renew()
        await writer.process(records[30:])
        await writer.close(1)
        third = writer_of(plan, prefix, MemoryStore)
        await third.open()
        assert third.start_offset(names.source) == 60
        await third.close(1)

    run(steps())
    assert_exact(kafka.bootstrap_servers, prefix)
    assert [r.key for r in read(kafka.bootstrap_servers, names.changelog)].count(READY_KEY) == 3


def test_a_zombie_that_renews_stops_and_leaves_no_harm(kafka: EmbeddedBroker, prefix: str, names: Names) -> None:
    """A former owner that fences itself anew stands behind its successor's records, and gives up; a third is exact."""
    plan = plan_of(kafka.bootstrap_servers, prefix)

    async def steps() -> None:
        records = await source_of(kafka, names)
        zombie, owner, third = (writer_of(plan, prefix, MemoryStore) for _ in range(3))
        await zombie.open()
        await zombie.process(records[:10])
        await owner.open()
        await owner.process(records[10:20])
        with pytest.raises(LostError, match="the new claim"):
            await zombie.renew()
        with pytest.raises(LostError, match="another owner"):
            await owner.process(records[20:30])
        await third.open()
        await third.process(records[20:])
        for writer in (zombie, owner, third):
            await writer.close(1)

    run(steps())
    assert_exact(kafka.bootstrap_servers, prefix)


def test_an_idle_owner_is_tended(kafka: EmbeddedBroker, prefix: str, names: Names) -> None:
    """After a while without input: a commit with covers, and a fence in the output that got nothing."""
    plan = plan_of(kafka.bootstrap_servers, prefix, idle_commit_s=1.0)

    async def steps() -> None:
        writer = writer_of(plan, prefix, MemoryStore)
        await writer.open()
        await writer.tend()
        await asyncio.sleep(1.1)
        await writer.tend()
        await writer.tend()
        await writer.close(1)

    run(steps())
    keys = [record.key for record in read(kafka.bootstrap_servers, names.changelog)]
    assert keys == [CLAIM_KEY, READY_KEY, COMMIT_KEY, COMMIT_KEY]
    assert [record.key for record in read(kafka.bootstrap_servers, names.copies)] == [FENCE_KEY, FENCE_KEY]
    covers = [FENCE_KEY, COVERS_KEY, COVERS_KEY]
    assert [record.key for record in read(kafka.bootstrap_servers, names.counts)] == covers


def test_an_old_fence_is_renewed(kafka: EmbeddedBroker, prefix: str, names: Names) -> None:
    """An owner that is tended fences itself anew once the fence is as old as the plan allows."""
    plan = plan_of(kafka.bootstrap_servers, prefix, fence_renewal_s=1.0)

    async def steps() -> None:
        writer = writer_of(plan, prefix, MemoryStore)
        await writer.open()
        await writer.tend()
        await asyncio.sleep(1.1)
        await writer.tend()
        await writer.tend()
        await writer.close(1)

    run(steps())
    keys = [record.key for record in read(kafka.bootstrap_servers, names.changelog)]
    assert keys == [CLAIM_KEY, READY_KEY, COMMIT_KEY, CLAIM_KEY, READY_KEY]


def test_closing_waits_for_the_step_in_flight(kafka: EmbeddedBroker, prefix: str, names: Names) -> None:
    """A batch that is being committed ends first; afterwards nothing is accepted."""
    plan = plan_of(kafka.bootstrap_servers, prefix)

    async def steps() -> None:
        writer = writer_of(plan, prefix, MemoryStore)
        await writer.open()
        batch = asyncio.create_task(writer.process(await source_of(kafka, names)))
        await asyncio.sleep(0)
        await writer.close(5)
        await batch
        with pytest.raises(LostError, match="closed"):
            await writer.idle()

    run(steps())
    assert_exact(kafka.bootstrap_servers, prefix)


def test_a_cancelled_step_leaves_no_second_chance(kafka: EmbeddedBroker, prefix: str, names: Names) -> None:
    """A commit that was cancelled may be in the log or not, so the writer stops; its successor is exact."""
    plan, store = plan_of(kafka.bootstrap_servers, prefix), MemoryStore()

    async def steps() -> None:
        records = await source_of(kafka, names)
        writer = writer_of(plan, prefix, lambda: store)
        await writer.open()
        batch = asyncio.create_task(writer.process(records[:30]))
        for _ in range(3):
            await asyncio.sleep(0)
        batch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await batch
        with pytest.raises(LostError, match="failed before"):
            await writer.process(records[:30])
        await writer.close(1)
        successor = writer_of(plan, prefix, lambda: store)
        await successor.open()
        await successor.process(records[successor.start_offset(names.source) :])
        await successor.close(1)

    run(steps())
    assert_exact(kafka.bootstrap_servers, prefix)


def test_what_became_known_without_a_record_is_committed(kafka: EmbeddedBroker, prefix: str, names: Names) -> None:
    """In the owner's turn, with no input moved; what does not fit ends this owner, and its successor goes on."""
    plan, store = plan_of(kafka.bootstrap_servers, prefix), MemoryStore()

    def too_large(_: int) -> Work:
        raise BatchTooLargeError("it does not fit")

    async def steps() -> None:
        writer = writer_of(plan, prefix, lambda: store)
        await writer.open()
        clocks: list[int] = []

        def answer(clock_ms: int) -> Work:
            clocks.append(clock_ms)
            return Work([(b"answer", b"1")], pack([]), lambda _: [])

        await asyncio.gather(writer.process(await source_of(kafka, names)), writer.note(answer))
        assert (store.rows[b"answer"], len(clocks)) == (b"1", 1)
        assert writer.applied == {names.source: len(KEYS) - 1}
        with pytest.raises(BatchTooLargeError):
            await writer.note(too_large)
        with pytest.raises(LostError, match="failed before"):
            await writer.note(answer)
        await writer.close(1)
        successor = writer_of(plan, prefix, MemoryStore)
        await successor.open()
        assert successor.store.get([b"answer"]) == [b"1"]
        await successor.close(1)

    run(steps())


def test_a_compacted_input_may_have_gaps(kafka: EmbeddedBroker, prefix: str, names: Names) -> None:
    """But nothing of it is applied twice."""
    plan = plan_of(kafka.bootstrap_servers, prefix, compacted=frozenset((names.source,)))

    async def steps() -> None:
        records = await source_of(kafka, names)
        writer = writer_of(plan, prefix, MemoryStore)
        await writer.open()
        await writer.process(records[10:20:3])
        assert writer.applied == {names.source: 19}
        with pytest.raises(MismatchError, match="got offsets 19"):
            await writer.process(records[19:])
        await writer.close(1)

    run(steps())


IN_A_BATCH = ("read", "changelog", "store", "publish")
ELSEWHERE = ("slice", "chore", "note", "sent", "ack", "routed")  # passed by other tests, or by no owner


@pytest.mark.parametrize("point", [point for point in CRASH_POINTS if point not in ELSEWHERE])
def test_a_crash_at_any_point_loses_and_repeats_nothing(
    kafka: EmbeddedBroker, prefix: str, names: Names, tmp_path: Path, point: str
) -> None:
    """A second owner dies at the point, the third has an empty disk: sums and highest tags equal the truth."""
    plan = plan_of(kafka.bootstrap_servers, prefix)

    async def one(count: int, make_store: Callable[[], Store]) -> None:
        writer = writer_of(plan, prefix, make_store)
        await writer.open()
        start_offset = writer.start_offset(names.source)
        await writer.process((await source_of(kafka, names))[start_offset : start_offset + count])
        await writer.close(1)

    run(one(10, lambda: RocksStore(tmp_path / "0")))
    # The seventh batch on its way is the second of a batch's three: the first of its outputs.
    crash_at = f"{point}:3" if point in IN_A_BATCH else f"{point}:7" if point == "sending" else point
    process = start("plain", kafka.bootstrap_servers, prefix, tmp_path, len(KEYS), 7, crash_at=crash_at)
    assert process.wait(60) == 137
    run(one(len(KEYS), MemoryStore))
    assert_exact(kafka.bootstrap_servers, prefix)


def test_ids_of_topics_are_those_of_the_broker(kafka: EmbeddedBroker, prefix: str, names: Names) -> None:
    """The plan's ids come from the cluster; the writer stores them with the state."""
    ids = topic_ids(kafka.bootstrap_servers, [names.source])
    plan, store = plan_of(kafka.bootstrap_servers, prefix), MemoryStore()

    async def steps() -> Writer:
        writer = writer_of(plan, prefix, lambda: store)
        await writer.open()
        await writer.close(1)
        return writer

    asyncio.run(steps())
    assert decode_commit(store.rows[COMMIT_KEY]).input_by_topic[names.source].topic_id == ids[names.source]
