"""Reading topics from outside the application: from the beginning to the ends seen at the start, and on if asked.

Nothing here joins a group or commits an offset: a reader leaves no trace.
"""

import math
import time
from collections.abc import Iterable, Iterator

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, KafkaTimeoutError

from agents.read_record import ReadRecord, read_quickly
from agents.settings import Settings
from state.definition_set import DefinitionSet, definition_set_of
from streams.admin import CONNECT_MS
from streams.bootstrap import client_options, unreachable
from streams.errors import UnavailableError
from streams.protocol_rows import FENCE_KEY
from streams.topics import topic_name

POLL_MS = 250
POLL_RECORDS = 10_000


def read_topic(
    bootstrap: str,
    topic: str,
    partitions: Iterable[int] | None = None,
    *,
    start: int | None = None,
    patience_s: float = math.inf,
) -> Iterator[ReadRecord]:
    """The records of a topic (or of some partitions) up to the ends seen at the start; per partition in order.

    start: the offset to begin at, or the first that is left behind it; without it at the first of all. Raises
    UnavailableError when the topic or the broker is not there, or when nothing comes for `patience_s`.
    """
    for records in follow_topic(bootstrap, topic, partitions, start=start, patience_s=patience_s):
        if not records:
            return
        yield from records


def follow_topic(
    bootstrap: str,
    topic: str,
    partitions: Iterable[int] | None = None,
    *,
    start: int | None = None,
    patience_s: float = math.inf,
) -> Iterator[list[ReadRecord]]:
    """The records in lists as they come, each of one partition; for ever.

    An empty list says that the ends seen at the start are reached, and then, that nothing came for a moment. `start`,
    `patience_s` up to these ends, and errors as of `read_topic`.
    """
    try:
        consumer = KafkaConsumer(
            **client_options(bootstrap),
            bootstrap_timeout_ms=CONNECT_MS,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=POLL_RECORDS,
        )
        read_quickly(consumer)
    except (KafkaTimeoutError, OSError) as error:
        raise unreachable(bootstrap, error) from error
    try:
        yield from _follow(consumer, bootstrap, topic, partitions, start, patience_s)
    except KafkaError as error:
        raise UnavailableError(f"{topic} at {bootstrap} can not be read: {error}") from error
    finally:
        consumer.close()


def _follow(
    consumer: KafkaConsumer,
    bootstrap: str,
    topic: str,
    partitions: Iterable[int] | None,
    start: int | None,
    patience_s: float,
) -> Iterator[list[ReadRecord]]:
    found = consumer.partitions_for_topic(topic)
    if not found:
        raise UnavailableError(f"there is no topic {topic} at {bootstrap}; `milepost topics create` makes it")
    places = [TopicPartition(topic, partition) for partition in sorted(found if partitions is None else partitions)]
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    if start is not None:
        for place in places:
            consumer.seek(place, start)
    ends = consumer.end_offsets(places)
    behind, came_at = set(places), time.monotonic()
    later: list[list[ReadRecord]] = []  # fetched along with the last that were asked for
    while behind:
        for records in consumer.poll(POLL_MS).values():
            came_at, end = time.monotonic(), ends[TopicPartition(topic, records[0].partition)]
            within = [record for record in records if record.offset < end] if records[-1].offset >= end else records
            if within:
                yield within
            if len(within) < len(records):
                later.append(records[len(within) :])
        behind = {place for place in behind if consumer.position(place) < ends[place]}
        if behind and time.monotonic() - came_at > patience_s:
            raise UnavailableError(f"{topic} can not be read: nothing came within {patience_s:g} s")
    yield []
    yield from later
    while True:
        lists = list(consumer.poll(POLL_MS).values())
        yield from lists or [[]]


class Definitions:
    """The records of the definitions topic, in their order."""

    def __init__(self) -> None:
        self.newest: dict[str, bytes] = {}
        self.end = 0

    def apply(self, record: ReadRecord) -> None:
        """Takes the next record."""
        self.end = record.offset + 1
        if record.key == FENCE_KEY:
            return
        if record.value is None:
            self.newest.pop(record.key.decode(), None)
        else:
            self.newest[record.key.decode()] = record.value

    def in_force(self) -> DefinitionSet:
        """What they say. Raises MismatchError for what can not be read."""
        return definition_set_of(self.newest)


def read_definition_records(bootstrap: str, settings: Settings) -> Definitions:
    """The records up to now. Raises UnavailableError without the topic."""
    found = Definitions()
    for record in read_topic(bootstrap, topic_name("definitions", settings.prefix, settings.generation)):
        found.apply(record)
    return found


def read_definitions(bootstrap: str, settings: Settings) -> DefinitionSet:
    """The definitions in force. Raises UnavailableError without the topic, MismatchError for unreadable ones."""
    return read_definition_records(bootstrap, settings).in_force()
