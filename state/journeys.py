"""The `journeys` topic: per account where it stands now. `schemas/journey.v1.json` is exported from here.

The message says where the account itself stands and lists those of its opportunities, buying groups and people that
stand somewhere: nodes reached per canvas, first days of the periods they are included in per cohort. Up to
`SIBLINGS_MAX` are listed; `container_count` counts all that stand somewhere. Sessions are not listed. Key: the
account; readers keep the highest tag.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from state.plan import KindPlan
from state.rows import ORDER_TIME_BYTES, ContainerRow, event_time_of
from streams.partials import Tag
from streams.store import Row

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
    """Where an account stands: itself in `canvas` and `cohort`, what lies under it in `containers`."""

    format: int
    tag: Tag
    account: str
    touchpoint_count: int
    last_touchpoint: LastTouchpoint | None
    canvas: dict[str, list[str]]
    cohort: dict[str, list[str]]
    container_count: int
    containers: list[Standing]


class _Untagged(msgspec.Struct, gc=False):
    """Journey without its format and tag, and with its containers as the JSON text that the account's row holds."""

    account: str
    touchpoint_count: int
    last_touchpoint: LastTouchpoint | None
    canvas: dict[str, list[str]]
    cohort: dict[str, list[str]]
    container_count: int
    containers: msgspec.Raw


_to_json = msgspec.json.Encoder().encode
_from_json = msgspec.json.Decoder(list[Standing]).decode
decode_journey = msgspec.json.Decoder(Journey).decode

Positions = dict[str, dict[str, Any]]  # kind of analysis → its name → where the container stands in it
_NOWHERE: dict[str, Any] = {}
_NO_CONTAINERS = msgspec.Raw(b"[]")


def journey_of(account: bytes, row: ContainerRow | None, plan: KindPlan) -> bytes:
    """What follows the tag in the account's message, from its row; without one it has no touchpoint any more."""
    if row is None:
        return _to_json(_Untagged(account.decode(), 0, None, _NOWHERE, _NOWHERE, 0, _NO_CONTAINERS))[1:]
    event_id, _, source = row.last[ORDER_TIME_BYTES:].decode().partition("\0")
    positions = plan.positions(row.states)
    return _to_json(
        _Untagged(
            account.decode(),
            row.touchpoint_count,
            LastTouchpoint(event_time_of(row.last), row.last_type, source, event_id),
            positions.get("canvas", _NOWHERE),
            positions.get("cohort", _NOWHERE),
            row.sibling_count,
            msgspec.Raw(row.siblings),
        )
    )[1:]


def tagged(tag: Tag, journeys: Iterable[tuple[bytes, bytes]]) -> list[Row]:
    """The records of accounts, of what follows the tag in their messages."""
    head = b'{"format":1,"tag":%b,' % _to_json(tag)
    return [(account, head + rest) for account, rest in journeys]


def with_sibling(row: ContainerRow, kind: str, id_: str, before: Positions, after: Positions) -> bool:
    """Notes in the account's row where one of its containers stood and stands now; empty positions are nowhere.

    False when a place in the list is free for a container that it does not know: then `list_siblings`.
    """
    row.sibling_count += bool(after) - bool(before)
    listed = {(standing.kind, standing.id): standing for standing in _from_json(row.siblings)}
    listed.pop((kind, id_), None)
    if after:
        listed[kind, id_] = Standing(kind, id_, **after)
    row.siblings = _to_json([listed[place] for place in sorted(listed)[:SIBLINGS_MAX]])
    return len(listed) >= min(row.sibling_count, SIBLINGS_MAX)


def list_siblings(row: ContainerRow, standings: Iterable[Standing]) -> None:
    """Makes the list anew of all containers under the account that stand somewhere."""
    ordered = sorted(standings, key=lambda standing: (standing.kind, standing.id))
    row.sibling_count = len(ordered)
    row.siblings = _to_json(ordered[:SIBLINGS_MAX])
