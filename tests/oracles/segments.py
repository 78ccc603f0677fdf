"""The filter of an analysis, naively: does the whole series have the property, and do outer containers?"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from state.definitions import (
    AllSegments,
    Analysis,
    AnySegment,
    Has,
    Last,
    Some,
    Touchpoints,
    UnderAccount,
    UnderPerson,
)
from streams.touchpoint import Touchpoint
from tests.oracles.brute import Series, containers_of, field_of, holds
from tests.oracles.cohort import thresholds_hold


class World:
    """All touchpoints there are, and the containers that they make."""

    def __init__(self, touchpoints: Iterable[Touchpoint]) -> None:
        arrived = list(touchpoints)
        self.of_kind = cache(lambda kind: containers_of(arrived, kind))

    def counted(self, analysis: Analysis) -> Series:
        """The series of the containers that an analysis counts, by a key that tells containers apart."""
        found, own = self.of_kind(analysis.container.value), analysis.filter
        while isinstance(own, UnderAccount | UnderPerson):
            kind, asked = ("account", own.account) if isinstance(own, UnderAccount) else ("person", own.person)
            outer = [series for series in self.of_kind(kind).values() if self.has(asked, series, kind)]
            found = {key: s for key, s in found.items() if any(lies_under(s, each, kind) for each in outer)}
            own = own.then
        seen = own.touchpoints if isinstance(own, Touchpoints) else None
        own = own.of if isinstance(own, Touchpoints) else own
        kind = analysis.container.value
        counted = {key: series for key, series in found.items() if own is None or self.has(own, series, kind)}
        if seen is None:
            return counted
        matching = {key: [each for each in series if holds(seen, each)] for key, series in counted.items()}
        return {key: series for key, series in matching.items() if series}

    def has(self, segment: Any, series: Sequence[Touchpoint], kind: str) -> bool:
        """Whether a container of a kind, with this series, has the property of a filter."""
        if isinstance(segment, Has):
            return thresholds_hold(segment.has, series)
        if isinstance(segment, Last):
            having = [each for each in series if field_of(each, segment.last.field) is not None]
            # Where none has it, any of them is as good: it lacks the field as the container does.
            return holds(segment.last, (having or list(series))[-1])
        if isinstance(segment, Some):
            inside = segment.some.value
            return any(
                lies_under(each, series, kind) and self.has(segment.that, each, inside)
                for each in self.of_kind(inside).values()
            )
        if isinstance(segment, AllSegments):
            return all(self.has(each, series, kind) for each in segment.all)
        if isinstance(segment, AnySegment):
            return any(self.has(each, series, kind) for each in segment.any)
        return not self.has(segment.not_, series, kind)


def counted_containers(touchpoints: Iterable[Touchpoint], analysis: Analysis) -> Series:
    """The series of the containers that an analysis counts."""
    return World(touchpoints).counted(analysis)


def lies_under(series: Sequence[Touchpoint], outer: Sequence[Touchpoint], kind: str) -> bool:
    """Whether a container lies under another one, an account or a person: the newest one that its touchpoints name."""
    if series[0].account != outer[0].account:
        return False
    people = [each.person for each in series if each.person is not None]
    return kind == "account" or people[-1:] == [outer[0].person]
