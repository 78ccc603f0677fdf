"""Latencies from a schedule and from what was seen, against brute force; percentiles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.events import account_name
from bench.percentiles import percentile
from bench.schedule import Load, Seen, journey_waits, snapshot_waits
from streams.partitioning import partition_of

LOAD = Load(begin_s=100.0, rate=10.0, events=7, accounts=3, warm_up=0)


def test_due() -> None:
    """Nothing is due before the begin, the first event at it, then one each period, and no more than there are."""
    assert [LOAD.due_count(at) for at in (99.9, 100.0, 100.05, 100.11, 100.61, 200.0)] == [0, 1, 1, 2, 7, 7]
    assert LOAD.due_s(6) == pytest.approx(100.6)
    assert [LOAD.account(number) for number in (0, 2, 3)] == [account_name(0), account_name(2), account_name(0)]


def test_journey_waits_by_hand() -> None:
    """An event is visible with the first journey that counts it, and no later; a repeated one says nothing."""
    seen = {
        account_name(0): [Seen(1, 100.5), Seen(3, 101.0), Seen(3, 105.0)],
        account_name(1): [Seen(2, 100.9), Seen(1, 102.0)],
        account_name(2): [Seen(1, 100.4), Seen(2, 100.6)],
    }
    # Due: account-0 at 100.0, 100.3, 100.6; account-1 at 100.1, 100.4; account-2 at 100.2, 100.5.
    assert sorted(journey_waits(LOAD, seen)) == pytest.approx([0.1, 0.2, 0.4, 0.5, 0.5, 0.7, 0.8])


def test_what_was_never_seen_is_an_error() -> None:
    """A latency of what never came is no number."""
    with pytest.raises(RuntimeError, match="3 events were sent to a place, 1 were ever visible"):
        journey_waits(LOAD, {account_name(0): [Seen(1, 101.0)]})


@st.composite
def loads(draw: st.DrawFn) -> tuple[Load, list[float]]:
    """A load and the time at which each of its events became visible, per account in order."""
    events = draw(st.integers(1, 60))
    load = Load(
        50.0, draw(st.sampled_from([1.0, 7.0, 500.0])), events, draw(st.integers(1, 9)), draw(st.integers(0, events))
    )
    visible = [0.0] * events
    for number in range(events):
        before = visible[number - load.accounts] if number >= load.accounts else load.begin_s
        visible[number] = max(before, load.due_s(number)) + draw(st.sampled_from([0.0, 0.01, 0.3]))
    return load, visible


@given(loads())
def test_journey_waits_oracle(given_: tuple[Load, list[float]]) -> None:
    """Whoever sees each event when it becomes visible finds exactly how long it took."""
    load, visible = given_
    seen: dict[str, list[Seen]] = {}
    for number, at_s in enumerate(visible):
        seen.setdefault(load.account(number), []).append(Seen(number // load.accounts + 1, at_s))
    expected = [at_s - load.due_s(number) for number, at_s in enumerate(visible) if number >= load.warm_up]
    assert sorted(journey_waits(load, seen)) == pytest.approx(sorted(expected))


@given(loads(), st.integers(1, 4), st.randoms(use_true_random=False))
def test_snapshot_waits_oracle(given_: tuple[Load, list[float]], partitions: int, rng: "st.random.Random") -> None:
    """Snapshots at random times, each with what of a partition was there: an event waits for the first that has it."""
    load, _ = given_
    places = [partition_of(load.account(number).encode(), partitions) for number in range(load.events)]
    times = sorted(rng.uniform(load.begin_s, load.due_s(load.events)) for _ in range(5))
    times.append(load.due_s(load.events) + 1)
    contained = [{number for number in range(load.events) if load.due_s(number) <= at_s} for at_s in times]
    seen = {
        partition: [
            Seen(sum(places[number] == partition for number in numbers), at_s)
            for numbers, at_s in zip(contained, times, strict=True)
        ]
        for partition in range(partitions)
    }
    expected = [
        next(at_s for numbers, at_s in zip(contained, times, strict=True) if number in numbers) - load.due_s(number)
        for number in range(load.warm_up, load.events)
    ]
    assert sorted(snapshot_waits(load, partitions, seen)) == pytest.approx(sorted(expected))


@given(st.lists(st.integers(-50, 50), min_size=1), st.integers(1, 100))
def test_percentile_oracle(values: list[int], percent: int) -> None:
    """The least value that at least so many percent of all do not exceed."""
    least = min(v for v in values if 100 * sum(other <= v for other in values) >= percent * len(values))
    assert percentile(sorted(values), percent) == least


def test_no_percentile_of_nothing() -> None:
    """It is said, not made up."""
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 50)
