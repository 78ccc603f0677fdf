"""Records as readers outside of the application get them: fetched by kafka-python, parsed by aiokafka.

kafka-python parses in Python, which takes 21 µs a record of 200 bytes, and aiokafka in C, which takes 1. Fetching,
retrying and finding the leader stay kafka-python's, whose private names `tests/agents/test_read_record.py` pins.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from aiokafka.errors import KafkaError
from aiokafka.record.memory_records import MemoryRecords
from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError


class ReadRecord(msgspec.Struct, frozen=True, gc=False):
    """One record: its place, the broker's append time in milliseconds, key, value and headers."""

    partition: int
    offset: int
    append_time: int
    key: bytes
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


def read_quickly(consumer: KafkaConsumer) -> None:
    """Has this consumer, which deserialises nothing and reads uncommitted transactions too, give ReadRecords."""
    consumer._fetcher.PartitionRecords = _PartitionRecords


class _PartitionRecords(Fetcher.PartitionRecords):  # type: ignore[misc]  # kafka-python has no types
    def _unpack_records(self, place: TopicPartition, records: Any, *_deserializers: None) -> Iterator[ReadRecord]:
        partition, content = place.partition, records._buffer
        try:
            batches = MemoryRecords(content)
            while batches.has_next():
                batch = batches.next_batch()
                if not batch.validate_crc():
                    raise CorruptRecordError(f"the batch at {batch.base_offset} of {place} is not what was written")
                if not batch.is_control_batch:
                    for each in batch:
                        self.next_fetch_offset = each.offset + 1
                        yield ReadRecord(partition, each.offset, each.timestamp, each.key, each.value, each.headers)
                # Also of a batch whose last records compaction took.
                self.next_fetch_offset = batch.next_offset
        except (KafkaError, UnicodeDecodeError) as error:  # the latter of a header's name
            raise CorruptRecordError(
                f"what {place} holds at {self.next_fetch_offset} can not be read: {error}"
            ) from error
        self.bytes_read = len(content)  # whoever gave something is asked last the next time
        self.drain()
