"""What the check says of alerts: nothing where they are right, and the place where one is not."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from check.alerts import TOLD_LATE_MS, alert_differences
from check.milestones import Key
from state.milestone_set import MilestoneDefinition
from streams.alert import Alert, Involved
from streams.touchpoint import Touchpoint
from tests.check.test_milestones import found_by_sql
from tests.state.milestone_worlds import milestone_definition, milestone_sets
from tests.state.partitions import Partition
from tests.state.test_accounts import CUTS, WORLDS, split
from tests.state.test_rules import is_
from tests.state.worlds import DAY, START

ACME = Key(1, "acme", None, None)
MATCH = {"match": is_("A")}
QUIET = {"after": is_("A"), "without": is_("B"), "within": "10m"}
CLOCK = START + DAY


def made_of(when: dict[str, Any], since_ms: int = START) -> MilestoneDefinition:
    """A milestone of accounts."""
    return milestone_definition("it", {"container": "account", "when": when}, since_ms)


def alert(happened_ms: int, state: Any = "asserted", version: str = "v") -> Alert:
    """What was told of acme."""
    who = Involved("acme", "account", None, None, [])
    return Alert(1, "id", 1, state, "it", version, "it", None, who, None, happened_ms, 0, [], [], {})


RIGHT: dict[str, tuple[dict[str, Any], dict[Key, int], dict[Key, Alert | None]]] = {
    "told": (MATCH, {ACME: START}, {ACME: alert(START)}),
    "by another version": (MATCH, {ACME: START}, {ACME: alert(START, version="w")}),
    "silent": (MATCH, {ACME: START - 1}, {}),
    "moved to before": (MATCH, {ACME: START - 1}, {ACME: alert(START - 1)}),
    "another version's affair": (MATCH, {}, {ACME: alert(START, version="w")}),
    "another version's, silent": (MATCH, {ACME: START - 1}, {ACME: alert(START, version="w")}),
    "revoked": (MATCH, {}, {ACME: alert(START, "revoked")}),
    "changing": (MATCH, {ACME: START}, {ACME: None}),
    "not yet": (QUIET, {ACME: CLOCK + 1}, {}),
    "a moment ago": (QUIET, {ACME: CLOCK - TOLD_LATE_MS + 1}, {}),
}
WRONG: dict[str, tuple[dict[str, Any], dict[Key, int], dict[Key, Alert | None]]] = {
    "not told": (MATCH, {ACME: START}, {}),
    "not told in time": (QUIET, {ACME: CLOCK - TOLD_LATE_MS}, {}),
    "revoked": (MATCH, {ACME: START}, {ACME: alert(START, "revoked")}),
    "another moment": (MATCH, {ACME: START}, {ACME: alert(START + 1)}),
    "another moment of another version": (MATCH, {ACME: START}, {ACME: alert(START + 1, version="w")}),
    "nothing happened": (MATCH, {}, {ACME: alert(START)}),
    "too soon": (QUIET, {ACME: CLOCK + 1}, {ACME: alert(CLOCK + 1)}),
}


@pytest.mark.parametrize("case", RIGHT)
def test_what_is_right_is_no_difference(case: str) -> None:
    """One compared, but for what changes."""
    when, claims, alerts = RIGHT[case]
    assert alert_differences(made_of(when), claims, alerts, {1: CLOCK}) == (
        int(case not in ("changing", "not yet")),
        [],
    )


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_a_difference(case: str) -> None:
    """With whose it is, and both moments."""
    when, claims, alerts = WRONG[case]
    count, (found,) = alert_differences(made_of(when), claims, alerts, {1: CLOCK})
    assert (count, found.what, found.partition) == (1, "account acme", 1)


@settings(max_examples=30)
@given(milestone_sets(count_max=1), WORLDS, CUTS, st.integers(0, 30))
def test_differential_what_a_partition_tells_is_right(
    definitions: Any, arrived: list[Touchpoint], cuts: list[int], days: int
) -> None:
    """Live and in SQL, at the same clock."""
    (made,), partition = definitions.milestones, Partition(definitions)
    partition.clock_ms = START + days * DAY
    for batch in split(arrived, cuts):
        partition.take(batch)
    partition.rest()
    claims = {Key(0, each.account, each.id, each.episode): each.happened_ms for each in found_by_sql(made, arrived)}
    alerts = {Key(0, each.who.account, each.who.id, each.episode): each for each in partition.alerts.values()}
    assert alert_differences(made, claims, alerts, {0: partition.clock_ms})[1] == []
