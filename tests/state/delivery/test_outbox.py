"""The outbox: which deliveries messages, orders, answers and time make."""

from typing import Any

import pytest

from state.delivery.formats.message import parts_of
from state.delivery.message import FORMER_MAX
from state.delivery.outbox import DIGEST_COUNT_MAX, Outbox, chunked
from state.delivery.retries import Dead, Delivered, Later
from state.delivery.rows import DESTINATION, decode_destination
from streams.alert import Alert, Involved
from streams.delivery import Acknowledge, Pause, Resume, Retry
from streams.membership import MembershipChange, decode_change
from tests.agents.delivery.worlds import AT_MS, alert, change
from tests.state.delivery.worlds import ALL, HOOK, Partition

HOUR_MS = 3_600_000
QUIET = {**ALL, "quiet": {"begin": "00:00", "end": "12:00", "zone": "UTC"}}  # AT_MS is a midnight
ESCALATING = {**ALL, "escalate": {"after_s": 900, "to": ["boss"]}}


def one(route: dict[str, object] = ALL, **options: object) -> Partition:
    return Partition({"hook": {**HOOK, **options}, "boss": HOOK}, [route])


def test_nothing_is_made_before_something_is_configured() -> None:
    """Nor does an acknowledgement or a retry of nothing do anything."""
    partition = one()
    partition.rows.apply([(b"c", None)])
    partition.take(alert("Acme"))
    partition.order(Acknowledge("Acme-0"))
    partition.order(Retry("msg_unknown"))
    assert partition.waiting() == []


def test_the_highest_revision_counts() -> None:
    """A repeat and an older revision make nothing; a newer one is another delivery, which names the first."""
    partition = one()
    for revision in (1, 1, 3, 2, 3):
        partition.take(alert("Acme", revision=revision))
    first, second = partition.waiting()
    assert (first.operation, second.operation, second.corrects) == ("added", "changed", first.id)
    assert (first.revision, second.revision) == (1, 3)


def test_ids_are_functions_of_what_is_said() -> None:
    """The same of the same message in another partition's life, another one of another revision or destination."""
    ids = []
    for _ in range(2):
        partition = Partition({"hook": HOOK, "other": HOOK}, [{**ALL, "to": ["hook", "other"]}])
        partition.take(alert("Acme"))
        partition.take(alert("Acme", revision=2))
        ids.append([each.id for each in partition.waiting()])
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 4


def test_what_was_not_told_is_not_taken_back() -> None:
    """A revocation of what this destination never heard of, and an exit of whom it never had."""
    partition = one()
    partition.take(alert("Acme", revision=2))
    partition.take(change("Acme", revision=2))
    assert partition.waiting() == []
    partition.take(change("Acme", revision=3))
    partition.take(change("Acme", revision=4))
    assert [each.operation for each in partition.waiting()] == ["added", "removed"]


def test_corrections_can_be_left_out_of_a_route() -> None:
    """Exits of audiences can not."""
    partition = one({**ALL, "corrections": False})
    for message in (alert("Acme"), alert("Acme", revision=2), change("Acme"), change("Acme", revision=2)):
        partition.take(message)
    assert [(each.kind, each.operation) for each in partition.waiting()] == [
        ("alert", "added"), ("change", "added"), ("change", "removed"),
    ]  # fmt: skip


def test_the_first_route_to_a_destination_counts() -> None:
    """By name, pattern and tier; what matches none goes nowhere."""
    routes = [
        {"name": "tier-a", "to": ["hook", "hook"], "tiers": ["a"]},
        {"name": "won", "to": ["hook", "other"], "milestones": ["won-*"], "tiers": ["a", "b"]},
        {"name": "warm", "to": ["other"], "audiences": ["w?rm"]},
    ]
    partition = Partition({"hook": HOOK, "other": HOOK}, routes)
    partition.take(alert("A", milestone="won-big"))
    partition.take(alert("B", tier="c"))
    partition.take(alert("C", tier="b", milestone="won-small"))
    partition.take(change("D"))
    partition.take(change("E", audience="cold"))
    assert [(each.destination, each.route, each.lane[0]) for each in partition.waiting()] == [
        ("hook", "tier-a", "A"), ("other", "won", "A"), ("hook", "won", "C"), ("other", "won", "C"),
        ("other", "warm", "D"),
    ]  # fmt: skip


def test_a_tier_may_be_a_pattern() -> None:
    """A milestone without a tier is of none."""
    partition = Partition({"hook": HOOK}, [{"name": "high", "to": ["hook"], "tiers": ["h?gh*"]}])
    for account, tier in zip("ABCD", ("high", "higher", "low", None), strict=True):
        partition.take(alert(account, tier=tier))
    assert [each.lane[0] for each in partition.waiting()] == ["A", "B"]


def test_what_was_said_before_a_route_was_there_does_not_go_its_way() -> None:
    """A route that stays keeps its beginning; a destination that is added to it has its own."""
    partition = one()
    partition.take(alert("Acme"), said_ms=AT_MS - 1)
    assert partition.waiting() == []
    partition.now_ms += 10
    partition.configure({"hook": HOOK, "boss": HOOK}, [{**ALL, "to": ["hook", "boss"]}])
    partition.take(alert("Beta"), said_ms=AT_MS + 5)
    assert [each.destination for each in partition.waiting()] == ["hook"]


def test_a_route_that_is_put_before_another_loses_nothing() -> None:
    """What was said before it was there goes the way that it would have gone then, once."""
    partition = one()
    partition.now_ms += 10
    partition.configure({"hook": HOOK}, [{"name": "first", "to": ["hook"], "tiers": ["a"]}, ALL])
    partition.take(alert("Acme"), said_ms=AT_MS + 5)
    partition.take(alert("Beta"), said_ms=AT_MS + 10)
    assert [(each.lane[0], each.route) for each in partition.waiting()] == [("A", "all"), ("B", "first")]


def test_a_cool_down_keeps_alerts_of_a_milestone_apart() -> None:
    """By the time of knowing, per milestone and container; what is kept back needs no correction."""
    partition = one({**ALL, "cool_down_s": 60})
    partition.take(alert("Acme", 1, known_ms=AT_MS))
    partition.take(alert("Acme", 2, known_ms=AT_MS + 59_999))
    partition.take(alert("Acme", 2, revision=2))
    partition.take(alert("Acme", 3, known_ms=AT_MS + 60_000))
    partition.take(alert("Acme", 4, known_ms=AT_MS, milestone="another"))
    partition.take(alert("Beta", 5, known_ms=AT_MS))
    assert [each.subject for each in partition.waiting()] == ["Acme-1", "Acme-3", "Acme-4", "Beta-5"]
    partition.take(alert("Acme", 1, revision=2))
    partition.take(alert("Acme", 1, revision=3, known_ms=AT_MS + 60_001))  # who heard the correction hears this too
    assert [each.operation for each in partition.waiting()][4:] == ["removed", "added"]


def test_quiet_hours_defer_and_take_back_without_a_trace() -> None:
    """What was asserted and revoked in the night is never sent; the rest is when it ends, in order."""
    partition = one(QUIET)
    partition.take(alert("Acme", 1))
    partition.take(alert("Acme", 2))
    partition.take(alert("Acme", 1, revision=2))
    partition.take(alert("Acme", 3))
    assert sorted(partition.states()) == ["deferred", "deferred", "withdrawn"]
    partition.pass_time(12 * HOUR_MS - 1)
    assert partition.waiting() == []
    partition.pass_time(1)
    assert [each.subject for each in partition.waiting()] == ["Acme-2", "Acme-3"]
    partition.take(alert("Acme", 2, revision=2))
    assert partition.waiting()[-1].corrects == partition.waiting()[0].id


def test_what_was_withdrawn_in_the_night_cools_nothing_down() -> None:
    """An alert that moved, and another one after one that was taken back, are told in the morning."""
    partition = one({**QUIET, "cool_down_s": 86_400})
    partition.take(alert("Acme", 1))
    partition.take(alert("Acme", 1, revision=3))
    partition.take(alert("Acme", 1, revision=4))
    partition.take(alert("Acme", 2))
    partition.take(alert("Acme", 3))
    partition.pass_time(12 * HOUR_MS)
    assert [each.subject for each in partition.waiting()] == ["Acme-2"]


def test_what_was_told_by_day_cools_down_whatever_is_withdrawn_in_the_night() -> None:
    """It moved in the night and was taken back: another one is kept back still, as it would be by day."""
    partition = one({**QUIET, "cool_down_s": 86_400})
    partition.take(alert("Acme", 1), said_ms=AT_MS + 13 * HOUR_MS)
    for number, revision in ((1, 3), (1, 4), (2, 1)):
        partition.take(alert("Acme", number, revision), said_ms=AT_MS + 25 * HOUR_MS)
    assert [each.subject for each in partition.waiting()] == ["Acme-1"]
    assert [(each.subject, each.operation) for each in partition.deferred()] == [("Acme-1", "removed")]


def test_a_correction_that_is_taken_back_in_the_night_leaves_what_was_told() -> None:
    """Asserted by day, revoked and asserted again by night: the receiver is told of the last state only."""
    partition = one(QUIET)
    partition.now_ms -= HOUR_MS
    partition.take(alert("Acme"), said_ms=AT_MS + 13 * HOUR_MS)
    (told,) = partition.waiting()
    partition.take(alert("Acme", revision=2), said_ms=AT_MS + HOUR_MS)
    partition.take(alert("Acme", revision=3), said_ms=AT_MS + 2 * HOUR_MS)
    (again,) = partition.deferred()
    assert (again.revision, again.operation, again.corrects) == (3, "changed", told.id)


def test_a_digest_is_one_message_of_what_is_left() -> None:
    """At its time, of one route and destination, with an id of its own; more than it holds are several."""
    partition = one({**ALL, "digest": {"at": ["08:00", "18:00"], "zone": "Europe/Berlin"}})
    for number in range(DIGEST_COUNT_MAX + 3):
        partition.take(alert(f"A{number}"))
    partition.take(alert("A0", revision=2))
    partition.pass_time(8 * HOUR_MS)
    first, second = partition.waiting()
    assert (first.kind, second.kind) == ("digest", "digest")
    assert [len(part) for part in chunked([first, second], 9, 1)] == [1, 1]
    assert first.content.count(b'"format":') == DIGEST_COUNT_MAX
    assert second.content.count(b'"format":') == 2
    partition.take(alert("A1", revision=2))
    assert len(partition.deferred()) == 1
    partition.answer(first, Dead("HTTP 400"))
    partition.order(Retry(first.id))
    assert {each.id for each in partition.waiting()} == {first.id, second.id}


def test_what_nobody_acknowledges_is_escalated() -> None:
    """Not when somebody looks after it, nor when it was taken back in time; who was told hears that it was."""
    partition = one(ESCALATING)
    for account in ("A", "B", "C"):
        partition.take(alert(account))
    partition.order(Acknowledge("A-0"))
    partition.order(Acknowledge("A-0"))
    partition.take(alert("A", revision=3))
    partition.take(alert("B", revision=2))
    partition.pass_time(900_000)
    escalated = [each for each in partition.waiting() if each.destination == "boss"]
    assert [(each.kind, each.lane[0]) for each in escalated] == [("escalation", "C")]
    partition.order(Acknowledge("C-0"))  # too late, and no harm
    partition.take(alert("C", revision=2))
    boss = [each for each in partition.waiting() if each.destination == "boss"]
    assert [each.operation for each in boss] == ["added", "removed"]


def test_who_was_told_hears_the_correction_of_what_was_acknowledged_since() -> None:
    """Asserted, escalated, moved in time, acknowledged, revoked; asserted again it is not escalated any more."""
    partition = one(ESCALATING)
    partition.take(alert("A"))
    partition.pass_time(900_000)
    partition.take(alert("A", revision=3))
    partition.order(Acknowledge("A-0"))
    for revision in (4, 4, 5):
        partition.take(alert("A", revision=revision))
    partition.pass_time(900_000)
    boss = [each for each in partition.waiting() if each.destination == "boss"]
    assert [(each.operation, each.revision) for each in boss] == [("added", 1), ("removed", 4)]


def test_an_acknowledgement_may_come_before_its_alert_is_read() -> None:
    """Orders are read first by who takes a partition over, and come on a topic of their own at any time."""
    partition = one(ESCALATING)
    partition.order(Acknowledge("A-0"))
    partition.take(alert("A"))
    partition.take(alert("B"))
    assert [each.lane[0] for each in partition.deferred()] == ["B"]


def test_nobody_is_told_that_an_alert_is_not_acknowledged_before_it_is_sent() -> None:
    """Its time begins when quiet hours end or the digest is sent; it comes in no quiet hours, nor does a correction."""
    after = {"escalate": {"after_s": 3600, "to": ["boss"]}}
    night, morning = one({**QUIET, **after}), one({**ALL, **after, "digest": {"at": ["08:00"]}})
    for partition, hour in ((night, 13), (morning, 9)):
        partition.take(alert("A"))
        assert sorted((each.destination, each.due_ms) for each in partition.deferred()) == [
            ("boss", AT_MS + hour * HOUR_MS), ("hook", AT_MS + (hour - 1) * HOUR_MS),
        ]  # fmt: skip
    night.pass_time(23 * HOUR_MS + 1)
    night.take(alert("B"))
    assert [each.due_ms for each in night.deferred()] == [AT_MS + 36 * HOUR_MS]
    night.pass_time(HOUR_MS)
    night.take(alert("A", revision=2))
    assert {(each.destination, each.due_ms) for each in night.deferred() if each.operation == "removed"} == {
        ("boss", AT_MS + 36 * HOUR_MS), ("hook", AT_MS + 36 * HOUR_MS),
    }  # fmt: skip


def test_answers_close_deliveries_or_keep_them() -> None:
    """And one that comes late, of what does not wait any more, changes nothing."""
    partition = one()
    partition.take(alert("Acme"))
    (delivery,) = partition.waiting()
    partition.answer(delivery, Later(AT_MS + 5, "HTTP 500"))
    (again,) = partition.waiting()
    assert (again.id, again.attempts, again.due_ms, again.why) == (delivery.id, 1, AT_MS + 5, "HTTP 500")
    partition.answer(again, Delivered())
    partition.answer(again, Dead("late"))
    assert partition.waiting() == []
    (status,) = partition.status.values()
    assert (status.state, status.attempts, status.why) == ("delivered", 2, None)


def test_a_dead_delivery_is_tried_anew_under_its_id() -> None:
    """Unless a newer message was sent since, or it is not dead."""
    partition = one()
    partition.take(alert("Acme"))
    (delivery,) = partition.waiting()
    partition.order(Retry(delivery.id))
    partition.answer(delivery, Dead("HTTP 404"))
    partition.order(Retry(delivery.id))
    (again,) = partition.waiting()
    assert (again.id, again.attempts, again.why, again.content) == (delivery.id, 0, None, delivery.content)
    partition.answer(again, Dead("HTTP 404"))
    partition.take(alert("Acme", revision=2))
    partition.order(Retry(delivery.id))
    assert partition.status[delivery.id].state == "superseded"
    assert [each.revision for each in partition.waiting()] == [2]


def test_a_digest_that_is_tried_anew_has_nothing_that_is_older_than_what_was_sent() -> None:
    """What a later digest took back is left out of it; when that is all of it, nothing is sent."""
    partition = one({**ALL, "digest": {"at": ["08:00"]}})
    for message in (alert("A"), alert("B"), change("C")):
        partition.take(message)
    partition.pass_time(24 * HOUR_MS)
    (first,) = partition.waiting()
    partition.answer(first, Dead("HTTP 400"))
    for message, left in ((alert("A", revision=2), ["B-0", "warm"]), (alert("B", revision=2), ["warm"])):
        partition.take(message)
        partition.order(Retry(first.id))
        (again,) = partition.waiting()
        assert [part.id if isinstance(part, Alert) else part.audience for part in parts_of(again)] == left
        partition.answer(again, Dead("HTTP 400"))
    partition.take(change("C", revision=2))
    partition.order(Retry(first.id))
    assert partition.waiting() == []
    assert partition.status[first.id].state == "superseded"


def test_what_says_the_same_again_supersedes_nothing() -> None:
    """Else neither were sent, and the receiver had somebody for ever whom the audience has no more."""
    partition = Partition({"hook": {**HOOK, "coalesce_above": 0}}, [ALL])
    partition.take(change("A", 1))
    partition.answer(partition.waiting()[0])
    for revision in (2, 4):
        partition.take(change("A", revision))
    (waiting,) = partition.waiting()
    assert (waiting.revision, waiting.operation) == (2, "removed")


ONE, TWO, THREE = ({"email": f"{number}@a.example"} for number in "123")


def changed(revision: int, attributes: dict[str, str], former: dict[str, str]) -> MembershipChange:
    """A member with other attributes."""
    return change("A", revision, change="changed", attributes=attributes, former_attributes=[former])


def told(partition: Partition) -> MembershipChange:
    """The only change that is to be sent."""
    (delivery,) = partition.waiting() or partition.deferred()
    (part,) = parts_of(delivery)
    assert isinstance(part, MembershipChange)
    return part


def test_a_change_in_the_place_of_others_names_what_they_may_have_told() -> None:
    """The receiver learns of every value that it may have, and of none that is right; of very many of the first."""
    partition = Partition({"hook": {**HOOK, "coalesce_above": 0}}, [ALL])
    partition.take(change("A", 1, attributes=ONE))
    partition.answer(partition.waiting()[0])
    partition.take(changed(2, TWO, ONE))
    partition.take(changed(3, THREE, TWO))
    assert (told(partition).revision, told(partition).former_attributes) == (3, [ONE, TWO])
    partition.take(changed(4, ONE, THREE))
    assert (told(partition).attributes, told(partition).former_attributes) == (ONE, [TWO, THREE])
    partition.take(change("A", 5, change="exited", attributes=ONE, former_attributes=[ONE]))
    assert (told(partition).change, told(partition).former_attributes) == ("exited", [TWO, THREE, ONE])
    partition.take(change("A", 6, change="entered", attributes=ONE))
    assert (told(partition).change, told(partition).former_attributes) == ("entered", [TWO, THREE])
    for number in range(7, 40):
        partition.take(changed(number, {"email": str(number)}, {"email": str(number - 1)}))
    assert len(told(partition).former_attributes) == FORMER_MAX
    assert told(partition).former_attributes[:3] == [TWO, THREE, ONE]


@pytest.mark.parametrize("route", [QUIET, {**ALL, "digest": {"at": ["08:00"]}}])
def test_a_change_in_the_place_of_one_that_was_never_sent_names_nothing_of_it(route: dict[str, Any]) -> None:
    """It was withdrawn before its time: what it would have told somebody else may have."""
    partition = one(route)
    partition.take(change("A", 1, attributes=ONE))
    partition.pass_time(36 * HOUR_MS)
    partition.answer(partition.waiting()[0])
    partition.now_ms = AT_MS + 48 * HOUR_MS
    partition.take(changed(2, TWO, ONE))
    partition.take(changed(3, THREE, TWO))
    assert (told(partition).revision, told(partition).former_attributes) == (3, [ONE])
    partition.take(change("A", 4, change="exited", attributes=THREE, former_attributes=[THREE]))
    assert told(partition).former_attributes == [ONE]
    partition.take(change("A", 5, attributes=TWO))
    assert (told(partition).change, told(partition).former_attributes) == ("entered", [ONE])


@pytest.mark.parametrize("way", ["superseded", "withdrawn", "dead"])
def test_an_entry_that_was_not_sent_is_told_with_the_newest_attributes(way: str) -> None:
    """As an entry, for its reason: whoever starts something upon an entry heard of none."""
    partition = one(QUIET if way == "withdrawn" else ALL, coalesce_above=0 if way == "superseded" else 9)
    partition.take(change("A", 1, attributes=ONE, reason="score above 10"))
    if way == "dead":
        partition.answer(partition.waiting()[0], Dead("HTTP 400"))
    partition.take(changed(2, TWO, ONE))
    assert (told(partition).change, told(partition).reason) == ("entered", "score above 10")
    assert told(partition).attributes == TWO
    assert told(partition).former_attributes == ([] if way == "withdrawn" else [ONE])


def test_what_a_dead_change_named_is_named_by_the_next() -> None:
    """Else an address stayed for ever in the list of who was told of it."""
    partition = one()
    partition.take(change("A", 1, attributes=ONE))
    partition.answer(partition.waiting()[0])
    partition.take(changed(2, TWO, ONE))
    partition.answer(partition.waiting()[0], Dead("HTTP 400"))
    partition.take(change("A", 3, attributes=TWO, change="exited", former_attributes=[TWO]))
    assert told(partition).former_attributes == [ONE, TWO]


@pytest.mark.parametrize("when", ["behind", "deferred", "waiting"])
def test_what_a_dead_digest_named_is_named_by_the_next_change(when: str) -> None:
    """By that alone, whether it comes behind the digest's end, is deferred until then, or waits in the next digest."""
    partition = one(DAILY)
    partition.take(alert("A"))
    partition.take(change("A", 1, attributes=ONE))
    partition.pass_time(24 * HOUR_MS)
    (first,) = partition.waiting()
    if when == "behind":
        partition.answer(first, Dead("HTTP 400"))
    partition.take(alert("B"))
    partition.take(changed(2, TWO, ONE))
    if when == "waiting":
        partition.pass_time(24 * HOUR_MS)
    if when != "behind":
        partition.answer(first, Dead("HTTP 400"))
    if when != "waiting":
        partition.pass_time(24 * HOUR_MS)
    (second,) = partition.waiting()
    of_b, entry = parts_of(second)
    assert isinstance(entry, MembershipChange)
    assert (of_b, entry.change, entry.former_attributes) == (alert("B"), "entered", [ONE])
    partition.answer(second)
    partition.take(change("A", 3, change="exited", attributes=TWO, former_attributes=[TWO]))
    (last,) = (decode_change(each.content) for each in partition.deferred())
    assert last.former_attributes == [TWO]


DAILY = {**ALL, "digest": {"at": ["08:00"]}}


def test_an_exit_that_is_dead_is_told_by_the_next() -> None:
    """Also where whoever came in meanwhile has left before that was told: the receiver has the member still."""
    partition = one(DAILY)
    partition.take(change("A", 1, attributes=ONE))
    partition.pass_time(24 * HOUR_MS)
    partition.answer(partition.waiting()[0])
    partition.take(change("A", 2, change="exited", attributes=ONE, former_attributes=[ONE]))
    partition.pass_time(24 * HOUR_MS)
    partition.answer(partition.waiting()[0], Dead("HTTP 400"))
    partition.take(change("A", 3, attributes=TWO))
    partition.take(change("A", 4, change="exited", attributes=TWO, former_attributes=[TWO]))
    assert (told(partition).change, told(partition).former_attributes) == ("exited", [ONE])


def test_attributes_that_came_back_before_they_were_told_are_former_ones_behind() -> None:
    """A change does not name its own as former ones; whoever comes in its place does."""
    partition = one(DAILY)
    partition.take(change("A", 1, attributes=ONE))
    partition.pass_time(24 * HOUR_MS)
    partition.take(change("A", 2, change="exited", attributes=ONE, former_attributes=[ONE]))
    partition.take(change("A", 3, attributes=ONE))
    partition.answer(partition.waiting()[0])
    assert told(partition).former_attributes == []
    partition.take(changed(4, TWO, ONE))
    assert (told(partition).change, told(partition).former_attributes) == ("entered", [ONE])


def test_what_a_dead_digest_named_is_named_by_one_that_can_not_be_withdrawn() -> None:
    """Else it was lost with who leaves before that was told."""
    partition = one(DAILY)
    partition.take(change("A", 1, attributes=ONE))
    partition.pass_time(24 * HOUR_MS)
    partition.answer(partition.waiting()[0])
    partition.take(changed(2, TWO, ONE))
    partition.pass_time(24 * HOUR_MS)
    partition.take(change("A", 3, change="exited", attributes=TWO, former_attributes=[TWO]))
    partition.pass_time(24 * HOUR_MS)
    partition.take(change("A", 4, attributes=TWO))
    partition.answer(partition.waiting()[0], Dead("HTTP 400"))
    partition.take(change("A", 5, change="exited", attributes=TWO, former_attributes=[TWO]))
    assert partition.deferred() == []
    assert told(partition).former_attributes == [ONE, TWO]


def gone(revision: int, attributes: dict[str, str]) -> MembershipChange:
    """The member leaves."""
    return change("A", revision, change="exited", attributes=attributes, former_attributes=[attributes])


def by_night(**options: object) -> Partition:
    """Quiet from midnight to noon; a member came in and was told of, and it is noon."""
    partition = one(QUIET, **options)
    partition.take(change("A", 1, attributes=ONE))
    partition.pass_time(12 * HOUR_MS)
    partition.answer(partition.waiting()[0])
    return partition


def test_what_may_be_withdrawn_supersedes_nothing() -> None:
    """Else neither an exit nor what came behind it were told."""
    partition = by_night(coalesce_above=0)
    partition.take(gone(2, ONE))
    partition.pass_time(12 * HOUR_MS)
    partition.take(change("A", 3, attributes=TWO))
    partition.take(gone(4, TWO))
    assert (told(partition).revision, told(partition).attributes) == (2, ONE)


@pytest.mark.parametrize("is_withdrawn", [False, True])
def test_an_exit_that_is_dead_is_sent_anew_behind_an_entry_that_was_not_sent(is_withdrawn: bool) -> None:
    """The receiver has the member still, for it heard of neither."""
    partition = by_night()
    partition.take(gone(2, ONE))
    (exit_,) = partition.waiting()
    partition.pass_time(12 * HOUR_MS)
    partition.take(change("A", 3, attributes=TWO))
    if is_withdrawn:
        partition.take(gone(4, TWO))
    partition.answer(exit_, Dead("HTTP 400"))
    partition.order(Retry(exit_.id))
    assert [each.id for each in partition.waiting()] == [exit_.id]
    partition.take(gone(5, TWO))
    assert partition.deferred() == []
    partition.order(Retry(exit_.id))
    assert [each.id for each in partition.waiting()] == [exit_.id]


def test_a_revocation_that_is_dead_is_told_by_the_next() -> None:
    """As an exit, where the assertion behind it was withdrawn; not where routes tell no corrections."""
    for corrections, left in ((True, 1), (False, 0)):
        partition = one({**QUIET, "corrections": corrections})
        partition.take(alert("A"))
        partition.pass_time(12 * HOUR_MS)
        partition.answer(partition.waiting()[0])
        partition.take(alert("A", revision=2))
        for each in partition.waiting():
            partition.answer(each, Dead("HTTP 400"))
        partition.pass_time(12 * HOUR_MS)
        partition.take(alert("A", revision=3))
        partition.take(alert("A", revision=4))
        assert len(partition.deferred()) == left


def test_what_a_dead_change_named_is_named_by_one_that_is_dead_already() -> None:
    """For that is named by the next."""
    partition = one(waiting_max=1)
    partition.take(change("A", 1, attributes=ONE))
    partition.answer(partition.waiting()[0])
    partition.take(changed(2, TWO, ONE))
    partition.take(changed(3, THREE, TWO))
    partition.answer(partition.waiting()[0], Dead("HTTP 400"))
    partition.take(gone(4, THREE))
    assert told(partition).former_attributes == [ONE, TWO, THREE]


def test_attributes_of_who_came_in_before_the_route_are_no_news() -> None:
    """Nor is the exit then."""
    partition = one()
    partition.take(changed(2, TWO, ONE))
    partition.take(change("A", 3, change="exited"))
    assert partition.waiting() == []
    partition.take(change("A", 4, change="entered"))
    assert told(partition).change == "entered"


def test_a_destination_that_is_gone_disables_itself() -> None:
    """A person resumes it, as one that was paused."""
    partition = one()
    key = DESTINATION + b"hook"

    def row() -> tuple[int, bool, str | None]:
        found = decode_destination(partition.rows.get([key])[0] or b"")
        return found.waiting_count, found.is_paused, found.disabled

    partition.take(alert("Acme"))
    partition.take(alert("Beta"))
    partition.order(Pause("hook"))
    assert row() == (2, True, None)
    partition.answer(partition.waiting()[0], Dead("HTTP 410", is_gone=True))
    assert row() == (1, True, "HTTP 410")
    partition.order(Resume("hook"))
    assert row() == (1, False, None)


def test_too_much_that_waits_is_dead_at_once() -> None:
    """With the reason, and to be tried anew when there is room."""
    partition = one(waiting_max=1)
    partition.take(alert("Acme"))
    partition.take(alert("Beta"))
    (full,) = [each for each in partition.status.values() if each.state == "dead"]
    assert full.why == "1 others wait, and no more may"
    partition.answer(partition.waiting()[0])
    partition.order(Retry(full.id))
    assert [each.lane[:4] for each in partition.waiting()] == ["Beta"]


@pytest.mark.parametrize(("limit", "left"), [(0, [3]), (5, [1, 2, 3])])
def test_a_destination_that_is_behind_gets_the_last_word_only(limit: int, left: list[int]) -> None:
    """While no more wait than the limit says, it gets all of them."""
    partition = one(coalesce_above=limit)
    for revision in (1, 2, 3):
        partition.take(change("Acme", revision))
    assert [each.revision for each in partition.waiting()] == left
    assert sorted(partition.states()) == ["superseded"] * (3 - len(left)) + ["waiting"] * len(left)


def test_what_waits_for_a_destination_that_is_gone_from_the_file_waits() -> None:
    """It is released and answered as before; no limit is known then."""
    partition = one(QUIET)
    partition.take(alert("Acme"))
    partition.configure({"boss": HOOK}, [])
    partition.pass_time(12 * HOUR_MS)
    assert [each.destination for each in partition.waiting()] == ["hook"]


def test_what_is_done_with_is_forgotten_in_time() -> None:
    """The heads stay: an old revision that comes again makes nothing."""
    partition = one()
    partition.take(alert("Acme"))
    partition.answer(partition.waiting()[0])

    def forget(outbox: Outbox) -> bool:
        return outbox.forget(AT_MS + 1, 10)

    assert not partition.step(lambda outbox: outbox.forget(AT_MS, 10))
    assert partition.step(forget)
    assert not partition.step(forget)
    assert partition.status == {}
    partition.take(alert("Acme"))
    assert partition.waiting() == []


def test_the_lane_is_the_container() -> None:
    """An opportunity's messages do not wait for those of its account."""
    partition = one()
    partition.take(alert("Acme", 1))
    partition.take(alert("Acme", 2, who=Involved("Acme", "opportunity", "o1", None, [])))
    assert len({each.lane for each in partition.waiting()}) == 2
