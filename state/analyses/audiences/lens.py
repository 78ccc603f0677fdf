"""An audience as a lens: its cell is the course of a container's membership.

A course (`course.py`) says whether the container is in now, and when time alone will change that; with it go the
values that a member brings along. Of a container there is one cell at any time, and the law of `state.analyses.lens`
holds: what `advance` reports adds up to the one that a fold over the sorted series makes. A container that is out
whatever time does has none. Who is in by a clock `state.memberships` decides.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from state.analyses.audiences.course import Course, holds_at, joined, turned_at, turns_next
from state.analyses.audiences.questions import Asked, AskedProperty, asked_of
from state.analyses.audiences.words import words_of
from state.analyses.dimension import text_of
from state.analyses.gate import Gate, Level
from state.analyses.lens import Cells, Projection, State
from state.audience_set import AudienceDefinition
from state.conditions import wire_field
from state.definitions import Last
from state.definitions.audience import AllAudience, AnyAudience, NotAudience, Wanted, questions_of
from streams.partials import Cell
from streams.touchpoint import Touchpoint

_ASKED, _VALUES, _COURSES, _COURSE, _SINCE = range(5)
_OUT = (0,)
CONSENT_WITHDRAWN = "consent is withdrawn"
REASONS_MAX = 5
Since = int | list[int]


class Look(NamedTuple):
    """A container at a moment. since_ms: when that began, by its series and time; None where it always was so. answers:
    to the questions, as bits. due_ms: when it is to be looked at again, None for never."""

    is_in: bool
    since_ms: int | None
    answers: int
    due_ms: int | None


class AudienceLens:
    """One audience, compiled.

    State: [the states of its questions, the newest values of its attributes, the courses of the answers, the course
    of membership or None before the first touchpoint, since when it is what it was when the course was made; where the
    course has turns that lie before that, of a question whose answer did not matter then, with when it was made]. A
    projection: [[number, projection] of each question that reads the touchpoint, [number, value] of each attribute that
    it has].
    """

    kind = "audience"
    distinct = False
    gate: Gate[Cell] | None = None
    under: tuple[Level, ...] = ()

    def __init__(self, made: AudienceDefinition) -> None:
        self.definition = made
        self.name, self.version = made.name, made.version
        audience = made.audience
        questions = list(questions_of(audience.wanted))
        self._asked: list[Asked] = [asked_of(each, made.name, audience.container) for each in questions]
        self._words = [words_of(each) for each in questions]
        places = iter(range(len(questions)))
        self._holds = _joined(audience.wanted, lambda: next(places))
        self._consent: int | None = None
        if audience.consent is not None:
            self._consent = len(self._asked)
            self._asked.append(AskedProperty(Last(last=audience.consent)))
            self._words.append("consent")
        self.attributes = tuple(audience.attributes)
        self._items = [text_of(field) for field in audience.attributes.values()]
        read = {field for asked in self._asked for field in asked.fields}
        self.fields = frozenset(read | {"type"} | set(map(wire_field, audience.attributes.values())))
        self._courses_of_nothing = [asked.course(asked.empty()) for asked in self._asked]
        self._answers_of_nothing = _bits(self._courses_of_nothing, 0)
        # Whether a container is in, or will be, by none of its touchpoints.
        self.needs_first = tuple(joined(self._courses_of_nothing, self._is_in)) != _OUT

    def may_read(self, type_: str) -> bool:
        """Whether any touchpoint of a type may interest it."""
        return bool(self._items) or any(asked.may_read(type_) for asked in self._asked)

    def project(self, touchpoint: Touchpoint) -> Projection | None:
        read = [[n, p] for n, asked in enumerate(self._asked) if (p := asked.project(touchpoint)) is not None]
        values = [[n, value] for n, item in enumerate(self._items) if (value := item(touchpoint)) is not None]
        return [read, values] if read or values else None

    def empty(self) -> State:
        return [
            [asked.empty() for asked in self._asked],
            [None] * len(self._items),
            list(self._courses_of_nothing),
            None,
            None,
        ]

    def advance(self, state: State, event_time: int, projection: Projection | None, cells: Cells) -> None:
        read, values = projection or ((), ())
        asked, courses, was = state[_ASKED], state[_COURSES], state[_COURSE]
        brought = tuple(state[_VALUES])
        for number, value in values:
            state[_VALUES][number] = value
        turns = was is None
        for number, found in read:
            question = self._asked[number]
            question.advance(asked[number], event_time, found)
            course = question.course(asked[number])
            if course != courses[number]:
                courses[number], turns = course, True
        if turns:
            now = joined(courses, self._is_in)
            state[_SINCE] = _since(was, now, state[_SINCE], event_time)
            state[_COURSE] = now
        if turns or values:
            _report(cells, was, brought, -1)
            _report(cells, state[_COURSE], tuple(state[_VALUES]), 1)

    def _is_in(self, answers: Sequence[bool]) -> bool:
        return (self._consent is None or answers[self._consent]) and self._holds(answers)

    # --- what the state says

    def look(self, state: State | None, moment: int) -> Look:
        """The container at a moment; without a state it has none of the touchpoints that matter."""
        if state is None or state[_COURSE] is None:
            return Look(is_in=False, since_ms=None, answers=self._answers_of_nothing, due_ms=None)
        course = state[_COURSE]
        return Look(
            is_in=holds_at(course, moment),
            since_ms=_began(course, state[_SINCE], moment),
            answers=_bits(state[_COURSES], moment),
            due_ms=turns_next(course, moment),
        )

    def values(self, state: State | None) -> dict[str, str]:
        """The newest values of the audience's attributes that are known."""
        known = () if state is None else zip(self.attributes, state[_VALUES], strict=True)
        return {name: value for name, value in known if value is not None}

    def reason(self, before: int | None, now: int) -> str:
        """What turned, in words. before, now: answers as bits; before: None where nothing was said."""
        turned = now ^ (self._answers_of_nothing if before is None else before)
        if self._consent is not None and turned >> self._consent & 1 and not now >> self._consent & 1:
            return CONSENT_WITHDRAWN
        places = [n for n in range(len(self._words)) if turned >> n & 1] or list(range(len(self._words)))
        said = [self._words[n] if now >> n & 1 else f"not: {self._words[n]}" for n in places]
        more = len(said) - REASONS_MAX
        return "; ".join(said if more <= 0 else [*said[:REASONS_MAX], f"and {more} more"])


def _bits(courses: Sequence[Course], moment: int) -> int:
    """The answers of a moment, as bits."""
    return sum(holds_at(course, moment) << number for number, course in enumerate(courses))


def _since(was: Course | None, now: Course, since: Since | None, event_time: int) -> Since:
    """Since when it is what it is now, at a touchpoint."""
    has_turned = len(now) > 1 and now[1] <= event_time
    is_in = holds_at(now, event_time) if has_turned else now[0] == 1
    if was is None or since is None or holds_at(was, event_time) != is_in:
        began = event_time
    else:
        began = _began(was, since, event_time)
    return [began, event_time] if has_turned else began


def _began(course: Course, since: Since, moment: int) -> int:
    """Since when it is what it is at a moment. since: of the course, as a state has it."""
    turned = turned_at(course, moment)
    if isinstance(since, list):
        began, made_at = since
        return began if turned is None or turned <= made_at else turned
    return since if turned is None else turned


def _report(cells: Cells, course: Course | None, values: tuple[str | None, ...], change: int) -> None:
    if course is not None and tuple(course) != _OUT:
        cell = tuple(course), values
        cells[cell] = cells.get(cell, 0) + change


def _joined(wanted: Wanted, next_place: Callable[[], int]) -> Callable[[Sequence[bool]], bool]:
    """What is wanted, as a function of the answers from left to right."""
    match wanted:
        case AllAudience():
            every = [_joined(part, next_place) for part in wanted.all]
            return lambda answers: all(holds(answers) for holds in every)
        case AnyAudience():
            some = [_joined(part, next_place) for part in wanted.any]
            return lambda answers: any(holds(answers) for holds in some)
        case NotAudience():
            inner = _joined(wanted.not_, next_place)
            return lambda answers: not inner(answers)
        case _:
            place = next_place()
            return lambda answers: answers[place]
