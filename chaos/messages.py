"""What must hold of alerts, of changes of audiences, and of their deliveries. Each function gives what it found wrong.

Read from the topics and from what a receiver was sent, with no code of the agents that made them.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from agents.ordering import delivery_states
from agents.reading import read_topic
from agents.settings import Settings
from streams.alert import decode_alert
from streams.membership import decode_change
from streams.protocol_rows import PROTOCOL_PREFIX
from streams.topics import topic_name
from tests.agents.delivery.receiver import Received

_SHOWN = 5


class Message(NamedTuple):
    """One record. subject: what revisions are counted of. lane: by what order is kept. is_there: asserted or
    entered."""

    subject: str
    revision: int
    lane: tuple[str, ...]
    is_there: bool
    content: bytes

    @property
    def name(self) -> tuple[str, int]:
        """Which message it is, however often it stands there."""
        return self.subject, self.revision


def read_alerts(bootstrap: str, settings: Settings) -> list[Message]:
    """All that stand on the topic, repeats too, per account in their order."""
    found = []
    for content in _contents(bootstrap, settings, "milestones"):
        alert = decode_alert(content)
        lane = ("milestone", alert.who.account, alert.who.kind, alert.who.id or "")
        found.append(Message(alert.id, alert.revision, lane, alert.state == "asserted", content))
    return found


def read_changes(bootstrap: str, settings: Settings) -> list[Message]:
    """The same for changes of audiences."""
    found = []
    for content in _contents(bootstrap, settings, "audience-changes"):
        change = decode_change(content)
        lane = ("audience", change.account, change.kind, change.container or "")
        subject = "\0".join((change.audience, *lane))
        found.append(Message(subject, change.revision, lane, change.change != "exited", content))
    return found


def _contents(bootstrap: str, settings: Settings, name: str) -> Iterator[bytes]:
    for record in read_topic(bootstrap, topic_name(name, settings.prefix, settings.generation)):
        if not record.key.startswith(PROTOCOL_PREFIX):
            assert record.value is not None, f"{name} {record.partition}/{record.offset} deletes {record.key!r}"
            yield record.value


def message_findings(bootstrap: str, settings: Settings, *, is_compacted: bool) -> Iterator[str]:
    """Revisions rise without a hole, what stands there twice is the same, and members are whom the changes say."""
    yield from _revisions(read_alerts(bootstrap, settings), "alert", may_lack=is_compacted)
    changes = read_changes(bootstrap, settings)
    yield from _revisions(changes, "change", may_lack=False)
    wanted = {name: message.content for name, message in _newest(changes).items() if message.is_there}
    members = {}
    for record in read_topic(bootstrap, topic_name("audience-members", settings.prefix, settings.generation)):
        if record.key.startswith(PROTOCOL_PREFIX):
            continue
        audience, *container = record.key.decode().split("\0")
        members["\0".join((audience, "audience", container[1], container[0], container[2]))] = record.value
    held = {name: value for name, value in members.items() if value is not None}
    wrong = [name for name in {*wanted, *held} if wanted.get(name) != held.get(name)]
    if wrong:
        yield f"{len(wrong)} members are not what their changes say, e.g. {sorted(wrong)[:_SHOWN]}"


def _newest(messages: Iterable[Message]) -> dict[str, Message]:
    found: dict[str, Message] = {}
    for message in messages:
        before = found.get(message.subject)
        if before is None or message.revision > before.revision:
            found[message.subject] = message
    return found


def _revisions(messages: Sequence[Message], what: str, *, may_lack: bool) -> Iterator[str]:
    """may_lack: whether former revisions may be compacted away."""
    first: dict[tuple[str, int], Message] = {}
    newest: dict[str, int] = {}
    for message in messages:
        known = newest.get(message.subject, 0)
        if message.revision == known + 1 or (may_lack and message.revision > known):
            newest[message.subject] = message.revision
        elif message.revision != known:
            yield f"{what} {message.subject!r}: revision {message.revision} stands behind {known}"
        if first.setdefault(message.name, message) != message:
            yield f"{what} {message.subject!r}: revision {message.revision} stands there with two contents"


def undelivered(told: Sequence[Message], received: Sequence[Received]) -> list[Message]:
    """What the receiver has not accepted yet, each once. What takes back something that was never told need not come:
    compaction may have taken that away before it was read."""
    accepted = {_name_of(each) for each in received}
    known: set[str] = {subject for subject, _ in accepted}
    missing = {}
    for message in told:
        if message.name not in accepted and (message.is_there or message.subject in known):
            missing[message.name] = message
        known.add(message.subject)
    return list(missing.values())


def is_settled(bootstrap: str, settings: Settings) -> bool:
    """Whether no delivery waits for anything."""
    return all(each.state == "delivered" for each in delivery_states(bootstrap, settings))


def delivery_findings(
    bootstrap: str, settings: Settings, told: Sequence[Message], received: Sequence[Received]
) -> Iterator[str]:
    """told: what stood on the topics when all was quiet. Each was accepted, under one id, in the order of its
    container; nothing else came, and nothing is dead."""
    if missing := undelivered(told, received):
        yield f"{len(missing)} messages were not delivered, e.g. {[each.name for each in missing[:_SHOWN]]}"
    ids: dict[tuple[str, int], set[str]] = defaultdict(set)
    order: dict[str, list[int]] = defaultdict(list)
    for each in received:
        subject, revision = _name_of(each)
        if each.id not in ids[subject, revision]:
            order[subject].append(revision)
        ids[subject, revision].add(each.id)
    if wrong := [(name, sorted(found)) for name, found in ids.items() if len(found) > 1]:
        yield f"{len(wrong)} messages came under several ids, e.g. {wrong[:_SHOWN]}"
    if back := [(subject, revisions) for subject, revisions in order.items() if revisions != sorted(revisions)]:
        yield f"{len(back)} were told an older revision behind a newer one, e.g. {back[:_SHOWN]}"
    yield from _order_in_lanes(told, received)
    statuses = list(delivery_states(bootstrap, settings))
    if open_ := [each for each in statuses if each.state != "delivered"]:
        yield f"{len(open_)} deliveries are not done, e.g. {open_[:_SHOWN]}"


def _order_in_lanes(told: Sequence[Message], received: Sequence[Received]) -> Iterator[str]:
    """Per container what came first came in the order of the topic."""
    first = {_name_of(each): None for each in received}
    wanted, found = defaultdict(list), defaultdict(list)
    lane_of = {}
    for message in told:
        if message.name in first and message.name not in lane_of:
            lane_of[message.name] = message.lane
            wanted[message.lane].append(message.name)
    for name in first:
        if name in lane_of:
            found[lane_of[name]].append(name)
    if wrong := [(lane, found[lane]) for lane, names in wanted.items() if found[lane] != names]:
        yield f"{len(wrong)} containers were told in another order than that of the topic, e.g. {wrong[:_SHOWN]}"


def _name_of(received: Received) -> tuple[str, int]:
    data = received.message["data"]
    if "audience" not in data:
        return data["id"], data["revision"]
    container = data["account"], data["kind"], data["container"] or ""
    return "\0".join((data["audience"], "audience", *container)), data["revision"]
