"""The computation of one batch of touchpoints of one partition.

A touchpoint becomes a row (its key is the duplicate check, for ever), joins the series of its containers, and changes
cells. The store is read and never written. Work is per batch: one multi-get for everything it may touch, one
dictionary of cell changes. Budget: 12 µs an event, of which decoding, keys and grouping take 4, stepping and encoding
containers 5, journeys 2.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import msgspec

from state.cell_changes import CellChanges
from state.container_steps import Group, Stepper
from state.journeys import Positions, Standing, list_siblings, with_sibling
from state.plan import NAME_BY_CODE, KindPlan, Plan
from state.rows import (
    EVENT_TIME_KEY,
    ContainerRow,
    container_key,
    decode_container,
    encode_row,
    keys_of,
    touchpoints_prefix,
)
from state.series import new_container
from streams.store import Row, Store
from streams.touchpoint import Touchpoint, decode_touchpoint, version_of

_SESSIONLIKE = (b"s", b"v")

# A container that a touchpoint can change: its row's key, its kind's plan, its id, and what the plan reads.
Place = tuple[bytes, KindPlan, str, list[Any] | None]


class TouchpointRecord(Protocol):
    """What the stage reads of a record: the account as key, the touchpoint as value."""

    @property
    def key(self) -> bytes: ...
    @property
    def value(self) -> bytes: ...


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
    """Computes one batch, once."""

    def __init__(self, plan: Plan, store: Store) -> None:
        self._plan = plan
        self._account, self._others = plan.account, plan.others
        self._store = store
        self._rows: list[Row] = []
        self._cells = CellChanges(plan)
        self._stepper = Stepper(store, self._rows.append, self._history)
        self._groups: dict[bytes, Group] = {}
        self._states: dict[bytes, bytes | None] = {}
        self._touchpoints: dict[bytes, bytes] = {}

    def outcome(self, records: Sequence[TouchpointRecord]) -> Outcome:
        """What `records`, in the order of their offsets, change."""
        decode, touchpoints = self._plan.decode, self._touchpoints
        keys = []
        repeated: list[int] = []
        newest = 0
        for index, record in enumerate(records):
            touchpoint = decode(record.value)
            key, order = keys_of(record.key, touchpoint)
            keys.append(key)
            if key in touchpoints or touchpoint.withdrawn:
                repeated.append(index)
            else:
                touchpoints[key] = record.value
                self._add(record.key, order, touchpoint)
            if touchpoint.event_time > newest:
                newest = touchpoint.event_time
        known, event_time_max = self._read(keys)
        self._settle_versions(records, keys, known, repeated)
        self._rows.extend(touchpoints.items())
        self._read_missing()
        journeys = self._change_containers()
        cell_rows, cells = self._cells.settle(self._store)
        self._rows.extend(cell_rows)
        if newest > event_time_max:
            event_time_max = newest
            self._rows.append((EVENT_TIME_KEY, b"%d" % newest))
        pending = Pending([account for account, _ in journeys], [key for key, _ in cells])
        return Outcome(self._rows, pending, journeys, cells, event_time_max)

    # -- what the batch says, against what is known

    def _read(self, keys: list[bytes]) -> tuple[list[bytes | None], int]:
        """One multi-get: the touchpoint rows, the containers that would change, and the greatest event time."""
        wanted = sorted(self._groups)
        found = self._store.get([*keys, *wanted, EVENT_TIME_KEY])
        self._states.update(zip(wanted, found[len(keys) : -1], strict=True))
        return found[: len(keys)], int(found[-1] or 0)

    def _add(self, account: bytes, order: bytes, touchpoint: Touchpoint) -> None:
        groups = self._groups
        for key, plan, id_, projections in self._containers(account, touchpoint):
            group = groups.get(key)
            if group is None:
                groups[key] = Group(plan, account, id_, key, [(order, projections, touchpoint)], [])
            else:
                group.added.append((order, projections, touchpoint))

    def _remove(self, account: bytes, touchpoint: Touchpoint) -> None:
        """Takes a touchpoint back: one that this batch added, or one of the store's."""
        if touchpoint.withdrawn:
            return
        _, order = keys_of(account, touchpoint)
        for key, plan, id_, projections in self._containers(account, touchpoint):
            group = self._groups.get(key)
            if group is None:
                group = self._groups[key] = Group(plan, account, id_, key, [], [])
            kept = [added for added in group.added if added[0] != order]
            if len(kept) < len(group.added):
                group.added = kept
            else:
                group.removed.append((order, projections))

    def _containers(self, account: bytes, touchpoint: Touchpoint) -> list[Place]:
        """Each container that a touchpoint can change."""
        places: list[Place] = [(b"k%b\0a" % account, self._account, "", self._account.project(touchpoint))]
        for plan in self._others:
            id_ = plan.id_of(touchpoint)
            if id_ is not None:
                projections = plan.project(touchpoint)
                if projections is not None or plan.needs_first:
                    places.append((container_key(account, plan.code, id_.encode()), plan, id_, projections))
        return places

    def _settle_versions(
        self, records: Sequence[TouchpointRecord], keys: list[bytes], known: list[bytes | None], repeated: list[int]
    ) -> None:
        """Keeps of each event the version that counts. Up to here the first of each key stands as added, as if no
        row knew it and nothing took it back."""
        touchpoints, decode = self._touchpoints, self._plan.decode
        again = set(repeated)
        for index, old in enumerate(known):
            if old is not None and index not in again:
                self._replace(records[index].key, keys[index], old, records[index].value)
        for index in repeated:
            key, value = keys[index], records[index].value
            old = touchpoints.get(key, known[index])
            if old is None:
                touchpoints[key] = value  # a withdrawal of what was never here stays, so that nothing older counts
            elif _supersedes(value, old):
                self._remove(records[index].key, decode(old))
                touchpoints[key] = value
                touchpoint = decode(value)
                if not touchpoint.withdrawn:
                    self._add_again(records[index].key, touchpoint)

    def _add_again(self, account: bytes, touchpoint: Touchpoint) -> None:
        self._add(account, keys_of(account, touchpoint)[1], touchpoint)

    def _replace(self, account: bytes, key: bytes, old: bytes, value: bytes) -> None:
        """Puts right what was added although the store knows its event."""
        if _supersedes(value, old):
            # Removed before it is added: the two may stand at the same place.
            touchpoint = self._plan.decode(value)
            self._remove(account, touchpoint)
            self._remove(account, self._plan.decode(old))
            self._add_again(account, touchpoint)
        else:
            self._remove(account, self._plan.decode(value))
            del self._touchpoints[key]

    def _read_missing(self) -> None:
        """Containers of earlier versions only, which the first read did not know of."""
        missing = sorted(self._groups.keys() - self._states.keys())
        if missing:
            self._states.update(zip(missing, self._store.get(missing), strict=True))

    # -- containers

    def _change_containers(self) -> list[tuple[bytes, ContainerRow | None]]:
        """Steps every container, accounts last: their rows tell where the others stand."""
        account_plan = self._plan.account
        moved: dict[bytes, list[tuple[Group, Positions, Positions]]] = {}
        own: list[Group] = []
        for group in self._groups.values():
            if not group.added and not group.removed:
                continue  # what the batch brought, it took back
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
            self._rows.append((group.key, None if row is None else encode_row(row)))
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
        mine = {group.key for group in self._groups.values() if group.account == account}
        values.update((key, value) for key, value in self._rows if key in mine)
        for plan in self._others:
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
        self._rows.append((group.key, None if row_after is None else encode_row(row_after)))
        return before, after

    def _row_of(self, group: Group) -> ContainerRow:
        value = self._states[group.key]
        return new_container(group.plan) if value is None else decode_container(value)

    def _stepped(self, group: Group, row: ContainerRow) -> ContainerRow | None:
        return self._stepper.stepped(group, row, self._cells.sinks_of(group.plan, group.key))

    def _history(self, account: bytes) -> Iterator[tuple[bytes, Touchpoint]]:
        """All of an account's events as they stand behind this batch, with their order keys."""
        prefix = touchpoints_prefix(account)
        values = dict(self._store.scan(prefix))
        values.update((key, value) for key, value in self._touchpoints.items() if key.startswith(prefix))
        for value in values.values():
            touchpoint = self._plan.decode(value)
            if not touchpoint.withdrawn:
                yield keys_of(account, touchpoint)[1], touchpoint


def _supersedes(value: bytes, old: bytes) -> bool:
    """Whether a touchpoint's payload counts instead of another one of the same event."""
    return version_of(decode_touchpoint(value)) > version_of(decode_touchpoint(old))
