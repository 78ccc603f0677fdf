"""Rows of one JSON object a line."""

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import UsageError
from streams.sources.ndjson_rows import LINE_BYTES_MAX, rows

values = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
objects = st.dictionaries(st.text(st.characters(codec="utf-8")), values | st.text(st.characters(codec="utf-8")))


@given(table=st.lists(objects), packed=st.booleans())
def test_rows_are_what_was_written(
    table: list[dict[str, Any]], packed: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Objects come back as they were, packed or not; blank lines do not count."""
    path = tmp_path_factory.mktemp("nd") / "f.ndjson"
    with (gzip.open if packed else open)(path, "wt", encoding="utf-8") as file:
        file.write("\n".join(json.dumps(each) + "\n" for each in table))
    found = list(rows(path))
    assert [row.values for row in found] == table
    assert [row.number for row in found] == list(range(1, len(table) + 1))


@given(text=st.decimals(allow_nan=False, allow_infinity=False, places=6).map(lambda d: format(d, "f")))
def test_fractions_are_exact(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A number is the decimal that the file shows, also beyond what a float can hold."""
    path = tmp_path_factory.mktemp("nd") / "f.ndjson"
    path.write_text(f'{{"v": {text}}}\n')
    found = next(rows(path)).values["v"]
    assert Decimal(repr(found) if isinstance(found, float) else found) == Decimal(text)


def test_faults_do_not_end_the_file(tmp_path: Path) -> None:
    """Lines that are no JSON, no object or no UTF-8 are faults that show the line."""
    path = tmp_path / "f.ndjson"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\n{"a": \n[1]\n{"a": "\xff"}\n{"a": 2}')
    found = list(rows(path))
    assert [row.fault is None for row in found] == [True, False, False, False, True]
    assert found[1].values == {"line": '{"a":'}
    assert "JSON object" in str(found[2].fault)
    assert found[4].values == {"a": 2}


def test_file_without_lines_is_refused(tmp_path: Path) -> None:
    """One line without an end is not read into memory."""
    path = tmp_path / "f.ndjson"
    path.write_bytes(b"[" + b" " * (LINE_BYTES_MAX + 10))
    with pytest.raises(UsageError, match="one object a line"):
        list(rows(path))


def test_numbers_beyond_any_are_faults(tmp_path: Path) -> None:
    """A number that no decimal holds ends its row and not the file; one that can not be written out is read."""
    path = tmp_path / "f.ndjson"
    path.write_text('{"a": 1e99999999999999999999}\n{"a": 1e999999999}\n{"a": 1}\n')
    found = list(rows(path))
    assert "this is no JSON" in str(found[0].fault)
    assert [row.values.get("a") for row in found[1:]] == [Decimal("1e999999999"), 1]
