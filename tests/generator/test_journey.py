"""The story: a funnel in its order, at believable shares and values."""

from collections import defaultdict
from itertools import pairwise

import pytest

from generator.journey import STEPS
from streams.touchpoint import MILLIONTHS, Touchpoint
from tests.generator.worlds import FAULTLESS, PLAN, Run, run

_MILESTONES = {
    "form": "Lead Form Step 1", "submitted": "Lead Form Submitted", "mql": "MQL Qualified", "sql": "SQL Accepted",
    "opportunity": "Opportunity Created", "won": "Closed-Won", "lost": "Closed-Lost",
}  # fmt: skip


@pytest.fixture(scope="module")
def year() -> Run:
    """A year of 800 accounts in order of time."""
    return run(**FAULTLESS, no_account=0.0)


def _times_by_account(year: Run, event_type: str) -> dict[str, list[int]]:
    times = defaultdict(list)
    for each in year.touchpoints:
        if each.type == event_type:
            times[each.account].append(each.event_time)
    return times


def test_the_truth_counts_the_accounts_of_each_milestone(year: Run) -> None:
    """What the generator says of its funnel is what stands in the events."""
    counted = {name: len(_times_by_account(year, event_type)) for name, event_type in _MILESTONES.items()}
    assert counted == {name: year.truth.accounts_by_milestone[name] for name in _MILESTONES}


def test_each_milestone_has_fewer_accounts_than_the_one_before(year: Run) -> None:
    """Lead, MQL, opportunity and won form a funnel, near the shares that the module promises."""
    reached = [year.truth.accounts_by_milestone[name] / PLAN.accounts for name in _MILESTONES][:6]
    assert reached == sorted(reached, reverse=True)
    assert reached == pytest.approx([0.45, 0.38, 0.28, 0.23, 0.19, 0.06], abs=0.05)
    assert reached[-1] > 0.02


def test_an_account_takes_the_steps_in_their_order(year: Run) -> None:
    """Nobody wins before an opportunity, and there is none without a lead form."""
    firsts = [
        {account: min(times) for account, times in _times_by_account(year, _MILESTONES[name]).items()}
        for name in ("form", "mql", "opportunity", "won")
    ]
    for before, after in pairwise(firsts):
        assert all(before[account] < at for account, at in after.items())


def test_an_opportunity_is_created_once_and_closed_at_most_once(year: Run) -> None:
    """Its events belong to one account and one buying group, and it has one value above zero."""
    events: dict[str, list[Touchpoint]] = defaultdict(list)
    for each in year.touchpoints:
        if each.opportunity is not None:
            events[each.opportunity].append(each)
    for life in events.values():
        types = [each.type for each in life]
        assert types.count("Opportunity Created") == 1
        assert types.count("Closed-Won") + types.count("Closed-Lost") <= 1
        assert len({(each.account, each.buying_group, each.value) for each in life}) == 1
        assert life[0].value is not None
        assert life[0].value >= 500 * MILLIONTHS


def test_large_companies_make_large_deals(year: Run) -> None:
    """The mean value grows with the size of the account."""
    values = defaultdict(list)
    for each in year.touchpoints:
        if each.type == "Opportunity Created" and each.attributes is not None:
            values[each.attributes["size"]].append(each.value or 0)
    small, large = values["1-50"], values["5001+"]
    assert sum(large) / len(large) > 5 * sum(small) / len(small)


def test_marketing_qualification_follows_reading(year: Run) -> None:
    """Every account looked at some content before it became an MQL, so that a flow has paths to show."""
    qualified = {account: min(times) for account, times in _times_by_account(year, "MQL Qualified").items()}
    read = {
        each.account
        for each in year.touchpoints
        if each.content_type is not None and each.event_time < qualified.get(each.account, 0)
    }
    assert read == set(qualified)


def test_attendance_follows_registration(year: Run) -> None:
    """Who attends a webinar or checks in at a trade show has registered for that one before."""
    registered: set[tuple[str | None, str | None]] = set()
    attended = 0
    for each in year.touchpoints:
        if each.type in ("Webinar Registered", "Trade Show Registered"):
            registered.add((each.person, each.marketing_event))
        elif each.type in ("Webinar Attended", "Trade Show Checked In"):
            attended += 1
            assert (each.person, each.marketing_event) in registered
    assert 0.25 * len(registered) < attended < 0.7 * len(registered)


def test_every_kind_of_event_and_content_occurs(year: Run) -> None:
    """The names that definitions and examples use."""
    types = {each.type for each in year.touchpoints}
    assert types == {
        "Ad Clicked", "Call Logged", "Chat Started", "Closed-Lost", "Closed-Won", "Content Downloaded",
        "Email Clicked", "Email Opened", "Email Sent", "Lead Form Step 1", "Lead Form Submitted", "MQL Qualified",
        "Meeting Held", "Opportunity Created", "Opportunity Stage Changed", "Page Viewed", "SQL Accepted",
        "Trade Show Checked In", "Trade Show Registered", "Video Watched", "Webinar Attended", "Webinar Registered",
    }  # fmt: skip
    contents = {each.content_type for each in year.touchpoints}
    assert contents >= {
        "blog", "case-study", "comparison", "docs", "event", "form", "pricing", "product", "video", "webinar",
        "whitepaper",
    }  # fmt: skip


def test_visits_come_with_and_without_a_session_id(year: Run) -> None:
    """About 60 % of the page events carry the site's own session id."""
    pages = [each for each in year.touchpoints if each.type == "Page Viewed"]
    assert 0.55 < sum(each.session is not None for each in pages) / len(pages) < 0.65


@pytest.mark.parametrize("name", STEPS)
def test_what_follows_a_step_is_a_table_of_shares(name: str) -> None:
    """The shares add up to at most one, and every step that follows exists."""
    turns = STEPS[name].turns
    assert sum(turn.share for turn in turns) <= 1 + 1e-9
    assert {turn.step for turn in turns} <= set(STEPS)


def test_few_events_let_fewer_accounts_start() -> None:
    """Where accounts are many and events few, journeys take half of the events at most and still get to their end."""
    made = run(PLAN, events=20_000, accounts=4_000, **FAULTLESS)
    steps = sum(each.type in {*_MILESTONES.values(), "Opportunity Stage Changed"} for each in made.touchpoints)
    assert 0.08 < made.truth.accounts_by_milestone["form"] / 4_000 < 0.17
    assert made.truth.accounts_by_milestone["won"] > 0
    assert steps < 0.3 * made.truth.events
