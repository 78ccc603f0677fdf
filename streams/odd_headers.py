"""Records whose headers have names that are no UTF-8, as some clients send them. Kafka does not look at names, and
aiokafka gives up the whole batch; what a record says is in its key and value."""

from collections.abc import Iterator
from typing import Any

from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords, _MemoryRecordsPy


class KeptRecords(MemoryRecords):  # type: ignore[misc]  # it is a function's choice of two
    """The batches of an answer, with the bytes that they are read from."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.content = content


def read_again(records: KeptRecords, base_offset: int) -> Iterator[Any]:
    """All records of one of the batches. In names each byte that is no UTF-8 is written out: `\\xff`."""
    batches = _MemoryRecordsPy(records.content)
    while (content := batches._next_slice) is not None:
        batches._cache_next()
        batch = _DefaultRecordBatchPy(content)
        if batch.base_offset == base_offset:
            batch._maybe_uncompress()
            batch._buffer = _Lenient(batch._buffer)
            yield from batch
            return


class _Lenient(bytearray):
    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return _Piece(found) if isinstance(at, slice) else found


class _Piece(bytearray):
    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:
        return bytes(self).decode(encoding, errors)
