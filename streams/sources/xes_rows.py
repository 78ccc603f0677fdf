"""Rows of an XES event log (IEEE 1849): one row an event, in the file's order.

A row is {"trace": {...}, "event": {...}}, the attributes by key. `trace.index` counts the log's traces from 1,
`event.index` the events of a trace. An attribute inside another stands under `outer/inner`. `<global>` blocks are what
an event or trace has that does not say otherwise; they are no events.

What a file may make of the memory is bounded: libxml2 bounds depth, texts and entities, PART_BYTES_MAX what is read
between two traces, and ATTRIBUTE_... what one event has.
"""

import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from lxml import etree

from streams.errors import UsageError
from streams.shown import shown
from streams.sources.row import ByteSource, Row, open_bytes

PART_BYTES_MAX = 16 * 2**20
"""Unpacked. The largest traces of the public logs have 4 MiB; in memory it may become thirty times as much."""
ATTRIBUTE_COUNT_MAX = 10_000
ATTRIBUTE_DEPTH_MAX = 8
ATTRIBUTE_KEY_MAX = 1_000  # characters of `outer/inner`
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,300}")

Attributes = dict[str, Any]


def rows(path: Path) -> Generator[Row, None, None]:
    """The log's events, one trace in memory at a time.

    Raises UsageError, with the line, when the file is no well-formed XML, or more than the bounds allow.
    """
    with open_bytes(path) as source:
        try:
            yield from _rows(source)
        except etree.XMLSyntaxError as error:
            raise UsageError(f"{path}:{error.lineno}: this is no XES: {shown(str(error.msg), 300)}") from error
        except _BoundError as error:
            raise UsageError(f"{path}: this is no XES: {error}") from error


class _BoundError(Exception):
    """Something of the file is larger than anything in a log."""


class _Metered:
    """What iterparse reads from. Every element that was not forgotten is in memory."""

    def __init__(self, source: ByteSource) -> None:
        self._read = source.content.read
        self.part_bytes = 0

    def read(self, size: int) -> bytes:
        chunk = self._read(size)
        self.part_bytes += len(chunk)
        if self.part_bytes > PART_BYTES_MAX:
            raise _BoundError(f"one trace or event has more than {PART_BYTES_MAX} bytes")
        return chunk


def _rows(source: ByteSource) -> Iterator[Row]:
    # Entities and external documents are not XES and would let a file read others.
    metered = _Metered(source)
    parts = etree.iterparse(
        metered,
        events=("end",),
        tag=("{*}trace", "{*}event", "{*}global"),
        resolve_entities=False,
        no_network=True,
    )
    defaults: dict[str, Attributes] = {"trace": {}, "event": {}}
    number = trace_index = 0
    for _, element in parts:
        kind = _local(element)
        if kind == "event" and _is_in_trace(element):
            continue  # its trace follows, with the attributes that may stand behind it
        if element.getroottree().docinfo.doctype:
            raise _BoundError("it has a document type (<!DOCTYPE ...>), which a log has not; take it away")
        if kind == "global":
            scope = element.get("scope", "event")
            if scope in defaults:
                defaults[scope] = _attributes(element)
        elif kind == "trace":
            trace_index += 1
            for values in _events(element, trace_index, defaults):
                number += 1
                yield Row(number, values, source.bytes_read())
        else:
            number += 1
            values = {
                "trace": defaults["trace"],
                "event": {**defaults["event"], **_attributes(element), "index": number},
            }
            yield Row(number, values, source.bytes_read())
        _forget(element)
        metered.part_bytes = 0


def _local(element: Any) -> str:
    """An element's name without its namespace, which may be any text (etree.QName takes URIs only)."""
    return str(element.tag).rpartition("}")[2]


def _is_in_trace(element: Any) -> bool:
    parent = element.getparent()
    return parent is not None and _local(parent) == "trace"


def _events(trace: Any, trace_index: int, defaults: dict[str, Attributes]) -> Iterator[dict[str, Any]]:
    own = {**defaults["trace"], **_attributes(trace), "index": trace_index}
    for index, event in enumerate(trace.iterchildren("{*}event"), 1):
        yield {"trace": own, "event": {**defaults["event"], **_attributes(event), "index": index}}


def _attributes(element: Any, depth: int = 1) -> Attributes:
    if depth > ATTRIBUTE_DEPTH_MAX:
        raise _BoundError(f"line {element.sourceline}: attributes lie more than {ATTRIBUTE_DEPTH_MAX} levels deep")
    found: Attributes = {}
    for child in element:
        key = child.get("key")
        if key is None:
            continue
        tag, longest = _local(child), len(key)
        # Read once: a list of lists would else be read twice as often on each level.
        inner = _attributes(child, depth + 1) if len(child) else {}
        found[key] = _values(child, inner, depth) if tag in ("list", "container") else _typed(tag, child.get("value"))
        if inner:
            found.update({f"{key}/{name}": value for name, value in inner.items()})
            longest += max(map(len, inner))
        if len(found) > ATTRIBUTE_COUNT_MAX or longest > ATTRIBUTE_KEY_MAX:
            raise _BoundError(
                f"line {child.sourceline}: more than {ATTRIBUTE_COUNT_MAX} attributes, or a key of more than"
                f" {ATTRIBUTE_KEY_MAX} characters"
            )
    return found


def _values(element: Any, inner: Attributes, depth: int) -> list[Any]:
    """The values of a list, which stand in `<values>`, or in the element itself in older files."""
    values = element.find("{*}values")
    return list((inner if values is None else _attributes(values, depth + 1)).values())


def _typed(tag: str, value: str | None) -> Any:
    """Whole numbers and booleans as such; fractions, dates, ids and what is not as its tag says stay text."""
    match tag, value:
        case "boolean", "true" | "false":
            return value == "true"
        case "int", str():
            return int(value) if _WHOLE_NUMBER.fullmatch(value) else value
    return value


def _forget(element: Any) -> None:
    """Frees what was read, before it and under it, so that memory stays flat."""
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]
