"""Records as outside readers get them say what kafka-python's own would."""

from typing import Any

import pytest
from kafka import TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.record import MemoryRecords

from agents.read_record import ReadRecord, read_quickly
from tests.record_batches import HEADER_BYTES, batch, checked, marker, packed

PLACE = TopicPartition("topic", 3)


class Consumer:
    """As much of a consumer as is changed, so that a fetch can be given to it."""

    def __init__(self) -> None:
        self._fetcher = Fetcher.__new__(Fetcher)

    def answer(self, content: bytes, begin: int) -> Any:
        return self._fetcher.PartitionRecords(begin, PLACE, MemoryRecords(content))


def answers(content: bytes, begin: int = 1) -> tuple[Any, Any]:
    """One fetch, as kafka-python and as we read it."""
    stock, quick = Consumer(), Consumer()
    read_quickly(quick)  # type: ignore[arg-type]
    return stock.answer(content, begin), quick.answer(content, begin)


@pytest.mark.parametrize("count", [1, 2, 5, 6, None])
@pytest.mark.parametrize("begin", [0, 1, 4])
def test_they_say_what_stock_ones_say(begin: int, count: int | None) -> None:
    """From an offset within a batch too, in pieces of every size, and behind the marker of a transaction."""
    stock, quick = answers(packed(), begin)
    while stock:
        expected, found = stock.take(count), quick.take(count)
        assert found == [
            ReadRecord(PLACE.partition, each.offset, each.timestamp, each.key, each.value, list(each.headers))
            for each in expected
        ]
    assert not quick
    assert quick.next_fetch_offset == stock.next_fetch_offset == 7
    assert quick.bytes_read > 0


def test_what_lies_behind_a_marker_is_read() -> None:
    for answer in answers(marker(1) + batch(2, [(b"k", b"v", [])])):
        assert [each.offset for each in answer.take()] == [2]


def test_what_is_damaged_is_an_error() -> None:
    """What lies before it is read."""
    damaged = bytearray(packed())
    damaged[-1] ^= 1
    for answer in answers(bytes(damaged)):
        assert [each.offset for each in answer.take()] == [1, 2, 3, 4, 5]
        with pytest.raises(CorruptRecordError):
            answer.take()


def test_what_can_not_be_parsed_is_an_error() -> None:
    """A record that says that it is longer than its batch, whose checksum is right."""
    content = bytearray(batch(0, [(b"k", b"v", [])]))
    content[HEADER_BYTES] = 0x7E
    _, quick = answers(checked(content), 0)
    with pytest.raises(CorruptRecordError, match=r"what TopicPartition.* holds at 0 can not be read"):
        quick.take()
