"""The rows of a partition's deliveries on top of those in the store: what one commit changes, and what is told of it.

The law: a delivery has one row where it waits or is deferred, or one where it is done with, and its place leads to it;
how many wait for a destination stands with it.
"""

from functools import lru_cache
from typing import NamedTuple

import msgspec

from state.delivery.configuration import DeliveryFile, Limits
from state.delivery.rows import (
    CLOSED,
    CONFIG_KEY,
    DESTINATION,
    NEXT_KEY,
    PLACE,
    Closed,
    Delivery,
    DestinationRow,
    Lookup,
    by_time_key,
    decode_closed,
    decode_configuration,
    decode_delivery,
    decode_destination,
    encode,
    held_of,
    status_of,
    waiting_prefix,
)
from streams.delivery import DeliveryStatus, Held, State
from streams.store import Row

_NO_LIMITS = Limits()


@lru_cache(maxsize=8)
def file_of(content: bytes) -> DeliveryFile:
    """The delivery file that a configuration row holds."""
    return DeliveryFile.model_validate_json(content)


class InForce(NamedTuple):
    """The configuration, read once."""

    file: DeliveryFile
    since_by_way: dict[str, int]


class Ledger:
    """What `state.delivery.outbox` writes with."""

    def __init__(self, rows: Lookup, now_ms: int) -> None:
        """now_ms: the committed clock; where answers are noted and time makes something due, the broker's now."""
        self._rows = rows
        self._now_ms = now_ms
        self._changed: dict[bytes, bytes | None] = {}
        self._known: InForce | None = None
        self.status_by_id: dict[str, DeliveryStatus | None] = {}
        """Of the deliveries that changed; None of those that are forgotten."""
        self.held_by_destination: dict[str, Held | None] = {}
        """Of the destinations that are held from now on, or no more."""

    @property
    def rows(self) -> list[Row]:
        """What is to be written."""
        return list(self._changed.items())

    # --- deliveries

    def _defer(self, delivery: Delivery) -> bytes:
        key = delivery.deferred_key()
        self._put(key, delivery, "deferred")
        return key

    def _send(self, delivery: Delivery) -> bytes:
        """Lets it wait for its turn; where too many wait already, it is dead."""
        row = self._destination(delivery.destination)
        if row.waiting_count >= self._limits(delivery.destination).waiting_max:
            full = msgspec.structs.replace(delivery, why=f"{row.waiting_count} others wait, and no more may")
            self._close(full, b"", "dead")
            return b""
        self._put(delivery.key(), delivery, "waiting")
        self._put_destination(delivery.destination, msgspec.structs.replace(row, waiting_count=row.waiting_count + 1))
        return delivery.key()

    def _closed(self, id_: str) -> Closed | None:
        """The delivery, where it is done with and not forgotten."""
        stored = self._get(CLOSED + id_.encode())
        return None if stored is None else decode_closed(stored)

    def _saying(self, id_: str) -> bytes | None:
        """The key of the row that has what a delivery says, its own or that of the digest that it is part of: where it
        is deferred, waits or is dead."""
        closed = self._closed(id_)
        if closed is None:
            return self._get(PLACE + id_.encode())
        if closed.state == "dead":
            return CLOSED + id_.encode()
        return self._saying(closed.delivery.part_of) if closed.delivery.part_of else None

    def _delivery(self, key: bytes) -> Delivery:
        """The delivery in that row."""
        value = self._must(key)
        return decode_closed(value).delivery if key.startswith(CLOSED) else decode_delivery(value)

    def _put(self, key: bytes, delivery: Delivery, state: State) -> None:
        self._changed[key] = encode(delivery)
        self._changed[PLACE + delivery.id.encode()] = key
        self.status_by_id[delivery.id] = status_of(delivery, state, self._now_ms)

    def _close(self, delivery: Delivery, key: bytes, state: State) -> None:
        """It is done with. key: of its row, if it has one. Its content is kept only while it may be sent again."""
        self._changed[PLACE + delivery.id.encode()] = None
        if key:
            self._changed[key] = None
        if key.startswith(waiting_prefix(delivery.destination)):
            row = self._destination(delivery.destination)
            less = msgspec.structs.replace(row, waiting_count=row.waiting_count - 1)
            self._put_destination(delivery.destination, less)
        kept = delivery if state == "dead" else msgspec.structs.replace(delivery, content=b"")
        self._changed[CLOSED + delivery.id.encode()] = encode(Closed(kept, state, self._now_ms))
        self._changed[by_time_key(self._now_ms, delivery.id)] = b""
        self.status_by_id[delivery.id] = status_of(delivery, state, self._now_ms)

    # --- rows

    def _in_force(self) -> InForce | None:
        stored = self._get(CONFIG_KEY) if self._known is None else None
        if stored is not None:
            configuration = decode_configuration(stored)
            self._known = InForce(file_of(configuration.file), configuration.since_by_way)
        return self._known

    def _get(self, key: bytes) -> bytes | None:
        return self._changed[key] if key in self._changed else self._rows.get([key])[0]

    def _must(self, key: bytes) -> bytes:
        value = self._get(key)
        assert value is not None, f"the row {key!r} is written with the one that leads to it"
        return value

    def _number(self) -> int:
        """The next delivery's."""
        stored = self._get(NEXT_KEY)
        number = 0 if stored is None else int.from_bytes(stored, "big")
        self._changed[NEXT_KEY] = (number + 1).to_bytes(8, "big")
        return number

    def _destination(self, name: str) -> DestinationRow:
        stored = self._get(DESTINATION + name.encode())
        return DestinationRow() if stored is None else decode_destination(stored)

    def _limits(self, name: str) -> Limits:
        """What bounds the deliveries of a destination; of one that is configured no more, what bounds most."""
        in_force = self._in_force()
        return _NO_LIMITS if in_force is None else in_force.file.destinations.get(name, _NO_LIMITS)

    def _hold(self, name: str, was: DestinationRow, row: DestinationRow) -> None:
        """A destination that is held from now on, or no more; people are told where that is new."""
        held = held_of(name, row)
        if held != held_of(name, was):
            self.held_by_destination[name] = held
        self._put_destination(name, row)

    def _put_destination(self, name: str, row: DestinationRow) -> None:
        self._changed[DESTINATION + name.encode()] = encode(row)
