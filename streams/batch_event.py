"""What an agent sees of the transport: events that are lists of records of one partition.

    @app.agent(batch_topic(app, name))
    async def accounts(stream):
        await process_side_by_side(stream, apply)

    async def apply(event):
        async with owned(event) as writer:
            await writer.process(event.value)

An event is acknowledged here and nowhere else: behind its work, or never; so a stream that is read otherwise than by
`streams.lanes` is to be read with `noack`.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from operator import attrgetter
from typing import Any

import faust
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from streams.computing import Arrivals
from streams.crash import crash_point
from streams.errors import LostError
from streams.ownership import Holding

_LOG_APPEND_TIME = 1  # as every topic has it (`streams.topics`)
_key, _value = attrgetter("key"), attrgetter("value")


class BatchMessage(ConsumerMessage):  # type: ignore[misc]  # Faust ships no types
    """Records of one partition, and the holding that they were fetched for."""

    def __init__(self, tp: TP, records: Sequence[Any], holding: Holding, generation: int) -> None:
        last = records[-1]
        self.arrivals = Arrivals(records)
        super().__init__(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1e3,
            _LOG_APPEND_TIME,
            None,
            None,
            self.arrivals,
            None,
            0,
            0,
            tp,
            generation_id=generation,
        )
        self.holding = holding
        self._byte_count: int | None = None

    def byte_count(self) -> int:
        """Of the records' keys and values. Counted when it is asked for, which is where batches are small."""
        if self._byte_count is None:
            self._byte_count = _byte_count(self.arrivals)
        return self._byte_count

    def add(self, records: Sequence[Any], records_max: int, bytes_max: int) -> bool:
        """Whether those that follow go with it: it is not taken yet, and has no more than so many then."""
        if self.arrivals.is_taken or len(self.arrivals) + len(records) > records_max:
            return False
        byte_count = self.byte_count() + _byte_count(records)
        if byte_count > bytes_max:
            return False
        self.arrivals += records
        self.offset, self.timestamp, self._byte_count = records[-1].offset, records[-1].timestamp / 1e3, byte_count
        return True


def _byte_count(records: Sequence[Any]) -> int:
    return sum(sum(map(len, filter(None, map(field, records)))) for field in (_key, _value))


class _BatchSchema(faust.Schema):  # type: ignore[misc]  # Faust ships no types
    """Hands the list on as it is: stages decode themselves, with less work."""

    def compile(self, app: Any, **_: Any) -> Any:
        async def decode(message: Any, *, propagate: bool = False) -> Any:  # noqa: ARG001  # Faust's signature
            return app.create_event(None, message.value, None, message)

        return decode


def batch_topic(app: Any, *names: str) -> Any:
    """The topics whose events are lists of records, each of one topic and partition."""
    return app.topic(*names, schema=_BatchSchema(value_serializer="raw", value_type=bytes), value_type=bytes)


@asynccontextmanager
async def owned(event: Any) -> AsyncIterator[Any]:
    """The owner of the event's records, while they are processed; the event is acknowledged behind it.

    When the owner turns out to have lost the partition, the batch is dropped and the agent goes on with the next.
    """
    holding = event.message.holding
    try:
        async with _in_hand(event):
            yield holding.owner
    except LostError as why:
        event.app.consumer.lose(holding, why)


@asynccontextmanager
async def handed(event: Any) -> AsyncIterator[Sequence[Any]]:
    """The event's records, for an agent without state; acknowledged behind it, so its outputs must be there by then."""
    async with _in_hand(event):
        event.value.is_taken = True
        yield event.value


@asynccontextmanager
async def _in_hand(event: Any) -> AsyncIterator[None]:
    consumer, message = event.app.consumer, event.message
    consumer.pick_up(message)
    try:
        yield
    except BaseException as error:
        # Not acknowledged, so it is read again; but nobody needs to wait for it.
        consumer.drop(message)
        if not isinstance(error, LostError):
            consumer.note_failure(error)
        raise
    else:
        event.ack()
        crash_point("ack")
    finally:
        consumer.put_down(message)
