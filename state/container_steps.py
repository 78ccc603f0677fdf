"""One container behind a batch: what joins in order, what comes late, what is taken back."""

from collections.abc import Mapping

from state.cell_changes import Sinks
from state.edges import Edges
from state.groups import Added, Group
from state.job import Part
from state.rows import ContainerRow
from state.series import Entry, Put, Revision, Series, key_of_entry, note
from streams.store import Rows


class Stepper:
    """Steps containers on top of a store.

    edges: of those that lose their oldest or newest touchpoint. revised: those whose past a job has changed already.
    """

    def __init__(self, store: Rows, put: Put, edges: Mapping[bytes, Edges], revised: Mapping[bytes, Part]) -> None:
        self._store = store
        self._put = put
        self._edges = edges
        self._revised = revised

    def stepped(self, group: Group, row: ContainerRow, sinks: Sinks) -> ContainerRow | None:
        """The container's row behind the batch; None when it has no touchpoint left."""
        plan, added = group.plan, group.added
        if len(added) > 1:
            added.sort(key=key_of_entry)
        if group.removed or added[0][0] <= row.last:
            added = [each for each in added if each[0] > row.last]
            row = self._revised_row(group, row, sinks)
        if added:
            if not row.first:
                order, projections, event_time, type_ = added[0]
                row.first = order
                if projections is None and plan.needs_first:
                    added[0] = (order, plan.nothing, event_time, type_)
            for order, projections, event_time, _ in added:
                if projections is not None:
                    plan.advance(row.states, event_time, projections, sinks)
                    if note(row, order, projections):
                        self._series(group, row).seal()
            row.last, _, _, row.last_type = added[-1]
        row.touchpoint_count += len(added)
        if row.touchpoint_count:
            return row
        self._series(group, row).clear()
        return None

    def revision(self, group: Group, row: ContainerRow) -> Revision | None:
        """What a batch changes in a container's past, not begun yet; the row has its edges and its count already.
        None when it only adds to its end."""
        plan = group.plan
        late = sorted((each for each in group.added if each[0] <= row.last), key=key_of_entry)
        if not late and not group.removed:
            return None
        entries: list[Entry] = [(order, projections) for order, projections, *_ in late if projections is not None]
        # Where the first counts, one that interested nobody may be in the series: it was the first for a while.
        removed = {order for order, projections in group.removed if projections is not None or plan.needs_first}
        first = self._move_edges(group, row, late)
        row.touchpoint_count += len(late) - len(group.removed)
        if not row.touchpoint_count:
            row.first = row.last = b""  # the next one to join is the first again
        elif plan.needs_first and first is not None and first[1] is None:
            entries.append((first[0], plan.nothing))
            removed.add(first[0])
        return self._series(group, row).revision(entries, removed)

    def _move_edges(self, group: Group, row: ContainerRow, late: list[Added]) -> Added | None:
        """Sets the oldest and the newest of what the row knows and what came late; gives the oldest where it is
        another one or another version. What lies behind the newest joins in order, afterwards."""
        edges = self._edges.get(group.key)
        if edges is not None:
            row.first, (row.last, _, _, row.last_type) = edges.first[0], edges.last
            return edges.first
        if late and late[-1][0] == row.last:
            row.last_type = late[-1][3]
        if late and late[0][0] <= row.first:
            row.first = late[0][0]
            return late[0]
        return None

    def _revised_row(self, group: Group, row: ContainerRow, sinks: Sinks) -> ContainerRow:
        part = self._revised.get(group.key)
        if part is not None:
            part.add_cells(sinks)
            return part.revision.row
        revision = self.revision(group, row)
        assert revision is not None, "something came late or was taken back"
        self._series(group, row).revise_at_once(revision, sinks)
        return row

    def _series(self, group: Group, row: ContainerRow) -> Series:
        return Series(group.plan, group.key, row, self._store, self._put)
