"""Segments by name: what the names in a definition file stand for.

Names are for who writes the file. They are put in before anything is published, so what a version is of is the segment
and not how it is called.
"""

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from pydantic import ValidationInfo

from state.definitions.segment import (
    AllSegments,
    AnySegment,
    Filter,
    NamedSegment,
    NotSegment,
    Segment,
    Some,
    Touchpoints,
    UnderAccount,
    UnderPerson,
    few_questions,
    parts_of,
)

NESTED_MAX = 32


def named_segments(written: Mapping[str, Filter], info: ValidationInfo) -> dict[str, Filter]:
    """The segments of a file without names in them. Raises ValueError for a name that is not there, and for names that
    stand for each other."""
    names = {name: sorted(_names_in(written[name])) for name in sorted(written)}
    for name in {each for some in names.values() for each in some}:
        _require(name, written)
    try:
        order = list(TopologicalSorter(names).static_order())
    except CycleError as error:
        raise ValueError(f"segments stand for each other: {' -> '.join(reversed(error.args[1]))}") from error
    known: dict[str, Filter] = {}
    for name in order:
        known[name] = without_names(written[name], known, info)
    return {name: known[name] for name in written}


def without_names(wanted: Filter, known: Mapping[str, Filter], info: ValidationInfo) -> Filter:
    """A filter with what is known in the place of names. Raises ValueError for a name that is not there, and for what
    is too much with all that it stands for."""
    found = few_questions(_put_in(wanted, known), info)
    if _depth(found) > NESTED_MAX:
        raise ValueError(f"segments nested more than {NESTED_MAX} deep, names written out")
    return found


def _put_in(wanted: Filter, known: Mapping[str, Filter]) -> Filter:
    match wanted:
        case NamedSegment():
            return _require(wanted.segment, known)
        case UnderAccount():
            return UnderAccount(
                account=_part(wanted.account, known), then=_then(wanted.then, known, (UnderPerson, Touchpoints))
            )
        case UnderPerson():
            return UnderPerson(person=_part(wanted.person, known), then=_then(wanted.then, known, (Touchpoints,)))
        case Touchpoints():
            of = None if wanted.of is None else _part(wanted.of, known)
            return Touchpoints(touchpoints=wanted.touchpoints, of=of)
        case NotSegment():
            return NotSegment(not_=_part(wanted.not_, known))
        case AllSegments():
            return AllSegments(all=[_part(part, known) for part in wanted.all])
        case AnySegment():
            return AnySegment(any=[_part(part, known) for part in wanted.any])
        case Some():
            return Some(some=wanted.some, that=_part(wanted.that, known))
        case _:
            return wanted


def _then(inner: Filter | None, known: Mapping[str, Filter], levels: tuple[type, ...]) -> Any:
    """What stands under `then`, which may be one of these levels."""
    if inner is None:
        return None
    found = _put_in(inner, known)
    return found if isinstance(found, levels) else _part(inner, known)


_WHAT_IT_DOES: dict[type, str] = {
    UnderAccount: "asks first for the account",
    UnderPerson: "asks first for the person",
    Touchpoints: "chooses touchpoints",
}


def _part(segment: Filter, known: Mapping[str, Filter]) -> Segment:
    found = _put_in(segment, known)
    if isinstance(found, UnderAccount | UnderPerson | Touchpoints):
        assert isinstance(segment, NamedSegment), "nothing else that stands within a segment is one"
        raise ValueError(
            f"segment {segment.segment} {_WHAT_IT_DOES[type(found)]}, so it can not be a part of another one"
        )
    return found


def _require(name: str, known: Mapping[str, Filter]) -> Filter:
    if name not in known:
        names = ", ".join(sorted(known)) or "none; `segments: {NAME: SEGMENT}` at the top of the file makes some"
        raise ValueError(f"there is no segment {name!r}; there are: {names}")
    return known[name]


def _names_in(wanted: Filter) -> Iterator[str]:
    if isinstance(wanted, NamedSegment):
        yield wanted.segment
    for part in parts_of(wanted):
        yield from _names_in(part)


def _depth(wanted: Filter) -> int:
    return 1 + max(map(_depth, parts_of(wanted)), default=0)
