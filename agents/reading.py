"""Reads topics from their start to the end they have now: what commands need of Kafka's content."""

from collections.abc import Iterator, Mapping
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from agents.settings import Settings
from state.definition_set import DefinitionSet, definition_set_of
from streams.errors import UnavailableError
from streams.topics import topic_name

_FETCH_BYTES_MAX = 16 * 2**20
_SILENCE_S_MAX = 30.0


def read_topic(
    bootstrap: str, topic: str, *, ends: Mapping[int, int] | None = None, partitions: set[int] | None = None
) -> Iterator[Any]:
    """The records (kafka-python's) of a topic, partition by partition mixed, up to `ends` or to where they end now.

    ends: the offset behind the last record wanted, per partition; partitions that it lacks are not read.
    Raises UnavailableError for a topic that is not there or a broker that falls silent.
    """
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=_FETCH_BYTES_MAX,
        fetch_max_bytes=4 * _FETCH_BYTES_MAX,
        max_poll_records=50_000,
    )
    try:
        known = consumer.partitions_for_topic(topic)
        if not known:
            raise UnavailableError(f"there is no topic {topic}; make the topics with `milepost topics create`")
        wanted = [TopicPartition(topic, p) for p in sorted(known) if partitions is None or p in partitions]
        until = consumer.end_offsets(wanted) if ends is None else {TopicPartition(topic, p): e for p, e in ends.items()}
        starts = consumer.beginning_offsets(wanted)
        open_ = {tp for tp in wanted if until.get(tp, 0) > starts[tp]}
        consumer.assign(sorted(open_))
        for tp in open_:
            consumer.seek(tp, starts[tp])
        yield from _records(consumer, open_, until)
    finally:
        consumer.close()


def _records(consumer: Any, open_: set[Any], until: Mapping[Any, int]) -> Iterator[Any]:
    while open_:
        fetched = consumer.poll(timeout_ms=int(_SILENCE_S_MAX * 1000))
        if not fetched:
            places = ", ".join(f"{tp.topic}[{tp.partition}] at {consumer.position(tp)} of {until[tp]}" for tp in open_)
            raise UnavailableError(f"the broker sent nothing for {_SILENCE_S_MAX:.0f} s: {places}")
        for tp, records in fetched.items():
            yield from (record for record in records if record.offset < until[tp])
        # The position also passes what compaction removed and control records.
        done = {tp for tp in open_ if consumer.position(tp) >= until[tp]}
        if done:
            open_ -= done
            consumer.pause(*done)


def read_definitions(bootstrap: str, settings: Settings) -> DefinitionSet:
    """The definition set in force: the newest record of each name."""
    topic = topic_name("definitions", settings.prefix, settings.generation)
    values: dict[str, bytes] = {}
    for record in read_topic(bootstrap, topic):
        name = record.key.decode()
        if record.value is None:
            values.pop(name, None)
        else:
            values[name] = record.value
    return definition_set_of(values)
