"""One record batch, which Kafka appends whole or not at all, built before it is sent so that its size is known.

`Batch` stands in for aiokafka's BatchBuilder, which takes 1.1 µs a record and tells no compressed size.
Budget: 0.4 µs a record to fill, 3 ms per MiB to compress.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence

from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from streams.errors import MilepostError
from streams.store import Row
from streams.topics import MESSAGE_BYTES_MAX, MIB

RAW_BYTES_MAX = 32 * MIB
"""Before compression. More would only be halved afterwards."""
SPLIT_BYTES = 4 * MIB
"""Before compression, for records that need not stay together."""

_MAGIC = 2
# Where the broker's format has the producer's identity, and the checksum over everything behind it.
_PRODUCER = struct.Struct(">qhi")
_PRODUCER_AT, _CRC_AT, _ATTRIBUTES_AT = 43, 17, 21
_NO_HEADERS: list[tuple[str, bytes | None]] = []


class BatchTooLargeError(MilepostError):
    """The records do not fit one record batch; the writer halves its input and computes again."""


class Batch:
    """Records in the form that aiokafka's producer sends. The broker stamps them: times are LogAppendTime."""

    def __init__(self, raw_bytes_max: int) -> None:
        self._builder = DefaultRecordBatchBuilder(_MAGIC, DefaultRecordBatch.CODEC_ZSTD, 0, -1, -1, 0, raw_bytes_max)
        self._built: bytearray | None = None
        self._count = 0

    def fill(self, rows: Sequence[Row], start: int = 0) -> int:
        """Takes rows from `start` until the batch is full; returns the index of the first that it did not take."""
        append = self._builder.append
        count = 0
        for count, (key, value) in enumerate(rows[start:] if start else rows):
            if append(count, 0, key, value, _NO_HEADERS) is None:
                self._count = count
                return start + count
        self._count = count + 1 if len(rows) > start else 0
        return len(rows)

    def fits(self) -> bool:
        """Whether the broker takes it. Compresses only when that decides."""
        return self._builder.size() <= MESSAGE_BYTES_MAX or len(self._build()) <= MESSAGE_BYTES_MAX

    def pack(self) -> None:
        """Compresses it; else that is done when it is sent."""
        self._build()

    # What follows is what aiokafka's accumulator calls on a BatchBuilder.

    def record_count(self) -> int:
        return self._count

    def closed(self) -> bool:
        return True

    def close(self) -> None:
        """Nothing: it takes no more records once it was given away."""

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        if self._built is None:
            self._builder.set_producer_state(producer_id, producer_epoch, base_sequence)
            return
        _PRODUCER.pack_into(self._built, _PRODUCER_AT, producer_id, producer_epoch, base_sequence)
        checksum = calc_crc32c(self._built[_ATTRIBUTES_AT:])
        struct.pack_into(">I", self._built, _CRC_AT, checksum)

    def _build(self) -> bytearray:
        if self._built is None:
            self._built = self._builder.build()
        return self._built


def one_batch(rows: Sequence[Row]) -> Batch:
    """All of `rows` in one batch. Raises BatchTooLargeError."""
    batch = Batch(RAW_BYTES_MAX)
    if batch.fill(rows) < len(rows) or not batch.fits():
        raise BatchTooLargeError(f"{len(rows)} records do not fit a record batch of {MESSAGE_BYTES_MAX} bytes")
    return batch


def some_batches(rows: Sequence[Row]) -> Iterator[Batch]:
    """`rows` in as many batches as they need. Raises BatchTooLargeError for a record that fits none."""
    taken = 0
    while taken < len(rows):
        batch = Batch(SPLIT_BYTES)
        taken = batch.fill(rows, taken)
        if not batch.fits():
            raise BatchTooLargeError(f"one record is larger than {MESSAGE_BYTES_MAX} bytes")
        yield batch


def batches_of(rows: Sequence[Row], *, whole: bool) -> Iterable[Batch]:
    """One batch when they must stay together, else some. Nothing for nothing."""
    if not rows:
        return ()
    return (one_batch(rows),) if whole else some_batches(rows)
