"""A segment: any analysis of only those containers whose whole series has a property (`docs/semantics.md`, Filters).

The analysis goes on in every container, so that one which comes to have the property counts with all that it did
before. Whether it has it now is the gate: what is reported while it is shut is kept in the tally (`state.tallies`).
What outer containers have are further gates, and so is what containers under it have: of those `state.analyses.asked`
has the lenses.
"""

from collections.abc import Sequence

from state.analyses.gate import PERSON, Gate, Level
from state.analyses.lens import Cells, Lens, Placing, Projection, State
from state.analyses.property import Property
from state.analyses.touchpoints import seeing_only
from state.definitions import ContainerKind, Filter, Segment, Touchpoints
from state.definitions.segment import has_some, levels_of
from streams.partials import Cell
from streams.touchpoint import Touchpoint

_SUMS, _ANSWERS, _INNER = range(3)
_PERSON, _REST = range(2)


def filtered_lens(lens: Lens, wanted: Filter) -> Lens:
    """The lens of an analysis with a filter."""
    levels, own = levels_of(wanted)
    if isinstance(own, Touchpoints):
        lens, own = seeing_only(lens, own.touchpoints), own.of
    if own is not None:
        can_stand = isinstance(lens, Placing) and not has_some(own)
        lens = (PlacingSegmentLens if can_stand else SegmentLens)(lens, own)
    return UnderLens(lens, [(kind, Property(segment)) for kind, segment in levels]) if levels else lens


def properties_of(lens: Lens, kind: ContainerKind) -> list[tuple[ContainerKind, Property]]:
    """What the filter of an analysis asks, with the kind of which it asks it; the analysis' own containers are of
    `kind`."""
    match lens:
        case UnderLens():
            return [*lens.levels, *properties_of(lens.inner, kind)]
        case SegmentLens():
            return [(kind, lens.property)]
        case _:
            return []


class SegmentLens:
    """State: [sums of the filter's thresholds, which answers are yes, the analysis' state]. A projection is (mask of
    thresholds, value, the analysis' projection)."""

    under: tuple[Level, ...] = ()

    def __init__(self, inner: Lens, segment: Segment) -> None:
        self.name, self.kind, self.version = inner.name, inner.kind, inner.version
        self.needs_first, self.distinct = inner.needs_first, inner.distinct
        self._inner = inner
        self.property = Property(segment)
        self.gate: Gate[Cell] | None = self.property.gate
        self.fields = inner.fields | self.property.fields

    def project(self, touchpoint: Touchpoint) -> Projection | None:
        mask, inner = self.property.mask(touchpoint), self._inner.project(touchpoint)
        if not mask and inner is None:
            return None
        return (mask, self.property.value(touchpoint), inner)

    def empty(self) -> State:
        return [*self.property.empty(), self._inner.empty()]

    def advance(self, state: State, event_time: int, projection: Projection | None, cells: Cells) -> None:
        mask, value, inner = projection or (0, 0, None)
        self.property.advance(state, mask, value, cells)
        if inner is not None or self.needs_first:
            self._inner.advance(state[_INNER], event_time, inner, cells)


class PlacingSegmentLens(SegmentLens):
    """Of an analysis in which containers stand somewhere: those without the property nowhere."""

    def position(self, state: State) -> object:
        assert isinstance(self._inner, Placing), "filtered_lens has looked"
        return self._inner.position(state[_INNER]) if state[_ANSWERS] else None


class UnderLens:
    """An analysis of containers that count only while outer ones have a property, which `OuterLens` reports.

    They stand nowhere, for what an outer container has moves no row of theirs.
    """

    def __init__(self, inner: Lens, levels: Sequence[tuple[ContainerKind, Property]]) -> None:
        """levels: what is asked, the outermost first."""
        self.name, self.kind, self.version, self.fields = inner.name, inner.kind, inner.version, inner.fields
        self.needs_first, self.distinct, self.gate = inner.needs_first, inner.distinct, inner.gate
        self.inner = inner
        self.levels = levels
        self.under = tuple(Level(kind, asked.gate) for kind, asked in levels)
        self.project, self.empty, self.advance = inner.project, inner.empty, inner.advance


class OfPersonLens:
    """An analysis of named sessions that looks at their person, the newest one that a session's touchpoints name: it
    reports the person too.

    State: [person, the analysis' state]. A projection is (person, the analysis' projection). A derived session needs
    none of this, for its person is in its key.
    """

    def __init__(self, inner: Lens) -> None:
        self.name, self.kind, self.version = inner.name, inner.kind, inner.version
        self.needs_first, self.distinct, self.gate = inner.needs_first, inner.distinct, inner.gate
        self.under, self.fields = inner.under, inner.fields | {PERSON}
        self._inner = inner

    def project(self, touchpoint: Touchpoint) -> Projection | None:
        inner = self._inner.project(touchpoint)
        return None if inner is None and touchpoint.person is None else (touchpoint.person, inner)

    def empty(self) -> State:
        return [None, self._inner.empty()]

    def advance(self, state: State, event_time: int, projection: Projection | None, cells: Cells) -> None:
        person, inner = projection or (None, None)
        if person is not None and person != state[_PERSON]:
            for each, step in ((state[_PERSON], -1), (person, 1)):
                if each is not None:
                    cells[PERSON, each] = cells.get((PERSON, each), 0) + step
            state[_PERSON] = person
        if inner is not None or self.needs_first:
            self._inner.advance(state[_REST], event_time, inner, cells)

    def person_of(self, state: State) -> str | None:
        """The person whom the session lies under."""
        person: str | None = state[_PERSON]
        return person
