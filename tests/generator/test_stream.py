"""The stream of records: what follows from a plan, and what it costs."""

import subprocess
import sys
import time
import tracemalloc
from collections import Counter, defaultdict
from dataclasses import replace
from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.plan import GeneratorPlan, GroundTruth
from generator.rhythm import DAY_MS
from generator.stream import generate
from tests.generator.worlds import END_MS, FAULTLESS, PLAN, START_MS, Run, run


@pytest.fixture(scope="module")
def faulty() -> Run:
    """A year with the default faults."""
    return run()


@pytest.fixture(scope="module")
def faultless() -> Run:
    """The same year, delivered without any fault."""
    return run(**FAULTLESS)


def _digest(plan: GeneratorPlan) -> str:
    return sha256(repr([record for batch in generate(plan) for record in batch]).encode()).hexdigest()


def test_the_same_plan_gives_the_same_bytes_in_another_process() -> None:
    """Nothing but the plan decides: neither a clock nor a process's hash seed."""
    plan = replace(PLAN, events=5_000, accounts=100)
    code = (
        "from tests.generator.test_stream import _digest, PLAN, replace;"
        "print(_digest(replace(PLAN, events=5_000, accounts=100)))"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == _digest(plan)


def test_another_seed_gives_another_year() -> None:
    """Two seeds share no event id, and so do not correct one another in one Kafka."""
    first, second = (run(PLAN, events=2_000, accounts=100, seed=seed) for seed in (1, 2))
    ids = [{each.event_id for each in one.touchpoints} for one in (first, second)]
    assert len(ids[0]) > 1_900
    assert not ids[0] & ids[1]
    assert [each.event_time for each in first.touchpoints[:50]] != [each.event_time for each in second.touchpoints[:50]]


@settings(max_examples=25, deadline=None)
@given(
    accounts=st.integers(1, 60),
    per_account=st.integers(5, 40),
    seed=st.integers(),
    days=st.integers(1, 400),
    shares=st.fixed_dictionaries(
        {
            name: st.sampled_from([0.0, 0.01, 0.2])
            for name in ("late", "duplicates", "corrections", "withdrawals", "bad")
        }
    ),
    world=st.fixed_dictionaries({name: st.sampled_from([0.0, 0.05, 1.0]) for name in ("ties", "no_account")}),
)
def test_every_record_is_accounted_for(
    accounts: int, per_account: int, seed: int, days: int, shares: dict[str, float], world: dict[str, float]
) -> None:
    """For any plan, the ground truth says how many records of each sort there are, and all events lie in the window."""
    plan = GeneratorPlan(
        events=accounts * per_account,
        accounts=accounts,
        seed=seed,
        start_ms=END_MS - days * DAY_MS,
        end_ms=END_MS,
        **shares,
        **world,
    )
    made = run(plan)
    reasons = Counter(str(each.reason) for each in made.rejections)
    assert made.truth.events == plan.events
    assert len(made.records) == made.truth.records
    assert len(made.touchpoints) == made.truth.accepted
    assert reasons["no-account"] == made.truth.no_account
    assert reasons.total() == made.truth.no_account + made.truth.bad
    assert all(plan.start_ms <= each.event_time < plan.end_ms for each in made.touchpoints)


def test_without_faults_records_arrive_in_order_of_time(faultless: Run) -> None:
    """Then every event arrives once, when it happens."""
    times = [each.event_time for each in faultless.touchpoints]
    assert times == sorted(times)
    assert len({each.event_id for each in faultless.touchpoints}) == len(times)
    assert len(faultless.records) == faultless.plan.events


def test_late_events_and_duplicates_tell_of_the_same_world(faultless: Run) -> None:
    """Faults change the delivery only: the same payloads, others of them twice and in another order."""
    delivered = run(**FAULTLESS | {"late": 0.1, "duplicates": 0.1})
    assert set(delivered.records) == set(faultless.records)
    assert delivered.records != faultless.records


def test_the_window_is_filled(faultless: Run) -> None:
    """Every 30 days have their share of the events, and the last day is no exception."""
    months = Counter((each.event_time - START_MS) // (30 * DAY_MS) for each in faultless.touchpoints)
    assert min(months[month] for month in range(12)) > 0.06 * PLAN.events
    assert END_MS - max(each.event_time for each in faultless.touchpoints) < DAY_MS


def test_people_keep_office_hours(faultless: Run) -> None:
    """A Saturday has under a quarter of a Wednesday's events, and a night hour under a quarter of an afternoon's."""
    weekdays = Counter((each.event_time // DAY_MS + 3) % 7 for each in faultless.touchpoints)
    hours = Counter(each.event_time % DAY_MS // 3_600_000 for each in faultless.touchpoints)
    assert weekdays[5] < 0.25 * weekdays[2]
    assert hours[2] < 0.25 * hours[14]


def test_few_accounts_make_much_of_the_activity(faultless: Run) -> None:
    """The most active tenth makes a third to two thirds of the events."""
    counts = sorted(Counter(each.account for each in faultless.touchpoints).values(), reverse=True)
    assert 0.33 < sum(counts[: PLAN.accounts // 10]) / sum(counts) < 0.67
    assert len(counts) > 0.8 * PLAN.accounts


def test_ties_come_at_their_rate() -> None:
    """A share `ties` of the page events but a visit's first takes the time of the one before, as the truth counts."""
    made = run(ties=0.2, no_account=0.0, **FAULTLESS)
    visits = defaultdict(list)
    for each in made.touchpoints:
        if each.session is not None:
            visits[each.session].append(each.event_time)
    steps = [after - before for times in visits.values() for before, after in pairwise(times)]
    assert 0.18 < steps.count(0) / len(steps) < 0.22
    assert made.truth.ties > steps.count(0)
    assert run(ties=0.0, **FAULTLESS).truth.ties == 0


def test_events_without_account_come_at_their_rate(faulty: Run) -> None:
    """They are whole visits, and as many as was asked for."""
    assert faulty.truth.no_account == pytest.approx(PLAN.events * PLAN.no_account, rel=0.1)


def test_memory_does_not_grow_with_the_events() -> None:
    """200,000 events of few accounts weigh over 50 MB, and making them takes under 3 MB."""
    weight = 0
    tracemalloc.start()
    for batch in generate(replace(PLAN, events=200_000, accounts=100)):
        weight += sum(len(payload) for _, payload in batch)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert weight > 48_000_000
    assert peak < 3_000_000


def test_it_is_fast() -> None:
    """At least 40,000 events a second even on a busy machine; 130,000 to 400,000 are usual."""
    began, truth = time.process_time(), GroundTruth()
    for _ in generate(replace(PLAN, events=100_000, accounts=2_000), truth):
        pass
    assert truth.records / (time.process_time() - began) > 40_000


def test_a_busy_company_is_cut_into_slices() -> None:
    """A batch stays near 8,000 records when a day has many more."""
    plan = replace(PLAN, events=120_000, start_ms=END_MS - 2 * DAY_MS, accounts=1_000)
    sizes = [len(batch) for batch in generate(plan)]
    assert len(sizes) > 10
    assert max(sizes) < 16_000
