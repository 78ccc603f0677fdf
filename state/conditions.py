"""Match conditions as functions of a touchpoint.

A field that a touchpoint lacks equals nothing and differs from everything; text, numbers and booleans never equal
each other. Since most conditions ask for the type, `given_type` decides what it can from the type alone, once per type.
"""

import operator
from collections.abc import Callable, Iterator
from typing import Any, assert_never

from state.matches import MATCHED_CHARACTERS_MAX, All, Any_, Condition, Match, Not, Operator, regular_expression
from streams.touchpoint import Scalar, Touchpoint

Predicate = Callable[[Touchpoint], bool]
Getter = Callable[[Touchpoint], Any]

_COMPARE: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.GREATER: operator.gt,
    Operator.AT_LEAST: operator.ge,
    Operator.LESS: operator.lt,
    Operator.AT_MOST: operator.le,
}


def fields_of(condition: Condition) -> Iterator[str]:
    """The names of the touchpoint's fields that a condition reads."""
    match condition:
        case Match():
            yield wire_field(condition.field)
        case All():
            for part in condition.all:
                yield from fields_of(part)
        case Any_():
            for part in condition.any:
                yield from fields_of(part)
        case Not():
            yield from fields_of(condition.not_)
        case _ as never:
            assert_never(never)


def wire_field(name: str) -> str:
    """The touchpoint's field behind a name in a definition: `attributes` for `attributes.sector`."""
    return "attributes" if name.startswith("attributes.") else name


def getter_of(name: str) -> Getter:
    """The function that reads a field or attribute; None where the touchpoint has none."""
    if not name.startswith("attributes."):
        return operator.attrgetter(name)
    key = name.removeprefix("attributes.")

    def attribute(touchpoint: Touchpoint) -> Scalar | None:
        attributes = touchpoint.attributes
        return None if attributes is None else attributes.get(key)

    return attribute


def predicate_of(condition: Condition) -> Predicate:
    """The function that says whether a touchpoint matches."""
    match condition:
        case Match():
            holds, get = _test_of(condition), getter_of(condition.field)
            return lambda touchpoint: holds(get(touchpoint))
        case All():
            parts = [predicate_of(part) for part in condition.all]
            return lambda touchpoint: all(part(touchpoint) for part in parts)
        case Any_():
            parts = [predicate_of(part) for part in condition.any]
            return lambda touchpoint: any(part(touchpoint) for part in parts)
        case Not():
            inner = predicate_of(condition.not_)
            return lambda touchpoint: not inner(touchpoint)
        case _ as never:
            assert_never(never)


def given_type(condition: Condition, type_: str) -> bool | None:
    """Whether touchpoints of a type match: True or False for all of them, None when other fields decide."""
    match condition:
        case Match():
            return _test_of(condition)(type_) if condition.field == "type" else None
        case All():
            parts = [given_type(part, type_) for part in condition.all]
            return False if False in parts else None if None in parts else True
        case Any_():
            parts = [given_type(part, type_) for part in condition.any]
            return True if True in parts else None if None in parts else False
        case Not():
            inner = given_type(condition.not_, type_)
            return None if inner is None else not inner
        case _ as never:
            assert_never(never)


def given_absence(match_: Match) -> bool:
    """Whether a comparison holds where the field is absent."""
    return _test_of(match_)(None)


def _test_of(match_: Match) -> Callable[[Any], bool]:
    """The function from a field's value (None: absent) to whether the comparison holds."""
    literals = [_typed(value) for value in match_.literals]
    first: Any = match_.literals[0] if match_.literals else None
    match match_.op:
        case Operator.EQUAL | Operator.IN:
            return lambda found: found is not None and _typed(found) in literals
        case Operator.NOT_EQUAL | Operator.NOT_IN:
            return lambda found: found is None or _typed(found) not in literals
        case Operator.EXISTS:
            wanted = match_.value is not False
            return lambda found: (found is not None) == wanted
        case Operator.CONTAINS:
            return lambda found: isinstance(found, str) and first in found
        case Operator.STARTS_WITH:
            return lambda found: isinstance(found, str) and found.startswith(first)
        case Operator.MATCHES:
            search, end = regular_expression(str(first)).search, MATCHED_CHARACTERS_MAX
            return lambda found: isinstance(found, str) and search(found[:end].encode()) is not None
        case Operator.GREATER | Operator.AT_LEAST | Operator.LESS | Operator.AT_MOST:
            compare = _COMPARE[match_.op]
            return lambda found: _is_number(found) and compare(found, first)
        case _ as never:
            assert_never(never)


def _typed(value: Any) -> tuple[str, Any]:
    """A value with its type, so that true is not 1 and text is not a number."""
    kind = "boolean" if isinstance(value, bool) else "text" if isinstance(value, str) else "number"
    return kind, value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
