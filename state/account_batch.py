"""The computation of one batch of touchpoints of one partition.

A touchpoint becomes a row (its key is the duplicate check, for ever), joins the series of its containers, and changes
cells. The store is read and never written. Work is per batch: one multi-get for everything it may touch, one
dictionary of cell changes. Budget: 12 µs an event, of which decoding, keys and grouping take 4, stepping and encoding
containers 5, journeys 2. What that is in rows, bytes, calls and instructions stands in `state/budget.py`, and is held.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from state.analyses.audiences import AudienceLens
from state.analyses.lens import Cells, State
from state.analyses.together import TogetherLens
from state.cell_changes import CellChanges, Sinks
from state.claims import Claims, Timer
from state.container_steps import Stepper
from state.edges import Edges, edges_of, loses_an_edge
from state.groups import Group, Groups
from state.job import Part
from state.journeys import Positions, Standing, journey_of, list_siblings, with_sibling
from state.kinds import NAME_BY_CODE
from state.layers import Layers, Share
from state.memberships import Memberships
from state.row_list import RowList
from state.rows import (
    EVENT_TIME_KEY,
    ContainerRow,
    account_count_key,
    container_key,
    decode_container,
    encode_row,
)
from state.series import Revision, new_container
from state.timeline import TOUCHPOINTS_LEFT, Timeline
from streams.store import Row, Rows
from streams.touchpoint import Touchpoint

Moved = tuple[Group, Positions, Positions]  # a container beside an account, where it stood and where it stands
_SESSIONLIKE = (b"s", b"v")
_NOTHING_REVISED: Mapping[bytes, Part] = {}


class Pending(msgspec.Struct, array_like=True, frozen=True):
    """What a commit must publish: the accounts and cells that changed, and the alerts and changes of audiences as they
    are published, for they say how it was then."""

    accounts: list[bytes]
    cells: list[bytes]
    alerts: list[Row] = []
    memberships: list[Row] = []


class Outcome(msgspec.Struct):
    """What a batch changes: rows to write, what is to be published, and the values to publish it with. journeys: of
    accounts, what follows the tag in their messages. account_counts: how many accounts there are behind it, by
    layout."""

    rows: list[Row]
    pending: Pending
    journeys: list[tuple[bytes, bytes]]
    cells: list[tuple[bytes, int]]
    event_time_max_ms: int
    account_counts: dict[int, int]


class Changes:
    """What the shares of one batch change together: rows, cells, claims and memberships. aside: of an account that
    moves in pieces. account_counts: how many accounts come or go, by layout."""

    def __init__(self, layers: Layers, clock_ms: int) -> None:
        self._layers = layers
        self.rows = RowList()
        self.claims = Claims(layers, clock_ms)
        self.memberships = Memberships(layers, clock_ms)
        self.cells, self.aside = CellChanges(layers.in_force), CellChanges(layers.in_force)
        self.journeys: list[tuple[bytes, bytes]] = []
        self.newest_ms = 0
        self.account_counts = dict.fromkeys((plan.code for plan in layers.plans), 0)

    def fire(self, due: Sequence[Timer]) -> None:
        """What waited for its time is looked at."""
        self.claims.fire([each for each in due if not self._layers.is_audience(each.version)])
        self.memberships.fire([each for each in due if self._layers.is_audience(each.version)])

    def outcome(self, store: Rows) -> Outcome:
        """The changes against what the store has."""
        rows = self.rows.rows
        cell_rows, cells = self.cells.settle(store)
        rows.extend(cell_rows)
        rows.extend(self.aside.put_aside(store))
        known_ms, account_counts = totals(store, self.account_counts)
        if self.newest_ms > known_ms:
            rows.append((EVENT_TIME_KEY, b"%d" % self.newest_ms))
        for layout, change in self.account_counts.items():
            if change:
                account_counts[layout] += change
                count = account_counts[layout]
                rows.append((account_count_key(layout), b"%d" % count if count else None))
        alerts, memberships = self.claims.settle(rows, store), self.memberships.settle(rows, store)
        accounts = [account for account, _ in self.journeys]
        pending = Pending(accounts, [key for key, _ in cells], alerts, memberships)
        return Outcome(rows, pending, self.journeys, cells, max(self.newest_ms, known_ms), account_counts)


def totals(rows: Rows, layouts: Iterable[int]) -> tuple[int, dict[int, int]]:
    """The greatest event time seen, in milliseconds, and how many accounts there are by layout."""
    codes = list(layouts)
    event_time_ms, *counts = (int(found or 0) for found in rows.get([EVENT_TIME_KEY, *map(account_count_key, codes)]))
    return event_time_ms, dict(zip(codes, counts, strict=True))


class AccountBatch:
    """Computes one share of a batch, once. revised: containers whose past a job has changed already."""

    def __init__(
        self, share: Share, store: Rows, changes: Changes, revised: Mapping[bytes, Part] = _NOTHING_REVISED
    ) -> None:
        self._share = share
        self._plan = share.plan
        self._store = store
        self._revised = revised
        self._joins = False
        self._changes = changes
        self._cells = changes.cells if share.until is None else changes.aside
        self._put = changes.rows.put
        self._groups = Groups(share.plan, store, share.until)
        self._sinks: dict[bytes, Sinks] = {}
        self._edges: dict[bytes, Edges] = {}
        self._stepper = Stepper(store, self._put, self._edges, revised)

    def apply(self) -> None:
        """Adds what the records of the share, in the order of their offsets, change. Raises BatchTooLargeError as soon
        as that is more than a commit holds."""
        groups, changes = self._groups, self._changes
        self._read()
        changes.rows.rows.extend(groups.touchpoints.items())
        changes.rows.rows.extend(groups.waiting_rows())
        changes.newest_ms = max(changes.newest_ms, groups.newest_ms)
        more = 0
        for group, row in self._change():
            more += (row is not None) - (group.value is not None)
            count = 0 if row is None else row.touchpoint_count
            if count + len(group.removed) > TOUCHPOINTS_LEFT:
                removed, added = [each[0] for each in group.removed], [each[0] for each in group.added]
                for leaf in Timeline(self._store, group.account).changed(count, removed, added):
                    self._put(leaf)
        changes.account_counts[self._plan.code] += more

    def join(self, account: bytes, touchpoints: Iterable[tuple[bytes, Touchpoint]]) -> None:
        """Adds what touchpoints of an account, with their order keys and in order, change whose rows are there and
        that none of its containers has yet."""
        self._joins = True
        self._groups.take(account, touchpoints)
        self._groups.read_missing()
        deque(self._change(), maxlen=0)

    def revisions(self) -> dict[bytes, Revision]:
        """What the records change in the past of containers, by key, not begun."""
        self._read()
        groups = ((group, self._row_of(group)) for group in self._changed())
        revisions = ((group.key, self._stepper.revision(group, row)) for group, row in groups)
        return {key: revision for key, revision in revisions if revision is not None}

    def _read(self) -> None:
        """Takes the records and finds the edges of containers that lose theirs, with one scan per account."""
        groups = self._groups
        groups.read(self._share.records)
        losing: dict[bytes, list[Group]] = {}
        for key, group in groups.shrunk.items():
            if key not in self._revised and loses_an_edge(group, self._row_of(group)):
                losing.setdefault(group.account, []).append(group)
        for account, those in losing.items():
            self._edges.update(edges_of(self._share, self._store, account, those, groups.touchpoints))

    # -- containers

    def _change(self) -> Iterator[tuple[Group, ContainerRow | None]]:
        """Steps every container, accounts last: their rows tell where the others stand. Gives the accounts that readers
        hear of, each with its row as soon as that is made: who keeps none of them needs the memory of one."""
        own, moved = self._step_siblings()
        journeys, is_told = self._changes.journeys, self._share.until is None
        for group in own:
            row = self._stepped(group, self._row_of(group))
            if moved and row is not None and not self._note_siblings(row, moved.get(group.account, [])):
                list_siblings(row, self._standings(group.account))
            self._put((group.key, None if row is None else encode_row(row)))
            if is_told:
                journeys.append((group.account, journey_of(group.account, row, group.plan)))
                yield group, row

    def _changed(self) -> list[Group]:
        """Those of which the batch did not take back what it brought."""
        return [group for group in self._groups.all if group.added or group.removed]

    def _step_siblings(self) -> tuple[list[Group], dict[bytes, list[Moved]]]:
        """Steps the containers beside the accounts; gives the accounts' own, and by account what stands elsewhere."""
        account_plan = self._plan.account
        moved: dict[bytes, list[Moved]] = {}
        own: list[Group] = []
        for group in self._changed():
            if group.plan is account_plan:
                own.append(group)
                continue
            before, after = self._step_sibling(group)
            if before != after:
                moved.setdefault(group.account, []).append((group, before, after))
        return own, moved

    def _note_siblings(self, row: ContainerRow, moved: list[Moved]) -> bool:
        """Notes where containers under the account stand now; False when its list must be made anew."""
        complete = True
        for group, before, after in moved:
            complete &= with_sibling(row, NAME_BY_CODE[group.plan.code], group.id, before, after)
        return complete

    def _standings(self, account: bytes) -> Iterator[Standing]:
        """All containers under an account that stand somewhere behind this batch."""
        layout = self._plan.code
        values: dict[bytes, bytes | None] = dict(self._store.scan(container_key(layout, account, b"", b"")))
        mine = {group.key for group in self._groups.all if group.account == account}
        values.update((key, value) for key, value in self._changes.rows.rows if key in mine)
        for plan in self._plan.others:
            prefix = container_key(layout, account, plan.code, b"")
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
        return new_container(group.plan) if group.value is None else decode_container(group.value)

    def _stepped(self, group: Group, row: ContainerRow) -> ContainerRow | None:
        plan = group.plan
        sinks = self._sinks.get(plan.code)
        if sinks is None:
            sinks = self._new_sinks(group)
        row_after = self._stepper.stepped(group, row, sinks)
        if plan.together is not None:
            place, lens = plan.together
            if sinks[place]:
                self._report(group, lens, sinks[place], None if row_after is None else row_after.states[place])
                sinks[place] = {}  # the next one's claims are its own
        return row_after

    def _report(self, group: Group, together: TogetherLens, cells: Cells, state: State | None) -> None:
        """What the container claims, and where it is a member. state: of all of them, behind the batch."""
        is_aside, silent = self._share.until is not None, self._share.silent
        for lens, mine in together.changes(cells):
            if isinstance(lens, AudienceLens):
                own = None if state is None else together.state_in(state, lens.version)
                self._changes.memberships.report(
                    lens, group.key, mine, own, silent, is_aside=is_aside, is_back_fill=self._joins
                )
            else:
                self._changes.claims.report(lens, group.key, mine, silent, is_aside=is_aside)

    def _new_sinks(self, group: Group) -> Sinks:
        """Where a container's changes go: with all of its kind's, unless an analysis keeps tallies of each."""
        plan, silent = group.plan, self._share.silent
        if plan.keeps_tallies:
            return self._cells.own_sinks_of(plan, group.key, silent)
        found = self._sinks[plan.code] = self._cells.sinks_of(plan, silent)
        return found
