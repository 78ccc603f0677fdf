"""What milestones are to the code that keeps containers: lenses whose cells are claims.

A claim says that something happened, in an episode: None where it is told once for a container, else the touchpoint
that began it. Its cell is (episode, when it happened, the touchpoints that led to it, what was reached before). The law
of `state.analyses.lens` holds: the changes that `advance` reports add up to the claims that a fold over the sorted
series makes, of which there is at most one for an episode at any time.

Where time alone brings it about, the claim is made when the time begins, for the moment at which it will be over, and
taken back when something comes before that. So the lens knows no clock; who tells a claim waits until the clock is
there (`state.claims`).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

from state.analyses.dimension import item_of
from state.analyses.gate import Gate, Level
from state.analyses.lens import Cells, Projection, State
from state.analyses.masks import matcher_of
from state.conditions import fields_of, given_type
from state.definitions.milestone import Happens
from state.matches import Condition
from state.milestone_set import MilestoneDefinition
from streams.partials import Cell
from streams.touchpoint import Touchpoint

REFS_MAX = 5
"""How many of the last touchpoints that led to it are told."""

Ref = str
"""A touchpoint of an account: its event id, a zero byte, its source; the end of its row's key."""


def ref_of(touchpoint: Touchpoint) -> Ref:
    """The touchpoint by its event."""
    return f"{touchpoint.event_id}\0{touchpoint.source}"


class MilestoneLens(ABC):
    """One milestone, compiled. waits: whether claims are made before they come true."""

    kind = "milestone"
    needs_first = False
    distinct = False
    gate: Gate[Cell] | None = None
    under: tuple[Level, ...] = ()
    waits = False

    def __init__(self, made: MilestoneDefinition, conditions: Sequence[Condition], fields: Iterable[str] = ()) -> None:
        """fields: of the touchpoint, read beside those of the conditions."""
        self.definition = made
        self.name, self.version = made.name, made.version
        self.each = made.milestone.each
        self._conditions = conditions
        read = {field for condition in conditions for field in fields_of(condition)}
        self.fields = frozenset(read | {"type", "event_id", "source", *fields})

    def may_read(self, type_: str) -> bool:
        """Whether any touchpoint of a type may interest it."""
        return not self._conditions or any(given_type(each, type_) is not False for each in self._conditions)

    @abstractmethod
    def project(self, touchpoint: Touchpoint) -> Projection | None:
        """See `state.analyses.lens.Lens`, and below."""

    @abstractmethod
    def empty(self) -> State: ...

    @abstractmethod
    def advance(self, state: State, event_time: int, projection: Projection | None, cells: Cells) -> None: ...

    def episode(self, began: Ref) -> Ref | None:
        """The episode that a touchpoint begins."""
        return began if self.each else None


def claim(
    cells: Cells, episode: Ref | None, happened: int, refs: Sequence[Ref], path: Sequence[str] = (), change: int = 1
) -> None:
    """Reports a claim; with change -1 takes it back."""
    cell = (episode, happened, tuple(refs), tuple(path))
    cells[cell] = cells.get(cell, 0) + change


class HappensLens(MilestoneLens):
    """State: [whether it happened, and is told once]."""

    def __init__(self, made: MilestoneDefinition, when: Happens) -> None:
        super().__init__(made, [when.match])
        self._matches = matcher_of(when.match)

    def project(self, touchpoint: Touchpoint) -> Projection | None:
        return ref_of(touchpoint) if self._matches(touchpoint) else None

    def empty(self) -> State:
        return [False]

    def advance(self, state: State, event_time: int, projection: Projection | None, cells: Cells) -> None:
        assert projection is not None, "the first touchpoint is not asked for"
        if not state[0]:
            claim(cells, self.episode(projection), event_time, [projection])
            state[0] = not self.each


class OwnerLens:
    """Whom CRM events name as owner of the account, the last of them. It counts nothing. State: [the owner or None]."""

    kind = "owner"
    needs_first = False
    distinct = False
    gate: Gate[Cell] | None = None
    under: tuple[Level, ...] = ()
    fields = frozenset({"stream", "attributes"})

    def __init__(self, attribute: str) -> None:
        """attribute: `attributes.NAME`."""
        self.name = self.version = f"owner {attribute}"
        self._item = item_of(attribute)

    def project(self, touchpoint: Touchpoint) -> Projection | None:
        return self._item(touchpoint) if touchpoint.stream == "crm" else None

    def empty(self) -> State:
        return [None]

    def advance(self, state: State, event_time: int, projection: Projection | None, cells: Cells) -> None:
        state[0] = projection
