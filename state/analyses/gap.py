"""The place of an analysis that is not computed any more, in rows whose layout still has it."""

from state.analyses.lens import Cells, Projection, State
from state.definition_set import Definition
from streams.partials import Cell
from streams.touchpoint import Touchpoint


class GapLens:
    """Keeps whatever state it finds and reads nothing."""

    kind = "gap"
    fields: frozenset[str] = frozenset()
    needs_first = False
    distinct = False
    gate: Cell | None = None
    under_account = False

    def __init__(self, definition: Definition) -> None:
        self.name, self.version = definition.analysis.name, definition.version

    def project(self, touchpoint: Touchpoint) -> Projection | None:
        return None

    def empty(self) -> State:
        return []

    def advance(self, state: State, event_time: int, projection: Projection | None, cells: Cells) -> None:
        raise AssertionError("it projects nothing, so nothing moves it")
