"""The timeline of a large account: it is all of it, in order, whatever comes and goes; a page reads little of it."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from state.accounts import Accounts
from state.containers import Containers
from state.rows import decode_leaf, timeline_prefix
from state.story import StoryPage, Wanted, story_page
from state.story_marks import StoryMarks
from streams.store import Rows
from streams.touchpoint import Touchpoint
from tests.budget.counting import CountingStore
from tests.state.layers_of import layers_of
from tests.state.memory_store import MemoryStore
from tests.state.small import assert_timelines_are_whole, make_timelines_small
from tests.state.test_accounts import CUTS, WORLDS, split
from tests.state.test_rules import canvas
from tests.state.worlds import START, Record, definition_set, touchpoint

DEFINITIONS = definition_set([{"name": "it", **canvas("A", "B")}])
LAYERS = layers_of(DEFINITIONS)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_timelines_small(monkeypatch)


def take(store: MemoryStore, *batches: list[Touchpoint]) -> None:
    """Processes the batches one after the other."""
    for batch in batches:
        store.apply(Accounts(LAYERS, store).compute([Record(each) for each in batch]).rows)


def minutes(*numbers: int) -> list[Touchpoint]:
    """A touchpoint at each of these minutes, of which the oldest came last."""
    return [touchpoint(f"{n:03}", START + n * 60_000, "A", ingest_time=START - n) for n in numbers]


@settings(max_examples=150)
@given(WORLDS, st.randoms(use_true_random=False), CUTS)
def test_a_timeline_is_what_the_touchpoints_are(
    arrived: list[Touchpoint], random_: random.Random, cuts: list[int]
) -> None:
    """Behind every batch, in any order, with corrections and withdrawals."""
    store = MemoryStore()
    shuffled = list(arrived)
    random_.shuffle(shuffled)
    for batch in split(shuffled, cuts):
        take(store, batch)
        assert_timelines_are_whole(store)


def test_leaves_part_where_something_comes_between() -> None:
    """They are filled up in order; where one grows too long, what lies behind has its own."""
    store = MemoryStore()
    take(store, minutes(*range(0, 100, 10)))
    assert leaf_sizes(store) == [2, 2, 2, 2, 2]
    take(store, minutes(1, 2, 91))
    assert leaf_sizes(store) == [2, 2, 2, 2, 2, 3]
    assert_timelines_are_whole(store)


def test_the_first_leaf_stays_when_it_is_empty() -> None:
    """It lies before everything, also before what comes then."""
    store = MemoryStore()
    take(store, minutes(*range(0, 100, 10)))
    take(store, withdrawn(0, 10, 30))
    assert leaf_sizes(store) == [0, 1, 2, 2, 2]
    take(store, withdrawn(20), minutes(5))
    assert leaf_sizes(store) == [1, 2, 2, 2]
    assert_timelines_are_whole(store)


def withdrawn(*numbers: int) -> list[Touchpoint]:
    """Those of these minutes are taken back."""
    return [replace(each, withdrawn=True, revision=1) for each in minutes(*numbers)]


def minutes_changed(number: int) -> list[Touchpoint]:
    """That of this minute is one before all others."""
    return [replace(each, event_time=START - 1, revision=1) for each in minutes(number)]


def test_it_begins_with_what_the_batch_leaves() -> None:
    """In which something goes as well."""
    store = MemoryStore()
    take(store, minutes(1, 2, 3), [*withdrawn(1), *minutes(4, 5)])
    assert leaf_sizes(store) == [2, 2]
    assert_timelines_are_whole(store)


def test_leaves_of_one_moment_are_told_apart() -> None:
    """Also where the text of one place begins as that of another."""
    store = MemoryStore()
    take(store, [touchpoint("1", START, "A", source=source) for source in ("aa", "ab", "ac", "ad", "b", "c")])
    assert leaf_sizes(store) == [2, 2, 2]
    assert_timelines_are_whole(store)


def leaf_sizes(store: MemoryStore) -> list[int]:
    """Of acme's timeline, the oldest first."""
    return [len(decode_leaf(value)) for _, value in store.scan(timeline_prefix(b"acme"))]


def test_it_goes_when_the_account_is_small_again() -> None:
    """Not at once, for an account may go to and fro; and it comes back, with everything."""
    store = MemoryStore()
    take(store, minutes(1, 2, 3, 4))
    assert leaf_sizes(store) == [2, 2]
    take(store, withdrawn(2, 3))
    assert leaf_sizes(store) == [1, 1]
    take(store, withdrawn(1))
    assert leaf_sizes(store) == []
    take(store, minutes(5, 6))
    assert leaf_sizes(store) == []
    take(store, minutes(7))
    assert leaf_sizes(store) == [2, 2]
    assert_timelines_are_whole(store)


def story(store: Rows, **wanted: Any) -> StoryPage:
    """The newest two of what is wanted of acme's story."""
    milestones = StoryMarks(DEFINITIONS, LAYERS, Containers(LAYERS, store))
    return story_page(store, milestones, b"acme", Wanted(**wanted), 2)


def test_a_page_reads_little_more_than_it_shows() -> None:
    """Wherever it begins; in a scan there would be a row per touchpoint."""
    store = MemoryStore()
    take(store, minutes(*range(300)))
    asked = CountingStore(store)
    page = story(asked)
    assert [each.event_id for each in page.touchpoints] == ["299", "298"]
    assert asked.asked.rows < 20
    assert [each.event_id for each in story(asked, before=page.before).touchpoints] == ["297", "296"]
    assert asked.asked.rows < 40


def test_what_is_rare_is_found_among_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind those that a page looks at along the timeline."""
    monkeypatch.setattr("state.story.VAIN_COUNT_MAX", 10)
    store = MemoryStore()
    take(store, [*minutes(*range(1, 100)), touchpoint("0", START, "B", ingest_time=START)])
    (found,) = story(store, filters={"type": {"B"}}).touchpoints
    assert (found.event_id, found.is_late) == ("0", True)


@pytest.mark.parametrize("later", [withdrawn(4), minutes_changed(4), []])
def test_a_timeline_that_another_build_left_behind_is_not_believed(later: list[Touchpoint]) -> None:
    """Where it differs from a touchpoint of the page."""
    store = MemoryStore()
    take(store, minutes(1, 2, 3, 4))
    leaves = list(store.scan(timeline_prefix(b"acme")))
    take(store, later)
    store.apply(leaves)
    if not later:
        store.apply([(key, None) for key, _ in store.scan(b"t") if b"004" in key])
    assert [each.event_id for each in story(store).touchpoints] == ["003", "002"]


def test_an_account_that_was_large_before_has_its_story(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that an older version wrote have no timeline, and none is begun in their middle."""
    store = MemoryStore()
    with monkeypatch.context() as patch:
        make_timelines_small(patch, touchpoints_min=1_000)
        take(store, minutes(1, 2, 3, 4))
    take(store, minutes(5))
    assert leaf_sizes(store) == []
    assert [each.event_id for each in story(store).touchpoints] == ["005", "004"]
