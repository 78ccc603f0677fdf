"""Applies records as the writer does where a commit holds no chunk and a slice one: whatever changes the past of a
container is cut, and between any two slices the stage is made anew, as after a crash."""

from collections.abc import Sequence

import pytest

from state.account_batch import Outcome
from state.accounts import Accounts
from state.layers import Layers
from streams.batch import BatchTooLargeError
from streams.store import Row
from streams.touchpoint import Touchpoint
from tests.state.memory_store import MemoryStore
from tests.state.worlds import Record

UNSEEN = (b"s", b"j")  # chunks and the job: nothing that is published comes from them


class SlicingOwner:
    """Owns a store. slice_counts: into how many each record that was cut."""

    def __init__(self, layers: Layers, store: MemoryStore) -> None:
        self._layers = layers
        self._store = store
        self._next_offset = 0
        self.slice_counts: list[int] = []

    def take(self, touchpoints: Sequence[Touchpoint]) -> None:
        """Commits the next records of the input."""
        records = [Record(touchpoint, self._next_offset + n) for n, touchpoint in enumerate(touchpoints)]
        self._next_offset += len(records)
        self._apply(records)

    def _apply(self, records: list[Record]) -> None:
        if len(records) == 1:
            self._apply_in_slices(records[0])
            return
        rows = self._accounts().compute(records).rows
        if any(key.startswith(b"s") for key, _ in rows):
            middle = len(records) // 2
            self._apply(records[:middle])
            self._apply(records[middle:])
        else:
            self._store.apply(rows)

    def _apply_in_slices(self, record: Record) -> None:
        before, count = self._seen(), 0
        while not isinstance(piece := self._accounts().slice(record), Outcome):
            if piece is None:
                self._store.apply(self._accounts().compute([record]).rows)
                return
            self._commit_slice(piece, record)
            assert self._seen() == before
            count += 1
        self._store.apply(piece.rows)
        self.slice_counts.append(count + 1)

    def _commit_slice(self, rows: list[Row], record: Record) -> None:
        assert {key[:1] for key, _ in rows} <= set(UNSEEN)
        self._store.apply(rows)
        with pytest.raises(BatchTooLargeError, match="not done yet"):
            self._accounts().compute([record])

    def _accounts(self) -> Accounts:
        return Accounts(self._layers, self._store)

    def _seen(self) -> dict[bytes, bytes]:
        return {key: value for key, value in self._store.rows.items() if not key.startswith(UNSEEN)}
