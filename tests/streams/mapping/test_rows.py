"""Rows become events by a mapping: every row is taken whole, rejected with its reason, or none of the events."""

import json
from collections import Counter, defaultdict
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import UsageError
from streams.mapping.file import MappedFile, open_mapped
from streams.mapping.rows import Reject
from tests.shared_data import shared_data

NOW_MS = 1_760_000_000_000
EXAMPLES = Path(__file__).parents[3] / "examples"
FIELDS = {"event_id": "id", "event_time": "at", "type": {"const": "T"}, "account": "account"}


def opened(path: Path, mapping: Path) -> MappedFile:
    return open_mapped(path, mapping, now_ms=NOW_MS, future_tolerance_ms=300_000)


def mapped(folder: Path, rows: list[dict[str, Any]], /, *rules: dict[str, Any], **top: Any) -> list[Any]:
    """What the rows of an NDJSON file become: a list of events, or a reject, for each."""
    mapping: dict[str, Any] = {
        "topic": "crm-events",
        "source": "s",
        "rows": {"format": "ndjson"},
        "time": {"format": "epoch_ms"},
        "events": [{"fields": FIELDS | rule.pop("fields", {}), **rule} for rule in rules or ({},)],
    }
    (folder / "m.yaml").write_text(json.dumps(mapping | top))  # JSON is YAML
    (folder / "f.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
    file = opened(folder / "f.ndjson", folder / "m.yaml")
    return [
        said if isinstance(said, Reject) else [json.loads(event.payload) for event in said]
        for said in map(file.mapper.events_of, file.rows())
    ]


ROW = {
    "id": "1",
    "at": 5,
    "account": "A",
    "x": " a ",
    "y": "",
    "n": 7,
    "f": 1.5,
    "b": True,
    "o": {"deep": "d"},
    "l": [1],
}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("x", "a"),
        ("y", None),
        ("absent", None),
        ("o.deep", "d"),
        ("n", "7"),
        ("f", "1.5"),
        ("b", "true"),
        ({"const": "c"}, "c"),
        ({"const": 1.0}, "1"),
        ({"row": "number"}, "1"),
        ({"join": ["x", "n", {"const": "!"}], "with": "/"}, "a/7/!"),
        ({"join": ["x", "y"]}, None),
        ({"first": ["y", "absent", "n", "x"]}, "7"),
        ({"first": ["y"]}, None),
        ({"map": {"a": "b"}, "of": "x"}, "b"),
        ({"map": {"7": "seven"}, "of": "n"}, "seven"),
        ({"map": {"z": "b"}, "of": "x"}, "a"),
        ({"map": {"z": "b"}, "of": "x", "unknown": "absent"}, None),
        ({"map": {"z": "b"}, "of": "y", "unknown": "reject"}, None),
        ({"number": {"const": "1.234,50"}, "decimal": ",", "thousands": "."}, "1234.50"),
        ({"number": "y"}, None),
        ({"date": "n"}, "7"),
    ],
)
def test_values(tmp_path: Path, value: Any, expected: str | None) -> None:
    """Each kind of value, in a field of text: trimmed, in plain digits, and nothing where there is nothing."""
    ((event,),) = mapped(tmp_path, [ROW], {"fields": {"person": value}})
    assert event.get("person") == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("x", "a"),
        ("n", 7),
        ("f", 1.5),
        ("b", True),
        ({"number": "n"}, 7),
        ({"number": "f"}, 1.5),
        ({"const": False}, False),
    ],
)
def test_attributes_keep_their_kind(tmp_path: Path, value: Any, expected: Any) -> None:
    """Numbers and booleans of the row, or made by `number`, are such in the attributes."""
    ((event,),) = mapped(tmp_path, [ROW], {"fields": {"attributes.k": value}})
    assert event["attributes"] == {"k": expected}
    assert type(event["attributes"]["k"]) is type(expected)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("person", "o", "person: wrong value"),
        ("person", "l", "person: wrong value"),
        ("person", {"map": {"z": "b"}, "of": "x", "unknown": "reject"}, "person: wrong value"),
        ("attributes.k", {"number": "x"}, "attributes.k: wrong value"),
        ("revision", "f", "revision: wrong value"),
        ("revision", "b", "revision: wrong value"),
        ("event_time", "x", "event_time: wrong value"),
        ("event_time", "y", "event_time: no value"),
        ("event_id", "y", "event_id: no value"),
        ("event_time", {"const": NOW_MS + 300_001}, "event_time: in the future"),
        ("operation", "x", "not an event: operation: Input should be 'upsert' or 'withdraw'"),
        ("person", {"const": "p" * 256}, "not an event: person: String should have at most 255 characters"),
        ("person", "length(n)", "person: wrong value"),
    ],
)
def test_wrong_rows_are_rejected_with_reason(tmp_path: Path, field: str, value: Any, reason: str) -> None:
    """A row with a wrong value gives a reject with the row, and the next row is read."""
    first, second = mapped(tmp_path, [ROW, ROW], {"fields": {field: value}})
    assert (first.reason, first.row, first.values) == (reason, 1, ROW)
    assert second.row == 2


def test_row_is_taken_whole_or_not_at_all(tmp_path: Path) -> None:
    """When the second event of a row is wrong, the first is not sent."""
    rows = [ROW | {"at2": "6"}, ROW | {"at2": "soon"}]
    good, bad = mapped(tmp_path, rows, {}, {"fields": {"event_id": {"const": "2"}, "event_time": "at2"}})
    assert [event["event_time"] for event in good] == [5, 6]
    assert isinstance(bad, Reject)


def test_conditions_choose_the_events(tmp_path: Path) -> None:
    """A row becomes each event whose condition holds, or none."""
    rules = {"when": "n > `5`"}, {"when": "x == ' a '", "fields": {"event_id": {"const": "2"}}}
    found = mapped(tmp_path, [ROW, ROW | {"x": "b"}, ROW | {"x": "b", "n": 1}], *rules)
    assert [[event["event_id"] for event in events] for events in found] == [["1", "2"], ["1"], []]


def test_condition_without_an_answer_is_a_reject(tmp_path: Path) -> None:
    """JMESPath's refusal to compare is told, not taken for no."""
    (said,) = mapped(tmp_path, [ROW], {"when": "contains(n, 'x')"})
    assert said.reason == "when: no answer"


def test_events_without_account_are_sent(tmp_path: Path) -> None:
    """A missing account rejects no row; a text that is listed as absent is no account."""
    rows = [ROW | {"account": "NULL"}, ROW | {"account": None}]
    assert [
        "account" in event for ((event),) in mapped(tmp_path, rows, rows={"format": "ndjson", "absent": ["NULL"]})
    ] == [
        False,
        False,
    ]


def test_wrong_bytes_reject_their_row_only(tmp_path: Path) -> None:
    """A byte that is not of the encoding rejects a row where an event would have it."""
    (tmp_path / "f.csv").write_bytes(b"id,at,account,other\n1,5,A\xff,\n2,6,B,\xff\n")
    (tmp_path / "m.yaml").write_text(
        json.dumps(
            {
                "topic": "crm-events",
                "source": "s",
                "rows": {"format": "csv"},
                "time": {"format": "epoch_ms"},
                "events": [{"fields": FIELDS}],
            }
        )
    )
    file = opened(tmp_path / "f.csv", tmp_path / "m.yaml")
    first, second = map(file.mapper.events_of, file.rows())
    assert isinstance(first, Reject)
    assert first.reason == "wrong encoding"
    assert not isinstance(second, Reject)


@given(value=st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**11), max_value=10**11, places=6))
def test_values_are_kept_exactly(value: Decimal, tmp_path_factory: pytest.TempPathFactory) -> None:
    """An amount is the same decimal in the event, whether the file had it as text or as a number."""
    folder = tmp_path_factory.mktemp("m")
    text = format(value, "f")
    found = mapped(folder, [ROW | {"v": text}], {"fields": {"value": "v"}})
    assert Decimal(found[0][0]["value"]) == value
    (folder / "f.ndjson").write_text(f'{{"id": 1, "at": 5, "v": {text}}}\n')
    file = opened(folder / "f.ndjson", folder / "m.yaml")
    (event,) = file.mapper.events_of(next(file.rows()))
    assert not isinstance(event, Reject)
    assert Decimal(json.loads(event.payload)["value"]) == value  # type: ignore[attr-defined]


LOOKUPS = {"lookups": {"t": {"file": "t.csv", "key": "k"}}}


def test_lookup_takes_a_column_of_another_file(tmp_path: Path) -> None:
    """A key that is there gives its column, one that is not gives nothing."""
    (tmp_path / "t.csv").write_text("k,v\na,1\n b ,\n7,seven\n")
    rules = {"fields": {"person": {"lookup": "t", "key": "x", "take": "v"}}}
    rows = [ROW, ROW | {"x": "b"}, ROW | {"x": "zz"}, ROW | {"x": 7}]
    found = mapped(tmp_path, rows, rules, **LOOKUPS)
    assert [event.get("person") for ((event),) in found] == ["1", None, None, "seven"]


@pytest.mark.parametrize(
    ("lookup", "text", "said"),
    [
        ({"lookup": "u", "key": "x", "take": "v"}, "k,v\n", "there is no lookup 'u'; under lookups: t"),
        ({"lookup": "t", "key": "x", "take": "w"}, "k,v\n", "has no column 'w'; it has k, v"),
        ({"lookup": "t", "key": "x", "take": "v"}, "j,v\n", "has no column 'k'; it has j, v"),
        ({"lookup": "t", "key": "x", "take": "v"}, "k,v\na,1\na,2\n", "row 2: the k 'a' stands twice"),
        ({"lookup": "t", "key": "x", "take": "v"}, "k,v\na\n", "row 1: 1 values where the file has 2 columns"),
    ],
)
def test_lookups_that_do_not_fit(tmp_path: Path, lookup: dict[str, str], text: str, said: str) -> None:
    """A lookup that is not there, lacks a column or has a key twice is an error of the mapping."""
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UsageError) as caught:
        mapped(tmp_path, [ROW], {"fields": {"person": lookup}}, **LOOKUPS)
    assert said in str(caught.value)


def test_column_that_the_file_lacks_is_an_error_before_the_first_row(tmp_path: Path) -> None:
    """A name that the header does not have is told with the place in the mapping and the names that there are."""
    path = tmp_path / "f.csv"
    path.write_text("opportunity_id,when\n")
    with pytest.raises(UsageError, match=r"maven_crm.yaml:\d+:\d+: .*no column 'opportunity_id'|no column") as caught:
        opened(path, EXAMPLES / "mappings" / "maven_crm.yaml")
    assert "it has opportunity_id, when" in str(caught.value)
    assert "events[0].fields.event_time.date" in str(caught.value)


def test_time_rules_that_lack_something_are_an_error_before_the_first_row(tmp_path: Path) -> None:
    """A pattern without a zone is an error of the mapping, not of each row."""
    with pytest.raises(UsageError, match="name the zone"):
        mapped(tmp_path, [], time={"format": "%Y-%m-%d %H:%M"})


def outcomes(path: Path, mapping: str) -> tuple[list[dict[str, Any]], list[Reject]]:
    file = opened(path, EXAMPLES / "mappings" / mapping)
    events: list[dict[str, Any]] = []
    rejects = []
    for row in file.rows():
        said = file.mapper.events_of(row)
        if isinstance(said, Reject):
            rejects.append(said)
        else:
            events += [json.loads(event.payload) for event in said]
    return events, rejects


def test_tutorial_does_what_its_comments_say() -> None:
    """The mapping to learn from: one reject, one event without an account, dates, amounts and lookups as described."""
    events, rejects = outcomes(EXAMPLES / "mappings" / "contacts.csv", "contacts.yaml")
    assert [(reject.row, reject.reason) for reject in rejects] == [(5, "event_time: no value")]
    assert [event["source_sequence"] for event in events if "account" not in event] == [6]
    by_id = {event["event_id"]: event for event in events}
    assert by_id["webinar-2"]["event_time"] == 1738537200000  # 2025-02-03 00:00 in Berlin
    assert by_id["form-3"]["event_time"] == 1743298200000  # 02:30 was skipped: 03:30
    assert by_id["order-4"]["value"] == "1234.50"
    assert by_id["webinar-2"]["channel"] == "Other"
    assert by_id["form-3"]["attributes"] == {"country": "Finland"}


def test_maven_crm_accounts_for_every_row() -> None:
    """The dirty export: 8,800 rows, of which 500 have no date and 1,425 no account, and nothing gets lost."""
    path = EXAMPLES / "maven_crm" / "sales_pipeline.csv"
    lines = [line.split(",") for line in path.read_text().splitlines()[1:]]
    events, rejects = outcomes(path, "maven_crm.yaml")
    assert Counter(reject.reason for reject in rejects) == {"event_time: no value": 500}
    assert {reject.row for reject in rejects} == {i for i, line in enumerate(lines, 1) if not line[5]}
    assert Counter(event["type"] for event in events) == {
        "Opportunity Created": 8300,
        "Closed-Won": 4238,
        "Closed-Lost": 2473,
    }
    without = {event["source_sequence"] for event in events if "account" not in event}
    assert len(without) == 1088
    assert without | {r.row for r in rejects if not r.has_account} == {i for i, x in enumerate(lines, 1) if not x[3]}
    assert sum(not line[3] for line in lines) == 1425
    won = [event for event in events if event["type"] == "Closed-Won"]
    assert sum(int(event["value"]) for event in won) == sum(int(line[7]) for line in lines if line[4] == "Won")
    assert "GTXPro" not in {event["attributes"]["product"] for event in events}
    assert len({event["event_id"] for event in events}) == len(events)


@pytest.mark.shared_data
def test_cdnow_keeps_every_purchase() -> None:
    """Every purchase is an event of its own, also the same one twice a day, and no cent is lost."""
    path = shared_data("cdnow", "CDNOW_master.txt")
    lines = [line.split() for line in path.read_text().splitlines()[1:] if line.strip()]
    events, rejects = outcomes(path, "cdnow.yaml")
    assert not rejects
    assert len({event["event_id"] for event in events}) == len(lines) == 69_659
    assert len({event["account"] for event in events}) == 23_570
    assert sum(Decimal(event["value"]) for event in events) == sum(Decimal(line[3]) for line in lines)


@pytest.mark.shared_data
def test_bpic_2012_gives_its_known_figures() -> None:
    """Completed events only: cases per activity, and the transitions when ties keep the log's order."""
    events, rejects = outcomes(shared_data("bpic2012", "bpic2012.xes.gz"), "bpic2012.yaml")
    assert not rejects
    assert len(events) == 164_506
    cases: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for event in events:
        cases[event["account"]].append((event["event_time"], event["source_sequence"], event["type"]))
    reached = Counter(kind for steps in cases.values() for kind in {kind for _, _, kind in steps})
    known = {"A_SUBMITTED": 13_087, "A_PREACCEPTED": 7_367, "O_SENT": 5_015, "O_SENT_BACK": 3_254, "A_ACTIVATED": 2_246}
    assert {kind: reached[kind] for kind in known} == known
    edges = Counter((a[2], b[2]) for steps in cases.values() for a, b in pairwise(sorted(steps)))
    assert (len(edges), edges.total()) == (138, 151_419)


@pytest.mark.parametrize("text", ["1e999999999", "-1e-999999999", "NaN", "sNaN", "Infinity", "-inf", "9" * 301])
@pytest.mark.parametrize("field", ["person", "attributes.k", "revision", "value"])
def test_numbers_that_can_not_be_written_out_are_rejected(tmp_path: Path, text: str, field: str) -> None:
    """1e999999999 in plain digits would fill the memory, and the others are no numbers of money."""
    (reject,) = mapped(tmp_path, [{**ROW, "s": text}], {"fields": {field: {"number": "s"}}})
    assert reject.reason == f"{field}: wrong value"
    assert len(reject.detail) < 300


@pytest.mark.parametrize(
    "when",
    ["n < x", "contains(x, n)", "ceil(huge) > `1`", "x.y[0] == sum(l)", "join('', l) == 'x'", "sort(mixed)[0] == 'x'"],
)
def test_conditions_that_a_row_can_not_answer(tmp_path: Path, when: str) -> None:
    """JMESPath compares and searches what Python does not: such a row is rejected, and the next one is read."""
    row = {**ROW, "huge": "1e400", "mixed": [1, "a"]}
    found = mapped(tmp_path, [row, ROW], {"when": when.replace("huge", "to_number(huge)")})
    assert isinstance(found[0], Reject | list)
    assert len(found) == 2


def test_what_a_row_holds_is_shown_and_bounded(tmp_path: Path) -> None:
    """A terminal obeys nothing of a rejected row, and nobody has to read all of it; the rejects' file has it."""
    hostile = "\x1b[2J" + "x" * 100_000
    (reject,) = mapped(tmp_path, [{**ROW, "x": hostile}], {"fields": {"event_time": "x"}})
    assert reject.detail.startswith("event_time: '\\x1b[2Jx")
    assert len(reject.detail) == 1_000
    assert reject.values["x"] == hostile


def test_deep_rows_are_rows(tmp_path: Path) -> None:
    """As deep as JSON may be: a value among them is no text, and saying so does not write it out."""
    deep: Any = []
    for _ in range(400):
        deep = [deep]
    (reject,) = mapped(tmp_path, [{**ROW, "x": deep}], {"fields": {"person": "x"}})
    assert reject.detail == "person: a list is no single value"
