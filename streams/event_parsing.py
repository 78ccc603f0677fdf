"""A record of a source, read once: the touchpoint that it says, or why it says none.

What can not be read is a `Rejection`, a value and not an exception. The model of `streams.event` decides; most events
need no such second look (`streams.plain_event`).
"""

import unicodedata
from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from streams.event import CONTENT_BYTES_MAX, EVENT_BYTES_MAX, ID_BYTES_MAX, TEXT_FIELDS, Event
from streams.plain_event import PlainEvent, plain_event
from streams.shown import did_you_mean, shown
from streams.touchpoint import MILLIONTHS, Touchpoint

DETAIL_CHARACTERS_MAX = 1_000
_FIELDS = tuple(Event.model_fields)


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
_INT64 = range(-(2**63), 2**63)
_BYTES_MAX_BY_FIELD = {name: CONTENT_BYTES_MAX if name == "content" else ID_BYTES_MAX for name in TEXT_FIELDS}


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
    event = plain_event(payload) or _validated(payload)
    if isinstance(event, Rejection):
        return event
    return _judged(event, stream, ingest_time, origin, future_tolerance_ms)


def _validated(payload: bytes) -> PlainEvent | Rejection:
    """The event as its model reads it."""
    try:
        fields = _validate(payload).__dict__
    except ValidationError as error:
        return _rejected(Reason.NOT_AN_EVENT, _said(error))
    if not payload.isascii() or b"\\u" in payload:
        try:
            fields = _normalised(fields)
        except ValueError as error:
            return _rejected(Reason.NOT_AN_EVENT, str(error))
    return PlainEvent(**fields)


def _judged(
    event: PlainEvent, stream: str, ingest_time: int, origin: tuple[str, int, int], future_tolerance_ms: int
) -> Touchpoint | Rejection:
    account, event_time = event.account, event.event_time
    if event_time > ingest_time + future_tolerance_ms:
        ahead_s = (event_time - ingest_time) // 1000
        return Rejection(
            Reason.FUTURE_TIME,
            f"event_time is {ahead_s} s ahead of the broker's; at most {future_tolerance_ms // 1000} s is believed",
        )
    if account is None:
        return Rejection(Reason.NO_ACCOUNT, "the event names no account")
    value, attributes = event.value, event.attributes
    if attributes and (name := _too_large(attributes)) is not None:
        return _rejected(Reason.NOT_AN_EVENT, f"attributes.{name}: an integer has at most 64 bits; send it as text")
    return Touchpoint(
        event.event_id,
        event.source,
        event_time,
        event.source_sequence,
        event.operation == "withdraw",
        event.type,
        event.opportunity,
        event.content_type,
        event.person,
        event.buying_group,
        event.session,
        stream,
        event.channel,
        event.content,
        event.campaign,
        event.marketing_event,
        None if value is None else int(Decimal(value) * MILLIONTHS),
        dict(sorted(attributes.items())) if attributes else None,
        account,
        event.global_account,
        event.revision,
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
    for name in TEXT_FIELDS:
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
    said = "; ".join(f"{'.'.join(map(str, p['loc'])) or 'event'}: {_complaint(p)}" for p in problems[:3])
    return said if len(problems) <= 3 else f"{said}; and {len(problems) - 3} more"


def _complaint(problem: ErrorDetails) -> str:
    if problem["type"] != "extra_forbidden":
        return problem["msg"]
    meant = did_you_mean(str(problem["loc"][-1]), _FIELDS)
    return f"there is no such field; {meant}what has no field of its own goes into attributes"
