"""Parts of answers: what they contain, and containers and touchpoints as they are listed."""

from typing import Any

from state.figures.figure import Figure
from state.render.amounts import decimal_text
from state.rows import touchpoint_key
from state.story import cursor_of
from state.telling import told
from state.why import Change, Contribution
from streams.answers import BehindCell, Counted
from streams.commit import applied_of
from streams.protocol_rows import CommitRow
from streams.store import Rows
from streams.touchpoint import decode_touchpoint


class ContainedParts:
    """What an answer of several partitions contains."""

    def __init__(self) -> None:
        self._applied: dict[str, int] = {}
        self._clock_ms = 0

    def take(self, partition: int, row: CommitRow) -> None:
        """Another partition's commit."""
        self._applied[str(partition)] = applied_in(row)
        self._clock_ms = max(self._clock_ms, row.clock_ms)

    def said(self) -> dict[str, Any]:
        """The fields of `streams.answers.Contained`."""
        return {"applied": self._applied, "clock_ms": self._clock_ms}


def applied_in(row: CommitRow) -> int:
    """The offset of the last touchpoint in a commit; the accounts stage has no other input."""
    (offset,) = applied_of(row).values()
    return offset


def behind_cell(each: Contribution, figure: Figure) -> BehindCell:
    """A container as it is listed."""
    amount = None if each.amount is None else _amount(each.amount, figure)
    return BehindCell(cursor_of(each.place) or "", each.account, each.kind, each.id or None, amount, each.started_ms)


def _amount(amount: int, figure: Figure) -> int | str:
    return decimal_text(amount) if figure.is_value else amount


def counted_of(rows: Rows, account: bytes, changes: list[Change], figure: Figure) -> list[Counted]:
    """The account's touchpoints at which a number changed, as they are listed."""
    values = rows.get([touchpoint_key(account, change.order) for change in changes])
    return [
        Counted(_amount(change.amount, figure), told(decode_touchpoint(value)), change.started_ms)
        for change, value in zip(changes, values, strict=True)
        if value is not None
    ]
