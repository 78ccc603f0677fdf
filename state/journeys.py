"""The `journeys` topic: per account where it stands now. `schemas/journey.v1.json` is exported from here.

The message lists the account itself and those of its opportunities, buying groups and people that stand somewhere:
nodes reached per canvas, first days of the periods they are included in per cohort. Up to `SIBLINGS_MAX` are listed;
`container_count` counts all that stand somewhere. Sessions are not listed. Key: the account; readers keep the
highest tag.
"""

from typing import Any

import msgspec

from state.rows import ContainerRow, event_time_of
from streams.partials import Tag

SIBLINGS_MAX = 200


class Standing(msgspec.Struct, frozen=True, gc=False):
    """One container: nodes reached by canvas, first days of included periods by cohort."""

    kind: str
    id: str
    canvas: dict[str, list[str]] = {}
    cohort: dict[str, list[str]] = {}


class LastTouchpoint(msgspec.Struct, frozen=True, gc=False):
    """The newest touchpoint; event_time in milliseconds UTC."""

    event_time: int
    type: str
    source: str
    event_id: str


class Journey(msgspec.Struct, frozen=True, gc=False):
    """Where an account stands; `containers` lists itself first."""

    format: int
    tag: Tag
    account: str
    touchpoint_count: int
    last_touchpoint: LastTouchpoint | None
    container_count: int
    containers: list[Standing]


class _Message(msgspec.Struct, gc=False):
    """Journey with its siblings as the JSON text that the account's row holds."""

    format: int
    tag: Tag
    account: str
    touchpoint_count: int
    last_touchpoint: LastTouchpoint | None
    container_count: int
    containers: msgspec.Raw


_to_json = msgspec.json.Encoder().encode
_from_json = msgspec.json.Decoder(list[Standing]).decode
decode_journey = msgspec.json.Decoder(Journey).decode


def encode_journey(tag: Tag, account: bytes, row: ContainerRow | None, positions: dict[str, dict[str, Any]]) -> bytes:
    """The account's message, from its row; without a row the account has no touchpoint any more."""
    own = _to_json(Standing("account", account.decode(), **positions))
    if row is None:
        containers, last, count, siblings = b"[" + own + b"]", None, 0, 0
    else:
        rest = row.siblings[1:-1]
        containers = b"[" + own + (b"," if rest else b"") + rest + b"]"
        event_id, _, source = row.last[16:].decode().partition("\0")
        last = LastTouchpoint(event_time_of(row.last), row.last_type, source, event_id)
        count, siblings = row.touchpoint_count, row.sibling_count
    return _to_json(_Message(1, tag, account.decode(), count, last, siblings + 1, msgspec.Raw(containers)))


def with_sibling(
    row: ContainerRow, kind: str, id_: str, before: dict[str, Any], after: dict[str, dict[str, Any]]
) -> None:
    """Notes in the account's row where one of its containers stood and stands now; empty positions are nowhere."""
    row.sibling_count += bool(after) - bool(before)
    listed = {(standing.kind, standing.id): standing for standing in _from_json(row.siblings)}
    listed.pop((kind, id_), None)
    if after:
        listed[kind, id_] = Standing(kind, id_, **after)
    row.siblings = _to_json([listed[place] for place in sorted(listed)[:SIBLINGS_MAX]])
