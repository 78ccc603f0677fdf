"""All milestones and audiences of one kind of container as one lens, so that what interests none of them costs one
look, however many there are.

A touchpoint's type says which of them may read it. What is kept of a container are the states of those that read
something of it, and of those that look at every container. A cell begins with the number of its milestone or audience.
"""

from collections.abc import Iterator, Sequence

from state.analyses.audiences import AudienceLens
from state.analyses.gate import Gate, Level
from state.analyses.lens import Cells, Project, Projection, State, TypeCache
from state.analyses.milestones.lens import MilestoneLens
from streams.partials import Cell
from streams.touchpoint import Touchpoint

Told = MilestoneLens | AudienceLens


class TogetherLens:
    """State: [number, state] of each that has one, in the order of the numbers. A projection: [number, projection] of
    each that reads the touchpoint."""

    name = version = kind = "together"
    distinct = False
    gate: Gate[Cell] | None = None
    under: tuple[Level, ...] = ()

    def __init__(self, lenses: Sequence[Told]) -> None:
        self.lenses = tuple(lenses)
        self.fields = frozenset().union(*(lens.fields for lens in lenses))
        self._always = [n for n, lens in enumerate(lenses) if isinstance(lens, AudienceLens) and lens.needs_first]
        self.needs_first = bool(self._always)
        self._reading = TypeCache(self._reading_type)

    def _reading_type(self, type_: str) -> list[tuple[int, Project]]:
        """Those that may read something of a type."""
        return [(number, lens.project) for number, lens in enumerate(self.lenses) if lens.may_read(type_)]

    def project(self, touchpoint: Touchpoint) -> Projection | None:
        reading = self._reading[touchpoint.type]
        found = [(number, projection) for number, project in reading if (projection := project(touchpoint)) is not None]
        return found or None

    def project_of(self, type_: str) -> Project | None:
        return self.project if self._reading[type_] else None

    def empty(self) -> State:
        return []

    def advance(self, state: State, event_time: int, projection: Projection | None, cells: Cells) -> None:
        if self._always and not state:
            for number in self._always:
                self._advance(state, event_time, number, None, cells)
        for number, read in projection or ():
            self._advance(state, event_time, number, read, cells)

    def _advance(self, state: State, event_time: int, number: int, read: Projection | None, cells: Cells) -> None:
        own: dict[Cell, int] = {}
        self.lenses[number].advance(self._state_of(state, number), event_time, read, own)
        for cell, change in own.items():
            cells[number, *cell] = cells.get((number, *cell), 0) + change

    def _state_of(self, state: State, number: int) -> State:
        """The state of one, which is there from now on."""
        place = next((n for n, (other, _) in enumerate(state) if other >= number), len(state))
        if place == len(state) or state[place][0] != number:
            state.insert(place, [number, self.lenses[number].empty()])
        found: State = state[place][1]
        return found

    def state_in(self, state: State, version: str) -> State | None:
        """The state of one version, None where it has none."""
        return next((own for number, own in state if self.lenses[number].version == version), None)

    def changes(self, cells: Cells) -> Iterator[tuple[Told, Cells]]:
        """The changes of the cells of each."""
        by_number: dict[int, Cells] = {}
        for (number, *cell), change in cells.items():
            by_number.setdefault(number, {})[tuple(cell)] = change
        for number, found in by_number.items():
            yield self.lenses[number], found
