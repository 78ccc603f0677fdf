"""What comes in, as the outbox sees it: an alert or a change, with the container that it is about."""

from hashlib import blake2b
from typing import NamedTuple

import msgspec

from streams.alert import Alert
from streams.membership import MembershipChange, decode_change, encode_change

ID_PREFIX = "msg_"
FORMER_MAX = 20
ESCALATION = "escalation\0"
"""What the subject of an escalation has before the alert's."""


class Message(NamedTuple):
    """subject: what revisions are counted of. lane: the container, by which order is kept. name: of the milestone or
    audience. is_there: asserted or entered, and not taken back. is_update: nothing to who was not told of it before.
    known_ms: the broker's clock when it was said."""

    subject: str
    revision: int
    is_there: bool
    is_update: bool
    lane: str
    is_alert: bool
    name: str
    tier: str | None
    known_ms: int


def message_of_alert(alert: Alert) -> Message:
    who = alert.who
    lane = _lane(who.account, who.kind, who.id)
    is_there = alert.state == "asserted"
    return Message(alert.id, alert.revision, is_there, False, lane, True, alert.milestone, alert.tier, alert.known_ms)


def message_of_change(change: MembershipChange) -> Message:
    lane = _lane(change.account, change.kind, change.container)
    is_there = change.change != "exited"
    subject = f"{change.audience}\0{lane}"
    is_update = change.change == "changed"
    return Message(subject, change.revision, is_there, is_update, lane, False, change.audience, None, change.known_ms)


def message_of(part: Alert | MembershipChange) -> Message:
    """Of either."""
    return message_of_alert(part) if isinstance(part, Alert) else message_of_change(part)


class Said(NamedTuple):
    """What a change says. content: its JSON. is_held: whether the receiver may hold the member by its newest attributes
    before it hears that, which are no former ones for that reason."""

    content: bytes
    is_held: bool = False


def in_place_of(newer: Said, unsent: Said, *, may_be_sent: bool) -> Said:
    """A change in the place of one that is not sent, so that it says what both do: an entry is one still, and the
    attributes by which the receiver may hold the member are those that the former one named, and its own if it was
    sent after all. Of many the oldest: of those some were told for certain."""
    change, before = decode_change(newer.content), decode_change(unsent.content)
    if change.change == "changed" and before.change == "entered":
        change = msgspec.structs.replace(change, change="entered", reason=before.reason, happened_ms=before.happened_ms)
    held = [*before.former_attributes]
    if may_be_sent or unsent.is_held:
        held.append(before.attributes)
    if may_be_sent:
        held += change.former_attributes
    now = {} if change.change == "exited" else change.attributes
    former: list[dict[str, str]] = []
    for each in held:
        if each not in ({}, now, *former):
            former.append(each)
    change = msgspec.structs.replace(change, former_attributes=former[:FORMER_MAX])
    return Said(encode_change(change), newer.is_held or now in held)


def _lane(account: str, kind: str, container: str | None) -> str:
    return "\0".join((account, kind, container or ""))


def delivery_id(destination: str, kind: str, subject: str, revision: int) -> str:
    """The id of a delivery: the same whoever makes it, after whatever crash."""
    text = "\0\0".join((destination, kind, subject, str(revision)))
    return ID_PREFIX + blake2b(text.encode(), digest_size=16).hexdigest()
