"""A snapshot says what it is of, and exactly which input it contains."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.definition_set import DefinitionSet
from state.render.days import fold_of, total
from state.render.snapshot import snapshot_of
from streams.partials import Covers, Tag
from streams.snapshot import Snapshot, SnapshotTag, decode_snapshot, encode_snapshot
from tests.state.worlds import definition_set, definition_sets

COVERS = {
    2: Covers(Tag(0, 9), {"touchpoints": 4}, 1_000, 0, "hash"),
    0: Covers(Tag(0, 7), {"touchpoints": 17}, 3_000, 900_000, "hash"),
    1: Covers(Tag(0, 8), {}, 2_000, 800_000, "hash"),
}


def snapshots(definitions: DefinitionSet) -> list[Snapshot]:
    """A snapshot of each analysis, of nothing."""
    return [
        snapshot_of(each, {}, COVERS, touchpoints="touchpoints", lateness_ms=60_000, tag=SnapshotTag(5, 1))
        for each in definitions.definitions
    ]


def test_covers_become_what_it_contains() -> None:
    """Offsets per partition that has any, the newest clock, and the slowest active partition's watermark."""
    cohort = {"name": "c", "title": "A cohort", "kind": "cohort", "container": "person", "granularity": "week",
              "inclusion": {"match": {"field": "type", "op": "exists"}},
              "return": {"match": {"field": "type", "op": "exists"}}}  # fmt: skip
    (found,) = snapshots(definition_set([cohort]))
    assert found.applied == {"0": 17, "2": 4}
    assert (found.clock_ms, found.watermark_ms) == (3_000, 740_000)
    assert (found.analysis, found.title, found.container, found.definitions_hash) == ("c", "A cohort", "person", "hash")
    assert (found.mode["granularity"], found.mode["periods"], found.mode["include"]) == ("week", 26, "first")
    assert not {"name", "title", "kind", "container"} & found.mode.keys()


def test_no_event_has_no_watermark() -> None:
    """Nothing is known to be complete before the first event; a name serves where there is no title."""
    flow = {"name": "f", "kind": "flow", "container": "account", "dimension": "type"}
    (definition,) = definition_set([flow]).definitions
    found = snapshot_of(definition, {}, {2: COVERS[2]}, touchpoints="touchpoints", lateness_ms=1)
    assert (found.watermark_ms, found.tag, found.range, found.title) == (None, None, None, "f")


@settings(max_examples=50)
@given(definition_sets())
def test_record_reads_back(definitions: DefinitionSet) -> None:
    """What is written is what a reader gets, for every kind and every option."""
    for snapshot in snapshots(definitions):
        assert decode_snapshot(encode_snapshot(snapshot)) == snapshot


def test_another_format_is_refused() -> None:
    """A reader does not guess what a later format means."""
    flow = {"name": "f", "kind": "flow", "container": "account", "dimension": "type"}
    (snapshot,) = snapshots(definition_set([flow]))
    with pytest.raises(ValueError, match="format 2"):
        decode_snapshot(encode_snapshot(msgspec.structs.replace(snapshot, format=2)))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(-9, 9)), max_size=20))
def test_days_add_up(cells: list[tuple[int, int, int]]) -> None:
    """A range and its two halves give the same sums."""
    (definition,) = definition_set(
        [{"name": "c", "kind": "canvas", "container": "account",
          "nodes": [{"id": "a", "match": {"field": "type", "op": "exists"}}]}]
    ).definitions  # fmt: skip
    sums = [(["n", node, day], count) for node, day, count in cells]
    halves = [total(fold_of(definition, days), sums) for days in ((0, 2), (3, 5))]
    whole = total(fold_of(definition, None), sums)
    assert whole == {cell: halves[0].get(cell, 0) + halves[1].get(cell, 0) for cell in whole}
