"""Lenses of containers that an analysis does not count, but of which its filter asks something: outer ones, and ones
that lie under those that it asks.

What they report are amounts of gates (`state.analyses.gate`), each in the tally of the container whose gate it is.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping

from state.analyses.gate import PERSON, Gate, Level
from state.analyses.lens import Cells, Lens, Projection, State
from state.analyses.property import Property
from state.definitions import ContainerKind
from state.kinds import CODE_BY_KIND
from state.rows import parts_of, place_at
from streams.partials import Cell
from streams.touchpoint import Touchpoint

_SUMS, _ANSWERS, _PERSON = range(3)
Told = Iterator[tuple[bytes, Cell, int]]  # the place of the container whose gate it is, the cell there, its change


class AskedLens(ABC):
    """State: [sums of the thresholds, which answers are yes]. A projection is (mask of thresholds, value)."""

    kind = "gate"
    distinct = False
    gate: Gate[Cell] | None = None
    under: tuple[Level, ...] = ()

    def __init__(self, of: Lens, asked: Property) -> None:
        """of: the analysis whose filter asks."""
        self.name, self.version = of.name, of.version
        self.of = of
        self._property = asked
        self.fields = asked.fields
        # A container that has nothing of it may have the property too.
        self.needs_first = asked.holds_of_nothing()

    def project(self, touchpoint: Touchpoint) -> Projection | None:
        mask = self._property.mask(touchpoint)
        return (mask, self._property.value(touchpoint)) if mask else None

    def empty(self) -> State:
        return self._property.empty()

    def advance(self, state: State, event_time: int, projection: Projection | None, cells: Cells) -> None:
        mask, value = projection or (0, 0)
        self._property.advance(state, mask, value, cells)

    @abstractmethod
    def told(self, place: bytes, cells: Mapping[Cell, int]) -> Told:
        """What changes of gates by what the container at a place reports."""


class OuterLens(AskedLens):
    """What is asked of an outer container: it has the gate itself."""

    def told(self, place: bytes, cells: Mapping[Cell, int]) -> Told:
        return ((place, cell, change) for cell, change in cells.items())


class InnerLens(AskedLens):
    """What is asked of some containers under one: this has the gate, and counts in a cell of it those that have it."""

    def __init__(self, of: Lens, asked: Property, holder: ContainerKind, cell: Cell) -> None:
        """holder: what has the gate, an account or a person; of people only derived sessions are asked."""
        super().__init__(of, asked)
        self._holder = CODE_BY_KIND[holder]
        self._cell = cell
        self._is_of_account = holder is ContainerKind.ACCOUNT

    def told(self, place: bytes, cells: Mapping[Cell, int]) -> Told:
        account, _, id_ = parts_of(place)
        holder = place_at(account, self._holder, b"" if self._is_of_account else id_)
        return ((holder, self._cell, change) for change in cells.values())


class InnerOfPersonLens(InnerLens):
    """What is asked of some named sessions of a person, the newest one that a session's touchpoints name.

    State: [sums, answers, person]. A projection is (mask, value, person).
    """

    def __init__(self, of: Lens, asked: Property, holder: ContainerKind, cell: Cell) -> None:
        super().__init__(of, asked, holder, cell)
        self.fields = asked.fields | {PERSON}

    def project(self, touchpoint: Touchpoint) -> Projection | None:
        mask = self._property.mask(touchpoint)
        return (mask, self._property.value(touchpoint), touchpoint.person) if mask or touchpoint.person else None

    def empty(self) -> State:
        return [*super().empty(), None]

    def advance(self, state: State, event_time: int, projection: Projection | None, cells: Cells) -> None:
        mask, value, person = projection or (0, 0, None)
        before = state[_PERSON] if state[_ANSWERS] else None
        self._property.advance(state, mask, value, {})
        state[_PERSON] = person or state[_PERSON]
        now = state[_PERSON] if state[_ANSWERS] else None
        if before != now:
            for each, step in ((before, -1), (now, 1)):
                if each is not None:
                    cells[PERSON, each] = cells.get((PERSON, each), 0) + step

    def told(self, place: bytes, cells: Mapping[Cell, int]) -> Told:
        account, _, _ = parts_of(place)
        changes = ((id_, change) for (_, id_), change in cells.items())
        return ((place_at(account, self._holder, id_.encode()), self._cell, change) for id_, change in changes)
