"""What audiences ask of a container's series, each a small fold over it: `Asked`.

Canvases, cohorts, milestones and properties are asked through their own lenses. What time changes by itself is in the
course of an answer (`course.py`), so no fold knows a clock. "The last days" end at the clock, or at the newest
touchpoint that is asked about where that lies ahead of it: what lies before them never counts again, and is dropped.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import assert_never

from state.analyses.audiences.course import Course, always, during, joined
from state.analyses.canvas import DAY, CanvasLens
from state.analyses.canvas_detail import CanvasDetailLens, needs_detail
from state.analyses.cohort import CohortLens
from state.analyses.lens import Projection, State
from state.analyses.masks import matcher_of
from state.analyses.milestones import milestone_lens
from state.analyses.property import Property
from state.analyses.thresholds import comparing
from state.calendar import Calendar
from state.conditions import fields_of, given_type
from state.definitions import Canvas, Cohort, ContainerKind, Has, Last, Milestone
from state.definitions.audience import (
    ArrowFollowed,
    HasTouchpoints,
    InCohort,
    MilestoneReached,
    Question,
    RecentThreshold,
    first_day,
)
from state.definitions.canvas_options import duration_ms
from state.definitions.milestone import ArrowNotFollowed, Graph, NodeReached
from state.definitions.milestone import When as MilestoneCondition
from state.definitions.thresholds import Threshold, leaves_of
from state.matches import Condition
from state.milestone_set import MilestoneDefinition
from streams.partials import Cell
from streams.touchpoint import Touchpoint

_EVERY_TYPE: tuple[Condition, ...] = ()


class Asked(ABC):
    """One question, compiled: verbs as a lens has them, but that what follows from the state is a course."""

    fields: frozenset[str]

    def __init__(self, conditions: Sequence[Condition]) -> None:
        """conditions: what a touchpoint matches one of that it reads; none where it may read any."""
        self._conditions = conditions

    def may_read(self, type_: str) -> bool:
        """Whether any touchpoint of a type may interest it."""
        return not self._conditions or any(given_type(each, type_) is not False for each in self._conditions)

    @abstractmethod
    def project(self, touchpoint: Touchpoint) -> Projection | None: ...

    @abstractmethod
    def empty(self) -> State: ...

    @abstractmethod
    def advance(self, state: State, event_time: int, projection: Projection) -> None: ...

    @abstractmethod
    def course(self, state: State) -> Course:
        """Whether it holds, and when time alone will change that."""


def asked_of(question: Question, name: str, container: ContainerKind) -> Asked:
    """One question of an audience of that name, compiled."""
    match question:
        case HasTouchpoints():
            if question.has.within is not None:
                return AskedWindow(question.has)
            told = {key: getattr(question.has, key) for key in Threshold.model_fields}
            return AskedProperty(Has(has=Threshold(**told)))
        case Last():
            return AskedProperty(question)
        case NodeReached():
            return AskedCanvas(_there(question.graph), container, "n", question.node)
        case ArrowFollowed():
            return _asked_arrow(question, name, container)
        case InCohort():
            return AskedCohort(question, container)
        case MilestoneReached():
            return AskedMilestone(name, container, question.when, question.within, each=question.each)
        case _ as never:
            assert_never(never)


def _there(graph: Graph | None) -> Graph:
    assert graph is not None, "it is put there when a file is read"
    return graph


def _asked_arrow(question: ArrowFollowed, name: str, container: ContainerKind) -> Asked:
    graph = _there(question.graph)
    if question.followed:
        return AskedCanvas(graph, container, "a", len(graph.arrows) - 1)
    if question.within is None:
        return AskedNotYet(graph, container, question.arrow.from_)
    when = ArrowNotFollowed(canvas=question.canvas, arrow=question.arrow, within=question.within, graph=graph)
    return AskedMilestone(name, container, when)


class AskedProperty(Asked):
    """A threshold over the whole series, or the newest value of a field. State: that of the property."""

    def __init__(self, segment: Has | Last) -> None:
        super().__init__([segment.has.match] if isinstance(segment, Has) else _EVERY_TYPE)
        self._property = Property(segment)
        self.fields = self._property.fields

    def project(self, touchpoint: Touchpoint) -> Projection | None:
        mask = self._property.mask(touchpoint)
        return (mask, self._property.value(touchpoint)) if mask else None

    def empty(self) -> State:
        return self._property.empty()

    def advance(self, state: State, event_time: int, projection: Projection) -> None:
        mask, value = projection
        self._property.advance(state, mask, value, {})

    def course(self, state: State) -> Course:
        _, answers = state
        return always(self._property.holds_of_nothing() if answers is None else answers == 1)


_AT_LEAST = {">=": (0, True), ">": (1, True), "<": (0, False), "<=": (1, False)}


class AskedWindow(Asked):
    """A threshold over the last days. State: [moment, amount] of each touchpoint that may count; of a count no more
    than decide it, for the oldest of them go first."""

    def __init__(self, threshold: RecentThreshold) -> None:
        super().__init__([threshold.match])
        within = duration_ms(threshold.within)
        assert within is not None, "it is there"
        self._within = within
        self._is_count = threshold.metric == "count"
        self._count_max = int(threshold.number) + 1
        # Of the usual comparisons of a count: how many it is at least, and whether that is what is wanted.
        self._at_least = _AT_LEAST.get(threshold.op) if self._is_count else None
        if self._at_least is not None:
            self._count_max = max(1, int(threshold.number) + self._at_least[0])
            self._is_decided = int(threshold.number) + self._at_least[0] <= 0
        self._matches = matcher_of(threshold.match)
        self._holds = comparing(threshold, 0)
        self.fields = frozenset(fields_of(threshold.match)) | {"type", *(() if self._is_count else ("value",))}

    def project(self, touchpoint: Touchpoint) -> Projection | None:
        if not self._matches(touchpoint):
            return None
        return 1 if self._is_count else (touchpoint.value or 0)

    def empty(self) -> State:
        return []

    def advance(self, state: State, event_time: int, projection: Projection) -> None:
        start = event_time - self._within
        gone = next((n for n, (moment, _) in enumerate(state) if moment >= start), len(state))
        state[:] = [*state[gone:], [event_time, projection]]
        if self._is_count:
            del state[: -self._count_max]

    def course(self, state: State) -> Course:
        if self._at_least is None:
            return self._course_of_amounts(state)
        _, wanted = self._at_least
        if self._is_decided or len(state) < self._count_max:
            return always(wanted == self._is_decided)
        return [int(wanted), state[-self._count_max][0] + self._within + 1]

    def _course_of_amounts(self, state: State) -> Course:
        """By what is left as the oldest go."""
        total = sum(amount for _, amount in state)
        course = always(self._holds([total]))
        for number, (moment, amount) in enumerate(state, 1):
            total -= amount
            is_last = number == len(state) or state[number][0] != moment  # those of one moment go together
            if is_last and self._holds([total]) != bool((course[0] + len(course) - 1) & 1):
                course.append(moment + self._within + 1)
        return course


class AskedCanvas(Asked):
    """A node is reached, or an arrow followed, which nothing but a correction takes back. State: [whether it came, the
    canvas' state until then]."""

    def __init__(self, graph: Graph, container: ContainerKind, letter: str, wanted: str | int) -> None:
        """letter, wanted: n and the id of a node, a and the number of an arrow; a cell of the canvas' lens."""
        super().__init__([node.match for node in graph.nodes])
        canvas = Canvas(kind="canvas", name="asked", container=container, nodes=graph.nodes, arrows=graph.arrows)
        of_canvas = CanvasDetailLens if needs_detail(canvas) else CanvasLens
        # Days of a start mean nothing here, so the canvas is told one that never changes.
        self._canvas = of_canvas(canvas, "asked", Calendar("UTC", "monday"))
        self.fields = self._canvas.fields
        number = [node.id for node in graph.nodes].index(wanted) if isinstance(wanted, str) else wanted
        self._wanted = (letter, number)

    def project(self, touchpoint: Touchpoint) -> Projection | None:
        return self._canvas.project(touchpoint)

    def empty(self) -> State:
        canvas = self._canvas.empty()
        canvas[DAY] = 0
        return [False, canvas]

    def advance(self, state: State, event_time: int, projection: Projection) -> None:
        if state[0]:
            return
        cells: dict[Cell, int] = {}
        self._canvas.advance(state[1], event_time, projection, cells)
        if any(cell[:2] == self._wanted for cell in cells):
            state[:] = [True, None]

    def course(self, state: State) -> Course:
        return always(state[0])


class AskedNotYet(Asked):
    """The origin of an arrow is reached, and the arrow, the last of the graph, is not followed. State: those of
    both."""

    def __init__(self, graph: Graph, container: ContainerKind, origin: str) -> None:
        super().__init__([node.match for node in graph.nodes])
        self._reached = AskedCanvas(graph, container, "n", origin)
        self._followed = AskedCanvas(graph, container, "a", len(graph.arrows) - 1)
        self.fields = self._reached.fields

    def project(self, touchpoint: Touchpoint) -> Projection | None:
        return self._reached.project(touchpoint)

    def empty(self) -> State:
        return [self._reached.empty(), self._followed.empty()]

    def advance(self, state: State, event_time: int, projection: Projection) -> None:
        for asked, own in zip((self._reached, self._followed), state, strict=True):
            asked.advance(own, event_time, projection)

    def course(self, state: State) -> Course:
        (is_reached, _), (is_followed, _) = state
        return always(is_reached and not is_followed)


class AskedCohort(Asked):
    """A cohort includes the container in a period, and it returns. State: [how often it is so, the cohort's state]."""

    def __init__(self, question: InCohort, container: ContainerKind) -> None:
        row = question.row
        assert row is not None, "it is put there when a file is read"
        cohort = Cohort(
            kind="cohort",
            name=question.cohort,
            container=container,
            granularity=row.granularity,
            include=row.include,
            inclusion=row.inclusion,
            return_=row.return_,
            periods=max(1, question.returned or 1),
        )
        calendar = Calendar(row.zone, row.week_start)
        self._cohort = CohortLens(cohort, "asked", calendar)
        self.fields = self._cohort.fields
        day = first_day(question.period).toordinal() - _EPOCH_ORDINAL
        bucket = calendar.bucket_of_day(row.granularity)(day)
        self._wanted: Cell = ("i", bucket) if question.returned is None else ("r", bucket, question.returned)
        matches = [each.match for each in (*leaves_of(row.inclusion), *leaves_of(row.return_))]
        super().__init__(_EVERY_TYPE if self._cohort.needs_all else matches)

    def project(self, touchpoint: Touchpoint) -> Projection | None:
        return self._cohort.project(touchpoint)

    def empty(self) -> State:
        return [0, self._cohort.empty()]

    def advance(self, state: State, event_time: int, projection: Projection) -> None:
        cells: dict[Cell, int] = {}
        self._cohort.advance(state[1], event_time, projection, cells)
        state[0] += cells.get(self._wanted, 0)

    def course(self, state: State) -> Course:
        return always(state[0] > 0)


_EPOCH_ORDINAL = 719_163  # 1970-01-01


class AskedMilestone(Asked):
    """A milestone happened, told or not; within the last days, or ever.

    State: [the milestone's state, the moment at which it happened for good (None: never), the moment at which it
    will have happened if nothing comes (None: no time runs)].
    """

    def __init__(
        self,
        name: str,
        container: ContainerKind,
        when: MilestoneCondition | None,
        within: str | None = None,
        *,
        each: bool = False,
    ) -> None:
        assert when is not None, "it is put there when a file is read"
        super().__init__(_EVERY_TYPE)
        milestone = Milestone(name=name, container=container, when=when, each=each)
        self._lens = milestone_lens(MilestoneDefinition("asked", 0, milestone))
        self._within = duration_ms(within)
        self.fields = self._lens.fields

    def may_read(self, type_: str) -> bool:
        return self._lens.may_read(type_)

    def project(self, touchpoint: Touchpoint) -> Projection | None:
        return self._lens.project(touchpoint)

    def empty(self) -> State:
        return [self._lens.empty(), None, None]

    def advance(self, state: State, event_time: int, projection: Projection) -> None:
        own, happened, coming = state
        if coming is not None and coming < event_time:
            happened, coming = self._for_good(happened, coming), None
        cells: dict[Cell, int] = {}
        self._lens.advance(own, event_time, projection, cells)
        for change, moment in sorted((change, cell[1]) for cell, change in cells.items() if change):
            if not self._lens.waits:
                happened = self._for_good(happened, moment)
            else:  # what is taken back comes first
                coming = moment if change > 0 else None
        state[1:] = [happened, coming]

    def course(self, state: State) -> Course:
        _, *moments = state
        # What a touchpoint brings about is so at once, also where its time lies ahead of the clock.
        return joined(
            [
                during(moment if self._lens.waits else None, self._over(moment))
                for moment in moments
                if moment is not None
            ],
            any,
        )

    def _for_good(self, before: int | None, moment: int) -> int:
        """The one that matters of the moments at which it happened: without a window the first, with one the last."""
        return moment if before is None or self._within is not None else before

    def _over(self, moment: int) -> int | None:
        return None if self._within is None else moment + self._within + 1
