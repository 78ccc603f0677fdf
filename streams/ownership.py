"""Who owns which partition, from assignment to close. Knows nothing of Faust.

The law: at most one owner per partition in this process, and the former one is closed before the next is made, also
when the same worker gets the partition back. A batch belongs to the owner it was fetched for and to no later one. What
is not owned may be followed: that ends before each assignment, like the owners.

    assigned → opening → ready → closed
                  └────────┴──→ lost → closed
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from enum import Enum
from typing import Protocol

from streams.errors import LostError

log = logging.getLogger(__name__)

OPENING_MAX = 8
"""Owners that are opened at once. A restore has the loop for 60 ms at a time, and whoever is through with its own must
be heard by the broker in time."""
Partition = tuple[str, int]  # topic, number
Heartbeat = Callable[[], float]  # when (time.monotonic) the group was last heard to know us


class Owner(Protocol):
    """What a partition is handed to. `streams.writer.Writer` is one."""

    async def open(self) -> None:
        """Takes the partition over. Raises LostError when another one did."""

    def start_offset(self, topic: str) -> int | None:
        """Where its source is to be read from; None while it reads nothing and only holds the partition."""

    async def tend(self) -> None:
        """Does what time makes due; called about every second while it is ready."""

    async def close(self, patience_s: float) -> None:
        """Writes nothing any more when it returns, which it does soon after `patience_s`."""


class Followers(Protocol):
    """What is done for the partitions that this worker does not own. `streams.standby.Standbys` is one."""

    def start(self, owned: Collection[Partition]) -> None:
        """Begins with all partitions but these."""

    def check(self) -> None:
        """Raises what ended one of them."""

    async def close(self) -> None:
        """Has let go of every partition when it returns, so that an owner may have it."""


OwnerFactory = Callable[[Partition, Heartbeat], Owner]


class Phase(Enum):
    ASSIGNED = "assigned"
    OPENING = "opening"
    READY = "ready"
    LOST = "lost"
    CLOSED = "closed"


NEXT_PHASES: dict[Phase, frozenset[Phase]] = {
    Phase.ASSIGNED: frozenset((Phase.OPENING, Phase.CLOSED)),
    Phase.OPENING: frozenset((Phase.READY, Phase.LOST, Phase.CLOSED)),
    Phase.READY: frozenset((Phase.LOST, Phase.CLOSED)),
    Phase.LOST: frozenset((Phase.CLOSED,)),
    Phase.CLOSED: frozenset(),
}


class Holding:
    """One partition in our hands. `owner` is None for a topic whose agent keeps no state."""

    def __init__(self, partition: Partition, owner: Owner | None) -> None:
        self.partition = partition
        self.owner = owner
        self.phase = Phase.ASSIGNED
        self.since = time.monotonic()
        self.why_lost: LostError | None = None

    def move(self, phase: Phase) -> None:
        """Raises RuntimeError for a step that the table does not list."""
        if phase not in NEXT_PHASES[self.phase]:
            raise RuntimeError(f"{self.partition} can not become {phase.value}: it is {self.phase.value}")
        self.phase, self.since = phase, time.monotonic()


class Ownership:
    """The partitions of one worker and role."""

    def __init__(
        self,
        factory_by_topic: Mapping[str, OwnerFactory],
        heartbeat: Heartbeat,
        followers: Followers | None = None,
    ) -> None:
        self._factory_by_topic = factory_by_topic
        self._heartbeat = heartbeat
        self._followers = followers
        self._holdings: dict[Partition, Holding] = {}
        self._turns = asyncio.Semaphore(OPENING_MAX)

    def assign(self, partitions: Iterable[Partition]) -> list[Holding]:
        """New holdings; those of the last assignment must have been given up."""
        if self._holdings:
            raise RuntimeError(f"still holding {sorted(self._holdings)}; a partition has one owner at a time")
        for partition in partitions:
            factory = self._factory_by_topic.get(partition[0])
            owner = None if factory is None else factory(partition, self._heartbeat)
            self._holdings[partition] = Holding(partition, owner)
        if self._followers is not None:
            self._followers.start(self._holdings.keys())
        return list(self._holdings.values())

    def holding(self, partition: Partition) -> Holding | None:
        """The present holding, of whatever phase."""
        return self._holdings.get(partition)

    def is_held(self, holding: Holding) -> bool:
        """Whether it is a present one, not of an assignment that is over."""
        return self._holdings.get(holding.partition) is holding

    def is_ready(self) -> bool:
        """Whether every assigned partition is being worked on: what `/ready` says."""
        return all(each.phase is Phase.READY for each in self._holdings.values())

    def phases(self) -> dict[Partition, Phase]:
        """For health and metrics."""
        return {partition: each.phase for partition, each in self._holdings.items()}

    async def open(self, holding: Holding) -> bool:
        """Opens the owner; False when the partition is lost, or was given up meanwhile."""
        holding.move(Phase.OPENING)
        try:
            if holding.owner is not None:
                async with self._turns:
                    await holding.owner.open()
        except LostError as why:
            self.lose(holding, why)
            return False
        return holding.phase is Phase.OPENING

    def lose(self, holding: Holding, why: LostError) -> bool:
        """Notes that the owner may not write any more; False when that was known."""
        if holding.phase in (Phase.LOST, Phase.CLOSED):
            return False
        log.warning("lost %s/%d: %s", *holding.partition, why)
        holding.why_lost = why
        holding.move(Phase.LOST)
        return True

    def ready_owners(self) -> list[Owner]:
        """The owners that are at work."""
        return [owner for _, owner in self._ready()]

    def owner_by_partition(self) -> dict[Partition, Owner]:
        """The owners that are at work. May be asked from any thread."""
        return {holding.partition: owner for holding, owner in self._ready()}

    def readable(self) -> list[tuple[Holding, int]]:
        """The ready partitions whose owners read a source, and where they go on."""
        found = [(holding, owner.start_offset(holding.partition[0])) for holding, owner in self._ready()]
        return [(holding, offset) for holding, offset in found if offset is not None]

    def _ready(self) -> list[tuple[Holding, Owner]]:
        holdings = list(self._holdings.values())
        return [(each, each.owner) for each in holdings if each.phase is Phase.READY and each.owner is not None]

    async def tend(self) -> list[tuple[Holding, LostError]]:
        """Lets every ready owner do what is due; returns those that are lost. Raises what ended a follower."""
        if self._followers is not None:
            self._followers.check()
        lost = []
        for holding, owner in self._ready():
            try:
                await owner.tend()
            except LostError as why:
                lost.append((holding, why))
        return lost

    async def give_up(self, patience_s: float) -> None:
        """Closes all owners and followers at once and holds nothing afterwards. Raises what went wrong first, when all
        are closed as far as they can be."""
        holdings, self._holdings = self._holdings, {}
        for holding in holdings.values():
            holding.move(Phase.CLOSED)
        closing = [each.owner.close(patience_s) for each in holdings.values() if each.owner is not None]
        if self._followers is not None:
            closing.append(self._followers.close())
        outcomes = await asyncio.gather(*closing, return_exceptions=True)
        if failures := [each for each in outcomes if isinstance(each, BaseException)]:
            raise failures[0]
