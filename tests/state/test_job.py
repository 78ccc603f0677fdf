"""One record whose change is larger than a commit: how it is cut, and what each piece says."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from state import job, series
from state.account_batch import Outcome
from state.accounts import Accounts
from state.accounts_stage import OUTPUT_NAMES, AccountsStage
from state.job import SLICE_BYTES
from state.store import RocksStore
from streams.batch import BatchTooLargeError, one_batch
from streams.partials import COVERS_KEY, Tag, decode_covers
from streams.stage import Applied
from streams.store import Position, Row
from streams.touchpoint import Touchpoint
from tests.state.cells import cells_of
from tests.state.layers_of import layers_of
from tests.state.memory_store import MemoryStore
from tests.state.slicing import SlicingOwner
from tests.state.small import make_chunks_small
from tests.state.test_rules import DAY0, canvas
from tests.state.worlds import DAY, START, Record, definition_set, touchpoint

DEFINITIONS = definition_set([{"name": "it", **canvas("A", "B", metric="value")}])
LAYERS = layers_of(DEFINITIONS)
APPLIED = Applied(Tag(0, 11), {"touchpoints": 5}, 99)


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of three entries, and slices of one chunk."""
    make_chunks_small(monkeypatch)
    monkeypatch.setattr(job, "SLICE_BYTES", 1)


def alternating(count: int, **fields: object) -> list[Touchpoint]:
    """A, B, A, B ... a millisecond apart."""
    return [touchpoint(str(i), START + i, "AB"[i % 2], **fields) for i in range(count)]


def filled(count: int, **fields: object) -> MemoryStore:
    """A store with the alternating touchpoints in it."""
    store = MemoryStore()
    store.apply(Accounts(LAYERS, store).compute([Record(t) for t in alternating(count, **fields)]).rows)
    return store


@pytest.mark.usefixtures("_small")
def test_every_chunk_is_a_slice_where_a_slice_holds_one() -> None:
    """Ten sealed chunks and the open one, then the outcome."""
    store = MemoryStore()
    owner = SlicingOwner(LAYERS, store)
    for each in alternating(31, value=1):
        owner.take([each])
    owner.take([touchpoint("early", START - DAY, "A", value=1)])
    assert owner.slice_counts == [12]
    day = DAY0 - 1
    assert cells_of(store) == {
        ("t", day): 1, ("n", 0, day): 1, ("n", 1, day): 1, ("a", 0, day): 1, ("f", 0, day): 1,
        ("v", 0, day): 17, ("v", 1, day): 15,
    }  # fmt: skip


@pytest.mark.usefixtures("_small")
def test_changes_beyond_64_bits_outlive_a_crash() -> None:
    """Sums of values may be larger than what msgpack knows as a number."""
    store = MemoryStore()
    owner = SlicingOwner(LAYERS, store)
    for each in alternating(8, value=2**63 - 1):
        owner.take([each])
    owner.take([touchpoint("early", START - DAY, "A")])
    assert cells_of(store)["v", 0, DAY0 - 1] == 4 * (2**63 - 1)


def test_a_record_that_only_adds_can_not_be_cut() -> None:
    """What lies behind everything known is one commit or none."""
    assert Accounts(LAYERS, filled(2)).slice(Record(touchpoint("9", START + DAY), 2)) is None


@pytest.mark.usefixtures("_small")
def test_a_job_knows_its_record() -> None:
    """Another record in its place would be applied to chunks that are half another's."""
    store = filled(9)
    rows = Accounts(LAYERS, store).slice(Record(touchpoint("early", START - DAY), 7))
    assert isinstance(rows, list)
    store.apply(rows)
    with pytest.raises(RuntimeError, match="record at 7 is half applied, but 8 comes next"):
        Accounts(LAYERS, store).slice(Record(touchpoint("early", START - DAY), 8))


@pytest.mark.usefixtures("_small")
def test_a_slice_publishes_covers_and_the_last_one_everything() -> None:
    """Readers hear of a slice only that what was covered is still covered."""
    store = filled(4)
    stage = AccountsStage(lambda: (0, DEFINITIONS), OUTPUT_NAMES, store)
    early = Record(touchpoint("early", START - DAY, "A"), 4)
    assert stage.slice(Record(touchpoint("late", START + DAY, "A"), 4), 99) is None  # type: ignore[arg-type]
    seen: list[dict[str, Sequence[bytes]]] = []
    is_last = False
    while not is_last:
        cut = stage.slice(early, 99)  # type: ignore[arg-type]
        assert cut is not None
        seen.append({each.topic: [key for key, _ in each.records] for each in cut.work.publish(APPLIED)})
        covers = cut.work.publish(APPLIED)[-1].records[-1][1]
        assert decode_covers(covers or b"").event_time_max_ms == START + 3
        store.apply(cut.work.rows)
        is_last = cut.is_last
        assert stage.is_halfway() is not is_last
    assert seen[:-1] == [{"partials": [COVERS_KEY]}] * 2
    assert seen[-1]["journeys"] == [b"acme"]
    assert len(seen[-1]["partials"]) > 1
    assert stage.chore(99, 1) is None


EARLY = touchpoint("early", START - DAY, "A")
LATE = [touchpoint(f"late {place}", START + place, "B") for place in (1, 10, 20, 30)]


@pytest.mark.parametrize(
    ("bytes_max", "records", "is_refused"),
    [
        pytest.param(1 << 25, [EARLY], False, id="all of it fits a commit"),
        pytest.param(50, [EARLY], True, id="what lies behind fits none"),
        pytest.param(50, LATE, False, id="what lies behind does not change"),
    ],
)
@pytest.mark.usefixtures("_small")
def test_what_no_commit_holds_is_known_before_all_of_it_is_computed(
    monkeypatch: pytest.MonkeyPatch, bytes_max: int, records: list[Touchpoint], is_refused: bool
) -> None:
    """After two chunks it looks at what lies behind: one before the first day would change all of that."""
    monkeypatch.setattr(series, "CHUNKS_BEFORE_LOOK", 2)
    monkeypatch.setattr(series, "AT_ONCE_BYTES_MAX", bytes_max)
    store, read = filled(31), list[bytes]()
    get = store.get
    monkeypatch.setattr(store, "get", lambda keys: read.extend(keys) or get(keys))

    def compute() -> None:
        Accounts(LAYERS, store).compute([Record(each) for each in records])

    if is_refused:
        with pytest.raises(BatchTooLargeError, match="what lies behind"):
            compute()
        assert sum(key.startswith(b"s") for key in read) == 2
    else:
        compute()


# ------------------------------------------------------------------------------------------- as large as it really is

BIG_COUNT = 130_000
BIG_ID = "{:0>255}".format


class Disk:
    """A store on disk that takes rows as a writer would give them."""

    def __init__(self, folder: Path) -> None:
        self.store = RocksStore(folder)
        self._next = 0

    def apply(self, rows: list[Row]) -> None:
        self._next += 1
        self.store.write(rows, Position(self._next, 0, 0, "id", 0), self.store.position())


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    """130,000 touchpoints with the longest ids in one container: 37 MiB of chunks."""
    made = Disk(tmp_path_factory.mktemp("big") / "rows")
    plan = layers_of(definition_set([{"name": "it", **canvas("A", "B", metric="events")}]))
    for start in range(0, BIG_COUNT, 10_000):
        records = [
            Record(touchpoint(BIG_ID(i), START + i, "AB"[i % 2])) for i in range(start, min(start + 10_000, BIG_COUNT))
        ]
        made.apply(Accounts(plan, made.store).compute(records).rows)
    yield made
    made.store.close()


def apply_sliced(disk: Disk, record: Record) -> int:
    """Applies one record that no commit holds; returns in how many slices. Each fits a record batch."""
    plan = layers_of(definition_set([{"name": "it", **canvas("A", "B", metric="events")}]))
    with pytest.raises(BatchTooLargeError, match="what lies behind is more than a commit holds"):
        Accounts(plan, disk.store).compute([record])
    cells, count = list(disk.store.scan(b"c")), 1
    while not isinstance(piece := Accounts(plan, disk.store).slice(record), Outcome):
        assert piece is not None
        assert sum(len(key) + len(value or b"") for key, value in piece) < SLICE_BYTES + 100_000
        one_batch(piece)
        disk.apply(piece)
        assert list(disk.store.scan(b"c")) == cells
        count += 1
    one_batch(piece.rows)
    disk.apply(piece.rows)
    return count


@pytest.mark.exhaustive
def test_a_container_larger_than_a_commit_is_moved_to_another_day_and_back(disk: Disk) -> None:
    """A late event before its first day, which is then withdrawn: the cells are those of a fold from scratch."""

    def expected(day: int, first_count: int) -> dict[tuple[object, ...], int]:
        marks = {("t", day), ("n", 0, day), ("n", 1, day), ("a", 0, day), ("f", 0, day)}
        return dict.fromkeys(marks, 1) | {("e", 0, day): first_count, ("e", 1, day): BIG_COUNT // 2}

    assert cells_of(disk.store) == expected(DAY0, BIG_COUNT // 2)
    early = touchpoint("early", START - DAY, "A")
    assert apply_sliced(disk, Record(early, BIG_COUNT)) > 9
    assert cells_of(disk.store) == expected(DAY0 - 1, BIG_COUNT // 2 + 1)
    gone = touchpoint("early", START - DAY, "A", withdrawn=True, revision=1)
    assert apply_sliced(disk, Record(gone, BIG_COUNT + 1)) > 9
    assert cells_of(disk.store) == expected(DAY0, BIG_COUNT // 2)
