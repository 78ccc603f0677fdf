"""The filter of an analysis, naively: does the container's whole series have the property?"""

from collections.abc import Iterable, Sequence
from typing import Any

from state.definitions import AllSegments, Analysis, AnySegment, Has, Last, Touchpoints, UnderAccount
from streams.touchpoint import Touchpoint
from tests.oracles.brute import Series, containers_of, field_of, holds
from tests.oracles.cohort import thresholds_hold


def counted_containers(touchpoints: Iterable[Touchpoint], analysis: Analysis) -> Series:
    """The series of the containers that an analysis counts, by a key that tells containers apart."""
    touchpoints = list(touchpoints)
    found = containers_of(touchpoints, analysis.container.value)
    own = analysis.filter
    if isinstance(own, UnderAccount):
        whole = {series[0].account: series for series in containers_of(touchpoints, "account").values()}
        accounts = {account for account, series in whole.items() if has_property(own.account, series)}
        found = {container: series for container, series in found.items() if series[0].account in accounts}
        own = own.then
    seen = own.touchpoints if isinstance(own, Touchpoints) else None
    own = own.of if isinstance(own, Touchpoints) else own
    counted = {container: series for container, series in found.items() if own is None or has_property(own, series)}
    if seen is None:
        return counted
    matching = {container: [each for each in series if holds(seen, each)] for container, series in counted.items()}
    return {container: series for container, series in matching.items() if series}


def has_property(segment: Any, series: Sequence[Touchpoint]) -> bool:
    """Whether a series has the property of a filter."""
    if isinstance(segment, Has):
        return thresholds_hold(segment.has, series)
    if isinstance(segment, Last):
        having = [each for each in series if field_of(each, segment.last.field) is not None]
        # Where none has it, any of them is as good: it lacks the field as the container does.
        return holds(segment.last, (having or list(series))[-1])
    if isinstance(segment, AllSegments):
        return all(has_property(each, series) for each in segment.all)
    if isinstance(segment, AnySegment):
        return any(has_property(each, series) for each in segment.any)
    return not has_property(segment.not_, series)
