"""The deliver stage to the commit protocol: orders, alerts and changes in; where each delivery stands, out."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import msgspec

from state.delivery.outbox import PRUNED_MAX, Answered, Outbox
from state.delivery.rows import (
    CLOSED,
    DESTINATION,
    PLACE,
    Lookup,
    decode_closed,
    decode_delivery,
    decode_destination,
    held_of,
    state_of_key,
    status_of,
)
from streams.alert import decode_alert
from streams.batch import BatchTooLargeError
from streams.delivery import HELD_PREFIX, DeliveryStatus, decode_order, encode_held, encode_status
from streams.membership import decode_change
from streams.protocol_rows import PROTOCOL_PREFIX
from streams.stage import Applied, Publication, Publish, Record, Slice, Work
from streams.store import Row

ROWS_HASH = "deliver-1"
"""Of the layout of the rows. What is configured is a row itself, and changes while they stay."""

_encode_keys = msgspec.msgpack.Encoder().encode
_decode_keys = msgspec.msgpack.Decoder(list[str]).decode
_T = TypeVar("_T")


class Inputs(msgspec.Struct, frozen=True):
    """The names of the topics."""

    orders: str
    alerts: str
    changes: str
    deliveries: str


class DeliverStage:
    """A `streams.stage.Stage`. Beside its inputs it is told of answers and of the time, by `Writer.note`."""

    def __init__(self, topics: Inputs, rows: Lookup, retention_ms: int) -> None:
        """retention_ms: for how long deliveries that are done with are remembered."""
        self._topics = topics
        self._rows = rows
        self._retention_ms = retention_ms
        self.outputs = (topics.deliveries,)
        self.definitions_hash = ROWS_HASH

    def compute(self, records: Sequence[Record], clock_ms: int) -> Work:
        outbox = Outbox(self._rows, clock_ms)
        for record in records:
            # A compacted input has deletions, and fences of its writer.
            if record.value is not None and not record.key.startswith(PROTOCOL_PREFIX):
                self._take(outbox, record)
        return self._work(outbox)

    def _take(self, outbox: Outbox, record: Record) -> None:
        if record.topic == self._topics.orders:
            outbox.order(decode_order(record.value), record.timestamp)
        elif record.topic == self._topics.alerts:
            outbox.take_alert(decode_alert(record.value), record.value, record.timestamp)
        else:
            outbox.take_change(decode_change(record.value), record.value, record.timestamp)

    def answers(self, answered: Iterable[Answered], now_ms: int) -> Callable[[int], Work]:
        """What answers to requests change, for `Writer.note`. now_ms: the broker's time."""
        found = list(answered)

        def compute(_: int) -> Work:
            outbox = Outbox(self._rows, now_ms)
            outbox.note(found)
            return self._work(outbox)

        return compute

    def release(self, now_ms: int) -> Callable[[int], Work]:
        """What the time makes due, for `Writer.note`."""

        def compute(_: int) -> Work:
            outbox = Outbox(self._rows, now_ms)
            outbox.release()
            return self._work(outbox)

        return compute

    def slice(self, record: Record, clock_ms: int) -> Slice | None:
        return None

    def is_halfway(self) -> bool:
        return False

    def again(self, pending: bytes) -> Publish:
        keys = _decode_keys(pending) if pending else []
        return self._publish({key: self._value(key) for key in keys})

    def _value(self, key: str) -> bytes | None:
        """What is published under a key, from the rows as they are."""
        if not key.startswith(HELD_PREFIX):
            return _value_of(self._status(key), encode_status)
        name = key.removeprefix(HELD_PREFIX)
        (stored,) = self._rows.get([DESTINATION + name.encode()])
        assert stored is not None, f"{name} was held, or no more"
        return _value_of(held_of(name, decode_destination(stored)), encode_held)

    def _status(self, id_: str) -> DeliveryStatus | None:
        closed, place = self._rows.get([CLOSED + id_.encode(), PLACE + id_.encode()])
        if closed is not None:
            found = decode_closed(closed)
            return status_of(found.delivery, found.state, found.closed_ms)
        if place is None:
            return None
        (stored,) = self._rows.get([place])
        assert stored is not None, f"the place of {id_} leads nowhere"
        delivery = decode_delivery(stored)
        return status_of(delivery, state_of_key(place), delivery.begun_ms)

    def idle(self, clock_ms: int) -> Work:
        """Says of every destination whether it is held, as an owner does when it comes: it may never change again."""
        outbox = Outbox(self._rows, clock_ms)
        for key, value in self._rows.scan(DESTINATION):
            name = key.removeprefix(DESTINATION).decode()
            outbox.held_by_destination[name] = held_of(name, decode_destination(value))
        return self._work(outbox)

    def chore(self, clock_ms: int, parts: int) -> Work | None:
        outbox = Outbox(self._rows, clock_ms)
        if not outbox.forget(max(0, clock_ms - self._retention_ms), PRUNED_MAX // parts or 1):
            return None
        return self._work(outbox)

    def chore_failed(self) -> None:
        raise BatchTooLargeError("a delivery that is forgotten fits any commit")

    def due_ms(self) -> int | None:
        return None  # what is forgotten can wait for the next commit

    def _work(self, outbox: Outbox) -> Work:
        value_by_key = {id_: _value_of(status, encode_status) for id_, status in outbox.status_by_id.items()}
        for name, held in outbox.held_by_destination.items():
            value_by_key[HELD_PREFIX + name] = _value_of(held, encode_held)
        return Work(outbox.rows, _encode_keys(list(value_by_key)), self._publish(value_by_key))

    def _publish(self, value_by_key: dict[str, bytes | None]) -> Publish:
        records: list[Row] = [(key.encode(), value) for key, value in value_by_key.items()]

        def publish(_: Applied) -> list[Publication]:
            return [Publication(self._topics.deliveries, records, whole=False)] if records else []

        return publish


def _value_of(said: _T | None, encode: Callable[[_T], bytes]) -> bytes | None:
    return None if said is None else encode(said)
