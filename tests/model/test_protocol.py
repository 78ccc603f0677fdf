"""The commit protocol holds with all rules, and without any one of them it does not."""

from dataclasses import replace

import pytest

from tests.model.configurations import CONFIGURATIONS, REFUTED_IN, SECOND_LINES
from tests.model.laws import SEEN_OUTSIDE, ready_ends_former_words
from tests.model.rules import RULE_NAMES, Rules
from tests.model.search import explore
from tests.model.stage import ABSOLUTE
from tests.model.world import Bounds, Setting

ALL_RULES = Rules()


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_all_rules_hold(name: str) -> None:
    """With all rules no reachable state breaks a law, and from each the owner comes to have nothing left to do."""
    outcome = explore(Setting.of(ALL_RULES, CONFIGURATIONS[name]))
    assert outcome.violation is None, "\n".join(outcome.trace)


def test_every_rule_is_refuted() -> None:
    """No rule stands in the list without a configuration that shows what it is for."""
    assert sorted(RULE_NAMES) == sorted([*REFUTED_IN, *SECOND_LINES])


@pytest.mark.parametrize("rule", REFUTED_IN)
def test_protocol_fails_without_rule(rule: str) -> None:
    """With all other rules in place, what users and successors see is wrong in some run."""
    outcome = explore(Setting.of(ALL_RULES.without(rule), CONFIGURATIONS[REFUTED_IN[rule]]), SEEN_OUTSIDE)
    assert outcome.violation
    assert outcome.trace


@pytest.mark.parametrize("rule", SECOND_LINES)
def test_second_line_holds_where_a_first_is_missing(rule: str) -> None:
    """Also without the first lines named, its law holds with the rule and breaks without."""
    missing, configuration, law = SECOND_LINES[rule]
    bounds, rules = CONFIGURATIONS[configuration], ALL_RULES.without(*missing)
    assert explore(Setting.of(rules, bounds), (law,)).violation is None
    outcome = explore(Setting.of(rules.without(rule), bounds), (law,))
    assert outcome.violation
    assert outcome.trace


@pytest.mark.parametrize("rule", SECOND_LINES)
def test_second_line_is_not_missed_while_the_first_hold(rule: str) -> None:
    """With all others in place neither readers nor successors miss it, as `rules.py` says."""
    bounds = CONFIGURATIONS[SECOND_LINES[rule].configuration]
    assert explore(Setting.of(ALL_RULES.without(rule), bounds), SEEN_OUTSIDE).violation is None


@pytest.mark.parametrize("output", ABSOLUTE)
def test_each_output_needs_its_fence(output: str) -> None:
    """A fence on one output does not protect another: the partitions learn of a new owner one by one."""
    bounds: Bounds = replace(CONFIGURATIONS["zombie"], unfenced=(output,))
    outcome = explore(Setting.of(ALL_RULES, bounds), (ready_ends_former_words,))
    assert outcome.violation is not None
    assert output in outcome.violation


def test_heartbeat_is_all_that_stops_who_slept_longer_than_the_broker_remembers() -> None:
    """One idle day is within the coordinator's memory: an owner that lives keeps a sleeper out, fences kept; with
    `keep_fences` missing as well, the partitions forget and the sleeper writes."""
    bounds, rules = CONFIGURATIONS["idle day"], ALL_RULES.without("fresh_heartbeat")
    assert explore(Setting.of(rules, bounds), SEEN_OUTSIDE).violation is None
    assert explore(Setting.of(rules.without("keep_fences"), bounds), SEEN_OUTSIDE).violation
