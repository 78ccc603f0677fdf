"""Rows of a text file in columns: CSV with any delimiter, or columns apart by blanks. Values are text."""

import csv
import io
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from streams.errors import UsageError
from streams.shown import shown
from streams.sources.row import ByteSource, Row, open_bytes

ROW_CHARACTERS_MAX = 8 * 2**20
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
        return _columns(path, form, _Cells(path, source, form))


def rows(path: Path, form: CsvFormat) -> Generator[Row, None, None]:
    """The file's rows; blank lines do not count. A row with more or fewer values than columns is a fault.

    Raises UsageError for a row above ROW_CHARACTERS_MAX and for bytes that are not of the encoding at all.
    """
    with open_bytes(path) as source:
        found = _Cells(path, source, form)
        names = _columns(path, form, found)
        bytes_read, width = 0, len(names)
        for number, (cells, fault) in enumerate(found, 1):
            if number % _PROGRESS_EVERY == 1:
                bytes_read = source.bytes_read()
            if fault is None and len(cells) == width:
                yield Row(number, dict(zip(names, cells, strict=True)), bytes_read)
            else:
                yield Row(number, {"cells": cells}, bytes_read, fault or _width_fault(cells, width))


class _Cells:
    """The texts of each row, and what is wrong with it; iterating again goes on where it was.

    A packed file may hold a line, or a row of quoted lines, that is larger than the memory.
    """

    def __init__(self, path: Path, source: ByteSource, form: CsvFormat) -> None:
        self._path = path
        self._encoding = form.encoding
        # Bytes that are not of the encoding go through, and are faults where an event would have them.
        encoding = "utf-8-sig" if form.encoding.lower().replace("_", "-") in ("utf-8", "utf8") else form.encoding
        try:
            self._text = io.TextIOWrapper(source.content, encoding, errors="surrogateescape", newline="")
        except LookupError as error:
            raise UsageError(f"{path}: {encoding!r} is no encoding; write utf-8, latin-1 or cp1252") from error
        self._row_characters = 0
        self._rows = self._parsed(form)

    def __iter__(self) -> Iterator[tuple[list[str], str | None]]:
        while True:
            try:
                for cells in self._rows:
                    self._row_characters = 0
                    if cells:
                        yield cells, None
                return
            except csv.Error as error:
                # The csv module begins afresh with the next line.
                self._row_characters = 0
                yield [], f"this is no CSV: {error}"

    def _parsed(self, form: CsvFormat) -> Iterator[list[str]]:
        if form.delimiter == "whitespace":
            return map(str.split, self._lines())
        quoting: Any = csv.QUOTE_NONE if form.quote is None else csv.QUOTE_MINIMAL
        delimiter = "\t" if form.delimiter == "tab" else form.delimiter
        return csv.reader(self._lines(), delimiter=delimiter, quotechar=form.quote or '"', quoting=quoting, strict=True)

    def _lines(self) -> Iterator[str]:
        readline = self._text.readline
        try:
            while line := readline(ROW_CHARACTERS_MAX):
                self._row_characters += len(line)
                if self._row_characters >= ROW_CHARACTERS_MAX:
                    raise UsageError(f"{self._path}: a row has {ROW_CHARACTERS_MAX} characters or more; is it a table?")
                yield line
        except UnicodeError as error:
            raise UsageError(f"{self._path}: the file is not written in {self._encoding}: {error}") from error


def _width_fault(cells: Sequence[str], width: int) -> str:
    return f"{len(cells)} values where the file has {width} columns"


def _columns(path: Path, form: CsvFormat, found: _Cells) -> tuple[str, ...]:
    first = next((cells for cells, _ in found), None) if form.header else None
    if form.header and not first:
        raise UsageError(f"{path}: the file has no header; is it empty?")
    header = tuple(name.strip() for name in first or ())
    names = form.columns or header
    if form.columns and header and len(names) != len(header):
        raise UsageError(f"{path}: {len(names)} columns are named and the header has {len(header)}: {_listed(header)}")
    if twice := _repeated(names):
        raise UsageError(f"{path}: the column {twice[:100]!r} stands twice; name the columns with rows.columns")
    return names


def _repeated(names: Sequence[str]) -> str | None:
    seen: set[str] = set()
    return next((name for name in names if name in seen or seen.add(name)), None)  # type: ignore[func-returns-value]


def _listed(names: Sequence[str]) -> str:
    return shown(", ".join(names[:50]), 500)
