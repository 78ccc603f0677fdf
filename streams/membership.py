"""The topics of audiences. `audience-changes`: each entry and exit, and what becomes of a member's attributes, key
`audience 0 kind 0 account 0 id`; `audience-members`, compacted, the same key: who is in now. Values: JSON.

A reader keeps, per key, the highest revision: entered, exited and entered again are revisions 1, 2, 3.
`schemas/membership-change.v1.json` is exported from here.
"""

from typing import Literal

import msgspec

from streams.store import Row

FORMAT = 1


class MembershipChange(msgspec.Struct, frozen=True):
    """A container that came into an audience, or left it, or is in and has other attributes.

    id: of this change: a function of audience, container and revision, the same after any crash. kind: account,
    opportunity, buying_group or person; container: its id, null for the account itself. reason: in words, what turned.
    attributes: what the audience's definition says to bring along (an e-mail, a domain), newest known.
    happened_ms: by event time or when time brought it about, of attributes when it was known; known_ms: the broker's
    clock when it was committed. since_ms: happened_ms of the entry or exit. former_attributes: those that were told
    before, with a change or an exit, so that whoever keeps a list by them finds the member; a delivery that comes in
    the place of others names what these might have told as well.
    """

    format: int
    id: str
    revision: int
    change: Literal["entered", "changed", "exited"]
    audience: str
    version: str
    kind: str
    account: str
    container: str | None
    reason: str
    attributes: dict[str, str]
    happened_ms: int
    known_ms: int
    since_ms: int = 0
    former_attributes: list[dict[str, str]] = []


def membership_key(change: MembershipChange) -> bytes:
    """The key of its records: the same for every change of a container in an audience."""
    return "\0".join((change.audience, change.kind, change.account, change.container or "")).encode()


encode_change = msgspec.json.Encoder().encode
decode_change = msgspec.json.Decoder(MembershipChange).decode


def member_record(record: Row) -> Row:
    """What a record of `audience-changes` is for `audience-members`: who exits is deleted."""
    key, value = record
    return key, value if value is not None and decode_change(value).change != "exited" else None
