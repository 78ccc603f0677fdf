"""The computation of one batch of touchpoints of one partition.

A touchpoint becomes a row (its key is the duplicate check, for ever), joins the series of its containers, and changes
cells. The store is read and never written. Work is per batch: one multi-get for everything it may touch, one
dictionary of cell changes. Budget: 12 µs an event, of which decoding, keys and grouping take 4, stepping and encoding
containers 5, journeys 2.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from state.cell_changes import CellChanges
from state.container_steps import Stepper
from state.edges import Edges, edges_of, loses_an_edge
from state.groups import Group, Groups, TouchpointRecord
from state.job import Part
from state.journeys import Positions, Standing, list_siblings, with_sibling
from state.plan import NAME_BY_CODE, Plan
from state.row_list import RowList
from state.rows import EVENT_TIME_KEY, ContainerRow, container_key, decode_container, encode_row
from state.series import Revision, new_container
from streams.store import Row, Store

_SESSIONLIKE = (b"s", b"v")
_NOTHING_REVISED: Mapping[bytes, Part] = {}


class Pending(msgspec.Struct, array_like=True, frozen=True):
    """What a commit must publish: the accounts and cells that changed."""

    accounts: list[bytes]
    cells: list[bytes]


class Outcome(msgspec.Struct):
    """What a batch changes: rows to write, what is to be published, and the values to publish it with."""

    rows: list[Row]
    pending: Pending
    journeys: list[tuple[bytes, ContainerRow | None]]
    cells: list[tuple[bytes, int]]
    event_time_max_ms: int


class AccountBatch:
    """Computes one batch, once. revised: containers whose past a job has changed already."""

    def __init__(self, plan: Plan, store: Store, revised: Mapping[bytes, Part] = _NOTHING_REVISED) -> None:
        self._plan = plan
        self._store = store
        self._revised = revised
        self._collected = RowList()
        self._put = self._collected.put
        self._cells = CellChanges(plan)
        self._groups = Groups(plan, store)
        self._edges: dict[bytes, Edges] = {}
        self._stepper = Stepper(store, self._put, self._edges, revised)

    def outcome(self, records: Sequence[TouchpointRecord]) -> Outcome:
        """What `records`, in the order of their offsets, change. Raises BatchTooLargeError as soon as that is more
        than a commit holds."""
        groups, rows = self._groups, self._collected.rows
        self._read(records)
        rows.extend(groups.touchpoints.items())
        journeys = self._change_containers()
        cell_rows, cells = self._cells.settle(self._store)
        rows.extend(cell_rows)
        if groups.newest_ms > groups.known_ms:
            rows.append((EVENT_TIME_KEY, b"%d" % groups.newest_ms))
        pending = Pending([account for account, _ in journeys], [key for key, _ in cells])
        return Outcome(rows, pending, journeys, cells, max(groups.newest_ms, groups.known_ms))

    def revisions(self, records: Sequence[TouchpointRecord]) -> dict[bytes, Revision]:
        """What `records` change in the past of containers, by key, not begun."""
        self._read(records)
        groups = ((group, self._row_of(group)) for group in self._changed())
        revisions = ((group.key, self._stepper.revision(group, row)) for group, row in groups)
        return {key: revision for key, revision in revisions if revision is not None}

    def _read(self, records: Sequence[TouchpointRecord]) -> None:
        """Takes the records and finds the edges of containers that lose theirs, with one scan per account."""
        groups = self._groups
        groups.read(records)
        losing: dict[bytes, list[Group]] = {}
        for key in groups.shrunk - self._revised.keys():
            group = groups.by_key[key]
            if loses_an_edge(group, self._row_of(group)):
                losing.setdefault(group.account, []).append(group)
        for account, those in losing.items():
            self._edges.update(edges_of(self._plan, self._store, account, those, groups.touchpoints))

    # -- containers

    def _changed(self) -> Iterator[Group]:
        """Those of which the batch did not take back what it brought."""
        return (group for group in self._groups.by_key.values() if group.added or group.removed)

    def _change_containers(self) -> list[tuple[bytes, ContainerRow | None]]:
        """Steps every container, accounts last: their rows tell where the others stand."""
        account_plan = self._plan.account
        moved: dict[bytes, list[tuple[Group, Positions, Positions]]] = {}
        own: list[Group] = []
        for group in self._changed():
            if group.plan is account_plan:
                own.append(group)
                continue
            before, after = self._step_sibling(group)
            if before != after:
                moved.setdefault(group.account, []).append((group, before, after))
        journeys: list[tuple[bytes, ContainerRow | None]] = []
        for group in own:
            row = self._stepped(group, self._row_of(group))
            if row is not None and not self._note_siblings(row, moved.get(group.account, [])):
                list_siblings(row, self._standings(group.account))
            self._put((group.key, None if row is None else encode_row(row)))
            journeys.append((group.account, row))
        return journeys

    def _note_siblings(self, row: ContainerRow, moved: list[tuple[Group, Positions, Positions]]) -> bool:
        """Notes where containers under the account stand now; False when its list must be made anew."""
        complete = True
        for group, before, after in moved:
            complete &= with_sibling(row, NAME_BY_CODE[group.plan.code], group.id, before, after)
        return complete

    def _standings(self, account: bytes) -> Iterator[Standing]:
        """All containers under an account that stand somewhere behind this batch."""
        values: dict[bytes, bytes | None] = dict(self._store.scan(container_key(account, b"", b"")))
        mine = {group.key for group in self._groups.by_key.values() if group.account == account}
        values.update((key, value) for key, value in self._collected.rows if key in mine)
        for plan in self._plan.others:
            prefix = container_key(account, plan.code, b"")
            for key, value in values.items():
                if plan.code not in _SESSIONLIKE and key.startswith(prefix) and value is not None:
                    positions = plan.positions(decode_container(value).states)
                    if positions:
                        yield Standing(NAME_BY_CODE[plan.code], key[len(prefix) :].decode(), **positions)

    def _step_sibling(self, group: Group) -> tuple[Positions, Positions]:
        """Steps a container beside the account; gives where it stood and stands."""
        plan, row = group.plan, self._row_of(group)
        if plan.code in _SESSIONLIKE:
            row_after = self._stepped(group, row)
            before = after = {}
        else:
            before = plan.positions(row.states)
            row_after = self._stepped(group, row)
            after = {} if row_after is None else plan.positions(row_after.states)
        self._put((group.key, None if row_after is None else encode_row(row_after)))
        return before, after

    def _row_of(self, group: Group) -> ContainerRow:
        value = self._groups.values[group.key]
        return new_container(group.plan) if value is None else decode_container(value)

    def _stepped(self, group: Group, row: ContainerRow) -> ContainerRow | None:
        return self._stepper.stepped(group, row, self._cells.sinks_of(group.plan, group.key))
