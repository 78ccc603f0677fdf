"""Filters that ask for other containers than the analysis' own: whatever comes, in any order, they count as brute force
does."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state import series
from streams.touchpoint import Touchpoint
from tests.check.batches import cells_of_oracle, cells_of_sql
from tests.state.memory_store import MemoryStore
from tests.state.test_accounts import brute, cells_of, run, split, take_sliced
from tests.state.worlds import START, TYPES, definition_set, filters, touchpoint

MINUTE = 60_000


@pytest.fixture(autouse=True)
def _short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks so short that small worlds have many."""
    monkeypatch.setattr(series, "CHUNK_ENTRIES", 3)
    monkeypatch.setattr(series, "CHUNK_ENTRIES_MAX", 5)


def moves(count_max: int = 40) -> st.SearchStrategy[list[Touchpoint]]:
    """Few events of one account that come, change and go again: sessions change their people, end and meet, and people,
    deals and groups come to have something and lose it."""
    made = st.builds(
        touchpoint,
        event_id=st.integers(0, 11).map(str),
        event_time=st.integers(0, 8).map(lambda n: START + n * 20 * MINUTE),
        withdrawn=st.sampled_from([False, False, False, True]),
        type=st.sampled_from(TYPES),
        person=st.sampled_from([None, "p1", "p2"]),
        session=st.sampled_from([None, None, "s1", "s2"]),
        opportunity=st.sampled_from([None, "o1", "o2"]),
        buying_group=st.sampled_from([None, None, "g1"]),
        content_type=st.sampled_from([None, "x", "y"]),
        value=st.sampled_from([None, 1_000_000, -1_000_000]),
        attributes=st.sampled_from([None, None, {"tier": 1}, {"tier": "gold"}]),
        revision=st.integers(0, 3),
    )
    return st.lists(made, max_size=count_max)


CANVAS: dict[str, Any] = {
    "kind": "canvas",
    "metric": "events",
    "nodes": [{"id": f"n{type_.lower()}", "match": {"field": "type", "value": type_}} for type_ in "AB"],
    "arrows": [{"from": "na", "to": "nb"}],
}
FLOW: dict[str, Any] = {"kind": "flow", "dimension": "type", "columns": 3, "starts_with": "A"}


@st.composite
def filtered(draw: st.DrawFn) -> dict[str, Any]:
    """An analysis whose filter asks for something of other containers."""
    container = draw(st.sampled_from(["account", "opportunity", "person", "session", "session"]))
    wanted = draw(filters(container).filter(asks_others))
    of_what = draw(st.sampled_from([CANVAS, FLOW, {**FLOW, "count": "containers"}]))
    return {**of_what, "container": container, "filter": wanted}


def asks_others(wanted: Any) -> bool:
    """Whether a filter asks for a container but the analysis' own and its account."""
    if isinstance(wanted, dict):
        return bool({"person", "some"} & wanted.keys()) or any(asks_others(part) for part in wanted.values())
    return isinstance(wanted, list) and any(asks_others(part) for part in wanted)


WORLDS = moves(), st.randoms(use_true_random=False), st.lists(st.integers(0, 60), max_size=8)


@settings(max_examples=400, deadline=None)
@given(st.lists(filtered(), min_size=1, max_size=2), *WORLDS)
def test_oracle_any_order_and_batching_equals_brute_force(
    made: list[dict[str, Any]], arrived: list[Touchpoint], random_: random.Random, cuts: list[int]
) -> None:
    """Shuffled and cut anywhere; and nothing is left of what has gone."""
    definitions = definition_set([{"name": f"a{n}", **each} for n, each in enumerate(made)])
    store, shuffled = MemoryStore(), list(arrived)
    random_.shuffle(shuffled)
    run(definitions, split(shuffled, cuts), store)
    assert cells_of(store) == brute(definitions, arrived)


@settings(max_examples=100, deadline=None)
@given(filtered(), *WORLDS)
def test_oracle_slices_equal_brute_force(
    made: dict[str, Any], arrived: list[Touchpoint], random_: random.Random, cuts: list[int]
) -> None:
    """Where every change of the past is cut into slices of one chunk."""
    definitions = definition_set([{"name": "a", **made}])
    store, shuffled = MemoryStore(), list(arrived)
    random_.shuffle(shuffled)
    take_sliced(definitions, split(shuffled, cuts), store)
    assert cells_of(store) == brute(definitions, arrived)


@settings(max_examples=100, deadline=None)
@given(filtered(), *WORLDS)
def test_tallies_are_those_of_what_is_there(
    made: dict[str, Any], arrived: list[Touchpoint], random_: random.Random, cuts: list[int]
) -> None:
    """However it came to be so, the rows of tallies, gates and of sessions under people are the same."""
    definitions = definition_set([{"name": "a", **made}])
    whole, pieces, shuffled = MemoryStore(), MemoryStore(), list(arrived)
    random_.shuffle(shuffled)
    run(definitions, [arrived] if arrived else [], whole)
    run(definitions, split(shuffled, cuts), pieces)
    assert list(pieces.scan(b"y")) == list(whole.scan(b"y"))


@settings(max_examples=100, deadline=None)
@given(st.lists(filtered(), min_size=1, max_size=3), moves())
def test_oracle_the_batch_in_sql_equals_brute_force(made: list[dict[str, Any]], arrived: list[Touchpoint]) -> None:
    """What `milepost check` compares with."""
    definitions = definition_set([{"name": f"a{n}", **each} for n, each in enumerate(made)])
    expected = [cells_of_oracle(arrived, each) for each in definitions.definitions]
    assert cells_of_sql(arrived, definitions) == expected
