"""JMESPath over a row, compiled once.

Most paths of a mapping are a column's name, and most conditions compare one with a text: these become plain closures,
which take 0.1 µs where JMESPath's interpreter takes 3. They must answer as JMESPath does; the tests hold them together.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.parser import ParsedResult

Values = Mapping[str, Any]
Getter = Callable[[Values], Any]
Condition = Callable[[Values], bool]

_FIRST_CHILD_IS_ROOT = frozenset(
    ("subexpression", "index_expression", "projection", "value_projection", "filter_projection", "flatten", "pipe")
)


class PathError(ValueError):
    """A path that is none, or that a row does not allow; the message says what was found."""


class Path:
    """A compiled path: `get` gives its value in a row, `columns` the names that it reads at the top of a row.

    `get` raises PathError where JMESPath's functions refuse their arguments, and where Python's do behind them.
    """

    def __init__(self, text: str) -> None:
        try:
            self._parsed = jmespath.compile(text)
        except (JMESPathError, RecursionError) as error:
            raise PathError(
                f"{text!r} is no JMESPath. A name with a space or another sign is quoted twice, '\"Deal Stage\"';"
                f" a fixed text is {{const: ...}}"
            ) from error
        tree: dict[str, Any] = dict(self._parsed.parsed)
        self.text = text
        self.columns = frozenset(_columns(tree))
        self.get: Getter = _plain(tree) or _interpreted(self._parsed, text)
        self.holds: Condition = _plain_condition(tree) or self._is_true

    def _is_true(self, values: Values) -> bool:
        return not _is_false(self.get(values))


def _interpreted(parsed: ParsedResult, text: str) -> Getter:
    def get(values: Values) -> Any:
        try:
            return parsed.search(values)
        except (JMESPathError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
            # Python's come of a number compared with a text, a text searched for a number, infinity rounded.
            raise PathError(f"{text!r}: {error}") from error

    return get


def _plain(node: dict[str, Any]) -> Getter | None:
    match node["type"], node["children"]:
        case "field", _:
            name = node["value"]
            return lambda values: values.get(name)
        case "subexpression", [{"type": "field", "value": outer}, {"type": "field", "value": inner}]:
            return lambda values: _inner(values.get(outer), inner)
    return None


def _inner(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _plain_condition(node: dict[str, Any]) -> Condition | None:
    """A path compared with a text, and such conditions joined."""
    match node["type"], node["children"]:
        case "comparator", [left, {"type": "literal", "value": str() as text}] if get := _plain(left):
            return _compared(get, node["value"], text)
        case "and_expression" | "or_expression", [left, right]:
            one, other = _plain_condition(left), _plain_condition(right)
            return None if one is None or other is None else _joined(one, other, both=node["type"] == "and_expression")
    if get := _plain(node):
        return lambda values: not _is_false(get(values))
    return None


def _compared(get: Getter, comparator: str, text: str) -> Condition | None:
    match comparator:
        case "eq":
            return lambda values: bool(get(values) == text)
        case "ne":
            return lambda values: bool(get(values) != text)
    return None


def _joined(one: Condition, other: Condition, *, both: bool) -> Condition:
    if both:
        return lambda values: one(values) and other(values)
    return lambda values: one(values) or other(values)


def _is_false(found: Any) -> bool:
    """What JMESPath takes for false: nothing, an empty text, list or mapping, and false; 0 is true."""
    return found is None or found is False or (isinstance(found, str | list | dict) and not found)


def _columns(node: dict[str, Any]) -> Iterator[str]:
    if node["type"] == "field":
        yield node["value"]
    children = node["children"]
    for child in children[:1] if node["type"] in _FIRST_CHILD_IS_ROOT else children:
        if isinstance(child, dict):
            yield from _columns(child)
