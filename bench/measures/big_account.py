"""An account of very many touchpoints among others, and how long the others wait meanwhile.

Others send at a steady rate all the time. Beside them the account's touchpoints come in order, at a higher one; then
some that are late, anywhere in its past; then one before its first day, which changes all of its past. How long a
touchpoint waited is read from the topics afterwards: from its append to that of the partials which contain it.
"""

import asyncio
import time
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain
from random import Random

import msgspec

from agents.completion import committed_offsets
from agents.reading import read_topic
from bench.arena import Arena
from bench.definitions import everyday
from bench.events import DAY_MS, END_MS, GIANT, Happened, World, as_touchpoint, of_giant, of_others
from bench.measured import Measured
from bench.measures.latency import percentiles_ms
from bench.working import APPLIED, Team
from streams.admin import end_offsets
from streams.bulk_producer import BulkProducer
from streams.partials import COVERS_KEY, decode_covers
from streams.partitioning import partition_of

PERCENTS = (50, 99)
PIECE = 500
TICK_S = 0.005
LATE_EVERY_S = 0.05
APPLIED_S_MAX = 900.0
OTHERS_COUNT_MAX = 100_000_000
"""More than ever come; they are made as they are sent."""


class Began(msgspec.Struct, frozen=True):
    """What began to come at an append time, in milliseconds."""

    what: str
    at_ms: int


class BigAccount(msgspec.Struct, frozen=True):
    """A line per thing that comes of the account and per place of the others; rates in touchpoints a second."""

    others_rate: float = 2_000.0
    giant_rate: float = 15_000.0
    alone_s: float = 20.0
    late_count: int = 200

    def run(self, arena: Arena, world: World, name: str, title: str) -> Sequence[Measured]:
        arena.make_topics(everyday())
        team = Team(arena, [["accounts"]], arena.settings)
        with team.running():
            began = asyncio.run(_Sending(arena, world, team).all(self))
            rss_bytes = team.rss_bytes
        lines = _lines(name, began, _waits(arena, began))
        lines[-1] = msgspec.structs.replace(lines[-1], rss_mib=rss_bytes / 2**20, check=arena.check())
        return lines


class _Sending:
    def __init__(self, arena: Arena, world: World, team: Team) -> None:
        self._arena, self._world, self._team = arena, world, team
        self._topic = arena.topic("touchpoints")
        self._began: list[Began] = []

    async def all(self, wanted: BigAccount) -> list[Began]:
        """Sends everything, each thing when what was before is applied; the last that began is the end."""
        count, late_count = self._world.giant, max(1, wanted.late_count // self._arena.scale)
        others = _others(self._world)
        async with BulkProducer(self._arena.bootstrap) as producer:
            await self._send(producer, [next(others) for _ in range(100)])
            await self._until_applied()
            sending = asyncio.create_task(self._steadily(others, wanted.others_rate))
            try:
                self._begin("nothing")
                await asyncio.sleep(self._arena.shortened(wanted.alone_s))
                self._begin(f"{count:,} in order")
                await self._in_order(producer, wanted.giant_rate)
                self._begin(f"{late_count} late ones")
                await self._late(producer, late_count)
                self._begin("one before its first day")
                await self._send(producer, [_first(self._world)])
                await self._until_applied()
                self._begin("end")
            finally:
                sending.cancel()
                await asyncio.wait([sending])
            await self._until_applied()
        return self._began

    def _begin(self, what: str) -> None:
        self._began.append(Began(what, int(time.time() * 1000)))

    async def _in_order(self, producer: BulkProducer, rate: float) -> None:
        began_s, count = time.monotonic(), self._world.giant
        for start in range(0, count, PIECE):
            await self._send(producer, list(of_giant(self._world, start, min(start + PIECE, count))))
            await asyncio.sleep(began_s + (start + PIECE) / rate - time.monotonic())
        await self._until_applied()

    async def _late(self, producer: BulkProducer, count: int) -> None:
        for event in _late(self._world, count):
            await self._send(producer, [event])
            await asyncio.sleep(LATE_EVERY_S)
        await self._until_applied()

    async def _steadily(self, others: Iterator[Happened], rate: float) -> None:
        sent_count, began_s = 0, time.monotonic()
        async with BulkProducer(self._arena.bootstrap) as producer:
            while True:
                due_count = int((time.monotonic() - began_s) * rate)
                await self._send(producer, [next(others) for _ in range(sent_count, due_count)])
                sent_count = due_count
                await asyncio.sleep(TICK_S)

    async def _send(self, producer: BulkProducer, events: Sequence[Happened]) -> None:
        await producer.send(self._topic, [as_touchpoint(event) for event in events])
        await producer.flush()

    async def _until_applied(self) -> None:
        """Until what is in the topic now is committed."""
        arena, deadline_s = self._arena, time.monotonic() + APPLIED_S_MAX
        found = await asyncio.to_thread(end_offsets, arena.bootstrap, self._topic)
        ends = {partition: end for partition, end in found.items() if end}
        places = [(self._topic, partition) for partition in ends]
        while time.monotonic() < deadline_s:
            await asyncio.to_thread(self._team.look, APPLIED)
            done = await asyncio.to_thread(committed_offsets, arena.bootstrap, arena.settings, "accounts", places)
            if all(done.get((self._topic, partition), 0) >= end for partition, end in ends.items()):
                return
            await asyncio.sleep(0.5)
        raise RuntimeError(f"not applied within {APPLIED_S_MAX:g} s")


def _others(world: World) -> Iterator[Happened]:
    """Behind all of the giant's, in order."""
    found = chain.from_iterable(of_others(msgspec.structs.replace(world, events=OTHERS_COUNT_MAX)))
    return (event._replace(event_time=END_MS + number) for number, event in enumerate(found))


def _late(world: World, count: int) -> Iterator[Happened]:
    """Of the giant, each right before one that it has."""
    rng = Random(f"{world.seed} late")
    for number in range(count):
        at = rng.randrange(world.giant)
        (event,) = of_giant(world, at, at + 1)
        yield event._replace(event_id=f"late{number}", event_time=event.event_time - 1)


def _first(world: World) -> Happened:
    (event,) = of_giant(world, 0, 1)
    return event._replace(
        event_id="first", event_time=event.event_time - 100 * DAY_MS, type="Lead Form Step 1", content_type=None
    )


def _waits(arena: Arena, began: Sequence[Began]) -> dict[tuple[int, bool], list[float]]:
    """Seconds that each touchpoint of the others waited, by what had begun and by whether in the giant's partition."""
    touchpoints = arena.topic("touchpoints")
    covered = defaultdict[int, tuple[list[int], list[int]]](lambda: ([], []))
    for record in read_topic(arena.bootstrap, arena.topic("partials")):
        if record.key == COVERS_KEY and record.value is not None:
            offsets, times = covered[record.partition]
            offsets.append(decode_covers(record.value).applied.get(touchpoints, -1))
            times.append(record.append_time)
    waits = defaultdict[tuple[int, bool], list[float]](list)
    giant, starts = partition_of(GIANT.encode(), arena.settings.partitions), [each.at_ms for each in began]
    for record in read_topic(arena.bootstrap, touchpoints):
        place = bisect_right(starts, record.append_time) - 1
        if record.key == GIANT.encode() or not 0 <= place < len(began) - 1:
            continue
        offsets, times = covered[record.partition]
        wait_ms = times[bisect_left(offsets, record.offset)] - record.append_time
        waits[place, record.partition == giant].append(wait_ms / 1e3)
    return waits


def _lines(name: str, began: Sequence[Began], waits: dict[tuple[int, bool], list[float]]) -> list[Measured]:
    lines = []
    for (place, is_its), its in sorted(waits.items(), key=lambda each: (each[0][0], not each[0][1])):
        where = "others in its partition" if is_its else "others elsewhere"
        lines.append(
            Measured(
                scenario=f"{name}-{place}-{'its' if is_its else 'other'}",
                title=f"it sends {began[place].what}; {where}",
                events=len(its),
                figures={
                    "for, s": (began[place + 1].at_ms - began[place].at_ms) / 1e3,
                    **percentiles_ms(its, "", PERCENTS),
                    "at most, ms": 1e3 * max(its),
                },
            )
        )
    return lines
