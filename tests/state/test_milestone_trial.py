"""A trial tells what partitions tell, also where a touchpoint changes more than a commit holds."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.account_batch import Outcome
from state.accounts import Accounts
from state.definition_set import DefinitionSet
from state.milestone_trial import Trial
from streams.alert import decode_alert
from streams.batch import BatchTooLargeError
from streams.touchpoint import Touchpoint
from tests.state.memory_store import MemoryStore
from tests.state.milestone_worlds import asserted_of, milestone_sets
from tests.state.partitions import Partition
from tests.state.test_accounts import CUTS, WORLDS, split
from tests.state.test_rules_milestones import MATCH, at, set_of
from tests.state.worlds import DAY, START, Record


def trial_of(definitions: DefinitionSet) -> Trial:
    """Of milestones, in memory."""
    store = MemoryStore()
    return Trial(definitions.milestones, store, store.apply)


def records(touchpoints: Sequence[Touchpoint], start: int = 0) -> list[Record]:
    """The next records of a topic."""
    return [Record(each, start + number) for number, each in enumerate(touchpoints)]


@settings(max_examples=30)
@given(milestone_sets(count_max=2), WORLDS, CUTS, st.integers(0, 30))
def test_differential_a_trial_tells_what_a_partition_tells(
    definitions: DefinitionSet, arrived: list[Touchpoint], cuts: list[int], days: int
) -> None:
    """The same alerts in the end, and counts that are theirs."""
    trial, partition, told = trial_of(definitions), Partition(definitions), {}
    for number, batch in enumerate(split(arrived, cuts)):
        partition.clock_ms = START + number * days * DAY
        partition.take(batch)
        partition.rest()
        for _, value in trial.take(records(batch), partition.clock_ms):
            alert = decode_alert(value or b"")
            told[alert.id] = alert
    assert told == partition.alerts
    said = trial.said()
    for each in definitions.milestones:
        counts = said.get(each.name, {})
        assert counts.get("asserted", 0) == len(asserted_of(partition, each.name))
    assert sum(each["corrections"] for each in said.values()) == sum(each.revision - 1 for each in told.values())


def test_what_is_too_large_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches in halves, and a late touchpoint in slices."""
    compute, trial = Accounts.compute, trial_of(set_of({**MATCH, "at_least": 2}))

    def only_single_ones_in_order(self: Accounts, some: Sequence[Any]) -> Outcome:
        if len(some) > 1 or some[0].value == records([at(1)])[0].value:
            raise BatchTooLargeError("it is late")
        return compute(self, some)

    monkeypatch.setattr(Accounts, "compute", only_single_ones_in_order)
    found = trial.take(records([at(2), at(3), at(1)]), 0)
    alerts = [decode_alert(value or b"") for _, value in found]
    assert [(each.revision, each.happened_ms) for each in alerts] == [(1, START + 180_000), (2, START + 120_000)]
    with pytest.raises(BatchTooLargeError, match="one touchpoint changes more"):
        trial_of(set_of(MATCH)).take(records([at(1)]), 0)
