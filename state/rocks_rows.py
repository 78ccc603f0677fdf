"""Reading rows from RocksDB: from the database by its owner, or from a snapshot by other threads.

The law of `Gate`: who reads beside the owner is in before the database is asked for anything, and everything of
RocksDB's that it holds is let go before it is out; closing waits for that. For a snapshot or iterator that outlives
`close` keeps the database open, and the folder locked to the next owner.
"""

import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

from rocksdict import RdictIter, ReadOptions

from streams.errors import LostError

SCAN_ROWS = 1_000  # a page of a scan
POSITION_KEY = b"!position"
_NOT_THERE = "key not found"


class RocksRows:
    """Rows of a database or of a snapshot of it, as `streams.store.Rows`. No iterator outlives a call."""

    _rows: Any

    def _failed(self, error: Exception) -> Exception:
        """What an error of rocksdict means."""
        raise NotImplementedError

    def scan(self, prefix: bytes, behind: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        start = max(prefix, behind + b"\0" if behind else b"")
        while page := self._page(start, _end_of(prefix)):
            yield from ((key, value) for key, value in page if key != POSITION_KEY)
            start = page[-1][0] + b"\0"

    def _page(self, start: bytes, end: bytes | None) -> list[tuple[bytes, bytes]]:
        """The first rows from `start` on. Its iterator, which pins what was deleted meanwhile, ends here."""
        options = ReadOptions()
        if end is not None:
            options.set_iterate_upper_bound(end)
        try:
            items = self._rows.items(from_key=start, read_opt=options) if start else self._rows.items()
            page = list(islice(items, SCAN_ROWS))
            if len(page) < SCAN_ROWS:
                # An iterator ends at a block that it can not read as if nothing lay behind.
                rows = self._rows.iter(options)
                rows.seek(page[-1][0] + b"\0" if page else start)
                _row_at(rows)
            return page
        except Exception as error:
            raise self._failed(error) from error

    def floor(self, prefix: bytes, key: bytes) -> tuple[bytes, bytes] | None:
        # Keys that begin with the prefix and are at or before `key` lie at or before the lesser of the two bounds.
        end = _end_of(prefix)
        try:
            rows = self._rows.iter()
            rows.seek_for_prev(key if end is None or key < end else end)
            while (row := _row_at(rows)) is not None and (row[0] == POSITION_KEY or row[0] == end):
                rows.prev()
        except Exception as error:
            raise self._failed(error) from error
        return row if row is not None and row[0].startswith(prefix) else None

    def after(self, prefix: bytes, key: bytes) -> tuple[bytes, bytes] | None:
        try:
            rows = self._rows.iter()
            rows.seek(max(prefix, key + b"\0"))
            while (row := _row_at(rows)) is not None and row[0] == POSITION_KEY:
                rows.next()
        except Exception as error:
            raise self._failed(error) from error
        return row if row is not None and row[0].startswith(prefix) else None


class SnapshotRows(RocksRows):
    """The rows as they were at one moment: those of one commit, whatever the owner writes meanwhile.

    Every call raises LostError once the database is to be closed.
    """

    def __init__(self, snapshot: Any, gate: "Gate", failed: Callable[[Exception], Exception]) -> None:
        self._snapshot = snapshot
        self._gate = gate
        self._explain = failed

    @property
    def _rows(self) -> Any:  # asked for anew by every call, which is where it may end
        self._gate.check()
        return self._snapshot

    def _failed(self, error: Exception) -> Exception:
        return error if isinstance(error, LostError) else self._explain(error)

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of `keys`, in their order."""
        rows = self._rows
        return [self._get(rows, key) for key in keys]

    def _get(self, rows: Any, key: bytes) -> bytes | None:
        try:
            value: bytes = rows[key]
        except Exception as error:
            if str(error) == _NOT_THERE:
                return None
            raise self._failed(error) from error
        return value

    def end(self) -> None:
        """Lets go of the snapshot; nothing is read any more."""
        self._snapshot = None


class Gate:
    """Who reads beside the owner."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside_count = 0
        self._is_closed = False

    def check(self) -> None:
        """Raises LostError when the database is being closed."""
        if self._is_closed:
            raise LostError("the partition is given up, or not open yet; ask its next owner")

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Keeps the database open. Raises LostError when it is closed or being closed."""
        with self._changed:
            self.check()
            self._inside_count += 1
        try:
            yield
        except BaseException as error:
            # What ended the reading keeps the frames in which it read, and they the iterators.
            traceback.clear_frames(error.__traceback__)
            raise
        finally:
            with self._changed:
                self._inside_count -= 1
                self._changed.notify_all()

    def close(self) -> None:
        """Lets nobody in any more and waits for those inside, whose next call ends them."""
        with self._changed:
            self._is_closed = True
            self._changed.wait_for(lambda: self._inside_count == 0)


def _row_at(rows: RdictIter) -> tuple[bytes, bytes] | None:
    """The row under the iterator, or None behind either end. Raises what kept it from reading on."""
    if rows.valid():
        return rows.key(), rows.value()
    rows.status()
    return None


def _end_of(prefix: bytes) -> bytes | None:
    """The least key behind all that begin with `prefix`; None when nothing lies behind them."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else None
