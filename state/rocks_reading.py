"""Reading a RocksDB beside the thread that writes it.

An iterator of RocksDB shows the rows as they were when it was made, so all of a reading goes through one. (rocksdict's
snapshots do not reach the iterators that they make: version 0.3.29 shows in them what was written later.) Where nothing
was written since, a scan has one of its own, for one of rocksdict's takes 0.4 of the time of five calls a row.

The law of `Gate`: who reads is inside before the database is asked for anything, and everything of RocksDB's that it
holds is let go before it is out; closing waits for that. For an iterator that outlives `close` keeps the database open,
and the folder locked to the next owner.
"""

import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

from rocksdict import Rdict, RdictIter, ReadOptions

from streams.errors import LostError

SCAN_ROWS = 1_000  # a page of a scan
Items = Iterator[tuple[bytes, bytes]]
POSITION_KEY = b"!position"


class Reading:
    """The rows as one commit left them, as `streams.store.Rows`; for one thread.

    Every call raises LostError once the database is to be closed.
    """

    def __init__(
        self,
        rows: RdictIter,
        gate: "Gate",
        failed: Callable[[Exception], Exception],
        scan: Callable[[bytes, bytes | None], "Scan | None"],
    ) -> None:
        """failed: what an error of rocksdict means. scan: of the rows from one key to before another as `rows` shows
        them, None where that can not be had."""
        self._rows: RdictIter | None = rows
        self._gate = gate
        self._failed = failed
        self._scan = scan
        self._scans: set[Scan] = set()
        """Those under way; at the end they let go, whoever began them."""

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of `keys`, in their order."""
        with self._at() as rows:
            return [_value_at(rows, key) for key in keys]

    def scan(self, prefix: bytes, behind: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """The rows whose key begins with `prefix`, those behind `behind`; in pages, so that other calls may come in
        between."""
        start = max(prefix, behind + b"\0" if behind else b"")
        with self._at():
            scan = self._scan(start, end_of(prefix))
        if scan is None:
            while page := self._page(prefix, start):
                yield from page
                start = page[-1][0] + b"\0"
            return
        self._scans.add(scan)
        try:
            while page := self._next_page(scan):
                yield from (row for row in page if row[0] != POSITION_KEY)
        finally:
            self._scans.discard(scan)
            scan.end()

    def _next_page(self, scan: "Scan") -> list[tuple[bytes, bytes]]:
        with self._at():
            return scan.page()

    def _page(self, prefix: bytes, start: bytes) -> list[tuple[bytes, bytes]]:
        found: list[tuple[bytes, bytes]] = []
        with self._at() as rows:
            valid, key_at, value_at, step = rows.valid, rows.key, rows.value, rows.next
            rows.seek(start)
            while len(found) < SCAN_ROWS and valid():
                key = key_at()
                if not key.startswith(prefix):
                    return found
                if key != POSITION_KEY:
                    found.append((key, value_at()))
                step()
            row_at(rows)
        return found

    def floor(self, prefix: bytes, key: bytes) -> tuple[bytes, bytes] | None:
        """The last row at or before `key` among those that begin with `prefix`."""
        with self._at() as rows:
            return floor_of(rows, prefix, key)

    def after(self, prefix: bytes, key: bytes) -> tuple[bytes, bytes] | None:
        """The first row behind `key` among those that begin with `prefix`."""
        with self._at() as rows:
            return after_of(rows, prefix, key)

    @contextmanager
    def _at(self) -> Iterator[RdictIter]:
        self._gate.check()
        assert self._rows is not None, "nothing is read behind the end"
        try:
            yield self._rows
        except Exception as error:
            raise self._failed(error) from error

    def end(self) -> None:
        """Lets go of the iterators; nothing is read any more."""
        self._rows = None
        for scan in self._scans:
            scan.end()


class Scan:
    """The rows from one key to before another as they are when it is made, a page at a time."""

    def __init__(self, rows: Rdict, start: bytes, end: bytes | None) -> None:
        """end: None where nothing bounds them."""
        # rocksdict has a pointer to the bound, and not the bytes: they live as long as this does.
        self._end = end
        self._options = ReadOptions()
        if end is not None:
            self._options.set_iterate_upper_bound(end)
        self._rows: Rdict | None = rows
        self._items: Items = (
            rows.items(from_key=start, read_opt=self._options) if start else rows.items(read_opt=self._options)
        )
        self._start = start

    def page(self) -> list[tuple[bytes, bytes]]:
        """The next rows, none behind the last. Raises what kept it from reading on."""
        assert self._rows is not None, "nothing is read behind the end"
        page = list(islice(self._items, SCAN_ROWS))
        if page:
            self._start = page[-1][0] + b"\0"
        if len(page) < SCAN_ROWS:
            # An iterator ends at a block that it can not read as if nothing lay behind.
            rows = self._rows.iter(self._options)
            rows.seek(self._start)
            row_at(rows)
        return page

    def end(self) -> None:
        """Lets go of the iterator."""
        self._rows, self._items = None, iter(())


class Gate:
    """Who reads beside the owner."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside_count = 0
        self._is_closed = False

    def check(self) -> None:
        """Raises LostError when the database is closed or being closed."""
        if self._is_closed:
            raise LostError("the partition was given up; ask its next owner")

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Keeps the database open. Raises LostError when it is closed or being closed."""
        with self._changed:
            self.check()
            self._inside_count += 1
        try:
            yield
        except BaseException as error:
            # What ended the reading keeps the frames in which it read, and they the iterator.
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


def row_at(rows: RdictIter) -> tuple[bytes, bytes] | None:
    """The row under the iterator, or None behind either end. Raises what kept it from reading on: an iterator ends at a
    block that it can not read as if nothing lay behind."""
    if rows.valid():
        return rows.key(), rows.value()
    rows.status()
    return None


def _value_at(rows: RdictIter, key: bytes) -> bytes | None:
    rows.seek(key)
    row = row_at(rows)
    return row[1] if row is not None and row[0] == key else None


def floor_of(rows: RdictIter, prefix: bytes, key: bytes) -> tuple[bytes, bytes] | None:
    """The last row at or before `key` among those that begin with `prefix`."""
    # These lie at or before the lesser of the two bounds.
    end = end_of(prefix)
    rows.seek_for_prev(key if end is None or key < end else end)
    while (row := row_at(rows)) is not None and (row[0] == POSITION_KEY or row[0] == end):
        rows.prev()
    return row if row is not None and row[0].startswith(prefix) else None


def after_of(rows: RdictIter, prefix: bytes, key: bytes) -> tuple[bytes, bytes] | None:
    """The first row behind `key` among those that begin with `prefix`."""
    rows.seek(max(prefix, key + b"\0"))
    while (row := row_at(rows)) is not None and row[0] == POSITION_KEY:
        rows.next()
    return row if row is not None and row[0].startswith(prefix) else None


def end_of(prefix: bytes) -> bytes | None:
    """The least key behind all that begin with `prefix`; None when nothing lies behind them."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else None
