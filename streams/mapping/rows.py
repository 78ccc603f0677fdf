"""Rows of a file, by a mapping, to events of the own format.

The law: a row is taken whole or not at all. Each event passes the very validation that ingest does, so that what is
sent is no dead letter, but for the events without an account: those are sent, and ingest parks them with that reason.
Budget: 12 µs an event of eight fields.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from streams.event_parsing import DETAIL_CHARACTERS_MAX, Reason, Rejection, touchpoint_of
from streams.mapping.lookups import Lookups
from streams.mapping.model import ATTRIBUTE, REQUIRED_FIELDS, Const, EventRule, MappingFile
from streams.mapping.paths import Condition
from streams.mapping.values import Compiler, Loc, Reader, attribute_of, text_of, whole_of
from streams.shown import shown
from streams.sources.row import Row

_WHOLE_FIELDS = ("source_sequence", "revision")
_NEEDED = (*REQUIRED_FIELDS, "source")
_NOWHERE = ("", 0, 0)
REASON_CHARACTERS_MAX = 200


class MappedEvent(NamedTuple):
    """An event ready to be sent."""

    type: str
    has_account: bool
    payload: bytes
    identity: tuple[str, str]
    """Source and event id: events that share it are one event to the pipeline, the later ones its corrections."""


class Reject(msgspec.Struct, frozen=True):
    """A row that gave no events: `reason` is the same for rows with the same trouble, `detail` has the row's values.

    Both are bounded, and text that a terminal may show.
    """

    row: int
    reason: str
    detail: str
    values: dict[str, Any]
    has_account: bool = True


class _Field(NamedTuple):
    name: str
    read: Reader
    label: str


class _Rule(NamedTuple):
    holds: Condition | None
    fixed: dict[str, Any]
    fields: list[_Field]
    attributes: list[_Field]


class _WrongError(Exception):
    """A field of a row that is wrong or missing."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        self.detail = detail


class RowMapper:
    """A mapping, compiled for one file.

    columns: the file's, None where rows have no fixed ones. Times more than `future_tolerance_ms` ahead of `now_ms`
    are rejected, as ingest would. Raises UsageError, with the place in the mapping, for what the file does not have.
    """

    def __init__(
        self,
        file: MappingFile,
        lookups: Lookups,
        columns: Sequence[str] | None,
        *,
        now_ms: int,
        future_tolerance_ms: int,
    ) -> None:
        compiler = Compiler(file, lookups, columns)
        mapping = file.mapping
        self._topic = mapping.topic
        self._now_ms = now_ms
        self._future_tolerance_ms = future_tolerance_ms
        self._rules = [
            _rule(compiler, rule, ("events", index), mapping.source) for index, rule in enumerate(mapping.events)
        ]
        self._encode = msgspec.json.Encoder().encode

    def events_of(self, row: Row) -> list[MappedEvent] | Reject:
        """The events that a row is; none where no condition holds."""
        if row.fault is not None:
            return _rejected(row, "unreadable row", row.fault)
        events = []
        has_account = True
        try:
            for rule in self._rules:
                if rule.holds is None or rule.holds(row.values):
                    event = self._event(rule, row)
                    has_account = has_account and "account" in event
                    events.append(self._checked(event))
        except _WrongError as error:
            return _rejected(row, error.reason, error.detail, has_account)
        except ValueError as error:  # a condition that JMESPath can not answer for this row
            return _rejected(row, "when: no answer", str(error))
        return events

    def _event(self, rule: _Rule, row: Row) -> dict[str, Any]:
        event = rule.fixed.copy()
        _fill(event, rule.fields, row)
        if rule.attributes:
            attributes: dict[str, Any] = {}
            _fill(attributes, rule.attributes, row)
            if attributes:
                event["attributes"] = attributes
        return event

    def _checked(self, event: dict[str, Any]) -> MappedEvent:
        for name in _NEEDED:
            if name not in event:
                raise _WrongError(f"{name}: no value", f"the row gives no {name}, which every event needs")
        try:
            payload = self._encode(event)
        except UnicodeEncodeError as error:
            raise _WrongError("wrong encoding", "a value has bytes that are not of the file's rows.encoding") from error
        said = touchpoint_of(payload, self._topic, self._now_ms, _NOWHERE, self._future_tolerance_ms)
        if isinstance(said, Rejection) and said.reason is not Reason.NO_ACCOUNT:
            raise _WrongError(_reason(said), said.detail)
        return MappedEvent(event["type"], "account" in event, payload, (event["source"], event["event_id"]))


def _rejected(row: Row, reason: str, detail: str, has_account: bool = True) -> Reject:
    said = shown(detail, DETAIL_CHARACTERS_MAX)
    return Reject(row.number, shown(reason, REASON_CHARACTERS_MAX), said, row.values, has_account)


def _fill(target: dict[str, Any], fields: list[_Field], row: Row) -> None:
    values, number = row.values, row.number
    for name, read, label in fields:
        try:
            found = read(values, number)
        except ValueError as error:
            raise _WrongError(f"{label}: wrong value", f"{label}: {error}") from error
        if found is not None:
            target[name] = found


def _rule(compiler: Compiler, rule: EventRule, loc: Loc, source: str | None) -> _Rule:
    holds = None if rule.when is None else compiler.path(rule.when, (*loc, "when")).holds
    fixed: dict[str, Any] = {} if source is None else {"source": source}
    fields, attributes = [], []
    for name, value in rule.fields.items():
        at = (*loc, "fields", name)
        if name.startswith(ATTRIBUTE):
            read = _as(attribute_of, compiler.value(value, at), str)
            attributes.append(_Field(name.removeprefix(ATTRIBUTE), read, name))
        elif name == "event_time":
            fields.append(_Field(name, compiler.time(value, at), name))
        elif name in _WHOLE_FIELDS:
            fields.append(_Field(name, _as(whole_of, compiler.value(value, at), int), name))
        elif isinstance(value, Const):
            fixed[name] = text_of(value.const)
        else:
            fields.append(_Field(name, _as(text_of, compiler.value(value, at), str), name))
    return _Rule(holds, fixed, fields, attributes)


def _as(form: Callable[[Any], Any], read: Reader, usual: type) -> Reader:
    """A value in the form its field has; the usual type needs no change."""

    def formed(values: Any, number: int) -> Any:
        found = read(values, number)
        return found if found is None or type(found) is usual else form(found)

    return formed


def _reason(said: Rejection) -> str:
    if said.reason is Reason.FUTURE_TIME:
        return "event_time: in the future"
    return f"not an event: {said.detail}" if said.reason is Reason.NOT_AN_EVENT else said.reason.value
