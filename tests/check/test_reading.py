"""What was published at the newest covers, whatever stands behind them."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from check.reading import PublishedCells, PublishedSnapshots
from state.render.snapshot import snapshot_of
from streams.partials import COVERS_KEY, Covers, Tag, encode_cell, encode_covers, encode_partial
from streams.snapshot import Snapshot, SnapshotTag, encode_snapshot
from tests.state.worlds import definition_set

Record = tuple[bytes, bytes | None]


def cell(offset: int, value: int, *place: Any, version: str = "v") -> Record:
    """A cell's record of the commit at this offset."""
    return encode_cell(version, place), encode_partial(Tag(0, offset), value)


def covers(offset: int) -> Record:
    """The covers of the commit at this offset: so many touchpoints applied."""
    return COVERS_KEY, encode_covers(Covers(Tag(0, offset), {"touchpoints": offset}, offset, 0, "hash"))


def read(*records: Record, partition: int = 0) -> PublishedCells:
    """What a reader of these records has."""
    cells = PublishedCells()
    for record in records:
        cells.apply(partition, *record)
    return cells


def test_cells_behind_the_last_covers_do_not_count() -> None:
    """They belong to a commit that is not read in full; fences are nobody's cells."""
    cells = read(cell(1, 5, "t", 0), covers(1), (b"!fence", b""), cell(2, 6, "t", 0), cell(2, 1, "n", 0, 0))
    assert cells.cells("v") == {0: {("t", 0): 5}}
    assert cells.covers[0].applied == {"touchpoints": 1}


def test_a_former_owner_changes_nothing() -> None:
    """Its late cells and covers have a lower tag."""
    cells = read(cell(7, 5, "t", 0), covers(7), cell(3, 9, "t", 0), covers(3))
    assert cells.cells("v") == {0: {("t", 0): 5}}
    assert cells.covers[0].tag == Tag(0, 7)


def test_zero_and_deleted_cells_are_absent() -> None:
    """An absolute zero is no cell, and nor is another version's."""
    gone = (encode_cell("v", ("n", 0, 0)), None)
    cells = read(
        cell(1, 1, "n", 0, 0), cell(1, 0, "t", 0), cell(1, 4, "t", 0, version="old"), covers(1), gone, covers(2)
    )
    assert cells.cells("v") == {0: {}}


def test_sums_beyond_64_bits_and_lists_come_back() -> None:
    """Values are integers of any size; lists inside a cell are tuples, as the batch computation has them."""
    cells = read(cell(1, 2**70, "o", 0, ["x"], [None, "y"]), covers(1))
    assert cells.cells("v") == {0: {("o", 0, ("x",), (None, "y")): 2**70}}


@given(st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=4), max_size=6), st.data())
def test_compaction_changes_nothing(commits: list[list[tuple[int, int]]], data: st.DataObject) -> None:
    """Whichever older records of a key are gone: read to the end, the cells are those of the last commit."""
    records = [
        record
        for offset, changes in enumerate(commits)
        for record in (*(cell(offset, value, "t", day) for day, value in dict(changes).items()), covers(offset))
    ]
    last = {key: spot for spot, (key, _) in enumerate(records)}
    kept = [
        record for spot, record in enumerate(records) if last[record[0]] == spot or data.draw(st.booleans())
    ]  # fmt: skip
    assert read(*kept).cells("v") == read(*records).cells("v")


def test_the_newest_snapshot_is_the_one_with_the_highest_tag() -> None:
    """A zombie's later record does not win."""
    found = PublishedSnapshots()
    for claim, counter in ((1, 1), (5, 1), (1, 9)):
        found.apply(b"it", encode_snapshot(snapshot(SnapshotTag(claim, counter))))
    found.apply(b"!claim", b"")
    assert {name: each.tag for name, each in found.by_name.items()} == {"it": SnapshotTag(5, 1)}
    found.apply(b"it", None)
    assert found.by_name == {}


def snapshot(tag: SnapshotTag) -> Snapshot:
    """An empty canvas."""
    canvas = {
        "name": "it", "kind": "canvas", "container": "account",
        "nodes": [{"id": "a", "match": {"field": "type", "op": "exists"}}],
    }  # fmt: skip
    definition = definition_set([canvas]).definitions[0]
    applied = {0: Covers(Tag(0, 0), {"touchpoints": 0}, 0, 0, "hash")}
    return snapshot_of(definition, {}, applied, touchpoints="touchpoints", lateness_ms=0, tag=tag)
