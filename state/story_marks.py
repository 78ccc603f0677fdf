"""Which touchpoints moved a container: reached a node of a canvas, or came into a period of a cohort.

Found by folding the containers' series over the stretch that is asked for, from the states of the chunk in which it
begins; so the cost is that of the stretch, however long the series is. An analysis with a filter marks what moved the
containers that it counts now.
"""

from collections.abc import Callable, Iterator, Sequence

from state.analyses.asked import AskedLens
from state.analyses.lens import Cells
from state.calendar import Calendar
from state.containers import Container, Containers
from state.definition_set import Definition, DefinitionSet
from state.definitions import Canvas, Cohort
from state.kinds import NAME_BY_CODE, VISITS
from state.layers import Layers
from state.open_gates import OpenGates
from state.render.cohort import label_of
from state.rows import event_time_of, parts_of
from streams.answers import Milestone
from streams.partials import Cell
from streams.touchpoint import Touchpoint

Placed = tuple[bytes, Touchpoint]  # order key, touchpoint
JUMP_ENTRIES = 128  # more than a chunk holds, so that a jump always comes further
Say = Callable[[str, str | None, Cell, int], Milestone | None]  # kind, id, cell, change


class StoryMarks:
    """The milestones of one partition's containers."""

    def __init__(self, definitions: DefinitionSet, layers: Layers, containers: Containers) -> None:
        self._layers = layers
        self._containers = containers
        self._gates = OpenGates(containers)
        self._says = {each.version: _say(each) for each in definitions.definitions}

    def of(self, account: bytes, placed: Sequence[Placed]) -> dict[bytes, list[Milestone]]:
        """The milestones of an account's touchpoints, by order key."""
        found: dict[bytes, list[Milestone]] = {}
        for kind in self._layers.plan_of(account).kinds:
            says = [None if isinstance(lens, AskedLens) else self._says.get(lens.version) for lens in kind.lenses]
            if not any(says):
                continue
            orders_by_id: dict[str, list[bytes]] = {}
            for order, touchpoint in placed:
                id_ = kind.id_of(touchpoint)
                if id_ is not None:
                    orders_by_id.setdefault(id_, []).append(order)
            for id_, orders in orders_by_id.items():
                container = self._containers.one(account, kind.code, id_.encode())
                if container is not None:
                    heard = [say if say and self._counts(container, n) else None for n, say in enumerate(says)]
                    self._mark(container, orders, heard, found)
        return found

    def _counts(self, container: Container, number: int) -> bool:
        """Whether an analysis counts a container. Of the derived sessions of a person the state tells what it has of
        the last one only, so with a gate of their own none is taken for being counted."""
        if not self._gates.let_in(container, number):
            return False
        if container.plan.code == VISITS:
            return container.plan.lenses[number].gate is None
        return self._gates.lets_itself_in(container, number)

    def _mark(
        self, container: Container, orders: list[bytes], says: Sequence[Say | None], found: dict[bytes, list[Milestone]]
    ) -> None:
        """Folds where the touchpoints lie, and notes what they moved. orders: of one container, any order."""
        wanted = sorted(orders, reverse=True)
        kind, id_ = _named(container)
        can_jump = not self._containers.is_half_applied(container)
        while wanted:
            states, entries = self._containers.stretch(container, wanted[-1])
            since = 0  # entries passed since the last one that was wanted; a jump goes on in the chunk of the next
            for order, projections in entries:
                sinks: list[Cells] = [{} for _ in container.plan.lenses]
                container.plan.advance(states, event_time_of(order), projections, sinks)
                since += 1
                # What interests no analysis is no entry, and passed over.
                while wanted and wanted[-1] < order:
                    wanted.pop()
                if wanted and wanted[-1] == order:
                    if made := list(_said(says, sinks, kind, id_)):
                        found.setdefault(order, []).extend(made)
                    wanted.pop()
                    since = 0
                if not wanted or (can_jump and since > JUMP_ENTRIES):
                    break
            else:
                return


def _said(says: Sequence[Say | None], sinks: Sequence[Cells], kind: str, id_: str | None) -> Iterator[Milestone]:
    """What the changes of cells mean."""
    for say, cells in zip(says, sinks, strict=True):
        for cell, change in cells.items() if say is not None else ():
            if change and say is not None and (milestone := say(kind, id_, cell, change)) is not None:
                yield milestone


def _named(container: Container) -> tuple[str, str | None]:
    _, code, id_ = parts_of(container.place)
    return NAME_BY_CODE[b"s" if code == VISITS else code], id_.decode() or None


def _say(definition: Definition) -> Say | None:
    """What a change of a cell means; None for an analysis without milestones."""
    match definition.analysis:
        case Canvas() as canvas:
            return _say_of_canvas(canvas)
        case Cohort() as cohort:
            return _say_of_cohort(cohort, Calendar(definition.zone, definition.week_start))
        case _:
            return None


def _say_of_canvas(canvas: Canvas) -> Say:
    def say(kind: str, id_: str | None, cell: Cell, _: int) -> Milestone | None:
        return Milestone(canvas.name, kind, id_, node=canvas.nodes[cell[1]].id) if cell[0] == "n" else None

    return say


def _say_of_cohort(cohort: Cohort, calendar: Calendar) -> Say:
    def say(kind: str, id_: str | None, cell: Cell, change: int) -> Milestone | None:
        if cell[0] != "i":
            return None
        return Milestone(
            cohort.name, kind, id_, period=label_of(calendar, cohort.granularity, cell[1]), is_left=change < 0
        )

    return say
