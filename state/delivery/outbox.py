"""What a partition's inputs and answers make of its deliveries: rows in, rows out.

The law: per destination and subject the highest revision counts, and an older one or a repeat makes nothing; a delivery
has one id, whatever crashes; of what was never sent, nothing is said when it is taken back. `state.delivery.rows` has
the rows.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice, takewhile
from typing import NamedTuple, assert_never

import msgspec

from state.delivery.formats.message import contents_of, list_of, parts_of
from state.delivery.ledger import Ledger, file_of
from state.delivery.message import (
    ESCALATION,
    Message,
    Said,
    delivery_id,
    in_place_of,
    message_of,
    message_of_alert,
    message_of_change,
)
from state.delivery.retries import Dead, Delivered, Later, Verdict
from state.delivery.routing import Way, cooling_of, escalation_due, goes, way_name, way_of
from state.delivery.rows import (
    BY_TIME,
    CLOSED,
    CONFIG_KEY,
    DEFERRED,
    Configuration,
    Delivery,
    Head,
    Operation,
    by_time_key,
    decode_closed,
    decode_delivery,
    decode_head,
    encode,
    head_key,
)
from streams.alert import Alert
from streams.delivery import Acknowledge, Configure, Order, Pause, Resume, Retry
from streams.membership import MembershipChange

DIGEST_COUNT_MAX, DIGEST_BYTES_MAX = 200, 3 * 2**18
"""Messages of one digest; more are several. A topic takes 1 MiB unless it is made otherwise, with key and headers, and
what a digest comes to say too."""
RELEASED_MAX, RELEASED_BYTES_MAX = 1_000, 8 * 2**20
"""Of one commit, so that it fits."""
PRUNED_MAX = 1_000
_NOTHING = b"[]"
"""The content of a digest of which nothing is left."""


class Answered(NamedTuple):
    """What became of a try. key: the waiting row of the delivery."""

    key: bytes
    verdict: Verdict


class Part(NamedTuple):
    """Of what a delivery says: all of it, or an item of a digest. content: its JSON."""

    message: Message
    content: bytes


class Outbox(Ledger):
    """The changes of one commit, on top of the rows as they are. Used once."""

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
        ways = [way_name(route, to) for route in file_of(content).routes for to in route.to]
        since = {way: was.get(way, said_ms) for way in ways}
        self._changed[CONFIG_KEY] = encode(Configuration(content, since))
        self._known = None

    def _take(self, message: Message, content: bytes, said_ms: int) -> None:
        in_force = self._in_force()
        if in_force is None:
            return
        taken: set[str] = set()
        for route in in_force.file.routes:
            if not goes(message, route):
                continue
            since = in_force.since_by_way
            led_to = [to for to in dict.fromkeys(route.to) if said_ms >= since[way_name(route, to)]]
            new = [to for to in led_to if to not in taken]
            taken.update(new)
            told = [self._tell(message, content, way_of(message, to, route, said_ms), said_ms) for to in new]
            if message.is_alert and route.escalate is not None and (any(told) or not message.is_there):
                later = message._replace(subject=ESCALATION + message.subject)
                due_ms = escalation_due(message, route, route.escalate, said_ms)
                for to in route.escalate.to:
                    self._tell(later, content, Way(to, route, "escalation", due_ms), said_ms)

    def _tell(self, message: Message, content: bytes, way: Way, said_ms: int) -> bool:
        """Plans a delivery when the message is news to the destination. Whether it was, and says that something is."""
        key = head_key(way.destination, message.subject)
        stored = self._get(key)
        head = Head(-1) if stored is None else decode_head(stored)
        if message.revision <= head.revision:
            return False
        head, withdrawn = self._without_unsent(head)
        if withdrawn is not None and way.kind == "alert" and head.told is None:
            self._changed[cooling_of(message, way)] = None  # nobody has heard what it would cool down from
        dead = self._newest_dead(head, message, way)
        if not self._is_news(message, head, way, is_withdrawn=withdrawn is not None, is_dead=dead is not None):
            self._changed[key] = encode(msgspec.structs.replace(head, revision=message.revision))
            return False
        is_deferred = way.due_ms > said_ms
        unsent = withdrawn or (None if is_deferred else self._superseded(head, way.destination)) or dead
        said = Said(content)
        if way.kind == "change" and unsent is not None:
            former = _said_of(unsent, message.subject)
            said = said if former is None else in_place_of(said, former, may_be_sent=withdrawn is None)
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
            content=said.content,
            corrects=head.first,
            created_ms=said_ms,
            begun_ms=said_ms,
            due_ms=way.due_ms,
            digest=way.digest,
            name=message.name,
            is_held=said.is_held,
        )
        place = self._defer(delivery) if is_deferred else self._send(delivery)
        new = Head(
            revision=message.revision,
            told=message.is_there,
            first=head.first or id_,
            place=place,
            told_before=head.told,
            is_acknowledged=head.is_acknowledged,
            newest=message.revision,
            newest_before=head.newest,
        )
        self._changed[key] = encode(new)
        if message.is_there and way.route.cool_down_s:
            self._changed[cooling_of(message, way)] = message.known_ms.to_bytes(8, "big")
        return message.is_there

    def _is_news(self, message: Message, head: Head, way: Way, *, is_withdrawn: bool, is_dead: bool) -> bool:
        """is_withdrawn: the newest delivery was. is_dead: the newest that was not."""
        if not message.is_there:
            # One that was to take it back and is dead has left the receiver with what it had.
            return (bool(head.told) or is_dead) and (way.route.corrections or not message.is_alert)
        if message.is_update and not head.told:
            return is_withdrawn  # the entry, which this one tells then
        if head.is_acknowledged:
            return False
        if head.told is not None or not message.is_alert or not way.route.cool_down_s or way.kind == "escalation":
            return True
        last = self._get(cooling_of(message, way))
        return last is None or message.known_ms - int.from_bytes(last, "big") >= way.route.cool_down_s * 1000

    def _without_unsent(self, head: Head) -> tuple[Head, Delivery | None]:
        """The head without its newest delivery, where that is deferred still; and it, which is withdrawn."""
        withdrawn = self._deferred(head)
        if withdrawn is None:
            return head, None
        self._close(withdrawn, head.place, "withdrawn")
        return Head(
            revision=head.revision,
            told=head.told_before,
            first=None if head.told_before is None else head.first,
            is_acknowledged=head.is_acknowledged,
            newest=head.newest_before,
        ), withdrawn

    def _deferred(self, head: Head) -> Delivery | None:
        """The newest delivery, where that is deferred still."""
        stored = self._get(head.place) if head.place.startswith(DEFERRED) else None
        return None if stored is None else decode_delivery(stored)

    def _superseded(self, head: Head, destination: str) -> Delivery | None:
        """The newest delivery, which need not be sent where the destination is behind, for another one comes in its
        place; None where there is none."""
        stored = self._get(head.place) if head.place else None
        if stored is None or self._destination(destination).waiting_count <= self._limits(destination).coalesce_above:
            return None
        superseded = decode_delivery(stored)
        self._close(superseded, head.place, "superseded")
        return superseded

    def _newest_dead(self, head: Head, message: Message, way: Way) -> Delivery | None:
        """The newest delivery, or the digest that it is part of, where that is dead."""
        key = self._saying(delivery_id(way.destination, way.kind, message.subject, head.newest))
        return self._delivery(key) if key is not None and key.startswith(CLOSED) else None

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
        """Newer changes about the same, which have not arrived either, say what the dead ones did, too: the newest, and
        as long as that may be withdrawn the one before it."""
        dead_by_key: dict[bytes, dict[str, Said]] = defaultdict(dict)
        for part in _parts(dead):
            if part.message.is_alert:
                continue
            subject = part.message.subject
            head = decode_head(self._must(head_key(dead.destination, subject)))
            newer = [head.newest] if self._deferred(head) is None else [head.newest, head.newest_before]
            for revision in newer:
                key = self._saying(delivery_id(dead.destination, "change", subject, revision))
                if key is not None and revision > part.message.revision:
                    dead_by_key[key][subject] = Said(part.content)
        for key, dead_by_subject in dead_by_key.items():
            self._say_too(key, dead_by_subject)

    def _say_too(self, key: bytes, dead_by_subject: dict[str, Said]) -> None:
        """The changes that the row of a delivery holds say what dead ones did, too."""
        delivery = self._delivery(key)
        said = [
            in_place_of(Said(part.content, delivery.is_held), dead_by_subject[part.message.subject], may_be_sent=True)
            if part.message.subject in dead_by_subject
            else Said(part.content)
            for part in _parts(delivery)
        ]
        if delivery.kind == "digest":
            changed = msgspec.structs.replace(delivery, content=list_of(each.content for each in said))
        else:
            changed = msgspec.structs.replace(delivery, content=said[0].content, is_held=said[0].is_held)
        if key.startswith(CLOSED):
            closed = decode_closed(self._must(key))
            self._changed[key] = encode(msgspec.structs.replace(closed, delivery=changed))
        else:
            self._changed[key] = encode(changed)

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
            part = msgspec.structs.replace(each, why=f"part of {id_}", part_of=id_)
            self._close(part, each.deferred_key(), "superseded")
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
                content=list_of(each.content for each in deliveries),
                corrects=None,
                created_ms=deliveries[0].created_ms,
                begun_ms=self._now_ms,
                due_ms=due_ms,
                operations=[each.operation for each in deliveries],
            )
        )

    def _retry(self, id_: str) -> None:
        closed = self._closed(id_)
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
        is_old = head is not None and not self._counts(head, delivery.revision, delivery.operation)
        if is_old or delivery.content == _NOTHING:
            newer = msgspec.structs.replace(delivery, why="a newer message about the same came since")
            self._close(newer, b"", "superseded")
            return
        again = msgspec.structs.replace(
            delivery, number=self._number(), attempts=0, why=None, begun_ms=self._now_ms, due_ms=self._now_ms
        )
        place = self._send(again)
        if head is not None and head.newest == delivery.revision:
            self._changed[key] = encode(msgspec.structs.replace(head, place=place))

    def _counts(self, head: Head, revision: int, operation: Operation) -> bool:
        """Whether what a dead delivery says is to be said still: nothing newer came, or it takes back what the receiver
        has, and the newer one was withdrawn or may be."""
        is_newest = revision == head.newest or (revision == head.newest_before and self._deferred(head) is not None)
        return head.revision <= revision or (operation == "removed" and is_newest)

    def _still_newest(self, digest: Delivery) -> Delivery:
        """A digest without what a newer message came about since."""
        parts = _parts(digest)
        heads = [decode_head(self._must(head_key(digest.destination, part.message.subject))) for part in parts]
        found = zip(parts, digest.part_operations(len(parts)), heads, strict=True)
        left = [(part.content, what) for part, what, head in found if self._counts(head, part.message.revision, what)]
        content = list_of(one for one, _ in left)
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


def subjects_of_changes(delivery: Delivery) -> frozenset[str]:
    """Of which members it tells a change: where it is dead, the next one about them tells more."""
    return frozenset(part.message.subject for part in _parts(delivery) if not part.message.is_alert)


def _group(delivery: Delivery) -> tuple[str, str, int]:
    return delivery.destination, delivery.route, delivery.due_ms


def _parts(delivery: Delivery) -> list[Part]:
    found = zip(parts_of(delivery), contents_of(delivery), strict=True)
    return [Part(message_of(part), content) for part, content in found]


def _said_of(delivery: Delivery, subject: str) -> Said | None:
    """What it says of a subject; None where a digest that was tried anew says that no more."""
    found = (Said(each.content, delivery.is_held) for each in _parts(delivery) if each.message.subject == subject)
    return next(found, None)
