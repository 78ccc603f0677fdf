"""The deliver stage to the protocol: what records, answers and time make of rows and publications."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from state.delivery.memory import RowMemory
from state.delivery.outbox import Answered
from state.delivery.retries import Dead, Delivered
from state.delivery.rows import DESTINATION, WAITING, DestinationRow, decode_delivery, encode
from state.delivery.stage import DeliverStage, Inputs
from streams.alert import encode_alert
from streams.batch import BatchTooLargeError
from streams.delivery import (
    HELD_PREFIX,
    Configure,
    DeliveryStatus,
    Held,
    Order,
    Pause,
    Resume,
    decode_held,
    decode_status,
    encode_order,
)
from streams.membership import encode_change
from streams.partials import Tag
from streams.protocol_rows import FENCE_KEY
from streams.stage import Applied, Work
from tests.agents.delivery.worlds import AT_MS, alert, change
from tests.state.delivery.worlds import ALL, HOOK

TOPICS = Inputs("orders", "alerts", "changes", "deliveries")
APPLIED = Applied(Tag(0, 1), {}, AT_MS)
DAY_MS = 86_400_000


class Record(msgspec.Struct):
    topic: str
    key: bytes
    value: bytes | None
    timestamp: int = AT_MS
    offset: int = 0


class Owner:
    """Commits the stage's work in memory, and keeps what it publishes as a reader does."""

    def __init__(self) -> None:
        self.rows = RowMemory()
        self.stage = DeliverStage(TOPICS, self.rows, DAY_MS)
        self.read: dict[str, DeliveryStatus] = {}
        self.held: dict[str, Held] = {}
        self.pending = b""

    def commit(self, work: Work) -> None:
        self.rows.apply(work.rows)
        self.pending = work.pending
        self.publish(work.publish(APPLIED))

    def publish(self, publications: Any) -> None:
        for topic, records, _ in publications:
            assert topic == "deliveries"
            for key, value in records:
                read: dict[str, Any] = self.held if key.startswith(HELD_PREFIX.encode()) else self.read
                name = key.decode().removeprefix(HELD_PREFIX)
                read.pop(name, None)
                if value is not None:
                    read[name] = (decode_held if read is self.held else decode_status)(value)

    def take(self, records: Sequence[Record]) -> None:
        self.commit(self.stage.compute(records, AT_MS))  # type: ignore[arg-type]  # an input has no deletions, but one


def configured(route: dict[str, Any] = ALL, **options: Any) -> Owner:
    owner = Owner()
    order = Configure({"version": 1, "destinations": {"hook": {**HOOK, **options}}, "routes": [route]})
    owner.take([Record("orders", b"order", encode_order(order))])
    return owner


def test_inputs_become_deliveries_and_answers_close_them() -> None:
    """Fences and deletions of a compacted input are passed over; where each delivery stands is published."""
    owner = configured()
    owner.take(
        [
            Record("alerts", FENCE_KEY, b"0"),
            Record("alerts", b"gone", None),
            Record("alerts", b"a", encode_alert(alert("Acme"))),
            Record("changes", b"c", encode_change(change("Acme"))),
        ]
    )
    first, second = (decode_delivery(value) for _, value in owner.rows.scan(WAITING))
    assert {each.state for each in owner.read.values()} == {"waiting"}
    answers = [Answered(first.key(), Delivered()), Answered(second.key(), Dead("HTTP 404"))]
    owner.commit(owner.stage.answers(answers, AT_MS + 5)(AT_MS))
    assert [owner.read[each.id].state for each in (first, second)] == ["delivered", "dead"]
    assert owner.read[first.id].changed_ms == AT_MS + 5


def test_what_the_last_commit_published_is_published_again() -> None:
    """From the rows as they are: waiting, deferred, closed, and forgotten ones."""
    owner = configured({**ALL, "quiet": {"begin": "00:00", "end": "12:00"}})
    assert owner.stage.again(b"")(APPLIED) == []
    later = Record("changes", b"c", encode_change(change("Acme")), timestamp=AT_MS + 13 * 3_600_000)
    owner.take([Record("alerts", b"a", encode_alert(alert("Acme"))), later])
    was, owner.read = owner.read, {}
    owner.publish(owner.stage.again(owner.pending)(APPLIED))
    assert {id_: each.state for id_, each in owner.read.items()} == {id_: each.state for id_, each in was.items()}
    assert sorted(each.state for each in was.values()) == ["deferred", "waiting"]
    owner.commit(owner.stage.release(AT_MS + 12 * 3_600_000)(AT_MS))
    assert {each.state for each in owner.read.values()} == {"waiting"}
    (key, *_) = [key for key, _ in owner.rows.scan(WAITING)]
    owner.commit(owner.stage.answers([Answered(key, Delivered())], AT_MS)(AT_MS))
    was, owner.read = owner.read, {}
    owner.publish(owner.stage.again(owner.pending)(APPLIED))
    assert [each.state for each in owner.read.values()] == ["delivered"]
    assert owner.stage.chore(AT_MS + DAY_MS, 1) is None
    work = owner.stage.chore(AT_MS + DAY_MS + 1, 1)
    assert work is not None
    owner.commit(work)
    owner.publish(owner.stage.again(owner.pending)(APPLIED))
    assert owner.read == {}


def test_a_destination_that_is_held_is_published() -> None:
    """Paused or disabled, once when that changes and again behind a crash; what only waits for it says nothing, as
    who pauses it again. An idle commit says it of all: they may have been held by a version that did not publish it."""
    owner = configured()

    def order(*orders: Order) -> None:
        owner.take([Record("orders", b"order", encode_order(each)) for each in orders])

    order(Pause("hook"))
    owner.take([Record("alerts", b"a", encode_alert(alert("Acme")))])
    paused = Held(1, "hook", is_paused=True, disabled=None)
    assert owner.held == {"hook": paused}
    assert HELD_PREFIX.encode() not in owner.pending
    ((key, _),) = owner.rows.scan(WAITING)
    owner.commit(owner.stage.answers([Answered(key, Dead("HTTP 410", is_gone=True))], AT_MS)(AT_MS))
    assert owner.held == {"hook": msgspec.structs.replace(paused, disabled="HTTP 410")}
    was, owner.held = owner.held, {}
    owner.publish(owner.stage.again(owner.pending)(APPLIED))
    assert owner.held == was
    owner.held = {}
    order(Pause("hook"))
    assert owner.held == {}
    order(Resume("hook"))
    assert owner.held == {}
    owner.held = was
    owner.publish(owner.stage.again(owner.pending)(APPLIED))
    assert owner.held == {}
    order(Pause("hook"), Resume("hook"))
    assert owner.held == {}
    order(Pause("hook"))
    owner.held = {"gone": paused}
    owner.rows.apply([(DESTINATION + b"gone", encode(DestinationRow()))])
    owner.commit(owner.stage.idle(AT_MS))
    assert owner.held == {"hook": paused}


def test_what_found_no_room_when_it_was_released_can_be_forgotten() -> None:
    """A crash behind that commit has the next owner publish it again, and nothing of the delivery is left."""
    owner = configured({**ALL, "quiet": {"begin": "00:00", "end": "12:00"}}, waiting_max=1)
    for number in range(2):
        owner.take([Record("alerts", b"a", encode_alert(alert("Acme", number)))])
    owner.commit(owner.stage.release(AT_MS + 12 * 3_600_000)(AT_MS))
    assert sorted(each.state for each in owner.read.values()) == ["dead", "waiting"]
    work = owner.stage.chore(AT_MS + 3 * DAY_MS, 1)
    assert work is not None
    owner.commit(work)
    owner.publish(owner.stage.again(owner.pending)(APPLIED))
    assert [each.state for each in owner.read.values()] == ["waiting"]


def test_it_has_no_slices_and_idle_commits_change_nothing() -> None:
    """One record fits any commit, and nothing of the state is due by itself."""
    owner = configured()
    assert owner.stage.due_ms() is None
    assert owner.stage.idle(AT_MS).rows == []
    assert owner.stage.slice(Record("alerts", b"a", b""), AT_MS) is None  # type: ignore[arg-type]
    assert not owner.stage.is_halfway()
    with pytest.raises(BatchTooLargeError):
        owner.stage.chore_failed()
