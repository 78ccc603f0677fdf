"""Who is behind a number, and why: the containers that contribute to it, and the touchpoints that made each count.

The law is that of analyses (`state.analyses.lens`): what a container contributes is what a fold over its series
reports. So the contributions of all containers add up to the number, and a touchpoint made a container count when the
fold reports a change of the number at it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import msgspec

from state.analyses.asked import AskedLens
from state.analyses.gate import PERSON
from state.analyses.lens import Lens, Placing
from state.analyses.segment import OfPersonLens
from state.containers import Container, Containers, Entries
from state.figures.figure import Figure
from state.kinds import NAME_BY_CODE, VISITS
from state.layers import Layers
from state.open_gates import OpenGates
from state.plan import SESSION_GAP_MS, KindPlan
from state.rows import event_time_of, parts_of
from state.tallies import counted
from streams.partials import Cell

ENTRIES_PER_LOOK = 512
IsDue = Callable[[], bool]
Each = TypeVar("Each")


class Change(msgspec.Struct, frozen=True):
    """The number changes by `amount` at the touchpoint with this order key. started_ms: of the derived session that it
    lies in, null for every other container."""

    order: bytes
    amount: int
    started_ms: int | None


class Contribution(msgspec.Struct, frozen=True):
    """What one container adds to a number. amount: null where its series is too long to be folded in time. started_ms:
    when a derived session began, whose id is the person's."""

    place: bytes
    kind: str
    account: str
    id: str
    amount: int | None
    started_ms: int | None = None


class Page(msgspec.Struct, frozen=True):
    """Contributions in the order of their places. reached: up to which place everything was looked at; None: to the
    end."""

    found: list[Contribution]
    reached: bytes | None


class _TooLong(Exception):
    """The time is over within a series."""


class Folding:
    """One number over the series of containers of one kind."""

    def __init__(self, plan: KindPlan, place: int, figure: Figure) -> None:
        """place: the analysis' in the plan."""
        self._lens: Lens = plan.lenses[place]
        self.place = place
        self._weight = figure.weight
        self._may_stand = figure.may_stand
        self._is_visits = plan.code == VISITS
        self._names_people = isinstance(self._lens, OfPersonLens)

    def may_contribute(self, container: Container) -> bool:
        """Where a container stands may tell at once that it does not; sessions that are over stand nowhere."""
        if self._may_stand is None or self._is_visits or not isinstance(self._lens, Placing):
            return True
        return self._may_stand(self._lens.position(container.row.states[self.place]))

    def changes(self, entries: Entries, counts: dict[Cell, int], is_due: IsDue | None = None) -> Iterator[Change]:
        """Where the number changes, in the order of the series, with what containers under this one have now
        (`OpenGates.counts`). Raises _TooLong when it `is_due` before the end."""
        lens, place = self._lens, self.place
        tally = dict(counts)
        state = lens.empty()
        last_ms = started_ms = None
        for count, (order, projections) in enumerate(entries):
            event_time = event_time_of(order)
            if self._is_visits and (last_ms is None or event_time - last_ms > SESSION_GAP_MS):
                state, tally, started_ms = lens.empty(), {}, event_time
            last_ms = event_time
            if projections[place] is not None or lens.needs_first:
                cells: dict[Cell, int] = {}
                lens.advance(state, event_time, projections[place], cells)
                if amount := self._amount_of(cells, tally):
                    yield Change(order, amount, started_ms)
            if is_due is not None and count % ENTRIES_PER_LOOK == ENTRIES_PER_LOOK - 1 and is_due():
                raise _TooLong

    def _amount_of(self, cells: dict[Cell, int], tally: dict[Cell, int]) -> int:
        """What changes of cells change of the number."""
        lens = self._lens
        if self._names_people:
            cells = {cell: change for cell, change in cells.items() if cell[0] != PERSON}
        if lens.distinct or lens.gate is not None:
            cells = counted(tally, cells, lens.gate, distinct=lens.distinct)
        return sum(self._weight(cell) * change for cell, change in cells.items())


class Behind:
    """What is behind one number of one analysis, in one partition."""

    def __init__(self, layers: Layers, containers: Containers, version: str, figure: Figure) -> None:
        """version: of an analysis that every layer has."""
        self._containers = containers
        self._version = version
        self._gates = OpenGates(containers)
        self._foldings: dict[KindPlan, Folding] = {}
        for plan in layers.plans:
            for kind in plan.kinds:
                for place, lens in enumerate(kind.lenses):
                    if lens.version == version and not isinstance(lens, AskedLens):
                        self._foldings[kind] = Folding(kind, place, figure)
        self._kinds = sorted({kind.code for kind in self._foldings})

    def page(self, behind: bytes, count: int, is_due: IsDue) -> Page:
        """At least `count` contributing containers behind a place, unless there are fewer or it `is_due` before. At
        least one container is looked at."""
        found: list[Contribution] = []
        reached: bytes | None = None
        for place, container in self._containers.behind(behind, self._kinds):
            if reached is not None and (len(found) >= count or is_due()):
                return Page(found, reached)
            if container is not None and self._may_contribute(container):
                try:
                    found += self._contributions(container, is_due)
                except _TooLong:
                    if reached is not None:
                        return Page(found, reached)
                    # Next time it would be the first again, and no page ever came to its end.
                    found.append(_contribution(container, None))
            reached = place
        return Page(found, None)

    def changes(self, account: bytes, id_: bytes) -> Iterator[Change]:
        """Where the number changes in one container's series; of a person's derived sessions in all of them."""
        for kind in self._kinds:
            container = self._containers.one(account, kind, id_)
            if container is not None and self._is_let_in(container):
                yield from self._changes(container)

    def _may_contribute(self, container: Container) -> bool:
        return self._foldings[container.plan].may_contribute(container) and self._is_let_in(container)

    def _is_let_in(self, container: Container) -> bool:
        """Whether the container's outer ones let it count, where the analysis asks for that."""
        return self._gates.let_in(container, self._foldings[container.plan].place)

    def _changes(self, container: Container, is_due: IsDue | None = None) -> Iterator[Change]:
        folding = self._foldings[container.plan]
        counts = self._gates.counts(container, folding.place)
        return folding.changes(self._containers.series(container), counts, is_due)

    def _contributions(self, container: Container, is_due: IsDue) -> Iterable[Contribution]:
        amounts: dict[int | None, int] = {}
        for change in self._changes(container, is_due):
            amounts[change.started_ms] = amounts.get(change.started_ms, 0) + change.amount
        return [_contribution(container, amount, started_ms) for started_ms, amount in amounts.items() if amount]


def _contribution(container: Container, amount: int | None, started_ms: int | None = None) -> Contribution:
    account, code, id_ = parts_of(container.place)
    kind = NAME_BY_CODE.get(code, NAME_BY_CODE[b"s"])
    return Contribution(container.place, kind, account.decode(), id_.decode(), amount, started_ms)


def merged(pages: Sequence[Page], count: int) -> Page:
    """One page of several partitions'."""
    return Page(*merged_lists([(page.found, page.reached) for page in pages], lambda each: each.place, count))


def merged_lists(
    pages: Sequence[tuple[Sequence[Each], bytes | None]], place_of: Callable[[Each], bytes], count: int
) -> tuple[list[Each], bytes | None]:
    """What several found, and up to which place all have looked: nothing behind a place that one of them has not
    reached, and about `count`; those of one place stay together."""
    reached = min((end for _, end in pages if end is not None), default=None)
    found = sorted((each for some, _ in pages for each in some), key=place_of)
    if reached is not None:
        found = [each for each in found if place_of(each) <= reached]
    if len(found) > count:
        last = place_of(found[count - 1])
        within = [each for each in found if place_of(each) <= last]
        if len(within) < len(found):
            return within, last
    return found, reached
