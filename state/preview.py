"""An analysis that nobody computes, over some accounts: what their containers contribute, folded from the touchpoints.

Nothing is written. The law: over all accounts the totals are those that the analysis has when it is applied.
"""

from collections.abc import Iterable, Iterator
from zlib import crc32

from state.analyses.segment import AccountGateLens
from state.containers import entries_of
from state.definition_set import Definition
from state.folding import ENTRIES_PER_LOOK, CellFolding, IsDue, TooLongError
from state.plan import KindPlan, Plan
from state.render.days import Days, totals_of
from state.render.ranges import days_at, own_range
from state.rows import event_time_of, keys_of, touchpoints_prefix
from streams.partials import Cell
from streams.store import Rows
from streams.touchpoint import Touchpoint

Placed = tuple[bytes, Touchpoint]  # order key, touchpoint


def sample_of(accounts: Iterable[bytes], count: int) -> list[bytes]:
    """`count` of the accounts as chance has it, in an order of chance; each time the same ones, so that numbers change
    only with the definition."""
    return sorted(accounts, key=lambda account: (crc32(account), account))[:count]


class Preview:
    """The cells of one analysis over the accounts that were added."""

    def __init__(self, definition: Definition) -> None:
        self._definition = definition
        self._plan = Plan([definition])
        self._foldings: list[tuple[KindPlan, CellFolding]] = []
        self._gate: tuple[int, AccountGateLens] | None = None
        for kind in self._plan.kinds:
            for place, lens in enumerate(kind.lenses):
                if isinstance(lens, AccountGateLens):
                    self._gate = place, lens
                else:
                    self._foldings.append((kind, CellFolding(kind, place)))
        self.cells: dict[Cell, int] = {}

    def add(self, rows: Rows, account: bytes, is_due: IsDue) -> bool:
        """Adds what an account contributes; False, and nothing is added, when it `is_due` before that is known."""
        try:
            cells = self._cells_of(self._placed(rows, account, is_due), is_due)
        except TooLongError:
            return False
        for cell, amount in cells.items():
            self.cells[cell] = self.cells.get(cell, 0) + amount
        return True

    def totals(self, clock_ms: int) -> tuple[dict[Cell, int], Days | None]:
        """What the body is made from, over the days that the definition asks for at the clock, and these."""
        definition = self._definition
        days = days_at(definition, own_range(definition), clock_ms)
        return {cell: total for cell, total in totals_of(definition, self.cells, days).items() if total}, days

    def _placed(self, rows: Rows, account: bytes, is_due: IsDue) -> list[Placed]:
        decode = self._plan.decode
        placed: list[Placed] = []
        for number, (_, value) in enumerate(rows.scan(touchpoints_prefix(account)), 1):
            touchpoint = decode(value)
            if not touchpoint.withdrawn:
                placed.append((keys_of(account, touchpoint)[1], touchpoint))
            if number % ENTRIES_PER_LOOK == 0 and is_due():
                raise TooLongError
        return placed

    def _cells_of(self, placed: list[Placed], is_due: IsDue) -> dict[Cell, int]:
        """What the containers of an account contribute together."""
        cells: dict[Cell, int] = {}
        if not self._is_open(placed):
            return cells
        for kind, folding in self._foldings:
            for mine in _by_container(kind, placed):
                for change in folding.changes(entries_of(kind, mine), is_due):
                    for cell, amount in change.cells.items():
                        cells[cell] = cells.get(cell, 0) + amount
        return cells

    def _is_open(self, placed: list[Placed]) -> bool:
        """Whether the account has what the analysis asks of it."""
        if self._gate is None:
            return True
        place, lens = self._gate
        state = lens.empty()
        for order, projections in entries_of(self._plan.account, placed):
            lens.advance(state, event_time_of(order), projections[place], {})
        return lens.has_property(state)


def _by_container(kind: KindPlan, placed: list[Placed]) -> Iterator[list[Placed]]:
    by_id: dict[str, list[Placed]] = {}
    for each in placed:
        if (id_ := kind.id_of(each[1])) is not None:
            by_id.setdefault(id_, []).append(each)
    yield from by_id.values()
