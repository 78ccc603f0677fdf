"""Mapping files: what is right is read, what is wrong is named with its place and what would be right."""

from pathlib import Path

import pytest
from pydantic import TypeAdapter

from streams.errors import UsageError
from streams.mapping.model import Mapping, load_mapping
from streams.mapping.times import Timing

WHOLE = """\
version: 1
topic: crm-events
source: crm
rows: {format: csv, delimiter: ";"}
lookups: {accounts: {file: accounts.csv, key: account}}
time: {format: "%Y-%m-%d", zone: Europe/Berlin, date_only: noon}
events:
  - when: "stage != ''"
    fields:
      event_id: {join: [id, {const: created}], with: "-"}
      event_time: {date: day, zone: UTC}
      type: {const: Created}
      account: {first: [account, {lookup: accounts, key: id, take: name}]}
      source_sequence: {row: number}
      value: {number: amount, decimal: ","}
      attributes.product: {map: {GTXPro: GTX Pro}, of: product}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "m.yaml"
    path.write_text(text)
    return path


def test_whole_mapping_is_read(tmp_path: Path) -> None:
    """A mapping with every kind of value is accepted, and a date says for itself what differs from the file's times."""
    mapping = load_mapping(write(tmp_path, WHOLE)).mapping
    date = mapping.events[0].fields["event_time"]
    assert mapping.time.timing() == Timing(("%Y-%m-%d",), "Europe/Berlin", "noon", "compatible")
    assert mapping.time.timing(date) == Timing(("%Y-%m-%d",), "UTC", "noon", "compatible")  # type: ignore[arg-type]


def test_mapping_survives_its_own_form(tmp_path: Path) -> None:
    """A mapping written out as JSON is read as the same mapping."""
    mapping = load_mapping(write(tmp_path, WHOLE)).mapping
    assert Mapping.model_validate_json(mapping.model_dump_json(by_alias=True, exclude_none=True)) == mapping


def test_schema_knows_the_keys_of_the_file() -> None:
    """The exported schema has the keys as they are written, for editors to complete."""
    schema = TypeAdapter(Mapping).json_schema(by_alias=True)
    assert set(schema["properties"]) == {"version", "topic", "source", "rows", "lookups", "time", "events"}
    assert set(schema["$defs"]["Join"]["properties"]) == {"join", "with"}


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("topic: crm-events", "topic: crm", "m.yaml:2:8: topic: should be 'crm-events' or 'web-events'; found 'crm'"),
        ("source: crm\n", "sorce: crm\n", "m.yaml:3:1: sorce: this key is not known here; did you mean source?"),
        ("source: crm\n", "", "events[0].fields: every event needs source; the source may also stand once at the top"),
        ("format: csv", "format: cvs", "rows: format should be one of 'csv', 'ndjson', 'xes', 'parquet'; found 'cvs'"),
        ('delimiter: ";"', 'delimiter: ";;"', "rows.delimiter: ';;' is no delimiter; write one character, tab or"),
        ('delimiter: ";"', "header: false", "rows: a file without a header needs columns"),
        ('delimiter: ";"', 'encoding: "\\0"', "'\\x00' is no encoding; write utf-8"),
        ('delimiter: ";"', "encoding: zlib", "'zlib' is no encoding; write utf-8"),
        ("Europe/Berlin", "Berlin", "m.yaml:6:34: time.zone: 'Berlin' is no time zone"),
        ("Europe/Berlin", "../../etc/passwd", "is no time zone"),
        ('"%Y-%m-%d"', "isoo", "time.format: 'isoo' is no time format; write iso, epoch_s, epoch_ms, or a pattern"),
        ("date_only: noon", "date_only: morning", "time.date_only: should be 'start_of_day', 'noon' or 'end_of_day'"),
        ("account: {", "acount: {", "'acount' is no field of an event; did you mean account? There are event_id"),
        ("attributes.product", "attributes.", "'attributes.' is no field of an event"),
        ("{const: Created}", "Deal Created", "m.yaml:12:13: events[0].fields.type: 'Deal Created' is no JMESPath"),
        ("{const: Created}", "{cons: Created}", "events[0].fields.type: should be a path, or a mapping with one of"),
        ("{row: number}", "{row: nummer}", "events[0].fields.source_sequence.row: should be 'number'"),
        (
            'with: "-"',
            'wth: "-"',
            "events[0].fields.event_id.wth: this key is not known here; did you mean with? The keys",
        ),
        ("stage != ''", "stage !== ''", "m.yaml:8:11: events[0].when: \"stage !== ''\" is no JMESPath"),
        ("take: name", "tke: name", "this key is missing"),
        ("      type: {const: Created}\n", "", "events[0].fields: every event needs type"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, right: str, wrong: str, said: str) -> None:
    """Each mistake is answered with its line, its path and what would be right."""
    assert right in WHOLE
    with pytest.raises(UsageError) as caught:
        load_mapping(write(tmp_path, WHOLE.replace(right, wrong, 1)))
    assert said in str(caught.value)
