"""One contract for every store: the one on RocksDB and the one in memory do the same, whatever is written."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rocksdict import Cache

from state import store as rocks
from state.rocks_reading import Scan
from state.store import MIB, RocksStore
from streams.errors import LostError, UnavailableError
from streams.store import Position, Row, Store
from tests.state.memory_store import MemoryStore

Opened = Callable[[], Store]
_READ = Path("/proc/self/io")


def position(number: int) -> Position:
    return Position(number, number, 0, "id", 0)


@pytest.fixture(params=["rocks", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened: Store = RocksStore(tmp_path / "rows") if request.param == "rocks" else MemoryStore()
    yield opened
    opened.close()


def test_a_new_store_stands_nowhere_and_holds_nothing(store: Store) -> None:
    """An empty store has no position, no rows and no neighbours."""
    assert store.position() is None
    assert store.get([b"a", b"!position"]) == [None, None]
    assert list(store.scan(b"")) == []
    assert store.floor(b"", b"z") is None
    assert store.after(b"", b"") is None


def test_rows_and_position_are_written_together(store: Store) -> None:
    """A write is visible to every way of reading."""
    store.write([(b"a", b"1"), (b"b", b"2"), (b"c", b"3")], position(1), None)
    store.write([(b"b", None), (b"c", b"9"), (b"c", b"4")], position(2), position(1))
    assert store.position() == position(2)
    assert store.get([b"c", b"a", b"b", b"a"]) == [b"4", b"1", None, b"1"]
    assert list(store.scan(b"")) == [(b"a", b"1"), (b"c", b"4")]
    assert store.get([]) == []


def test_a_write_from_another_position_is_refused(store: Store) -> None:
    """Whoever lost count of the store may not write to it, and nothing of the attempt stays."""
    store.write([(b"a", b"1")], position(1), None)
    with pytest.raises(RuntimeError):
        store.write([(b"a", b"2")], position(2), None)
    with pytest.raises(RuntimeError):
        store.write([(b"a", b"2")], position(3), position(2))
    assert (store.position(), store.get([b"a"])) == (position(1), [b"1"])


def test_the_position_is_no_row(store: Store) -> None:
    """What the store remembers for itself is not found by any reading, even of the protocol's prefix."""
    store.write([(b"!commit", b"c"), (b"!ready", b"r")], position(1), None)
    assert list(store.scan(b"!")) == [(b"!commit", b"c"), (b"!ready", b"r")]
    assert store.after(b"!", b"!commit") == (b"!ready", b"r")
    assert store.floor(b"!", b"!position~") == (b"!commit", b"c")


def test_a_scan_goes_on_from_page_to_page(store: Store) -> None:
    """More rows than a page holds come whole and in order, of a prefix and of everything."""
    rows: list[Row] = [(b"k%05d" % number, b"v") for number in range(2_500)]
    store.write([(b"a", b"1"), *rows, (b"z", b"1")], position(1), None)
    assert list(store.scan(b"k")) == rows
    assert len(list(store.scan(b""))) == 2_502


def test_wiping_forgets_everything(store: Store) -> None:
    """After a wipe the store is as new and takes a first write."""
    store.write([(b"a", b"1")], position(1), None)
    store.wipe()
    assert (store.position(), list(store.scan(b""))) == (None, [])
    store.write([(b"b", b"2")], position(7), None)
    assert list(store.scan(b"")) == [(b"b", b"2")]


short = st.lists(st.sampled_from(b"\x00a\xfe\xff"), max_size=3).map(bytes)
key = short.map(lambda tail: b"k" + tail)
batches = st.lists(st.lists(st.tuples(key, st.none() | short), max_size=8), max_size=6)


@settings(max_examples=60, deadline=None)
@given(batches=batches, prefix=short | key, at=short | key)
def test_differential_rocks_equals_memory(batches: list[list[Row]], prefix: bytes, at: bytes) -> None:
    """Both implementations answer every question alike, at prefixes and keys that end in the highest byte too."""
    folder = Path(tempfile.mkdtemp(prefix="milepost-store-"))
    rocks, memory = RocksStore(folder / "rows"), MemoryStore()
    try:
        for number, rows in enumerate(batches):
            for store in (rocks, memory):
                store.write(rows, position(number), position(number - 1) if number else None)
        assert list(rocks.scan(prefix)) == list(memory.scan(prefix))
        assert rocks.floor(prefix, at) == memory.floor(prefix, at)
        assert rocks.after(prefix, at) == memory.after(prefix, at)
        assert rocks.get([at, prefix, at]) == memory.get([at, prefix, at])
    finally:
        rocks.close()
        shutil.rmtree(folder)


def test_closed_rows_are_there_when_opened_again(tmp_path: Path) -> None:
    """Closing writes to disk what the missing write-ahead log did not."""
    first = RocksStore(tmp_path / "rows")
    first.write([(b"a", b"1")], position(1), None)
    first.close()
    second = RocksStore(tmp_path / "rows")
    assert (second.position(), second.get([b"a"])) == (position(1), [b"1"])
    second.close()


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    """Two owners never share a folder; the message says what to do."""
    holder = RocksStore(tmp_path / "rows")
    with pytest.raises(UnavailableError, match="another process"):
        RocksStore(tmp_path / "rows")
    holder.close()


def test_a_folder_that_can_not_be_read_is_begun_anew(tmp_path: Path) -> None:
    """Broken files cost a restore, not the worker: the changelog has the rows."""
    first = RocksStore(tmp_path / "rows")
    first.write([(b"a", b"1")], position(1), None)
    first.close()
    (tmp_path / "rows" / "CURRENT").write_text("nonsense")
    second = RocksStore(tmp_path / "rows")
    assert (second.position(), second.get([b"a"])) == (None, [None])
    second.close()


WRITE_UNTIL_KILLED = """
import sys
from pathlib import Path
from state.store import RocksStore
from streams.store import Position
store, before = RocksStore(Path(sys.argv[1])), None
for number in range(1_000_000):
    rows = [(b"k%07d%03d" % (number, each), b"v" * 300) for each in range(100)] + [(b"last", b"%d" % number)]
    now = Position(number, number, 0, "id", 0)
    store.write(rows, now, before)
    before = now
    if number == 3000:
        print("enough", flush=True)
"""


def test_kill_9_leaves_a_whole_commit(tmp_path: Path) -> None:
    """Without a write-ahead log the disk holds an earlier commit with all of its rows, and none of a later one."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITE_UNTIL_KILLED, str(tmp_path / "rows")], stdout=subprocess.PIPE
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"enough\n"
    writer.kill()
    writer.wait()
    writer.stdout.close()
    store = RocksStore(tmp_path / "rows")
    reached = store.position()
    assert reached is not None
    assert store.get([b"last"]) == [b"%d" % reached.next_offset]
    assert len(list(store.scan(b"k"))) == 100 * (reached.next_offset + 1)
    store.close()


READS: dict[str, Callable[[RocksStore], object]] = {
    "get": lambda store: [store.get([b"%06d" % n for n in range(0, 20_000, 7)])],
    "scan": lambda store: list(store.scan(b"")),
    "floor": lambda store: [store.floor(b"0", b"%06d" % n) for n in range(0, 20_000, 7)],
    "after": lambda store: [store.after(b"0", b"%06d" % n) for n in range(0, 20_000, 7)],
}


@pytest.mark.parametrize("how", READS)
def test_a_block_that_can_not_be_read_is_an_error_and_never_fewer_rows(tmp_path: Path, how: str) -> None:
    """RocksDB's iterator ends at a damaged block as if nothing lay behind it; the next start makes the folder anew."""
    folder = tmp_path / "rows"
    filled = RocksStore(folder)
    filled.write([(b"%06d" % n, os.urandom(100)) for n in range(20_000)], position(1), None)
    filled.close()
    (table,) = folder.glob("*.sst")
    damaged = bytearray(table.read_bytes())
    damaged[len(damaged) // 2 :: 40_000] = b"\xa5" * len(damaged[len(damaged) // 2 :: 40_000])
    table.write_bytes(damaged)
    store = RocksStore(folder)
    assert store.position() == position(1)
    with pytest.raises(UnavailableError, match="damaged") as kept:
        READS[how](store)
    store.close()
    again = RocksStore(folder)  # with the error at hand
    assert (again.position(), list(again.scan(b""))) == (None, [])
    again.close()
    assert kept.value.__cause__ is not None


@pytest.mark.skipif(not _READ.exists(), reason="says what this process reads on Linux only")
def test_a_look_for_a_key_reads_little_of_a_large_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its filter is larger than what the cache has for it: half a shard."""
    monkeypatch.setattr(rocks, "_cache", Cache(MIB))
    store, count, looks = RocksStore(tmp_path / "rows"), 600_000, 1_000
    for number in (0, 1):  # of one write the file would be moved, with the filter that a new one keeps
        rows = ((b"%09d" % key, b"") for key in range(number, count, 2))
        store.write(rows, position(number), store.position())
        store._rows.flush()
    store._rows.compact_range(None, None)
    before = _read_bytes()
    assert store.get([b"%09d-" % (number * 577) for number in range(looks)]) == [None] * looks
    assert _read_bytes() - before < looks * 10_000, "32 keys are looked for at once; a filter of all has 750,000 bytes"
    store.close()


def _read_bytes() -> int:
    """What this process has read from files and elsewhere."""
    return int(re.findall(r"rchar: (\d+)", _READ.read_text())[0])


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own")
def test_who_computes_goes_before_a_compaction(tmp_path: Path) -> None:
    """The thread that compacts is nice; neither the one that flushes nor any of ours is."""
    program = f"""if True:
        import os
        from pathlib import Path
        from state.store import RocksStore
        store = RocksStore(Path({str(tmp_path / "rows")!r}))
        for thread in os.listdir("/proc/self/task"):
            name = Path("/proc/self/task", thread, "comm").read_text().strip()
            print(name, os.getpriority(os.PRIO_PROCESS, int(thread)))
        store.close()
    """
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    nice, own = [line.rsplit(" ", 1) for line in run.stdout.splitlines()], os.getpriority(os.PRIO_PROCESS, 0)
    assert [(name, int(number)) for name, number in nice if name == "rocksdb:low"] == [
        ("rocksdb:low", min(own + 10, 19))
    ]
    assert {int(number) for name, number in nice if name != "rocksdb:low"} == {own}


def test_a_system_without_priorities_of_threads_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There a store is what it is here."""
    monkeypatch.setattr(rocks, "_environment", None)
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(rocks, "_start_compacting", None)
    opened = RocksStore(tmp_path / "rows")
    opened.write([(b"a", b"1")], position(1), None)
    assert opened.get([b"a"]) == [b"1"]
    opened.close()


def test_a_folder_without_room_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the disk refuses is the operator's to mend, and nothing is thrown away for it."""
    store = RocksStore(tmp_path / "rows")
    with monkeypatch.context() as patched:
        patched.setattr(store, "_rows", _Full())
        with pytest.raises(UnavailableError, match="Make room"):
            store.write([(b"a", b"1")], position(1), None)
        with pytest.raises(UnavailableError, match="Make room"):
            store.close()
        with pytest.raises(ValueError, match="a defect"):
            store.get([b"a"])
    store.write([(b"a", b"1")], position(1), None)
    store.close()
    assert RocksStore(tmp_path / "rows").position() == position(1)


class _Full:
    """Answers as RocksDB does on a full disk, and in a way that nobody knows."""

    def write(self, *_: object) -> None:
        raise Exception("IO error: No space left on device: While appending to file: /rows/000009.sst")

    close = write

    def get(self, _: object) -> None:
        raise ValueError("a defect")


def filled(folder: Path, count: int = 3_000) -> RocksStore:
    """A store with that many rows, at its first position."""
    store = RocksStore(folder)
    store.write([(b"k%05d" % n, b"old") for n in range(count)], position(1), None)
    return store


def in_thread(work: Callable[[], object]) -> object:
    """What the work gives in another thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result(30)


def test_a_reading_stands_at_one_commit(tmp_path: Path) -> None:
    """Whatever the owner writes meanwhile, in any way of reading, and from another thread."""
    store = filled(tmp_path / "rows")

    def read() -> object:
        with store.reading() as rows:
            store.write([(b"k00001", None), (b"k00002", b"new"), (b"k9", b"new")], position(2), position(1))
            scanned = list(rows.scan(b"k", b"k00000"))
            return (
                rows.get([b"k00001", b"k00002", b"k9"]),
                len(scanned),
                {value for _, value in scanned},
                rows.after(b"k", b"k00000"),
                rows.floor(b"k", b"k99"),
            )

    assert in_thread(read) == ([b"old", b"old", None], 2_999, {b"old"}, (b"k00001", b"old"), (b"k02999", b"old"))
    assert store.get([b"k00001", b"k00002"]) == [None, b"new"]
    store.close()


def test_a_scan_of_a_reading_ends_where_other_rows_begin(tmp_path: Path) -> None:
    """Within a page, before a row that does not begin so; also one that begins while something is written."""
    store = filled(tmp_path / "rows")
    with store.reading() as rows:
        wanted = [b"k00007", b"k00008", b"k00009"]
        assert [key for key, _ in rows.scan(b"k0000", b"k00006")] == wanted
        with store._writing:
            assert [key for key, _ in rows.scan(b"k0000", b"k00006")] == wanted
    store.close()


def test_a_scan_stands_at_the_commit_of_its_reading(tmp_path: Path) -> None:
    """One that is under way when something is written, one that begins later, and one that begins meanwhile."""
    store = filled(tmp_path / "rows")
    with store.reading() as rows:
        under_way = iter(rows.scan(b"k"))
        first = next(under_way)
        with store._writing:
            beside = list(rows.scan(b""))
        store.write([(b"k%05d" % n, None) for n in range(2_500)] + [(b"k02999", b"new")], position(2), position(1))
        assert [first, *under_way] == beside == list(rows.scan(b"k")) == [(b"k%05d" % n, b"old") for n in range(3_000)]
    with store.reading() as rows:
        assert len(list(rows.scan(b"k"))) == 500
    store.close()


@pytest.mark.parametrize("length", [0, 1, 2, 7, 40, 200])
def test_a_scan_ends_with_its_prefix(tmp_path: Path, length: int) -> None:
    """Of whatever length: rocksdict does not keep what bounds an iterator alive."""
    store = RocksStore(tmp_path / "rows")
    prefixes = [b"%02d" % number + b"x" * length + b"\0" for number in range(100)]
    wanted = {prefix: [(prefix + b"%02d" % n, b"v") for n in range(20)] for prefix in prefixes}
    store.write([row for rows in wanted.values() for row in rows], position(1), None)
    with store.reading() as reading:
        assert {prefix: list(reading.scan(prefix)) for prefix in prefixes} == wanted
    assert {prefix: list(store.scan(prefix)) for prefix in prefixes} == wanted
    store.close()


def test_a_scan_that_is_given_up_holds_nothing(tmp_path: Path) -> None:
    """Neither while its reading goes on, nor behind that's end."""
    store = filled(tmp_path / "rows")
    with store.reading() as rows:
        for _ in range(3):
            assert next(iter(rows.scan(b"k"))) == (b"k00000", b"old")
        assert rows._scans == set()  # type: ignore[attr-defined]
        kept = iter(rows.scan(b"k"))
        next(kept)
    store.close()
    with pytest.raises(LostError):
        list(kept)
    RocksStore(tmp_path / "rows").close()


@settings(max_examples=20, deadline=None)
@given(batches=batches, prefix=short | key, at=short | key, is_written=st.booleans())
def test_differential_a_reading_equals_its_store(
    batches: list[list[Row]], prefix: bytes, at: bytes, is_written: bool
) -> None:
    """Every question is answered alike, at prefixes and keys that end in the highest byte too; also through the one
    iterator alone, which is left when something is written."""
    with tempfile.TemporaryDirectory(prefix="milepost-store-") as folder:
        store = RocksStore(Path(folder) / "rows")
        for number, rows in enumerate(batches):
            store.write(rows, position(number), position(number - 1) if number else None)
        with store.reading() as reading:
            if is_written:
                store.write([], position(len(batches)), position(len(batches) - 1) if batches else None)
            assert list(reading.scan(prefix)) == list(store.scan(prefix))
            assert list(reading.scan(prefix, at)) == list(store.scan(prefix, at))
            assert reading.floor(prefix, at) == store.floor(prefix, at)
            assert reading.after(prefix, at) == store.after(prefix, at)
            assert reading.get([at, prefix, at]) == store.get([at, prefix, at])
        store.close()


def test_closing_waits_for_who_reads_and_ends_it(tmp_path: Path) -> None:
    """A next owner opens the folder at once: nothing of the reading holds it, though its error is still at hand."""
    store = filled(tmp_path / "rows")
    began, may_go_on = threading.Event(), threading.Event()

    def read() -> object:
        with store.reading() as rows:
            scan = iter(rows.scan(b"k"))
            next(scan)
            began.set()
            may_go_on.wait(30)
            return list(scan)

    with ThreadPoolExecutor(2) as pool:
        reader = pool.submit(read)
        assert began.wait(30)
        closer = pool.submit(store.close)
        with pytest.raises(TimeoutError):
            closer.result(0.2)
        may_go_on.set()
        closer.result(30)
        error = reader.exception(30)
    assert isinstance(error, LostError)
    again = RocksStore(tmp_path / "rows")
    assert len(list(again.scan(b"k"))) == 3_000
    again.close()


def test_a_closed_store_is_not_read(tmp_path: Path) -> None:
    """It has another owner by now; and what was opened anew is read again."""
    store = filled(tmp_path / "rows")
    with store.reading() as rows:
        pass
    store.close()
    with pytest.raises(LostError, match="given up"), store.reading():
        pass
    with pytest.raises(LostError):
        rows.get([b"a"])
    store = RocksStore(tmp_path / "rows")
    store.wipe()
    with store.reading() as rows:
        assert rows.get([b"k00001"]) == [None]
    store.close()


def test_a_damaged_row_ends_a_reading_with_the_reason(tmp_path: Path) -> None:
    """As it ends the owner's."""
    store = filled(tmp_path / "rows")
    with store.reading() as rows:
        rows._rows = _Damaged()  # type: ignore[attr-defined]
        with pytest.raises(UnavailableError, match="damaged"):
            rows.get([b"a"])
        store._write_count += 1
        with pytest.raises(UnavailableError, match="damaged"):
            list(rows.scan(b"a"))
    with store.reading() as rows:
        rows._scan = lambda start, end: Scan(_Damaged(), start, end)  # type: ignore[attr-defined]
        with pytest.raises(UnavailableError, match="damaged"):
            list(rows.scan(b"a"))
    store.close()


class _Damaged:
    """Answers as RocksDB does where it can not read: an iterator ends there, and only its status tells why."""

    valid = next = key = value = None

    def items(self, **_: object) -> Iterator[tuple[bytes, bytes]]:
        return iter(())

    def iter(self, _: object) -> "_Damaged":
        return self

    def seek(self, _: object) -> None:
        raise Exception("Corruption: block checksum mismatch")


class _SlowRows:
    """A database whose write waits until it is let go on."""

    def __init__(self, rows: Any) -> None:
        self.begun, self.let, self.is_done = threading.Event(), threading.Event(), False
        self._rows = rows

    def write(self, *arguments: Any) -> None:
        self.begun.set()
        assert self.let.wait(10)
        self._rows.write(*arguments)
        self.is_done = True

    def close(self) -> None:
        assert self.is_done
        self._rows.close()


def test_closing_waits_for_a_write_and_lets_no_other_begin(tmp_path: Path) -> None:
    """A step that is given up may still be writing in its thread; the folder is the next owner's then."""
    store = RocksStore(tmp_path / "0")
    rows = _SlowRows(store._rows)
    store._rows = cast(Any, rows)
    writing = threading.Thread(target=store.write, args=([(b"a", b"1")], position(1), None))
    writing.start()
    assert rows.begun.wait(10)
    closing = threading.Thread(target=store.close)
    closing.start()
    rows.let.set()
    writing.join(10)
    closing.join(10)
    assert rows.is_done
    with pytest.raises(LostError, match="closed before"):
        store.write([(b"b", b"2")], position(1), position(1))
    again = RocksStore(tmp_path / "0")
    assert again.get([b"a", b"b"]) == [b"1", None]
    again.close()
