"""Rows of XES event logs."""

import gzip
from collections import Counter
from pathlib import Path

import pytest

from streams.errors import UsageError
from streams.sources.xes_rows import rows
from tests.shared_data import shared_data

LOG = """<?xml version="1.0" encoding="UTF-8"?>
<log xmlns="http://www.xes-standard.org/">
  <global scope="event"><string key="concept:name" value="UNKNOWN"/><string key="org:resource" value="nobody"/></global>
  <global scope="trace"><string key="kind" value="plain"/></global>
  <string key="concept:name" value="the log"/>
  <!-- a comment -->
  <trace>
    <string key="concept:name" value="t1"/>
    <event><string key="concept:name" value="A"/><date key="time:timestamp" value="2020-01-01T00:00:00Z"/></event>
    <!-- another -->
    <event>
      <int key="cost" value="5"><string key="currency" value="EUR"/></int>
      <boolean key="ok" value="true"/><float key="share" value="0.10"/>
      <list key="tags"><values><string key="tag" value="x"/><string key="tag2" value="y"/></values></list>
    </event>
    <string key="late" value="behind the events"/>
  </trace>
  <trace>
    <string key="concept:name" value="t2"/><string key="kind" value="special"/>
    <event><string key="concept:name" value="B"/><int key="cost" value="many"/></event>
  </trace>
  <event><string key="concept:name" value="alone"/></event>
</log>
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "log.xes"
    path.write_text(text)
    return path


def test_rows_are_the_events_in_their_traces(tmp_path: Path) -> None:
    """Each event is a row with its trace; globals are defaults and no events; attributes may stand behind."""
    first, second, third, alone = rows(write(tmp_path, LOG))
    trace = {"kind": "plain", "concept:name": "t1", "late": "behind the events", "index": 1}
    assert first.values == {
        "trace": trace,
        "event": {
            "concept:name": "A",
            "org:resource": "nobody",
            "time:timestamp": "2020-01-01T00:00:00Z",
            "index": 1,
        },
    }
    assert second.values["trace"] == trace
    assert second.values["event"]["index"] == 2
    assert third.values["trace"] == {"kind": "special", "concept:name": "t2", "index": 2}
    assert alone.values == {
        "trace": {"kind": "plain"},
        "event": {"concept:name": "alone", "org:resource": "nobody", "index": 4},
    }
    assert [row.number for row in (first, second, third, alone)] == [1, 2, 3, 4]


def test_attributes_have_their_types(tmp_path: Path) -> None:
    """Whole numbers and booleans as such, fractions as text, nested ones by their path, lists as lists."""
    _, second, third, _ = rows(write(tmp_path, LOG))
    event = second.values["event"]
    assert {key: event[key] for key in ("cost", "cost/currency", "ok", "share", "tags")} == {
        "cost": 5,
        "cost/currency": "EUR",
        "ok": True,
        "share": "0.10",
        "tags": ["x", "y"],
    }
    assert third.values["event"]["cost"] == "many"


def test_damaged_xml_names_its_line(tmp_path: Path) -> None:
    """A log that is cut off gives its whole traces and then an error with the line."""
    found = rows(write(tmp_path, LOG[: LOG.index('<string key="concept:name" value="t2"/>')]))
    assert [next(found).number, next(found).number] == [1, 2]
    with pytest.raises(UsageError, match=r"log.xes:\d+: this is no XES"):
        next(found)


def test_entities_read_no_other_file(tmp_path: Path) -> None:
    """An entity that points at another file brings nothing of it in."""
    (tmp_path / "secret").write_text("secret")
    text = LOG.replace("<log ", f'<!DOCTYPE log [<!ENTITY x SYSTEM "file://{tmp_path}/secret">]>\n<log ', 1)
    text = text.replace('<string key="late" value="behind the events"/>', "<string key='late' value='v'>&x;</string>")
    try:
        found = str(list(rows(write(tmp_path, text))))
    except UsageError as error:
        found = str(error)
    assert "secret" not in found.replace(str(tmp_path), "")


@pytest.mark.shared_data
def test_bpic_2012_has_its_known_events() -> None:
    """A real log gives the number of events and cases that are known, in order, and as many as a plain text search."""
    path = shared_data("bpic2012", "bpic2012.xes.gz")
    found = Counter()  # type: Counter[str]
    traces = set()
    for row in rows(path):
        found[row.values["event"]["lifecycle:transition"]] += 1
        traces.add(row.values["trace"]["concept:name"])
    with gzip.open(path, "rt") as text:
        assert found["COMPLETE"] == sum('"lifecycle:transition" value="COMPLETE"' in line for line in text)
    assert (found.total(), len(traces), row.number) == (262_200, 13_087, 262_200)
    assert row.bytes_read == path.stat().st_size
