"""Rows in memory, for trying a delivery file over the past: what the outbox asks for, and nothing on disk."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence

from streams.store import Row


class RowMemory:
    """Rows by their keys, in order."""

    def __init__(self) -> None:
        self._value_by_key: dict[bytes, bytes] = {}
        self._keys: list[bytes] = []

    def apply(self, rows: Iterable[Row]) -> None:
        """Writes rows; of one key the last counts."""
        for key, value in rows:
            if value is None:
                if self._value_by_key.pop(key, None) is not None:
                    del self._keys[bisect_left(self._keys, key)]
                continue
            if key not in self._value_by_key:
                insort(self._keys, key)
            self._value_by_key[key] = value

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self._value_by_key.get(key) for key in keys]

    def scan(self, prefix: bytes, behind: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        place = max(bisect_left(self._keys, prefix), bisect_right(self._keys, behind) if behind else 0)
        while place < len(self._keys) and self._keys[place].startswith(prefix):
            key = self._keys[place]
            yield key, self._value_by_key[key]
            place += 1
