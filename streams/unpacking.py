"""Record batches are unpacked up to a bound: 8 KiB of a source can hold a record of 256 MiB, and a worker that unpacks
what a topic's limit on packed batches lets through may be ended for its memory, at every start.

zstd and gzip are bounded here, for aiokafka bounds neither. What lz4 and snappy make is bounded by their formats, at
255 and 22 times the size.
"""

import gzip
import io
import threading

import aiokafka.record._crecords.default_records as compiled
import aiokafka.record.default_records as plain
import zstandard

from streams.errors import MilepostError
from streams.topics import MIB

UNPACKED_BYTES_MAX = 128 * MIB
_PIECE_BYTES = 128 * 2**10  # a block of zstd


class UnpackedTooLargeError(MilepostError):
    """A record batch that becomes larger than a worker has room for."""


class _OfThread(threading.local):
    """A decompressor takes longer to make than a small batch to unpack, and serves one thread at a time."""

    def __init__(self) -> None:
        self.decompressor = zstandard.ZstdDecompressor()


_of_thread = _OfThread()


def bound_unpacking() -> None:
    """Has aiokafka unpack with what is here, in the whole process; doing it again changes nothing."""
    for records in (compiled, plain):
        records.zstd_decode, records.gzip_decode = unpack_zstd, unpack_gzip


def unpack_zstd(packed: bytes) -> bytes:
    """Raises UnpackedTooLargeError."""
    with _of_thread.decompressor.stream_reader(packed, read_across_frames=True) as stream:
        return _read(stream)


def unpack_gzip(packed: bytes) -> bytes:
    """Raises UnpackedTooLargeError."""
    with gzip.GzipFile(fileobj=io.BytesIO(packed)) as stream:
        return _read(stream)


class Unpacked:
    """How many bytes were unpacked here so far, in the whole process."""

    byte_count = 0


def _read(stream: "gzip.GzipFile | zstandard.ZstdDecompressionReader") -> bytes:
    pieces, size = [], 0
    while piece := stream.read(_PIECE_BYTES):
        size += len(piece)
        if size > UNPACKED_BYTES_MAX:
            raise UnpackedTooLargeError(
                f"it unpacks to more than {UNPACKED_BYTES_MAX // MIB} MiB, and a worker's memory would not hold it"
            )
        pieces.append(piece)
    Unpacked.byte_count += size
    return b"".join(pieces)
