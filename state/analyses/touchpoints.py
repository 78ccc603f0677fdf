"""An analysis that sees only some touchpoints: the innermost level of a filter (`docs/semantics.md`, Filters).

What does not match is not there for it: a container begins with the first touchpoint that matches, and one without any
is none of its own. Containers are made of all touchpoints all the same: what does not match keeps a session alive.
"""

from state.analyses.gate import Gate, Level
from state.analyses.lens import Cells, Lens, Placing, Projection, State
from state.analyses.masks import mask_of
from state.conditions import fields_of
from state.matches import Condition
from streams.partials import Cell
from streams.touchpoint import Touchpoint


def seeing_only(inner: Lens, condition: Condition) -> Lens:
    """The lens of an analysis that sees only touchpoints which match."""
    return (PlacingTouchpointsLens if isinstance(inner, Placing) else TouchpointsLens)(inner, condition)


class TouchpointsLens:
    """State: the analysis'. A projection is (the analysis' projection,): there is one for every touchpoint that matches
    when the first of them counts, whatever it is."""

    # The first touchpoint of the container may be none that matches.
    needs_first = False
    gate: Gate[Cell] | None = None
    under: tuple[Level, ...] = ()

    def __init__(self, inner: Lens, condition: Condition) -> None:
        self.name, self.kind, self.version, self.distinct = inner.name, inner.kind, inner.version, inner.distinct
        self._inner = inner
        self._mask = mask_of([condition])
        self.fields = inner.fields | {"type", *fields_of(condition)}
        self.empty = inner.empty

    def project(self, touchpoint: Touchpoint) -> Projection | None:
        if not self._mask(touchpoint):
            return None
        inner = self._inner.project(touchpoint)
        return None if inner is None and not self._inner.needs_first else (inner,)

    def advance(self, state: State, event_time: int, projection: Projection | None, cells: Cells) -> None:
        assert projection is not None, "the first touchpoint is not asked for"
        self._inner.advance(state, event_time, projection[0], cells)


class PlacingTouchpointsLens(TouchpointsLens):
    """Of an analysis in which containers stand somewhere."""

    def position(self, state: State) -> object:
        assert isinstance(self._inner, Placing), "seeing_only has looked"
        return self._inner.position(state)
