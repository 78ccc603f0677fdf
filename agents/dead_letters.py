"""What was not taken: reading dead letters, sending them again, and setting a record aside that stops a partition."""

from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import blake2b

import msgspec

from agents.read_record import ReadRecord
from agents.reading import read_topic
from agents.sending import Outgoing, send_all
from agents.settings import Settings
from streams.admin import end_offsets, topic_ids
from streams.errors import UnavailableError, UsageError
from streams.event import EVENT_BYTES_MAX
from streams.event_parsing import DETAIL_CHARACTERS_MAX
from streams.ingest import letter_headers
from streams.poison import SetAside, encode_set_aside, record_id
from streams.protocol_rows import COMMIT_KEY, Poison, decode_commit
from streams.shown import shown
from streams.topics import SOURCE_BATCH_BYTES_MAX, topic_name

SENT_BYTES_MAX = SOURCE_BATCH_BYTES_MAX - 1_024
PATIENCE_S = 10.0
SET_ASIDE = "set-aside"
"""The reason of dead letters that a person made."""
FOREIGN = "foreign"
"""That of records which are no dead letters of ours; they can not be sent again."""
_DIGITS_MAX = 19
_KEPT_TOPICS = ("crm-events", "web-events", "touchpoints")
"""Where a dead letter may be sent again."""
_CHANGELOG_BY_INPUT = {"touchpoints": "accounts-changelog"} | dict.fromkeys(
    ("milestones", "audience-changes", "delivery-orders"), "deliver-changelog"
)
"""Whose computation reads it."""
_LOOKED_BACK = 1_000


class Letter(msgspec.Struct, frozen=True):
    """One dead letter: why, in a word and in full; where the record stood; its key and its bytes.

    Its texts are bounded, and a terminal may show them.
    """

    id: bytes
    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


def letters(bootstrap: str, settings: Settings, reason: str | None = None) -> Iterator[Letter]:
    """The dead letters of a reason, or all; each once, however often it was written.

    Raises UnavailableError when the topic is not there.
    """
    seen: set[bytes] = set()
    topic = _name("dead-letters", settings)
    for record in read_topic(bootstrap, topic, patience_s=PATIENCE_S):
        letter = letter_of(record.key, record.value, record.headers)
        if letter.id in seen or (reason is not None and letter.reason != reason):
            continue
        seen.add(letter.id)
        yield letter


def letter_of(key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]]) -> Letter:
    """The letter that a record of `dead-letters` is; one of the reason `foreign` when nothing of ours wrote it."""
    said = dict(headers)
    try:
        reason, detail, topic = (_text(said[name]) for name in ("reason", "detail", "topic"))
        partition, offset = (_place(said[name]) for name in ("partition", "offset"))
    except (KeyError, ValueError):
        return Letter(key or b"", FOREIGN, "its headers are not those of a dead letter", "", -1, -1, key, value)
    return Letter(key or b"", reason, detail, topic, partition, offset, said.get("key"), value)


def _text(header: bytes | None) -> str:
    return shown((header or b"").decode(errors="replace"), DETAIL_CHARACTERS_MAX)


def _place(header: bytes | None) -> int:
    if header is None or len(header) > _DIGITS_MAX or not header.isdigit():
        raise ValueError(f"{header!r} is no partition or offset")
    return int(header)


def send_again(bootstrap: str, settings: Settings, found: Iterator[Letter]) -> dict[str, int]:
    """Sends letters to the topics that they came from, those that say the same once; gives how many, by topic.

    What was wrong with them must have been mended in milepost or its definitions, for they go as they came. Raises
    UsageError for a letter of another prefix; when all others are sent, for those that can not be: of too many bytes,
    or without a copy here. UnavailableError when Kafka does not take them.
    """
    allowed = {_name(topic, settings) for topic in _KEPT_TOPICS}
    counts: Counter[str] = Counter()
    seen: set[bytes] = set()
    left: list[str] = []

    def checked() -> Iterator[Outgoing]:
        for letter in found:
            if letter.topic not in allowed:
                raise UsageError(f"a dead letter came from {letter.topic!r}, which is no source of this prefix")
            if (why := _unsendable(letter)) is not None:
                left.append(f"{letter.topic}/{letter.partition} offset {letter.offset} {why}")
                continue
            # What was sent again before and is still wrong is a letter of its own by now.
            content = blake2b(repr((letter.topic, letter.key, letter.value)).encode(), digest_size=16).digest()
            if content not in seen:
                seen.add(content)
                counts[letter.topic] += 1
                yield Outgoing(letter.topic, letter.key, letter.value)

    send_all(bootstrap, checked())
    if left:
        sent = ", ".join(f"{count:,} to {topic}" for topic, count in counts.items()) or "nothing else"
        more = f", and so {len(left) - 1:,} more" if len(left) > 1 else ""
        raise UsageError(f"the dead letter of {left[0]}{more}. Sent again: {sent}")
    return counts


def _unsendable(letter: Letter) -> str | None:
    """Why a letter can not be sent again; None where it can."""
    if letter.value is None:
        return "holds no value and can not be sent again; if its topic has it, send it from where it was made"
    if (size := len(letter.key or b"") + len(letter.value)) > SENT_BYTES_MAX:
        return (
            f"has {size} bytes with its key and can not be sent again: an event has at most {EVENT_BYTES_MAX}; send"
            " what it says as smaller events from where it was made"
        )
    return None


def set_aside(
    bootstrap: str, settings: Settings, topic: str, partition: int, offset: int, why: str, at_ms: int
) -> None:
    """Has a partition of the accounts or the deliver agent go on without the record that it stands at, which becomes a
    dead letter.

    Raises UsageError when no computation fails on that record: what is counted can not be set aside.
    """
    failing = _failing_at(bootstrap, settings, topic, partition)
    if failing is None or (failing.topic, failing.offset) != (topic, offset):
        stands = "no record" if failing is None else f"{failing.topic} offset {failing.offset}"
        raise UsageError(
            f"no computation fails on {topic}/{partition} offset {offset}; partition {partition} stands at {stands}."
            " Only a record on which one fails can be set aside"
        )
    id_ = record_id(topic_ids(bootstrap, [topic])[topic], partition, offset)
    record = _fetch(bootstrap, topic, partition, offset)
    headers = letter_headers(SET_ASIDE, why, (topic, partition, offset), record.key)
    # The letter first: nothing is passed over that is not kept.
    send_all(bootstrap, [Outgoing(_name("dead-letters", settings), id_, record.value, partition, headers)])
    send_all(bootstrap, [Outgoing(_name("set-aside", settings), id_, encode_set_aside(SetAside(at_ms, why)))])


def set_aside_offsets(bootstrap: str, settings: Settings, topic: str) -> set[tuple[int, int]]:
    """(partition, offset) of the records of a topic that were set aside in this generation."""
    prefix = topic_ids(bootstrap, [topic])[topic].encode() + b":"
    found: dict[bytes, bool] = {}
    for record in read_topic(bootstrap, _name("set-aside", settings)):
        found[record.key] = record.value is not None
    places = [key.removeprefix(prefix).split(b":") for key, holds in found.items() if holds and key.startswith(prefix)]
    return {(int(partition), int(offset)) for partition, offset in places}


def _failing_at(bootstrap: str, settings: Settings, topic: str, partition: int) -> Poison | None:
    """The record at which the partition that reads the topic stands, as its last commit says."""
    changelogs = {_name(name, settings): _name(each, settings) for name, each in _CHANGELOG_BY_INPUT.items()}
    if topic not in changelogs:
        raise UsageError(f"{topic} is read by no computation that a record can stop; {', '.join(changelogs)} are")
    end = end_offsets(bootstrap, changelogs[topic]).get(partition)
    if end is None:
        raise UsageError(f"{topic} has no partition {partition}")
    start, back = end, _LOOKED_BACK
    while start:
        start, back = max(0, end - back), back * 10
        records = read_topic(bootstrap, changelogs[topic], [partition], start=start, patience_s=PATIENCE_S)
        rows = [each.value for each in records if each.key == COMMIT_KEY and each.value is not None]
        if rows:
            return decode_commit(rows[-1]).poison
    return None


def _fetch(bootstrap: str, topic: str, partition: int, offset: int) -> ReadRecord:
    for record in read_topic(bootstrap, topic, [partition], start=offset, patience_s=PATIENCE_S):
        if record.offset == offset:
            return record
        break  # it expired, and this is the first that is left
    raise UnavailableError(f"{topic}/{partition} offset {offset} can not be read any more")


def _name(topic: str, settings: Settings) -> str:
    return topic_name(topic, settings.prefix, settings.generation)
