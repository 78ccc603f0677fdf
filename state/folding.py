"""What one analysis makes of series: the changes of its cells, container by container, as they are published.

The law is that of analyses (`state.analyses.lens`, `state.tallies`): what a container contributes is what a fold over
its series reports.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from state.analyses.lens import Lens
from state.containers import Entries
from state.plan import SESSION_GAP_MS, VISITS, KindPlan
from state.rows import event_time_of
from state.tallies import counted
from streams.partials import Cell

ENTRIES_PER_LOOK = 512
IsDue = Callable[[], bool]


class TooLongError(Exception):
    """The time is over within a series."""


class CellChanges(NamedTuple):
    """What cells change at the touchpoint with this order key. started_ms: of the derived session that it lies in, null
    for every other container."""

    order: bytes
    cells: dict[Cell, int]
    started_ms: int | None


class CellFolding:
    """One analysis over the series of containers of one kind."""

    def __init__(self, plan: KindPlan, place: int) -> None:
        """place: the analysis' in the plan."""
        self.lens: Lens = plan.lenses[place]
        self.place = place
        self.is_visits = plan.code == VISITS

    def changes(self, entries: Entries, is_due: IsDue | None = None) -> Iterator[CellChanges]:
        """Where cells change, in the order of the series. Raises TooLongError when it `is_due` before the end."""
        lens, place = self.lens, self.place
        tally: dict[Cell, int] = {}
        state = lens.empty()
        last_ms = started_ms = None
        for count, (order, projections) in enumerate(entries):
            event_time = event_time_of(order)
            if self.is_visits and (last_ms is None or event_time - last_ms > SESSION_GAP_MS):
                state, tally, started_ms = lens.empty(), {}, event_time
            last_ms = event_time
            if projections[place] is not None or lens.needs_first:
                cells: dict[Cell, int] = {}
                lens.advance(state, event_time, projections[place], cells)
                if lens.distinct or lens.gate is not None:
                    cells = counted(tally, cells, lens.gate, distinct=lens.distinct)
                if cells:
                    yield CellChanges(order, cells, started_ms)
            if is_due is not None and count % ENTRIES_PER_LOOK == ENTRIES_PER_LOOK - 1 and is_due():
                raise TooLongError
