"""What a filter asks of one container, compiled: sums over its series, and the answers that these give."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from state.analyses.gate import Gate, gate_cell
from state.analyses.lens import Cells, State
from state.analyses.masks import mask_of
from state.analyses.thresholds import Sums, Test, comparing, increase
from state.conditions import fields_of, given_absence
from state.definitions import AllSegments, AnySegment, Has, Last, NotSegment, Segment, Some, Threshold
from state.definitions.segment import has_some, questions_of
from state.matches import Condition, Match, Operator
from streams.partials import Cell
from streams.touchpoint import Touchpoint

_SUMS, _ANSWERS = range(2)
Found = TypeVar("Found")


class Property:
    """What is summed, and which answers are yes.

    An answer is as large a part of the segment as asks for nothing but the container's own series; most often that is
    all of it. inside: what is asked of containers under this one, each with the cell in which those are counted that
    have it.

    A count is kept up to one more than it is compared with; what it is beyond decides nothing, so that equal futures
    are equal states. Of a newest value is kept whether it is as wanted, 1 or 0.
    """

    def __init__(self, segment: Segment) -> None:
        asked: list[Segment] = []
        holds = _joined(segment, lambda part: _answer(part, asked))
        cells = [gate_cell(number) for number in range(len(asked))]
        self.inside = [(cell, part) for cell, part in zip(cells, asked, strict=True) if isinstance(part, Some)]
        self.gate: Gate[Cell] = Gate(cells, [cell for cell, _ in self.inside], holds)
        own = [(cell, part) for cell, part in zip(cells, asked, strict=True) if not isinstance(part, Some)]
        questions = [question for _, part in own for question in questions_of(part)]
        places = iter(range(len(questions)))
        self._answers = [(cell, _joined(part, lambda leaf: _question(leaf, places))) for cell, part in own]
        self._reads_value = any(isinstance(each, Threshold) and each.metric == "value" for each in questions)
        conditions: list[Condition] = []
        self._notes: list[Callable[[Sums, int, int], None]] = []
        for place, each in enumerate(questions):
            self._notes.append(_note_of(each, place, len(conditions)))
            conditions += [each.match] if isinstance(each, Threshold) else [_there(each), each]
        self.mask = mask_of(conditions)
        self._nothing: Sums = [0 if isinstance(each, Threshold) else int(given_absence(each)) for each in questions]
        read = {field for each in conditions for field in fields_of(each)}
        self.fields = frozenset(read | {"type"} | ({"value"} if self._reads_value else set()))

    @property
    def asks_the_series(self) -> bool:
        """Whether anything is asked of the container's own series."""
        return bool(self._answers)

    def value(self, touchpoint: Touchpoint) -> int:
        """What a touchpoint adds to sums of value; 0 where there are none."""
        return (touchpoint.value or 0) if self._reads_value else 0

    def empty(self) -> State:
        """The state before the first touchpoint: [sums, which answers are yes, as bits (None: not looked at yet)]."""
        return [list(self._nothing), None]

    def holds_of_nothing(self) -> bool:
        """Whether any answer is yes before the first touchpoint."""
        return any(holds(self._nothing) for _, holds in self._answers)

    def advance(self, state: State, mask: int, value: int, cells: Cells) -> None:
        """Moves a state that begins as `empty` does behind a touchpoint; an answer that turns changes its cell."""
        if not mask and state[_ANSWERS] is not None:
            return
        for note in self._notes:
            note(state[_SUMS], mask, value)
        before, now = int(state[_ANSWERS] or 0), 0
        for number, (cell, holds) in enumerate(self._answers):
            is_yes = int(holds(state[_SUMS]))
            now |= is_yes << number
            if step := is_yes - (before >> number & 1):
                cells[cell] = cells.get(cell, 0) + step
        state[_ANSWERS] = now


def _answer(part: Segment, asked: list[Segment]) -> Callable[[Sequence[int]], bool] | None:
    """The test of an answer's amount, for a part that is one."""
    if has_some(part) and not isinstance(part, Some):
        return None
    place = len(asked)
    asked.append(part)
    return lambda amounts: amounts[place] > 0


def _question(part: Segment, places: Iterator[int]) -> Test | None:
    """The test of the sum at the next place, for a question."""
    match part:
        case Has():
            return comparing(part.has, next(places))
        case Last():
            place = next(places)
            return lambda sums: sums[place] == 1
        case _:
            return None


def _joined(segment: Segment, leaf: Callable[[Segment], Callable[[Found], bool] | None]) -> Callable[[Found], bool]:
    """The tests that `leaf` gives for parts of a segment, joined as the segment says; from left to right."""
    if (test := leaf(segment)) is not None:
        return test
    match segment:
        case NotSegment():
            inner = _joined(segment.not_, leaf)
            return lambda found: not inner(found)
        case AllSegments():
            every = [_joined(part, leaf) for part in segment.all]
            return lambda found: all(test(found) for test in every)
        case _:
            assert isinstance(segment, AnySegment), "names are resolved when a file is read"
            some = [_joined(part, leaf) for part in segment.any]
            return lambda found: any(test(found) for test in some)


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
