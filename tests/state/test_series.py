"""A container's chunks: what is left of them when their entries go."""

import pytest

from state import series
from state.accounts import Accounts
from state.journeys import decode_journey, tagged
from state.rows import decode_chunk
from streams.partials import Tag
from streams.store import Row
from streams.touchpoint import Touchpoint
from tests.state.cells import cells_of
from tests.state.layers_of import layers_of
from tests.state.memory_store import MemoryStore
from tests.state.small import make_chunks_small
from tests.state.test_rules import canvas
from tests.state.worlds import START, Record, definition_set, touchpoint

LAYERS = layers_of(definition_set([{"name": "it", **canvas("A", "B")}]))


@pytest.fixture(autouse=True)
def _short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of three entries."""
    make_chunks_small(monkeypatch)


def take(store: MemoryStore, *batch: Touchpoint) -> list[Row]:
    """Commits a batch; gives its rows of chunks."""
    rows = Accounts(LAYERS, store).compute([Record(each) for each in batch]).rows
    store.apply(rows)
    return [row for row in rows if row[0].startswith(b"s")]


def event(number: int, type_: str = "A", **fields: object) -> Touchpoint:
    """The touchpoint that comes at this place."""
    return touchpoint(f"{number:02}", START + number, type_, **fields)


def gone(number: int, type_: str = "A") -> Touchpoint:
    """Its withdrawal."""
    return event(number, type_, withdrawn=True, revision=1)


def sizes(store: MemoryStore) -> list[int]:
    """How many entries each sealed chunk has."""
    return [decode_chunk(value).entry_count for _, value in store.scan(b"s")]


def test_a_chunk_that_loses_its_entries_goes_but_for_the_first() -> None:
    """The first one lies before everything, so that whatever comes late has a chunk."""
    store = MemoryStore()
    take(store, *[event(n) for n in range(10)])
    assert sizes(store) == [3, 3, 3]
    take(store, *[gone(n) for n in (3, 4, 5)])
    assert sizes(store) == [3, 3]
    take(store, *[gone(n) for n in (0, 1, 2)])
    assert sizes(store) == [0, 3]
    take(store, event(4, revision=2))
    assert sizes(store) == [1, 3]


def test_chunks_grow_with_their_series(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as there are few, what is written again and again is short."""
    monkeypatch.setattr(series, "CHUNK_ENTRIES_FIRST", 2)
    monkeypatch.setattr(series, "CHUNK_ENTRIES", 4)
    monkeypatch.setattr(series, "SEALED_PER_ENTRY", 3)
    store = MemoryStore()
    take(store, *[event(n) for n in range(28)])
    assert sizes(store) == [2, 2, 2, 3, 3, 3, 4, 4, 4]


def test_a_container_without_touchpoints_leaves_no_row_but_theirs() -> None:
    """Withdrawn one by one or at once, neither chunks nor the container stay, nor do cells count anything."""
    for batches in ([[gone(n) for n in range(10)]], [[gone(n)] for n in (4, 9, 0, 1, 2, 3, 8, 7, 6, 5)]):
        store = MemoryStore()
        take(store, *[event(n) for n in range(10)])
        for batch in batches:
            take(store, *batch)
        assert {key[:1] for key in store.rows} == {b"t", b"e", b"c"}
        assert {value for _, value in store.scan(b"c")} == {b"0"}


def test_an_emptied_container_begins_anew_in_the_same_batch() -> None:
    """What joins behind all that goes is the container's first, also when it interests no node."""
    store = MemoryStore()
    take(store, *[event(n) for n in range(4)])
    take(store, *[gone(n) for n in range(4)], event(7, "X"), event(8))
    fresh = MemoryStore()
    take(fresh, event(7, "X"), event(8))
    assert cells_of(store) == cells_of(fresh) != {}


def test_withdrawing_what_is_in_no_chunk_rewrites_none() -> None:
    """An event that interests no node costs its row and the count."""
    store = MemoryStore()
    take(store, *[event(n, "X" if n == 5 else "A") for n in range(12)])
    assert take(store, gone(5, "X")) == []


def test_a_correction_at_the_same_place_moves_no_edge() -> None:
    """The oldest and the newest event are corrected without a look at the touchpoint rows; types and first follow."""

    class Unscanned(MemoryStore):
        def scan(self, prefix: bytes) -> object:  # type: ignore[override]
            assert not prefix.startswith(b"t")
            return super().scan(prefix)

    store = Unscanned()
    take(store, *[event(n) for n in range(4)])
    take(store, event(0, "X", revision=1), event(3, "Y", revision=1))
    fresh = MemoryStore()
    take(fresh, event(0, "X"), event(1), event(2), event(3, "Y"))
    assert cells_of(store) == cells_of(fresh)
    journeys = [Accounts(LAYERS, each).compute([Record(event(4))]).journeys for each in (store, fresh)]
    messages = [value for each in journeys for _, value in tagged(Tag(1, 0), each)]
    assert [decode_journey(message).touchpoint_count for message in messages] == [5, 5]


def test_a_chunk_that_many_come_late_to_is_cut() -> None:
    """Six that belong in one chunk of three make three of it; in the open one all but the last are sealed."""
    store = MemoryStore()
    take(store, *[event(10 * n) for n in range(4)])
    assert sizes(store) == [3]
    take(store, *[event(n) for n in range(1, 7)])
    assert sizes(store) == [3, 3, 3]
    take(store, event(50))
    take(store, *[event(n) for n in range(31, 37)])
    assert sizes(store) == [3, 3, 3, 3, 3]
