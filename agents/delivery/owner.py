"""The owner of one partition of the deliver stage: reads its inputs, commits what is to be sent, has it sent.

The group gives it the partition of `milestones`, as a token; all three inputs are read by a consumer of its own, for
the group's assignor does not keep partitions of several topics together. Orders are read up to their end before
anything else, so that an owner that comes first knows the routes that were there before it.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from agents.delivery.dispatcher import Dispatcher
from state.delivery.stage import Inputs
from streams.errors import MismatchError, UnavailableError
from streams.poison import PoisonError
from streams.restore import reader_of
from streams.writer import Writer

READ_MS = 200
FETCH_WAIT_MS = 500
STANDSTILL_S = 1.0


class DeliverOwner:
    """A `streams.ownership.Owner`."""

    def __init__(
        self, writer: Writer, make_dispatcher: Callable[[], Dispatcher], bootstrap: str, topics: Inputs, partition: int
    ) -> None:
        """make_dispatcher: once the writer is open."""
        self._writer = writer
        self._make_dispatcher = make_dispatcher
        self._bootstrap = bootstrap
        self._orders = TopicPartition(topics.orders, partition)
        self._others = [TopicPartition(topic, partition) for topic in (topics.alerts, topics.changes)]
        self._is_closing = False
        self._dispatcher: Dispatcher | None = None
        self._reading: asyncio.Task[None] | None = None
        self._sending: asyncio.Task[None] | None = None

    @property
    def standstill(self) -> PoisonError | None:
        """Why nothing is read; None when all is well."""
        return self._writer.standstill

    async def open(self) -> None:
        """Takes the partition over. Raises LostError when another owner came in between."""
        await self._writer.open()
        self._dispatcher = self._make_dispatcher()
        self._sending = asyncio.create_task(self._dispatcher.run())
        self._reading = asyncio.create_task(self._read(self._dispatcher))

    def start_offset(self, topic: str) -> None:
        """The group's consumer reads nothing of it."""

    async def tend(self) -> None:
        """What is due of the writer. Raises what ended reading or sending; where a step of one failed, what it failed
        with: the other one, which only hears that there was something, may end sooner."""
        for task in (self._reading, self._sending):
            if task is not None and task.done():
                if self._writer.failure is not None:
                    raise self._writer.failure
                await task
        await self._writer.tend()

    async def close(self, patience_s: float) -> None:
        """Answers that come within the patience are noted; what comes later is sent again by the next owner."""
        self._is_closing = True
        if self._reading is not None:
            # Cancelled in the middle of a commit it would end the writer, and nothing were noted any more.
            await asyncio.wait([self._reading], timeout=patience_s / 4)
        await _cancelled(self._reading)
        if self._dispatcher is not None and self._sending is not None and not self._sending.done():
            await self._dispatcher.finish(patience_s / 4)
        await _cancelled(self._sending)
        await self._writer.close(patience_s / 2)

    async def _read(self, dispatcher: Dispatcher) -> None:
        reader = reader_of(self._bootstrap, FETCH_WAIT_MS)
        try:
            await reader.start()
            reader.assign([self._orders, *self._others])
            reader.pause(*self._others)
            for place in (self._orders, *self._others):
                reader.seek(place, self._writer.applied[place.topic] + 1)
            ends = await reader.end_offsets([self._orders])
            while not self._is_closing and self._writer.applied[self._orders.topic] < ends[self._orders] - 1:
                await self._process(reader, dispatcher)
            reader.resume(*self._others)
            while not self._is_closing:
                await self._process(reader, dispatcher)
        except OffsetOutOfRangeError as error:
            raise MismatchError(
                f"{self._writer}: an input does not hold what comes behind what was applied ({error}); restore the"
                " topic, or begin anew under another --generation or --prefix"
            ) from error
        except KafkaError as error:
            raise UnavailableError(f"{self._writer}: Kafka does not let it read on ({error!r})") from error
        finally:
            await reader.stop()

    async def _process(self, reader: Any, dispatcher: Dispatcher) -> None:
        """The next records that come within a moment, if any."""
        for place, records in (await reader.getmany(timeout_ms=READ_MS)).items():
            while self._writer.standstill is not None and not self._is_closing:
                await asyncio.sleep(STANDSTILL_S)
            # Those that were passed over, or tried again, while the partition stood still.
            applied = self._writer.applied[place.topic]
            if self._is_closing:
                return
            if new := [record for record in records if record.offset > applied]:
                await self._writer.process(new)
                dispatcher.wake()


async def _cancelled(task: asyncio.Task[None] | None) -> None:
    """Until it has ended; what ended it was said by `tend`, or does not matter any more."""
    if task is None:
        return
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(task, return_exceptions=True)
