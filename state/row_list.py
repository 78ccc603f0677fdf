"""The rows of one commit as they are collected, and how many bytes they are.

The law: whoever collects stops soon after they can not fit a commit any more, so that memory is bounded, whatever a
batch changes. Sizes are looked at every few hundred rows, for a count per row would cost the hot path.
"""

from itertools import chain

from streams.batch import RAW_BYTES_MAX, BatchTooLargeError
from streams.store import Row

BYTES_MAX = RAW_BYTES_MAX
ROWS_PER_LOOK = 256


class RowList:
    """Rows in the order in which they are written; of one key the last counts."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._counted = 0
        self._byte_count = 0

    def put(self, row: Row) -> None:
        """Adds a row. Raises BatchTooLargeError when they can not be one commit any more."""
        self.rows.append(row)
        if len(self.rows) - self._counted >= ROWS_PER_LOOK and self.byte_count() > BYTES_MAX:
            raise BatchTooLargeError(f"{len(self.rows)} rows and more are larger than {BYTES_MAX} bytes")

    def byte_count(self) -> int:
        """The size of all keys and values, before compression."""
        self._byte_count += sum(map(len, filter(None, chain.from_iterable(self.rows[self._counted :]))))
        self._counted = len(self.rows)
        return self._byte_count
