"""Records as consumers give them say what aiokafka's own would."""

from collections.abc import Iterator

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from streams.consumed import ConsumedRecord, lighten_records

PLACE = TopicPartition("topic", 3)


@pytest.fixture
def _as_it_was() -> Iterator[None]:
    stock = PartitionRecords._consumer_record
    yield
    PartitionRecords._consumer_record = stock


def parsed() -> PartitionRecords:
    """Two batches, the first behind the wanted offset; with headers, and without key or value."""
    packed = b""
    for base in (0, 3):
        builder = DefaultRecordBatchBuilder(2, DefaultRecordBatch.CODEC_ZSTD, 0, -1, -1, 0, 1 << 20)
        builder.append(0, 5, b"k", b"v", [("h", b"1"), ("h", None)])
        builder.append(1, 6, None, b"w", [])
        builder.append(2, 7, b"l", None, [])
        batch = builder.build()
        batch[:8] = base.to_bytes(8, "big")
        packed += bytes(batch)
    return PartitionRecords(PLACE, MemoryRecords(packed), [], 1, None, None, True, 0)


@pytest.mark.usefixtures("_as_it_was")
def test_they_say_what_stock_ones_say() -> None:
    stock = list(parsed())
    lighten_records()
    light = list(parsed())
    assert [record.offset for record in light] == [1, 2, 3, 4, 5]
    for one, other in zip(light, stock, strict=True):
        assert type(one) is ConsumedRecord
        for field in ("topic", "partition", "offset", "timestamp", "key", "value"):
            assert getattr(one, field) == getattr(other, field)
        assert tuple(one.headers) == other.headers
