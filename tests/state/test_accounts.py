"""The accounts stage: whatever the order of arrival, the duplicates and the batches, it gives the batch result."""

import random
from collections.abc import Sequence
from datetime import date, datetime
from functools import partial
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from state import job
from state.accounts import Accounts
from state.definition_set import DefinitionSet
from state.definitions import Canvas, Cohort, Flow
from state.rows import chunks_prefix, decode_chunk, decode_container, decode_entries
from streams.partials import decode_cell, encode_cell
from streams.touchpoint import Touchpoint
from tests.oracles.brute import flow_cells
from tests.oracles.canvas import canvas_cells
from tests.oracles.cohort import cohort_cells
from tests.oracles.segments import counted_containers
from tests.state.layers_of import layers_of
from tests.state.memory_store import MemoryStore
from tests.state.slicing import SlicingOwner
from tests.state.small import assert_timelines_are_whole, make_chunks_small, make_timelines_small
from tests.state.worlds import (
    Record,
    analyses,
    definition_set,
    definition_sets,
    flows,
    restless_touchpoints,
    touchpoints,
)

WORLDS = st.one_of(touchpoints(), restless_touchpoints())
CUTS = st.lists(st.integers(0, 60), max_size=8)


@pytest.fixture(autouse=True)
def _short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks and timelines so short that small worlds have many."""
    make_chunks_small(monkeypatch)
    make_timelines_small(monkeypatch)


def run(definitions: DefinitionSet, batches: Sequence[Sequence[Touchpoint]], store: MemoryStore) -> None:
    """Processes the batches one after the other."""
    for batch in batches:
        store.apply(Accounts(layers_of(definitions), store).compute([Record(t) for t in batch]).rows)


def cells_of(store: MemoryStore) -> dict[tuple[str, str], int]:
    """(version, cell as text) → contribution."""
    found = {}
    for key, value in store.scan(b"c"):
        version, cell = decode_cell(key[1:])
        if value != b"0":
            found[version, repr(cell)] = int(value)
    return found


def split(items: list[Any], cuts: list[int]) -> list[list[Any]]:
    """`items` cut at the places that `cuts` name, in their order."""
    edges = [0, *sorted(cut % (len(items) + 1) for cut in cuts), len(items)]
    return [items[a:b] for a, b in pairwise(edges) if a < b]


@settings(max_examples=50)
@given(definition_sets(), WORLDS, st.randoms(use_true_random=False), CUTS)
def test_differential_any_order_and_batching_gives_the_same_cells(
    definitions: DefinitionSet, arrived: list[Touchpoint], random_: random.Random, cuts: list[int]
) -> None:
    """Shuffled and cut anywhere, the cells are those of one batch."""
    whole, pieces = MemoryStore(), MemoryStore()
    run(definitions, [arrived] if arrived else [], whole)
    shuffled = list(arrived)
    random_.shuffle(shuffled)
    run(definitions, split(shuffled, cuts), pieces)
    assert cells_of(pieces) == cells_of(whole)


def brute(definitions: DefinitionSet, touchpoints_: list[Touchpoint]) -> dict[tuple[str, str], int]:
    """The cells of a computation that keeps nothing and tries everything."""
    found = {}
    for each in definitions.definitions:
        analysis = each.analysis
        series_by_container = counted_containers(touchpoints_, analysis)
        local_day_of = partial(_local_day, ZoneInfo(each.zone))
        match analysis:
            case Canvas():
                cells = canvas_cells(analysis, series_by_container, local_day_of)
            case Cohort():
                cells = cohort_cells(analysis, series_by_container, local_day_of, each.week_start)
            case Flow():
                cells = flow_cells(analysis, series_by_container, local_day_of)
        found.update({(each.version, repr(decode_cell(encode_cell("", c))[1])): n for c, n in cells.items()})
    return found


def _local_day(zone: ZoneInfo, ms: int) -> int:
    return (datetime.fromtimestamp(ms / 1000, tz=zone).date() - date(1970, 1, 1)).days


@settings(max_examples=50)
@given(flows(), st.lists(analyses("session"), min_size=1, max_size=2), touchpoints(), st.data())
def test_oracle_distinct_sessions_equal_brute_force(
    flow: dict[str, Any], others: list[dict[str, Any]], arrived: list[Touchpoint], data: st.DataObject
) -> None:
    """Sessions that are derived have no rows of their own, so what counts them once is apart from other containers,
    whatever is asked beside it."""
    distinct = {"name": "it", **flow, "container": "session", "count": "containers", "last": None}
    sessions = definition_set([distinct, *({"name": f"other-{n}", **other} for n, other in enumerate(others))])
    browsed = [replace(each, stream="web", session=None, person=each.person or "p1") for each in arrived]
    store = MemoryStore()
    shuffled = data.draw(st.permutations(browsed))
    run(sessions, split(shuffled, data.draw(CUTS)), store)
    assert cells_of(store) == brute(sessions, browsed)


@settings(max_examples=75)
@given(definition_sets(), WORLDS, st.randoms(use_true_random=False), CUTS)
def test_oracle_any_order_and_batching_equals_brute_force(
    definitions: DefinitionSet, arrived: list[Touchpoint], random_: random.Random, cuts: list[int]
) -> None:
    """Whatever the order of arrival, the duplicates and the batches, every cell is brute force's."""
    store = MemoryStore()
    shuffled = list(arrived)
    random_.shuffle(shuffled)
    run(definitions, split(shuffled, cuts), store)
    assert cells_of(store) == brute(definitions, arrived)


def take_sliced(definitions: DefinitionSet, batches: Sequence[Sequence[Touchpoint]], store: MemoryStore) -> list[int]:
    """Processes the batches with commits and slices as small as can be; how many slices each cut record took."""
    owner = SlicingOwner(layers_of(definitions), store)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "SLICE_BYTES", 1)
        for batch in batches:
            owner.take(batch)
    return owner.slice_counts


@settings(max_examples=55)
@given(definition_sets(), WORLDS, st.randoms(use_true_random=False), CUTS)
def test_oracle_slices_equal_brute_force(
    definitions: DefinitionSet, arrived: list[Touchpoint], random_: random.Random, cuts: list[int]
) -> None:
    """Where every change of the past is cut into slices of one chunk, with a crash between any two, every cell is brute
    force's, and the chunks are whole."""
    store = MemoryStore()
    shuffled = list(arrived)
    random_.shuffle(shuffled)
    take_sliced(definitions, split(shuffled, cuts), store)
    assert cells_of(store) == brute(definitions, arrived)
    assert not list(store.scan(b"j"))
    assert_chunks_are_whole(store)
    assert_timelines_are_whole(store)


def assert_chunks_are_whole(store: MemoryStore) -> None:
    """Each container's entries are in order and within its edges; only its first sealed chunk may be empty; no chunk
    lies outside of a container."""
    chunk_keys = set()
    for key, value in store.scan(b"k"):
        row = decode_container(value)
        chunks = [(place, decode_chunk(chunk)) for place, chunk in store.scan(chunks_prefix(key))]
        chunk_keys |= {place for place, _ in chunks}
        assert len(chunks) == row.sealed_count
        assert all(chunk.entry_count for _, chunk in chunks[1:])
        stretches = [*((chunk.entry_count, chunk.entries) for _, chunk in chunks), (row.entry_count, row.entries)]
        orders = [order for stretch in stretches for order, _ in decode_entries(*stretch)]
        assert [row.first, *orders, row.last] == sorted([row.first, *orders, row.last])
        assert len(set(orders)) == len(orders)
    assert chunk_keys == {key for key, _ in store.scan(b"s")}
