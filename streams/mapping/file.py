"""A file and its mapping, opened: the rows of whatever format the mapping says, and the mapper for their columns."""

from collections.abc import Generator
from hashlib import blake2b
from pathlib import Path

import msgspec

from streams.mapping.lookups import Lookups, load_lookups, lookup_paths
from streams.mapping.model import CsvRows, MappingFile, NdjsonRows, ParquetRows, XesRows, load_mapping
from streams.mapping.rows import RowMapper
from streams.sources import csv_rows, ndjson_rows, parquet_rows, xes_rows
from streams.sources.row import Row, open_bytes

_XES_COLUMNS = ("trace", "event")


class MappedFile(msgspec.Struct, frozen=True):
    """A file that is ready to be read: its mapping fits its columns."""

    path: Path
    mapping_file: MappingFile
    mapper: RowMapper

    def rows(self) -> Generator[Row, None, None]:
        """The rows from the beginning, in the file's order."""
        match self.mapping_file.mapping.rows:
            case CsvRows() as form:
                return csv_rows.rows(self.path, _csv_format(form))
            case NdjsonRows():
                return ndjson_rows.rows(self.path)
            case XesRows():
                return xes_rows.rows(self.path)
            case ParquetRows():
                return parquet_rows.rows(self.path)

    def bytes_total(self) -> int:
        """The file's size, as packed as it is."""
        return self.path.stat().st_size

    def identity(self) -> str:
        """Tells one import from another: a hash of the file, the mapping and its lookup files."""
        digest = blake2b(digest_size=16)
        for path in (self.path, self.mapping_file.path, *lookup_paths(self.mapping_file)):
            digest.update(_content_hash(path))
        return digest.hexdigest()


def open_mapped(path: Path, mapping_path: Path, *, now_ms: int, future_tolerance_ms: int) -> MappedFile:
    """Reads the mapping, its lookups and the file's header.

    Raises UnavailableError for a file that can not be read, UsageError for a mapping that is wrong or names a column
    that the file does not have.
    """
    file = load_mapping(mapping_path)
    return open_rows(path, file, load_lookups(file), now_ms=now_ms, future_tolerance_ms=future_tolerance_ms)


def open_rows(path: Path, file: MappingFile, lookups: Lookups, *, now_ms: int, future_tolerance_ms: int) -> MappedFile:
    """The same with a mapping and lookups that were read already."""
    columns = _columns(path, file)
    mapper = RowMapper(file, lookups, columns, now_ms=now_ms, future_tolerance_ms=future_tolerance_ms)
    return MappedFile(path, file, mapper)


def _columns(path: Path, file: MappingFile) -> tuple[str, ...] | None:
    rows = file.mapping.rows
    if isinstance(rows, CsvRows):
        return csv_rows.columns(path, _csv_format(rows))
    if isinstance(rows, ParquetRows):
        return parquet_rows.columns(path)
    with open_bytes(path):  # that it can be read is said before the first event
        return _XES_COLUMNS if isinstance(rows, XesRows) else None


def _csv_format(form: CsvRows) -> csv_rows.CsvFormat:
    return csv_rows.CsvFormat(
        form.delimiter, form.quote, form.encoding, form.header, None if form.columns is None else tuple(form.columns)
    )


def _content_hash(path: Path) -> bytes:
    digest = blake2b(digest_size=16)
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    return digest.digest()
