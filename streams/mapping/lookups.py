"""Lookup tables of a mapping: small CSV files in memory, by key."""

from collections.abc import Mapping as ReadMapping
from pathlib import Path

import msgspec

from streams.mapping.model import LookupFile, MappingFile
from streams.sources.csv_rows import CsvFormat, columns, rows

ROW_COUNT_MAX = 2_000_000


class Lookup(msgspec.Struct, frozen=True):
    """One table: its columns, and its rows by the trimmed text of the key column."""

    columns: tuple[str, ...]
    row_by_key: dict[str, dict[str, str]]


def load_lookups(file: MappingFile) -> dict[str, Lookup]:
    """The mapping's tables by name; their files stand beside the mapping.

    Raises UnavailableError or UsageError for a file that can not be read, lacks the key's column or has a key twice.
    """
    return {name: _load(file, name, lookup) for name, lookup in file.mapping.lookups.items()}


def lookup_paths(file: MappingFile) -> list[Path]:
    """The files that the mapping reads besides itself."""
    return [file.path.parent / lookup.file for lookup in file.mapping.lookups.values()]


def _load(file: MappingFile, name: str, lookup: LookupFile) -> Lookup:
    path = file.path.parent / lookup.file
    form = CsvFormat(delimiter=lookup.delimiter, encoding=lookup.encoding)
    names = columns(path, form)
    if lookup.key not in names:
        raise file.error(("lookups", name, "key"), f"{path} has no column {lookup.key!r}; it has {', '.join(names)}")
    found: dict[str, dict[str, str]] = {}
    for row in rows(path, form):
        if row.fault is not None or row.number > ROW_COUNT_MAX:
            raise file.error(("lookups", name), f"{path} row {row.number}: {row.fault or 'too many for a lookup'}")
        key = row.values[lookup.key].strip()
        if found.setdefault(key, row.values) is not row.values:
            raise file.error(("lookups", name), f"{path} row {row.number}: the {lookup.key} {key!r} stands twice")
    return Lookup(names, found)


Lookups = ReadMapping[str, Lookup]
