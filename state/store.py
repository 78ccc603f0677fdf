"""The rows of one partition on disk; with `state.rocks_reading`, all of `state/` that touches RocksDB.

The law: the disk is a copy of a prefix of the changelog. Rows and position move in one WriteBatch and the write-ahead
log is off, so after kill -9 the folder holds an earlier commit, whole, and the restore goes on from there. What can
not be opened is thrown away, for the changelog has it.

Measured (200 k keys, 300 bytes): a miss costs 0.75 µs with the bloom of the memtable and 2.9 without; the default cache
of 2 GiB per partition is why all partitions share one here.
"""

import os
import shutil
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
from rocksdict import (
    BlockBasedIndexType,
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Env,
    Options,
    Rdict,
    WriteBatch,
    WriteOptions,
)

from state.rocks_reading import POSITION_KEY, Gate, Reading, Scan, after_of, end_of, floor_of
from streams.errors import LostError, UnavailableError
from streams.store import Position, Row, Rows

MIB = 2**20
CACHE_BYTES = 256 * MIB
COMPACTION_NICE = 10
"""By how much nicer the thread that compacts is than others. A compaction takes a processor for a second and can wait;
who computes waited for it where the processors were busy. By 19 it would get too little there, and writes would stall.
"""
_DAMAGED = "DAMAGED"
"""A file in a folder that must not be read any more."""
_NO_ROOM = ("No space left", "Read-only file system", "Disk quota exceeded", "Permission denied")
_DAMAGES = ("Corruption", "IO error", "Invalid argument", "Not implemented")

_encode = msgspec.msgpack.Encoder().encode
_decode_position = msgspec.msgpack.Decoder(Position).decode
_cache: Cache | None = None
_environment: Env | None = None


def _shared_cache() -> Cache:
    """One cache for all partitions of the process."""
    global _cache
    if _cache is None:
        _cache = Cache(CACHE_BYTES)
    return _cache


def _shared_environment() -> Env:
    """RocksDB's threads, which all partitions of the process have in common."""
    global _environment
    if _environment is None:
        _environment = Env()
        if sys.platform == "linux":  # elsewhere a thread has no priority of its own
            with ThreadPoolExecutor(1) as one:
                one.submit(_start_compacting, _environment).result()
    return _environment


def _start_compacting(environment: Env) -> None:
    """Starts the thread that compacts, which inherits its priority from this one: RocksDB itself knows 19 only."""
    os.nice(COMPACTION_NICE)  # of this thread only
    # One is what it has from the beginning, and starts when it is needed; a greater number is started at once.
    environment.set_low_priority_background_threads(2)
    environment.set_low_priority_background_threads(1)


def _options() -> Options:
    table = BlockBasedOptions()
    table.set_block_cache(_shared_cache())
    table.set_bloom_filter(10, False)
    table.set_block_size(16 * 1024)
    table.set_format_version(5)
    # In pieces of 4 KiB: a file has one filter of megabytes else, which one of the cache's 64 shards hardly holds, so
    # that looks for a key read it anew.
    table.set_index_type(BlockBasedIndexType.two_level_index_search())
    table.set_partition_filters(True)
    table.set_cache_index_and_filter_blocks(True)
    table.set_pin_l0_filter_and_index_blocks_in_cache(True)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(table)
    # Two of them per partition; four partitions of a process then stay below its memory bound of 1 GiB.
    options.set_write_buffer_size(12 * MIB)
    options.set_max_write_buffer_number(2)
    options.set_memtable_whole_key_filtering(True)
    options.set_memtable_prefix_bloom_ratio(0.05)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_level_compaction_dynamic_level_bytes(True)
    options.set_max_background_jobs(2)
    options.set_env(_shared_environment())
    options.set_keep_log_file_num(2)
    return options


class _Damage(UnavailableError):
    """A folder whose rows can not be read; the changelog has them."""


class RocksStore:
    """A `streams.store.Store` in a folder. One process at a time. Threads may read beside each other and beside a
    `write`, of which there is one at a time; `close` waits for that and for who is `reading`, all others end before it.

    No iterator outlives a call.
    """

    def __init__(self, folder: Path) -> None:
        """Opens or makes the folder. Raises UnavailableError when another process has it, or nothing can be written.

        So does every call when the disk fails; a folder that turns out to be damaged is discarded at the next start.
        """
        self._folder = folder
        self._position: Position | None = None
        self._writing = threading.Lock()
        self._write_count = 0
        self._trash = folder.with_name(folder.name + ".trash")
        self._write_options = WriteOptions()
        self._write_options.disable_wal = True
        shutil.rmtree(self._trash, ignore_errors=True)
        self._open()

    def position(self) -> Position | None:
        return self._position

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        # An empty list is a key to rocksdict, not a question for none.
        if not keys:
            return []
        try:
            values: list[bytes | None] = self._rows.get(list(keys))
        except Exception as error:
            raise self._failed(error) from error
        return values

    def scan(self, prefix: bytes, behind: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        start = max(prefix, behind + b"\0" if behind else b"")
        while page := self._page(start, end_of(prefix)):
            yield from ((key, value) for key, value in page if key != POSITION_KEY)
            start = page[-1][0] + b"\0"

    def _page(self, start: bytes, end: bytes | None) -> list[tuple[bytes, bytes]]:
        """The first rows from `start` on. Its iterator, which pins what was deleted meanwhile, ends here."""
        try:
            return Scan(self._rows, start, end).page()
        except Exception as error:
            raise self._failed(error) from error

    def floor(self, prefix: bytes, key: bytes) -> tuple[bytes, bytes] | None:
        try:
            return floor_of(self._rows.iter(), prefix, key)
        except Exception as error:
            raise self._failed(error) from error

    def after(self, prefix: bytes, key: bytes) -> tuple[bytes, bytes] | None:
        try:
            return after_of(self._rows.iter(), prefix, key)
        except Exception as error:
            raise self._failed(error) from error

    @contextmanager
    def reading(self) -> Iterator[Rows]:
        """The rows as the last commit left them, for a thread beside the owner's; it does not keep the owner waiting.

        Raises LostError, as does every call of what it gives, when the store is closed meanwhile: closing waits until
        all who read have noticed.
        """
        gate, write_count = self._gate, self._write_count

        def scan(start: bytes, end: bytes | None) -> Scan | None:
            made = Scan(self._rows, start, end)
            # A write of which it shows something goes on still, or is counted.
            return None if self._writing.locked() or self._write_count != write_count else made

        with gate.inside():
            rows = Reading(self._rows.iter(), gate, self._failed, scan)
            try:
                yield rows
            finally:
                rows.end()

    def write(self, rows: Iterable[Row], position: Position, expected: Position | None) -> None:
        if self._position != expected:
            raise RuntimeError(f"{self._folder} stands at {self._position}, not at {expected}")
        batch = WriteBatch(raw_mode=True)
        put, delete = batch.put, batch.delete
        for key, value in rows:
            if value is None:
                delete(key)
            else:
                put(key, value)
        put(POSITION_KEY, _encode(position))
        with self._writing:
            if self._is_closed:
                raise LostError(f"{self._folder} was closed before the rows were written")
            try:
                self._rows.write(batch, self._write_options)
            except Exception as error:
                raise self._failed(error) from error
            self._position = position
            self._write_count += 1

    def wipe(self) -> None:
        self.close()
        self._discard()
        self._open()

    def close(self) -> None:
        self._gate.close()
        with self._writing:
            try:
                self._rows.close()
            except Exception as error:
                raise self._failed(error) from error
            self._is_closed = True

    def _open(self) -> None:
        try:
            if (self._folder / _DAMAGED).exists():
                self._discard()
            self._read_folder()
        except _Damage:
            self._discard()
            self._read_folder()

    def _read_folder(self) -> None:
        """Opens what is there. Raises _Damage when it can not be read."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._gate = Gate()
        self._is_closed = False
        try:
            self._rows: Rdict = Rdict(str(self._folder), _options())
            stored = self._rows.get(POSITION_KEY)
            self._position = None if stored is None else _decode_position(stored)
        except Exception as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> Exception:
        """What an error of rocksdict means. It raises plain Exception for everything, so the text is all there is to
        tell one from another; what this does not know comes back as it is."""
        # Whoever keeps it keeps the frames that it left, and they iterators, which keep the database open.
        traceback.clear_frames(error.__traceback__)
        text = str(error)
        if "/LOCK" in text:
            return UnavailableError(
                f"{self._folder} is open in another process ({text}). Stop it, or give this worker another id or"
                " folder."
            )
        if any(sign in text for sign in _NO_ROOM):
            return UnavailableError(
                f"{self._folder} can not be written to ({text}). Make room or let it be written, or give this worker"
                " another folder; nothing is lost, for the changelog has all that it holds."
            )
        if isinstance(error, msgspec.DecodeError) or text.startswith(_DAMAGES):
            with suppress(OSError):  # where it can not be marked, the next start finds the damage as this one did
                (self._folder / _DAMAGED).touch()
            return _Damage(
                f"{self._folder} is damaged ({text}). The next start makes it anew from the changelog; nothing is lost."
            )
        return error

    def _discard(self) -> None:
        """Renamed first, so that a crash in between leaves either all rows or none."""
        shutil.rmtree(self._trash, ignore_errors=True)
        self._folder.rename(self._trash)
        shutil.rmtree(self._trash)
