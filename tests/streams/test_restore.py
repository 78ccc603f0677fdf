"""A store brought up to a claim: what is read, what is thrown away, and what it says of itself afterwards."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import NodeNotReadyError

from state.store import RocksStore
from streams.admin import topic_ids
from streams.batch import one_batch
from streams.broker import EmbeddedBroker
from streams.errors import MismatchError
from streams.fence import Appended, FencedProducer
from streams.protocol_rows import CLAIM_KEY, COMMIT_KEY, READY_KEY
from streams.restore import Changelog, CountRows, apply_batches, delete_retention_ms, restore, uncounted
from streams.store import Position, Row, Store
from tests.state.memory_store import MemoryStore
from tests.streams.toy import Stored, make_topics, plan_of, produce, read_all, writer_of

pytestmark = pytest.mark.broker

COMMITS: list[list[Row]] = [
    [(CLAIM_KEY, b"0")],
    [(READY_KEY, b"0")],
    [(COMMIT_KEY, b"first"), (b"a", b"1"), (b"b", b"1"), (b"c", b"1")],
    [(COMMIT_KEY, b"second"), (b"a", b"2"), (b"b", None)],
    [(CLAIM_KEY, b"9")],
]
CLAIM = 9
ROWS = {COMMIT_KEY: b"second", b"a": b"2", b"c": b"1"}


@pytest.fixture
def changelog(kafka: EmbeddedBroker, prefix: str) -> Changelog:
    """A changelog with two commits, a deletion, a claim, and a record behind the claim."""
    topic = make_topics(kafka.bootstrap_servers, prefix).changelog
    asyncio.run(append(kafka, topic, [*COMMITS, [(b"behind", b"x")]]))
    return Changelog(topic, 0, topic_ids(kafka.bootstrap_servers, [topic])[topic], 0)


async def append(kafka: EmbeddedBroker, topic: str, batches: Sequence[list[Row]]) -> Appended:
    producer = await FencedProducer.start(kafka.bootstrap_servers, f"{topic}-0")
    for batch in batches:
        appended = await producer.append(topic, 0, one_batch(batch))
    await producer.close()
    return appended


def restored(
    kafka: EmbeddedBroker,
    changelog: Changelog,
    store: Store,
    written_at: int | None = None,
    count_rows: CountRows = uncounted,
) -> Position:
    """The store's position after a restore; `written_at` is the claim's time, by default that of its record."""

    async def steps() -> Position:
        at = written_at if written_at is not None else await time_of_claim(kafka, changelog)
        return await restore(store, kafka.bootstrap_servers, changelog, Appended(CLAIM, at), count_rows)

    return asyncio.run(asyncio.wait_for(steps(), 30))


async def time_of_claim(kafka: EmbeddedBroker, changelog: Changelog) -> int:
    (claim,) = [r for r in await read_all(kafka.bootstrap_servers, changelog.topic) if r.offset == CLAIM]
    return claim.timestamp


def earlier(changelog: Changelog, position: Position, **changes: object) -> MemoryStore:
    """A disk with a mark on it, which shows afterwards whether it was thrown away."""
    store = MemoryStore()
    store.write([(b"mark", b"x")], msgspec.structs.replace(position, **changes), None)
    return store


def test_an_empty_store_gets_everything_up_to_the_claim(kafka: EmbeddedBroker, changelog: Changelog) -> None:
    """The last of each key, deletions applied, nothing from behind the claim, no claims and readies."""
    store = MemoryStore()
    position = restored(kafka, changelog, store)
    assert store.rows == ROWS
    assert (position.next_offset, position.commit_offset) == (CLAIM + 1, 6)
    assert (position.topic_id, position.generation) == (changelog.topic_id, 0)
    assert position == store.position()


def test_a_restored_store_gets_only_what_is_new(kafka: EmbeddedBroker, changelog: Changelog) -> None:
    """A disk that stands inside the log is kept and read on from there."""
    done = restored(kafka, changelog, MemoryStore())
    store = earlier(changelog, done, next_offset=6, commit_offset=2)
    position = restored(kafka, changelog, store)
    assert store.rows == {b"mark": b"x", COMMIT_KEY: b"second", b"a": b"2"}
    assert position.commit_offset == 6


def test_a_store_behind_the_last_commit_keeps_its_tag(kafka: EmbeddedBroker, changelog: Changelog) -> None:
    """When only the claim is new, the tag is still that of the commit that the store already has."""
    done = restored(kafka, changelog, MemoryStore())
    store = earlier(changelog, done, next_offset=CLAIM, commit_offset=6)
    assert restored(kafka, changelog, store) == done
    assert store.rows == {b"mark": b"x"}


@pytest.mark.parametrize(
    "changes",
    [
        {"next_offset": CLAIM + 1},
        {"topic_id": "another"},
        {"generation": 1},
    ],
    ids=["ahead of the log", "another topic", "another generation"],
)
def test_a_foreign_disk_is_thrown_away(kafka: EmbeddedBroker, changelog: Changelog, changes: dict[str, object]) -> None:
    """discard_stale_disk: what is no earlier state of this log is wiped and read anew."""
    done = restored(kafka, changelog, MemoryStore())
    store = earlier(changelog, done, **changes)
    restored(kafka, changelog, store)
    assert store.rows == ROWS


def test_a_disk_older_than_deletions_are_kept_is_thrown_away(kafka: EmbeddedBroker, changelog: Changelog) -> None:
    """discard_stale_disk: the topic says seven days; a disk whose newest row is older may hold what was deleted."""
    done = restored(kafka, changelog, MemoryStore())
    week_ms = 7 * 86_400_000
    kept = earlier(changelog, done, next_offset=6)
    restored(kafka, changelog, kept, done.written_at + week_ms)
    assert b"mark" in kept.rows
    old = earlier(changelog, done, next_offset=6)
    restored(kafka, changelog, old, done.written_at + week_ms + 1)
    assert old.rows == ROWS


def test_a_restore_that_takes_too_long_is_refused(
    kafka: EmbeddedBroker, changelog: Changelog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deletions may vanish while it reads, so beyond their time the result can not be trusted."""

    async def at_once(_: str, __: str) -> int:
        return 0

    monkeypatch.setattr("streams.restore.delete_retention_ms", at_once)
    with pytest.raises(MismatchError, match=r"delete\.retention\.ms"):
        restored(kafka, changelog, MemoryStore())


def test_a_cluster_that_names_no_broker_for_now_is_asked_again(
    kafka: EmbeddedBroker, changelog: Changelog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that was paused is fenced by the controller for a moment; a take-over then must not end the worker."""
    describe, refusals = AIOKafkaAdminClient.describe_configs, [NodeNotReadyError("node id None")] * 2

    async def fenced_at_first(admin: AIOKafkaAdminClient, resources: object) -> object:
        if refusals:
            raise refusals.pop()
        return await describe(admin, resources)

    monkeypatch.setattr(AIOKafkaAdminClient, "describe_configs", fenced_at_first)
    assert asyncio.run(delete_retention_ms(kafka.bootstrap_servers, changelog.topic)) == 7 * 86_400_000
    assert not refusals
    monkeypatch.setattr("streams.restore.FENCE_S_MAX", 0.0)
    refusals.append(NodeNotReadyError("node id None"))
    with pytest.raises(NodeNotReadyError):
        asyncio.run(delete_retention_ms(kafka.bootstrap_servers, changelog.topic))


def noted_positions(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Where the store stood after each write, as it goes."""
    positions: list[int] = []
    write = store.write

    def noted(rows: Iterable[Row], position: Position, expected: Position | None) -> None:
        write(rows, position, expected)
        positions.append(position.next_offset)

    monkeypatch.setattr(store, "write", noted)
    return positions


def test_a_restore_in_many_pieces_is_the_same(
    kafka: EmbeddedBroker, changelog: Changelog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each piece moves rows and position together, so one that stops anywhere is gone on with."""
    monkeypatch.setattr("streams.restore.MESSAGE_BYTES_MAX", 100)  # a batch at a time
    store = MemoryStore()
    positions = noted_positions(store, monkeypatch)
    restored(kafka, changelog, store)
    assert store.rows == ROWS
    assert positions == sorted(positions)
    assert len(positions) > 1


def test_an_interrupted_restore_goes_on(
    kafka: EmbeddedBroker, changelog: Changelog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelled behind any piece, the next restore reads the others and no record twice."""
    monkeypatch.setattr("streams.restore.MESSAGE_BYTES_MAX", 100)  # a batch at a time
    store, counts = MemoryStore(), []  # type: ignore[var-annotated]

    async def until_counted(piece_count: int) -> None:
        at = await time_of_claim(kafka, changelog)
        claim = Appended(CLAIM, at)
        task = asyncio.create_task(restore(store, kafka.bootstrap_servers, changelog, claim, counts.append))
        while len(counts) < piece_count and not task.done():
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    for piece_count in (1, 2, 3):
        asyncio.run(asyncio.wait_for(until_counted(piece_count), 30))
        assert len(counts) == piece_count
    restored(kafka, changelog, store, count_rows=counts.append)
    assert store.rows == ROWS
    assert sum(counts) == CLAIM + 1


def test_an_intact_folder_reads_only_the_tail(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> None:
    """A writer that comes back to its folder reads its own claim; behind another's commits, those as well."""
    topics = make_topics(kafka.bootstrap_servers, prefix)
    produce(kafka.bootstrap_servers, topics.source, [b"%d" % number for number in range(3000)])
    plan = plan_of(kafka.bootstrap_servers, prefix)

    async def own(folder: str, upto: int) -> int:
        """Opens on the folder, applies, closes; returns how many changelog records were read."""
        counts: list[int] = []
        records = await read_all(kafka.bootstrap_servers, topics.source)
        store: Callable[[], Store] = lambda: RocksStore(tmp_path / folder)  # noqa: E731
        writer = writer_of(plan, prefix, store, count_rows=counts.append)
        await writer.open()
        rest = records[writer.start_offset(topics.source) : upto]
        if rest:
            await writer.process(rest)
        await writer.close(1)
        return sum(counts)

    def read_count(folder: str, upto: int) -> int:
        return asyncio.run(asyncio.wait_for(own(folder, upto), 60))

    assert read_count("a", 2000) == 1
    assert read_count("a", 2000) == 1
    # Claim, ready and idle commit of two openings, a commit of 2000 rows, and the own claim.
    assert read_count("b", 3000) == 2 * 3 + 2001 + 1
    # Those of the third opening, its commit of 1000 rows, and the own claim.
    assert read_count("a", 3000) == 3 + 1001 + 1


def test_a_long_restore_is_logged(
    kafka: EmbeddedBroker, changelog: Changelog, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Which partition, how much, how fast, how long it takes; and that it is done."""
    monkeypatch.setattr("streams.restore.MESSAGE_BYTES_MAX", 100)
    monkeypatch.setattr("streams.progress.REPORT_S", 0.0)
    with caplog.at_level(logging.INFO, "streams.restore"):
        restored(kafka, changelog, MemoryStore())
    assert f"restoring {changelog}: 1 rows, 10% of the way" in caplog.messages[0]
    assert f"restored {changelog}: 10 rows" in caplog.messages[-1]


class Piece:
    """A record batch as it lies behind a compaction: bounds, and what is left between them."""

    def __init__(self, base_offset: int, next_offset: int, records: Sequence[tuple[int, bytes, bytes | None]]) -> None:
        self.base_offset, self.next_offset = base_offset, next_offset
        self._records = [Stored(0, offset, offset * 10, key, value, "t") for offset, key, value in records]

    def __iter__(self) -> Iterator[Stored]:
        return iter(self._records)


FOREVER = Changelog("t", 0, "id", 0)


def test_what_compaction_left_moves_the_position_all_the_same() -> None:
    """Gaps and empty batches are passed; time and tag are those of the last records that are there."""
    store = MemoryStore()
    batches = [Piece(0, 10, [(3, COMMIT_KEY, b"c"), (7, b"a", b"1")]), Piece(10, 20, []), Piece(20, 30, [])]
    assert apply_batches(store, batches, FOREVER, 100) == 2
    assert store.position() == Position(30, 3, 70, "id", 0)
    assert apply_batches(store, [Piece(30, 40, [])], FOREVER, 100) == 0
    assert store.position() == Position(40, 3, 70, "id", 0)
    assert store.rows == {COMMIT_KEY: b"c", b"a": b"1"}


def test_of_a_batch_only_what_lies_between_position_and_end_is_taken() -> None:
    """A batch may begin before the position and go on behind the end."""
    store = MemoryStore()
    records = [(number, b"%d" % number, b"x") for number in range(10)]
    assert apply_batches(store, [Piece(0, 5, records[:5])], FOREVER, 3) == 3
    assert store.position() == Position(3, -1, 20, "id", 0)
    store.wipe()
    store.write([], Position(4, 2, 9, "id", 0), None)
    assert apply_batches(store, [Piece(0, 10, records)], FOREVER, 8) == 4
    assert list(store.rows) == [b"4", b"5", b"6", b"7"]
    assert store.position() == Position(8, 2, 70, "id", 0)


def test_of_a_key_the_last_row_of_a_piece_counts() -> None:
    """Rows that were superseded or deleted within a piece are not written at all."""
    store = MemoryStore()
    batches = [Piece(0, 3, [(0, b"a", b"1"), (1, b"b", b"1"), (2, b"c", None)])]
    batches.append(Piece(3, 6, [(3, b"a", None), (4, b"b", b"2"), (5, b"c", b"3")]))
    assert apply_batches(store, batches, FOREVER, 6) == 6
    assert store.rows == {b"b": b"2", b"c": b"3"}
