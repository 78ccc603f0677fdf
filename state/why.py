"""Who is behind a number, and why: the containers that contribute to it, and the touchpoints that made each count.

The law is that of analyses (`state.analyses.lens`): what a container contributes is what a fold over its series
reports. So the contributions of all containers add up to the number, and a touchpoint made a container count when the
fold reports a change of the number at it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import msgspec

from state.account_gates import AccountGates
from state.analyses.lens import Placing
from state.analyses.segment import AccountGateLens
from state.containers import Container, Containers, Entries
from state.figures.figure import Figure
from state.folding import CellFolding, IsDue, TooLongError
from state.layers import Layers
from state.plan import NAME_BY_CODE, KindPlan
from state.rows import parts_of

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


class Folding:
    """One number over the series of containers of one kind."""

    def __init__(self, plan: KindPlan, place: int, figure: Figure) -> None:
        """place: the analysis' in the plan."""
        self._cells = CellFolding(plan, place)
        self._weight = figure.weight
        self._may_stand = figure.may_stand
        self.is_under_account = self._cells.lens.under_account

    def may_contribute(self, container: Container) -> bool:
        """Where a container stands may tell at once that it does not; sessions that are over stand nowhere."""
        lens = self._cells.lens
        if self._may_stand is None or self._cells.is_visits or not isinstance(lens, Placing):
            return True
        return self._may_stand(lens.position(container.row.states[self._cells.place]))

    def changes(self, entries: Entries, is_due: IsDue | None = None) -> Iterator[Change]:
        """Where the number changes, in the order of the series. Raises TooLongError when it `is_due` before the end."""
        for order, cells, started_ms in self._cells.changes(entries, is_due):
            if amount := sum(self._weight(cell) * change for cell, change in cells.items()):
                yield Change(order, amount, started_ms)


class Behind:
    """What is behind one number of one analysis, in one partition."""

    def __init__(self, layers: Layers, containers: Containers, version: str, figure: Figure) -> None:
        """version: of an analysis that every layer has."""
        self._containers = containers
        self._version = version
        self._gates = AccountGates(containers)
        self._foldings: dict[KindPlan, Folding] = {}
        for plan in layers.plans:
            for kind in plan.kinds:
                for place, lens in enumerate(kind.lenses):
                    if lens.version == version and not isinstance(lens, AccountGateLens):
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
                except TooLongError:
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
            if container is not None and self._is_under_open_gate(container):
                yield from self._foldings[container.plan].changes(self._containers.series(container))

    def _may_contribute(self, container: Container) -> bool:
        return self._foldings[container.plan].may_contribute(container) and self._is_under_open_gate(container)

    def _is_under_open_gate(self, container: Container) -> bool:
        """Whether the container's account lets it count, where the analysis asks for that."""
        return not self._foldings[container.plan].is_under_account or self._gates.is_open(
            parts_of(container.place)[0], self._version
        )

    def _contributions(self, container: Container, is_due: IsDue) -> Iterable[Contribution]:
        folding = self._foldings[container.plan]
        amounts: dict[int | None, int] = {}
        for change in folding.changes(self._containers.series(container), is_due):
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
