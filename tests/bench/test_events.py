"""The made-up events: what a world promises of them, and that both forms say the same to the product."""

from collections import Counter
from itertools import pairwise

import msgspec
import pytest

from bench.events import (
    DAY_MS,
    END_MS,
    GIANT,
    HOUR_MS,
    Happened,
    World,
    account_name,
    as_source_event,
    as_touchpoint,
    happened,
    out_of_order_share,
    scale_of,
    scaled,
)
from bench.scenarios import SCENARIO_BY_NAME
from streams.event_parsing import touchpoint_of
from streams.touchpoint import Touchpoint, decode_touchpoint

WORLD = World(events=12_000, accounts=300)


def events_of(world: World) -> list[Happened]:
    return [event for piece in happened(world) for event in piece]


def test_same_world_same_events() -> None:
    """The same world gives the same events, another seed others."""
    assert events_of(WORLD) == events_of(WORLD)
    assert events_of(WORLD) != events_of(msgspec.structs.replace(WORLD, seed=8))


def test_counts_and_span() -> None:
    """As many events as asked for, each once, in order over the days, of all accounts."""
    events = events_of(WORLD)
    assert len({event.event_id for event in events}) == len(events) == WORLD.events
    assert all(before.event_time <= after.event_time for before, after in pairwise(events))
    assert events[0].event_time == END_MS - DAY_MS
    assert events[-1].event_time < END_MS
    assert len({event.account for event in events}) == WORLD.accounts


@pytest.mark.parametrize(("share", "most_ms"), [(0.05, HOUR_MS), (0.2, HOUR_MS), (0.01, 30 * DAY_MS)])
def test_late(share: float, most_ms: int) -> None:
    """The share asked for comes late, by no more than it may; what happens is the same but for its time."""
    world = msgspec.structs.replace(WORLD, late=share, late_ms_max=most_ms)
    step_ms = DAY_MS / world.events
    delays = [END_MS - DAY_MS + number * step_ms - event.event_time for number, event in enumerate(events_of(world))]
    late = [delay for delay in delays if delay >= 1]
    assert 0.8 * share < len(late) / world.events < 1.2 * share
    assert 0.8 * most_ms < max(late) <= most_ms + 2


def test_out_of_order_share_is_that_of_brute_force() -> None:
    """An event is out of order when any before it of its account has a later time."""
    world = World(events=2_000, accounts=40, late=0.2)
    events = events_of(world)
    behind = sum(
        any(other.account == event.account and other.event_time > event.event_time for other in events[:place])
        for place, event in enumerate(events)
    )
    assert out_of_order_share(world, world.events) == behind / world.events > 0
    assert out_of_order_share(WORLD, WORLD.events) == 0


def test_zipf() -> None:
    """With exponent 1 the first account has its share of 1 / the harmonic number, and the tenth a tenth of that."""
    world = msgspec.structs.replace(WORLD, zipf=1.0)
    counts = Counter(event.account for event in events_of(world))
    expected = world.events / sum(1 / (number + 1) for number in range(world.accounts))
    assert counts[account_name(0)] == pytest.approx(expected, rel=0.1)
    assert counts[account_name(9)] == pytest.approx(expected / 10, rel=0.35)


def test_giant() -> None:
    """The giant's touchpoints are all there, in order, and spread among the others'."""
    world = World(events=20_000, accounts=100, giant=7_001)
    events = events_of(world)
    of_giant = [event for event in events if event.account == GIANT]
    assert len(of_giant) == len({event.event_id for event in of_giant}) == 7_001
    assert len(events) == 27_001
    assert all(before.event_time <= after.event_time for before, after in pairwise(of_giant))
    assert sum(event.account == GIANT for event in events[: len(events) // 2]) == pytest.approx(3_500, rel=0.2)


def test_both_forms_say_the_same() -> None:
    """Ingest makes of the source event what the other form is, but for when and where it came in."""
    for event in events_of(World(events=500, accounts=20, note_bytes=100)):
        key, payload = as_source_event(event)
        other_key, record = as_touchpoint(event)
        made = touchpoint_of(payload, "web", END_MS, ("web-events", 0, 0), 0)
        assert isinstance(made, Touchpoint), made
        assert msgspec.structs.replace(made, origin=None) == decode_touchpoint(record)
        assert key == other_key == event.account.encode()


@pytest.mark.parametrize(("name", "size"), [("ingest", 200), ("ingest-1kb", 1_000), ("ingest-4kb", 4_000)])
def test_sizes(name: str, size: int) -> None:
    """Source events have the sizes that the scenarios are called by, in bytes of JSON, on average."""
    world = scaled(SCENARIO_BY_NAME[name].world, 100)
    sizes = [len(as_source_event(event)[1]) for event in events_of(world)]
    assert sum(sizes) / len(sizes) == pytest.approx(size, rel=0.05)


def test_scaled() -> None:
    """A smaller world has as many events per account, and no more events than allowed."""
    world = World(events=5_000_000, accounts=100_000, giant=50_000, content_count=200)
    scale = scale_of(world, 12_000)
    small = scaled(world, scale)
    assert small.events <= 12_000
    assert small.events / small.accounts == pytest.approx(50, rel=0.05)
    assert (small.giant, small.content_count) == (50_000 // scale, 1)
    assert scaled(world, scale_of(world, 5_000_000)) == world
