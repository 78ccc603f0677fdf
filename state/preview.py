"""An analysis that nobody computes, over some accounts: what each contributes, computed as if its touchpoints came now.

Nothing is written. The law: over all accounts the totals are those that the analysis has when it is applied.
"""

from collections.abc import Iterable, Sequence
from zlib import crc32

import msgspec

from state.accounts import Accounts
from state.definition_set import Definition
from state.layers import Layers
from state.plan import Plan
from state.render.days import Days, totals_of
from state.render.ranges import days_at, own_range
from state.rows import frozen, touchpoints_prefix
from state.why import IsDue
from streams.batch import BatchTooLargeError
from streams.partials import Cell, decode_cell
from streams.store import Rows

TOUCHPOINTS_PER_LOOK = 512


def sample_of(accounts: Iterable[bytes], count: int) -> list[bytes]:
    """`count` of the accounts as chance has it, in an order of chance; each time the same ones, so that numbers change
    only with the definition."""
    return sorted(accounts, key=lambda account: (crc32(account), account))[:count]


class _Record(msgspec.Struct):
    key: bytes
    value: bytes


class Nothing:
    """The rows that an account finds of which nothing was ever stored."""

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [None] * len(keys)

    def scan(self, prefix: bytes, behind: bytes = b"") -> Iterable[tuple[bytes, bytes]]:
        return ()

    def floor(self, prefix: bytes, key: bytes) -> None:
        return None

    def after(self, prefix: bytes, key: bytes) -> None:
        return None


class Preview:
    """The cells of one analysis over the accounts that were added."""

    def __init__(self, definition: Definition) -> None:
        self._definition = definition
        self._accounts = Accounts(Layers.only(Plan([definition])), Nothing())
        self.cells: dict[Cell, int] = {}

    def add(self, rows: Rows, account: bytes, is_due: IsDue) -> bool:
        """Adds what an account contributes; False, and nothing is added, when it `is_due` before its touchpoints are
        read, or they are too many at once. To compute with them takes about four times as long."""
        records: list[_Record] = []
        for _, value in rows.scan(touchpoints_prefix(account)):
            records.append(_Record(account, value))
            if len(records) % TOUCHPOINTS_PER_LOOK == 0 and is_due():
                return False
        try:
            outcome = self._accounts.compute(records)
        except BatchTooLargeError:
            return False
        for key, amount in outcome.cells:
            cell = frozen(decode_cell(key)[1])
            self.cells[cell] = self.cells.get(cell, 0) + amount
        return True

    def totals(self, clock_ms: int) -> tuple[dict[Cell, int], Days | None]:
        """What the body is made from, over the days that the definition asks for at the clock, and these."""
        definition = self._definition
        days = days_at(definition, own_range(definition), clock_ms)
        return {cell: total for cell, total in totals_of(definition, self.cells, days).items() if total}, days
