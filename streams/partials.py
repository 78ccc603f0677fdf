"""The `partials` topic: what each source partition contributes to each cell, and what that covers.

Key of a cell: the analysis' version id, a zero byte, the cell as a msgpack array (`docs/formats.md` lists the cells of
each kind). Value: the tag of the commit and the absolute contribution. A commit's changed cells and its `covers`
record are one record batch, so a reader that has seen `covers` has seen what it covers. Readers keep, per key and
partition, the highest tag. Keys that begin with `!` are the protocol's.
"""

from typing import Any

import msgspec

COVERS_KEY = b"covers"

Cell = tuple[Any, ...]


class Tag(msgspec.Struct, frozen=True, array_like=True, order=True):
    """Where a published value comes from: the changelog offset of its commit, within a generation. Higher is newer."""

    generation: int
    offset: int


class Covers(msgspec.Struct, frozen=True, array_like=True):
    """What a partition's cells contain: input offsets applied (the last one, per topic), the committed clock and the
    greatest event time seen, both in milliseconds, and the hash of the definition set. failing: the offset of the
    record behind the applied ones on which the computation fails, by its topic; most often nothing. complete: the
    analysis versions that count all accounts; building: those that count only some yet: how many, and how many there
    are."""

    tag: Tag
    applied: dict[str, int]
    clock_ms: int
    event_time_max_ms: int
    definitions_hash: str
    failing: dict[str, int] = {}
    complete: list[str] = []
    building: dict[str, tuple[int, int]] = {}


_pack = msgspec.msgpack.Encoder().encode
_unpack_cell = msgspec.msgpack.Decoder(tuple).decode
_unpack_value = msgspec.msgpack.Decoder(tuple[Tag, int | str]).decode
decode_covers = msgspec.msgpack.Decoder(Covers).decode
_INT64 = range(-(2**63), 2**64)


def encode_covers(covers: Covers) -> bytes:
    """The value of a `covers` record."""
    return _pack(covers)


def encode_cell(version: str, cell: Cell) -> bytes:
    """The key of a cell of one analysis version."""
    return version.encode() + b"\0" + _pack(cell)


def decode_cell(key: bytes) -> tuple[str, Cell]:
    """(version id, cell); arrays inside a cell come back as lists."""
    version, _, cell = key.partition(b"\0")
    return version.decode(), _unpack_cell(cell)


def version_of(key: bytes) -> str:
    """The analysis version in a cell's key."""
    return key[: key.index(b"\0")].decode()


def encode_partial(tag: Tag, value: int) -> bytes:
    """The value of a cell's record; sums beyond 64 bits travel as decimal text."""
    return _pack((tag, value if value in _INT64 else str(value)))


def decode_partial(value: bytes) -> tuple[Tag, int]:
    """(tag, absolute contribution)."""
    tag, number = _unpack_value(value)
    return tag, int(number)
