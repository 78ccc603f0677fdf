"""Rows of XES event logs."""

import gzip
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from streams.errors import UsageError
from streams.sources import xes_rows
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
    with pytest.raises(UsageError, match="document type"):
        list(rows(write(tmp_path, text)))


LAUGHS = "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in pairwise("abcdefghij"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f'<!DOCTYPE x [<!ENTITY a "{"x" * 999}">{LAUGHS}]><log><trace x="&j;"/></log>', "this is no XES"),
        ("<log><event>" + "<list key='a'>" * 200 + "</list>" * 200 + "</event></log>", "more than 8 levels deep"),
        ("<log><event>" + "<int key='a'>" * 9 + "</int>" * 9 + "</event></log>", "more than 8 levels deep"),
        (f"<log><event><int key='{'k' * 1000}'><int key='a'/></int></event></log>", "a key of more than 1000"),
        ("<log><event>" + "".join(f"<int key='{i}'/>" for i in range(10_001)) + "</event></log>", "10000 attributes"),
        ("<log><trace>" + "<event/>" * 20_000 + "</trace></log>", "one trace or event has more than 100000 bytes"),
        ("<log>" + "<x/>" * 50_000 + "</log>", "one trace or event has more than 100000 bytes"),
        ("<log><string value='\x1b[2J'/></log>", "this is no XES"),
    ],
)
@pytest.mark.timeout(60)
def test_little_text_does_not_become_much(
    tmp_path: Path, text: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entities, depth, keys, attributes and what lies between two traces are bounded."""
    if "bytes" in said:
        monkeypatch.setattr(xes_rows, "PART_BYTES_MAX", 100_000)
    with pytest.raises(UsageError) as caught:
        list(rows(write(tmp_path, text)))
    assert said in str(caught.value)
    assert "\x1b" not in str(caught.value)


@pytest.mark.timeout(10)
def test_lists_of_lists_are_read_once(tmp_path: Path) -> None:
    """As deep as lists may lie, many times."""
    nested = "<list key='a'>" * 7 + "<int key='i' value='1'/>" + "</list>" * 7
    found = list(rows(write(tmp_path, "<log>" + f"<event>{nested}</event>" * 2_000 + "</log>")))
    assert len(found) == 2_000
    assert found[0].values["event"]["a/a/a/a/a/a/a/i"] == 1


@pytest.mark.parametrize("value", ["+-5", "9" * 5_000, "", "1e5", "\u0661"])
def test_whole_numbers_that_are_none_stay_text(tmp_path: Path, value: str) -> None:
    """Whatever stands there."""
    (found,) = rows(write(tmp_path, f"<log><event><int key='n' value='{value}'/></event></log>"))
    assert found.values["event"]["n"] == value


def test_namespaces_and_scopes_may_be_any_text(tmp_path: Path) -> None:
    """A scope that is neither event nor trace says nothing; a namespace that is no URI is told as any mistake."""
    log = '<log><global scope="x"><int key="n" value="1"/></global><event/></log>'
    (found,) = rows(write(tmp_path, log))
    assert found.values == {"trace": {}, "event": {"index": 1}}
    with pytest.raises(UsageError, match="not a valid URI"):
        list(rows(write(tmp_path, log.replace("<log>", '<log xmlns="a}b">'))))


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
