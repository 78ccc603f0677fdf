"""Records that are no events, each made of a good one, and why ingest must reject it."""

import msgspec

from streams.event import EVENT_BYTES_MAX
from streams.event_parsing import Reason

Fields = dict[str, object]

_FAR_FUTURE_MS = 7_226_582_400_000  # 2199-01-01: a valid time, and ahead of every broker's clock


def _without_type(fields: Fields) -> None:
    del fields["type"]


def _time_as_text(fields: Fields) -> None:
    fields["event_time"] = str(fields["event_time"])


def _number_as_source(fields: Fields) -> None:
    fields["source"] = 17


def _control_character(fields: Fields) -> None:
    fields["source"] = "sales\u0007force"


def _unknown_field(fields: Fields) -> None:
    fields["acount"] = "a misspelt field"


def _endless_number(fields: Fields) -> None:
    fields["value"] = "1e400"


def _oversized(fields: Fields) -> None:
    fields["content"] = "x" * EVENT_BYTES_MAX


def _future_time(fields: Fields) -> None:
    fields["event_time"] = _FAR_FUTURE_MS


_CHANGE_BY_KIND = {
    "missing field": _without_type, "time as text": _time_as_text, "number as source": _number_as_source,
    "control character": _control_character, "unknown field": _unknown_field, "endless number": _endless_number,
    "oversized": _oversized, "future time": _future_time,
}  # fmt: skip
KINDS = (*_CHANGE_BY_KIND, "cut short", "not UTF-8", "not an object")
REASON_BY_KIND = dict.fromkeys(KINDS, Reason.NOT_AN_EVENT) | {
    "oversized": Reason.TOO_LARGE,
    "future time": Reason.FUTURE_TIME,
}


def bad_record(kind: str, payload: bytes) -> bytes:
    """The event in `payload` spoilt in the way of `kind`, one of KINDS; never with a line break in it."""
    match kind:
        case "cut short":
            return payload[: len(payload) // 2]
        case "not UTF-8":
            return payload.replace(b'"source":"', b'"source":"\xff\xfe', 1)
        case "not an object":
            return b"[" + payload + b"]"
    fields = msgspec.json.decode(payload, type=Fields)
    _CHANGE_BY_KIND[kind](fields)
    return msgspec.json.encode(fields)
