"""Rows of Parquet by the same mapping as any others: what the types of the file say, and what they do not."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from streams.errors import UsageError
from streams.mapping.file import open_mapped
from streams.mapping.rows import Reject

NOW_MS = 1_790_000_000_000
FIELDS = {"event_id": "id", "event_time": "at", "type": {"const": "T"}, "account": "account"}
NOON_MS = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp() * 1000)


def mapped(folder: Path, select: str, fields: dict[str, Any], **top: Any) -> Any:
    """What the one row of a Parquet file becomes: its event, or why it is none."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"COPY (SELECT 1 AS id, 'Acme' AS account, {select}) TO '{folder}/f' (FORMAT parquet)")
    mapping = {"topic": "crm-events", "source": "s", "rows": {"format": "parquet"}, **top}
    (folder / "m.yaml").write_text(json.dumps(mapping | {"events": [{"fields": FIELDS | fields}]}))
    file = open_mapped(folder / "f", folder / "m.yaml", now_ms=NOW_MS, future_tolerance_ms=0)
    (said,) = map(file.mapper.events_of, file.rows())
    return (said.reason, said.detail) if isinstance(said, Reject) else json.loads(said[0].payload)


def test_types_of_the_file_become_those_of_an_event(tmp_path: Path) -> None:
    """Decimals to the last digit, nested columns by paths, numbers and booleans as attributes."""
    select = (
        "TIMESTAMPTZ '2026-03-01 14:00:00+02' AS at, CAST('12500.000001' AS DECIMAL(18, 6)) AS amount,"
        " {'name': 'web', 'tags': ['a', 'b']} AS visit, MAP {'utm': 'ads'} AS extra, CAST(0.1 AS FLOAT) AS share,"
        " 40 AS seats, true AS hot, CAST(9.50 AS DECIMAL(4, 2)) AS rate"
    )
    fields = {
        "value": "amount", "channel": "visit.name", "content": "visit.tags[1]", "campaign": "extra.utm",
        "attributes.share": "share", "attributes.seats": "seats", "attributes.hot": "hot", "attributes.rate": "rate",
    }  # fmt: skip
    event = mapped(tmp_path, select, fields)
    assert event["attributes"] == {"share": 0.1, "seats": 40, "hot": True, "rate": 9.5}
    assert (event["event_id"], event["event_time"], event["value"]) == ("1", NOON_MS, "12500.000001")
    assert (event["channel"], event["content"], event["campaign"]) == ("web", "b", "ads")


@pytest.mark.parametrize(
    ("time", "rule", "said"),
    [
        ("TIMESTAMP '2026-03-01 12:00:00'", {}, "has no offset; name the zone"),
        ("TIMESTAMP '2026-03-01 13:00:00'", {"zone": "Europe/Berlin"}, NOON_MS),
        ("TIMESTAMPTZ '2026-03-01 12:00:00+00'", {"zone": "Europe/Berlin"}, NOON_MS),
        ("DATE '2026-03-01'", {"zone": "UTC"}, "has no time of day; say date_only"),
        ("DATE '2026-03-01'", {"zone": "UTC", "date_only": "noon"}, NOON_MS),
        (f"CAST({NOON_MS} AS BIGINT)", {"format": "epoch_ms"}, NOON_MS),
        ("TIMESTAMPTZ 'infinity'", {}, "is not written as iso"),
    ],
)
def test_what_a_time_does_not_say_the_mapping_must(
    tmp_path: Path, time: str, rule: dict[str, str], said: str | int
) -> None:
    """A timestamp of the file is a moment only where the file says so; nothing is guessed."""
    found = mapped(tmp_path, f"{time} AS at", {}, time=rule)
    if isinstance(said, int):
        assert found["event_time"] == said
    else:
        assert found[0] == "event_time: wrong value"
        assert said in found[1]


def test_bytes_that_are_no_text_are_a_fault_where_they_are_used(tmp_path: Path) -> None:
    """A picture beside the columns of interest is in nobody's way."""
    select = "TIMESTAMPTZ '2026-03-01 12:00:00+00' AS at, unhex('FFD8') AS picture"
    assert mapped(tmp_path, select, {})["event_time"] == NOON_MS
    assert mapped(tmp_path, select, {"content": "picture"})[0] == "wrong encoding"


def test_a_column_that_the_file_does_not_have_is_told(tmp_path: Path) -> None:
    """Before the first row, with the place in the mapping."""
    with pytest.raises(UsageError, match=r"m\.yaml:.*the file has no column 'amount'; it has id, account, at"):
        mapped(tmp_path, "TIMESTAMPTZ '2026-03-01 12:00:00+00' AS at", {"value": "amount"})
