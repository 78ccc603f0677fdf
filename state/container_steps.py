"""One container behind a batch: what joins in order, what comes late, what is taken back."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from state.cell_changes import Sinks
from state.plan import KindPlan
from state.rows import ContainerRow
from state.series import Entry, Put, Series, note
from streams.store import Store
from streams.touchpoint import Touchpoint

# A touchpoint that joins a container: its order key, what the plan reads, itself.
Added = tuple[bytes, list[Any] | None, Touchpoint]


class Group(msgspec.Struct):
    """What a batch changes in one container: (order key, what the plan reads, touchpoint) that joins, and the first
    two of what leaves."""

    plan: KindPlan
    account: bytes
    id: str
    key: bytes
    added: list[Added]
    removed: list[tuple[bytes, list[Any] | None]]


class Stepper:
    """Steps containers on top of a store. `history` gives all touchpoints of an account as they stand behind the
    batch, each with its order key."""

    def __init__(self, store: Store, put: Put, history: Callable[[bytes], Iterable[tuple[bytes, Touchpoint]]]) -> None:
        self._store = store
        self._put = put
        self._history = history

    def stepped(self, group: Group, row: ContainerRow, sinks: Sinks) -> ContainerRow | None:
        """The container's row behind the batch; None when it has no touchpoint left."""
        plan, added = group.plan, group.added
        if len(added) > 1:
            added.sort(key=_order_of)
        if group.removed or added[0][0] <= row.last:
            fresh = self._change_the_past(group, row, sinks)
            if fresh is None:
                return self._rebuilt(group, row, sinks)
            added = fresh
        for order, projections, touchpoint in added:
            if projections is None and plan.needs_first and not row.first:
                projections = plan.nothing
            if projections is not None:
                plan.advance(row.states, touchpoint.event_time, projections, sinks)
                if note(row, order, projections):
                    self._series(group, row).seal()
            row.first = row.first or order
            row.last, row.last_type = order, touchpoint.type
        row.touchpoint_count += len(added)
        return row

    def _change_the_past(self, group: Group, row: ContainerRow, sinks: Sinks) -> list[Added] | None:
        """Adds what came late and takes out what was taken back; gives what lies behind all that was known, or None
        when the container's oldest or newest touchpoint went, so that only the touchpoint rows can tell."""
        if any(order in (row.first, row.last) for order, _ in group.removed):
            return None
        late_count = sum(order <= row.last for order, _, _ in group.added)
        late, fresh = group.added[:late_count], group.added[late_count:]
        entries = _entries(group.plan, late, row.first)
        removed = {order for order, projections in group.removed if projections is not None}
        if entries or removed:
            self._series(group, row).revise(entries, removed, sinks)
        if late:
            row.first = min(row.first, late[0][0])
        row.touchpoint_count += len(late) - len(group.removed)
        return fresh

    def _series(self, group: Group, row: ContainerRow) -> Series:
        return Series(group.plan, group.key, row, self._store, self._put)

    def _rebuilt(self, group: Group, row: ContainerRow, sinks: Sinks) -> ContainerRow | None:
        """The container folded anew from its touchpoint rows: its oldest or newest one went."""
        plan = group.plan
        found: list[Added] = []
        for order, touchpoint in self._history(group.account):
            if plan.id_of(touchpoint) == group.id:
                projections = plan.project(touchpoint)
                if projections is not None or plan.counts_all:
                    found.append((order, projections, touchpoint))
        found.sort(key=_order_of)
        self._series(group, row).rebuild(_entries(plan, found, b""), sinks)
        if not found:
            return None
        row.first, row.last, row.last_type = found[0][0], found[-1][0], found[-1][2].type
        row.touchpoint_count = len(found)
        return row


def _entries(plan: KindPlan, added: Sequence[tuple[bytes, list[Any] | None, Touchpoint]], first: bytes) -> list[Entry]:
    """Those of `added`, sorted, that belong in the series: what interests an analysis, and the container's first."""
    entries: list[Entry] = []
    for order, projections, _ in added:
        if projections is not None:
            entries.append((order, projections))
        elif plan.needs_first and not entries and (not first or order < first):
            entries.append((order, plan.nothing))
    return entries


_order_of: Callable[[tuple[Any, ...]], bytes] = lambda entry: entry[0]  # noqa: E731  (a key for sort, not a function of ours)
