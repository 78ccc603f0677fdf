"""Rows of a text file in columns: CSV with any delimiter, or columns apart by blanks. Values are text."""

import csv
import io
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from streams.errors import UsageError
from streams.sources.row import ByteSource, Row, open_bytes

_PROGRESS_EVERY = 256


class CsvFormat(msgspec.Struct, frozen=True):
    """How the text is written: see the mapping's `rows`."""

    delimiter: str = ","
    quote: str | None = '"'
    encoding: str = "utf-8"
    header: bool = True
    columns: tuple[str, ...] | None = None


def columns(path: Path, form: CsvFormat) -> tuple[str, ...]:
    """The names of the columns, of the header or as given.

    Raises UsageError when the file is empty, a name stands twice, or another number of names was given.
    """
    with open_bytes(path) as source:
        return _columns(path, form, _lines(path, source, form))


def rows(path: Path, form: CsvFormat) -> Generator[Row, None, None]:
    """The file's rows; blank lines do not count. A row with more or fewer values than columns is a fault."""
    with open_bytes(path) as source:
        lines = _lines(path, source, form)
        names = _columns(path, form, lines)
        bytes_read, width = 0, len(names)
        for number, (cells, fault) in enumerate(_cells(lines), 1):
            if number % _PROGRESS_EVERY == 1:
                bytes_read = source.bytes_read()
            if fault is None and len(cells) == width:
                yield Row(number, dict(zip(names, cells, strict=True)), bytes_read)
            else:
                yield Row(number, {"cells": cells}, bytes_read, fault or _width_fault(cells, width))


def _cells(lines: Iterable[list[str]]) -> Iterator[tuple[list[str], str | None]]:
    iterator = iter(lines)
    while True:
        try:
            for cells in iterator:
                if cells:
                    yield cells, None
            return
        except csv.Error as error:
            # The csv module begins afresh with the next line.
            yield [], f"this is no CSV: {error}"


def _width_fault(cells: Sequence[str], width: int) -> str:
    return f"{len(cells)} values where the file has {width} columns"


def _columns(path: Path, form: CsvFormat, lines: Iterator[list[str]]) -> tuple[str, ...]:
    first = next((cells for cells, _ in _cells(lines)), None) if form.header else None
    if form.header and not first:
        raise UsageError(f"{path}: the file has no header; is it empty?")
    found = tuple(name.strip() for name in first or ())
    names = form.columns or found
    if form.columns and found and len(names) != len(found):
        raise UsageError(f"{path}: {len(names)} columns are named and the header has {len(found)}: {', '.join(found)}")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"{path}: the column {twice[0]!r} stands twice; name the columns with rows.columns")
    return names


def _lines(path: Path, source: ByteSource, form: CsvFormat) -> Iterator[list[str]]:
    # Bytes that are not of the encoding go through, and are faults where an event would have them.
    encoding = "utf-8-sig" if form.encoding.lower().replace("_", "-") in ("utf-8", "utf8") else form.encoding
    try:
        text = io.TextIOWrapper(source.content, encoding, errors="surrogateescape", newline="")
    except LookupError as error:
        raise UsageError(f"{path}: {form.encoding!r} is no encoding; write utf-8, latin-1 or cp1252") from error
    if form.delimiter == "whitespace":
        return map(str.split, text)
    quoting: Any = csv.QUOTE_NONE if form.quote is None else csv.QUOTE_MINIMAL
    delimiter = "\t" if form.delimiter == "tab" else form.delimiter
    return csv.reader(text, delimiter=delimiter, quotechar=form.quote or '"', quoting=quoting, strict=True)
