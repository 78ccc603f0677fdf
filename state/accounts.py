"""The accounts stage: what one batch of touchpoints of one partition changes.

A touchpoint becomes a row (its key is the duplicate check, for ever), joins the series of its containers, and changes
cells. `compute` reads the store and writes nothing; the protocol commits what it returns. Work is per batch: one
multi-get for everything the batch may touch, one dictionary of cell changes. Budget: 12 µs an event, of which
decoding, keys and grouping take 4, stepping and encoding containers 5, journeys 2.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from state.journeys import encode_journey, with_sibling
from state.plan import NAME_BY_CODE, KindPlan, Plan
from state.rows import (
    EVENT_TIME_KEY,
    ContainerRow,
    cell_row_key,
    container_key,
    decode_container,
    encode_row,
    keys_of,
    tally_key,
    touchpoints_prefix,
)
from state.series import Entry, Series, new_container, note
from streams.partials import COVERS_KEY, Covers, Tag, encode_cell, encode_covers, encode_partial
from streams.store import Row, Store
from streams.touchpoint import Touchpoint, decode_touchpoint, version_of

_SESSIONLIKE = (b"s", b"v")


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


# A container that a touchpoint can change: its row's key, its kind's plan, its id, and what the plan reads.
Place = tuple[bytes, KindPlan, str, list[Any] | None]
# A touchpoint that joins a container: its order key, what the plan reads, itself.
Added = tuple[bytes, list[Any] | None, Touchpoint]


class _Group(msgspec.Struct):
    """What a batch changes in one container: (order key, what the plan reads, touchpoint) that joins, and the first
    two of what leaves."""

    plan: KindPlan
    account: bytes
    id: str
    key: bytes
    added: list[Added]
    removed: list[tuple[bytes, list[Any] | None]]


class Accounts:
    """One partition's containers and cells under a plan. Pure with respect to the store."""

    def __init__(self, plan: Plan, store: Store) -> None:
        self._plan = plan
        self._store = store

    def compute(self, records: Sequence[TouchpointRecord]) -> Outcome:
        """What `records` (in the order of their offsets) change. Nothing is written."""
        return _Batch(self._plan, self._store).outcome(records)

    def again(self, pending: Pending) -> Outcome:
        """The outcome whose publication a crash may have swallowed, from the rows as they are."""
        keys = [container_key(account, self._plan.account.code, b"") for account in pending.accounts]
        found = self._store.get([*keys, *(cell_row_key(key) for key in pending.cells), EVENT_TIME_KEY])
        rows = [None if value is None else decode_container(value) for value in found[: len(keys)]]
        cells = [0 if value is None else int(value) for value in found[len(keys) : -1]]
        journeys = list(zip(pending.accounts, rows, strict=True))
        return Outcome([], pending, journeys, list(zip(pending.cells, cells, strict=True)), int(found[-1] or 0))

    def journey_records(self, outcome: Outcome, tag: Tag) -> list[Row]:
        """The records of `journeys`."""
        account_plan = self._plan.account
        return [
            (account, encode_journey(tag, account, row, {} if row is None else account_plan.positions(row.states)))
            for account, row in outcome.journeys
        ]

    def partial_records(self, outcome: Outcome, tag: Tag, applied: dict[str, int], clock_ms: int) -> list[Row]:
        """The records of `partials`: the changed cells, then what they cover."""
        records: list[Row] = [(key, encode_partial(tag, value)) for key, value in outcome.cells]
        covers = Covers(tag, applied, clock_ms, outcome.event_time_max_ms, self._plan.hash)
        records.append((COVERS_KEY, encode_covers(covers)))
        return records


class _Batch:
    """The computation of one batch."""

    def __init__(self, plan: Plan, store: Store) -> None:
        self._plan = plan
        self._account, self._others = plan.account, plan.others
        self._store = store
        self._rows: list[Row] = []
        self._put = self._rows.append
        self._groups: dict[bytes, _Group] = {}
        self._states: dict[bytes, bytes | None] = {}
        self._touchpoints: dict[bytes, bytes] = {}
        self._sinks: dict[bytes, list[dict[Any, int]]] = {
            plan.code: [{} for _ in plan.lenses] for plan in plan.kinds if not plan.distinct
        }
        self._own_sinks: list[tuple[_Group, list[dict[Any, int]]]] = []

    def outcome(self, records: Sequence[TouchpointRecord]) -> Outcome:
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
        cells = self._change_cells()
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
                groups[key] = _Group(plan, account, id_, key, [(order, projections, touchpoint)], [])
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
                group = self._groups[key] = _Group(plan, account, id_, key, [], [])
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
        moved: dict[bytes, list[tuple[_Group, dict[str, Any], dict[str, Any]]]] = {}
        own: list[_Group] = []
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
            if row is not None:
                for sibling, before, after in moved.get(group.account, ()):
                    with_sibling(row, NAME_BY_CODE[sibling.plan.code], sibling.id, before, after)
            self._rows.append((group.key, None if row is None else encode_row(row)))
            journeys.append((group.account, row))
        return journeys

    def _step_sibling(self, group: _Group) -> tuple[dict[str, Any], dict[str, Any]]:
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

    def _row_of(self, group: _Group) -> ContainerRow:
        value = self._states[group.key]
        return new_container(group.plan) if value is None else decode_container(value)

    def _stepped(self, group: _Group, row: ContainerRow) -> ContainerRow | None:
        """The container's row behind the batch; None when it has no touchpoint left."""
        plan, added, sinks = group.plan, group.added, self._sinks_of(group)
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

    def _change_the_past(self, group: _Group, row: ContainerRow, sinks: list[dict[Any, int]]) -> list[Added] | None:
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

    def _series(self, group: _Group, row: ContainerRow) -> Series:
        return Series(group.plan, group.key, row, self._store, self._put)

    def _rebuilt(self, group: _Group, row: ContainerRow, sinks: list[dict[Any, int]]) -> ContainerRow | None:
        """The container folded anew from its touchpoint rows: its oldest or newest one went."""
        plan = group.plan
        found: list[Added] = []
        for touchpoint in self._touchpoints_of(group.account):
            if touchpoint.withdrawn or plan.id_of(touchpoint) != group.id:
                continue
            projections = plan.project(touchpoint)
            if projections is not None or counts_all(self._plan, plan):
                found.append((keys_of(group.account, touchpoint)[1], projections, touchpoint))
        found.sort(key=_order_of)
        self._series(group, row).rebuild(_entries(plan, found, b""), sinks)
        if not found:
            return None
        row.first, row.last, row.last_type = found[0][0], found[-1][0], found[-1][2].type
        row.touchpoint_count = len(found)
        return row

    def _touchpoints_of(self, account: bytes) -> list[Touchpoint]:
        """All of an account's events as they stand behind this batch."""
        prefix = touchpoints_prefix(account)
        values = dict(self._store.scan(prefix))
        values.update((key, value) for key, value in self._touchpoints.items() if key.startswith(prefix))
        return [self._plan.decode(value) for value in values.values()]

    def _sinks_of(self, group: _Group) -> list[dict[Any, int]]:
        """Where a container's changes go: one place for all, unless an analysis counts distinct containers."""
        if not group.plan.distinct:
            return self._sinks[group.plan.code]
        sinks: list[dict[Any, int]] = [{} for _ in group.plan.lenses]
        self._own_sinks.append((group, sinks))
        return sinks

    # -- cells

    def _change_cells(self) -> list[tuple[bytes, int]]:
        """(key, new absolute contribution) of each cell that changes; adds the rows."""
        changes: dict[bytes, int] = {}
        for plan in self._plan.kinds:
            if not plan.distinct:
                for lens, cells in zip(plan.lenses, self._sinks[plan.code], strict=True):
                    _count(changes, lens.version, cells)
        self._count_distinct(changes)
        keys = sorted(key for key, change in changes.items() if change)
        rows = [cell_row_key(key) for key in keys]
        changed: list[tuple[bytes, int]] = []
        for key, row_key, old in zip(keys, rows, self._store.get(rows) if rows else (), strict=True):
            value = int(old or 0) + changes[key]
            self._rows.append((row_key, b"%d" % value if value else None))
            changed.append((key, value))
        return changed

    def _count_distinct(self, changes: dict[bytes, int]) -> None:
        """Turns what single containers contribute into changes of the number of containers that do."""
        tallies: list[tuple[bytes, bytes, int]] = []
        for group, sinks in self._own_sinks:
            for lens, cells in zip(group.plan.lenses, sinks, strict=True):
                if not lens.distinct:
                    _count(changes, lens.version, cells)
                    continue
                keys = [(encode_cell(lens.version, cell), change) for cell, change in cells.items() if change]
                tallies.extend((tally_key(group.key, key), key, change) for key, change in keys)
        found = self._store.get([row_key for row_key, _, _ in tallies]) if tallies else ()
        for (row_key, key, change), old in zip(tallies, found, strict=True):
            before = int(old or 0)
            after = before + change
            self._rows.append((row_key, b"%d" % after if after else None))
            changes[key] = changes.get(key, 0) + (after > 0) - (before > 0)


def _supersedes(value: bytes, old: bytes) -> bool:
    """Whether a touchpoint's payload counts instead of another one of the same event."""
    return version_of(decode_touchpoint(value)) > version_of(decode_touchpoint(old))


def _count(changes: dict[bytes, int], version: str, cells: dict[Any, int]) -> None:
    """Adds the changes of an analysis' cells. Sessions and visits are two plans of one analysis, so they may meet."""
    for cell, change in cells.items():
        if change:
            key = encode_cell(version, cell)
            changes[key] = changes.get(key, 0) + change


def counts_all(plan: Plan, kind: KindPlan) -> bool:
    """Whether every touchpoint of such a container is one of its own, also those that interest no analysis."""
    return kind is plan.account or kind.needs_first


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
