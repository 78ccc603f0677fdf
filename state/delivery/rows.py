"""The rows of the deliver stage: what one partition knows of its deliveries.

| row         | key                                   | value                                                        |
|-------------|---------------------------------------|--------------------------------------------------------------|
| config      | c                                     | the delivery file in force, and since when each route is     |
| next        | n                                     | the number of the next delivery                              |
| destination | d destination                         | how many wait; whether it is paused, or disabled itself      |
| head        | h destination 0 subject               | the newest revision planned for it, and what was said        |
| cooling     | k route 0 milestone 0 container       | when an alert of this milestone went this way last           |
| waiting     | o destination 0 number                | a delivery that is to be sent now, or again                  |
| deferred    | t due number                          | a delivery whose time has not come; it was never sent        |
| place       | i id                                  | the key of the waiting or deferred row                       |
| closed      | x id                                  | a delivery that is done with; its content while it is dead   |
| by time     | z closed id                           | nothing; for forgetting                                      |

The law: what is in a deferred row was never sent, for it becomes a waiting one by a commit before it is; so it can be
taken back without a trace. Numbers grow in the order in which deliveries came to wait, so a scan of them is in order.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, Protocol

import msgspec

from streams.delivery import FORMAT, DeliveryStatus, Held, State

CONFIG_KEY, NEXT_KEY = b"c", b"n"
DESTINATION, HEAD, COOLING, WAITING, DEFERRED, PLACE, CLOSED, BY_TIME = b"d", b"h", b"k", b"o", b"t", b"i", b"x", b"z"

Kind = Literal["alert", "change", "digest", "escalation"]
Operation = Literal["added", "changed", "removed"]


class Lookup(Protocol):
    """What is asked of rows here; a `streams.store.Rows` is one."""

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]: ...
    def scan(self, prefix: bytes, behind: bytes = b"") -> Iterable[tuple[bytes, bytes]]: ...


class Configuration(msgspec.Struct, frozen=True, array_like=True):
    """file: the delivery file's JSON. since_by_way: from when on (the broker's clock, ms) a route leads to a
    destination; what was said before is not for it."""

    file: bytes
    since_by_way: dict[str, int]


class DestinationRow(msgspec.Struct, frozen=True, array_like=True):
    """disabled: why it disabled itself, None while it has not. resumed_ms: since when it is sent to again, the broker's
    clock; 0 where it always was."""

    waiting_count: int = 0
    is_paused: bool = False
    disabled: str | None = None
    resumed_ms: int = 0


class Head(msgspec.Struct, frozen=True, array_like=True):
    """Of one subject at one destination. revision: the newest that came. told: what the receiver believes once all is
    sent that is planned: that it is so, that it is not, or nothing. first: the id of the first message about it, which
    corrections name. place: the row of the newest delivery, which may be gone. told_before: told without that one.
    is_acknowledged: of an escalation, that somebody looks after the alert, so that it is not escalated any more.
    newest, newest_before: the revision of the newest delivery, and of the one before it; -1 where there is none."""

    revision: int
    told: bool | None = None
    first: str | None = None
    place: bytes = b""
    told_before: bool | None = None
    is_acknowledged: bool = False
    newest: int = -1
    newest_before: int = -1


class Delivery(msgspec.Struct, frozen=True, array_like=True):
    """One message for one destination.

    lane: the container; within it deliveries are sent one after the other. content: JSON of the alert, the change, or
    for a digest of a list of them. operation: what it does to who keeps a table. corrects: the id of the message that
    said otherwise. due_ms: not before; of a waiting one the next try. begun_ms: when it began to wait. name: of the
    milestone or audience, empty for a digest. operations: of a digest's parts. part_of: the id of the digest in which
    it is sent, empty where it is sent by itself. is_held: of a change, see `state.delivery.message.Said`.
    """

    id: str
    number: int
    destination: str
    route: str
    kind: Kind
    lane: str
    subject: str
    revision: int
    operation: Operation
    content: bytes
    corrects: str | None
    created_ms: int
    begun_ms: int
    due_ms: int
    attempts: int = 0
    why: str | None = None
    digest: bool = False
    name: str = ""
    operations: list[Operation] = []
    part_of: str = ""
    is_held: bool = False

    @property
    def whose(self) -> str:
        """The container, as people read it; nothing of a digest."""
        if self.kind == "digest":
            return ""
        account, kind, container = self.lane.split("\0")
        return f"{account}, {kind} {container}" if container else account

    def part_operations(self, count: int) -> Sequence[Operation]:
        """What each of its parts does, of which there are so many."""
        return self.operations or [self.operation] * count

    def key(self) -> bytes:
        """Of its row while it waits."""
        return waiting_prefix(self.destination) + self.number.to_bytes(8, "big")

    def deferred_key(self) -> bytes:
        """Of its row while it is deferred."""
        return DEFERRED + self.due_ms.to_bytes(8, "big") + self.number.to_bytes(8, "big")


class Closed(msgspec.Struct, frozen=True, array_like=True):
    """A delivery that is done with."""

    delivery: Delivery
    state: State
    closed_ms: int


def waiting_prefix(destination: str) -> bytes:
    return WAITING + destination.encode() + b"\0"


def head_key(destination: str, subject: str) -> bytes:
    return HEAD + destination.encode() + b"\0" + subject.encode()


def cooling_key(route: str, milestone: str, lane: str) -> bytes:
    return COOLING + b"\0".join((route.encode(), milestone.encode(), lane.encode()))


def by_time_key(closed_ms: int, id_: str) -> bytes:
    return BY_TIME + closed_ms.to_bytes(8, "big") + id_.encode()


encode = msgspec.msgpack.Encoder().encode
decode_configuration = msgspec.msgpack.Decoder(Configuration).decode
decode_destination = msgspec.msgpack.Decoder(DestinationRow).decode
decode_head = msgspec.msgpack.Decoder(Head).decode
decode_delivery = msgspec.msgpack.Decoder(Delivery).decode
decode_closed = msgspec.msgpack.Decoder(Closed).decode


def status_of(delivery: Delivery, state: State, changed_ms: int) -> DeliveryStatus:
    """What people are told of it."""
    return DeliveryStatus(
        format=FORMAT,
        id=delivery.id,
        destination=delivery.destination,
        route=delivery.route,
        kind=delivery.kind,
        subject=delivery.subject,
        name=delivery.name,
        whose=delivery.whose,
        revision=delivery.revision,
        state=state,
        attempts=delivery.attempts,
        created_ms=delivery.created_ms,
        due_ms=delivery.due_ms,
        changed_ms=changed_ms,
        why=delivery.why,
    )


def held_of(destination: str, row: DestinationRow) -> Held | None:
    """What people are told of a destination to which nothing is sent for now."""
    if not row.is_paused and row.disabled is None:
        return None
    return Held(FORMAT, destination, row.is_paused, row.disabled)


def state_of_key(key: bytes) -> State:
    """The state of a delivery that is not closed, by the key of its row."""
    return "waiting" if key.startswith(WAITING) else "deferred"
