"""Records as consumers give them say what aiokafka's own would."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import READ_COMMITTED, READ_UNCOMMITTED, FetchResult, PartitionRecords
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import CorruptRecordException

from streams.consumed import ConsumedRecord, lighten_records
from streams.unpacking import bound_unpacking
from tests.record_batches import Records, batch, checked, marker, packed, zipped

PLACE = TopicPartition("topic", 3)


@pytest.fixture
def _as_it_was() -> Iterator[None]:
    unpack, getall, records = PartitionRecords._unpack_records, FetchResult.getall, fetcher.MemoryRecords
    yield
    PartitionRecords._unpack_records, FetchResult.getall, fetcher.MemoryRecords = unpack, getall, records


def parsed(content: bytes | None = None, isolation: int = READ_UNCOMMITTED) -> PartitionRecords:
    """The first record lies before the wanted offset."""
    records = fetcher.MemoryRecords(packed() if content is None else content)
    return PartitionRecords(PLACE, records, [], 1, None, None, True, isolation)


async def result_at(position: int) -> tuple[FetchResult, Any]:
    """An answer that begins at 1, to a consumer that stands at a position; and what says where it stands."""
    subscription = SubscriptionState()
    subscription.assign_from_user([PLACE])
    assignment = subscription.subscription.assignment
    state = assignment.state_value(PLACE)
    state.reset_to(position)
    return FetchResult(PLACE, assignment=assignment, partition_records=parsed(), backoff=0.0), state


def pages(max_records: int | None) -> list[tuple[list[Any], int]]:
    """What calls for so many give, with the consumer's position behind each, until there is no more."""
    result, state = asyncio.run(result_at(1))
    found: list[tuple[list[Any], int]] = []
    while result.has_more():
        records = [(each.offset, each.key, each.value) for each in result.getall(max_records)]
        found.append((records, state.position))
    return found


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


@pytest.mark.usefixtures("_as_it_was")
@pytest.mark.parametrize("max_records", [None, 1, 2, 3, 5, 6])
def test_calls_for_some_give_what_stock_gives(max_records: int | None) -> None:
    stock = pages(max_records)
    lighten_records()
    assert pages(max_records) == stock
    assert stock[-1][1] == 7


@pytest.mark.usefixtures("_as_it_was")
def test_a_partition_that_was_sought_gives_nothing() -> None:
    lighten_records()
    result, _ = asyncio.run(result_at(2))
    assert result.getall() == []
    assert not result.has_more()


@pytest.mark.usefixtures("_as_it_was")
def test_of_an_answer_no_more_is_unpacked_than_a_worker_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many batches may each be within the bound; what lies behind is fetched again, and nothing is left out."""
    monkeypatch.setattr("streams.consumed.UNPACKED_BYTES_MAX", 10)
    bound_unpacking()
    lighten_records()
    records = parsed()
    assert [each.offset for each in records] == [1, 2]
    assert records.next_fetch_offset == 3


@pytest.mark.usefixtures("_as_it_was")
@pytest.mark.parametrize("form", [bytes, zipped])
def test_a_header_whose_name_is_no_text_keeps_nothing_back(form: Callable[[bytes], bytes]) -> None:
    """Some clients send bytes. Each record is given once, and so are those of the batches around it."""
    lighten_records()
    rows: Records = [(b"k", b"v", []), (b"key", b"value", [("name", b"\xff"), ("other", None)]), (None, None, [])]
    content = checked(bytearray(batch(2, rows).replace(b"name", b"n\xff\xfe!")))
    records = parsed(batch(1, rows[:1]) + form(content) + batch(5, rows[:1]))
    found = list(records._records_iterator)
    assert [each.offset for each in found] == [1, 2, 3, 4, 5]
    assert [(each.key, each.value) for each in found[1:4]] == [(key, value) for key, value, _ in rows]
    assert list(found[2].headers) == [("n\\xff\\xfe!", b"\xff"), ("other", None)]
    assert all(type(each) is ConsumedRecord for each in found)
    assert [each.timestamp for each in found] == [5, 5, 6, 7, 5]
    assert records.next_fetch_offset == 6


@pytest.mark.usefixtures("_as_it_was")
def test_what_lies_behind_a_marker_is_read() -> None:
    lighten_records()
    records = parsed(marker(1) + batch(2, [(b"k", b"v", [])]))
    assert [each.offset for each in records] == [2]


@pytest.mark.usefixtures("_as_it_was")
def test_what_is_damaged_is_an_error() -> None:
    lighten_records()
    damaged = bytearray(packed())
    damaged[-1] ^= 1
    with pytest.raises(CorruptRecordException):
        list(parsed(bytes(damaged)))


@pytest.mark.usefixtures("_as_it_was")
def test_who_reads_committed_transactions_only_goes_on_as_before() -> None:
    stock = list(parsed(isolation=READ_COMMITTED))
    lighten_records()
    assert list(parsed(isolation=READ_COMMITTED)) == stock
