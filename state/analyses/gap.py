"""The place of an analysis that is not computed any more, in rows whose layout still has it."""

from state.analyses.gate import Gate, Level
from state.analyses.lens import Cells, Lens, Projection, State
from streams.partials import Cell
from streams.touchpoint import Touchpoint


class GapLens:
    """Reads nothing and counts nothing. What a container keeps beside the states goes on as before."""

    kind = "gap"
    fields: frozenset[str] = frozenset()
    distinct = False
    gate: Gate[Cell] | None = None
    under: tuple[Level, ...] = ()

    def __init__(self, former: Lens) -> None:
        self.name, self.version, self.needs_first = former.name, former.version, former.needs_first

    def project(self, touchpoint: Touchpoint) -> Projection | None:
        return None

    def empty(self) -> State:
        return []

    def advance(self, state: State, event_time: int, projection: Projection | None, cells: Cells) -> None:
        """Entries from before have projections for it, which nobody reads any more."""
