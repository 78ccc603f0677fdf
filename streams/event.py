"""milepost's own event format, version 1: one JSON object per record of `crm-events` and `web-events`.

`docs/formats.md` has examples, `schemas/event.v1.json` the exported JSON Schema. A record is parsed once, here;
what cannot be parsed is a `Rejection`, a value and not an exception.
"""

import unicodedata
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError
from pydantic.types import StrictBool, StrictFloat, StrictInt, StrictStr

from streams.shown import shown
from streams.touchpoint import EVENT_TIME_MAX_MS, MILLIONTHS, Touchpoint

ID_BYTES_MAX = 255
CONTENT_BYTES_MAX = 2048
EVENT_BYTES_MAX = 65_536
ATTRIBUTE_COUNT_MAX = 100
DETAIL_CHARACTERS_MAX = 1_000
_NO_CONTROL = r"^[^\x00-\x1f\x7f-\x9f]+$"

Id = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=ID_BYTES_MAX, pattern=_NO_CONTROL)
]
Content = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=CONTENT_BYTES_MAX, pattern=_NO_CONTROL)
]
# Not trimmed: two names that differ by blanks would silently become one.
AttributeName = Annotated[str, StringConstraints(min_length=1, max_length=ID_BYTES_MAX, pattern=_NO_CONTROL)]
Attribute = StrictStr | StrictBool | StrictInt | StrictFloat
Count = Annotated[int, Field(ge=0, lt=2**63)]


class Event(BaseModel):
    """An event as a source sends it."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, title="milepost event, version 1")

    version: Literal[1] = Field(1, description="Version of this format.")
    event_id: Id = Field(
        description="Id of the event, unique within its source. The same id again is a duplicate or a correction."
    )
    event_time: Annotated[int, Field(ge=0, lt=EVENT_TIME_MAX_MS)] = Field(
        description="When it happened: integer milliseconds since 1970-01-01T00:00:00Z, before the year 2200."
    )
    source: Id = Field(description="The system that sent it, for example salesforce or website.")
    type: Id = Field(description="What happened, for example Opportunity Created.")
    source_sequence: Count = Field(
        0, description="The source's own order among events of the same time, 0 where it has none."
    )
    revision: Count = Field(0, description="The source's own version of this event; the highest wins.")
    operation: Literal["upsert", "withdraw"] = Field("upsert", description="withdraw takes the event back.")
    account: Id | None = Field(None, description="The company. An event without one goes to the dead letters.")
    global_account: Id | None = Field(None, description="The group of companies that the account belongs to.")
    opportunity: Id | None = None
    buying_group: Id | None = None
    person: Id | None = None
    session: Id | None = Field(
        None, description="The source's own session id; without one, web sessions end after a gap of 30 minutes."
    )
    channel: Id | None = None
    campaign: Id | None = None
    content: Content | None = Field(None, description="The page, asset or message, up to 2,048 bytes.")
    content_type: Id | None = None
    marketing_event: Id | None = Field(None, description="The webinar, trade show or dinner.")
    value: Annotated[Decimal, Field(max_digits=18, decimal_places=6)] | None = Field(
        None,
        description="An amount in one currency: decimal text or number, at most six decimals and twelve other digits.",
    )
    attributes: Annotated[dict[AttributeName, Attribute], Field(max_length=ATTRIBUTE_COUNT_MAX)] | None = Field(
        None, description="Anything else that definitions may read, as attributes.NAME: text, numbers, booleans."
    )


class Reason(StrEnum):
    """Why a record became a dead letter; stands in its header `reason`."""

    NOT_AN_EVENT = "not-an-event"
    TOO_LARGE = "too-large"
    NO_ACCOUNT = "no-account"
    FUTURE_TIME = "future-time"


class Rejection(msgspec.Struct, frozen=True):
    """A record that is no touchpoint: why, and what exactly was found and promised; text that a terminal may show."""

    reason: Reason
    detail: str


_validate = TypeAdapter(Event).validator.validate_json
_TEXT_FIELDS = (
    "event_id", "source", "type", "account", "global_account", "opportunity", "buying_group", "person", "session",
    "channel", "campaign", "content", "content_type", "marketing_event",
)  # fmt: skip
_INT64 = range(-(2**63), 2**63)
_BYTES_MAX_BY_FIELD = {name: CONTENT_BYTES_MAX if name == "content" else ID_BYTES_MAX for name in _TEXT_FIELDS}


def touchpoint_of(
    payload: bytes | None, stream: str, ingest_time: int, origin: tuple[str, int, int], future_tolerance_ms: int
) -> Touchpoint | Rejection:
    """The touchpoint that a source record says, or why it says none.

    `ingest_time` is the record's broker append time in milliseconds. Text is brought to NFC and trimmed.
    """
    if payload is None:
        return Rejection(Reason.NOT_AN_EVENT, "the record has no value; an event is one JSON object")
    if len(payload) > EVENT_BYTES_MAX:
        return Rejection(Reason.TOO_LARGE, f"{len(payload)} bytes; an event has at most {EVENT_BYTES_MAX}")
    try:
        fields = _validate(payload).__dict__
    except ValidationError as error:
        return _rejected(Reason.NOT_AN_EVENT, _said(error))
    if not payload.isascii() or b"\\u" in payload:
        try:
            fields = _normalised(fields)
        except ValueError as error:
            return _rejected(Reason.NOT_AN_EVENT, str(error))
    return _judged(fields, stream, ingest_time, origin, future_tolerance_ms)


def _judged(
    fields: dict[str, Any], stream: str, ingest_time: int, origin: tuple[str, int, int], future_tolerance_ms: int
) -> Touchpoint | Rejection:
    account = fields["account"]
    event_time = fields["event_time"]
    if event_time > ingest_time + future_tolerance_ms:
        ahead_s = (event_time - ingest_time) // 1000
        return Rejection(
            Reason.FUTURE_TIME,
            f"event_time is {ahead_s} s ahead of the broker's; at most {future_tolerance_ms // 1000} s is believed",
        )
    if account is None:
        return Rejection(Reason.NO_ACCOUNT, "the event names no account")
    value = fields["value"]
    attributes = fields["attributes"]
    if attributes and (name := _too_large(attributes)) is not None:
        return _rejected(Reason.NOT_AN_EVENT, f"attributes.{name}: an integer has at most 64 bits; send it as text")
    return Touchpoint(
        fields["event_id"],
        fields["source"],
        event_time,
        fields["source_sequence"],
        fields["operation"] == "withdraw",
        fields["type"],
        fields["opportunity"],
        fields["content_type"],
        fields["person"],
        fields["buying_group"],
        fields["session"],
        stream,
        fields["channel"],
        fields["content"],
        fields["campaign"],
        fields["marketing_event"],
        None if value is None else int(value * MILLIONTHS),
        dict(sorted(attributes.items())) if attributes else None,
        account,
        fields["global_account"],
        fields["revision"],
        ingest_time,
        origin,
    )


def _rejected(reason: Reason, detail: str) -> Rejection:
    """With a detail that names what stood in the event: its names may be any text of any length."""
    return Rejection(reason, shown(detail, DETAIL_CHARACTERS_MAX))


def _too_large(attributes: dict[str, Any]) -> str | None:
    """The first attribute whose integer neither msgpack nor a database holds."""
    return next((name for name, found in attributes.items() if isinstance(found, int) and found not in _INT64), None)


def _normalised(fields: dict[str, Any]) -> dict[str, Any]:
    fields = dict(fields)
    for name in _TEXT_FIELDS:
        if fields[name] is not None:
            fields[name] = _nfc(name, fields[name], _BYTES_MAX_BY_FIELD[name])
    if fields["attributes"]:
        fields["attributes"] = _normal_attributes(fields["attributes"])
    return fields


def _normal_attributes(attributes: dict[str, Any]) -> dict[str, Any]:
    """Names and text in NFC, not trimmed. Raises ValueError when two names become one."""
    normal = {
        unicodedata.normalize("NFC", name): unicodedata.normalize("NFC", found) if isinstance(found, str) else found
        for name, found in attributes.items()
    }
    if len(normal) < len(attributes):
        raise ValueError("attributes: two names are the same text in Unicode's NFC")
    if too_long := [name for name in normal if len(name.encode()) > ID_BYTES_MAX]:
        raise ValueError(f"attributes: {too_long[0]!r} has more than {ID_BYTES_MAX} bytes in UTF-8")
    return normal


def _nfc(name: str, text: str, bytes_max: int) -> str:
    try:
        normal = unicodedata.normalize("NFC", text).strip()
        size = len(normal.encode())
    except UnicodeEncodeError as error:
        raise ValueError(f"{name}: half of a surrogate pair is no text") from error
    if not 1 <= size <= bytes_max:
        raise ValueError(f"{name}: {size} bytes in UTF-8; 1 to {bytes_max} are allowed")
    return normal


def _said(error: ValidationError) -> str:
    """The first three complaints, each with its place; never the input itself, which stands in the dead letter."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    said = "; ".join(f"{'.'.join(map(str, p['loc'])) or 'event'}: {p['msg']}" for p in problems[:3])
    return said if len(problems) <= 3 else f"{said}; and {len(problems) - 3} more"
