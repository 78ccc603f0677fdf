"""The topics of the deliver agent. `delivery-orders`: what people order, the same record on every partition.
`deliveries`, compacted, key: the delivery's id: where each delivery stands; beside them, under keys of the protocol's
kind, the destinations to which a partition sends nothing for now. Values: JSON.

The law: an order is an input like any other, so it takes effect at one place in each partition's order, stays in effect
whoever owns the partition, and is lost by no crash. No secret stands on these topics: destinations name theirs.
"""

from typing import Any, Literal

import msgspec

from streams.protocol_rows import PROTOCOL_PREFIX

FORMAT = 1


class Configure(msgspec.Struct, frozen=True, tag="configure", tag_field="order"):
    """From here on these destinations and routes. file: a `state.delivery.configuration.DeliveryFile` as JSON."""

    file: dict[str, Any]


class Pause(msgspec.Struct, frozen=True, tag="pause", tag_field="order"):
    """Nothing is sent to the destination; what comes for it waits."""

    destination: str


class Resume(msgspec.Struct, frozen=True, tag="resume", tag_field="order"):
    """It is sent to again, whether it was paused or disabled itself."""

    destination: str


class Retry(msgspec.Struct, frozen=True, tag="retry", tag_field="order"):
    """A dead delivery is tried anew, under its id."""

    id: str


class Acknowledge(msgspec.Struct, frozen=True, tag="acknowledge", tag_field="order"):
    """Somebody looks after an alert, so it is not escalated."""

    alert: str


Order = Configure | Pause | Resume | Retry | Acknowledge

encode_order = msgspec.json.Encoder().encode
decode_order = msgspec.json.Decoder(Order).decode

State = Literal["deferred", "waiting", "delivered", "dead", "superseded", "withdrawn"]
"""deferred: until quiet hours end, a digest is due or an alert is escalated. superseded: a newer one of the same, or a
digest, is sent in its place. withdrawn: taken back before it was sent."""


class DeliveryStatus(msgspec.Struct, frozen=True):
    """Where a delivery stands. kind: alert, change, digest or escalation; subject: the alert's id, or audience and
    container; name: of the milestone or audience; whose: the container, for people; due_ms: when it is tried next; why:
    of the last try that failed, or why it is dead. Milliseconds UTC."""

    format: int
    id: str
    destination: str
    route: str
    kind: str
    subject: str
    revision: int
    state: State
    attempts: int
    created_ms: int
    due_ms: int
    changed_ms: int
    why: str | None
    name: str = ""
    whose: str = ""


class Held(msgspec.Struct, frozen=True):
    """A destination to which a partition sends nothing for now: people paused it, or it disabled itself, and why."""

    format: int
    destination: str
    is_paused: bool
    disabled: str | None

    def merged(self, other: "Held | None") -> "Held":
        """What holds for all partitions together: on one it may have disabled itself, and on another not yet."""
        if other is None:
            return self
        return Held(self.format, self.destination, self.is_paused or other.is_paused, self.disabled or other.disabled)


HELD_PREFIX = PROTOCOL_PREFIX.decode() + "held "
"""Of the key, before the destination. Without a value it is sent to again."""

encode_held = msgspec.json.Encoder().encode
decode_held = msgspec.json.Decoder(Held).decode
encode_status = msgspec.json.Encoder().encode
decode_status = msgspec.json.Decoder(DeliveryStatus).decode
