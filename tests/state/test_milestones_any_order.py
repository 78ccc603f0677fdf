"""What is told of milestones: whatever the order of arrival, the batches, the clock and the definitions before, what
stands in the end is what brute force finds."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from state import chores, moving
from state.definition_set import DefinitionSet
from streams.touchpoint import Touchpoint
from tests.state.milestone_worlds import CONDITIONS, milestone_sets, require_told
from tests.state.partitions import Partition
from tests.state.small import make_chunks_small
from tests.state.test_accounts import CUTS, WORLDS, split
from tests.state.worlds import DAY, START


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks and slices so small that small worlds have many."""
    make_chunks_small(monkeypatch)
    monkeypatch.setattr(moving, "SLICE_TOUCHPOINTS", 4)
    monkeypatch.setattr(moving, "SLICE_ROWS", 3)
    monkeypatch.setattr(chores, "SLICE_TIMERS", 2)


CLOCKS = st.one_of(
    st.integers(0, 15).map(lambda n: START + n * 600_000), st.integers(0, 15).map(lambda n: START + n * DAY)
)


def dense(touchpoints_: list[Touchpoint]) -> list[Touchpoint]:
    """The same within a few moments, so that limits are met to the millisecond."""
    return [replace(each, event_time=START + each.event_time // DAY % 3 * DAY) for each in touchpoints_]


@pytest.mark.parametrize("condition", CONDITIONS)
@settings(max_examples=30)
@given(st.data(), WORLDS, st.booleans(), st.randoms(use_true_random=False), CUTS, st.lists(CLOCKS, max_size=9))
def test_oracle_any_order_batching_and_clock_equals_brute_force(
    condition: str,
    data: st.DataObject,
    arrived: list[Touchpoint],
    is_dense: bool,
    random_: random.Random,
    cuts: list[int],
    clocks: list[int],
) -> None:
    """Shuffled and cut anywhere, with duplicates, corrections and withdrawals, and with a clock that goes on at any
    moment: behind every batch and its chores what stands is what is true of what was taken."""
    definitions = data.draw(milestone_sets(condition=condition))
    arrived = dense(arrived) if is_dense else arrived
    partition, shuffled, taken = Partition(definitions), list(arrived), list[Touchpoint]()
    random_.shuffle(shuffled)
    waiting = sorted(clocks)
    for batch in split(shuffled, cuts):
        if waiting and random_.random() < 0.7:
            partition.clock_ms = waiting.pop(0)
        partition.take(batch)
        taken += batch
        if random_.random() < 0.7:
            partition.rest()
            require_all_told(partition, definitions, taken)
    partition.clock_ms = max([partition.clock_ms, *waiting])
    partition.rest()
    require_all_told(partition, definitions, arrived)


def require_all_told(partition: Partition, definitions: DefinitionSet, taken: list[Touchpoint]) -> None:
    """Of every milestone."""
    for each in definitions.milestones:
        require_told(partition, each, taken)


ACTS = st.lists(st.one_of(st.integers(1, 6), st.sampled_from(["define", "chore", "chore", "clock"])), max_size=60)


@settings(max_examples=23)
@given(
    st.tuples(milestone_sets(stem="a"), milestone_sets(stem="b"), milestone_sets(stem="c")),
    WORLDS,
    st.randoms(use_true_random=False),
    ACTS,
    CLOCKS,
)
def test_oracle_definitions_that_change_equal_brute_force(
    sets: tuple[DefinitionSet, ...],
    arrived: list[Touchpoint],
    random_: random.Random,
    acts: list[int | str],
    clock_ms: int,
) -> None:
    """Milestones come, change and go between any two batches and any two slices, large accounts in pieces: in the end
    what the last ones tell stands, and nothing of their versions that is not true."""
    partition, waiting, left = Partition(sets[0]), list(sets[1:]), list(arrived)
    random_.shuffle(left)
    for act in acts:
        if act == "chore":
            partition.chore()
        elif act == "clock":
            partition.clock_ms = min(clock_ms, max(partition.clock_ms, START) + random_.choice([600_000, DAY, 9 * DAY]))
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
    require_all_told(partition, sets[-1], arrived)
    assert {key[:1] for key in partition.store.rows} & {b"m", b"w"} <= waiting_rows(partition)


def waiting_rows(partition: Partition) -> set[bytes]:
    """Which kinds of rows there may be of what waits: both or none, and no timer that is due."""
    claims, timers = (list(partition.store.scan(prefix)) for prefix in (b"m", b"w"))
    assert all(int.from_bytes(key[1:9], "big") > partition.clock_ms for key, _ in timers)
    assert len(claims) <= len(timers)
    return {b"m", b"w"} if timers else set()
