"""The values of a dimension: those that touchpoints have, as often as they have them, as far as was looked."""

from collections import Counter
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state import values
from state.accounts import Accounts
from state.values import most_frequent, values_of
from streams.touchpoint import Touchpoint
from tests.oracles.brute import surviving
from tests.state.layers_of import layers_of
from tests.state.memory_store import MemoryStore
from tests.state.worlds import FLOW_DIMENSIONS, Record, definition_set, touchpoint, touchpoints

DEFINITIONS = definition_set([{"name": "f", "kind": "flow", "container": "person", "dimension": "type"}])
TEXT_BY_TIER = {1: "1", "gold": "gold"}
TEXTS = st.text("aAbéÉß", max_size=3)


def store_of(arrived: list[Touchpoint]) -> MemoryStore:
    """A partition that has applied these."""
    store = MemoryStore()
    store.apply(Accounts(layers_of(DEFINITIONS), store).compute([Record(each) for each in arrived]).rows)
    return store


def counted(arrived: list[Touchpoint], dimension: str) -> Counter[str]:
    """The counts, from what survives."""
    found: Counter[str] = Counter()
    for each in surviving(arrived):
        if dimension == "attributes.tier":
            if each.attributes and "tier" in each.attributes:
                found[TEXT_BY_TIER[each.attributes["tier"]]] += 1
        elif getattr(each, dimension) is not None:
            found[getattr(each, dimension)] += 1
    return found


@given(touchpoints(), st.sampled_from(FLOW_DIMENSIONS))
def test_values_are_counted_as_touchpoints_survive(arrived: list[Touchpoint], dimension: str) -> None:
    """Repeats, corrections and what was taken back among them."""
    store = store_of(arrived)
    found = values_of(store, dimension, lambda: True)
    assert found.count_by_value == dict(counted(arrived, dimension))
    assert (found.looked_at, found.is_complete) == (sum(key[:1] == b"t" for key in store.rows), True)


def test_what_was_not_looked_at_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends when it is due, and says so."""
    monkeypatch.setattr(values, "_ROWS_PER_LOOK", 2)
    store = store_of([touchpoint(str(n), type="A" if n < 4 else "B") for n in range(9)])
    looks = count(1)
    found = values_of(store, "type", lambda: next(looks) == 3)
    assert (found.count_by_value, found.looked_at, found.is_complete) == ({"A": 4, "B": 2}, 6, False)


@given(st.dictionaries(TEXTS, st.integers(1, 3)), TEXTS, st.integers(1, 4))
def test_the_most_frequent_come_first(count_by_value: dict[str, int], beginning: str, most: int) -> None:
    """Of those that begin so, whatever the case; equal ones by their text."""
    found = most_frequent(count_by_value, beginning, most)
    wanted = {v for v in count_by_value if v.casefold()[: len(beginning.casefold())] == beginning.casefold()}
    assert {v for v, _ in found} <= wanted
    assert len(found) == min(most, len(wanted))
    ranks = [(-count_by_value[v], v) for v in wanted]
    assert [(-n, v) for v, n in found] == sorted(ranks)[:most]
