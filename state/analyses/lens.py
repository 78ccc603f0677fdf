"""What every analysis is to the code that keeps containers: three verbs over one container's series.

The law, which a property test holds every analysis to: fold the sorted series from `empty()` with `advance`; the
changes that `advance` reports add up to what the container contributes to the cells. Nothing else may be kept, so
folding from a stored state gives what folding from the beginning gives. Of an analysis with a gate they add up to what
it contributes while its gate is at 1, and at 0 it contributes nothing (`state.tallies`).
"""

from collections.abc import Callable, MutableMapping
from typing import Any, Protocol, runtime_checkable

from state.analyses.gate import Gate, Level
from streams.partials import Cell
from streams.touchpoint import Touchpoint

# What an analysis keeps of a container, and what it reads of a touchpoint: lists of msgpack's types.
State = list[Any]
Projection = Any
Project = Callable[[Touchpoint], Projection | None]
Cells = MutableMapping[Cell, int]


class Lens(Protocol):
    """One analysis, compiled."""

    name: str
    kind: str  # canvas, cohort, flow
    version: str
    fields: frozenset[str]  # of the touchpoint, all that project reads; of the type alone it is asked once per type
    needs_first: bool  # whether a container's first touchpoint counts although it projects to nothing
    distinct: bool  # whether cells count containers that ever contributed, and not contributions
    gate: Gate[Cell] | None  # whether the container counts at all; its cells are of no reader's. None: it always does
    under: tuple[Level, ...]  # the outer containers whose gates must be open for it to count, the outermost first

    def project(self, touchpoint: Touchpoint) -> Projection | None:
        """What the analysis reads of a touchpoint, or None when it interests it only as the first."""

    def empty(self) -> State:
        """The state before the first touchpoint."""

    def advance(self, state: State, event_time: int, projection: Projection | None, cells: Cells) -> None:
        """Moves the state, in place, behind one touchpoint and adds what that changes to `cells`.

        Without a projection it is called only where `needs_first`.
        """


@runtime_checkable
class Placing(Protocol):
    """An analysis in which a container stands somewhere, for its journey to say."""

    def position(self, state: State) -> Any:
        """Where the container stands, in JSON's types; None when nowhere."""


@runtime_checkable
class KnowingTypes(Protocol):
    """An analysis that has less to read of a touchpoint whose type is known."""

    def project_of(self, type_: str) -> Project | None:
        """What gives of touchpoints of the type what `project` gives; None where that is always None."""


class TypeCache(dict[str, Any]):
    """Remembers per type what follows from the type alone."""

    def __init__(self, decide: Callable[[str], Any], size_max: int = 10_000) -> None:
        super().__init__()
        self._decide = decide
        self._size_max = size_max

    def __missing__(self, type_: str) -> Any:
        # Types come from events, so there may be any number of them.
        if len(self) >= self._size_max:
            self.clear()
        decided = self[type_] = self._decide(type_)
        return decided
