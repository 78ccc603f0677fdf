"""What is read without the events' model is what the model reads."""

import json
from typing import Any

import pytest
from hypothesis import event as hypothesis_event
from hypothesis import example, given
from hypothesis import strategies as st

from generator.plan import GeneratorPlan
from generator.rhythm import DAY_MS
from generator.stream import generate
from streams import event_parsing
from streams.event import CONTENT_BYTES_MAX, ID_BYTES_MAX, Event
from streams.event_parsing import Rejection, touchpoint_of
from streams.plain_event import PlainEvent, plain_event
from streams.touchpoint import encode_touchpoint

NOW_MS = 20_717 * DAY_MS
_REQUIRED = {"event_id": '"e"', "event_time": str(NOW_MS), "source": '"s"', "type": '"t"', "account": '"a"'}

_TEXT_TOKENS = [
    '"plain"', '"two words"', '" before"', '"behind "', '" "', '""', '"\t"', '"a\x7fb"', '"Z\\u00fcrich"', '"Zürich"',
    '"a\\nb"', '"\\ud800"', '"a,b: c"', '"x": "', f'"{"i" * ID_BYTES_MAX}"', f'"{"i" * (ID_BYTES_MAX + 1)}"',
    f'"{"c" * CONTENT_BYTES_MAX}"', f'"{"c" * (CONTENT_BYTES_MAX + 1)}"', '"1"', '"withdraw"', '"upsert"',
]  # fmt: skip
_NUMBER_TOKENS = [
    "0", "-0", "1", "1.0", "1e3", "1E400", "-1", "0.1", "1.5", "01", "+1", "NaN", "Infinity", "-Infinity", "1e-7",
    str(2**53 + 1), str(2**63 - 1), str(2**63), str(-(2**63)), str(-(2**63) - 1), str(2**64), "9" * 40,
    "999999999999", "1000000000000", "-999999999999", "-1000000000000", "7258118399999", "7258118400000", "0.1234567",
]  # fmt: skip
_AMOUNT_TOKENS = [
    '"0"', '"-0"', '"12.5"', '"007.50"', '"1."', '".5"', '"+1"', '"1e3"', '"1_000"', '" 1"', '"1 "', '"NaN"', '"-inf"',
    '"999999999999.999999"', '"1000000000000"', '"0.0000001"', '"1.0000000"', '"١"',
]  # fmt: skip
_OTHER_TOKENS = ["null", "true", "false", "[]", "{}", '["a"]', '{"a":"b"}', "tru", '{"a":1,"a":"2"}']

_scalars = st.sampled_from([*_TEXT_TOKENS, *_NUMBER_TOKENS, *_OTHER_TOKENS])
_names = st.sampled_from(['"a"', '"b"', '""', '" a"', '"ä"', '"\\u0061"', f'"{"n" * 256}"', '"1"'])


@st.composite
def _objects(draw: st.DrawFn, names: st.SearchStrategy[str], values: st.SearchStrategy[str]) -> str:
    """A JSON object as text, in which a name may stand twice."""
    pairs = draw(st.lists(st.tuples(names, values), max_size=4))
    return "{" + ",".join(f"{name}:{value}" for name, value in pairs) + "}"


_attributes = _objects(_names, _scalars)
_values = {
    "event_time": st.sampled_from([str(NOW_MS), *_NUMBER_TOKENS]),
    "source_sequence": st.sampled_from(_NUMBER_TOKENS),
    "revision": st.sampled_from(_NUMBER_TOKENS),
    "version": st.sampled_from(["1", "1.0", "2", '"1"', "true"]),
    "operation": st.sampled_from(['"upsert"', '"withdraw"', '"Upsert"']),
    "value": st.sampled_from([*_AMOUNT_TOKENS, *_NUMBER_TOKENS]),
    "attributes": st.one_of(_attributes, st.sampled_from(_OTHER_TOKENS)),
}


@st.composite
def payloads(draw: st.DrawFn) -> bytes:
    """An event as text: mostly one that is right, with some fields as nobody should send them, some of them twice."""
    fields = list(_REQUIRED.items())
    more = draw(st.lists(st.sampled_from([*Event.model_fields, "unknown"]), max_size=4))
    fields += [(name, draw(st.one_of(_values.get(name, st.sampled_from(_TEXT_TOKENS)), _scalars))) for name in more]
    fields = draw(st.permutations(fields))
    comma, colon = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " :\t")]))
    text = "{" + comma.join(f'"{name}"{colon}{value}' for name, value in fields) + "}"
    return (draw(st.sampled_from(["", " ", "\n", "\ufeff"])) + text + draw(st.sampled_from(["", " ", "}"]))).encode()


def _read(payload: bytes) -> bytes | Rejection:
    """On the wire, where 1, 1.0 and true are not the same."""
    found = touchpoint_of(payload, "web", NOW_MS, ("web-events", 0, 0), 300_000)
    return found if isinstance(found, Rejection) else encode_touchpoint(found)


def _event(**changed: str) -> bytes:
    fields = {**_REQUIRED, **changed}
    return ("{" + ",".join(f'"{name}":{value}' for name, value in fields.items()) + "}").encode()


def _so_many_attributes(count: int) -> str:
    return "{" + ",".join(f'"a{number}":1' for number in range(count)) + "}"


@given(payloads())
@example(_event(attributes='{"a":1,"a":"2"}'))
@example(_event(attributes=f'{{"a":{2**64}}}'))
@example(_event(attributes=f'{{"a":{-(2**63)}}}'))
@example(_event(value='"-0.000001"'))
@example(_event(value="999999999999"))
@example(_event(value="1000000000000"))
@example(_event(content='""'))
@example(_event(attributes=_so_many_attributes(100)))
@example(_event(attributes=_so_many_attributes(101)))
@example(_event()[:-1] + b',"account":null}')
@example(_event()[:-1] + b',"event_time":"x","event_time":1}')
def test_an_event_is_the_same_with_and_without_the_model(payload: bytes) -> None:
    hypothesis_event(f"plain: {plain_event(payload) is not None}")
    found = _read(payload)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_parsing, "plain_event", lambda payload: None)
        assert found == _read(payload)
    assert plain_event(payload) is None or not isinstance(found, Rejection) or found.reason != "not-an-event"


def test_it_has_the_model_s_fields() -> None:
    def of_model() -> dict[str, Any]:
        return {name: ... if field.is_required() else field.default for name, field in Event.model_fields.items()}

    required = dict.fromkeys(PlainEvent.__struct_fields__, ...)
    defaults = PlainEvent.__struct_defaults__
    plain = required | dict(zip(PlainEvent.__struct_fields__[-len(defaults) :], defaults, strict=True))
    assert plain == of_model()


def test_what_sources_send_needs_no_model() -> None:
    """Without it an event takes a third of the time; so it is not to be lost to something that events usually have."""
    written = json.dumps({"event_id": "e", "event_time": NOW_MS, "source": "s", "type": "Page View", "account": "A B"})
    assert plain_event(written.encode()) is not None
    plan = GeneratorPlan(
        events=500, accounts=50, seed=3, start_ms=NOW_MS - 30 * DAY_MS, end_ms=NOW_MS, late=0.0, no_account=0.0,
        duplicates=0.0, corrections=0.1, withdrawals=0.1, bad=0.0,
    )  # fmt: skip
    sent = [value for batch in generate(plan) for _, value in batch]
    plain = [value for value in sent if plain_event(value) is not None]
    assert len(plain) > 0.9 * len(sent)


@pytest.mark.parametrize("payload", [_event(person='"p "'), _event(person='"p\x7f"'), _event(type='"Ü"'), b"", b"\xff"])
def test_what_needs_a_second_look_is_left_to_the_model(payload: bytes) -> None:
    assert plain_event(payload) is None
