"""What a partition's inputs and answers make of its deliveries: rows in, rows out.

The law: per destination and subject the highest revision counts, and an older one or a repeat makes nothing; a delivery
has one id, whatever crashes; of what was never sent, nothing is said when it is taken back. `state.delivery.rows` has
the rows.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby, islice, takewhile
from typing import NamedTuple, assert_never

import msgspec

from state.delivery.clock import digest_due, quiet_until
from state.delivery.configuration import DeliveryFile, Escalate, Limits, Route
from state.delivery.formats.message import parts_of
from state.delivery.message import (
    ESCALATION,
    Message,
    delivery_id,
    in_place_of,
    message_of,
    message_of_alert,
    message_of_change,
)
from state.delivery.retries import Dead, Delivered, Later, Verdict
from state.delivery.rows import (
    BY_TIME,
    CLOSED,
    CONFIG_KEY,
    DEFERRED,
    DESTINATION,
    NEXT_KEY,
    PLACE,
    Closed,
    Configuration,
    Delivery,
    DestinationRow,
    Head,
    Kind,
    Lookup,
    Operation,
    by_time_key,
    cooling_key,
    decode_closed,
    decode_configuration,
    decode_delivery,
    decode_destination,
    decode_head,
    encode,
    head_key,
    held_of,
    status_of,
    waiting_prefix,
)
from streams.alert import Alert
from streams.delivery import Acknowledge, Configure, DeliveryStatus, Held, Order, Pause, Resume, Retry, State
from streams.membership import MembershipChange
from streams.store import Row

DIGEST_COUNT_MAX, DIGEST_BYTES_MAX = 200, 2**20
"""Messages of one digest; more are several."""
RELEASED_MAX, RELEASED_BYTES_MAX = 1_000, 8 * 2**20
"""Of one commit, so that it fits."""
PRUNED_MAX = 1_000
_NO_LIMITS = Limits()
_NOTHING = b"[]"
"""The content of a digest of which nothing is left."""


class Answered(NamedTuple):
    """What became of a try. key: the waiting row of the delivery."""

    key: bytes
    verdict: Verdict


class _InForce(NamedTuple):
    """The configuration, read once."""

    file: DeliveryFile
    since_by_way: dict[str, int]


class _Way(NamedTuple):
    """Where a message goes, and when; it is deferred when due_ms is behind the time at which it was said."""

    destination: str
    route: Route
    kind: Kind
    due_ms: int
    digest: bool = False


@lru_cache(maxsize=8)
def file_of(content: bytes) -> DeliveryFile:
    """The delivery file that a configuration row holds."""
    return DeliveryFile.model_validate_json(content)


class Outbox:
    """The changes of one commit, on top of the rows as they are. Used once."""

    def __init__(self, rows: Lookup, now_ms: int) -> None:
        """now_ms: the committed clock; where answers are noted and time makes something due, the broker's now."""
        self._rows = rows
        self._now_ms = now_ms
        self._changed: dict[bytes, bytes | None] = {}
        self._known: _InForce | None = None
        self.status_by_id: dict[str, DeliveryStatus | None] = {}
        """Of the deliveries that changed; None of those that are forgotten."""
        self.held_by_destination: dict[str, Held | None] = {}
        """Of the destinations that are held from now on, or no more."""

    @property
    def rows(self) -> list[Row]:
        """What is to be written."""
        return list(self._changed.items())

    # --- what comes in

    def take_alert(self, alert: Alert, content: bytes, said_ms: int) -> None:
        """content: the alert as it came. said_ms: the broker's time of its record."""
        self._take(message_of_alert(alert), content, said_ms)

    def take_change(self, change: MembershipChange, content: bytes, said_ms: int) -> None:
        """The same for a change of an audience."""
        self._take(message_of_change(change), content, said_ms)

    def order(self, order: Order, said_ms: int) -> None:
        """Does what people ordered. What is not there any more needs nothing done."""
        match order:
            case Configure():
                self._configure(order, said_ms)
            case Pause():
                row = self._destination(order.destination)
                self._hold(order.destination, row, msgspec.structs.replace(row, is_paused=True))
            case Resume():
                row = self._destination(order.destination)
                resumed = msgspec.structs.replace(row, is_paused=False, disabled=None, resumed_ms=said_ms)
                self._hold(order.destination, row, resumed)
            case Retry():
                self._retry(order.id)
            case Acknowledge():
                self._acknowledge(order.alert)
            case _ as never:
                assert_never(never)

    def _configure(self, order: Configure, said_ms: int) -> None:
        in_force = self._in_force()
        was = {} if in_force is None else in_force.since_by_way
        content = msgspec.json.encode(order.file)
        ways = [_way_name(route, to) for route in file_of(content).routes for to in route.to]
        since = {way: was.get(way, said_ms) for way in ways}
        self._changed[CONFIG_KEY] = encode(Configuration(content, since))
        self._known = None

    def _take(self, message: Message, content: bytes, said_ms: int) -> None:
        in_force = self._in_force()
        if in_force is None:
            return
        taken: set[str] = set()
        for route in in_force.file.routes:
            if not _goes(message, route):
                continue
            since = in_force.since_by_way
            led_to = [to for to in dict.fromkeys(route.to) if said_ms >= since[_way_name(route, to)]]
            new = [to for to in led_to if to not in taken]
            taken.update(new)
            told = [self._tell(message, content, _way(message, to, route, said_ms), said_ms) for to in new]
            if message.is_alert and route.escalate is not None and (any(told) or not message.is_there):
                later = message._replace(subject=ESCALATION + message.subject)
                due_ms = _escalation_due(message, route, route.escalate, said_ms)
                for to in route.escalate.to:
                    self._tell(later, content, _Way(to, route, "escalation", due_ms), said_ms)

    def _tell(self, message: Message, content: bytes, way: _Way, said_ms: int) -> bool:
        """Plans a delivery when the message is news to the destination. Whether it was, and says that something is."""
        key = head_key(way.destination, message.subject)
        stored = self._get(key)
        head = Head(-1) if stored is None else decode_head(stored)
        if message.revision <= head.revision:
            return False
        head, withdrawn = self._without_unsent(head)
        if withdrawn is not None and way.kind == "alert" and head.told is None:
            self._changed[_cooling(message, way)] = None  # nobody has heard what it would cool down from
        if not self._is_news(message, head, way, is_withdrawn=withdrawn is not None):
            self._changed[key] = encode(msgspec.structs.replace(head, revision=message.revision))
            return False
        unsent = withdrawn or self._superseded(head, way.destination) or self._dead(head, message, way)
        if unsent is not None and way.kind == "change":
            content = in_place_of(content, unsent.content, may_be_sent=withdrawn is None)
        id_ = delivery_id(way.destination, way.kind, message.subject, message.revision)
        operation: Operation = "removed" if not message.is_there else "changed" if head.told else "added"
        delivery = Delivery(
            id=id_,
            number=self._number(),
            destination=way.destination,
            route=way.route.name,
            kind=way.kind,
            lane=message.lane,
            subject=message.subject,
            revision=message.revision,
            operation=operation,
            content=content,
            corrects=head.first,
            created_ms=said_ms,
            begun_ms=said_ms,
            due_ms=way.due_ms,
            digest=way.digest,
            name=message.name,
        )
        place = self._defer(delivery) if way.due_ms > said_ms else self._send(delivery)
        new = Head(message.revision, message.is_there, head.first or id_, place, head.told, head.is_acknowledged)
        self._changed[key] = encode(new)
        if message.is_there and way.route.cool_down_s:
            self._changed[_cooling(message, way)] = message.known_ms.to_bytes(8, "big")
        return message.is_there

    def _is_news(self, message: Message, head: Head, way: _Way, *, is_withdrawn: bool) -> bool:
        if not message.is_there:
            return bool(head.told) and (way.route.corrections or not message.is_alert)
        if message.is_update and not head.told:
            return is_withdrawn  # the entry, which this one tells then
        if head.is_acknowledged:
            return False
        if head.told is not None or not message.is_alert or not way.route.cool_down_s or way.kind == "escalation":
            return True
        last = self._get(_cooling(message, way))
        return last is None or message.known_ms - int.from_bytes(last, "big") >= way.route.cool_down_s * 1000

    def _without_unsent(self, head: Head) -> tuple[Head, Delivery | None]:
        """The head without its newest delivery, where that is deferred still; and it, which is withdrawn."""
        if not head.place.startswith(DEFERRED) or (stored := self._get(head.place)) is None:
            return head, None
        withdrawn = decode_delivery(stored)
        self._close(withdrawn, head.place, "withdrawn")
        first = None if head.told_before is None else head.first
        return Head(head.revision, head.told_before, first, is_acknowledged=head.is_acknowledged), withdrawn

    def _superseded(self, head: Head, destination: str) -> Delivery | None:
        """The newest delivery, which need not be sent where the destination is behind, for another one comes in its
        place; None where there is none."""
        stored = self._get(head.place) if head.place else None
        if stored is None or self._destination(destination).waiting_count <= self._limits(destination).coalesce_above:
            return None
        superseded = decode_delivery(stored)
        self._close(superseded, head.place, "superseded")
        return superseded

    def _dead(self, head: Head, message: Message, way: _Way) -> Delivery | None:
        """The newest delivery of a change, where it is dead, and may be tried anew no more."""
        if way.kind != "change":
            return None
        id_ = delivery_id(way.destination, way.kind, message.subject, head.revision)
        stored = self._get(CLOSED + id_.encode())
        closed = None if stored is None else decode_closed(stored)
        return closed.delivery if closed is not None and closed.state == "dead" else None

    # --- what is to be sent

    def _defer(self, delivery: Delivery) -> bytes:
        key = delivery.deferred_key()
        self._put(key, delivery, "deferred")
        return key

    def _send(self, delivery: Delivery) -> bytes:
        """Lets it wait for its turn; where too many wait already, it is dead."""
        row = self._destination(delivery.destination)
        if row.waiting_count >= self._limits(delivery.destination).waiting_max:
            full = msgspec.structs.replace(delivery, why=f"{row.waiting_count} others wait, and no more may")
            self._close(full, b"", "dead")
            return b""
        self._put(delivery.key(), delivery, "waiting")
        self._put_destination(delivery.destination, msgspec.structs.replace(row, waiting_count=row.waiting_count + 1))
        return delivery.key()

    def _put(self, key: bytes, delivery: Delivery, state: State) -> None:
        self._changed[key] = encode(delivery)
        self._changed[PLACE + delivery.id.encode()] = key
        self.status_by_id[delivery.id] = status_of(delivery, state, self._now_ms)

    def _close(self, delivery: Delivery, key: bytes, state: State) -> None:
        """It is done with. key: of its row, if it has one. Its content is kept only while it may be sent again."""
        self._changed[PLACE + delivery.id.encode()] = None
        if key:
            self._changed[key] = None
        if key.startswith(waiting_prefix(delivery.destination)):
            row = self._destination(delivery.destination)
            less = msgspec.structs.replace(row, waiting_count=row.waiting_count - 1)
            self._put_destination(delivery.destination, less)
        kept = delivery if state == "dead" else msgspec.structs.replace(delivery, content=b"")
        self._changed[CLOSED + delivery.id.encode()] = encode(Closed(kept, state, self._now_ms))
        self._changed[by_time_key(self._now_ms, delivery.id)] = b""
        self.status_by_id[delivery.id] = status_of(delivery, state, self._now_ms)

    # --- what becomes of it

    def note(self, answers: Iterable[Answered]) -> None:
        """Takes note of answers; one of a delivery that does not wait any more changes nothing."""
        for key, verdict in answers:
            stored = self._get(key)
            if stored is None:
                continue
            was = decode_delivery(stored)
            tried = msgspec.structs.replace(was, attempts=was.attempts + 1)
            match verdict:
                case Delivered():
                    self._close(msgspec.structs.replace(tried, why=None), key, "delivered")
                case Later():
                    self._put(key, msgspec.structs.replace(tried, due_ms=verdict.due_ms, why=verdict.why), "waiting")
                case Dead():
                    self._close(msgspec.structs.replace(tried, why=verdict.why), key, "dead")
                    self._pass_on(tried)
                    if verdict.is_gone:
                        row = self._destination(was.destination)
                        self._hold(was.destination, row, msgspec.structs.replace(row, disabled=verdict.why))
                case _ as never:
                    assert_never(never)

    def _pass_on(self, dead: Delivery) -> None:
        """A newer change about the same, which waits already, says what the dead one did, too."""
        if dead.kind != "change":
            return
        head = decode_head(self._must(head_key(dead.destination, dead.subject)))
        stored = self._get(head.place) if head.revision > dead.revision and head.place else None
        if stored is not None:
            newer = decode_delivery(stored)
            content = in_place_of(newer.content, dead.content, may_be_sent=True)
            self._changed[head.place] = encode(msgspec.structs.replace(newer, content=content))

    def release(self) -> bool:
        """What was deferred until now is to be sent; digests are put together. False when there was nothing."""
        due = next(chunked(self._due(), RELEASED_MAX, RELEASED_BYTES_MAX), [])
        for delivery in due:
            if not delivery.digest:
                self._release(delivery)
        digested = sorted((each for each in due if each.digest), key=_group)
        for (destination, route, due_ms), group in groupby(digested, key=_group):
            for parts in chunked(group, DIGEST_COUNT_MAX, DIGEST_BYTES_MAX):
                self._digest(destination, route, due_ms, parts)
        return bool(due)

    def _due(self) -> Iterable[Delivery]:
        for key, value in self._rows.scan(DEFERRED):
            if int.from_bytes(key[1:9], "big") > self._now_ms:
                return
            yield decode_delivery(value)

    def _release(self, delivery: Delivery) -> None:
        self._changed[delivery.deferred_key()] = None
        place = self._send(msgspec.structs.replace(delivery, number=self._number(), begun_ms=self._now_ms))
        key = head_key(delivery.destination, delivery.subject)
        head = decode_head(self._must(key))
        self._changed[key] = encode(msgspec.structs.replace(head, place=place))

    def _digest(self, destination: str, route: str, due_ms: int, deliveries: Sequence[Delivery]) -> None:
        subject = f"{route}\0{due_ms}\0{deliveries[0].id}"
        id_ = delivery_id(destination, "digest", subject, 0)
        for each in deliveries:
            part = msgspec.structs.replace(each, why=f"part of {id_}")
            self._close(part, each.deferred_key(), "superseded")
        content = b"[" + b",".join(each.content for each in deliveries) + b"]"
        self._send(
            Delivery(
                id=id_,
                number=self._number(),
                destination=destination,
                route=route,
                kind="digest",
                lane=f"digest\0{route}",
                subject=subject,
                revision=0,
                operation="added",
                content=content,
                corrects=None,
                created_ms=deliveries[0].created_ms,
                begun_ms=self._now_ms,
                due_ms=due_ms,
                operations=[each.operation for each in deliveries],
            )
        )

    def _retry(self, id_: str) -> None:
        stored = self._get(CLOSED + id_.encode())
        closed = None if stored is None else decode_closed(stored)
        if closed is None or closed.state != "dead":
            return
        delivery = closed.delivery
        key = head_key(delivery.destination, delivery.subject)
        stored = self._get(key)
        head = None if stored is None else decode_head(stored)
        self._changed[CLOSED + id_.encode()] = None
        self._changed[by_time_key(closed.closed_ms, id_)] = None
        if delivery.kind == "digest":
            delivery = self._still_newest(delivery)
        if (head is not None and head.revision > delivery.revision) or delivery.content == _NOTHING:
            newer = msgspec.structs.replace(delivery, why="a newer message about the same came since")
            self._close(newer, b"", "superseded")
            return
        again = msgspec.structs.replace(
            delivery, number=self._number(), attempts=0, why=None, begun_ms=self._now_ms, due_ms=self._now_ms
        )
        place = self._send(again)
        if head is not None:
            self._changed[key] = encode(msgspec.structs.replace(head, place=place))

    def _still_newest(self, digest: Delivery) -> Delivery:
        """A digest without what a newer message came about since."""
        contents = msgspec.json.decode(digest.content, type=list[msgspec.Raw])
        messages = [message_of(part) for part in parts_of(digest)]
        heads = [decode_head(self._must(head_key(digest.destination, each.subject))) for each in messages]
        found = zip(contents, digest.part_operations(len(contents)), messages, heads, strict=True)
        left = [(bytes(one), what) for one, what, message, head in found if head.revision <= message.revision]
        content = b"[" + b",".join(one for one, _ in left) + b"]"
        return msgspec.structs.replace(digest, content=content, operations=[what for _, what in left])

    def _acknowledge(self, alert: str) -> None:
        """The alert itself may be read only behind its acknowledgement: two topics have no common order."""
        in_force = self._in_force()
        if in_force is None:
            return
        escalated = {to for route in in_force.file.routes if route.escalate for to in route.escalate.to}
        for destination in in_force.file.destinations:
            key = head_key(destination, ESCALATION + alert)
            found = self._get(key)
            if found is None and destination not in escalated:
                continue
            head, _ = self._without_unsent(Head(-1) if found is None else decode_head(found))
            self._changed[key] = encode(msgspec.structs.replace(head, is_acknowledged=True))

    def forget(self, before_ms: int, count_max: int) -> bool:
        """Forgets deliveries that were done with before then; the heads stay. False when there were none."""
        before = before_ms.to_bytes(8, "big")
        keys = (key for key, _ in islice(self._rows.scan(BY_TIME), count_max))
        due = list(takewhile(lambda key: key[1:9] < before, keys))
        for key in due:
            id_ = key[9:]
            self._changed[key] = None
            self._changed[CLOSED + id_] = None
            self.status_by_id[id_.decode()] = None
        return bool(due)

    # --- rows

    def _in_force(self) -> _InForce | None:
        stored = self._get(CONFIG_KEY) if self._known is None else None
        if stored is not None:
            configuration = decode_configuration(stored)
            self._known = _InForce(file_of(configuration.file), configuration.since_by_way)
        return self._known

    def _get(self, key: bytes) -> bytes | None:
        return self._changed[key] if key in self._changed else self._rows.get([key])[0]

    def _must(self, key: bytes) -> bytes:
        value = self._get(key)
        assert value is not None, f"the row {key!r} is written with the one that leads to it"
        return value

    def _number(self) -> int:
        """The next delivery's."""
        stored = self._get(NEXT_KEY)
        number = 0 if stored is None else int.from_bytes(stored, "big")
        self._changed[NEXT_KEY] = (number + 1).to_bytes(8, "big")
        return number

    def _destination(self, name: str) -> DestinationRow:
        stored = self._get(DESTINATION + name.encode())
        return DestinationRow() if stored is None else decode_destination(stored)

    def _limits(self, name: str) -> Limits:
        """What bounds the deliveries of a destination; of one that is configured no more, what bounds most."""
        in_force = self._in_force()
        return _NO_LIMITS if in_force is None else in_force.file.destinations.get(name, _NO_LIMITS)

    def _hold(self, name: str, was: DestinationRow, row: DestinationRow) -> None:
        """A destination that is held from now on, or no more; people are told where that is new."""
        held = held_of(name, row)
        if held != held_of(name, was):
            self.held_by_destination[name] = held
        self._put_destination(name, row)

    def _put_destination(self, name: str, row: DestinationRow) -> None:
        self._changed[DESTINATION + name.encode()] = encode(row)


def chunked(deliveries: Iterable[Delivery], count_max: int, bytes_max: int) -> Iterator[list[Delivery]]:
    """The deliveries in lists of so many and so much content at most, and of one at least."""
    some: list[Delivery] = []
    size = 0
    for each in deliveries:
        if some and (len(some) >= count_max or size + len(each.content) > bytes_max):
            yield some
            some, size = [], 0
        some.append(each)
        size += len(each.content)
    if some:
        yield some


def _goes(message: Message, route: Route) -> bool:
    """Whether the message goes the route."""
    if message.is_alert:
        return route.takes_milestone(message.name, message.tier)
    return route.takes_audience(message.name)


def _way(message: Message, to: str, route: Route, said_ms: int) -> _Way:
    kind: Kind = "alert" if message.is_alert else "change"
    return _Way(to, route, kind, _due(route, said_ms), digest=route.digest is not None)


def _due(route: Route, at_ms: int) -> int:
    """When what comes at an instant is sent: at once, at the next digest, or when quiet hours end."""
    return _loud(route, at_ms) if route.digest is None else digest_due(route.digest, at_ms)


def _loud(route: Route, at_ms: int) -> int:
    """The instant, or the end of the quiet hours in which it lies."""
    return (None if route.quiet is None else quiet_until(route.quiet, at_ms)) or at_ms


def _escalation_due(message: Message, route: Route, escalate: Escalate, said_ms: int) -> int:
    """Counted from when the alert is sent, for nobody can acknowledge it before; in no quiet hours. A correction is
    sent as soon as they allow it."""
    if not message.is_there:
        return _loud(route, said_ms)
    return _loud(route, _due(route, said_ms) + escalate.after_s * 1000)


def _way_name(route: Route, to: str) -> str:
    return f"{route.name}/{to}"


def _cooling(message: Message, way: _Way) -> bytes:
    return cooling_key(f"{way.route.name}/{way.destination}", message.name, message.lane)


def _group(delivery: Delivery) -> tuple[str, str, int]:
    return delivery.destination, delivery.route, delivery.due_ms
