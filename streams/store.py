"""What the commit protocol needs of a place to keep one partition's rows. `state.store` has the one on RocksDB."""

from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

Row = tuple[bytes, bytes | None]  # key, value; None deletes


class Position(msgspec.Struct, frozen=True, array_like=True):
    """How far a store has read its changelog. It moves in the same write as the rows it speaks of.

    next_offset: the changelog offset to read next.
    commit_offset: the offset of the last commit's first record, the tag of what it published; -1 before the first.
    written_at: the broker's append time (ms) of the newest record in the store.
    topic_id: the changelog's topic id; generation: of the application. Rows of another are not ours.
    """

    next_offset: int
    commit_offset: int
    written_at: int
    topic_id: str
    generation: int


class Rows(Protocol):
    """Rows of one partition as they are read, ordered by their byte keys."""

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of `keys`, in their order."""

    def scan(self, prefix: bytes, behind: bytes = b"") -> Iterable[tuple[bytes, bytes]]:
        """The rows whose key begins with `prefix` and lies behind `behind`, in the order of their keys; read page by
        page, so that any number of them takes little memory. The store is not written while they are being read."""

    def floor(self, prefix: bytes, key: bytes) -> tuple[bytes, bytes] | None:
        """The last row at or before `key` among those that begin with `prefix`."""

    def after(self, prefix: bytes, key: bytes) -> tuple[bytes, bytes] | None:
        """The first row behind `key` among those that begin with `prefix`."""


class Store(Rows, Protocol):
    """Rows of one partition. Keys that begin with `!` belong to the protocol."""

    def position(self) -> Position | None:
        """Where the store stands, or None when it is empty."""

    def write(self, rows: Iterable[Row], position: Position, expected: Position | None) -> None:
        """Writes rows and position together; of one key's rows the last counts.

        Raises RuntimeError when the store does not stand at `expected`.
        """

    def wipe(self) -> None:
        """Forgets every row and the position."""

    def close(self) -> None:
        """Releases the files; the store is not used afterwards."""
