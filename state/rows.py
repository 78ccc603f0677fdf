"""The rows of the accounts table: their keys, in bytes that sort as they should, and their values.

| row        | key                                             | value                                         |
|------------|-------------------------------------------------|-----------------------------------------------|
| touchpoint | t account 0 event_id 0 source                   | the record's bytes, as they came              |
| container  | k layout account 0 kind id                      | ContainerRow                                  |
| chunk      | s layout account 0 kind id 0 order of its first | ChunkRow; the first chunk has no order        |
| timeline   | i account 0 order of its first                  | the order keys of neighbours in time, of a    |
|            |                                                 | large account; the first leaf has no order    |
| cell       | c version 0 cell                                | absolute contribution, decimal text; 0 where  |
|            |                                                 | there was one                                 |
| tally      | y version 0 account 0 kind id 0 cell            | how often or how much the container           |
|            |                                                 | contributes, decimal text; also of the cells  |
|            |                                                 | of its gate, and 1 of the person over a named |
|            |                                                 | session and of such a session under a person  |
| said       | a account 0 milestone 0 kind id 0 episode       | claims.Said: what was told of a milestone     |
| claim      | m version 0 account 0 kind id 0 episode         | claims.Claim: what is to be told of it later  |
| timer      | w due version 0 account 0 kind id 0 episode     | empty: when that is looked at; of an audience |
|            |                                                 | without 0 and episode                         |
| member     | b audience 0 account 0 kind id                  | memberships.Member: whether it is in it, and  |
|            |                                                 | since when                                    |
| event time | e                                               | greatest event time seen, decimal text        |
| accounts   | n layout                                        | how many accounts are in it, decimal text     |
| job        | j                                               | job.Job: the record that is applied in slices |
| layers     | l                                               | layers.LayersRow: which layout is whose       |
| layout     | L layout                                        | its definitions, encoded                      |
| waiting    | x order                                         | empty: a touchpoint of the account that is    |
|            |                                                 | moved in slices, still to be moved            |
| aside      | z version 0 cell                                | what that account is going to add to a cell,  |
|            |                                                 | decimal text                                  |

Ids hold no control characters, so a zero byte ends them. A layout is one byte, which is never zero.
"""

import struct
from collections.abc import Callable, Container, Iterator
from typing import Any

import msgspec

from streams.store import Rows
from streams.touchpoint import Touchpoint

EVENT_TIME_KEY = b"e"
JOB_KEY = b"j"
LAYERS_KEY = b"l"
SAID_PREFIX = b"a"
TIMERS_PREFIX = b"w"
WAITING_PREFIX = b"x"
ASIDE_PREFIX = b"z"
TOUCHPOINTS_PREFIX = b"t"
FIRST_LAYOUT = 1
_order = struct.Struct(">QQ").pack
ORDER_TIME_BYTES = 16
_LAYOUT_END = 2
_TIMER_BYTES = 9
_moment = struct.Struct(">Q").pack
_event_time = struct.Struct(">Q").unpack_from

pack = msgspec.msgpack.Encoder().encode
unpack = msgspec.msgpack.Decoder().decode


class ContainerRow(msgspec.Struct, array_like=True, gc=False):
    """One container: the states of its analyses and the open chunk of its series.

    last, first: order keys of its newest and oldest touchpoint. base: the packed states before the open chunk.
    entries: the chunk's packed entries one behind the other. siblings, sibling_count, last_type: account rows only,
    what its journey says.
    """

    last: bytes
    first: bytes
    touchpoint_count: int
    states: list[Any]
    base: bytes
    sealed_count: int
    entry_count: int
    entries: bytes
    last_type: str = ""
    siblings: bytes = b"[]"
    sibling_count: int = 0


class ChunkRow(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """A sealed stretch of a series: the packed states before it, and its packed entries."""

    base: bytes
    entry_count: int
    entries: bytes


encode_row = pack
decode_container = msgspec.msgpack.Decoder(ContainerRow).decode
decode_chunk = msgspec.msgpack.Decoder(ChunkRow).decode
decode_leaf = msgspec.msgpack.Decoder(list[bytes]).decode


def frozen(packed: Any) -> Any:
    """A cell as it was before it was packed: its lists as tuples."""
    return tuple(map(frozen, packed)) if isinstance(packed, list | tuple) else packed


def keys_of(account: bytes, touchpoint: Touchpoint) -> tuple[bytes, bytes]:
    """The row that makes an event count once, and its position in a series as bytes that sort like it."""
    event = f"{touchpoint.event_id}\0{touchpoint.source}".encode()
    return b"t%b\0%b" % (account, event), _order(touchpoint.event_time, touchpoint.source_sequence) + event


def event_time_of(order: bytes) -> int:
    """The event time, milliseconds, in an order key."""
    ms: int = _event_time(order)[0]
    return ms


def touchpoints_prefix(account: bytes) -> bytes:
    """What the keys of all touchpoints of an account begin with."""
    return b"t%b\0" % account


def counting_touchpoints(
    rows: Rows, account: bytes, decode: Callable[[bytes], Touchpoint], superseded: Container[bytes] = ()
) -> Iterator[tuple[bytes, Touchpoint]]:
    """An account's touchpoints that count, with their order keys, as their rows lie: by event, not by time.
    superseded: the keys of rows to leave out."""
    for key, value in rows.scan(touchpoints_prefix(account)):
        if key not in superseded:
            touchpoint = decode(value)
            if not touchpoint.withdrawn:
                yield keys_of(account, touchpoint)[1], touchpoint


def touchpoint_key(account: bytes, order: bytes) -> bytes:
    """The row of the touchpoint with this position in its series."""
    return touchpoints_prefix(account) + order[ORDER_TIME_BYTES:]


def timeline_prefix(account: bytes) -> bytes:
    """What the keys of the leaves of an account's timeline begin with."""
    return b"i%b\0" % account


def account_of(touchpoint: bytes) -> bytes:
    """The account in the key of a touchpoint's row."""
    return touchpoint[1 : touchpoint.index(b"\0")]


def behind_account(account: bytes) -> bytes:
    """A key behind all of an account's touchpoints and before those of the next."""
    return b"t%b\0\xff" % account


def layout_key(layout: int) -> bytes:
    """The row that says what a layout is of."""
    return b"L%c" % layout


def container_key(layout: int, account: bytes, kind: bytes, id_: bytes) -> bytes:
    """The row of one container."""
    return b"k%c%b\0%b%b" % (layout, account, kind, id_)


def account_count_key(layout: int) -> bytes:
    """The row that says how many accounts a layout has."""
    return b"n%c" % layout


def account_stems(layout: int, account: bytes) -> list[bytes]:
    """What the keys of all containers and chunks of an account begin with."""
    return [b"k%c%b\0" % (layout, account), b"s%c%b\0" % (layout, account)]


def layout_of(container: bytes) -> int:
    """The layout of the container with this key."""
    return container[1]


def version_stems(version: str) -> list[bytes]:
    """What the keys of all cells, tallies and claims of an analysis or milestone begin with."""
    return [b"%c%b\0" % (kind, version.encode()) for kind in b"cym"]


def account_version_stems(account: bytes, version: str) -> list[bytes]:
    """What the keys of all tallies and claims begin with that a version has of an account's containers."""
    return [b"%c%b\0%b\0" % (kind, version.encode(), account) for kind in b"ym"]


def containers_prefix(layout: int) -> bytes:
    """What the keys of all containers of a layout begin with."""
    return b"k%c" % layout


def place_of(container: bytes) -> bytes:
    """Which container a row's key is of, whatever its layout: `account 0 kind id`. Sorts as the keys do."""
    return container[_LAYOUT_END:]


def behind_places(account: bytes) -> bytes:
    """A place behind all of an account's and before those of the next."""
    return account + b"\0\xff"


def place_at(account: bytes, kind: bytes, id_: bytes) -> bytes:
    """The place of a container; of an account the id is empty."""
    return b"%b\0%b%b" % (account, kind, id_)


def parts_of(place: bytes) -> tuple[bytes, bytes, bytes]:
    """The account, the code of the kind and the id of a place."""
    account, _, rest = place.partition(b"\0")
    return account, rest[:1], rest[1:]


def kind_of(container: bytes) -> bytes:
    """The code of the kind of the container with this key."""
    place = container.index(b"\0", _LAYOUT_END) + 1
    return container[place : place + 1]


def chunks_prefix(container: bytes) -> bytes:
    """What the keys of a container's sealed chunks begin with."""
    return b"s%b\0" % container[1:]


def tally_key(container: bytes, cell_key: bytes) -> bytes:
    """How often one container contributes to a cell of distinct containers."""
    version, _, cell = cell_key.partition(b"\0")
    return b"y%b\0%b\0%b" % (version, container[2:], cell)


def tally_key_at(version: str, place: bytes, cell: bytes) -> bytes:
    """The same, of the container at a place; the cell packed. Without a cell what all its tallies begin with."""
    return b"y%b\0%b\0%b" % (version.encode(), place, cell)


def said_key(milestone: str, at: bytes) -> bytes:
    """What was told of a milestone. at: the place of the container, a zero byte, the episode (empty for none)."""
    account, _, rest = at.partition(b"\0")
    return b"a%b\0%b\0%b" % (account, milestone.encode(), rest)


def said_milestone_of(key: bytes) -> str:
    """The name of the milestone in the key of what was told."""
    return key.split(b"\0", 2)[1].decode()


def member_key(audience: str, at: bytes) -> bytes:
    """Whether a container is in an audience. at: its place."""
    return members_prefix(audience) + at


def members_prefix(audience: str) -> bytes:
    """What the keys of all who are or were in an audience begin with."""
    return b"b%b\0" % audience.encode()


def claim_key(version: str, at: bytes) -> bytes:
    """What is to be told of it later."""
    return b"m%b\0%b" % (version.encode(), at)


def timer_key(due_ms: int, version: str, at: bytes) -> bytes:
    """When that is looked at."""
    return b"w%b%b\0%b" % (_moment(due_ms), version.encode(), at)


def timer_of(key: bytes) -> tuple[int, str, bytes]:
    """When a timer is due, of which version, and `at`."""
    version, _, at = key[_TIMER_BYTES:].partition(b"\0")
    return _event_time(key, 1)[0], version.decode(), at


def account_tallies_prefix(account: bytes, version: str) -> bytes:
    """What the keys of the tallies of all containers of an account begin with."""
    return b"y%b\0%b\0" % (version.encode(), account)


def cell_row_key(cell_key: bytes) -> bytes:
    """The row of this partition's contribution to a cell."""
    return b"c" + cell_key


def encode_entry(order: bytes, projections: list[Any]) -> bytes:
    """One element of a series: its order key and what each analysis of the container reads of it."""
    return pack((order, projections))


def decode_entries(count: int, entries: bytes) -> list[list[Any]]:
    """The [order key, projections] of packed entries."""
    found: list[list[Any]] = unpack(b"\xdd" + count.to_bytes(4, "big") + entries)
    return found
