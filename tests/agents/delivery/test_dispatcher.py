"""The dispatcher over rows in memory: what it sends, when, of which destination."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

import msgspec
import pytest

from agents.delivery.dispatcher import Dispatcher
from state.delivery.retries import Answer
from state.delivery.rows import Delivery
from state.delivery.stage import DeliverStage, Inputs
from streams.delivery import Pause, Resume, decode_status
from streams.membership import MembershipChange
from streams.partials import Tag
from streams.stage import Applied, Work
from streams.writer import Writer
from tests.agents.delivery.worlds import AT_MS, alert, change
from tests.state.delivery.worlds import ALL, HOOK, Partition
from tests.state.memory_store import MemoryStore

TOPICS = Inputs("orders", "alerts", "changes", "deliveries")

Answering = Callable[[Sequence[Delivery]], Answer]


class MemoryWriter:
    """What the dispatcher asks of a writer: commits to memory. now_ms: the clock, moved by hand. unsure_ms: by how much
    it may be late."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.now_ms = AT_MS
        self.unsure_ms = 0

    @property
    def now_ms_at_most(self) -> int:
        return self.now_ms + self.unsure_ms

    def check(self) -> None:
        """It may write always."""

    async def note(self, compute: Callable[[int], Work]) -> None:
        self.store.apply(list(compute(self.now_ms).rows))


class Taking:
    """A destination that answers as it is told to, and keeps what it was sent."""

    def __init__(self, answer: Answering, takes_many: bool) -> None:
        self.takes_many = takes_many
        self.sent: list[Delivery] = []
        self.counts: list[int] = []
        """How many at once."""
        self._answer = answer

    async def send(self, deliveries: Sequence[Delivery]) -> Answer:
        self.sent += deliveries
        self.counts.append(len(deliveries))
        return self._answer(deliveries)

    async def close(self) -> None:
        """There is nothing to close."""


class World:
    """A partition with a dispatcher at work. Used inside a running loop."""

    def __init__(self, answer: Answering = lambda _: Answer("done"), **options: Any) -> None:
        store = MemoryStore()
        self.partition = Partition({"hook": options if "kind" in options else {**HOOK, **options}}, [ALL], store)
        self.writer = MemoryWriter(store)
        self.hook = Taking(answer, options.get("kind") in ("folder", "kafka"))
        self._stage = DeliverStage(TOPICS, store, 0)
        self._dispatcher = Dispatcher(cast(Writer, self.writer), self._stage, 0, 1, lambda *_: self.hook)

    def move(self, ms: int) -> None:
        """Lets time go by."""
        self.writer.now_ms += ms
        self.partition.now_ms += ms

    def state(self, id_: str) -> str:
        """Of a delivery, as it would be published."""
        (publication,) = self._stage.again(msgspec.msgpack.encode([id_]))(Applied(Tag(0, 1), {}, AT_MS))
        return decode_status(publication.records[0][1] or b"").state

    async def look(self) -> None:
        """Lets it do what it can at this instant."""
        self._dispatcher.wake()
        for _ in range(20):
            await asyncio.sleep(0.001)

    async def run(self, steps: Callable[[], Any]) -> None:
        running = asyncio.create_task(self._dispatcher.run())
        try:
            await steps()
        finally:
            running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def test_what_was_superseded_takes_nothing_of_the_rate() -> None:
    """Else a destination that is behind would be sent nothing for as long as all that it is spared would take."""

    async def scenario() -> None:
        world = World(rate_per_s=1, coalesce_above=0)

        async def steps() -> None:
            world.partition.order(Pause("hook"))
            for revision in range(1, 10):
                world.partition.take(change("A", revision))
                await world.look()
            world.partition.order(Resume("hook"))
            await world.look()

        await world.run(steps)
        assert [each.revision for each in world.hook.sent] == [9]

    asyncio.run(scenario())


def test_a_pause_is_no_failure() -> None:
    """What waited through it for longer than a delivery may fail is tried like any other; then it may be given up."""

    async def scenario() -> None:
        world = World(lambda _: Answer("later", "HTTP 503"), give_up_after_s=60)

        async def steps() -> None:
            world.partition.order(Pause("hook"))
            world.partition.take(change("A"))
            world.move(100_000)
            world.partition.order(Resume("hook"))
            await world.look()
            assert [each.attempts for each in world.partition.waiting()] == [1]
            world.move(60_000)
            await world.look()
            assert world.partition.waiting() == []

        await world.run(steps)

    asyncio.run(scenario())


def test_a_wait_is_not_cut_short_by_a_slow_broker() -> None:
    """The clock was late by a second when the answer came, and is no more with the next commit."""

    async def scenario() -> None:
        world = World(lambda _: Answer("later", "HTTP 429", 2_000))

        async def steps() -> None:
            world.writer.unsure_ms = 1_000
            world.partition.take(change("A"))
            await world.look()
            world.writer.unsure_ms = 0
            for ms, tries in ((1_000, 1), (1_999, 1), (1, 2)):
                world.move(ms)
                await world.look()
                assert len(world.hook.sent) == tries

        await world.run(steps)

    asyncio.run(scenario())


def test_a_file_has_all_that_waits() -> None:
    """As many rows as it may have, for the next one may come only in an hour."""

    async def scenario() -> None:
        world = World(kind="folder", folder="files", every_s=3600, rows_max=2_000)

        async def steps() -> None:
            for count in (1, 1_100, 1_000):
                for number in range(count):
                    world.partition.take(change(f"A{count}-{number}"))
                await world.look()
            world.move(3_600_000)
            await world.look()
            assert world.hook.counts == [1, 2_000]

        await world.run(steps)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("later", "states"),
    [
        (None, ["delivered", "dead", "delivered", "delivered"]),
        ("A3", ["delivered", "dead", "waiting", "waiting"]),
    ],
)
def test_one_that_is_refused_takes_no_other_with_it(later: str | None, states: list[str]) -> None:
    """A record that is too large among many; behind one that comes again nothing is sent."""

    def answer(deliveries: Sequence[Delivery]) -> Answer:
        accounts = [each.lane.partition("\0")[0] for each in deliveries]
        return Answer("refused" if "A2" in accounts else "later" if later in accounts else "done")

    async def scenario() -> None:
        world = World(answer, kind="kafka", topic="out")

        async def steps() -> None:
            for number in range(1, 5):
                world.partition.take(change(f"A{number}"))
            ids = [each.id for each in world.partition.waiting()]
            await world.look()
            assert [world.state(each) for each in ids] == states

        await world.run(steps)

    asyncio.run(scenario())


def test_what_comes_behind_a_refused_one_says_more() -> None:
    """Of one member among many at once: what a dead change had to tell is in the next one as it is sent, and others do
    not wait for that."""

    def answer(deliveries: Sequence[Delivery]) -> Answer:
        return Answer("refused" if any(b"first@" in each.content for each in deliveries[:1]) else "done")

    def member(revision: int, email: str, former: list[dict[str, str]]) -> MembershipChange:
        told: Any = {"change": "entered" if revision == 1 else "changed", "former_attributes": former}
        return change("A", revision, attributes={"email": email}, **told)

    async def scenario() -> None:
        world = World(answer, kind="kafka", topic="out")

        async def steps() -> None:
            world.partition.take(member(1, "none@a", []))
            await world.look()
            world.hook.sent.clear()
            world.partition.take(member(2, "first@a", [{"email": "none@a"}]))
            world.partition.take(member(3, "second@a", [{"email": "first@a"}]))
            world.partition.take(change("B"))
            await world.look()
            assert [each.lane[0] for each in world.hook.sent] == ["A", "A", "B", "A", "B", "A"]
            last = msgspec.json.decode(world.hook.sent[-1].content, type=MembershipChange)
            assert last.former_attributes == [{"email": "none@a"}, {"email": "first@a"}]

        await world.run(steps)

    asyncio.run(scenario())


def test_refused_alerts_of_one_container_take_one_round() -> None:
    """Nothing is said in their place, so each is sent alone at once."""

    async def scenario() -> None:
        world = World(lambda _: Answer("refused"), kind="kafka", topic="out")

        async def steps() -> None:
            for number in range(20):
                world.partition.take(alert("A", number))
            await world.look()
            assert world.hook.counts == [20] + 20 * [1]

        await world.run(steps)

    asyncio.run(scenario())


def test_what_was_put_back_waits_with_what_is_to_come_again() -> None:
    """Else that would be tried again without its wait."""

    def answer(deliveries: Sequence[Delivery]) -> Answer:
        accounts = [each.lane[0] for each in deliveries]
        return Answer("refused" if "A" in accounts else "later")

    async def scenario() -> None:
        world = World(answer, kind="kafka", topic="out")

        async def steps() -> None:
            world.partition.take(change("A", 1))
            world.partition.take(change("A", 3))
            world.partition.take(change("B"))
            await world.look()
            await world.look()
            assert [each.lane[0] for each in world.hook.sent] == ["A", "A", "B", "A", "B"]

        await world.run(steps)

    asyncio.run(scenario())


@pytest.mark.parametrize(("failing", "each_has"), [(["A"], 12), (["A", "B", "C", "D", "E", "F"], 2)])
def test_containers_that_fail_leave_others_their_place(
    monkeypatch: pytest.MonkeyPatch, failing: list[str], each_has: int
) -> None:
    """However much waits behind what is tried again; and no more is in memory than may be."""
    monkeypatch.setattr("agents.delivery.dispatcher.WINDOW", 4)
    monkeypatch.setattr("agents.delivery.dispatcher.LOADED_MAX", 20)

    def answer(deliveries: Sequence[Delivery]) -> Answer:
        return Answer("later", "HTTP 500") if deliveries[0].lane[0] in failing else Answer("done")

    async def scenario() -> None:
        world = World(answer)

        async def steps() -> None:
            for number in range(each_has):
                for account in failing:
                    world.partition.take(change(account, audience=f"a{number}"))
            await world.look()
            world.partition.take(change("Z"))
            for _ in range(60):
                world.move(60_000)
                await world.look()
                assert sum(line.queue.count for line in world._dispatcher._lines.values()) <= 20

        await world.run(steps)
        assert "Z" in {each.lane[0] for each in world.hook.sent}

    asyncio.run(scenario())
