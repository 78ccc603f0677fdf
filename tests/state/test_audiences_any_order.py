"""Who is in an audience: whatever the order of arrival, the batches, the clock and the definitions before, it is whom
brute force finds."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state import chores, moving
from state.analyses.audiences.lens import AudienceLens
from state.definition_set import DefinitionSet
from streams.touchpoint import Touchpoint
from tests.state.audience_worlds import (
    QUESTIONS,
    audience_definition,
    audiences,
    members_in,
    require_members,
    with_audiences,
)
from tests.state.partitions import Partition
from tests.state.small import make_chunks_small
from tests.state.test_accounts import CUTS, WORLDS, split
from tests.state.test_milestones_any_order import ACTS, CLOCKS, dense
from tests.state.worlds import DAY, START


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks and slices so small that small worlds have many."""
    make_chunks_small(monkeypatch)
    monkeypatch.setattr(moving, "SLICE_TOUCHPOINTS", 4)
    monkeypatch.setattr(moving, "SLICE_ROWS", 3)
    monkeypatch.setattr(chores, "SLICE_TIMERS", 2)
    monkeypatch.setattr(chores, "SLICE_LEAVING", 2)


def newest(touchpoints_: list[Touchpoint]) -> int:
    """The clock behind all of them, as it is but for tolerances."""
    return max((each.event_time for each in touchpoints_), default=0)


@pytest.mark.parametrize("question", QUESTIONS)
@settings(max_examples=23)
@given(st.data(), WORLDS, st.booleans(), st.randoms(use_true_random=False), CUTS, st.lists(CLOCKS, max_size=9))
def test_oracle_any_order_batching_and_clock_equals_brute_force(
    question: str,
    data: st.DataObject,
    arrived: list[Touchpoint],
    is_dense: bool,
    random_: random.Random,
    cuts: list[int],
    clocks: list[int],
) -> None:
    """Shuffled and cut anywhere, with duplicates, corrections and withdrawals, and with a clock that goes on at any
    moment: behind every batch and its chores who is in is who is in by the touchpoints taken."""
    made = audience_definition(data.draw(audiences(question)))
    arrived = dense(arrived) if is_dense else arrived
    partition, shuffled, taken = Partition(with_audiences(made)), list(arrived), list[Touchpoint]()
    random_.shuffle(shuffled)
    waiting = sorted(clocks)
    # A milestone that time brings about is exact where the clock is not behind the events.
    follows = "milestone" in made.audience.model_dump_json(exclude_none=True)
    for batch in split(shuffled, cuts):
        if waiting and random_.random() < 0.7:
            partition.clock_ms = max(partition.clock_ms, waiting.pop(0))
        if follows:
            partition.clock_ms = max(partition.clock_ms, newest(batch))
        partition.take(batch)
        taken += batch
        if random_.random() < 0.7:
            partition.rest()
            require_members(partition, made, taken)
    partition.clock_ms = max([partition.clock_ms, *waiting])
    partition.rest()
    require_members(partition, made, arrived)


@settings(max_examples=25)
@given(
    st.lists(st.lists(audiences(), max_size=2), min_size=3, max_size=3),
    WORLDS,
    st.randoms(use_true_random=False),
    ACTS,
    CLOCKS,
)
def test_oracle_definitions_that_change_equal_brute_force(
    files: list[list[dict[str, object]]],
    arrived: list[Touchpoint],
    random_: random.Random,
    acts: list[int | str],
    clock_ms: int,
) -> None:
    """Audiences come, change and go between any two batches and any two slices, large accounts in pieces: in the end
    the members are those of the last ones, and there are no others."""
    sets = [_set_of(each, stem) for each, stem in zip(files, "abc", strict=True)]
    partition, waiting, left = Partition(sets[0]), sets[1:], list(arrived)
    partition.clock_ms = newest(arrived)
    random_.shuffle(left)
    for act in acts:
        if act == "chore":
            partition.chore()
        elif act == "clock":
            partition.clock_ms = max(partition.clock_ms, START) + random_.choice([600_000, DAY, 9 * DAY])
        elif act == "define" and waiting:
            partition.define(waiting.pop(0))
        elif isinstance(act, int) and left:
            partition.take(left[:act])
            del left[:act]
    if left:
        partition.take(left)
    for definitions in waiting:
        partition.define(definitions)
    partition.clock_ms = max(partition.clock_ms, clock_ms)
    partition.rest()
    for made in sets[-1].audiences:
        require_members(partition, made, arrived)
    names = {made.name for made in sets[-1].audiences}
    assert {each.audience for each in partition.members.values()} <= names
    assert all(not members_in(partition, name) for name in {"it0", "it1"} - names)
    timers = [key for key, _ in partition.store.scan(b"w")]
    assert all(int.from_bytes(key[1:9], "big") > partition.clock_ms for key in timers)


@settings(max_examples=150)
@given(st.data(), WORLDS, st.booleans(), st.integers(0, 12 * DAY))
def test_oracle_since_when_is_when_it_turned_last(
    data: st.DataObject, arrived: list[Touchpoint], is_dense: bool, later_ms: int
) -> None:
    """Going through all moments, at which touchpoints came or time brought something about, one after the other."""
    lens = AudienceLens(audience_definition(data.draw(audiences())))
    series = sorted(dense(arrived) if is_dense else arrived, key=lambda each: each.event_time)
    state, began, was = lens.empty(), None, None
    for number, each in enumerate(series):
        projection = lens.project(each)
        if projection is not None or (lens.needs_first and number == 0):
            lens.advance(state, each.event_time, projection, {})
        is_last = number == len(series) - 1
        until = each.event_time + later_ms if is_last else series[number + 1].event_time - 1
        moment: int | None = each.event_time
        while moment is not None and moment <= until:
            look = lens.look(state, moment)
            if look.since_ms is not None and look.is_in != was:
                began, was = moment, look.is_in
            moment = look.due_ms
    if was is not None:
        assert lens.look(state, until).since_ms == began


def _set_of(files: list[dict[str, object]], stem: str) -> DefinitionSet:
    return with_audiences(*(audience_definition(file, f"{stem}{n}", f"it{n}") for n, file in enumerate(files)))
