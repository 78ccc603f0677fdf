"""Ingest: every source record becomes a touchpoint or a dead letter with its reason, its origin and its bytes."""

from typing import Any

import msgspec
import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from streams.event import EVENT_BYTES_MAX
from streams.event_parsing import Reason
from streams.ingest import Ingestion, RejectLimitError, RejectLimits
from streams.touchpoint import Touchpoint, decode_touchpoint, encode_touchpoint, prefix_decoder, version_of

NOW = 1_790_000_000_000
TOLERANCE = 300_000


class Record:
    """A record of a source topic."""

    def __init__(self, value: bytes | None, offset: int = 7, key: bytes | None = b"k") -> None:
        self.key, self.value, self.offset, self.timestamp = key, value, offset, NOW


def event(**fields: Any) -> bytes:
    """An event with everything that is required, as JSON."""
    given_ = {"event_id": "1", "event_time": NOW, "source": "s", "type": "A", "account": "acme", **fields}
    return msgspec.json.encode({name: value for name, value in given_.items() if value is not ...})


def ingestion() -> Ingestion:
    """The stage for one topic."""
    return Ingestion("crm", "topic-id", "crm", 4, TOLERANCE)


def touchpoint_from(**fields: Any) -> Touchpoint:
    """The touchpoint of an event."""
    ((_, rows),) = ingestion().route(0, [Record(event(**fields))]).touchpoints.items()
    return decode_touchpoint(rows[0][1])


def test_an_event_becomes_a_touchpoint_of_its_account() -> None:
    """Every field arrives, value in millionths, attributes in order of their names, stamped with time and origin."""
    found = touchpoint_from(value="12.5", attributes={"b": 1, "a": True}, revision=3, person="p", operation="withdraw")
    assert (found.value, found.revision, found.person, found.withdrawn) == (12_500_000, 3, "p", True)
    assert list((found.attributes or {}).items()) == [("a", True), ("b", 1)]
    assert (found.ingest_time, found.origin, found.stream) == (NOW, ("crm", 0, 7), "crm")


@pytest.mark.parametrize(("value", "millionths"), [(0.1, 100_000), ("-3.000001", -3_000_001), (7, 7_000_000)])
def test_values_are_exact(value: Any, millionths: int) -> None:
    """Decimal text and numbers become whole millionths."""
    assert touchpoint_from(value=value).value == millionths


def test_text_is_normal_and_trimmed() -> None:
    """The same name in two spellings of Unicode, or with blanks around it, is one."""
    assert touchpoint_from(account="Cafe\u0301").account == touchpoint_from(account=" Café ").account == "Café"


def test_attributes_are_normal_but_not_trimmed() -> None:
    """Names and text in NFC, so that they equal what definitions say."""
    found = touchpoint_from(attributes={"Cafe\u0301 ": "Zu\u0308rich ", "n": 1})
    assert found.attributes == {"Café ": "Zürich ", "n": 1}


BAD: list[tuple[bytes | None, Reason, str]] = [
    (None, Reason.NOT_AN_EVENT, "no value"),
    (b"{", Reason.NOT_AN_EVENT, "Invalid JSON"),
    (b"[]", Reason.NOT_AN_EVENT, "event:"),
    (event(event_id=...), Reason.NOT_AN_EVENT, "event_id: Field required"),
    (event(persn="x"), Reason.NOT_AN_EVENT, "persn: there is no such field; did you mean person?"),
    (event(withdrawn=True), Reason.NOT_AN_EVENT, "withdrawn: there is no such field; what has no field of its own"),
    (event(event_time="5"), Reason.NOT_AN_EVENT, "event_time"),
    (event(event_time=-1), Reason.NOT_AN_EVENT, "event_time"),
    (event(event_time=2**53), Reason.NOT_AN_EVENT, "event_time"),
    (event(account=""), Reason.NOT_AN_EVENT, "account"),
    (event(account="a\x00b"), Reason.NOT_AN_EVENT, "account"),
    (event(account="ä" * 128), Reason.NOT_AN_EVENT, "256 bytes"),
    (event(type="x" * 256), Reason.NOT_AN_EVENT, "type"),
    (event(value="1.0000001"), Reason.NOT_AN_EVENT, "value"),
    (event(value="NaN"), Reason.NOT_AN_EVENT, "value"),
    (event(sector="retail"), Reason.NOT_AN_EVENT, "sector"),
    (event(attributes={"a": [1]}), Reason.NOT_AN_EVENT, "attributes.a"),
    (event(attributes={"a": 2**53}).replace(b"9007199254740992", b"9" * 30), Reason.NOT_AN_EVENT, "attributes.a"),
    (
        event(attributes={"a": "?"}).replace(b"?", b"\\ud800"),
        Reason.NOT_AN_EVENT,
        "",
    ),
    (event(attributes={"e\u0301": 1, "\u00e9": 2}), Reason.NOT_AN_EVENT, "the same text"),
    (event(attributes={"\u00e9" * 128: 1}), Reason.NOT_AN_EVENT, "more than 255 bytes"),
    (event(operation="delete"), Reason.NOT_AN_EVENT, "operation"),
    (b'{"event_id": "\\ud800", "event_time": 1, "source": "s", "type": "A"}', Reason.NOT_AN_EVENT, ""),
    (event(content="x" * EVENT_BYTES_MAX), Reason.TOO_LARGE, "at most"),
    (event(account=None), Reason.NO_ACCOUNT, "names no account"),
    (event(event_time=NOW + TOLERANCE + 1), Reason.FUTURE_TIME, "300 s ahead"),
]


@pytest.mark.parametrize(("value", "reason", "detail"), BAD)
def test_a_bad_record_is_a_dead_letter(value: bytes | None, reason: Reason, detail: str) -> None:
    """With its bytes, an id that never repeats, the reason, and what was found."""
    routed = ingestion().route(2, [Record(value)])
    (letter,) = routed.dead_letters
    headers = dict(letter.headers)
    assert (letter.value, letter.key) == (value, b"topic-id:2:7")
    assert headers["reason"].decode() == reason
    assert detail in headers["detail"].decode()
    assert (headers["topic"], headers["partition"], headers["offset"], headers["key"]) == (b"crm", b"2", b"7", b"k")
    assert routed.rejects == [(0, reason)]
    assert not routed.touchpoints


def test_a_record_above_the_bound_is_named_and_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """What no dead letter can hold must not end the worker at every start: its topic holds it."""
    monkeypatch.setattr("streams.ingest.LETTER_BYTES_MAX", 100)
    (letter,) = ingestion().route(1, [Record(b"x" * 90, key=b"k" * 11)]).dead_letters
    headers = dict(letter.headers)
    assert letter.value is None
    assert "key" not in headers
    assert headers["detail"].startswith(b"only its topic holds it, for it has 101 bytes with its key; ")


def test_the_tolerated_future_is_believed() -> None:
    """Exactly the tolerance ahead is no dead letter."""
    assert touchpoint_from(event_time=NOW + TOLERANCE).event_time == NOW + TOLERANCE


@given(st.binary(max_size=200))
def test_no_bytes_end_the_worker(value: bytes) -> None:
    """Whatever comes is one touchpoint or one dead letter."""
    routed = ingestion().route(0, [Record(value)])
    assert len(routed.dead_letters) + len(routed.touchpoints) == 1


_NAMES = st.sampled_from(["event_id", "account", "value", "attributes", "type", "revision"])
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
_ANYTHING = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


@given(st.dictionaries(_NAMES, _ANYTHING))
def test_no_field_ends_the_worker(fields: dict[str, Any]) -> None:
    """Fields of any type are accepted or explained."""
    routed = ingestion().route(0, [Record(event(**fields))])
    assert len(routed.dead_letters) + len(routed.touchpoints) == 1


@given(st.text(min_size=1, max_size=20).filter(lambda t: t.strip() and t.isprintable()))
def test_an_account_has_the_partition_of_every_kafka_client(account: str) -> None:
    """murmur2 of the account's bytes, as Java's and aiokafka's default."""
    routed = ingestion().route(0, [Record(event(account=account))])
    ((place, rows),) = routed.touchpoints.items()
    assert place == DefaultPartitioner()(rows[0][0], [0, 1, 2, 3], [0, 1, 2, 3])


def limits(**options: Any) -> RejectLimits:
    """Limits of 50 % in 2,000 and 1,500 in a row."""
    given_ = {"ratio_max": 0.5, "run_max": 1_500, "window": 2_000, "counts_no_account": False, **options}
    return RejectLimits(**given_)


def bad(*places: int, reason: Reason = Reason.NOT_AN_EVENT) -> list[tuple[int, Reason]]:
    """Rejects at these places of a batch."""
    return [(place, reason) for place in places]


def test_a_share_of_rejects_stops_ingest_once_the_sample_is_large_enough() -> None:
    """60 % of 900 records is too small a sample, of 1,800 it is not; the error says what and why."""
    judged = limits()
    sixty = bad(*(place for place in range(900) if place % 5 < 3))
    judged.judge(900, sixty, "crm/0 offset 5: type: Field required")
    with pytest.raises(RejectLimitError, match=r"1080 of the last 1800 .* 60% .*not-an-event 540.*Field required"):
        judged.judge(900, sixty, "crm/0 offset 5: type: Field required")


def test_old_records_leave_the_window() -> None:
    """A bad stretch long ago does not count for ever."""
    judged = limits()
    judged.judge(900, bad(*range(900)), "")
    judged.judge(1_000, [], "")
    judged.judge(1_000, [], "")
    judged.judge(1_000, bad(*range(0, 1_000, 2), *range(1, 801, 2)), "")


def test_a_run_of_rejects_stops_ingest() -> None:
    """Also where the share over the window would not, inside a batch, and over the edge of two."""
    judged = limits(ratio_max=1.0)
    judged.judge(1_000, bad(*range(1, 1_000)), "")
    with pytest.raises(RejectLimitError, match="1500 records in a row"):
        judged.judge(1_000, bad(*range(501)), "")
    with pytest.raises(RejectLimitError, match="1600 records in a row"):
        limits(ratio_max=1.0).judge(2_000, bad(*range(200, 1_800)), "")


def test_a_good_record_ends_a_run() -> None:
    """A batch of good ones, or one in the middle."""
    judged = limits(ratio_max=1.0)
    for _ in range(3):
        judged.judge(1_000, bad(*range(1_000)), "")
        judged.judge(10, [], "")
    judged.judge(2_000, bad(*range(1_000), *range(1_001, 2_000)), "")


def test_a_missing_account_counts_only_when_it_is_asked_for() -> None:
    """Identity comes later; until then many events may name no account. They neither end a run nor lengthen it."""
    unknown = bad(*range(2_000), reason=Reason.NO_ACCOUNT)
    limits().judge(2_000, unknown, "")
    with pytest.raises(RejectLimitError):
        limits(counts_no_account=True).judge(2_000, unknown, "")
    judged = limits(ratio_max=1.0)
    judged.judge(1_000, bad(*range(1_000)), "")
    judged.judge(2_000, unknown, "")
    with pytest.raises(RejectLimitError, match="in a row"):
        judged.judge(1_000, [*bad(*range(0, 1_000, 2)), *bad(*range(1, 1_000, 2), reason=Reason.NO_ACCOUNT)], "")


def test_a_prefix_of_a_touchpoint_reads_the_first_fields() -> None:
    """A stage that needs few fields decodes only those, and asks for none that does not exist."""
    whole = touchpoint_from(opportunity="o1")
    prefix = prefix_decoder({"opportunity"})(encode_touchpoint(whole))
    assert (prefix.opportunity, prefix.event_id) == ("o1", "1")
    assert not hasattr(prefix, "content_type")
    with pytest.raises(ValueError, match="no touchpoint has"):
        prefix_decoder({"nothing"})


def test_the_version_of_a_touchpoint_leaves_out_when_and_where_it_came_in() -> None:
    """Two deliveries of one event are the same version; another payload is another."""
    whole = touchpoint_from()
    again = msgspec.structs.replace(whole, ingest_time=5, origin=("web", 1, 2))
    assert version_of(whole) == version_of(again)
    assert version_of(whole) != version_of(msgspec.structs.replace(whole, type="B"))


def test_what_an_event_holds_is_shown_and_bounded() -> None:
    """A name with an escape sequence reaches neither the dead letter's detail nor an error message as it is."""
    routed = ingestion().route(0, [Record(event(**{"\x1b[2J" + "x" * 50_000: 1, "\u202eb": 2}))])
    ((_, detail), *_) = [header for header in routed.dead_letters[0].headers if header[0] == "detail"]
    assert detail.decode().startswith("\\x1b[2Jxxx")
    assert len(detail) < 1_100
    assert "\x1b" not in routed.example
    assert len(routed.example) < 1_100
