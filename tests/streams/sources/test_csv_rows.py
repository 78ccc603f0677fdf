"""Rows of text in columns."""

import csv
import gzip
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import UnavailableError, UsageError
from streams.sources import csv_rows
from streams.sources.csv_rows import CsvFormat, columns, rows

cells = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)


@given(
    table=st.lists(st.lists(cells, min_size=3, max_size=3), max_size=8),
    delimiter=st.sampled_from(",;\t|"),
    packed=st.booleans(),
)
def test_rows_are_what_was_written(
    table: list[list[str]], delimiter: str, packed: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What a CSV writer wrote, with quotes, line ends and any signs, comes back; packed or not."""
    path = tmp_path_factory.mktemp("csv") / "f.csv"
    with (gzip.open if packed else open)(path, "wt", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([["a", "b", "c"], *table])
    found = list(rows(path, CsvFormat(delimiter=delimiter)))
    assert [list(row.values.values()) for row in found] == table
    assert [row.number for row in found] == list(range(1, len(table) + 1))
    assert not any(row.fault for row in found)


def test_faults_do_not_end_the_file(tmp_path: Path) -> None:
    """Rows of another width and broken quotes are faults; the rows after them are read."""
    path = tmp_path / "f.csv"
    path.write_text('a,b\n1,2\n3\n4,5,6\n\n7,"8"x\n9,10\n')
    found = list(rows(path, CsvFormat()))
    assert [(row.number, row.fault and row.fault.split(":")[0]) for row in found] == [
        (1, None),
        (2, "1 values where the file has 2 columns"),
        (3, "3 values where the file has 2 columns"),
        (4, "this is no CSV"),
        (5, None),
    ]
    assert found[4].values == {"a": "9", "b": "10"}


def test_blanks_apart_and_names_given(tmp_path: Path) -> None:
    """Columns apart by blanks need no header when their names are given."""
    path = tmp_path / "f.txt"
    path.write_text(" 1  2\r\n\r\n 3\t4 \r\n")
    form = CsvFormat(delimiter="whitespace", header=False, columns=("x", "y"))
    assert columns(path, form) == ("x", "y")
    assert [row.values for row in rows(path, form)] == [{"x": "1", "y": "2"}, {"x": "3", "y": "4"}]


def test_names_may_replace_the_header(tmp_path: Path) -> None:
    """Given names stand for the header's, and must be as many."""
    path = tmp_path / "f.csv"
    path.write_text("a,a\n1,2\n")
    assert [row.values for row in rows(path, CsvFormat(columns=("x", "y")))] == [{"x": "1", "y": "2"}]
    with pytest.raises(UsageError, match="3 columns are named and the header has 2"):
        columns(path, CsvFormat(columns=("x", "y", "z")))
    with pytest.raises(UsageError, match="'a' stands twice"):
        columns(path, CsvFormat())


def test_byte_order_mark_and_encodings(tmp_path: Path) -> None:
    """A mark at the start is no part of a name; other encodings are read as they are named."""
    path = tmp_path / "f.csv"
    path.write_bytes("\ufeffa\né\n".encode())
    assert [row.values for row in rows(path, CsvFormat())] == [{"a": "é"}]
    path.write_bytes("a\né\n".encode("cp1252"))
    assert [row.values for row in rows(path, CsvFormat(encoding="cp1252"))] == [{"a": "é"}]
    with pytest.raises(UsageError, match="is no encoding"):
        columns(path, CsvFormat(encoding="utf-99"))


def test_files_that_can_not_be_read(tmp_path: Path) -> None:
    """An absent file, an empty one and a damaged gzip are errors that say so."""
    with pytest.raises(UnavailableError, match="can not be read"):
        columns(tmp_path / "absent.csv", CsvFormat())
    (tmp_path / "empty.csv").touch()
    with pytest.raises(UsageError, match="no header"):
        columns(tmp_path / "empty.csv", CsvFormat())
    packed = gzip.compress(b"a\n" + b"".join(b"%d\n" % i for i in range(50_000)))
    (tmp_path / "cut.csv.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(UsageError, match="damaged or cut off"):
        list(rows(tmp_path / "cut.csv.gz", CsvFormat()))


def test_memory_is_flat_and_progress_reaches_the_end(tmp_path: Path) -> None:
    """A file of some megabytes is read in far less memory, and the bytes read grow up to its size."""
    path = tmp_path / "f.csv"
    path.write_bytes(b"a,b\n" + b"".join(b"%d,%s\n" % (i, b"x" * 50) for i in range(60_000)))
    tracemalloc.start()
    seen = [row.bytes_read for row in rows(path, CsvFormat())]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seen == sorted(seen)
    assert seen[-1] > 0.99 * path.stat().st_size  # asked for every few hundred rows
    assert peak < 2_500_000


@pytest.mark.parametrize("unit", [b"x", b",", b'"\n",'])
def test_rows_that_never_end_are_refused(tmp_path: Path, unit: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small packed file may hold a line, or a row of quoted lines, that is larger than the memory."""
    monkeypatch.setattr(csv_rows, "ROW_CHARACTERS_MAX", 100_000)
    path = tmp_path / "f.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + unit * 1_000_000))
    tracemalloc.start()
    with pytest.raises(UsageError, match="a row has 100000 characters or more"):
        list(rows(path, CsvFormat()))
    assert tracemalloc.get_traced_memory()[1] < 4_000_000
    tracemalloc.stop()


def test_bytes_that_are_of_no_encoding(tmp_path: Path) -> None:
    """Half of a character at the end of the file is an error that names the encoding."""
    path = tmp_path / "f.csv"
    path.write_bytes("a\nb\n".encode("utf-16-le") + b"\x00")
    with pytest.raises(UsageError, match="is not written in utf-16-le"):
        list(rows(path, CsvFormat(encoding="utf-16-le")))


def test_a_quote_that_never_closes_is_a_fault_of_its_row(tmp_path: Path) -> None:
    """Also in the last row, behind which nothing is left to read."""
    path = tmp_path / "f.csv"
    path.write_text('a;b\n"1;2\n')
    (found,) = rows(path, CsvFormat(delimiter=";"))
    assert "unexpected end of data" in str(found.fault)
