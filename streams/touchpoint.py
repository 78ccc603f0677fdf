"""The touchpoint on the wire: one normalised event (`docs/semantics.md`, Events), msgpack as an array.

The fields that definitions read stand first, so that a stage which needs few of them decodes a prefix
(`prefix_decoder`) and msgspec skips the tail. The record's key is the account's id in UTF-8, its topic `touchpoints`.
"""

from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Any, cast

import msgspec

Scalar = str | int | float | bool

EVENT_TIME_MAX_MS = 7_258_118_400_000  # 2200-01-01T00:00:00Z
MILLIONTHS = 1_000_000


class Touchpoint(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """One event of one account.

    Times are integer milliseconds UTC; `value` is an integer of millionths of one currency; `stream` is `web` or
    `crm`, the topic it came in by; `origin` is (topic, partition, offset) of the source record.
    """

    event_id: str
    source: str
    event_time: int
    source_sequence: int
    withdrawn: bool
    type: str
    opportunity: str | None
    content_type: str | None
    person: str | None
    buying_group: str | None
    session: str | None
    stream: str
    channel: str | None
    content: str | None
    campaign: str | None
    marketing_event: str | None
    value: int | None
    attributes: dict[str, Scalar] | None
    account: str
    global_account: str | None
    revision: int
    ingest_time: int
    origin: tuple[str, int, int] | None


FIELDS: tuple[str, ...] = Touchpoint.__struct_fields__
_TYPE_BY_FIELD = Touchpoint.__annotations__

# What every stage needs to tell one event from another and to put it in order.
IDENTITY_FIELDS = ("event_id", "source", "event_time", "source_sequence", "withdrawn")

encode_touchpoint: Callable[[Touchpoint], bytes] = msgspec.msgpack.Encoder().encode
decode_touchpoint: Callable[[bytes], Touchpoint] = msgspec.msgpack.Decoder(Touchpoint).decode


def prefix_decoder(fields: Iterable[str]) -> Callable[[bytes], Touchpoint]:
    """A decoder of the shortest prefix of a touchpoint that holds `fields` and the identity fields.

    What it returns has those attributes only. Raises ValueError for a name that no touchpoint has.
    """
    wanted = {*fields, *IDENTITY_FIELDS}
    if unknown := wanted - set(FIELDS):
        raise ValueError(f"no touchpoint has {sorted(unknown)}; the fields are {', '.join(FIELDS)}")
    last = max(FIELDS.index(name) for name in wanted)
    prefix = [(name, _TYPE_BY_FIELD[name]) for name in FIELDS[: last + 1]]
    struct = msgspec.defstruct("TouchpointPrefix", prefix, array_like=True, gc=False, frozen=True)
    return cast(Callable[[bytes], Touchpoint], msgspec.msgpack.Decoder(cast(Any, struct)).decode)


def order_of(touchpoint: Touchpoint) -> tuple[int, int, str, str]:
    """The position of a touchpoint within its container's series."""
    return (touchpoint.event_time, touchpoint.source_sequence, touchpoint.event_id, touchpoint.source)


def version_of(touchpoint: Touchpoint) -> tuple[int, bytes]:
    """What decides between two payloads of one event: the higher revision, then the greater hash of the canonical
    touchpoint (without ingest time and origin), so that the order of arrival decides nothing."""
    canonical = msgspec.structs.replace(touchpoint, ingest_time=0, origin=None)
    return touchpoint.revision, blake2b(encode_touchpoint(canonical), digest_size=16).digest()
