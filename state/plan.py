"""A definition set compiled: per kind of container the analyses that look at it, and what they read of a touchpoint."""

from collections.abc import Callable, Container, Iterator, Sequence
from operator import attrgetter
from typing import Any, assert_never, cast

import msgspec

from state.analyses.asked import AskedLens, InnerLens, InnerOfPersonLens, OuterLens
from state.analyses.audiences import AudienceLens
from state.analyses.canvas import CanvasLens
from state.analyses.canvas_detail import CanvasDetailLens, needs_detail
from state.analyses.cohort_tracked import cohort_lens
from state.analyses.flow import FlowLens
from state.analyses.flow_dimensions import DimensionsFlowLens
from state.analyses.gap import GapLens
from state.analyses.lens import Cells, KnowingTypes, Lens, Placing, Project, Projection, TypeCache
from state.analyses.milestones import milestone_lens
from state.analyses.milestones.lens import OwnerLens
from state.analyses.property import Property
from state.analyses.segment import OfPersonLens, filtered_lens, properties_of
from state.analyses.together import TogetherLens, Told
from state.audience_set import AudienceDefinition
from state.calendar import Calendar
from state.definition_set import Definition
from state.definitions import Canvas, Cohort, ContainerKind, Flow
from state.kinds import CODE_BY_KIND, VISITS
from state.milestone_set import MilestoneDefinition
from state.rows import FIRST_LAYOUT, pack, unpack
from state.tallies import session_counter
from streams.touchpoint import Touchpoint, prefix_decoder

SESSION_GAP_MS = 1_800_000
_ACCOUNT = CODE_BY_KIND[ContainerKind.ACCOUNT]
_TYPE = frozenset({"type"})
_GivenType = tuple[list[Projection | None] | None, list[tuple[int, Project]]]


class _OfType(msgspec.Struct):
    """What is known of a touchpoint by its type."""

    type: str


class KindPlan:
    """The analyses of one kind of container, as one: states, projections and sinks are lists in their order."""

    def __init__(
        self,
        code: bytes,
        lenses: Sequence[Lens],
        id_of: Callable[[Touchpoint], str | None],
        placing: Container[str],
    ) -> None:
        """placing: the versions that say where a container stands."""
        self.code = code
        self.lenses = tuple(lenses)
        self.id_of = id_of
        self.needs_first = any(lens.needs_first for lens in lenses)
        # Whether every touchpoint of such a container is one of its own, also those that interest no analysis.
        self.counts_all = self.needs_first or code == _ACCOUNT
        # Whether what one container contributes is kept apart from the others.
        self.keeps_tallies = any(map(self.is_tallied, lenses))
        # The milestones and audiences and their place; their cells are counted nowhere.
        self.together = next(((n, lens) for n, lens in enumerate(lenses) if isinstance(lens, TogetherLens)), None)
        self._gaps = [index for index, lens in enumerate(lenses) if isinstance(lens, GapLens)]
        self._by_type: dict[str, _GivenType] = TypeCache(self._given_type)
        self._advances = [(lens.advance, lens.needs_first) for lens in lenses]
        self._positions = [
            (index, lens.kind, lens.name, lens.position)
            for index, lens in enumerate(lenses)
            if isinstance(lens, Placing) and lens.version in placing
        ]
        self.empty_packed = pack(self.empty())
        self._nothing: list[Projection | None] = [None] * len(self.lenses)

    def is_tallied(self, lens: Lens) -> bool:
        """Whether what one container contributes to the analysis is kept apart from what others do, in tallies."""
        return lens.distinct or lens.gate is not None or needs_place(lens)

    def project(self, touchpoint: Touchpoint) -> list[Projection | None] | None:
        """What each analysis reads of a touchpoint; None when it interests none but as a container's first."""
        decided, open_ = self._by_type[touchpoint.type]
        if not open_ or decided is None:  # never the latter without the former
            return decided
        projections = decided.copy()
        for index, project in open_:
            projections[index] = project(touchpoint)
        return None if projections == self._nothing else projections

    def _given_type(self, type_: str) -> _GivenType:
        """What analyses that read nothing but the type read of it, and those of the others that it may interest."""
        touchpoint = cast(Touchpoint, _OfType(type_))
        decided = [lens.project(touchpoint) if lens.fields <= _TYPE else None for lens in self.lenses]
        others = ((index, lens) for index, lens in enumerate(self.lenses) if not lens.fields <= _TYPE)
        open_ = [(index, project) for index, lens in others if (project := _project_of(lens, type_)) is not None]
        return (decided if open_ or decided != self._nothing else None), open_

    @property
    def nothing(self) -> list[Projection | None]:
        """The projections of a touchpoint that counts only as the first."""
        return self._nothing

    def empty(self) -> list[Any]:
        """The states before the first touchpoint."""
        return [lens.empty() for lens in self.lenses]

    def advance(
        self, states: list[Any], event_time: int, projections: list[Projection | None], sinks: Sequence[Cells]
    ) -> None:
        """Moves every state, in place, behind one touchpoint."""
        for (advance, needs_first), state, projection, sink in zip(  # noqa: B905  (strict costs on the hot path)
            self._advances, states, projections, sinks
        ):
            if projection is not None or needs_first:
                advance(state, event_time, projection, sink)

    def forget_gaps(self, states: list[Any]) -> None:
        """Empties the places of what is not computed any more, so that states differ only in what is."""
        for index in self._gaps:
            states[index] = []

    def positions(self, states: list[Any]) -> dict[str, dict[str, Any]]:
        """Where the container stands, by kind and name of the analysis; empty when nowhere."""
        found: dict[str, dict[str, Any]] = {}
        for index, kind, name, position_of in self._positions:
            position = position_of(states[index])
            if position is not None:
                found.setdefault(kind, {})[name] = position
        return found


class VisitsPlan(KindPlan):
    """Sessions derived within the web touchpoints of (account, person) that bring no session id.

    Such a session has no stable id, so the person's series is one container that starts afresh at a gap. What counts
    distinct containers, or has a gate, is told apart here, for a session has no rows of its own: an analysis' cells
    change when the running session comes to contribute to them, or no longer does.
    States: [time of the last touchpoint, states of the running session, per analysis its tally].
    """

    def __init__(
        self,
        code: bytes,
        lenses: Sequence[Lens],
        id_of: Callable[[Touchpoint], str | None],
        placing: Container[str],
    ) -> None:
        super().__init__(code, lenses, id_of, placing)
        self._counted_advances = [(lens.advance, lens.needs_first, session_counter(lens)) for lens in lenses]

    def is_tallied(self, lens: Lens) -> bool:
        """What sessions contribute is told apart already, unless it means something only with other containers."""
        return needs_place(lens)

    def project(self, touchpoint: Touchpoint) -> list[Projection | None] | None:
        """Every touchpoint counts: it keeps the session alive."""
        return super().project(touchpoint) or self._nothing

    def empty(self) -> list[Any]:
        """Before the first session."""
        return [None, super().empty(), [{} for _ in self.lenses]]

    def forget_gaps(self, states: list[Any]) -> None:
        super().forget_gaps(states[1])
        for index in self._gaps:
            states[2][index] = {}

    def advance(
        self, states: list[Any], event_time: int, projections: list[Projection | None], sinks: Sequence[Cells]
    ) -> None:
        """Ends the session when the gap was too long, then goes on in it."""
        last = states[0]
        if last is not None and event_time - last > SESSION_GAP_MS:
            states[:] = unpack(self.empty_packed)
        states[0] = event_time
        for (advance, needs_first, count), state, tally, projection, sink in zip(  # noqa: B905  (as above)
            self._counted_advances, states[1], states[2], projections, sinks
        ):
            if projection is None and not needs_first:
                continue
            if count is None:
                advance(state, event_time, projection, sink)
            else:
                cells: Cells = {}
                advance(state, event_time, projection, cells)
                count(tally, cells, sink)


class Plan:
    """The analyses of one layout of rows, compiled. `account` is always there: an account's row carries its journey.

    code: of the layout, in the keys of its rows. versions: of all its analyses, milestones and audiences. current:
    without those that were replaced; of these a journey says where a container stands. owner_places: where in an
    account's states its owner stands, by the attribute that names it. audience_names: by version.
    """

    def __init__(
        self,
        definitions: Sequence[Definition],
        replaced: Sequence[Definition] = (),
        in_force: Container[str] = (),
        code: int = FIRST_LAYOUT,
        milestones: Sequence[MilestoneDefinition] = (),
        audiences: Sequence[AudienceDefinition] = (),
    ) -> None:
        """replaced: former versions; one that is not in force any more only keeps its place in the states."""
        self.code = code
        self.audience_names = {each.version: each.name for each in audiences}
        versions = [*(each.version for each in definitions), *(each.version for each in milestones)]
        self.current = frozenset([*versions, *self.audience_names])
        self.versions = self.current | {definition.version for definition in replaced}
        lenses_by_code: dict[bytes, list[Lens]] = {}
        for definition in (*replaced, *definitions):
            is_computed = definition.version in self.current or definition.version in in_force
            for kind, lens in _lenses(definition):
                lenses_by_code.setdefault(kind, []).append(lens if is_computed else GapLens(lens))
        told: dict[ContainerKind, list[Told]] = {}
        for milestone in milestones:
            told.setdefault(milestone.milestone.container, []).append(milestone_lens(milestone))
        for audience in audiences:
            told.setdefault(audience.audience.container, []).append(AudienceLens(audience))
        for container, mine in told.items():
            lenses_by_code.setdefault(CODE_BY_KIND[container], []).append(TogetherLens(mine))
        own, placing = lenses_by_code.pop(_ACCOUNT, []), self.current
        owners = sorted({each.milestone.owner for each in milestones})
        self.owner_places = {attribute: len(own) + number for number, attribute in enumerate(owners)}
        own += map(OwnerLens, owners)
        self.account = KindPlan(_ACCOUNT, own, _id, placing)
        self.others: tuple[KindPlan, ...] = tuple(
            (VisitsPlan if code == VISITS else KindPlan)(code, lenses, ID_BY_CODE[code], placing)
            for code, lenses in lenses_by_code.items()
        )
        self.kinds = (self.account, *self.others)
        self.decode = prefix_decoder(self._fields())

    def kind(self, code: bytes) -> KindPlan:
        """The plan of the kind with this code, which has rows."""
        return next(kind for kind in self.kinds if kind.code == code)

    def _fields(self) -> set[str]:
        read = {field for plan in self.kinds for lens in plan.lenses for field in lens.fields}
        codes = {plan.code for plan in self.others}
        read |= {kind.value for kind, code in CODE_BY_KIND.items() if code in codes}
        return read | {"type"} | ({"person", "session", "stream"} if VISITS in codes else set())


def lens_of(definition: Definition) -> Lens:
    """The analysis of one definition, compiled."""
    lens, wanted = _unfiltered(definition), definition.analysis.filter
    return lens if wanted is None else filtered_lens(lens, wanted)


def _project_of(lens: Lens, type_: str) -> Project | None:
    return lens.project_of(type_) if isinstance(lens, KnowingTypes) else lens.project


def needs_place(lens: Lens) -> bool:
    """Whether what it reports means something only together with the container that reports it, or with others."""
    return bool(lens.under) or isinstance(lens, AskedLens)


def _lenses(definition: Definition) -> Iterator[tuple[bytes, Lens]]:
    """The lens of one definition and those of what its filter asks of other containers, each with the code of the kind
    that it looks at."""
    lens, container = lens_of(definition), definition.analysis.container
    under_person = any(level.kind is ContainerKind.PERSON for level in lens.under)
    yield CODE_BY_KIND[container], OfPersonLens(lens) if under_person else lens
    if container is ContainerKind.SESSION:
        yield VISITS, lens
    for kind, asked in properties_of(lens, container):
        if kind is not container and asked.asks_the_series:
            yield CODE_BY_KIND[kind], OuterLens(lens, asked)
        for cell, some in asked.inside:
            inner = Property(some.that)
            of_person = some.some is ContainerKind.SESSION and kind is ContainerKind.PERSON
            yield CODE_BY_KIND[some.some], (InnerOfPersonLens if of_person else InnerLens)(lens, inner, kind, cell)
            if some.some is ContainerKind.SESSION:
                yield VISITS, InnerLens(lens, inner, kind, cell)


def _unfiltered(definition: Definition) -> Lens:
    calendar = Calendar(definition.zone, definition.week_start)
    match definition.analysis:
        case Canvas() as canvas:
            of_canvas = CanvasDetailLens if needs_detail(canvas) else CanvasLens
            return of_canvas(canvas, definition.version, calendar)
        case Cohort() as cohort:
            return cohort_lens(cohort, definition.version, calendar)
        case Flow() as flow:
            of_flow = DimensionsFlowLens if flow.has_several_dimensions else FlowLens
            return of_flow(flow, definition.version, calendar)
        case _ as never:
            assert_never(never)


def _id(_: Touchpoint) -> str | None:
    return ""  # an account is known by the record's key


def _visitor(touchpoint: Touchpoint) -> str | None:
    """The person whose web touchpoints make sessions; None where the source names the session, or nobody."""
    return touchpoint.person if touchpoint.stream == "web" and touchpoint.session is None else None


ID_BY_CODE: dict[bytes, Callable[[Touchpoint], str | None]] = {
    CODE_BY_KIND[ContainerKind.OPPORTUNITY]: attrgetter("opportunity"),
    CODE_BY_KIND[ContainerKind.BUYING_GROUP]: attrgetter("buying_group"),
    CODE_BY_KIND[ContainerKind.PERSON]: attrgetter("person"),
    CODE_BY_KIND[ContainerKind.SESSION]: attrgetter("session"),
    VISITS: _visitor,
}
FIELDS_OF_IDS = ("opportunity", "buying_group", "person", "session", "stream")
"""What they read."""
