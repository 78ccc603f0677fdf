"""A store in memory: the second implementation of the contract, for tests of what lies above it."""

from collections.abc import Iterable, Iterator, Sequence

from streams.store import Position, Row


class MemoryStore:
    """Rows in a dictionary; sorts when asked for neighbours."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}
        self._position: Position | None = None

    def position(self) -> Position | None:
        return self._position

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self.rows.get(key) for key in keys]

    def scan(self, prefix: bytes, behind: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        yield from sorted((key, value) for key, value in self.rows.items() if key.startswith(prefix) and key > behind)

    def floor(self, prefix: bytes, key: bytes) -> tuple[bytes, bytes] | None:
        return max(((k, v) for k, v in self.scan(prefix) if k <= key), default=None)

    def after(self, prefix: bytes, key: bytes) -> tuple[bytes, bytes] | None:
        return min(((k, v) for k, v in self.scan(prefix) if k > key), default=None)

    def write(self, rows: Iterable[Row], position: Position, expected: Position | None) -> None:
        if self._position != expected:
            raise RuntimeError(f"the store stands at {self._position}, not at {expected}")
        self.apply(rows)
        self._position = position

    def apply(self, rows: Sequence[Row]) -> None:
        """Writes rows without a position, for tests of stages."""
        for key, value in rows:
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value

    def wipe(self) -> None:
        self.rows.clear()
        self._position = None

    def close(self) -> None:
        pass
