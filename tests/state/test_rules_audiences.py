"""The rules of audiences one by one, each with a test that is named for it and fails when it is bent."""

from typing import Any

import pytest
from msgspec.structs import replace

from state import chores, job, moving
from state.accounts_stage import OUTPUT_NAMES, AccountsStage
from state.analyses.audiences.course import always, during, joined
from state.definition_set import DefinitionSet
from streams.membership import MembershipChange, decode_change
from streams.partials import Tag
from streams.stage import Applied
from streams.touchpoint import Touchpoint
from tests.state.audience_worlds import audience_definition, with_audiences
from tests.state.partitions import Partition
from tests.state.small import make_chunks_small
from tests.state.test_audience_definitions import CANVAS, COHORT, HAS, MILESTONE, audience
from tests.state.test_rules import is_
from tests.state.test_rules_milestones import MINUTE, MISSING, at
from tests.state.test_rules_milestones import set_of as milestones_of
from tests.state.worlds import DAY, START, Record

DAY_MINUTES = DAY // MINUTE


def set_of(*audiences: dict[str, Any], version: str = "v", **others: Any) -> DefinitionSet:
    """Audiences of the file of `test_audience_definitions`, each under its name and number."""
    file = {"version": 1, "analyses": [CANVAS, COHORT], "milestones": [MILESTONE], **others}
    made = (
        audience_definition({**file, "audiences": [each]}, f"{version}{number}", each["name"])
        for number, each in enumerate(audiences)
    )
    return with_audiences(*made)


def partition_of(when: dict[str, Any] = HAS, **options: Any) -> Partition:
    """Of one audience."""
    return Partition(set_of(audience(when, **options)))


def clock(partition: Partition, minutes: float) -> None:
    """The clock goes on to so many minutes after the start, and what is due is done."""
    partition.clock_ms = START + int(minutes * MINUTE)
    partition.rest()


def only(partition: Partition) -> MembershipChange:
    """The newest change of the only container."""
    (change,) = partition.memberships.values()
    return change


def is_in(partition: Partition) -> bool:
    """Whether the only container is in."""
    return bool(partition.members)


def said(change: MembershipChange) -> tuple[int, str, int, str]:
    """Revision, change, minute and reason."""
    return change.revision, change.change, (change.happened_ms - START) // MINUTE, change.reason


# ------------------------------------------------------------------------------------------------------- conditions


def test_rule_days_end_at_the_clock_both_ends_inside() -> None:
    """At 10 minutes the touchpoint still counts, a millisecond later it does not."""
    partition = partition_of({"has": {"match": is_("A"), "within": "10m"}})
    partition.take([at(0)])
    clock(partition, 10)
    assert is_in(partition)
    partition.clock_ms += 1
    partition.rest()
    assert not is_in(partition)
    change = only(partition)
    assert change.happened_ms == START + 10 * MINUTE + 1
    assert change.reason == "not: count of type = A >= 1 within 10m"


def test_rule_days_end_at_the_newest_that_matches_where_that_is_ahead_of_the_clock() -> None:
    """So what came before them does not count again while the clock catches up."""
    partition = partition_of({"has": {"match": is_("A"), "number": 2, "within": "10m"}})
    clock(partition, 0)
    partition.take([at(0), at(11)])
    assert not is_in(partition)


def test_rule_absence_takes_in_whom_it_finds_and_lets_go_of_who_comes_back() -> None:
    """Nothing of A within ten minutes: also of whom there is no A at all."""
    partition = partition_of({"not": {"has": {"match": is_("A"), "within": "10m"}}})
    clock(partition, 0)
    partition.take([at(0, "B")])
    assert said(only(partition)) == (1, "entered", 0, "not: count of type = A >= 1 within 10m")
    partition.take([at(1)])
    assert said(only(partition))[:3] == (2, "exited", 1)
    clock(partition, 12)
    assert said(only(partition))[:3] == (3, "entered", 11)


_HAS_X = {"has": {"match": is_("X")}}
_RECENT = {"has": {"match": is_("A"), "within": "10m"}}


@pytest.mark.parametrize(
    ("when", "touchpoints", "change", "minute"),
    [
        ({"all": [{"not": _RECENT}, _HAS_X]}, [at(0), at(20, "X")], "entered", 20),
        ({"any": [_RECENT, {"not": _HAS_X}]}, [at(0), at(20, "X")], "exited", 20),
        ({"all": [{"milestone": "m"}, _HAS_X]}, [at(0), at(20, "X")], "entered", 20),
        ({"any": [{"not": _RECENT}, _HAS_X]}, [at(0), at(5, "X"), at(8), at(40, "B")], "entered", 5),
        ({"any": [_HAS_X, {"all": [_RECENT, {"not": _HAS_X}]}]}, [at(0), at(20, "X"), at(30, "B")], "entered", 20),
    ],
)
def test_rule_a_change_happened_when_what_brought_it_about_did(
    when: dict[str, Any], touchpoints: list[Touchpoint], change: str, minute: int
) -> None:
    """Not when another answer turned before, which did not matter then."""
    partition = Partition(set_of(audience(when), milestones=[{**MILESTONE, "when": MISSING}]))
    partition.clock_ms = START
    for touchpoint in touchpoints:
        partition.clock_ms = touchpoint.event_time
        partition.rest()
        partition.take([touchpoint])
    clock(partition, 100)
    assert (only(partition).change, (only(partition).happened_ms - START) // MINUTE) == (change, minute)
    together = Partition(set_of(audience(when), milestones=[{**MILESTONE, "when": MISSING}]))
    together.clock_ms = START + 100 * MINUTE
    together.take(touchpoints)
    if change == "entered":
        assert only(together).since_ms == START + minute * MINUTE


def test_rule_a_count_may_turn_several_times_by_time_alone() -> None:
    """Exactly one within ten minutes: at first two, then one, then none."""
    partition = partition_of({"has": {"match": is_("A"), "op": "=", "number": 1, "within": "10m"}})
    partition.take([at(0), at(5)])
    assert not is_in(partition)
    clock(partition, 11)
    assert is_in(partition)
    clock(partition, 16)
    assert said(only(partition))[:3] == (2, "exited", 15)


def test_rule_a_sum_of_the_last_days_falls_as_they_go_by() -> None:
    """To the millionth."""
    partition = partition_of({"has": {"match": is_("A"), "metric": "value", "number": 1.5, "within": "10m"}})
    partition.take([at(0, value=1), at(5, value=1_499_999)])
    assert is_in(partition)
    clock(partition, 11)
    assert not is_in(partition)


def test_rule_an_arrow_that_is_not_followed_in_time() -> None:
    """When the time is over; who follows it late stays, who turns out to have followed in time is out."""
    partition = partition_of({"canvas": "way", "arrow": "n0>n1", "followed": False, "within": "10m"})
    partition.take([at(0)])
    clock(partition, 9)
    assert not is_in(partition)
    clock(partition, 10)
    assert said(only(partition)) == (1, "entered", 10, "did not follow n0 > n1 of way within 10m")
    partition.take([at(20, "B")])
    assert is_in(partition)
    partition.take([at(5, "B")])
    assert said(only(partition))[:2] == (2, "exited")


def test_rule_an_arrow_that_is_not_followed_yet() -> None:
    """Whoever reached its origin, until it is followed."""
    partition = partition_of({"canvas": "way", "arrow": "n0>n1", "followed": False})
    partition.take([at(0, "B")])
    assert not is_in(partition)
    partition.take([at(1)])
    assert is_in(partition)
    partition.take([at(2, "B")])
    assert not is_in(partition)


def test_rule_an_arrow_that_is_followed() -> None:
    """By whoever comes to its target from its origin, also where that turns out late; taken back, they are out."""
    partition = partition_of({"canvas": "way", "arrow": "n0>n1"})
    partition.take([at(2, "B")])
    assert not is_in(partition)
    partition.take([at(1)])
    assert is_in(partition)
    partition.take([replace(at(1), withdrawn=True, revision=1)])
    assert not is_in(partition)


def test_rule_what_time_turns_counts_where_it_makes_a_difference() -> None:
    """Of conditions that are joined: one that turns beside one that decides alone changes nothing."""
    turns, never, later = during(5, None), always(False), during(7, None)
    assert joined([turns, always(True)], any) == always(True)
    assert joined([turns, never], any) == turns
    assert joined([turns, later], all) == later
    assert joined([turns, during(None, 7)], all) == during(5, 7)


def test_rule_a_milestone_counts_for_so_long() -> None:
    """Told or not, from the moment at which it happened."""
    partition = partition_of({"milestone": "m", "within": "10m"})
    partition.take([at(0), at(8)])
    clock(partition, 10)
    assert is_in(partition)  # it is told once, for its first time
    clock(partition, 11)
    assert not is_in(partition)


def test_rule_a_cohort_has_its_own_zone() -> None:
    """The first of March in Berlin begins an hour before that of UTC; the column is so many months later."""
    march = 1_772_319_600_000  # 2026-02-28 23:00 UTC
    wanted = {"cohort": "co", "period": "2026-03", "returned": 1}
    for zone, enters in (("Europe/Berlin", True), ("UTC", False)):
        partition = Partition(set_of(audience(wanted), zone=zone))
        first, back = (
            replace(at(0), event_time=march),
            replace(at(1, "B"), event_time=march + 35 * DAY),
        )
        partition.take([first])
        assert not is_in(partition)
        partition.take([back])
        assert is_in(partition) == enters


def test_rule_consent_that_is_withdrawn_takes_out_at_once() -> None:
    """Whatever else holds; without a word of consent nobody is in, unless only its withdrawal is asked for."""
    granted = {"field": "attributes.consent", "value": "granted"}
    partition = partition_of(HAS, consent=granted)
    partition.take([at(0)])
    assert not is_in(partition)
    partition.take([at(1, "Consent", attributes={"consent": "granted"})])
    assert said(only(partition)) == (1, "entered", 1, "count of type = A >= 1; consent")
    partition.take([at(2, "Consent", attributes={"consent": "withdrawn"})])
    assert said(only(partition)) == (2, "exited", 2, "consent is withdrawn")
    opted_out = partition_of(HAS, consent={"field": "attributes.consent", "op": "!=", "value": "withdrawn"})
    opted_out.take([at(0)])
    assert is_in(opted_out)


def test_rule_who_is_erased_is_out_at_once() -> None:
    """An account whose touchpoints are all withdrawn is no container any more; what was told of it says whom to
    drop."""
    partition = partition_of(HAS, attributes={"email": "attributes.email"})
    partition.take([at(0, attributes={"email": "jo@acme.example"})])
    clock(partition, 3)
    partition.take([replace(at(0), withdrawn=True, revision=1)])
    assert said(only(partition)) == (2, "exited", 3, "not: count of type = A >= 1")
    assert only(partition).attributes == {"email": "jo@acme.example"}
    assert not any(b"jo@" in value for key, value in partition.store.rows.items() if key[:1] == b"b")


def test_rule_attributes_are_told_whole() -> None:
    """However long: what an item of a dimension is cut to would be no address any more."""
    partition = partition_of(HAS, attributes={"page": "attributes.page"})
    partition.take([at(0, attributes={"page": "https://acme.example/" + "x" * 3_000})])
    assert only(partition).attributes == {"page": "https://acme.example/" + "x" * 3_000}


def test_rule_attributes_are_the_newest_known() -> None:
    """By event time, as text, those that are known."""
    partition = partition_of(HAS, attributes={"tier": "attributes.tier", "mail": "attributes.mail"})
    partition.take([at(5, "X", attributes={"tier": 2}), at(1, "X", attributes={"tier": 1}), at(6)])
    assert only(partition).attributes == {"tier": "2"}


def test_rule_a_member_whose_attributes_change_is_told() -> None:
    """With what was told of it before; also when a late event, a withdrawal or the definition brings it about. Nothing
    is told of the same value again, and of who is out."""
    partition = partition_of(HAS, attributes={"tier": "attributes.tier"})
    partition.take([at(0, "X", attributes={"tier": 1}), at(2, "X", attributes={"tier": 2})])
    assert not partition.memberships
    partition.take([at(3)])
    clock(partition, 9)
    partition.take([at(5, "X", attributes={"tier": 3})])
    assert said(only(partition)) == (2, "changed", 9, "attributes changed")
    assert (only(partition).attributes, only(partition).former_attributes) == ({"tier": "3"}, [{"tier": "2"}])
    partition.take([at(6, "X", attributes={"tier": 3}), at(4, "X", attributes={"tier": 9})])
    assert only(partition).revision == 2
    partition.take([at(7, "Y", attributes={"tier": 4})])
    partition.take([replace(at(7, "Y", attributes={"tier": 4}), withdrawn=True, revision=1)])
    assert (only(partition).revision, only(partition).attributes) == (4, {"tier": "3"})
    partition.define(set_of(audience(HAS, attributes={"level": "attributes.tier"}), version="w"))
    partition.rest()
    change = only(partition)
    assert said(change)[:2] == (5, "changed")
    assert change.reason == "back-fill: the audience is defined otherwise"
    assert (change.attributes, change.former_attributes) == ({"level": "3"}, [{"tier": "3"}])
    partition.take([replace(at(3), withdrawn=True, revision=1)])
    assert said(only(partition))[:2] == (6, "exited")
    assert only(partition).former_attributes == [{"level": "3"}]


def test_rule_attributes_are_text_whatever_the_field_is() -> None:
    """Value in units of the currency, other numbers as they are."""
    fields = {"amount": "value", "moment": "event_time", "who": "person"}
    partition = partition_of(HAS, attributes=fields)
    partition.take([at(0, value=1_500_000, person="jo"), at(1, "B")])
    assert only(partition).attributes == {"amount": "1.5", "moment": str(START + MINUTE), "who": "jo"}


# --------------------------------------------------------------------------------------------- revisions, and the past


def test_rule_entered_exited_entered_are_revisions_one_two_three() -> None:
    """Of one key; every change has an id of its own, the same for ever."""
    partition, seen = partition_of(), []
    for batch in ([at(5)], [replace(at(5), withdrawn=True, revision=1)], [at(7)]):
        partition.take(batch)
        seen.append(only(partition))
    assert [(each.revision, each.change) for each in seen] == [(1, "entered"), (2, "exited"), (3, "entered")]
    assert len({each.id for each in seen}) == 3
    again = partition_of()
    again.take([at(5)])
    assert only(again) == replace(seen[0], known_ms=again.clock_ms)


def test_rule_what_comes_and_goes_within_a_batch_is_not_told() -> None:
    """Nobody is in, or out, for nothing."""
    partition = partition_of()
    partition.take([at(5), replace(at(5), withdrawn=True, revision=1)])
    assert partition.memberships == {}


def test_rule_who_comes_again_and_again_costs_no_row() -> None:
    """A timer that is early waits; the row of a member is as it was."""
    partition = partition_of({"has": {"match": is_("A"), "within": "10m"}})
    partition.take([at(0)])
    before = {key: value for key, value in partition.store.rows.items() if key[:1] in (b"b", b"w")}
    partition.take([at(5)])
    after = {key: value for key, value in partition.store.rows.items() if key[:1] in (b"b", b"w")}
    assert before == after
    clock(partition, 11)
    assert (is_in(partition), only(partition).revision) == (True, 1)
    clock(partition, 16)
    assert not is_in(partition)
    assert not [key for key in partition.store.rows if key[:1] == b"w"]


def test_rule_a_timer_that_comes_too_late_is_moved() -> None:
    """What would hold for longer holds for less, for a touchpoint was taken back."""
    partition = partition_of({"has": {"match": is_("A"), "within": "10m"}})
    partition.take([at(0), at(5)])
    partition.take([replace(at(5), withdrawn=True, revision=1)])
    assert len([key for key in partition.store.rows if key[:1] == b"w"]) == 1
    clock(partition, 11)
    assert not is_in(partition)


def test_rule_who_does_not_wait_any_more_has_no_timer() -> None:
    """And no row where nothing was told."""
    partition = partition_of({"canvas": "way", "arrow": "n0>n1", "followed": False, "within": "10m"})
    partition.take([at(0)])
    assert len([key for key in partition.store.rows if key[:1] in (b"w", b"b")]) == 2
    partition.take([at(5, "B")])
    assert not [key for key in partition.store.rows if key[:1] in (b"w", b"b")]


def test_rule_a_new_audience_counts_the_past_and_says_so() -> None:
    """While events go on, whose entries say what they did."""
    partition = Partition(DefinitionSet(()))
    partition.take([at(0), at(0, "B", account="brit")])
    partition.define(set_of(audience()))
    partition.rest()
    assert said(only(partition)) == (1, "entered", 0, "back-fill: count of type = A >= 1")
    partition.take([at(1, account="brit")])
    reasons = {each.account: each.reason for each in partition.memberships.values()}
    assert reasons["brit"] == "count of type = A >= 1"


def test_rule_an_account_that_moves_in_pieces_enters_when_it_has_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not before, though its touchpoints join one after the other."""
    monkeypatch.setattr(moving, "SLICE_TOUCHPOINTS", 2)
    partition = Partition(DefinitionSet(()))
    partition.take([at(minute) for minute in range(7)])
    partition.define(set_of(audience()))
    partition.chore()  # goes over
    partition.chore()  # begins
    while partition.row().moving is not None:
        assert not partition.memberships
        partition.chore()
    partition.rest()
    assert said(only(partition)) == (1, "entered", 0, "back-fill: count of type = A >= 1")


def test_rule_a_removed_audience_is_empty() -> None:
    """Its members exit with that reason, page by page; it comes back with the next revision."""
    partition = Partition(set_of(audience(attributes={"tier": "attributes.tier"}), audience(name="other")))
    partition.take([at(0, account=name, attributes={"tier": 1}) for name in ("a", "b", "c")])
    clock(partition, 9)
    partition.define(set_of(audience(name="other"), version="o"))
    partition.rest()
    gone = [each for each in partition.memberships.values() if each.audience == "it"]
    assert {said(each) for each in gone} == {(2, "exited", 9, "the audience was removed")}
    assert all(each.attributes == {"tier": "1"} for each in gone)
    partition.define(set_of(audience(), version="w"))
    partition.rest()
    back = [each for each in partition.memberships.values() if each.audience == "it"]
    assert {each.revision for each in back} == {3}


def test_rule_a_removed_audience_is_empty_before_accounts_have_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    """For nobody has to be counted to know that."""
    monkeypatch.setattr(moving, "SLICE_TOUCHPOINTS", 1)
    monkeypatch.setattr(chores, "SLICE_LEAVING", 1)
    partition = Partition(set_of(audience()))
    partition.take([at(0, account=name) for name in "abc"])
    partition.define(DefinitionSet(()))
    while partition.members:
        partition.chore()
    assert [each.account for each in partition.row().reached] == [b"", None]


def test_rule_an_audience_that_stays_is_not_told_again() -> None:
    """While accounts move for another one; what comes meanwhile is told as ever, and its timers go on."""
    window = {"has": {"match": is_("A"), "within": "10m"}}
    partition = Partition(set_of(audience(window)))
    partition.take([at(0, account=name) for name in "abc"])
    both = set_of(audience(window), audience(name="other"))
    partition.define(both)
    partition.chore()
    partition.take([at(5, account="a"), at(1, account="d")])
    clock(partition, 12)
    found = {each.account: said(each)[:3] for each in partition.memberships.values() if each.audience == "it"}
    assert found == {"a": (1, "entered", 0), "b": (2, "exited", 10), "c": (2, "exited", 10), "d": (2, "exited", 11)}
    assert {each.account for each in partition.members.values() if each.audience == "other"} == {*"abcd"}


def test_rule_another_version_carries_over_whom_it_finds() -> None:
    """Without a word; who is in by the former one only is out, and who is new enters."""
    partition = Partition(set_of(audience()))
    partition.take([at(0, account="a"), at(0, account="b"), at(1, "B", account="b"), at(1, "B", account="c")])
    timed = {"any": [{"has": {"match": is_("B")}}, {"has": {"match": is_("X"), "within": "1h"}}]}
    partition.define(set_of(audience(timed), version="w"))
    partition.rest()
    found = {each.account: (each.revision, each.change, each.reason) for each in partition.memberships.values()}
    assert found == {
        "a": (2, "exited", "the audience is defined otherwise"),
        "b": (1, "entered", "count of type = A >= 1"),
        "c": (1, "entered", "back-fill: count of type = B >= 1"),
    }
    partition.take([replace(at(1, "B", account="b"), withdrawn=True, revision=1)])
    change = next(each for each in partition.memberships.values() if each.account == "b")
    assert (change.revision, change.version, change.reason) == (2, "w0", "not: count of type = B >= 1")


def test_rule_another_version_that_finds_a_member_out_says_why() -> None:
    """Also where it has something to wait for; and timers of the former one are gone."""
    window = {"has": {"match": is_("A"), "within": "1d"}}
    partition = Partition(set_of(audience(window)))
    partition.take([at(0)])
    later = {"canvas": "way", "arrow": "n0>n1", "followed": False, "within": "2d"}
    partition.define(set_of(audience(later), version="w"))
    partition.rest()
    assert said(only(partition))[1::2] == ("exited", "back-fill: the audience is defined otherwise")
    (timer,) = [key for key in partition.store.rows if key[:1] == b"w"]
    assert b"w0" in timer
    clock(partition, 3 * DAY_MINUTES)
    assert said(only(partition))[:3] == (3, "entered", 2 * DAY_MINUTES)


def test_rule_timers_of_who_leaves_are_gone() -> None:
    """Also of those who were never in."""
    window = {"has": {"match": is_("A"), "number": 1, "within": "1d"}}
    late = {"canvas": "way", "arrow": "n0>n1", "followed": False, "within": "2d"}
    partition = Partition(set_of(audience(window), audience(late, name="late")))
    partition.take([at(0)])
    assert len([key for key in partition.store.rows if key[:1] == b"w"]) == 2
    partition.define(DefinitionSet(()))
    partition.rest()
    assert not [key for key in partition.store.rows if key[:1] == b"w"]
    assert len([key for key in partition.store.rows if key[:1] == b"b"]) == 1  # its revision is never said again


def test_rule_a_timer_of_a_version_that_is_gone_tells_nothing() -> None:
    """Nor does one whose account is not computed with it, or that was left behind."""
    window = {"has": {"match": is_("A"), "within": "10m"}}
    partition = Partition(set_of(audience(window)))
    partition.take([at(0)])
    partition.define(set_of(audience(HAS), version="w"))
    partition.chore()
    clock(partition, 60)
    assert (is_in(partition), only(partition).revision) == (True, 1)


def test_rule_what_is_published_again_is_the_same_byte_for_byte() -> None:
    """Though attributes may be others by then; and members are told beside changes, exits as tombstones."""
    partition = partition_of(HAS, attributes={"tier": "attributes.tier"})
    stage = AccountsStage(lambda: (0, partition.definitions), OUTPUT_NAMES, partition.store)
    records: Any = [Record(at(0, attributes={"tier": 1}))]
    work = stage.compute(records, START)
    applied = Applied(Tag(0, 1), {}, START)
    topics = ("audience-changes", "audience-members")
    first = [each for each in work.publish(applied) if each.topic in topics]
    partition.store.apply(work.rows)
    others: Any = [Record(at(1, "X", attributes={"tier": 2}))]
    partition.store.apply(stage.compute(others, START).rows)
    assert [each for each in stage.again(work.pending)(applied) if each.topic in topics] == first
    ((key, value),) = first[0].records
    assert first[1].records == [(key, value)]
    assert (key, decode_change(value or b"").attributes) == (b"it\0account\0acme\0", {"tier": "1"})


def test_rule_many_reasons_are_cut() -> None:
    """Five, and how many more."""
    wanted = {"all": [{"has": {"match": is_("A"), "number": number}} for number in range(1, 8)]}
    partition = partition_of(wanted)
    partition.take([at(minute) for minute in range(7)])
    assert only(partition).reason.endswith("count of type = A >= 5; and 2 more")


def test_rule_milestones_and_audiences_share_their_clock() -> None:
    """Timers of both are due in one commit."""
    own = set_of(audience({"has": {"match": is_("A"), "within": "10m"}}))
    partition = Partition(replace(own, milestones=milestones_of(MISSING, version="m").milestones))
    partition.take([at(0)])
    clock(partition, 11)
    assert not is_in(partition)
    assert [each.state for each in partition.alerts.values()] == ["asserted"]


def told_kinds(partition: Partition) -> set[tuple[str, str | None]]:
    """Kinds and ids of who is in."""
    return {(each.kind, each.container) for each in partition.members.values()}


def test_rule_containers_are_told_of_within_their_account() -> None:
    """Of every kind; those of none are told of nothing."""
    kinds = ("account", "opportunity", "buying_group", "person")
    named = [audience(HAS, name=f"of-{kind.replace('_', '-')}", container=kind) for kind in kinds]
    partition = Partition(set_of(*named))
    partition.take([at(0, opportunity="o", buying_group="g", person="p"), at(1)])
    assert told_kinds(partition) == {("account", None), ("opportunity", "o"), ("buying_group", "g"), ("person", "p")}


def test_rule_a_late_touchpoint_that_is_cut_changes_who_is_in_at_the_last_slice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not before, though chunks are written."""
    monkeypatch.setattr(job, "SLICE_BYTES", 1)
    make_chunks_small(monkeypatch)
    partition = partition_of({"has": {"match": is_("A"), "op": "=", "number": 30}})
    partition.take([at(minute) for minute in range(1, 30)])
    count = 0
    while not partition.slice(at(0)).is_last:
        assert not partition.memberships
        count += 1
    assert count > 1
    assert said(only(partition))[:2] == (1, "entered")
