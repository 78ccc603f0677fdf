"""A record on which the computation fails: named, tried again, then its partition stands still until it is mended or
set aside."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams import standstill
from streams.admin import topic_ids
from streams.batch import BatchTooLargeError, one_batch
from streams.broker import EmbeddedBroker
from streams.fence import FencedProducer
from streams.poison import PoisonError, SetAside, blamed, encode_set_aside, record_id
from streams.stage import Work
from streams.topics import topic_name
from streams.writer import Writer
from tests.state.memory_store import MemoryStore
from tests.streams.toy import (
    POISON,
    Names,
    Stored,
    ToyStage,
    logged,
    make_topics,
    plan_of,
    produce,
    read,
    read_all,
    writer_of,
)

GOOD = [b"%d" % (number % 7) for number in range(20)]
AT = len(GOOD)


@pytest.fixture
def names(kafka: EmbeddedBroker, prefix: str) -> Names:
    """Topics with one partition: 20 records, one that fails, 20 more."""
    made = make_topics(kafka.bootstrap_servers, prefix)
    produce(kafka.bootstrap_servers, made.source, [*GOOD, POISON, *GOOD])
    return made


def run(steps: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(steps, 60))


class World:
    """A partition that is opened again and again on one disk."""

    def __init__(self, kafka: EmbeddedBroker, prefix: str, names: Names) -> None:
        self.bootstrap, self.prefix, self.names = kafka.bootstrap_servers, prefix, names
        self.store = MemoryStore()
        self.set_aside = topic_name("set-aside", prefix, 0)

    async def opened(self) -> Writer:
        plan = plan_of(self.bootstrap, self.prefix, poison_restarts_max=2, set_aside=self.set_aside)
        writer = writer_of(plan, self.prefix, lambda: self.store)
        await writer.open()
        return writer

    def id_of_the_record(self) -> bytes:
        return record_id(topic_ids(self.bootstrap, [self.names.source])[self.names.source], 0, AT)

    async def records(self) -> list[Stored]:
        return await read_all(self.bootstrap, self.names.source)

    async def fail(self) -> str:
        """A worker's life: it reads what comes next and ends. Returns what it says."""
        writer = await self.opened()
        start = writer.start_offset(self.names.source)
        assert start is not None
        with pytest.raises(PoisonError) as raised:
            await writer.process((await self.records())[start:])
        await writer.close(1)
        return str(raised.value)

    async def stand(self) -> Writer:
        """Until the partition stands still."""
        for _ in range(3):
            await self.fail()
        return await self.opened()


@pytest.mark.broker
def test_the_record_is_named_and_what_lies_before_it_is_applied(
    kafka: EmbeddedBroker, prefix: str, names: Names
) -> None:
    """The first failure commits everything before the record, and says where it stands and why."""
    world = World(kafka, prefix, names)

    async def steps() -> None:
        said = await world.fail()
        assert f"{names.source}/0 offset {AT}" in said
        assert "it can not be counted" in said
        assert "1 times" in said

    run(steps())
    assert sum(logged(read(kafka.bootstrap_servers, names.changelog)).values()) == len(GOOD)


@pytest.mark.broker
def test_after_some_starts_the_partition_stands_still(kafka: EmbeddedBroker, prefix: str, names: Names) -> None:
    """It is held and not read, tries the record once more, and says what to do; on another disk as well."""
    world = World(kafka, prefix, names)

    async def steps() -> None:
        writer = await world.stand()
        assert writer.start_offset(names.source) is None
        await writer.tend()
        assert writer.start_offset(names.source) is None
        assert f"set-aside --topic {names.source} --partition 0 --offset {AT}" in str(writer.standstill)
        await writer.close(1)
        world.store = MemoryStore()
        other = await world.opened()
        assert other.start_offset(names.source) is None
        await other.close(1)

    run(steps())


async def say(bootstrap: str, topic: str, id_: bytes) -> None:
    producer = await FencedProducer.start(bootstrap, f"{topic}-by-hand")
    await producer.append(topic, 0, one_batch([(id_, encode_set_aside(SetAside(0, "a test")))]))
    await producer.close()


@pytest.mark.broker
def test_a_record_set_aside_is_passed_over(kafka: EmbeddedBroker, prefix: str, names: Names) -> None:
    """The owner that stands at it goes on behind it, and nothing of it is counted; another one does not stop there."""
    world = World(kafka, prefix, names)

    async def steps() -> None:
        writer = await world.stand()
        await say(kafka.bootstrap_servers, world.set_aside, world.id_of_the_record())
        await writer.tend()
        assert (writer.standstill, writer.start_offset(names.source)) == (None, AT + 1)
        await writer.process((await world.records())[AT + 1 :])
        await writer.close(1)

    run(steps())
    counts = logged(read(kafka.bootstrap_servers, names.changelog))
    assert (sum(counts.values()), POISON in counts) == (2 * len(GOOD), False)


@pytest.mark.broker
def test_a_record_that_computes_after_all_is_applied(
    kafka: EmbeddedBroker, prefix: str, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new version of the code mends it: the standing partition tries the record at its start, and goes on."""
    world = World(kafka, prefix, names)

    async def steps() -> None:
        await (await world.stand()).close(1)
        monkeypatch.setattr("tests.streams.toy.POISON", b"another")
        writer = await world.opened()
        assert writer.start_offset(names.source) is None
        await writer.tend()
        assert (writer.standstill, writer.start_offset(names.source)) == (None, AT + 1)
        await writer.process((await world.records())[AT + 1 :])
        await writer.close(1)

    run(steps())
    counts = logged(read(kafka.bootstrap_servers, names.changelog))
    assert (sum(counts.values()), counts[POISON]) == (2 * len(GOOD) + 1, 1)


@pytest.mark.broker
def test_a_record_is_tried_again_behind_every_commit(
    kafka: EmbeddedBroker, prefix: str, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same owner goes on when a chore made it computable, as other definitions do; without one it is not tried."""
    world = World(kafka, prefix, names)
    tried: list[bytes] = []
    compute, is_mended = ToyStage.compute, False

    def computed(stage: ToyStage, records: Sequence[Any], clock_ms: int) -> Work:
        tried.extend(record.key for record in records if record.key == POISON)
        return compute(stage, records, clock_ms)

    def chore(stage: ToyStage, _: int, __: int) -> Work | None:
        nonlocal is_mended
        if not is_mended:
            return None
        is_mended = False
        monkeypatch.setattr("tests.streams.toy.POISON", b"another")
        return stage.idle(0)

    async def steps() -> None:
        nonlocal is_mended
        writer = await world.stand()
        monkeypatch.setattr(standstill, "LOOK_S", -1.0)
        monkeypatch.setattr(ToyStage, "compute", computed)
        monkeypatch.setattr(ToyStage, "chore", chore)
        for _ in range(3):
            await writer.tend()
            assert (writer.start_offset(names.source), len(tried)) == (None, 1)
        is_mended = True
        await writer.tend()
        assert (writer.standstill, writer.start_offset(names.source)) == (None, AT + 1)
        await writer.close(1)

    run(steps())
    assert len(tried) == 2


@pytest.mark.broker
def test_a_record_that_is_half_applied_is_not_passed_over(
    kafka: EmbeddedBroker, prefix: str, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its slices are in the state and its last one is not, so what comes behind it could not be computed."""
    world = World(kafka, prefix, names)

    async def steps() -> None:
        writer = await world.stand()
        await say(kafka.bootstrap_servers, world.set_aside, world.id_of_the_record())
        monkeypatch.setattr(ToyStage, "is_halfway", lambda _: True)
        await writer.tend()
        assert writer.start_offset(names.source) is None
        await writer.close(1)

    run(steps())


@pytest.mark.broker
def test_a_failure_that_passes_by_is_forgotten(
    kafka: EmbeddedBroker, prefix: str, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that computes at the next start leaves nothing behind, so a later one is counted from the beginning."""
    world = World(kafka, prefix, names)

    async def steps() -> None:
        await world.fail()
        await world.fail()
        monkeypatch.setattr("tests.streams.toy.POISON", b"another")
        writer = await world.opened()
        await writer.process((await world.records())[AT:])
        assert writer.standstill is None
        assert writer._commits.row.poison is None
        await writer.close(1)

    run(steps())


@given(st.integers(1, 50), st.data())
def test_the_first_record_that_fails_is_blamed(count: int, data: st.DataObject) -> None:
    """Whichever it is, however many follow, and although long beginnings are too large to be computed at once."""
    first, too_large = data.draw(st.integers(0, count - 1)), data.draw(st.integers(1, 60))
    records: Any = list(range(count))

    def compute(some: Sequence[Any]) -> None:
        if first in some:
            raise ValueError(first)
        if len(some) > too_large:
            raise BatchTooLargeError("too many")

    assert blamed(records, ValueError(first), compute) == first


def test_the_toy_fails_as_the_tests_want_it() -> None:
    """Guards the tests above: a toy that counts everything would pass none of them for the right reason."""
    stage = ToyStage(Names("a", "b", "c", "d"), MemoryStore())
    with pytest.raises(ValueError, match="it can not be counted"):
        stage.compute([Stored(0, 0, 0, POISON, b"x", "a")], 0)
