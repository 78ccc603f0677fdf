"""Rows of Parquet files: every type as paths see it, in the file's order, with flat memory."""

import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.errors import UnavailableError, UsageError
from streams.sources.parquet_rows import columns, rows


def written(path: Path, select: str, options: str = "", parameters: dict[str, Any] | None = None) -> Path:
    """A Parquet file of what a query gives."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"CREATE TABLE made AS {select}", parameters)
        escaped = str(path).replace("'", "''")
        connection.execute(f"COPY made TO '{escaped}' (FORMAT parquet{options})")
    return path


def value_of(path: Path, expression: str) -> Any:
    """How one value comes back."""
    (row,) = rows(written(path / "f.parquet", f"SELECT {expression} AS v"))
    assert (row.number, row.fault, list(row.values)) == (1, None, ["v"])
    return row.values["v"]


PLAIN: list[tuple[str, Any]] = [
    ("'x'", "x"),
    ("CAST(NULL AS VARCHAR)", None),
    ("true", True),
    ("CAST(-7 AS TINYINT)", -7),
    ("CAST(18446744073709551615 AS UBIGINT)", 18446744073709551615),
    ("CAST(0.25 AS DOUBLE)", 0.25),
    ("CAST(0.1 AS FLOAT)", 0.1),
    ("CAST(1.50 AS DECIMAL(10, 2))", Decimal("1.50")),
    ("CAST('12345678901234567890123456789012345.678' AS DECIMAL(38, 3))",
     Decimal("12345678901234567890123456789012345.678")),
    ("TIMESTAMP '2026-03-01 09:30:00'", "2026-03-01 09:30:00"),
    ("TIMESTAMPTZ '2026-03-01 09:30:00.25+02'", "2026-03-01 07:30:00.25+00"),
    ("TIMESTAMP_NS '2026-03-01 09:30:00.123456789'", "2026-03-01 09:30:00.123456789"),
    ("TIMESTAMP_MS '2026-03-01 09:30:00.123'", "2026-03-01 09:30:00.123"),
    ("DATE '2026-03-01'", "2026-03-01"),
    ("TIME '09:30:00'", "09:30:00"),
    ("INTERVAL 1 DAY", "1 day"),
    ("CAST('a31d58e0-415c-4558-a556-0c4c5d86fae4' AS UUID)", "a31d58e0-415c-4558-a556-0c4c5d86fae4"),
    ("CAST('won' AS ENUM ('won', 'lost'))", "won"),
    ("encode('caf\u00e9')", "caf\u00e9"),
    ("CAST('nan' AS DOUBLE)", None),
    ("CAST('nan' AS FLOAT)", None),
    ("[1, NULL]", [1, None]),
    ("CAST(NULL AS INTEGER[])", None),
    ("{'a': 1, 'it''s \"b\"': {'at': DATE '2026-03-01', 'c': [TIMESTAMPTZ '2026-03-01 00:00:00+00']}}",
     {"a": 1, "it's \"b\"": {"at": "2026-03-01", "c": ["2026-03-01 00:00:00+00"]}}),
    ("{'f': [CAST('nan' AS DOUBLE), 0.5], 'b': encode('x')}", {"f": [None, 0.5], "b": "x"}),
    ("MAP {'k': CAST(0.1 AS FLOAT)}", {"k": 0.1}),
    ("MAP {7: [encode('x')]}", {"7": ["x"]}),
    ("MAP {'k': DATE '2026-03-01'}", {"k": "2026-03-01"}),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "expected"), PLAIN)
def test_a_value_is_what_paths_see(tmp_path: Path, expression: str, expected: Any) -> None:
    """Text, numbers, booleans, objects and lists; what JSON has no type for is text."""
    found = value_of(tmp_path, expression)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    "expression", ["{'f': CAST('nan' AS DOUBLE)}", "[encode('x')]", "MAP {'k': encode('x')}", "{'b': encode('x')}"]
)
def test_what_is_absent_around_such_values_is_absent(tmp_path: Path, expression: str) -> None:
    """A list, object or map that is null is null."""
    path = written(tmp_path / "f.parquet", f"SELECT {expression} AS v UNION ALL SELECT NULL ORDER BY v NULLS FIRST")
    first, second = (row.values["v"] for row in rows(path))
    assert first is None
    assert second is not None


@settings(deadline=None, max_examples=15)
@given(
    amounts=st.lists(st.none() | st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**12),
                                             max_value=10**12), min_size=1, max_size=20),
    texts=st.lists(st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=1),
)  # fmt: skip
def test_rows_are_what_was_written(
    amounts: list[Decimal | None], texts: list[str | None], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Any decimals and texts come back exactly, nulls among them."""
    path = written(
        tmp_path_factory.mktemp("pq") / "f.parquet",
        "SELECT unnest(CAST($amounts AS DECIMAL(38, 6)[])) AS amount, unnest(CAST($texts AS VARCHAR[])) AS text",
        parameters={"amounts": [None if each is None else str(each) for each in amounts], "texts": texts},
    )
    length = max(len(amounts), len(texts))
    assert [(row.values["amount"], row.values["text"]) for row in rows(path)] == list(
        zip([*amounts, *[None] * (length - len(amounts))], [*texts, *[None] * (length - len(texts))], strict=True)
    )


@pytest.mark.parametrize("codec", ["uncompressed", "snappy", "gzip", "zstd", "lz4", "brotli"])
def test_rows_come_in_the_order_of_the_file(tmp_path: Path, codec: str) -> None:
    """Over many row groups and batches, whatever they are packed with; and how far it is never goes back."""
    select = "SELECT i * 7919 % 20011 AS v FROM range(20000) AS t(i)"
    path = written(tmp_path / "f.parquet", select, f", ROW_GROUP_SIZE 2048, COMPRESSION {codec}")
    found = list(rows(path))
    assert [row.values["v"] for row in found] == [i * 7919 % 20011 for i in range(20_000)]
    assert [row.number for row in found] == list(range(1, 20_001))
    assert sorted(row.bytes_read for row in found) == [row.bytes_read for row in found]
    assert found[-1].bytes_read == path.stat().st_size


@pytest.mark.parametrize("name", ["a*b?.parquet", "a[bc].parquet", 'it\'s "so".parquet', "day=3/f.parquet"])
def test_a_path_is_a_file_and_no_pattern(tmp_path: Path, name: str) -> None:
    """Only the file that is named is read, and its folder makes no column."""
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / "ab.parquet").write_bytes(b"")
    path = written(tmp_path / name, "SELECT 1 AS v")
    assert columns(path) == ("v",)
    assert [row.values for row in rows(path)] == [{"v": 1}]


def test_a_file_without_rows_has_columns(tmp_path: Path) -> None:
    """An empty export is one."""
    path = written(tmp_path / "f.parquet", "SELECT 1 AS a, 'x' AS b LIMIT 0")
    assert columns(path) == ("a", "b")
    assert list(rows(path)) == []


def test_what_is_no_parquet_is_told(tmp_path: Path) -> None:
    """Absent, a folder, something else, cut off, or damaged inside: by name, and on one line."""
    with pytest.raises(UnavailableError, match=r"absent\.parquet can not be read"):
        columns(tmp_path / "absent.parquet")
    with pytest.raises(UnavailableError, match="can not be read"):
        columns(tmp_path)
    select = "SELECT i, md5(CAST(i AS VARCHAR)) AS noise FROM range(9000) AS t(i)"
    whole = written(tmp_path / "f.parquet", select, ", ROW_GROUP_SIZE 2048").read_bytes()
    middle = len(whole) // 2
    for name, data in (
        ("csv", b"a,b\n1,2\n"),
        ("empty", b""),
        ("cut", whole[:middle]),
        ("damaged", whole[:middle] + bytes(2_000) + whole[middle + 2_000 :]),
    ):
        path = tmp_path / f"{name}.parquet"
        path.write_bytes(data)
        with pytest.raises(UsageError, match=r"\.parquet: this is no Parquet file, or it is damaged") as caught:
            list(rows(path))
        assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_go_through(tmp_path: Path) -> None:
    """As those of a CSV file do: whoever makes an event of them sees that they are no characters."""
    found = value_of(tmp_path, "unhex('41FF')")
    assert found.encode(errors="surrogateescape") == b"A\xff"


_READER = """
import sys
from pathlib import Path
import psutil
from streams.sources import csv_rows, ndjson_rows, parquet_rows
path = Path(sys.argv[1])
read = {"csv": lambda: csv_rows.rows(path, csv_rows.CsvFormat()), "ndjson": lambda: ndjson_rows.rows(path),
        "parquet": lambda: parquet_rows.rows(path)}[path.suffix[1:]]
resident = psutil.Process().memory_info
for row in read():
    if row.number in (50_000, 400_000):
        print(resident().rss >> 20)
"""


@pytest.mark.parametrize("form", ["csv", "ndjson", "parquet"])
def test_memory_stays_flat(tmp_path: Path, form: str) -> None:
    """A process that reads eight times the rows has no more in memory: 400,000 rows in row groups of DuckDB's size."""
    path = tmp_path / f"f.{form}"
    kind = "json" if form == "ndjson" else form
    with duckdb.connect() as connection:
        connection.execute(
            "COPY (SELECT i, md5(CAST(i AS VARCHAR)) AS noise, {'deep': md5(CAST(-i AS VARCHAR))} AS o"
            f" FROM range(400000) AS t(i)) TO '{path}' (FORMAT {kind})"
        )
    command = [sys.executable, "-c", _READER, str(path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    said = subprocess.run(command, capture_output=True, check=True, text=True, env=environment).stdout
    early_mib, late_mib = map(int, said.split())
    assert late_mib - early_mib < 24, said
