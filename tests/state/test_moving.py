"""Definitions that change while events arrive: in the end all is as if the last ones had been there first."""

import random
from collections.abc import Callable, Container
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state import chores, job, layers, moving
from state.accounts_stage import OUTPUT_NAMES, AccountsStage
from state.definition_set import Definition, DefinitionSet
from state.layers import LayerReader, Layers, Plans, Share, layout_bytes
from state.moving import Mover, Placed
from state.rows import layout_key
from streams.touchpoint import Touchpoint
from tests.state.memory_store import MemoryStore
from tests.state.partitions import (
    CanNotError,
    Partition,
    assert_equal_to_scratch,
    assert_what_is_complete_is_exact,
)
from tests.state.small import make_chunks_small, make_timelines_small
from tests.state.test_accounts import WORLDS
from tests.state.test_rules import canvas, flow
from tests.state.worlds import DAY, START, Record, definition_set, definition_sets, touchpoint


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks, slices and timelines so small that small worlds have many."""
    make_chunks_small(monkeypatch)
    monkeypatch.setattr(moving, "SLICE_TOUCHPOINTS", 4)
    monkeypatch.setattr(moving, "SLICE_ROWS", 3)
    make_timelines_small(monkeypatch)


@st.composite
def renewals(
    draw: st.DrawFn, made: Callable[..., st.SearchStrategy[DefinitionSet]] = definition_sets
) -> list[DefinitionSet]:
    """Sets one after the other: analyses come, change and go; what stays keeps its version."""
    sets = [draw(made())]
    for number in range(draw(st.integers(1, 3))):
        kept = [each for each in sets[-1].definitions if draw(st.booleans())]
        fresh = [
            Definition(f"v{number}-{at}", each.zone, each.week_start, each.tzdata, each.analysis)
            for at, each in enumerate(draw(made(count_max=2)).definitions)
        ]
        former = [each for each in sets[-1].every if each not in kept and draw(st.booleans())][:1]
        sets.append(DefinitionSet((*kept, *fresh), tuple(former)))
    return sets


ACTS = st.lists(st.one_of(st.integers(1, 6), st.just("define"), st.just("chore"), st.just("chore")), max_size=60)


@settings(max_examples=25)
@given(renewals(), WORLDS, st.randoms(use_true_random=False), ACTS)
def test_oracle_changing_definitions_equal_brute_force(
    sets: list[DefinitionSet], arrived: list[Touchpoint], random_: random.Random, acts: list[int | str]
) -> None:
    """Sets come between any two batches and any two slices: in the end the cells of the last one are brute force's, in
    the rows and at a reader, and nothing is left of the others."""
    require_exact_changes(sets, arrived, random_, acts)


def require_exact_changes(
    sets: list[DefinitionSet], arrived: list[Touchpoint], random_: random.Random, acts: list[int | str]
) -> None:
    """That it is so in one world."""
    partition, waiting = Partition(sets[0]), sets[1:]
    left = list(arrived)
    random_.shuffle(left)
    act_all(partition, partition.chore, waiting, left, acts)
    if left:
        partition.take(left)
    for definitions in waiting:
        partition.define(definitions)
    partition.rest()
    assert_equal_to_scratch(partition, arrived)


def act_all(
    partition: Partition,
    chore: Callable[[], object],
    waiting: list[DefinitionSet],
    left: list[Touchpoint],
    acts: list[int | str],
) -> None:
    """Does one after the other; behind each of them what is complete is exact. What was used is gone from the lists."""
    taken: list[Touchpoint] = []
    for act in acts:
        if act == "chore":
            chore()
        elif act == "define" and waiting:
            partition.define(waiting.pop(0))
        elif isinstance(act, int) and left:
            partition.take(left[:act])
            taken += left[:act]
            del left[:act]
        assert_what_is_complete_is_exact(partition, taken)


BAD_VERSIONS = frozenset({"v0-0", "v1-0", "v1-1"})


@settings(max_examples=25)
@given(renewals(), WORLDS, st.randoms(use_true_random=False), st.data())
def test_oracle_moves_that_can_not_be_computed_equal_brute_force(
    sets: list[DefinitionSet], arrived: list[Touchpoint], random_: random.Random, data: st.DataObject
) -> None:
    """Some versions fail on some account for a while: what is complete is exact all the time, and behind the last set,
    which does not fail, all is as if that had been there first."""
    partition, left, waiting = Partition(sets[0]), list(arrived), sets[1:]
    random_.shuffle(left)
    with pytest.MonkeyPatch.context() as patch:
        fails(patch, BAD_VERSIONS, data.draw(st.integers(0, 25).map(str)))
        act_all(partition, partition.try_chore, waiting, left, data.draw(ACTS))
    if left:
        partition.take(left)
    last = waiting[-1] if waiting else partition.definitions
    partition.define(DefinitionSet(last.definitions))
    partition.live()
    partition.rest()
    assert_equal_to_scratch(partition, arrived)


FORMER = definition_set([{"name": "far", **canvas("A", "B")}, {"name": "path", **flow(starts_with="A")}])
NEW = definition_set(
    [
        {"name": "people", **canvas("A", "B", container="person")},
        {"name": "seen", **flow(starts_with="A", count="containers")},
    ]
)
BOTH = DefinitionSet((*FORMER.definitions, *NEW.definitions))
LARGE = [touchpoint(f"{n:02}", START + n * DAY, "AB"[n % 2], person="p", content_type="x") for n in range(14)]
SMALL = [touchpoint("1", START, "A", account="tiny", person="q")]


def changed(number: int, **fields: Any) -> Touchpoint:
    """One of the large account's touchpoints in another version."""
    return msgspec.structs.replace(LARGE[number], revision=1, **fields)


def event(at: float, id_: str) -> Touchpoint:
    """Another touchpoint of the large account, at a day."""
    return touchpoint(id_, START + int(at * DAY), "A", person="p")


MEANWHILE = {
    "an event behind all": [event(99, "new")],
    "an event before all": [event(-1, "early")],
    "events in between, twice": [event(2.5, "late"), event(9.5, "late-2"), event(2.5, "late"), event(9.5, "late-2")],
    "what is moved comes later": [changed(1, event_time=START + 12 * DAY + 1)],
    "what waits comes earlier": [changed(12, event_time=START + 1)],
    "what waits changes": [changed(12, type="A"), changed(12, type="A")],
    "the first goes": [changed(0, withdrawn=True)],
    "the last goes": [changed(13, withdrawn=True)],
    "the newest of what is moved goes": [changed(3, withdrawn=True), changed(7, withdrawn=True)],
    "all goes": [changed(number, withdrawn=True) for number in range(14)],
    "others": [touchpoint("2", START, "B", account="tiny", person="q"), touchpoint("3", START, account="zoe")],
}


# These two go through all lines that the others do.
COVERING = ("what waits changes", "the newest of what is moved goes")


@pytest.mark.parametrize(
    "what", [pytest.param(each, marks=[] if each in COVERING else pytest.mark.exhaustive) for each in MEANWHILE]
)
def test_an_account_that_moves_in_pieces_goes_on_living(what: str) -> None:
    """Whatever comes behind any of the pieces: it is in both layers, or waits."""
    for behind in range(19):
        partition = Partition(FORMER)
        partition.take([*LARGE, *SMALL])
        partition.define(BOTH)
        for _ in range(behind):
            partition.chore()
        partition.take(MEANWHILE[what])
        assert_what_is_complete_is_exact(partition, [*LARGE, *SMALL, *MEANWHILE[what]])
        assert partition.rest() + behind > 10
        assert_equal_to_scratch(partition, [*LARGE, *SMALL, *MEANWHILE[what]])


def test_definitions_wait_for_an_account_that_is_moving_in_pieces() -> None:
    """It is in two layers at most."""
    partition = Partition(FORMER)
    partition.take(LARGE)
    partition.define(BOTH)
    for _ in range(4):
        partition.chore()
    partition.define(NEW)
    partition.chore()
    assert partition.in_force() == {each.version for each in FORMER.definitions}
    partition.rest()
    assert_equal_to_scratch(partition, LARGE)


def test_nothing_is_moved_while_a_record_is_half_applied() -> None:
    """Its job holds chunks of the layer as it is."""
    partition = Partition(FORMER)
    partition.take(LARGE)
    partition.define(BOTH)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "SLICE_BYTES", 1)
        cut = partition.slice(event(-1, "early"))
        assert not cut.is_last
        assert not partition.chore()
        while not cut.is_last:
            cut = partition.slice(event(-1, "early"))
    partition.rest()
    assert_equal_to_scratch(partition, [*LARGE, event(-1, "early")])


def test_a_record_is_cut_in_both_layers_of_an_account_that_moves() -> None:
    """Its job has parts in either."""
    partition = Partition(FORMER)
    partition.take(LARGE)
    partition.define(BOTH)
    for _ in range(9):
        partition.chore()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "SLICE_BYTES", 1)
        while not partition.slice(event(-1, "early")).is_last:
            pass
    partition.rest()
    assert_equal_to_scratch(partition, [*LARGE, event(-1, "early")])


def test_a_version_that_was_lost_does_not_come_back() -> None:
    """Its place is empty in states that were made since."""
    partition = Partition(FORMER)
    partition.take(SMALL)
    partition.define(DefinitionSet(NEW.definitions, FORMER.definitions))
    partition.rest()
    partition.define(NEW)
    partition.rest()
    partition.define(DefinitionSet(NEW.definitions, FORMER.definitions))
    assert partition.rest() == 1
    assert partition.in_force() == {"people", "seen"}
    assert_what_is_complete_is_exact(partition, SMALL)


def fails(monkeypatch: pytest.MonkeyPatch, versions: Container[str], event_id: str) -> None:
    """No account with this touchpoint can move into a layer that has one of these versions."""
    join = Mover._join

    def failing(mover: Mover, share: Share, account: bytes, touchpoints: Placed) -> None:
        has_one = any(version in versions for version in share.plan.versions)
        if has_one and any(each.event_id == event_id for _, each in touchpoints):
            raise CanNotError(event_id)
        join(mover, share, account, touchpoints)

    monkeypatch.setattr(Mover, "_join", failing)


BAD = definition_set([{"name": "bad", **flow(starts_with="A", count="containers", container="person")}])
WITH_BAD = DefinitionSet((*BOTH.definitions, *BAD.definitions))
INSTEAD = {
    "it is removed": BOTH,
    "it is changed": DefinitionSet((*BOTH.definitions, *definition_set([{"name": "good", **flow()}]).definitions)),
    "all is removed that is new": FORMER,
    "all goes": DefinitionSet(()),
    "what is retired": NEW,
}


@pytest.mark.exhaustive
@pytest.mark.parametrize("what", INSTEAD)
@pytest.mark.parametrize("at", ["00", "05", "13", "1"])
def test_what_can_not_be_moved_goes_on_with_definitions_without_what_fails(
    monkeypatch: pytest.MonkeyPatch, what: str, at: str
) -> None:
    """Whatever had joined already: nothing is counted of it, twice or by half; the same owner goes on, and the next."""
    fails(monkeypatch, {"bad"}, at)
    partition = Partition(FORMER)
    partition.take([*LARGE, *SMALL])
    partition.define(WITH_BAD)
    while partition.try_chore():
        pass
    assert (partition.row().moving is None) == (at == "1")
    assert "bad" in partition.covers.building
    meanwhile = [event(0.5, "late"), event(6.5, "late-2"), event(99, "new"), changed(2, withdrawn=True)]
    partition.take(meanwhile)
    if at == "05":
        partition.live()
        assert not partition.try_chore()
    partition.define(INSTEAD[what])
    assert partition.try_chore()
    behind = [changed(12, event_time=START + 1), changed(10, withdrawn=True), event(7.5, "late-3")]
    partition.take(behind)
    meanwhile += behind
    while partition.try_chore():
        assert_what_is_complete_is_exact(partition, [*LARGE, *SMALL, *meanwhile])
    assert_equal_to_scratch(partition, [*LARGE, *SMALL, *meanwhile])


def test_what_can_not_be_computed_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until there are other definitions; those that are refused as well end nothing that can go on."""
    fails(monkeypatch, {"bad"}, "05")
    partition = Partition(FORMER)
    partition.take([*LARGE, *SMALL])
    partition.define(WITH_BAD)
    owner = partition.live()
    while partition.try_chore():
        pass
    assert owner.chore(0, 1) is None
    partition.offset += 1  # something was said that changes nothing
    assert owner.chore(0, 1) is None
    tried: list[DefinitionSet] = []

    def refuse(_: Layers, __: int, definitions: DefinitionSet) -> None:
        tried.append(definitions)
        raise CanNotError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chores, "with_definitions", refuse)
        partition.define(NEW)
        assert [partition.try_chore() for _ in range(3)] == [False] * 3
        assert tried == [NEW]
    partition.define(BOTH)
    partition.rest()
    assert_equal_to_scratch(partition, [*LARGE, *SMALL])


def test_definitions_that_are_refused_do_not_end_what_went_on_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accounts go on moving into the ones before."""
    partition = Partition(FORMER)
    partition.take(SMALL)
    partition.define(BOTH)
    assert partition.try_chore()

    def refuse(*_: object) -> None:
        raise CanNotError

    monkeypatch.setattr(chores, "with_definitions", refuse)
    partition.define(NEW)
    assert not partition.try_chore()
    assert partition.try_chore()
    partition.rest()
    assert partition.in_force() == {each.version for each in BOTH.definitions}


RENAMED = DefinitionSet(NEW.definitions, FORMER.definitions)


def test_a_late_event_meets_what_a_retired_version_left() -> None:
    """Its projections stand in old entries, and its states before old chunks: nobody reads them, and a change of the
    past ends where it would have ended without them."""
    partition = Partition(FORMER)
    partition.take([*LARGE, *SMALL])
    partition.define(RENAMED)
    partition.rest()
    partition.define(NEW)
    partition.rest()
    late = [event(0.5, "late"), changed(5, withdrawn=True), touchpoint("late", START + 1, "B", person="p")]
    for each in late:
        partition.take([each])
    assert_what_is_complete_is_exact(partition, [*LARGE, *SMALL, *late])
    stage = AccountsStage(lambda: (9, NEW), OUTPUT_NAMES, partition.store)
    rows = stage.compute([Record(event(1.5, "A-again"))], 0).rows  # type: ignore[misc]
    assert sum(key[:1] == b"s" for key, _ in rows) <= 2


def test_a_late_event_meets_what_a_retired_version_of_sessions_left() -> None:
    """Sessions that are derived keep states and tallies of their own."""
    former = definition_set([{"name": "visits", **flow(starts_with="A", count="containers", container="session")}])
    renamed = definition_set([{"name": "seen", **canvas("A", "B", container="session")}])
    partition = Partition(former)
    partition.take(LARGE)
    partition.define(DefinitionSet(renamed.definitions, former.definitions))
    partition.rest()
    partition.define(renamed)
    partition.rest()
    late = [event(0.5, "late"), event(2, "tie")]
    partition.take(late)
    assert_what_is_complete_is_exact(partition, [*LARGE, *late])


def test_readers_hear_of_an_account_whose_last_piece_brings_nothing() -> None:
    """What waited was withdrawn meanwhile; where it stands is said in the definitions in force."""
    partition = Partition(FORMER)
    partition.take(LARGE)
    partition.define(NEW)
    gone = [changed(number, withdrawn=True) for number in range(4, 14)]
    while partition.row().moving is None or not partition.row().moving.order:
        assert partition.chore()
    partition.take(gone)
    partition.rest()
    assert_equal_to_scratch(partition, [*LARGE, *gone])


def test_the_first_layout_is_of_the_definitions_that_it_was_made_for() -> None:
    """Others may be published before it is written."""
    store, sets = MemoryStore(), [FORMER]
    stage = AccountsStage(lambda: (len(sets), sets[-1]), OUTPUT_NAMES, store)
    sets.append(BOTH)
    store.apply(stage.idle(0).rows)
    read = LayerReader(store, lambda: (2, BOTH)).layers()
    assert read.newest.versions == {each.version for each in FORMER.definitions}
    assert layout_bytes(FORMER) == len(store.rows[layout_key(read.newest.code)])
    store.apply((stage.chore(0, 1) or pytest.fail("other definitions wait")).rows)
    assert LayerReader(store, lambda: (2, BOTH)).layers().incomplete() == {each.version for each in NEW.definitions}


@pytest.mark.parametrize("parts", [2, 4, 64])
def test_a_piece_that_is_too_large_is_cut(parts: int) -> None:
    """Into smaller ones, down to a touchpoint and a row, with the same in the end."""
    partition = Partition(FORMER)
    partition.take([*LARGE, *SMALL])
    partition.define(BOTH)
    while partition.chore(parts):
        pass
    partition.define(NEW)
    while partition.chore(parts):
        pass
    assert_equal_to_scratch(partition, [*LARGE, *SMALL])


def test_definitions_wait_while_there_are_many_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has to be moved from."""
    monkeypatch.setattr(chores, "LAYERS_MAX", 2)
    partition = Partition(FORMER)
    partition.take([*SMALL, touchpoint("3", START, account="zoe"), touchpoint("4", START, account="acme")] * 2)
    partition.define(BOTH)
    partition.chore()
    partition.define(NEW)
    partition.chore()
    assert len(partition.row().reached) <= 2
    partition.rest()
    assert partition.in_force() == {each.version for each in NEW.definitions}


def test_what_is_being_swept_does_not_come_back() -> None:
    """Its rows would be counted on, and go then."""
    partition = Partition(FORMER)
    partition.take(SMALL)
    partition.define(NEW)
    partition.chore()
    assert partition.row().debris
    partition.define(DefinitionSet((*NEW.definitions, FORMER.definitions[0]), FORMER.definitions[1:]))
    partition.rest()
    assert partition.in_force() == {"people", "seen"}
    assert_what_is_complete_is_exact(partition, SMALL)


def test_plans_are_compiled_once_and_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """While accounts move the layers change with every commit, the plans do not."""
    monkeypatch.setattr(layers, "PLANS_MAX", 2)
    plans: Plans = {}
    partition = Partition(FORMER)
    partition.take([*LARGE, *SMALL])
    partition.define(BOTH)
    seen = set()
    for _ in range(9):
        partition.chore()
        read = LayerReader(partition.store, lambda: (0, FORMER), plans).layers()
        seen |= set(map(id, read.plans))
    assert (len(read.plans), len(seen)) == (2, 2)
    partition.rest()
    partition.define(NEW)
    partition.rest()
    LayerReader(partition.store, lambda: (0, FORMER), plans).layers()
    assert len(plans) == 1
