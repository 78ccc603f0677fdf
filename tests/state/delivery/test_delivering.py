"""The property of delivering: whatever comes in whatever order, is answered, and crashes, the receiver ends up with the
truth, in order, under ids that never change."""

from collections import defaultdict
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from state.delivery.formats.message import parts_of
from state.delivery.outbox import Answered, Outbox
from state.delivery.queue import Queue, Waiting
from state.delivery.retries import Dead, Delivered, Later, Verdict
from state.delivery.rows import WAITING, Delivery, decode_delivery
from streams.alert import Alert
from streams.delivery import Retry
from streams.membership import MembershipChange
from tests.agents.delivery.worlds import alert, change
from tests.state.delivery.worlds import ALL, HOOK, Partition

ACCOUNTS = ("A", "B")
MESSAGES = [
    *(alert(account, number, revision) for account in ACCOUNTS for number in (0, 1) for revision in (1, 2, 3)),
    *(change(account, revision) for account in ACCOUNTS for revision in (1, 2, 3, 4)),
]
STEPS = st.lists(
    st.one_of(
        st.sampled_from(MESSAGES),
        st.tuples(st.just("send"), st.integers(0, 3), st.sampled_from(["done", "later", "crash", "lost"])),
    ),
    max_size=60,
)


HOURS_MS = 12 * 3_600_000


class Receiver:
    """What a destination knows: everything it was sent, and per subject the highest revision, as a reader keeps it."""

    def __init__(self) -> None:
        self.received: list[Delivery] = []
        self.state: dict[str, tuple[int, bool]] = {}

    def take(self, delivery: Delivery) -> None:
        self.received.append(delivery)
        newest = delivery.revision, delivery.operation != "removed"
        self.state[delivery.subject] = max(self.state.get(delivery.subject, newest), newest)


class Sender:
    """The dispatcher's part, a step at a time: loads what waits, sends of a lane that is free, notes the answer."""

    def __init__(self, partition: Partition, receiver: Receiver) -> None:
        self.partition, self.receiver = partition, receiver
        self.queue = Queue()

    def load(self) -> None:
        for key, value in self.partition.rows.scan(WAITING, self.queue.loaded_behind):
            delivery = decode_delivery(value)
            self.queue.add(delivery.lane, Waiting(key, 0))

    def send(self, skip: int, end: str) -> "Sender":
        """skip: how many more lanes begin. end: lost, the answer of a try that arrived is never known, and crash, the
        owner dies behind it; both are sent again."""
        self.load()
        begun = []
        while len(begun) <= skip and (taken := self.queue.take(0)) is not None:
            begun.append(taken)
        for lane, keys in begun:
            (stored,) = self.partition.rows.get(list(keys))
            if stored is None:
                self.queue.finish(lane, [None])
                continue
            delivery = decode_delivery(stored)
            self.receiver.take(delivery)
            if end == "crash":
                return Sender(self.partition, self.receiver)
            verdict: Verdict = Delivered() if end == "done" else Later(0, "no answer")
            self.partition.answer(delivery, verdict)
            self.queue.finish(lane, [None if end == "done" else 0])
        return self


def truth(messages: list[Alert | MembershipChange]) -> dict[str, tuple[int, bool]]:
    """The highest revision of each subject, where it is there or was once told to be."""
    newest: dict[str, tuple[int, bool]] = {}
    for each in messages:
        is_alert = isinstance(each, Alert)
        subject = each.id if isinstance(each, Alert) else f"{each.audience}\0{each.account}\0account\0"
        is_there = each.state == "asserted" if is_alert else each.change == "entered"  # type: ignore[union-attr]
        newest[subject] = max(newest.get(subject, (0, False)), (each.revision, is_there))
    return newest


def run(steps: list[Any], **options: object) -> tuple[Partition, Receiver, list[Alert | MembershipChange]]:
    partition, receiver = Partition({"hook": {**HOOK, **options}}, [ALL]), Receiver()
    sender, taken = Sender(partition, receiver), []
    for step in steps:
        if isinstance(step, tuple):
            sender = sender.send(step[1], step[2])
        else:
            partition.take(step)
            taken.append(step)
    for _ in range(200):
        sender = sender.send(3, "done")
    assert partition.waiting() == []
    return partition, receiver, taken


@given(STEPS)
def test_oracle_the_receiver_ends_up_with_the_truth(steps: list[Any]) -> None:
    """Every delivery is received, repeats carry its id, and per container they begin in the order of their numbers."""
    partition, receiver, taken = run(steps)
    assert {each.id for each in receiver.received} == set(partition.status)
    content_by_id: dict[str, bytes] = {}
    firsts: dict[str, list[int]] = defaultdict(list)
    for each in receiver.received:
        if each.id not in content_by_id:
            firsts[each.lane].append(each.number)
        assert content_by_id.setdefault(each.id, each.content) == each.content
    assert all(numbers == sorted(numbers) for numbers in firsts.values())
    for subject, (revision, is_there) in truth(taken).items():
        known = receiver.state.get(subject)
        # Of what never was, as far as the receiver knows, it hears nothing.
        assert known == (revision, is_there) or (not is_there and (known is None or not known[1]))


@given(STEPS)
def test_oracle_a_receiver_that_gets_the_last_word_only_knows_the_same(steps: list[Any]) -> None:
    """Coalescing leaves out messages, and no truth."""
    _, receiver, taken = run(steps, coalesce_above=0)
    for subject, (_, is_there) in truth(taken).items():
        known = receiver.state.get(subject)
        assert (known is not None and known[1]) == is_there


@given(STEPS)
def test_a_commit_that_is_computed_twice_is_the_same(steps: list[Any]) -> None:
    """A crash before the append makes the next owner compute the same rows and ids again."""
    partition = Partition({"hook": HOOK}, [ALL])
    for step in steps:
        if isinstance(step, tuple):
            waiting = partition.waiting()
            if waiting:
                outboxes = [Outbox(partition.rows, partition.now_ms) for _ in range(2)]
                for outbox in outboxes:
                    outbox.note([Answered(waiting[0].key(), Delivered())])
                assert outboxes[0].rows == outboxes[1].rows
                partition.rows.apply(outboxes[0].rows)
        else:
            before = list(partition.rows.scan(b""))
            partition.take(step)
            after = list(partition.rows.scan(b""))
            partition.rows.apply([(key, None) for key, _ in after])
            partition.rows.apply(before)
            partition.take(step)
            assert list(partition.rows.scan(b"")) == after


MEMBER = st.none() | st.sampled_from([{"email": name} for name in "abcd"])
"""What a member is told to have next; None: it leaves."""


STEP = st.sampled_from(["nothing", "hours", "done", "lost", "refused", "dead", "retry"])
QUIET = {**ALL, "quiet": {"begin": "00:00", "end": "08:00", "zone": "UTC"}}
DIGEST = {**ALL, "digest": {"at": ["08:00"]}}


@given(
    st.lists(st.tuples(MEMBER, STEP), max_size=12),
    st.fixed_dictionaries({"coalesce_above": st.sampled_from([0, 1, 9]), "waiting_max": st.sampled_from([1, 99])}),
    st.sampled_from([ALL, QUIET, DIGEST]),
)
def test_oracle_a_list_holds_a_member_by_its_newest_address_only(
    steps: list[tuple[dict[str, str] | None, str]], options: dict[str, int], route: dict[str, Any]
) -> None:
    """Whatever is coalesced, deferred, put into digests, refused, tried anew, or arrives with its answer lost or a
    refusal: behind a last message that is taken whoever keeps a list by addresses has the newest one, and none of who
    left."""
    partition, held = Partition({"hook": {**HOOK, **options}}, [route]), list[dict[str, str]]()

    def arrive(delivery: Delivery) -> None:
        for part in parts_of(delivery):
            assert isinstance(part, MembershipChange)
            gone = [*part.former_attributes, part.attributes]
            held[:] = [each for each in held if each not in gone]
            if part.change != "exited":
                held.append(part.attributes)

    def answer(verdict: Verdict | None, *, arrives: bool) -> None:
        for delivery in partition.waiting()[:1]:
            if arrives:
                arrive(delivery)
            if verdict is not None:
                partition.answer(delivery, verdict)

    def settle() -> None:
        for _ in range(2):
            partition.pass_time(HOURS_MS)
            while partition.waiting():
                answer(Delivered(), arrives=True)

    known, revision = None, 0
    room = "settle" if options["waiting_max"] == 1 else "nothing"
    last = [({"email": "z"}, room), (steps[-1][0] if steps else None, "settle")]
    for attributes, what in [*steps, (steps[-1][0] if steps else None, room), *last]:
        if attributes != known:
            revision += 1
            word = "exited" if attributes is None else "entered" if known is None else "changed"
            former = [] if known is None else [known]
            told = attributes or known or {}
            partition.take(change("A", revision, change=word, attributes=told, former_attributes=former))
            known = attributes
        if what == "hours":
            partition.pass_time(HOURS_MS)
        elif what == "settle":
            settle()
        elif what == "retry":
            for status in list(partition.status.values()):
                if status.state == "dead":
                    partition.order(Retry(status.id))
        elif what != "nothing":
            answer(
                Dead("HTTP 400") if what in ("refused", "dead") else Delivered() if what == "done" else None,
                arrives=what != "refused",
            )
    assert held == ([] if known is None else [known])
