"""The message that webhooks get: what happened, as JSON, under the delivery's id.

`{"type": "milestone.asserted", "timestamp": ..., "id": ..., "corrects": ..., "data": ...}`; data is the alert or change
as it stands on its topic, of a digest a list of them.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from state.delivery.rows import Delivery
from streams.alert import Alert, decode_alert
from streams.membership import MembershipChange, decode_change


class WebhookMessage(msgspec.Struct, frozen=True):
    """type: milestone.asserted, milestone.revoked, milestone.escalated, audience.entered, audience.changed,
    audience.exited or digest. timestamp: when we knew, RFC 3339. corrects: the id of the first message about the same;
    null for that one."""

    type: str
    timestamp: str
    id: str
    corrects: str | None
    data: msgspec.Raw


_encode = msgspec.json.Encoder().encode


def webhook_body(delivery: Delivery) -> bytes:
    """The message as JSON."""
    return _encode(
        WebhookMessage(
            type=type_of(delivery),
            timestamp=rfc3339(delivery.created_ms),
            id=delivery.id,
            corrects=delivery.corrects,
            data=msgspec.Raw(delivery.content),
        )
    )


def webhook_value(delivery: Delivery) -> dict[str, Any]:
    """The same for a template."""
    value: dict[str, Any] = msgspec.json.decode(webhook_body(delivery))
    return value


def type_of(delivery: Delivery) -> str:
    """What kind of thing happened."""
    if delivery.kind == "digest":
        return "digest"
    if delivery.kind == "change":
        return f"audience.{decode_change(delivery.content).change}"
    if delivery.operation == "removed":
        return "milestone.revoked"
    return "milestone.escalated" if delivery.kind == "escalation" else "milestone.asserted"


def verb_of(change: MembershipChange) -> str:
    """What a container did, before the audience's name."""
    return "changed in" if change.change == "changed" else change.change


def parts_of(delivery: Delivery) -> list[Alert | MembershipChange]:
    """What it says, in order: one, but of a digest."""
    return [_decoded(each) for each in contents_of(delivery)]


def contents_of(delivery: Delivery) -> list[bytes]:
    """The same, as the JSON of each."""
    if delivery.kind != "digest":
        return [delivery.content]
    return [bytes(each) for each in msgspec.json.decode(delivery.content, type=list[msgspec.Raw])]


def list_of(contents: Iterable[bytes]) -> bytes:
    """The content of a digest of these."""
    return b"[" + b",".join(contents) + b"]"


def _decoded(content: bytes) -> Alert | MembershipChange:
    # An alert has a milestone and a change has none; neither kind is tagged on its topic.
    if "milestone" in msgspec.json.decode(content, type=dict[str, msgspec.Raw]):
        return decode_alert(content)
    return decode_change(content)


def rfc3339(at_ms: int) -> str:
    """The instant in UTC, to the millisecond."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
