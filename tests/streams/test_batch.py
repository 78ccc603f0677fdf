"""Record batches: what fits, what the broker reads out of them, and what aiokafka needs them to be."""

import asyncio
import os

import pytest
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.batch import Batch, BatchTooLargeError, batches_of, one_batch, some_batches
from streams.broker import EmbeddedBroker
from streams.fence import FencedProducer
from streams.store import Row
from streams.topics import MESSAGE_BYTES_MAX
from tests.streams.toy import make_topics, read

rows = st.lists(st.tuples(st.binary(max_size=40), st.none() | st.binary(max_size=200)), min_size=1, max_size=50)


def contents(batch: Batch) -> list[Row]:
    """The records in a batch's bytes, checksum verified."""
    records = MemoryRecords(bytes(batch._build()))
    inside = records.next_batch()
    assert inside is not None
    assert inside.validate_crc()
    assert not records.has_next()
    return [(record.key, record.value) for record in inside]


@settings(deadline=None)
@given(rows=rows)
def test_a_batch_holds_its_rows_in_order(rows: list[Row]) -> None:
    """Deletions, empty values and repeated keys come back as they went in."""
    batch = one_batch(rows)
    assert batch.record_count() == len(rows)
    batch._set_producer_state(7, 3, 11)
    assert contents(batch) == rows


@settings(deadline=None)
@given(rows=rows)
def test_differential_an_identity_set_late_is_an_identity_set_early(rows: list[Row]) -> None:
    """A batch that was compressed to see its size carries the same bytes as one that was stamped before."""
    early, late = one_batch(rows), one_batch(rows)
    early._set_producer_state(7, 3, 11)
    late._build()
    late._set_producer_state(7, 3, 11)
    assert late._build() == early._build()


def test_what_compresses_well_fits() -> None:
    """The limit is on the compressed batch, as the broker sees it."""
    large = [(b"%d" % number, b"x" * 10_000) for number in range(1500)]
    assert sum(len(value) for _, value in large) > MESSAGE_BYTES_MAX
    assert one_batch(large).fits()


@pytest.mark.parametrize("value", [os.urandom(MESSAGE_BYTES_MAX + 1), b"x" * (33 << 20)])
def test_what_does_not_fit_is_said(value: bytes) -> None:
    """Too large compressed, or so large raw that it is not tried."""
    with pytest.raises(BatchTooLargeError):
        one_batch([(b"a", b""), (b"b", value)])


def test_records_that_may_part_fill_several_batches() -> None:
    """All rows, in order, none twice; a record that fits no batch is refused."""
    many = [(b"%d" % number, os.urandom(1000)) for number in range(10_000)]
    batches = list(some_batches(many))
    assert len(batches) == 3
    assert [row for batch in batches for row in contents(batch)] == many
    with pytest.raises(BatchTooLargeError):
        list(some_batches([*many[:2], (b"huge", os.urandom(9 << 20))]))


def test_nothing_is_no_batch() -> None:
    """An empty publication sends nothing, whether it must stay together or not."""
    assert list(batches_of([], whole=True)) == list(batches_of([], whole=False)) == []


def test_it_is_what_the_accumulator_calls() -> None:
    """Pins aiokafka: a batch has each method of the BatchBuilder that it stands in for."""
    called = ("record_count", "closed", "close", "_set_producer_state", "_build")
    assert all(callable(getattr(kind, name)) for kind in (BatchBuilder, Batch) for name in called)


@pytest.mark.broker
def test_the_broker_takes_a_large_batch_whole(kafka: EmbeddedBroker, prefix: str) -> None:
    """Compressed before it got its identity: the broker verifies the checksum and gives back every record."""
    names = make_topics(kafka.bootstrap_servers, prefix)
    large = [(b"%d" % number, os.urandom(500) + b"x" * 1500) for number in range(8000)]

    async def send() -> None:
        producer = await FencedProducer.start(kafka.bootstrap_servers, f"{names.changelog}-0")
        assert (await producer.append(names.changelog, 0, one_batch(large))).offset == 0
        assert (await producer.append(names.changelog, 0, one_batch([(b"a", None)]))).offset == 8000
        await producer.close()

    asyncio.run(send())
    assert [(record.key, record.value) for record in read(kafka.bootstrap_servers, names.changelog)] == [
        *large,
        (b"a", None),
    ]
