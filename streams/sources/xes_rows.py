"""Rows of an XES event log (IEEE 1849): one row an event, in the file's order.

A row is {"trace": {...}, "event": {...}}, the attributes by key. `trace.index` counts the log's traces from 1,
`event.index` the events of a trace. An attribute inside another stands under `outer/inner`. `<global>` blocks are what
an event or trace has that does not say otherwise; they are no events.
"""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from lxml import etree

from streams.errors import UsageError
from streams.sources.row import ByteSource, Row, open_bytes

Attributes = dict[str, Any]


def rows(path: Path) -> Generator[Row, None, None]:
    """The log's events, one trace in memory at a time.

    Raises UsageError, with the line, when the file is no well-formed XML.
    """
    with open_bytes(path) as source:
        try:
            yield from _rows(source)
        except etree.XMLSyntaxError as error:
            raise UsageError(f"{path}:{error.lineno}: this is no XES: {error.msg}") from error


def _rows(source: ByteSource) -> Iterator[Row]:
    # Entities and external documents are not XES and would let a file read others.
    parts = etree.iterparse(
        source.content,
        events=("end",),
        tag=("{*}trace", "{*}event", "{*}global"),
        resolve_entities=False,
        no_network=True,
    )
    defaults: dict[str, Attributes] = {"trace": {}, "event": {}}
    number = trace_index = 0
    for _, element in parts:
        kind = etree.QName(element).localname
        if kind == "event" and _is_in_trace(element):
            continue  # its trace follows, with the attributes that may stand behind it
        if kind == "global":
            defaults[element.get("scope", "event")] = _attributes(element)
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


def _is_in_trace(element: Any) -> bool:
    parent = element.getparent()
    return parent is not None and etree.QName(parent).localname == "trace"


def _events(trace: Any, trace_index: int, defaults: dict[str, Attributes]) -> Iterator[dict[str, Any]]:
    own = {**defaults["trace"], **_attributes(trace), "index": trace_index}
    for index, event in enumerate(trace.iterchildren("{*}event"), 1):
        yield {"trace": own, "event": {**defaults["event"], **_attributes(event), "index": index}}


def _attributes(element: Any) -> Attributes:
    found: Attributes = {}
    for child in element:
        key = child.get("key")
        if key is None:
            continue
        tag = child.tag.rpartition("}")[2]
        found[key] = _values(child) if tag in ("list", "container") else _typed(tag, child.get("value"))
        if len(child):
            found.update({f"{key}/{inner}": value for inner, value in _attributes(child).items()})
    return found


def _values(element: Any) -> list[Any]:
    """The values of a list, which stand in `<values>`, or in the element itself in older files."""
    inner = element.find("{*}values")
    return list(_attributes(element if inner is None else inner).values())


def _typed(tag: str, value: str | None) -> Any:
    """Whole numbers and booleans as such; fractions, dates, ids and what is not as its tag says stay text."""
    match tag, value:
        case "boolean", "true" | "false":
            return value == "true"
        case "int", str():
            return int(value) if value.lstrip("+-").isascii() and value.lstrip("+-").isdigit() else value
    return value


def _forget(element: Any) -> None:
    """Frees what was read, before it and under it, so that memory stays flat."""
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]
