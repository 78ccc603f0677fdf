"""A partition that another worker owns, followed on the real broker."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka.errors import CorruptRecordException

from state.store import RocksStore
from streams.batch import one_batch
from streams.broker import EmbeddedBroker
from streams.bulk_reader import Bounds, BulkReader
from streams.errors import MismatchError
from streams.fence import FencedProducer
from streams.ownership import Partition
from streams.protocol_rows import CLAIM_KEY, COMMIT_KEY, READY_KEY
from streams.restore import Changelog, reader_of
from streams.standby import Standby, Standbys
from streams.store import Position, Row, Store
from tests.state.memory_store import MemoryStore
from tests.streams.toy import make_topics, plan_of

pytestmark = pytest.mark.broker

FIRST: list[list[Row]] = [
    [(CLAIM_KEY, b"0")],
    [(READY_KEY, b"0")],
    [(COMMIT_KEY, b"first"), (b"a", b"1"), (b"b", b"1")],
]
SECOND: list[list[Row]] = [[(COMMIT_KEY, b"second"), (b"a", b"2"), (b"b", None)]]
AFTER_FIRST = {COMMIT_KEY: b"first", b"a": b"1", b"b": b"1"}
AFTER_SECOND = {COMMIT_KEY: b"second", b"a": b"2"}
DAY_S = 86_400


@pytest.fixture
def changelog(kafka: EmbeddedBroker, prefix: str) -> Changelog:
    """A changelog with one commit."""
    make_topics(kafka.bootstrap_servers, prefix)
    found = plan_of(kafka.bootstrap_servers, prefix).changelog_of(0)
    asyncio.run(append(kafka.bootstrap_servers, found, FIRST))
    return found


async def append(bootstrap: str, changelog: Changelog, batches: list[list[Row]]) -> None:
    producer = await FencedProducer.start(bootstrap, f"{changelog}")
    for batch in batches:
        await producer.append(changelog.topic, changelog.partition, one_batch(batch))
    await producer.close()


def run(steps: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(steps, 100))


async def until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.02)


async def end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def marked(changelog: Changelog, **changes: object) -> MemoryStore:
    """A disk that stands behind the first commit, with a mark that shows whether it was thrown away."""
    store = MemoryStore()
    position = Position(5, 2, int(time.time() * 1000), changelog.topic_id, changelog.generation)
    store.write([(b"mark", b"x")], msgspec.structs.replace(position, **changes), None)
    return store


def test_the_store_follows_the_log(kafka: EmbeddedBroker, changelog: Changelog) -> None:
    """What is there, and soon what comes; each record is read once."""
    store, counts = MemoryStore(), []  # type: ignore[var-annotated]

    async def steps() -> None:
        standby = Standby(kafka.bootstrap_servers, changelog, lambda: store, counts.append)
        task = asyncio.create_task(standby.run())
        await until(lambda: store.rows == AFTER_FIRST)
        await append(kafka.bootstrap_servers, changelog, SECOND)
        await until(lambda: store.rows == AFTER_SECOND, 5)
        await end(task)

    run(steps())
    position = store.position()
    assert position is not None
    assert (position.next_offset, position.commit_offset, sum(counts)) == (8, 5, 8)


def test_it_lets_go_of_the_folder_and_goes_on_from_there(
    kafka: EmbeddedBroker, changelog: Changelog, tmp_path: Path
) -> None:
    """Behind the close another may open the folder; a later standby reads only what is new."""
    counts: list[int] = []

    def make(_: Partition) -> Standby:
        return Standby(kafka.bootstrap_servers, changelog, lambda: RocksStore(tmp_path / "rows"), counts.append)

    async def steps() -> None:
        standbys = Standbys([("x", 0), ("x", 1)], make)
        for read_count in (5, 8):
            standbys.start([("x", 1)])
            await until(lambda n=read_count: sum(counts) == n)  # type: ignore[misc]
            standbys.check()
            await standbys.close()
            store = RocksStore(tmp_path / "rows")
            assert store.get([b"a", b"b"]) == ([b"1", b"1"] if read_count == 5 else [b"2", None])
            store.close()
            await append(kafka.bootstrap_servers, changelog, SECOND)

    run(steps())


@pytest.mark.parametrize(
    "changes",
    [{"topic_id": "another"}, {"generation": 1}, {"next_offset": 6}, {"written_at": 0}],
    ids=["another topic", "another generation", "ahead of the log", "too old"],
)
def test_a_disk_that_is_no_earlier_state_is_thrown_away(
    kafka: EmbeddedBroker, changelog: Changelog, changes: dict[str, object]
) -> None:
    """discard_stale_disk holds for whoever follows as well."""
    store = marked(changelog, **changes)

    async def steps() -> None:
        task = asyncio.create_task(Standby(kafka.bootstrap_servers, changelog, lambda: store).run())
        await until(lambda: store.rows == AFTER_FIRST)
        await end(task)

    run(steps())


@pytest.mark.parametrize(("age_days", "is_kept"), [(3.4, True), (3.6, False)])
def test_half_of_the_time_is_left_to_clocks_that_differ(
    kafka: EmbeddedBroker, changelog: Changelog, age_days: float, is_kept: bool
) -> None:
    """Deletions are kept for seven days; an owner, who has the broker's time, takes all of it."""
    store = marked(changelog)
    counts: list[int] = []

    async def steps() -> None:
        await append(kafka.bootstrap_servers, changelog, SECOND)
        standby = Standby(
            kafka.bootstrap_servers, changelog, lambda: store, counts.append, lambda: time.time() + age_days * DAY_S
        )
        task = asyncio.create_task(standby.run())
        await until(lambda: store.rows.get(COMMIT_KEY) == b"second")
        await end(task)

    run(steps())
    assert (b"mark" in store.rows) == is_kept
    assert sum(counts) == (3 if is_kept else 8)


@pytest.mark.parametrize(("age_days", "is_kept"), [(3.4, True), (3.6, False)])
def test_a_clock_that_is_behind_keeps_nothing_too_old(
    kafka: EmbeddedBroker, changelog: Changelog, age_days: float, is_kept: bool
) -> None:
    """The newest record is from later than such a clock says, and believed."""
    store = marked(changelog, written_at=int((time.time() - age_days * DAY_S) * 1000))

    async def steps() -> None:
        await append(kafka.bootstrap_servers, changelog, SECOND)
        behind: Callable[[], float] = lambda: time.time() - 10 * DAY_S  # noqa: E731  (shorter than a function)
        task = asyncio.create_task(Standby(kafka.bootstrap_servers, changelog, lambda: store, now_s=behind).run())
        await until(lambda: store.rows.get(COMMIT_KEY) == b"second")
        await end(task)

    run(steps())
    assert (b"mark" in store.rows) == is_kept


def test_the_newest_record_of_a_log_is_the_last(kafka: EmbeddedBroker, changelog: Changelog, prefix: str) -> None:
    """Its time is the broker's; an empty log has none."""

    async def steps() -> None:
        began_ms = int(time.time() * 1000)
        await append(kafka.bootstrap_servers, changelog, SECOND)
        async with BulkReader(reader_of(kafka.bootstrap_servers), changelog.topic, changelog.partition) as reader:
            assert began_ms <= await reader.newest_ms(await reader.bounds()) <= time.time() * 1000
            assert await reader.newest_ms(Bounds(5, 5)) == 0

    run(steps())


def test_a_reading_that_takes_too_long_is_refused(
    kafka: EmbeddedBroker, changelog: Changelog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deletions may vanish while it reads; the check tells what ended it."""

    async def at_once(_: str, __: str) -> int:
        return 0

    monkeypatch.setattr("streams.standby.delete_retention_ms", at_once)

    async def steps() -> None:
        standbys = Standbys([("x", 0)], lambda _: Standby(kafka.bootstrap_servers, changelog, MemoryStore))
        standbys.start([])
        with pytest.raises(MismatchError, match=r"delete\.retention\.ms"):
            await until(lambda: standbys.check() is not None)  # type: ignore[func-returns-value]
        await standbys.close()
        with pytest.raises(MismatchError):
            standbys.check()

    run(steps())


def test_what_waiting_does_not_mend_is_told(
    kafka: EmbeddedBroker, changelog: Changelog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged log ends the standby with Kafka's own error, and the store is closed."""

    async def damaged(*_: object) -> None:
        raise CorruptRecordException("no")

    monkeypatch.setattr("streams.standby.catch_up", damaged)
    closed: list[bool] = []
    store = MemoryStore()
    monkeypatch.setattr(store, "close", lambda: closed.append(True))

    async def steps() -> None:
        with pytest.raises(CorruptRecordException):
            await Standby(kafka.bootstrap_servers, changelog, lambda: store).run()

    run(steps())
    assert closed == [True]


def test_a_standby_that_keeps_its_cancellation_is_cancelled_once_more() -> None:
    """As a client of aiokafka does when it is cancelled while it closes; else the next assignment would never come."""

    class Deaf(Standby):
        async def run(self) -> None:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)
            await asyncio.sleep(60)

    async def steps() -> None:
        standbys = Standbys([("x", 0)], lambda _: Deaf("", Changelog("", 0, "", 0), MemoryStore))
        standbys.start([])
        await asyncio.sleep(0.01)
        async with asyncio.timeout(10):
            await standbys.close()
        standbys.check()

    run(steps())


def test_the_standbys_of_one_assignment_end_before_the_next() -> None:
    """Two on one folder can not be."""

    class Idle(Standby):
        async def run(self) -> None:
            await asyncio.sleep(60)

    def make(_: Partition) -> Standby:
        return Idle("", Changelog("", 0, "", 0), MemoryStore)

    async def steps() -> None:
        standbys = Standbys([("x", 0)], make)
        standbys.start([])
        with pytest.raises(RuntimeError, match="were not closed"):
            standbys.start([])
        await standbys.close()
        standbys.start([("x", 0)])
        standbys.start([])
        await standbys.close()

    run(steps())


def test_a_broker_that_is_away_is_waited_for(jars: Path, tmp_path: Path, prefix: str) -> None:
    """It goes on with what comes after the broker's return, and reads nothing twice."""
    folder, counts = tmp_path / "broker", []  # type: ignore[var-annotated]
    store: Store = MemoryStore()

    async def steps() -> None:
        with EmbeddedBroker.start(folder, jars) as broker:
            bootstrap = broker.bootstrap_servers
            await asyncio.to_thread(make_topics, bootstrap, prefix)
            changelog = (await asyncio.to_thread(plan_of, bootstrap, prefix)).changelog_of(0)
            await append(bootstrap, changelog, FIRST)
            standby = Standby(bootstrap, changelog, lambda: store, counts.append)
            task = asyncio.create_task(standby.run())
            await until(lambda: sum(counts) == 5)
        await asyncio.sleep(4)
        assert not task.done()
        with EmbeddedBroker.start(folder, jars, port=int(bootstrap.rpartition(":")[2])):
            await append(bootstrap, changelog, SECOND)
            await until(lambda: sum(counts) >= 8, 30)
            await end(task)

    run(steps())
    assert sum(counts) == 8
    assert store.get([b"a", b"b"]) == [b"2", None]
