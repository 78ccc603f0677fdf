"""Record batches as a broker gives them."""

import zstandard
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

Records = list[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]]
HEADER_BYTES = 61


def packed() -> bytes:
    """Two batches of three, with headers, and without key or value; behind them the marker of a transaction."""
    records: Records = [(b"k", b"v", [("h", b"1"), ("h", None)]), (None, b"w", []), (b"l", None, [])]
    return b"".join((batch(0, records, is_zstd=True), batch(3, records, is_zstd=True), marker(6)))


def marker(base: int) -> bytes:
    """Of a transaction's end."""
    content = bytearray(batch(base, [(b"\0\0\0\1", b"\0\0\0\0\0\0", [])]))
    content[22] |= 0x20  # a control batch
    return checked(content)


def batch(base: int, records: Records, *, is_zstd: bool = False) -> bytes:
    """One, whose records have the append times 5, 6 and so on."""
    codec = DefaultRecordBatch.CODEC_ZSTD if is_zstd else DefaultRecordBatch.CODEC_NONE
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, 0, 1 << 20)
    for number, (key, value, headers) in enumerate(records):
        builder.append(number, 5 + number, key, value, headers)
    return base.to_bytes(8, "big") + bytes(builder.build())[8:]


def checked(content: bytearray) -> bytes:
    """The batch with the checksum of what it holds now."""
    content[17:21] = calc_crc32c(content[21:]).to_bytes(4, "big")
    return bytes(content)


def zipped(content: bytes) -> bytes:
    """A batch that is not compressed, compressed."""
    packed_records = zstandard.compress(content[HEADER_BYTES:])
    head = bytearray(content[:HEADER_BYTES])
    head[8:12] = (len(head) - 12 + len(packed_records)).to_bytes(4, "big")
    head[22] |= DefaultRecordBatch.CODEC_ZSTD
    return checked(head + packed_records)
