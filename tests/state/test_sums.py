"""Sums over partitions: the same whatever the order of reading, and only ever of what covers name."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.accounts import Accounts
from state.definition_set import DefinitionSet
from state.render.days import fold_of, total
from state.render.ranges import days_at, own_range
from state.sums import PartialSums
from streams.partials import COVERS_KEY, Cell, Covers, Tag, decode_cell, encode_cell, encode_covers, encode_partial
from streams.stage import Applied
from streams.touchpoint import Touchpoint
from tests.state.layers_of import layers_of
from tests.state.memory_store import MemoryStore
from tests.state.worlds import Record, definition_set, definition_sets, touchpoints

Records = list[tuple[bytes, bytes | None]]

DEFINITIONS = definition_set(
    [
        {"name": "c", "kind": "cohort", "container": "account", "granularity": "day",
         "inclusion": {"match": {"field": "type", "op": "exists"}},
         "return": {"match": {"field": "type", "op": "exists"}}},
        {"name": "f", "kind": "flow", "container": "account", "dimension": "type"},
    ]
)  # fmt: skip


def commit(offset: int, cells: dict[tuple[str, Cell], int], definitions_hash: str = DEFINITIONS.hash) -> Records:
    """What a partition publishes for one commit."""
    tag = Tag(0, offset)
    covers = Covers(tag, {"touchpoints": offset}, offset, offset, definitions_hash)
    made: Records = [(encode_cell(*place), encode_partial(tag, value)) for place, value in cells.items()]
    return [*made, (COVERS_KEY, encode_covers(covers))]


def totals(sums: PartialSums) -> dict[tuple[str, Any], int]:
    """All totals, by version and cell."""
    return {(v, cell): n for v in ("c", "f") for cell, n in sums.totals(v).items()}


PLACES = [("c", ("i", 1)), ("c", ("i", 2)), ("c", ("r", 1, 0)), ("f", ("o", 3, (), ("x", "y"))),
          ("f", ("o", 4, (), ("x", "y")))]  # fmt: skip
COMMITS = st.lists(st.dictionaries(st.sampled_from(PLACES), st.integers(-(2**70), 2**70), max_size=4), max_size=5)


@st.composite
def logs(draw: st.DrawFn) -> tuple[list[Records], dict[tuple[str, Any], int]]:
    """Three partitions' logs with repeats and records of former owners in them, and the sums they stand for."""
    partitions = []
    expected: dict[tuple[str, Any], int] = {}
    for _ in range(3):
        commits = draw(COMMITS)
        published = [commit(10 * (n + 1), cells) for n, cells in enumerate(commits)]
        log: Records = [(b"!fence", b"")]
        for n, records in enumerate(published):
            log += records
            for again in draw(st.lists(st.sampled_from(published[: n + 1]), max_size=2)):
                log += again
        newest: dict[tuple[str, Cell], int] = {}
        for cells in commits:
            newest.update(cells)
        for (version, cell), value in newest.items():
            place = (cell[2], cell[3]) if version == "f" else cell
            expected[(version, place)] = expected.get((version, place), 0) + value
        partitions.append(log)
    return partitions, {place: value for place, value in expected.items() if value}


@settings(deadline=None)
@given(logs(), st.data())
def test_any_interleaving_gives_the_same_sums(
    world: tuple[list[Records], dict[tuple[str, Any], int]], data: st.DataObject
) -> None:
    """Partitions in any order, lists cut anywhere, repeats and old tags: the sums are those of the newest values."""
    partitions, expected = world
    sums = PartialSums(DEFINITIONS.definitions)
    left = {number: log for number, log in enumerate(partitions) if log}
    while left:
        number = data.draw(st.sampled_from(sorted(left)))
        count = data.draw(st.integers(1, len(left[number])))
        sums.apply(number, left[number][:count])
        left[number] = left[number][count:]
        if not left[number]:
            del left[number]
    assert totals(sums) == expected
    newest = {n: [key for key, _ in log].count(COVERS_KEY) for n, log in enumerate(partitions)}
    assert set(sums.covers) == {n for n, count in newest.items() if count}


@settings(deadline=None)
@given(logs(), st.sampled_from([None, (0, 2), (3, 3), (4, 9)]), st.data())
def test_other_days_are_summed_from_what_is_there(
    world: tuple[list[Records], dict[tuple[str, Any], int]], days: tuple[int, int] | None, data: st.DataObject
) -> None:
    """As if they had been asked for at the beginning, at whatever place the reading stands; and what comes behind it
    does not reach them."""
    partitions, _ = world
    sums, wanted = PartialSums(DEFINITIONS.definitions), PartialSums(DEFINITIONS.definitions, days)
    rest = []
    for number, log in enumerate(partitions):
        end = data.draw(st.integers(0, len(log)))
        sums.apply(number, log[:end])
        wanted.apply(number, log[:end])
        rest.append(log[end:])
    found = {each.version: sums.over(each.version, days) for each in DEFINITIONS.definitions}
    expected, covers = totals(wanted), dict(sums.covers)
    for number, log in enumerate(rest):
        sums.apply(number, log)
    for each in DEFINITIONS.definitions:
        found[each.version].define([each])
        assert found[each.version].covers == covers
        assert found[each.version].days(each.version) == wanted.days(each.version)
    assert {(v, cell): n for v, one in found.items() for cell, n in one.totals(v).items()} == expected


def test_sums_stand_at_covers() -> None:
    """Cells without their covers wait; with them both move at once."""
    sums = PartialSums(DEFINITIONS.definitions)
    first, second = commit(1, {PLACES[0]: 5}), commit(2, {PLACES[0]: 7, PLACES[1]: 1})
    assert not sums.apply(0, first[:1])
    assert (totals(sums), sums.covers) == ({}, {})
    assert sums.apply(0, first[1:] + second[:2])
    assert (totals(sums), sums.covers[0].tag) == ({PLACES[0]: 5}, Tag(0, 1))
    assert sums.apply(0, second[2:])
    assert totals(sums) == {PLACES[0]: 7, PLACES[1]: 1}


def test_what_a_former_owner_sends_late_is_passed_over() -> None:
    """Its fence, and a cell under an older tag than the one that stands."""
    sums = PartialSums(DEFINITIONS.definitions)
    sums.apply(0, [(b"!fence", b""), *commit(2, {PLACES[0]: 7})])
    sums.apply(0, [*commit(1, {PLACES[0]: 5})[:1], *commit(3, {})])
    assert totals(sums) == {PLACES[0]: 7}


def test_another_range_is_summed_from_what_was_read() -> None:
    """At the covers of then: what comes behind does not reach it."""
    sums = PartialSums(DEFINITIONS.definitions)
    sums.apply(0, commit(1, dict.fromkeys(PLACES, 1)))
    other = sums.over("c", (2, 3))
    sums.apply(0, commit(2, {PLACES[1]: 9}))
    other.define(DEFINITIONS.definitions[:1])
    assert (other.totals("c"), other.covers[0].tag) == ({PLACES[1][1]: 1}, Tag(0, 1))


def test_covers_never_go_back() -> None:
    """A former owner's late covers, or the same again, move nothing."""
    sums = PartialSums(DEFINITIONS.definitions)
    assert sums.apply(0, commit(5, {}))
    assert not sums.apply(0, commit(5, {}))
    assert not sums.apply(0, commit(4, {PLACES[0]: 9}))
    assert sums.covers[0].tag == Tag(0, 5)


def test_changed_are_those_whose_totals_moved() -> None:
    """Once per question; the same value under a newer tag is no change, and neither is another version's cell."""
    sums = PartialSums(DEFINITIONS.definitions)
    sums.apply(0, commit(1, {PLACES[0]: 5}))
    assert sums.take_changed() == {"c"}
    assert sums.take_changed() == set()
    sums.apply(0, commit(2, {PLACES[0]: 5, ("retired", ("i", 1)): 3}))
    assert sums.take_changed() == set()
    sums.apply(0, commit(3, {PLACES[3]: 1}))
    assert sums.take_changed() == {"f"}


def test_deleted_cell_adds_nothing() -> None:
    """A tombstone takes a partition's share away; one for an unknown cell does nothing."""
    sums = PartialSums(DEFINITIONS.definitions)
    sums.apply(0, commit(1, {PLACES[0]: 5}))
    sums.apply(1, commit(1, {PLACES[0]: 2}))
    sums.apply(0, [(encode_cell(*PLACES[0]), None), (encode_cell(*PLACES[1]), None), *commit(2, {})])
    assert totals(sums) == {PLACES[0]: 2}


def test_a_total_of_zero_is_none() -> None:
    """What a path that grew leaves behind is no cell any more for those who render."""
    sums = PartialSums(DEFINITIONS.definitions)
    sums.apply(0, commit(1, {PLACES[3]: 1}))
    sums.apply(0, commit(2, {PLACES[3]: 0}))
    assert totals(sums) == {}


def test_range_keeps_only_its_days() -> None:
    """Cells outside are neither in the totals nor a change."""
    sums = PartialSums(DEFINITIONS.definitions, (2, 3))
    sums.apply(0, commit(1, dict.fromkeys(PLACES, 1)))
    assert totals(sums) == {PLACES[1]: 1, ("f", ((), ("x", "y"))): 1}
    sums.apply(0, commit(2, {PLACES[0]: 4}))
    sums.take_changed()
    sums.apply(0, commit(3, {PLACES[0]: 6}))
    assert sums.take_changed() == set()


def covers(version: str, building: dict[str, tuple[int, int]]) -> Records:
    """What a partition says of its versions."""
    found = Covers(Tag(0, 9), {}, 0, 0, "", complete=[] if version in building else [version], building=building)
    return [(COVERS_KEY, encode_covers(found))]


def test_a_version_is_complete_when_it_is_everywhere() -> None:
    """Before that it says how far it is: of what each partition says the mean, never all."""
    sums = PartialSums(DEFINITIONS.definitions)
    assert (sums.is_complete("c"), sums.moved_percent("c")) == (False, 0)
    sums.apply(0, covers("c", {}))
    assert sums.is_complete("c")
    assert not sums.is_complete("f")
    sums.apply(1, covers("c", {"c": (50, 100)}))
    assert (sums.is_complete("c"), sums.moved_percent("c"), sums.moved_percent("f")) == (False, 75, 0)
    sums.apply(2, covers("c", {"c": (100, 100)}))
    sums.apply(3, covers("c", {"c": (100, 100)}))
    sums.apply(1, covers("c", {"c": (100, 100)}))
    assert sums.moved_percent("c") <= 99


@given(logs())
def test_definitions_may_come_behind_their_cells(log: tuple[list[Records], dict[tuple[str, Any], int]]) -> None:
    """Whatever was read before a definition is in its sums; one that goes is forgotten."""
    partitions, _ = log
    sums, late = PartialSums(DEFINITIONS.definitions), PartialSums()
    for partition, records in enumerate(partitions):
        sums.apply(partition, records)
        late.apply(partition, records)
    late.define(DEFINITIONS.definitions)
    assert totals(late) == totals(sums)
    assert late.take_changed() <= {"c", "f"}
    late.define(DEFINITIONS.definitions[:1])
    with pytest.raises(KeyError):
        late.totals("f")


@settings(deadline=None, max_examples=30)
@given(definition_sets(), touchpoints(), st.integers(1, 7))
def test_sums_are_the_cells_of_the_accounts(
    definitions: DefinitionSet, arrived: list[Touchpoint], batch_size: int
) -> None:
    """What the accounts stage publishes, batch by batch, sums to the contributions that it keeps."""
    store, sums = MemoryStore(), PartialSums(definitions.definitions)
    for number, at in enumerate(range(0, len(arrived), batch_size)):
        accounts = Accounts(layers_of(definitions), store)
        outcome = accounts.compute([Record(touchpoint) for touchpoint in arrived[at : at + batch_size]])
        store.apply(outcome.rows)
        sums.apply(0, accounts.partial_records(outcome, Applied(Tag(0, number), {"touchpoints": number}, 0)))
    kept: dict[str, list[tuple[Cell, int]]] = {}
    for key, value in store.scan(b"c"):
        version, cell = decode_cell(key[1:])
        kept.setdefault(version, []).append((cell, int(value)))
    for definition in definitions.definitions:
        days = days_at(definition, own_range(definition), 0)
        expected = total(fold_of(definition, days), kept.get(definition.version, []))
        assert sums.totals(definition.version) == {cell: count for cell, count in expected.items() if count}
