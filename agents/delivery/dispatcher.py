"""Sends what waits in one partition, and notes what came of it.

The law: only what lies in a row is sent, and only an answer that is committed takes it out of it; a crash in between
sends it again, under its id. Of a destination only a window of what waits is in memory, and nothing of one destination
waits for another one. Times are the broker's: by a wall clock that is wrong, things were given up or put off for days.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Mapping, Sequence
from itertools import islice

import msgspec

from agents.delivery.line import Line
from agents.delivery.senders import MakeSender
from agents.metrics import DELIVERIES, DELIVERY_SECONDS, WAITING_DELIVERIES
from state.delivery.ledger import file_of
from state.delivery.outbox import Answered, chunked, subjects_of_changes
from state.delivery.retries import Answer, Dead, Later, Verdict, verdict_of
from state.delivery.rows import (
    CONFIG_KEY,
    DEFERRED,
    DESTINATION,
    Delivery,
    DestinationRow,
    decode_configuration,
    decode_delivery,
    decode_destination,
    waiting_prefix,
)
from state.delivery.stage import DeliverStage
from streams.crash import crash_point
from streams.writer import Writer

WINDOW = 1_000
"""Containers of which nothing was tried in vain, that are in memory for a destination, or as many deliveries as one of
its files may have; those behind them stay on disk."""
LOADED_MAX = 20_000
"""Deliveries of a destination in memory at most; most wait behind one of their container that is tried again."""
NOTED_MAX, NOTED_BYTES_MAX = 500, 8 * 2**20
"""Answers of one commit, so that it fits whatever they are about."""
GATHERING_S = 0.02
"""For so long at most an answer waits to be noted with others; not where nothing else is under way."""
LOOK_S = 1.0
"""After so long it looks again, whether or not anything happened."""


class _Tried(msgspec.Struct, frozen=True):
    """A try and its answers. keys: what was taken of the lane. deliveries: those of them that were sent. answers: to
    each of these. put_back: the keys of those that wait on."""

    line: Line
    lane: str
    keys: Sequence[bytes]
    deliveries: list[Delivery]
    answers: list[Answer]
    put_back: frozenset[bytes]


class Dispatcher:
    """Of one owner, from its opening on until `stop`."""

    def __init__(self, writer: Writer, stage: DeliverStage, partition: int, partitions: int, make: MakeSender) -> None:
        self._writer = writer
        self._stage = stage
        self._partition = partition
        self._partitions = partitions
        self._make = make
        self._lines: dict[str, Line] = {}
        self._configuration: bytes | None = None
        self._wake = asyncio.Event()
        self._tried: asyncio.Queue[_Tried] = asyncio.Queue()
        self._is_stopping = False
        self._open_count = 0  # tries that were begun and are not noted yet

    def wake(self) -> None:
        """There may be something to send."""
        self._wake.set()

    async def run(self) -> None:
        """Until it is cancelled. Raises LostError when the owner may not commit any more."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._note_answers())
                while True:
                    self._wake.clear()
                    wait_s = await self._round(tasks)
                    try:
                        async with asyncio.timeout(wait_s):
                            await self._wake.wait()
                    except TimeoutError:
                        pass
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None
        finally:
            for line in self._lines.values():
                WAITING_DELIVERIES.remove(line.name, str(self._partition))
                await line.sender.close()

    async def finish(self, patience_s: float) -> None:
        """Begins nothing more, and lets what is under way end within the patience; its answers are noted."""
        self._is_stopping = True
        deadline = time.monotonic() + patience_s
        while self._open_count and time.monotonic() < deadline:
            await asyncio.sleep(0.01)

    async def _round(self, tasks: asyncio.TaskGroup) -> float:
        """Begins all that may begin now; returns for how many seconds nothing else may."""
        self._writer.check()
        await self._release()
        await self._configure()
        now_ms = self._writer.now_ms
        wait_ms = LOOK_S * 1000
        for line in self._lines.values():
            if not (self._is_stopping or line.is_retiring):
                self._fill(line)
                wait_ms = min(wait_ms, self._begin(line, tasks, now_ms))
        return max(0.001, wait_ms / 1000)

    async def _release(self) -> None:
        """Lets deferred deliveries wait whose time has come. The first one tells: their keys begin with it."""
        while not self._is_stopping:
            first = self._writer.store.after(DEFERRED, DEFERRED)
            if first is None or int.from_bytes(first[0][1:9], "big") > self._writer.now_ms:
                return
            await self._writer.note(self._stage.release(self._writer.now_ms))

    async def _configure(self) -> None:
        """Goes over to the destinations that are configured; of one that changed all is loaded anew, once nothing of it
        is under way."""
        (stored,) = self._writer.store.get([CONFIG_KEY])
        if stored == self._configuration or stored is None:
            return
        wanted = file_of(decode_configuration(stored).file).destinations
        for name, line in list(self._lines.items()):
            line.is_retiring = line.destination != wanted.get(name)
            if line.is_retiring and not line.queue.under_way_count:
                WAITING_DELIVERIES.remove(name, str(self._partition))
                await self._lines.pop(name).sender.close()
        for name, destination in wanted.items():
            if name not in self._lines:
                self._lines[name] = Line(name, destination, self._make(name, destination), self._partitions)
        # Otherwise looked at again behind the next answer.
        if not any(line.is_retiring for line in self._lines.values()):
            self._configuration = stored

    def _fill(self, line: Line) -> None:
        """Takes more of what waits into memory, in its order."""
        room = _room(line)
        if room > 0:
            found = self._writer.store.scan(waiting_prefix(line.name), line.queue.loaded_behind)
            for key, value in islice(found, room):
                line.load(key, decode_delivery(value))

    def _begin(self, line: Line, tasks: asyncio.TaskGroup, now_ms: int) -> float:
        """Begins what the destination takes now; returns for how many milliseconds it takes nothing more."""
        if self._is_held(line.name):
            return LOOK_S * 1000
        while (wait_ms := line.wait_ms(now_ms)) == 0:
            taken = line.take(now_ms)
            if taken is None:
                break
            lane, keys = taken
            rows = self._writer.store.get(list(keys))
            deliveries = [decode_delivery(row) for row in rows if row is not None]
            if not deliveries:  # superseded since they were loaded
                line.queue.finish(lane, [None] * len(keys))
                continue
            line.begin(now_ms)
            self._open_count += 1
            tasks.create_task(self._send(line, lane, keys, deliveries))
        return wait_ms or line.next_due_in_ms(now_ms)

    def _is_held(self, name: str) -> bool:
        """Whether it is paused or disabled; a delivery to one that is configured no more waits as well."""
        row = self._row(name)
        WAITING_DELIVERIES.labels(name, str(self._partition)).set(row.waiting_count)
        return row.is_paused or row.disabled is not None

    def _row(self, name: str) -> DestinationRow:
        (stored,) = self._writer.store.get([DESTINATION + name.encode()])
        return DestinationRow() if stored is None else decode_destination(stored)

    async def _send(self, line: Line, lane: str, keys: Sequence[bytes], deliveries: list[Delivery]) -> None:
        answer = await self._answer(line, deliveries)
        sent, answers = deliveries, [answer] * len(deliveries)
        if answer.result == "refused" and len(deliveries) > 1:
            sent, answers = await self._answers_alone(line, deliveries)
        crash_point("sent")
        put_back = frozenset(each.key() for each in deliveries) - {each.key() for each in sent}
        self._tried.put_nowait(_Tried(line, lane, keys, sent, answers, put_back))

    async def _answers_alone(self, line: Line, deliveries: Sequence[Delivery]) -> tuple[list[Delivery], list[Answer]]:
        """One of them is refused, and the others are not to die with it. Behind one that is to come again nothing is
        sent, for order. Nor what says more once it is noted that one before it is refused."""
        sent: list[Delivery] = []
        answers: list[Answer] = []
        refused: set[str] = set()
        for each in deliveries:
            changes = subjects_of_changes(each)
            if not refused.isdisjoint(changes):
                continue
            waits = bool(answers) and answers[-1].result == "later"
            answer = answers[-1] if waits else await self._answer(line, [each])
            if answer.result == "refused":
                refused.update(changes)
            sent.append(each)
            answers.append(answer)
        return sent, answers

    async def _answer(self, line: Line, deliveries: Sequence[Delivery]) -> Answer:
        # As late as possible: who has lost the partition must not send beside a successor.
        self._writer.check()
        return await line.sender.send(deliveries)

    async def _note_answers(self) -> None:
        while True:
            await self._note(await self._next_answers())

    async def _next_answers(self) -> list[_Tried]:
        """The next answer, and those that come with it or soon behind it: what began together mostly ends together."""
        some = [await self._tried.get()]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GATHERING_S):
                while len(some) < min(NOTED_MAX, self._open_count):
                    some.append(await self._tried.get())
        return some

    async def _note(self, some: list[_Tried]) -> None:
        now_ms = self._writer.now_ms_at_most
        verdict_by_key: dict[bytes, Verdict] = {
            delivery.key(): verdict_of(
                answer,
                delivery,
                now_ms,
                random.random(),
                tried.line.destination.give_up_after_s * 1000,
                self._row(tried.line.name).resumed_ms,
            )
            for tried in some
            for delivery, answer in zip(tried.deliveries, tried.answers, strict=True)
        }
        deliveries = [delivery for tried in some for delivery in tried.deliveries]
        for part in chunked(deliveries, NOTED_MAX, NOTED_BYTES_MAX):
            answered = [Answered(each.key(), verdict_by_key[each.key()]) for each in part]
            await self._writer.note(self._stage.answers(answered, now_ms))
        for tried in some:
            tried.line.answered(tried.answers[-1], now_ms, random.random())
            self._count(tried, verdict_by_key, now_ms)
            self._open_count -= 1
            tried.line.queue.finish(tried.lane, _again_ms(tried, verdict_by_key))
        self._wake.set()

    def _count(self, tried: _Tried, verdict_by_key: dict[bytes, Verdict], now_ms: int) -> None:
        for delivery in tried.deliveries:
            verdict = verdict_by_key[delivery.key()]
            result = "again" if isinstance(verdict, Later) else "dead" if isinstance(verdict, Dead) else "delivered"
            DELIVERIES.labels(tried.line.name, result).inc()
            if result == "delivered":
                DELIVERY_SECONDS.labels(tried.line.name).observe(max(0, now_ms - delivery.begun_ms) / 1000)


def _again_ms(tried: _Tried, verdict_by_key: Mapping[bytes, Verdict]) -> list[int | None]:
    """When each that was taken is to be tried the next time; None for done with, or superseded since it was loaded."""
    verdicts = map(verdict_by_key.get, tried.keys)
    due = {key: each.due_ms for key, each in zip(tried.keys, verdicts, strict=True) if isinstance(each, Later)}
    put_back_ms = min(due.values(), default=0)
    return [put_back_ms if key in tried.put_back else due.get(key) for key in tried.keys]


def _room(line: Line) -> int:
    """How many more may be taken into memory; none as long as few would be."""
    queue = line.queue
    if line.sender.takes_many:
        return max(WINDOW, line.many) - queue.count
    room = min(WINDOW - queue.fresh_count, LOADED_MAX - queue.count)
    return room if room >= WINDOW // 2 else 0
