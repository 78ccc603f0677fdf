"""A segment: any analysis of only those containers whose whole series has a property (`docs/semantics.md`, Filters).

The analysis goes on in every container, so that one which comes to have the property counts with all that it did
before. Whether it has it now is the gate: what is reported while it is shut is kept in the tally (`state.tallies`).
What its account has is another gate, which a lens of the account reports.
"""

from collections.abc import Callable, Iterator

from state.analyses.lens import Cells, Lens, Placing, Projection, State
from state.analyses.masks import mask_of
from state.analyses.thresholds import Sums, Test, comparing, increase
from state.analyses.touchpoints import seeing_only
from state.conditions import fields_of, given_absence
from state.definitions import (
    AllSegments,
    AnySegment,
    Filter,
    Has,
    Last,
    NotSegment,
    Segment,
    Threshold,
    Touchpoints,
    UnderAccount,
)
from state.definitions.segment import questions_of
from state.matches import Condition, Match, Operator
from streams.partials import Cell
from streams.touchpoint import Touchpoint

GATE: Cell = ("gate",)
_SUMS, _IS_IN, _INNER = range(3)


def filtered_lens(inner: Lens, wanted: Filter) -> Lens:
    """The lens of an analysis with a filter."""
    match wanted:
        case UnderAccount():
            return UnderAccountLens(inner if wanted.then is None else filtered_lens(inner, wanted.then))
        case Touchpoints():
            seen = seeing_only(inner, wanted.touchpoints)
            return seen if wanted.of is None else filtered_lens(seen, wanted.of)
        case _:
            return (PlacingSegmentLens if isinstance(inner, Placing) else SegmentLens)(inner, wanted)


def is_in(lens: Lens, state: State) -> bool:
    """Whether a container has the property that the filter asks for of its own series."""
    if isinstance(lens, UnderAccountLens):
        return is_in(lens.inner, state)
    return not isinstance(lens, SegmentLens) or lens.has_property(state)


class _Property:
    """What is summed, and whether the property is there.

    A count is kept up to one more than it is compared with; what it is beyond decides nothing, so that equal futures
    are equal states. Of a newest value is kept whether it is as wanted, 1 or 0.
    """

    def __init__(self, segment: Segment) -> None:
        questions = questions_of(segment)
        self.holds = _holding(segment, iter(range(len(questions))))
        self.reads_value = any(isinstance(each, Threshold) and each.metric == "value" for each in questions)
        conditions: list[Condition] = []
        self._notes: list[Callable[[Sums, int, int], None]] = []
        for place, each in enumerate(questions):
            self._notes.append(_note_of(each, place, len(conditions)))
            conditions += [each.match] if isinstance(each, Threshold) else [_there(each), each]
        self.mask = mask_of(conditions)
        self._nothing = [0 if isinstance(each, Threshold) else int(given_absence(each)) for each in questions]
        read = {field for each in conditions for field in fields_of(each)}
        self.fields = frozenset(read | {"type"} | ({"value"} if self.reads_value else set()))

    def nothing(self) -> Sums:
        """The sums over nothing."""
        return list(self._nothing)

    def advance(self, state: State, mask: int, value: int, cells: Cells) -> None:
        """Moves a state that begins with [sums, whether the property is there (None: not looked at yet)]; a turn is a
        change of the gate."""
        if not mask and state[_IS_IN] is not None:
            return
        for note in self._notes:
            note(state[_SUMS], mask, value)
        now = self.holds(state[_SUMS])
        if step := now - bool(state[_IS_IN]):
            cells[GATE] = cells.get(GATE, 0) + step
        state[_IS_IN] = now


def _note_of(question: Threshold | Match, place: int, bit: int) -> Callable[[Sums, int, int], None]:
    """The function that takes a touchpoint into the sums: its mask, in which the question has the bits from `bit` on,
    and its value."""

    def count(sums: Sums, mask: int, _: int) -> None:
        if mask >> bit & 1:
            sums[place] = min(int(sums[place]) + 1, most)

    def add(sums: Sums, mask: int, value: int) -> None:
        if mask >> bit & 1:
            increase(sums, place, value)

    def compare(sums: Sums, mask: int, _: int) -> None:
        if mask >> bit & 1:
            sums[place] = mask >> bit + 1 & 1

    if isinstance(question, Match):
        return compare
    most = max(int(question.number) + 1, 0)
    return count if question.metric == "count" else add


def _there(match: Match) -> Match:
    return Match(field=match.field, op=Operator.EXISTS)


class SegmentLens:
    """State: [sums of the filter's thresholds, whether they hold, the analysis' state]. A projection is (mask of
    thresholds, value, the analysis' projection)."""

    gate: Cell | None = GATE
    under_account = False

    def __init__(self, inner: Lens, segment: Segment) -> None:
        self.name, self.kind, self.version = inner.name, inner.kind, inner.version
        self.needs_first, self.distinct = inner.needs_first, inner.distinct
        self._inner = inner
        self._property = _Property(segment)
        self.fields = inner.fields | self._property.fields

    def project(self, touchpoint: Touchpoint) -> Projection | None:
        mask, inner = self._property.mask(touchpoint), self._inner.project(touchpoint)
        if not mask and inner is None:
            return None
        return (mask, (touchpoint.value or 0) if self._property.reads_value else 0, inner)

    def empty(self) -> State:
        return [self._property.nothing(), None, self._inner.empty()]

    def advance(self, state: State, event_time: int, projection: Projection | None, cells: Cells) -> None:
        mask, value, inner = projection or (0, 0, None)
        self._property.advance(state, mask, value, cells)
        if inner is not None or self.needs_first:
            self._inner.advance(state[_INNER], event_time, inner, cells)

    def has_property(self, state: State) -> bool:
        """Whether the container has it."""
        return bool(state[_IS_IN])


class PlacingSegmentLens(SegmentLens):
    """Of an analysis in which containers stand somewhere: those without the property nowhere."""

    def position(self, state: State) -> object:
        assert isinstance(self._inner, Placing), "filtered_lens has looked"
        return self._inner.position(state[_INNER]) if self.has_property(state) else None


class UnderAccountLens:
    """An analysis of containers that count only while their account has a property; `AccountGateLens` says whether.

    They stand nowhere, for what the account has moves no row of theirs.
    """

    under_account = True

    def __init__(self, inner: Lens) -> None:
        self.name, self.kind, self.version, self.fields = inner.name, inner.kind, inner.version, inner.fields
        self.needs_first, self.distinct, self.gate = inner.needs_first, inner.distinct, inner.gate
        self.inner = inner
        self.project, self.empty, self.advance = inner.project, inner.empty, inner.advance


class AccountGateLens:
    """The gate of an account, for the containers under it that an analysis counts.

    State: [sums of the thresholds, whether they hold]. A projection is (mask of thresholds, value).
    """

    kind = "gate"
    distinct = False
    gate: Cell | None = GATE
    under_account = False

    def __init__(self, of: Lens, segment: Segment) -> None:
        """of: the analysis of the containers."""
        self.name, self.version = of.name, of.version
        self.of = of
        self._property = _Property(segment)
        self.fields = self._property.fields
        # An account that has nothing of it may have the property too.
        self.needs_first: bool = self._property.holds(self._property.nothing())

    def project(self, touchpoint: Touchpoint) -> Projection | None:
        mask = self._property.mask(touchpoint)
        if not mask:
            return None
        return (mask, (touchpoint.value or 0) if self._property.reads_value else 0)

    def empty(self) -> State:
        return [self._property.nothing(), None]

    def advance(self, state: State, event_time: int, projection: Projection | None, cells: Cells) -> None:
        mask, value = projection or (0, 0)
        self._property.advance(state, mask, value, cells)

    def has_property(self, state: State) -> bool:
        """Whether the account has it."""
        return bool(state[_IS_IN])


def _holding(segment: Segment, places: Iterator[int]) -> Test:
    """The function from the sums, in the order of the thresholds, to whether the filter holds."""
    match segment:
        case Has():
            return comparing(segment.has, next(places))
        case Last():
            place = next(places)
            return lambda sums: sums[place] == 1
        case NotSegment():
            inner = _holding(segment.not_, places)
            return lambda sums: not inner(sums)
        case AllSegments():
            every = [_holding(part, places) for part in segment.all]
            return lambda sums: all(test(sums) for test in every)
        case _:
            assert isinstance(segment, AnySegment), "names are resolved when a file is read"
            some = [_holding(part, places) for part in segment.any]
            return lambda sums: any(test(sums) for test in some)
