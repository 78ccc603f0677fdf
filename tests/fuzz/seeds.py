"""Good input of every form, for the fuzzers to spoil."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
from ruamel.yaml import YAML

from state.accounts import Accounts
from state.definition_set import DefinitionSet, publications
from state.definitions import DefinitionFile
from state.job import Job, Part
from state.rows import decode_container, encode_row
from state.series import Revision
from streams.alert import encode_alert
from streams.membership import encode_change
from streams.partials import Covers, Tag, encode_cell, encode_covers, encode_partial
from streams.protocol_rows import CommitRow, Input, Poison, encode_commit
from streams.touchpoint import encode_touchpoint
from tests.agents.delivery.worlds import alert, change
from tests.state.layers_of import layers_of
from tests.state.memory_store import MemoryStore
from tests.state.worlds import Record, definition_set, touchpoint

_ROOT = Path(__file__).parents[2]
_EXAMPLES = _ROOT / "examples"
_READ_YAML = YAML(typ="safe").load


def _as_json(path: Path) -> bytes:
    """A YAML file as JSON, which is YAML: its tree can be spoiled."""
    return json.dumps(_READ_YAML(path.read_text())).encode()


EVENTS = [
    json.dumps(event).encode()
    for event in (
        {"version": 1, "event_id": "0061x-created", "event_time": 1_789_000_000_000, "source": "salesforce",
         "type": "Opportunity Created", "account": "Acme Corp", "opportunity": "0061x", "person": "jo@acme.example",
         "value": "12500.00", "revision": 3, "attributes": {"sector": "retail", "seats": 40, "renewal": False}},
        {"event_id": "v\u00e9", "event_time": 1, "source": "w", "type": "T", "account": "A", "value": -0.25,
         "operation": "withdraw", "content": "/pricing", "attributes": {"e\u0301": "e\u0301", "f": 0.5}},
    )
]  # fmt: skip

_TOUCHPOINTS = [
    touchpoint("1", 1_700_000_000_000, "A", opportunity="o1", person="p", value=5, attributes={"tier": 1, "hot": True}),
    touchpoint("2", 1_700_000_000_001, "B", content_type="x", origin=("t", 0, 1)),
    touchpoint("3", 1_700_900_000_000, "A", opportunity="o1", buying_group="g", revision=2, withdrawn=True),
]
TOUCHPOINTS = [encode_touchpoint(each) for each in _TOUCHPOINTS]

_SET = definition_set(
    [
        {"name": "c", "kind": "canvas", "container": "opportunity",
         "nodes": [{"id": "a", "match": {"field": "type", "value": "A"}}], "arrows": []},
        {"name": "f", "kind": "flow", "container": "account", "dimension": "type", "columns": 3},
    ]
)  # fmt: skip
_ROWS = Accounts(layers_of(_SET), MemoryStore()).compute([Record(each) for each in _TOUCHPOINTS]).rows
CONTAINERS = [value for key, value in _ROWS if key[:1] in b"ks" and value is not None]
CELLS = [encode_cell("0f0f0f0f0f0f", ("n", 3, 20_000)), encode_cell("v", ("o", 1, [None, "x"], ["y"]))]
PARTIALS = [
    encode_partial(Tag(0, 5121), 7),
    encode_partial(Tag(1, 2**40), -(2**70)),
    encode_covers(Covers(Tag(0, 5121), {"milepost.touchpoints": 99}, 1_790_000_000_000, 1_789_000_000_000, "ab")),
]
_CONTAINER = next(value for key, value in _ROWS if key[:1] == b"k" and value is not None)
JOBS = [
    encode_row(
        Job(5, {b"kacme\0a": Part(Revision(decode_container(_CONTAINER), {}, b"sacme\0a\0"), [[(["n", 1], "2")]])})
    )
]
SET_ASIDE = [b'{"at_ms":1790000000000,"why":"it divides by zero"}']
LETTERS = [
    b'{"reason":"not-an-event","detail":"event_id: Field required","topic":"milepost.crm-events","partition":"3",'
    b'"offset":"7","key":"k"}'
]
COMMITS = [
    encode_commit(CommitRow(7, {"t": Input(99, "x" * 22)}, 1_790_000_000_000, "ab", b"\x92\x90\x90")),
    encode_commit(CommitRow(8, {}, 1, "ab", b"", Poison("t", 5, 2, "ZeroDivisionError()"))),
]

_HEAD = {
    "format": 1, "analysis": "a", "title": "A", "version": "v", "container": "account", "zone": "UTC", "mode": {},
    "range": None, "tag": [5, 6], "clock_ms": 1, "watermark_ms": 2, "applied": {"0": 5}, "definitions_hash": "ab",
}  # fmt: skip
_BODY_BY_KIND = {
    "canvas": {"total": 2, "nodes": {"n": [1, None, 50.0, 50.0, None, 1, None]}, "arrows": {"n>m": [1, 100.0]}},
    "cohort": {"rows": [["2026-09-01", 3, [3, 1, None]]], "shares": [[100.0, 33.33, None]], "partial_from": [1],
               "average": [100.0, 33.33, None], "granularity": "month", "mode": "retention"},
    "flow": {"total": 2, "columns": [{"step": 0, "items": [["x", 2]], "more": [1, None], "exits": [["x", 1, 1]]}],
             "links": [[0, "x", 1, None, 1]], "sequences": [[["w"], ["x"], 1]],
             "link_marks": [[0, ["skip"]]], "sequence_marks": [[0, 0, ["loop", "back"]]]},
}  # fmt: skip
SNAPSHOTS = [json.dumps({"kind": kind, **_HEAD, "body": body}).encode() for kind, body in _BODY_BY_KIND.items()] + [
    json.dumps(
        {"format": 1, "tag": [0, 5], "account": "A", "touchpoint_count": 4,
         "last_touchpoint": {"event_time": 1, "type": "T", "source": "s", "event_id": "e"}, "canvas": {"c": ["n"]},
         "cohort": {}, "container_count": 1,
         "containers": [{"kind": "person", "id": "p", "canvas": {}, "cohort": {"d": ["2026-09-01"]}}]}
    ).encode()
]  # fmt: skip

_RICH = {
    "version": 1, "zone": "Europe/Berlin", "week_start": "sunday",
    "analyses": [
        {"name": "c", "kind": "canvas", "container": "opportunity", "metric": "value",
         "secondary": "events", "arrow_values": True, "trend": True, "steps": {"dimension": "content"},
         "nodes": [{"id": "a", "match": {"any": [{"field": "value", "op": ">=", "value": 0.5}, {"not": {
             "field": "attributes.tier", "op": "exists", "value": True}}]},
             "breakdown": {"dimension": "channel", "top": 3}},
            {"id": "b", "match": {"all": [{"field": "content", "op": "matches", "value": "^(?:/a|b)+[0-9]{1,3}x?$"},
                                         {"field": "type", "op": "in", "value": ["A", "B"]}]}}],
         "arrows": [{"from": "a", "to": "b", "within": "30d", "after": "2h"}]},
        {"name": "d", "kind": "cohort", "container": "account", "granularity": "week", "mode": "churn",
         "include": "every", "inclusion": {"any": [{"match": {"field": "type", "value": "A"}}]},
         "return": {"all": [{"match": {"field": "type", "op": "!=", "value": "A"}, "metric": "value", "op": "<",
                             "number": 2.5}]}, "periods": 3},
        {"name": "e", "kind": "flow", "container": "session", "dimension": "attributes.tier", "starts_with": "x",
         "limit": "first", "columns": 4, "stages": ["x", "y"], "include_repeats": True, "count": "containers",
         "top": 3, "filter": {
             "account": {"all": [{"some": "person", "that": {"has": {"match": {"field": "type", "value": "A"}}}}]},
             "then": {"person": {"not": {"last": {"field": "channel", "value": "web"}}},
                      "then": {"touchpoints": {"field": "type", "value": "B"}}}}},
    ],
}  # fmt: skip
_DEFINITION_FILES = sorted((_EXAMPLES / "definitions").glob("*.yaml"))
DEFINITIONS = [json.dumps(_RICH).encode(), *map(_as_json, _DEFINITION_FILES)]
ONE_DEFINITION = [json.dumps({**_RICH, "analyses": [each]}).encode() for each in _RICH["analyses"]]
DEFINITIONS_YAML = [path.read_bytes() for path in _DEFINITION_FILES]
_DELIVERY_FILES = sorted((_EXAMPLES / "delivery").glob("*.yaml"))
DELIVERY_FILES = [*map(_as_json, _DELIVERY_FILES)]
DELIVERY_FILES_YAML = [path.read_bytes() for path in _DELIVERY_FILES]
TEMPLATES = [
    b'{"who": {{ who.account | tojson }}, "n": {{ touchpoints | length + 1 }}}',
    b"{% for each in touchpoints %}{% if loop.first %}{{ each.type ~ ' ' ~ each.person }}{% endif %}{% endfor %}",
]
MESSAGES = [encode_alert(alert("Acme")), encode_change(change("Acme"))]
DELIVERY_ORDERS = [
    b'{"order":"pause","destination":"hook"}',
    b'{"order":"configure","file":{"version":1,"destinations":{},"routes":[]}}',
    b'{"format":1,"id":"msg_1","destination":"hook","route":"all","kind":"alert","subject":"a","revision":1,"state":"dead",'
    b'"attempts":1,"created_ms":1,"due_ms":1,"changed_ms":1,"why":null}',
]
_FILES = [DefinitionFile.model_validate(_READ_YAML(text)) for text in DEFINITIONS[:2]]
PUBLICATIONS = [
    value for file in _FILES for value in publications(file, DefinitionSet(()), 0)[0].values() if value is not None
]
CHECKPOINTS = [
    b'{"tally":{"rows":5,"rows_rejected":1,"events_by_type":{"T":4},"rejects_by_reason":{"x":1}},"ends":{"0":7},'
    b'"rejects_path":"/tmp/x","rejects_bytes":9,"finished":true}'
]

_MAPPINGS = _EXAMPLES / "mappings"
COUNTRIES = (_MAPPINGS / "countries.csv").read_bytes()
CONTACTS = (_MAPPINGS / "contacts.csv").read_bytes()
CONTACTS_MAPPING = (_MAPPINGS / "contacts.yaml").read_bytes()
MAPPINGS_YAML = [path.read_bytes() for path in sorted(_MAPPINGS.glob("*.yaml"))]
MAPPINGS = [_as_json(path) for path in sorted(_MAPPINGS.glob("*.yaml"))]

BLANKS = b"00001 19970101 1 11.77\n00002 19970112 1 12.00\n"
BLANKS_MAPPING = b"""\
topic: crm-events
source: b
rows: {format: csv, delimiter: whitespace, encoding: utf-16-le, header: false, columns: [id, day, number, amount]}
time: {format: "%Y%m%d", zone: UTC, date_only: noon}
events: [{fields: {event_id: {row: number}, event_time: day, type: {const: T}, account: id, value: {number: amount}}}]
"""
BLANKS = BLANKS.decode().encode("utf-16-le")

NDJSON = b"""\
{"id": "1", "at": 1700000000000, "account": "A", "price": 1.50, "big": 12345678901234567890, "o": {"deep": [1, "x"]}}
{"id": "2", "at": "1700000000000", "account": "B", "price": 1234.5, "share": 0.100000000000000005, "flag": true}
{"id": "3", "at": 17e11, "account": null, "price": 1e3, "o": {"deep": "y"}, "l": [{"a": 1}, {"a": "b"}]}
"""
NDJSON_MAPPING = b"""\
topic: web-events
source: n
rows: {format: ndjson, absent: ["-"]}
time: {format: [epoch_ms, iso, "%d.%m.%Y"], zone: America/St_Johns, date_only: end_of_day, clock_change: reject}
events:
  - when: "id != 'x' && (flag || price > share || contains(id, o.deep) || length(l) > `0`)"
    fields:
      event_id: {join: [id, {row: number}], with: "-"}
      event_time: at
      type: {map: {"1": One}, of: id, unknown: keep}
      account: account
      revision: big
      value: {number: price, thousands: ","}
      content: {first: [o.deep, "l[0].a"]}
      attributes.share: share
      attributes.price: {number: price, thousands: ","}
      attributes.flag: flag
      attributes.rounded: ceil(price)
      attributes.sum: to_number(id)
"""

XES_MAPPING = (_MAPPINGS / "bpic2012.yaml").read_bytes()
LOGS = [
    b"""<?xml version="1.0" encoding="UTF-8"?>
<log xmlns="http://www.xes-standard.org/">
  <global scope="event"><string key="org:resource" value="nobody"/></global>
  <trace>
    <string key="concept:name" value="t1"/><int key="AMOUNT_REQ" value="5000"/>
    <event><string key="concept:name" value="A"/><string key="lifecycle:transition" value="COMPLETE"/>
      <date key="time:timestamp" value="2020-01-01T00:00:00.000+01:00"/>
      <list key="tags"><values><string key="tag" value="x"/></values><string key="old" value="y"/></list>
      <int key="cost" value="5"><string key="currency" value="EUR"/></int><boolean key="ok" value="true"/></event>
  </trace>
  <event><string key="concept:name" value="alone"/><string key="lifecycle:transition" value="COMPLETE"/></event>
</log>
""",
    b"<log><trace><event><list key='a'><list key='b'><int key='c' value='1'/></list></list></event></trace></log>",
]


def _parquet() -> bytes:
    """A file with a column of every kind that paths see as another one."""
    with TemporaryDirectory() as folder, duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(
            "COPY (SELECT 'e' || i AS id, TIMESTAMPTZ '2020-01-01 00:00:00+00' + to_seconds(i) AS at, 'A' AS account,"
            " CAST(i AS DECIMAL(10, 2)) AS price, {'deep': ['x', NULL], 'share': CAST(0.1 AS FLOAT)} AS o,"
            " MAP {'k': i} AS m, encode('b') AS raw, DATE '2020-01-01' AS day, i % 2 = 0 AS flag"
            f" FROM range(3) AS t(i)) TO '{folder}/f' (FORMAT parquet)"
        )
        return (Path(folder) / "f").read_bytes()


PARQUET = _parquet()
PARQUET_MAPPING = b"""\
topic: web-events
source: p
rows: {format: parquet}
time: {zone: UTC, date_only: noon}
events:
  - fields:
      {event_id: id, event_time: {first: [at, day]}, type: {const: T}, account: account, value: price, content: raw,
       attributes.deep: "o.deep[0]", attributes.share: o.share, attributes.k: m.k, attributes.flag: flag}
"""
