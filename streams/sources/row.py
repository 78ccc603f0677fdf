"""A row of a file that is imported, and how such files are opened: plain or gzip, told by their first bytes.

The law of the readers: flat memory; rows in the file's order, numbered from 1; what can not be read as a row is a row
with a fault, so that it is counted and reported; only what makes the whole file unreadable raises.
"""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from streams.errors import UnavailableError, UsageError


class Row(NamedTuple):
    """One row: its number, its values by name, and the bytes of the file that were read so far (a little ahead).

    `fault` says why the row could not be read; its values are then what there is to recognise it by.
    """

    number: int
    values: dict[str, Any]
    bytes_read: int
    fault: str | None = None


class ByteSource:
    """A file's content, unpacked, and how far the file itself has been read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        # GzipFile reads unpacked bytes one small piece at a time; the buffer makes lines cheap.
        self.content = io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=file)), 2**18) if packed else file

    def bytes_read(self) -> int:
        """Bytes of the file, as packed as it is."""
        return self._file.tell()


@contextmanager
def open_bytes(path: Path) -> Iterator[ByteSource]:
    """Opens a file that is plain or gzip.

    Raises UnavailableError when it can not be read, UsageError when its gzip is damaged.
    """
    try:
        with path.open("rb", buffering=2**18) as file:
            yield ByteSource(file)
    except OSError as error:
        if isinstance(error, gzip.BadGzipFile):
            raise UsageError(f"{path}: the gzip file is damaged: {error}") from error
        raise UnavailableError(f"{path} can not be read: {error.strerror or error}") from error
    except (EOFError, zlib.error) as error:
        raise UsageError(f"{path}: the gzip file is damaged or cut off: {error}") from error
