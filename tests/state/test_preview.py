"""A preview over all accounts is what the analysis shows when it is applied; over some, what these contribute."""

from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state import preview as preview_module
from state.accounts import Accounts
from state.definition_set import DefinitionSet
from state.preview import Preview, sample_of
from state.render.days import totals_of
from state.render.ranges import days_at, own_range
from state.sums import PartialSums
from streams.partials import Tag
from streams.stage import Applied
from streams.touchpoint import Touchpoint
from tests.check.batches import cells_of_oracle
from tests.state.layers_of import layers_of
from tests.state.memory_store import MemoryStore
from tests.state.worlds import DAY, START, Record, definition_set, definition_sets, touchpoint, touchpoints

OTHERS = definition_set([{"name": "f", "kind": "flow", "container": "account", "dimension": "type"}])
CLOCK_MS = START + 45 * DAY


def never() -> bool:
    """Nothing is due."""
    return False


def store_of(arrived: list[Touchpoint], definitions: DefinitionSet = OTHERS) -> tuple[MemoryStore, PartialSums]:
    """A partition that has applied these, and what it published."""
    store, sums = MemoryStore(), PartialSums(definitions.definitions)
    accounts = Accounts(layers_of(definitions), store)
    outcome = accounts.compute([Record(each) for each in arrived])
    store.apply(outcome.rows)
    sums.apply(0, accounts.partial_records(outcome, Applied(Tag(0, 1), {"touchpoints": 1}, CLOCK_MS)))
    return store, sums


def accounts_in(arrived: list[Touchpoint]) -> set[bytes]:
    """Every account that a touchpoint came of."""
    return {each.account.encode() for each in arrived}


@settings(max_examples=50)
@given(definition_sets(), touchpoints())
def test_over_all_accounts_it_is_what_is_applied(definitions: DefinitionSet, arrived: list[Touchpoint]) -> None:
    """Totals over the days that the definition asks for, as the sums of the applied analysis have them."""
    store, _ = store_of(arrived)
    _, applied = store_of(arrived, definitions)
    for definition in definitions.definitions:
        preview = Preview(definition)
        assert all(preview.add(store, account, never) for account in accounts_in(arrived))
        totals, days = preview.totals(CLOCK_MS)
        assert totals == applied.totals(definition.version)
        assert days == applied.days(definition.version)


@given(definition_sets(1), touchpoints(), st.sampled_from([{"acme"}, {"brit"}, {"acme", "brit"}]))
def test_some_accounts_are_counted_as_if_there_were_no_others(
    definitions: DefinitionSet, arrived: list[Touchpoint], wanted: set[str]
) -> None:
    """By brute force over their touchpoints."""
    (definition,) = definitions.definitions
    store, _ = store_of(arrived)
    mine = [each for each in arrived if each.account in wanted]
    preview = Preview(definition)
    for account in accounts_in(mine):
        preview.add(store, account, never)
    expected = {cell: n for cell, n in cells_of_oracle(mine, definition).items() if n}
    assert {cell: n for cell, n in preview.cells.items() if n} == expected
    days = days_at(definition, own_range(definition), CLOCK_MS)
    assert preview.totals(CLOCK_MS)[0] == {c: n for c, n in totals_of(definition, expected, days).items() if n}


@pytest.mark.parametrize("looks", [1, 2])
def test_an_account_that_takes_too_long_adds_nothing(looks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the time is over."""
    monkeypatch.setattr(preview_module, "TOUCHPOINTS_PER_LOOK", 4)
    store, _ = store_of([touchpoint(str(n), START + n, "A") for n in range(8)])
    (definition,) = OTHERS.definitions
    preview = Preview(definition)
    looked = count(1)
    assert not preview.add(store, b"acme", lambda: next(looked) == looks)
    assert preview.cells == {}
    assert preview.add(store, b"acme", lambda: next(looked) < 0)
    assert list(preview.cells.values()) == [1]


def test_an_account_that_is_too_much_at_once_adds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is left out, as one that takes too long."""
    store, _ = store_of([touchpoint(str(n), START + n, "A") for n in range(300)])
    monkeypatch.setattr("state.row_list.BYTES_MAX", 1_000)
    preview = Preview(OTHERS.definitions[0])
    assert not preview.add(store, b"acme", never)
    assert preview.cells == {}


def test_an_account_finds_nothing_that_was_stored() -> None:
    """As in an empty store."""
    nothing, empty = preview_module.Nothing(), MemoryStore()
    assert nothing.get([b"a", b"b"]) == empty.get([b"a", b"b"])
    assert list(nothing.scan(b"")) == list(empty.scan(b""))
    assert nothing.floor(b"", b"a") == empty.floor(b"", b"a")
    assert nothing.after(b"", b"a") == empty.after(b"", b"a")


@given(st.sets(st.binary(max_size=3), max_size=30), st.integers(0, 40), st.randoms())
def test_a_sample_is_the_same_each_time(accounts: set[bytes], size: int, random: Any) -> None:
    """In whatever order the accounts are found; a larger one begins with the smaller one."""
    shuffled = sorted(accounts)
    random.shuffle(shuffled)
    found = sample_of(shuffled, size)
    assert found == sample_of(accounts, 100)[:size]
    assert len(set(found)) == len(found) == min(size, len(accounts))


def test_a_sample_is_spread_over_the_names() -> None:
    """Not the first ones: of 10,000 numbered accounts a tenth has a tenth of each thousand, more or less."""
    found = sample_of([b"account %05d" % number for number in range(10_000)], 1_000)
    for thousand in range(10):
        assert 60 < sum(each.startswith(b"account %02d" % thousand) for each in found) < 140
