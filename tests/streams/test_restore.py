"""A store brought up to a claim: what is read, what is thrown away, and what it says of itself afterwards."""

import asyncio
from collections.abc import Sequence

import msgspec
import pytest

from streams.admin import topic_ids
from streams.batch import one_batch
from streams.broker import EmbeddedBroker
from streams.errors import MismatchError
from streams.fence import Appended, FencedProducer
from streams.protocol_rows import CLAIM_KEY, COMMIT_KEY, READY_KEY
from streams.restore import Changelog, restore
from streams.store import Position, Row
from tests.state.memory_store import MemoryStore
from tests.streams.toy import make_topics

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
    kafka: EmbeddedBroker, changelog: Changelog, store: MemoryStore, written_at: int | None = None
) -> Position:
    """The store's position after a restore; `written_at` is the claim's time, by default that of its record."""

    async def steps() -> Position:
        at = written_at if written_at is not None else await time_of_claim(kafka, changelog)
        return await restore(store, kafka.bootstrap_servers, changelog, Appended(CLAIM, at))

    return asyncio.run(asyncio.wait_for(steps(), 30))


async def time_of_claim(kafka: EmbeddedBroker, changelog: Changelog) -> int:
    from tests.streams.toy import read_all

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


def test_a_restore_in_many_pieces_is_the_same(
    kafka: EmbeddedBroker, changelog: Changelog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each piece moves rows and position together, so one that stops anywhere is gone on with."""
    monkeypatch.setattr("streams.restore.MESSAGE_BYTES_MAX", 100)  # a batch at a time
    store = MemoryStore()
    positions: list[int] = []
    write = store.write

    def noted(rows: Sequence[Row], position: Position, expected: Position | None) -> None:
        write(rows, position, expected)
        positions.append(position.next_offset)

    monkeypatch.setattr(store, "write", noted)
    restored(kafka, changelog, store)
    assert store.rows == ROWS
    assert positions == sorted(positions)
    assert len(positions) > 1
