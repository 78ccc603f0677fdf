"""What stands on the topics of audiences."""

from collections.abc import Iterator

import msgspec

from agents.reading import read_topic
from agents.settings import Settings
from check.audiences import Who
from streams.membership import MembershipChange, decode_change
from streams.protocol_rows import PROTOCOL_PREFIX
from streams.topics import topic_name


class Counts(msgspec.Struct):
    """Of an audience: who is in, how many entries and exits were told."""

    size: int = 0
    entered: int = 0
    exited: int = 0


def read_counts(bootstrap: str, settings: Settings) -> dict[str, Counts]:
    """By audience. What is on the topic more than once, for a worker that crashed, counts once."""
    newest: dict[tuple[int, bytes], int] = {}
    found: dict[str, Counts] = {}
    topic = topic_name("audience-changes", settings.prefix, settings.generation)
    for record in read_topic(bootstrap, topic):
        if record.value is None or record.key.startswith(PROTOCOL_PREFIX):
            continue
        change, place = decode_change(record.value), (record.partition, record.key)
        if change.revision <= newest.get(place, 0):
            continue
        newest[place] = change.revision
        counts = found.setdefault(change.audience, Counts())
        if change.change == "entered":
            counts.entered += 1
        elif change.change == "exited":
            counts.exited += 1
    for counts in found.values():
        counts.size = counts.entered - counts.exited
    return found


def read_members(bootstrap: str, settings: Settings, audience: str) -> dict[tuple[int, bytes], MembershipChange]:
    """Who is in an audience now, by partition and key: what was told last of each."""
    return _held(bootstrap, settings, audience.encode() + b"\0")


def read_all_members(bootstrap: str, settings: Settings) -> dict[str, dict[Who, MembershipChange]]:
    """By audience who is in now, and what was told last of each."""
    members: dict[str, dict[Who, MembershipChange]] = {}
    for (partition, _), change in _held(bootstrap, settings, b"").items():
        members.setdefault(change.audience, {})[Who(partition, change.account, change.container)] = change
    return members


def _held(bootstrap: str, settings: Settings, prefix: bytes) -> dict[tuple[int, bytes], MembershipChange]:
    """What `audience-members` holds, by partition and key, of the keys with a prefix."""
    found: dict[tuple[int, bytes], MembershipChange] = {}
    for record in read_topic(bootstrap, topic_name("audience-members", settings.prefix, settings.generation)):
        if record.key.startswith(PROTOCOL_PREFIX) or not record.key.startswith(prefix):
            continue
        place = record.partition, record.key
        if record.value is None:
            found.pop(place, None)
        else:
            found[place] = decode_change(record.value)
    return found


def in_order(members: dict[tuple[int, bytes], MembershipChange]) -> Iterator[MembershipChange]:
    """By account and container."""
    yield from sorted(members.values(), key=lambda each: (each.account, each.kind, each.container or ""))
