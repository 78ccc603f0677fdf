"""Reading topics from outside the application: from the beginning to the ends seen at the start, and on if asked.

Nothing here joins a group or commits an offset: a reader leaves no trace.
"""

from collections.abc import Iterable, Iterator

import msgspec
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, KafkaTimeoutError

from agents.settings import Settings
from state.definition_set import DefinitionSet, definition_set_of
from streams.admin import CONNECT_MS
from streams.errors import UnavailableError
from streams.topics import topic_name

POLL_MS = 250


class ReadRecord(msgspec.Struct, frozen=True, gc=False):
    """One record: its place, the broker's append time in milliseconds, key and value."""

    partition: int
    offset: int
    append_time: int
    key: bytes
    value: bytes | None


def read_topic(bootstrap: str, topic: str, partitions: Iterable[int] | None = None) -> Iterator[ReadRecord]:
    """The records of a topic (or of some partitions) up to the ends seen at the start; per partition in order.

    Raises UnavailableError when the topic or the broker is not there.
    """
    for records in follow_topic(bootstrap, topic, partitions):
        if not records:
            return
        yield from records


def follow_topic(bootstrap: str, topic: str, partitions: Iterable[int] | None = None) -> Iterator[list[ReadRecord]]:
    """The records in lists as they come, each of one partition; for ever.

    An empty list says that the ends seen at the start are reached, and then, that nothing came for a moment.
    Raises UnavailableError when the topic or the broker is not there.
    """
    try:
        consumer = KafkaConsumer(
            bootstrap_servers=bootstrap.split(","),
            bootstrap_timeout_ms=CONNECT_MS,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
    except (KafkaTimeoutError, OSError) as error:
        raise UnavailableError(
            f"no Kafka answers at {bootstrap} ({error}); start it, name another one with --bootstrap-servers HOST:PORT,"
            f" or leave the option out to use the embedded one"
        ) from error
    try:
        yield from _follow(consumer, bootstrap, topic, partitions)
    except KafkaError as error:
        raise UnavailableError(f"{topic} at {bootstrap} can not be read: {error}") from error
    finally:
        consumer.close()


def _follow(
    consumer: KafkaConsumer, bootstrap: str, topic: str, partitions: Iterable[int] | None
) -> Iterator[list[ReadRecord]]:
    found = consumer.partitions_for_topic(topic)
    if not found:
        raise UnavailableError(f"there is no topic {topic} at {bootstrap}; `milepost topics create` makes it")
    places = [TopicPartition(topic, partition) for partition in sorted(found if partitions is None else partitions)]
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    ends = consumer.end_offsets(places)
    behind = set(places)
    while behind:
        yield from _fetched(consumer)
        behind = {place for place in behind if consumer.position(place) < ends[place]}
    yield []
    while True:
        lists = list(_fetched(consumer))
        yield from lists or [[]]


def _fetched(consumer: KafkaConsumer) -> Iterator[list[ReadRecord]]:
    for place, records in consumer.poll(POLL_MS).items():
        yield [ReadRecord(place.partition, each.offset, each.timestamp, each.key, each.value) for each in records]


def read_definitions(bootstrap: str, settings: Settings) -> DefinitionSet:
    """The definitions in force. Raises UnavailableError without the topic, MismatchError for unreadable ones."""
    newest: dict[str, bytes] = {}
    for record in read_topic(bootstrap, topic_name("definitions", settings.prefix, settings.generation)):
        name = record.key.decode()
        if record.value is None:
            newest.pop(name, None)
        else:
            newest[name] = record.value
    return definition_set_of(newest)
