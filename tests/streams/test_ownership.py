"""Who owns which partition: the table of phases, and owners that open, fail and close."""

import asyncio
from collections.abc import Collection, Coroutine
from typing import Any

import pytest

from streams.errors import LostError, MismatchError, UnavailableError
from streams.ownership import NEXT_PHASES, OPENING_MAX, Heartbeat, Holding, Ownership, Partition, Phase

PLACES: list[Partition] = [("accounts", 0), ("accounts", 1), ("raw", 0)]


class Diary:
    """An owner that writes down what happens to it."""

    def __init__(self, partition: Partition, entries: list[str], fails: type[Exception] | None) -> None:
        self._name = f"{partition[0]}/{partition[1]}"
        self._entries = entries
        self._fails = fails

    async def open(self) -> None:
        self._entries.append(f"open {self._name}")
        if self._fails is not None:
            raise self._fails("no")

    def start_offset(self, topic: str) -> int | None:
        return 5

    async def tend(self) -> None:
        self._entries.append(f"tend {self._name}")
        if self._fails is not None:
            raise self._fails("no")

    async def close(self, patience_s: float) -> None:
        self._entries.append(f"close {self._name} {patience_s:g}")


class Shadow:
    """Followers that write down what happens to them."""

    def __init__(self, entries: list[str]) -> None:
        self._entries = entries
        self.failure: Exception | None = None

    def start(self, owned: Collection[Partition]) -> None:
        self._entries.append(f"follow all but {sorted(owned)}")

    def check(self) -> None:
        if self.failure is not None:
            raise self.failure

    async def close(self) -> None:
        self._entries.append("follow none")


def ownership_of(entries: list[str], fails: type[Exception] | None = None) -> Ownership:
    def own(partition: Partition, _: Heartbeat) -> Diary:
        return Diary(partition, entries, fails if partition[1] == 0 else None)

    return Ownership({"accounts": own}, lambda: 0.0)


def run(steps: Coroutine[Any, Any, None]) -> None:
    asyncio.run(steps)


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("then", Phase)
def test_only_what_the_table_lists_happens(phase: Phase, then: Phase) -> None:
    """Every step that is not listed is an error."""
    holding = Holding(("accounts", 0), None)
    holding.phase = phase
    if then in NEXT_PHASES[phase]:
        holding.move(then)
        assert holding.phase is then
    else:
        with pytest.raises(RuntimeError):
            holding.move(then)


def test_owners_are_opened_tended_and_closed() -> None:
    """A topic without a factory has no owner and is ready all the same."""
    entries: list[str] = []
    ownership = ownership_of(entries)

    async def steps() -> None:
        for holding in ownership.assign(PLACES):
            assert not ownership.is_ready()
            assert await ownership.open(holding)
            holding.move(Phase.READY)
        assert ownership.is_ready()
        assert await ownership.tend() == []
        await ownership.give_up(2)

    run(steps())
    assert [entry.split()[0] for entry in entries] == ["open"] * 2 + ["tend"] * 2 + ["close"] * 2
    assert ownership.phases() == {}


def test_a_partition_has_one_owner_at_a_time() -> None:
    """A new assignment before the last one was given up is an error."""
    ownership = ownership_of([])
    ownership.assign(PLACES)
    with pytest.raises(RuntimeError, match="one owner at a time"):
        ownership.assign(PLACES)


def test_an_owner_that_is_not_let_in_is_lost_and_closed() -> None:
    """Losing while opening is expected, and told once; it is closed with the others."""
    entries: list[str] = []
    ownership = ownership_of(entries, LostError)

    async def steps() -> None:
        first, second, _ = ownership.assign(PLACES)
        assert not await ownership.open(first)
        assert await ownership.open(second)
        assert ownership.phases()["accounts", 0] is Phase.LOST
        assert not ownership.lose(first, LostError("again"))
        assert not ownership.is_ready()
        await ownership.give_up(2)

    run(steps())
    assert entries[-2:] == ["close accounts/0 2", "close accounts/1 2"]


def test_an_owner_lost_while_tended_is_told() -> None:
    """The one is lost, the other goes on."""
    ownership = ownership_of([], LostError)

    async def steps() -> None:
        for holding in ownership.assign(PLACES[:2]):
            holding.move(Phase.OPENING)
            holding.move(Phase.READY)
        ((lost, _),) = await ownership.tend()
        assert lost.partition == ("accounts", 0)

    run(steps())


def test_what_is_not_a_loss_is_not_hidden() -> None:
    """An owner that must not start at all ends the worker."""
    ownership = ownership_of([], MismatchError)

    async def steps() -> None:
        with pytest.raises(MismatchError):
            await ownership.open(ownership.assign(PLACES)[0])

    run(steps())


def test_an_owner_given_up_while_opening_does_not_become_ready() -> None:
    """Whoever opens it learns that it is not wanted any more."""
    gate = asyncio.Event()

    class Slow(Diary):
        async def open(self) -> None:
            await gate.wait()

    ownership = Ownership({"accounts": lambda partition, _: Slow(partition, [], None)}, lambda: 0.0)

    async def steps() -> None:
        (holding,) = ownership.assign(PLACES[:1])
        opening = asyncio.create_task(ownership.open(holding))
        await asyncio.sleep(0)
        await ownership.give_up(0)
        gate.set()
        assert not await opening
        assert not ownership.is_held(holding)

    run(steps())


def test_few_owners_are_opened_at_once() -> None:
    """However many partitions there are: those that restore would keep the others from the broker."""
    opening = most = 0

    class Restoring(Diary):
        async def open(self) -> None:
            nonlocal opening, most
            opening += 1
            most = max(most, opening)
            await asyncio.sleep(0.01)
            opening -= 1

    async def steps() -> None:
        ownership = Ownership({"accounts": lambda place, _: Restoring(place, [], None)}, lambda: 0.0)
        holdings = ownership.assign([("accounts", number) for number in range(3 * OPENING_MAX)])
        assert all(await asyncio.gather(*map(ownership.open, holdings)))

    run(steps())
    assert most == OPENING_MAX


def test_owners_are_closed_although_one_of_them_fails() -> None:
    """And it is told when all have: a new owner must not open what a former one still has."""
    entries: list[str] = []

    class Slow(Diary):
        async def close(self, patience_s: float) -> None:
            if self._fails is not None:
                raise self._fails("the disk is full")
            await asyncio.sleep(0.05)
            await super().close(patience_s)

    def own(partition: Partition, _: Heartbeat) -> Diary:
        return Slow(partition, entries, UnavailableError if partition[1] == 0 else None)

    async def steps() -> None:
        ownership = Ownership({"accounts": own}, lambda: 0.0, Shadow(entries))
        ownership.assign(PLACES[:2])
        with pytest.raises(UnavailableError, match="the disk is full"):
            await ownership.give_up(2)

    run(steps())
    assert sorted(entries[1:]) == ["close accounts/1 2", "follow none"]


def test_what_is_not_owned_is_followed_between_assignments() -> None:
    """Followers begin with the assignment and have let go when it is given up; what ends one is raised."""
    entries: list[str] = []
    shadow = Shadow(entries)
    ownership = Ownership({}, lambda: 0.0, shadow)

    async def steps() -> None:
        for partitions in (PLACES[:1], []):
            ownership.assign(partitions)
            assert await ownership.tend() == []
            await ownership.give_up(2)
        shadow.failure = MismatchError("no")
        with pytest.raises(MismatchError):
            await ownership.tend()

    run(steps())
    assert entries == ["follow all but [('accounts', 0)]", "follow none", "follow all but []", "follow none"]
