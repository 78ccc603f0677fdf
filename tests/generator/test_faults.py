"""The faults: at their rates, and each of them what it says."""

from collections import Counter, defaultdict
from random import Random

import pytest

from generator.bad_records import KINDS, REASON_BY_KIND, bad_record
from generator.faults import Delivery
from generator.ledger import CRM, Written
from generator.plan import GroundTruth
from generator.rhythm import HOUR_MS
from streams.event_parsing import Rejection, touchpoint_of
from streams.touchpoint import Touchpoint
from tests.generator.worlds import END_MS, FAULTLESS, PLAN, Run, run

_EVENT = (
    b'{"event_id":"a-1","event_time":1767225600000,"source":"salesforce","type":"Opportunity Created",'
    b'"account":"a","value":"500"}'
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_record_is_rejected_for_its_reason(kind: str) -> None:
    """Ingest must give each kind to the dead letters, with the reason that the generator promises."""
    read = touchpoint_of(bad_record(kind, _EVENT), "crm", END_MS, ("crm-events", 0, 0), 300_000)
    assert isinstance(read, Rejection)
    assert read.reason == REASON_BY_KIND[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_record_is_one_line(kind: str) -> None:
    """So that a file with a line per record keeps it whole."""
    assert b"\n" not in bad_record(kind, _EVENT)


def test_bad_records_are_rejected_as_counted() -> None:
    """The dead letters' reasons add up to the counts by kind."""
    made = run(**FAULTLESS | {"bad": 0.02}, no_account=0.0)
    expected: Counter[str] = Counter()
    for kind, count in made.truth.bad_by_kind.items():
        expected[REASON_BY_KIND[kind]] += count
    assert Counter(each.reason for each in made.rejections) == expected
    assert set(made.truth.bad_by_kind) == set(KINDS)


@pytest.mark.parametrize("fault", FAULTLESS)
def test_a_fault_comes_at_its_rate(fault: str) -> None:
    """Within a tenth of the share that was asked for, and no other fault with it."""
    made = run(**FAULTLESS | {fault: 0.05}, no_account=0.0)
    counts = {name: getattr(made.truth, name) for name in FAULTLESS}
    assert counts[fault] == pytest.approx(0.05 * PLAN.events, rel=0.1)
    assert sum(counts.values()) == counts[fault]


def test_late_events_arrive_behind_newer_ones() -> None:
    """As many events as the truth says arrive an hour or more after something newer, up to weeks after."""
    made = run(**FAULTLESS | {"late": 0.05}, no_account=0.0)
    newest, behind = 0, []
    for each in made.touchpoints:
        behind.append(newest - each.event_time)
        newest = max(newest, each.event_time)
    seen = sum(lag > HOUR_MS for lag in behind)
    # Where the next newer event is hours away, as at night, lateness can not be seen.
    assert 0.85 * made.truth.late < seen <= made.truth.late
    assert sum(lag > 7 * 24 * HOUR_MS for lag in behind) > 0.02 * made.truth.late


def test_duplicates_are_the_same_bytes() -> None:
    """A record delivered again is the same to the last byte, and no record comes a third time."""
    made = run(**FAULTLESS | {"duplicates": 0.05})
    times = Counter(Counter(made.records).values())
    assert times == {1: PLAN.events - made.truth.duplicates, 2: made.truth.duplicates}


def _versions(made: Run) -> dict[str, list[Touchpoint]]:
    by_id: dict[str, list[Touchpoint]] = defaultdict(list)
    for each in made.touchpoints:
        by_id[each.event_id].append(each)
    return by_id


def test_corrections_change_the_value_or_the_time() -> None:
    """A correction follows its event with a higher revision, and says something else."""
    made = run(**FAULTLESS | {"corrections": 0.05})
    corrected = [both for both in _versions(made).values() if len(both) > 1]
    assert len(corrected) == made.truth.corrections
    for first, second in corrected:
        assert (first.revision, second.revision) == (0, 1)
        assert (first.account, first.source) == (second.account, second.source)
        assert (first.value, first.event_time) != (second.value, second.event_time)
    assert any(first.value != second.value for first, second in corrected)
    assert any(first.event_time != second.event_time for first, second in corrected)


def test_withdrawals_take_an_event_back() -> None:
    """A withdrawal follows its event with a higher revision."""
    made = run(**FAULTLESS | {"withdrawals": 0.05})
    withdrawn = [both for both in _versions(made).values() if len(both) > 1]
    assert len(withdrawn) == made.truth.withdrawals
    for first, second in withdrawn:
        assert (first.withdrawn, second.withdrawn, second.revision) == (False, True, 1)


def test_every_event_may_be_late() -> None:
    """With a share of 1 all events wait, and none is lost."""
    plan = run(events=500, accounts=100, **FAULTLESS | {"late": 1.0})
    assert plan.truth.late == 500
    assert len(plan.records) == 500


def test_what_waits_is_delivered_in_its_slice() -> None:
    """A slice gets what became due in it, between its own events, and the rest comes at the end."""
    truth = GroundTruth()
    delivery = Delivery(PLAN, truth, Random(1))
    events: list[Written] = [(place * HOUR_MS, CRM, _EVENT) for place in range(20_000)]
    first = delivery.deliver(events[:10_000], 10_000 * HOUR_MS)
    second = delivery.deliver(events[10_000:], 20_000 * HOUR_MS)
    rest = delivery.rest()
    assert truth.late > 0
    assert len(first) + len(second) + len(rest) == 20_000 + truth.records
    assert len(rest) < 100
