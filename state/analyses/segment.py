"""A segment: any analysis of only those containers whose whole series has a property (`docs/semantics.md`, Filters).

The analysis goes on in every container, so that one which comes to have the property counts with all that it did
before. Whether it has it now is the gate: what is reported while it is shut is kept in the tally (`state.tallies`).
"""

from collections.abc import Iterator

from state.analyses.lens import Cells, Lens, Placing, Projection, State
from state.analyses.masks import mask_of
from state.analyses.thresholds import Sums, Test, comparing, increase
from state.conditions import fields_of
from state.definitions import AllSegments, Has, NotSegment, Segment
from state.definitions.segment import thresholds_of
from streams.partials import Cell
from streams.touchpoint import Touchpoint

GATE: Cell = ("gate",)
_SUMS, _IS_IN, _INNER = range(3)


def segment_lens(inner: Lens, segment: Segment) -> "SegmentLens":
    """The lens of an analysis with a filter."""
    return (PlacingSegmentLens if isinstance(inner, Placing) else SegmentLens)(inner, segment)


class SegmentLens:
    """State: [sums of the filter's thresholds, whether it holds (None: not looked at yet), the analysis' state].

    A count is kept up to one more than it is compared with; what it is beyond decides nothing, so that equal futures
    are equal states. A projection is (mask of thresholds, value, the analysis' projection).
    """

    gate: Cell | None = GATE

    def __init__(self, inner: Lens, segment: Segment) -> None:
        self.name, self.kind, self.version = inner.name, inner.kind, inner.version
        self.needs_first, self.distinct = inner.needs_first, inner.distinct
        self._inner = inner
        thresholds = thresholds_of(segment)
        self._count = len(thresholds)
        self._mask = mask_of([each.match for each in thresholds])
        self._most = [None if each.metric == "value" else max(int(each.number) + 1, 0) for each in thresholds]
        self._holds = _holding(segment, iter(range(len(thresholds))))
        self._reads_value = any(each.metric == "value" for each in thresholds)
        read = {field for each in thresholds for field in fields_of(each.match)}
        self.fields = inner.fields | read | {"type"} | ({"value"} if self._reads_value else set())

    def project(self, touchpoint: Touchpoint) -> Projection | None:
        mask, inner = self._mask(touchpoint), self._inner.project(touchpoint)
        if not mask and inner is None:
            return None
        return (mask, (touchpoint.value or 0) if self._reads_value else 0, inner)

    def empty(self) -> State:
        return [[0] * self._count, None, self._inner.empty()]

    def advance(self, state: State, event_time: int, projection: Projection | None, cells: Cells) -> None:
        mask, value, inner = projection or (0, 0, None)
        if mask or state[_IS_IN] is None:
            self._sum(state[_SUMS], mask, value)
            is_in = self._holds(state[_SUMS])
            if step := is_in - bool(state[_IS_IN]):
                cells[GATE] = cells.get(GATE, 0) + step
            state[_IS_IN] = is_in
        if inner is not None or self.needs_first:
            self._inner.advance(state[_INNER], event_time, inner, cells)

    def is_in(self, state: State) -> bool:
        """Whether the container has the property."""
        return bool(state[_IS_IN])

    def _sum(self, sums: Sums, mask: int, value: int) -> None:
        for place, most in enumerate(self._most):
            if mask >> place & 1:
                if most is None:
                    increase(sums, place, value)
                else:
                    sums[place] = min(int(sums[place]) + 1, most)


class PlacingSegmentLens(SegmentLens):
    """Of an analysis in which containers stand somewhere: those without the property nowhere."""

    def position(self, state: State) -> object:
        assert isinstance(self._inner, Placing), "segment_lens has looked"
        return self._inner.position(state[_INNER]) if self.is_in(state) else None


def _holding(segment: Segment, places: Iterator[int]) -> Test:
    """The function from the sums, in the order of the thresholds, to whether the filter holds."""
    match segment:
        case Has():
            return comparing(segment.has, next(places))
        case NotSegment():
            inner = _holding(segment.not_, places)
            return lambda sums: not inner(sums)
        case _:
            joined = all if isinstance(segment, AllSegments) else any
            parts = segment.all if isinstance(segment, AllSegments) else segment.any
            tests = [_holding(part, places) for part in parts]
            return lambda sums: joined(test(sums) for test in tests)
