"""Events as most of them are, read in a third of the time that their model takes.

The law: what is read here the model of `streams.event` reads too, and as the same. Everything else is None, and the
model's to judge: what is wrong, and what must be trimmed or brought to NFC.
"""

from operator import attrgetter
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from streams.event import (
    ATTRIBUTE_COUNT_MAX,
    CONTENT_BYTES_MAX,
    ID_BYTES_MAX,
    TEXT_FIELDS,
    VALUE_DECIMALS_MAX,
    VALUE_WHOLE_DIGITS_MAX,
)
from streams.touchpoint import EVENT_TIME_MAX_MS

_BACKSLASH, _DEL = b"\\\x7f"
_INT64_MAX = 2**63 - 1
_WHOLE_MAX = 10**VALUE_WHOLE_DIGITS_MAX - 1

_Id = Annotated[str, Meta(min_length=1, max_length=ID_BYTES_MAX)]
_Content = Annotated[str, Meta(min_length=1, max_length=CONTENT_BYTES_MAX)]
_Count = Annotated[int, Meta(ge=0, le=_INT64_MAX)]
_Amount = (
    Annotated[str, Meta(pattern=rf"^-?[0-9]{{1,{VALUE_WHOLE_DIGITS_MAX}}}(\.[0-9]{{1,{VALUE_DECIMALS_MAX}}})?$")]
    | Annotated[int, Meta(ge=-_WHOLE_MAX, le=_WHOLE_MAX)]
)
_Attribute = str | bool | float | Annotated[int, Meta(ge=-_INT64_MAX, le=_INT64_MAX)]
_Attributes = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=ID_BYTES_MAX)], _Attribute], Meta(max_length=ATTRIBUTE_COUNT_MAX)
]


class PlainEvent(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The fields of an event. value: exactly as it was sent, text or number."""

    event_id: _Id
    event_time: Annotated[int, Meta(ge=0, lt=EVENT_TIME_MAX_MS)]
    source: _Id
    type: _Id
    version: Literal[1] = 1
    source_sequence: _Count = 0
    revision: _Count = 0
    operation: Literal["upsert", "withdraw"] = "upsert"
    account: _Id | None = None
    global_account: _Id | None = None
    opportunity: _Id | None = None
    buying_group: _Id | None = None
    person: _Id | None = None
    session: _Id | None = None
    channel: _Id | None = None
    campaign: _Id | None = None
    content: _Content | None = None
    content_type: _Id | None = None
    marketing_event: _Id | None = None
    value: _Amount | None = None
    attributes: _Attributes | None = None


_texts_of = attrgetter(*TEXT_FIELDS)
_decode = msgspec.json.Decoder(PlainEvent).decode


def plain_event(payload: bytes) -> PlainEvent | None:
    """The event that a record's value says, where it is ASCII without escapes, keeps all limits, and no text begins or
    ends with a blank."""
    # Then a text is as many bytes as it has characters, is in NFC, and has no control character: in JSON those are
    # written as escapes, but for DEL.
    if not payload.isascii() or _BACKSLASH in payload or _DEL in payload:
        return None
    try:
        event = _decode(payload)
    except msgspec.DecodeError:
        return None
    # A text that begins or ends with a blank has it beside its quote. So have many that are not compact.
    may_have = b'" ' in payload or b' "' in payload
    return None if may_have and _has_outer_blanks(event) else event


def _has_outer_blanks(event: PlainEvent) -> bool:
    for text in _texts_of(event):  # noqa: SIM110  (a generator costs on the hot path)
        if text is not None and " " in text and (text[0] == " " or text[-1] == " "):
            return True
    return False
