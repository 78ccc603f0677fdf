"""The rules of milestones one by one, each with a test that is named for it and fails when it is bent."""

from typing import Any

import pytest
from msgspec.structs import replace

from state import moving
from state.accounts_stage import OUTPUT_NAMES, AccountsStage
from state.chores import Chores
from state.definition_set import DefinitionSet
from streams.alert import Alert
from streams.partials import Tag
from streams.stage import Applied
from streams.touchpoint import Touchpoint
from tests.state.milestone_worlds import milestone_definition, with_milestones
from tests.state.partitions import CanNotError, Partition
from tests.state.test_rules import canvas, is_
from tests.state.worlds import START, Record, touchpoint

MINUTE = 60_000
LATER = START + 1_000 * MINUTE


def at(minutes: float, type_: str = "A", **fields: Any) -> Touchpoint:
    """A touchpoint so many minutes after the start; its id is that moment's and the type."""
    return touchpoint(f"{minutes}{type_}", START + int(minutes * MINUTE), type_, **fields)


def set_of(when: dict[str, Any], *, since_ms: int = 0, version: str = "v", **options: Any) -> DefinitionSet:
    """One milestone of accounts."""
    said = {"container": "account", "when": when, **options}
    return with_milestones([milestone_definition("it", said, since_ms, version)])


def told(when: dict[str, Any], *batches: list[Touchpoint], clock_ms: int = LATER, **options: Any) -> list[int]:
    """The minutes at which it happened, of all that stand."""
    partition = Partition(set_of(when, **options))
    for batch in batches:
        partition.take(batch)
    partition.clock_ms = clock_ms
    partition.rest()
    return minutes(partition)


def minutes(partition: Partition) -> list[int]:
    """The minutes at which it happened, of all that stand."""
    standing = [each for each in partition.alerts.values() if each.state == "asserted"]
    return sorted((each.happened_ms - START) // MINUTE for each in standing)


def only(partition: Partition) -> Alert:
    """The only alert."""
    (alert,) = partition.alerts.values()
    return alert


# ------------------------------------------------------------------------------------------------------ conditions

MATCH = {"match": is_("A")}


def test_rule_a_match_is_told_once_or_each_time() -> None:
    """Once: the first; each: every one, an episode of its own."""
    events = [at(1), at(2, "B"), at(3)]
    assert told(MATCH, events) == [1]
    assert told(MATCH, events, each=True) == [1, 3]


def test_rule_a_count_within_a_window_has_both_ends_in_it() -> None:
    """Two in ten minutes: minute 0 and 10 are, 0 and 11 are not."""
    twice = {"match": is_("A"), "at_least": 2, "within": "10m"}
    assert told(twice, [at(0), at(10)]) == [10]
    assert told(twice, [at(0), at(11)]) == []


def test_rule_a_window_is_crossed_again_when_it_had_less_in_between() -> None:
    """The third in a row crosses nothing; after a pause the second one does."""
    twice = {"match": is_("A"), "at_least": 2, "within": "10m"}
    events = [at(0), at(5), at(7), at(30), at(31)]
    assert told(twice, events, each=True) == [5, 31]
    assert told(twice, events) == [5]


def test_rule_a_count_keeps_no_more_than_it_needs() -> None:
    """However many come at once, what falls out of the window later is told apart to the last."""
    twice = {"match": is_("A"), "at_least": 2, "within": "10m"}
    many = [at(n / 10) for n in range(20)]
    assert told(twice, [*many, at(11.85), at(12)], each=True) == [0, 11, 12]


def test_rule_a_sum_crosses_its_threshold() -> None:
    """At the touchpoint that brings it there, to the millionth; what falls below and comes again is told again."""
    worth = {"match": is_("A"), "metric": "value", "at_least": 1.5}
    events = [at(0, value=1_499_999), at(1, value=1), at(2, value=-500_000), at(3, value=500_000)]
    assert told(worth, events, each=True) == [1, 3]
    assert told(worth, events) == [1]
    assert told(worth, events[:1]) == []


def test_rule_a_score_adds_the_points_of_every_rule_that_matches() -> None:
    """A is worth 3 and everything 1."""
    score = {"points": [{"match": is_("A"), "points": 3}, {"match": {"not": is_("X")}, "points": 1}], "at_least": 6}
    assert told(score, [at(0), at(1, "B"), at(2, "B")]) == [2]


CANVAS = {**canvas("A", "B", "C"), "name": "it"}


def test_rule_a_node_is_reached_along_the_arrows() -> None:
    """C counts behind B behind A, and the first one only; the alert names the nodes before and the touchpoints that
    reached them."""
    partition = Partition(set_of({"canvas": "it", "node": "n2"}, canvas=CANVAS))
    partition.take([at(0, "C"), at(1), at(2, "C"), at(3, "B"), at(4, "C"), at(5, "C")])
    alert = only(partition)
    assert (minutes(partition), alert.path) == ([4], ["n0", "n1"])
    assert [each.event_id for each in alert.touchpoints] == ["1A", "3B", "4C"]


def test_rule_an_arrow_is_not_followed_when_the_time_is_over() -> None:
    """At the last moment it is; a minute later it is too late, and does not matter any more."""
    late = {"canvas": "it", "arrow": {"from": "n0", "to": "n1"}, "within": "10m"}
    assert told(late, [at(0), at(10, "B")], canvas=CANVAS) == []
    assert told(late, [at(0), at(11, "B")], canvas=CANVAS) == [10]
    assert told(late, [at(0), at(5, "B"), at(20), at(40, "B")], canvas=CANVAS) == []
    assert told(late, [at(0), at(11, "B"), at(20), at(21, "B")], canvas=CANVAS) == [10]
    assert told(late, [at(0)], canvas=CANVAS) == [10]
    assert told(late, [at(0)], canvas=CANVAS, clock_ms=START + 10 * MINUTE - 1) == []
    assert told(late, [at(1, "B")], canvas=CANVAS) == []


MISSING = {"after": is_("A"), "without": is_("B"), "within": "10m"}


def test_rule_what_should_follow_is_missing_when_the_time_is_over() -> None:
    """B at the last moment is in time; another A begins nothing while one is open."""
    assert told(MISSING, [at(0), at(10, "B")], each=True) == []
    assert told(MISSING, [at(0), at(11, "B")], each=True) == [10]
    assert told(MISSING, [at(0), at(5), at(12), at(40)], each=True) == [10, 22, 50]
    assert told(MISSING, [at(0), at(5), at(12), at(40)]) == [10]
    assert told(MISSING, [at(0), at(3, "B"), at(4)]) == [14]


def test_rule_a_beginning_may_be_what_another_one_waits_for() -> None:
    """It ends the one and begins the next; it never follows itself."""
    again = {"after": is_("A"), "without": is_("A"), "within": "10m"}
    assert told(again, [at(0), at(5), at(9)], each=True) == [19]


UNCHANGED = {"field": "content_type", "for": "10m"}


def test_rule_a_value_is_unchanged_from_the_touchpoint_that_brought_it() -> None:
    """The same again changes nothing; another at the last moment does; those without a value say nothing."""
    events = [
        at(0, content_type="x"),
        at(4, content_type="x"),
        at(6),
        at(10, content_type="y"),
        at(21, content_type="z"),
    ]
    assert told(UNCHANGED, events, each=True) == [20, 31]
    assert told(UNCHANGED, events) == [20]


def test_rule_only_some_values_count() -> None:
    """only and except."""
    events = [at(0, content_type="x"), at(20, content_type="y")]
    assert told({**UNCHANGED, "only": ["y"]}, events) == [30]
    assert told({**UNCHANGED, "except": ["y"]}, events) == [10]


@pytest.mark.parametrize("kind", ["opportunity", "buying_group", "person"])
def test_rule_containers_are_told_of_within_their_account(kind: str) -> None:
    """The same id in two accounts is two alerts, whose ids differ; those of none are told of nothing."""
    partition = Partition(set_of(MATCH, container=kind))
    partition.take([at(0, account=account, **{kind: "it"}) for account in ("acme", "brit")] + [at(1)])
    assert {(each.who.account, each.who.kind, each.who.id) for each in partition.alerts.values()} == {
        ("acme", kind, "it"), ("brit", kind, "it"),
    }  # fmt: skip


# ------------------------------------------------------------------------------------------- revisions and silence


def test_rule_asserted_revoked_asserted_are_revisions_one_two_three() -> None:
    """Of one id; and one that moves in time is another revision, asserted. Each names what led to it."""
    partition, seen = Partition(set_of(MATCH)), []
    for batch in (
        [at(5)],
        [replace(at(5), withdrawn=True, revision=1)],
        [at(7)],
        [at(3, person="p")],
    ):
        partition.take(batch)
        seen.append(only(partition))
    said = [(each.revision, each.state, (each.happened_ms - START) // MINUTE) for each in seen]
    assert said == [(1, "asserted", 5), (2, "revoked", 5), (3, "asserted", 7), (4, "asserted", 3)]
    assert [[led.event_id for led in each.touchpoints] for each in seen] == [["5A"], [], ["7A"], ["3A"]]
    assert (seen[3].who.people, len({each.id for each in seen})) == (["p"], 1)


def test_rule_what_happened_before_alerts_begin_is_silent_and_goes_in_silence() -> None:
    """Also when it comes late; at the moment itself it is told."""
    partition = Partition(set_of(MATCH, since_ms=START + 5 * MINUTE))
    partition.take([at(4)])
    partition.take([replace(at(4), withdrawn=True, revision=1)])
    assert partition.alerts == {}
    partition.take([at(5)])
    assert minutes(partition) == [5]
    assert told(MISSING, [at(0)], since_ms=START + 11 * MINUTE) == []
    assert told(MISSING, [at(0)], since_ms=START + 10 * MINUTE) == [10]


def test_rule_what_was_told_is_corrected_also_to_before_alerts_begin() -> None:
    """A late event moves it there: it is told, for what was said is wrong."""
    partition = Partition(set_of(MATCH, since_ms=START + 5 * MINUTE))
    partition.take([at(6)])
    partition.take([at(1)])
    assert (minutes(partition), only(partition).revision) == ([1], 2)


def test_rule_an_alert_that_waits_moves_with_its_beginning() -> None:
    """Told for minute 10, then it began later: revoked until that time is over, and told again."""
    partition = Partition(set_of(MISSING))
    partition.clock_ms = START + 12 * MINUTE
    partition.take([at(0)])
    assert only(partition).state == "asserted"
    partition.take([replace(at(0), event_time=START + 4 * MINUTE, revision=1)])
    assert only(partition).state == "revoked"
    partition.clock_ms = START + 14 * MINUTE
    partition.rest()
    assert (minutes(partition), only(partition).revision) == ([14], 3)


# ------------------------------------------------------------------------------------------ definitions that change


def test_rule_a_new_milestone_is_silent_about_the_past_and_not_after_it() -> None:
    """An event that comes before its account has moved is told when it has."""
    partition = Partition(DefinitionSet(()))
    partition.take([at(0, account="acme"), at(1, account="brit")])
    partition.define(
        set_of(
            {**MATCH, "match": {"field": "type", "op": "in", "value": ["A", "B"]}},
            each=True,
            since_ms=START + 2 * MINUTE,
        )
    )
    partition.take([at(3, "B", account="brit")])
    assert partition.alerts == {}
    partition.rest()
    assert minutes(partition) == [3]


def test_rule_another_version_answers_for_what_it_finds_told() -> None:
    """It says nothing of it, and takes it back when it has to; the revisions go on."""
    partition = Partition(set_of(MATCH))
    partition.take([at(0)])
    partition.define(set_of(MATCH, version="w", since_ms=LATER, title="Another title"))
    partition.rest()
    assert only(partition).version == "v"
    partition.take([replace(at(0), withdrawn=True, revision=1)])
    alert = only(partition)
    assert (alert.version, alert.revision, alert.state, alert.title) == ("w", 2, "revoked", "Another title")


def test_rule_what_another_version_does_not_claim_stays_said() -> None:
    """It was true as it was meant then. What comes of it later goes on behind its revisions."""
    partition = Partition(set_of(MATCH))
    partition.take([at(0)])
    partition.define(set_of({"match": is_("B")}, version="w"))
    partition.rest()
    assert (only(partition).revision, only(partition).version) == (1, "v")
    partition.take([at(9, "B")])
    alert = only(partition)
    assert (alert.revision, alert.version, minutes(partition)) == (2, "w", [9])


def test_rule_a_milestone_that_is_gone_leaves_nothing_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its timers find nothing to tell; what was told keeps its row, for its revisions."""
    partition = Partition(set_of(MISSING))
    partition.take([at(0)])
    assert {key[:1] for key in partition.store.rows} >= {b"m", b"w"}
    partition.define(DefinitionSet(()))
    partition.rest()
    partition.clock_ms = LATER
    partition.rest()
    assert partition.alerts == {}
    assert {key[:1] for key in partition.store.rows} & {b"m", b"w", b"a"} == set()


def test_rule_a_milestone_that_is_gone_tells_nothing_of_an_account_that_has_not_moved() -> None:
    """From the commit on that goes over to the other definitions."""
    partition = Partition(set_of(MATCH))
    partition.take([at(0, "B")])
    partition.define(DefinitionSet(()))
    assert partition.chore()
    assert len(partition.row().reached) == 2
    partition.take([at(1)])
    assert partition.alerts == {}


def small_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accounts of more than two touchpoints move in pieces of two."""
    monkeypatch.setattr(moving, "SLICE_TOUCHPOINTS", 2)
    monkeypatch.setattr(moving, "SLICE_ROWS", 2)


EVENTS = [at(0), at(1, "X"), at(2, "X"), at(3, "X"), at(4, "B")]


def test_rule_an_account_that_moves_in_pieces_tells_nothing_until_all_has_moved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A has no B in the first pieces, and its time is over by the clock; in the end it has."""
    small_moves(monkeypatch)
    partition = Partition(DefinitionSet(()))
    partition.clock_ms = LATER
    partition.take(EVENTS)
    partition.define(with_milestones([
        milestone_definition("missing", {"container": "account", "when": MISSING}, 0, "m"),
        milestone_definition("match", {"container": "account", "when": MATCH}, 0, "n"),
    ]))  # fmt: skip
    while partition.chore():
        assert "missing" not in {each.milestone for each in partition.alerts.values()}
        assert not partition.alerts or partition.row().moving is None
    assert minutes(partition) == [0]
    assert {key[:1] for key in partition.store.rows} & {b"m", b"w"} == set()


def test_rule_a_move_that_is_abandoned_leaves_no_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    """What its pieces claimed goes, and what they would have told is told only by a move that is done."""
    small_moves(monkeypatch)
    partition = Partition(DefinitionSet(()))
    partition.clock_ms = LATER
    partition.take(EVENTS)
    missing = milestone_definition("missing", {"container": "account", "when": MISSING}, 0, "m")
    partition.define(with_milestones([missing]))
    stage = partition.live()
    while not list(partition.store.scan(b"m")):
        assert partition.chore()
    stage.chore_failed()
    again = milestone_definition("again", {"container": "account", "when": MATCH}, LATER, "n")
    partition.define(with_milestones([missing, again]))
    assert partition.chore()
    while any(stem.startswith(b"mm") for stem in partition.row().debris):
        partition.chore()
    assert not list(partition.store.scan(b"m"))
    partition.rest()
    assert partition.alerts == {}


# ------------------------------------------------------------------------------------------------------ the owner


def test_rule_the_owner_is_whom_the_crm_named_last() -> None:
    """Not the web, not by order of arrival; null where it names none."""
    partition = Partition(set_of(MATCH, container="person"))
    crm = [
        at(2, "U", stream="crm", attributes={"owner": "Ben"}),
        at(1, "U", stream="crm", attributes={"owner": "Ann"}),
        at(3, "U", attributes={"owner": "Web"}),
    ]
    partition.take([at(0, person="p"), at(0, person="q", account="brit")])
    assert {each.who.owner for each in partition.alerts.values()} == {None}
    partition.take(crm)
    partition.take([at(4, person="r")])
    assert [each.who.owner for each in partition.alerts.values() if each.who.id == "r"] == ["Ben"]


def test_rule_another_attribute_may_name_the_owner() -> None:
    """Each milestone its own."""
    partition = Partition(set_of(MATCH, owner="attributes.seller"))
    partition.take([at(0, stream="crm", attributes={"owner": "Ann", "seller": "Ben"})])
    assert only(partition).who.owner == "Ben"


def test_rule_links_have_the_container_in_them() -> None:
    """Quoted, whatever is in its id."""
    links = {"crm": "https://x.example/{account}/{kind}/{id}?by={milestone}"}
    partition = Partition(set_of(MATCH, container="person", links=links, title="A", tier="high"))
    partition.take([at(0, person="a b/ü", account="ac&me")])
    alert = only(partition)
    assert alert.links == {"crm": "https://x.example/ac%26me/person/a%20b%2F%C3%BC?by=it"}
    assert (alert.title, alert.tier) == ("A", "high")


def test_rule_no_more_touchpoints_are_told_than_five() -> None:
    """The last ones up to it, in order, with what they are about."""
    partition = Partition(set_of({"match": is_("A"), "at_least": 7}))
    partition.take([at(n, channel="web", value=n) for n in range(7)])
    assert [each.event_id for each in only(partition).touchpoints] == [f"{n}A" for n in range(2, 7)]
    assert (only(partition).touchpoints[-1].channel, only(partition).touchpoints[-1].value) == ("web", 6)


# ---------------------------------------------------------------------------------------------------------- timers


def test_rule_a_stage_says_when_it_is_to_be_asked() -> None:
    """The first timer; none without one."""
    partition = Partition(set_of(MISSING))
    assert partition.live().due_ms() is None
    partition.take([at(3), at(1, account="brit")])
    assert partition.live().due_ms() == START + 11 * MINUTE


def test_rule_the_same_moment_by_another_touchpoint_is_no_news() -> None:
    """One that comes later and stands before it at the very time: what was told stands, in the version that told it."""
    partition = Partition(set_of(MATCH))
    partition.take([touchpoint("2", START, "A")])
    partition.take([touchpoint("1", START, "A")])
    assert (only(partition).revision, minutes(partition)) == (1, [0])


def test_rule_a_timer_that_fails_is_not_tried_again_by_the_same_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other chores go on; the next owner tries again."""
    partition = Partition(set_of(MISSING))
    partition.take([at(0)])
    stage = partition.live()
    partition.clock_ms = LATER

    def fails(*_: object) -> None:
        raise CanNotError

    with monkeypatch.context() as patch:
        patch.setattr(Chores, "_fired", fails)
        assert not partition.try_chore()
    assert stage.due_ms() is None
    assert not partition.try_chore()
    partition.define(DefinitionSet((), (), partition.definitions.milestones))
    assert partition.alerts == {}
    partition.live()
    assert partition.try_chore()
    assert minutes(partition) == [10]


def test_rule_publishing_again_gives_the_same_bytes() -> None:
    """Also when rows have changed since, for an alert says how it was then."""
    partition = Partition(set_of(MATCH))
    stage = AccountsStage(lambda: (0, partition.definitions), OUTPUT_NAMES, partition.store)
    work = stage.compute([Record(at(0, person="p"))], 5)  # type: ignore[list-item]
    partition.store.apply(work.rows)
    applied = Applied(Tag(0, 1), {"touchpoints": 0}, 5)
    (first,) = [each for each in work.publish(applied) if each.topic == "milestones"]
    partition.take([replace(at(0, person="other"), revision=1)])
    (again,) = [each for each in stage.again(work.pending)(applied) if each.topic == "milestones"]
    assert first.records == again.records


def test_rule_an_event_that_interests_no_milestone_costs_nothing() -> None:
    """Its type says so: no milestone looks at it."""
    plan = Partition(set_of(MATCH)).layers().newest.account
    assert plan.together is not None
    (lens,) = plan.together[1].lenses
    assert plan.project(at(0, "B", stream="web")) is None
    assert not lens.may_read("B")
    assert lens.may_read("A")
